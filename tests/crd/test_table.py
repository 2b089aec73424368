"""Manifests that kubectl applies, and what the API server says: for the reason that the table gives, in its words."""

from __future__ import annotations

import re
from collections.abc import Mapping

import pytest
import yaml

from sipgateway.api.codes import CODES
from tests.controlplane.plane import ControlPlane
from tests.crd.table import ROWS, Row

ACCEPTED = "serverside-applied (server dry run)"

_CODE = re.compile(rf"\b({'|'.join(code.name for code in CODES)}): ")
_DRY = ("apply", "--server-side", "--dry-run=server", "--filename", "-")


def apply(plane: ControlPlane, *manifests: object) -> list[str]:
    """What kubectl says of each manifest, in no order."""
    text = yaml.safe_dump_all(manifests, allow_unicode=True, sort_keys=False, width=10_000)
    done = plane.kubectl(*_DRY, stdin=text, check=False)
    return [line for line in (*done.stdout.splitlines(), *done.stderr.splitlines()) if line]


@pytest.fixture(scope="module")
def said(control_plane: ControlPlane) -> Mapping[str, str]:
    """What kubectl says of each row: of most at once, as it names them; of the rest one by one."""
    lines = apply(control_plane, *(row.manifest for row in ROWS))
    out: dict[str, str] = {}
    for row in ROWS:
        name = re.escape(row.manifest["metadata"]["name"])
        mine = [
            line for line in lines if re.search(rf'(?:sipgateway\.dev/|"|\(default/){name}(?: serverside|"|;)', line)
        ]
        out[row.sentence] = mine[0] if len(mine) == 1 else "\n".join(apply(control_plane, row.manifest))
    return out


def test_the_table_has_at_least_150_rows_each_with_a_sentence_and_a_name_of_its_own() -> None:
    assert len(ROWS) >= 150
    assert len({row.sentence for row in ROWS}) == len(ROWS)
    assert sum(not row.said for row in ROWS) >= 75


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.sentence)
def test_the_api_server_accepts_or_refuses_with_these_words(row: Row, said: Mapping[str, str]) -> None:
    words = said[row.sentence]
    assert words.count("\n") == 0, words
    if not row.said:
        assert words.endswith(ACCEPTED)
    assert set(_CODE.findall(words)) == row.codes
    for expected in row.said:
        assert re.search(expected, words), f"{expected}\nis not in\n{words}"
