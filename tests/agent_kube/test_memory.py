"""What an agent writes down for a restart without an API server, and what it takes from it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sipgateway.agent import memory
from sipgateway.agent.desired import Claim
from sipgateway.agent.files import ConfFolder
from sipgateway.agent.memory import Memory
from sipgateway.agent.reporter import Bucket
from sipgateway.api.gateway import Gateway, Parameter, Target
from sipgateway.reconcile.state import Wanted
from sipgateway.render.layout import relative_path
from sipgateway.render.revision import RevisionKey, revision
from sipgateway.render.xml import render

KEY = RevisionKey(b"a test key, which protects nothing")
PASSWORD = "canary-of-the-memory"


def claim(name: str) -> Claim:
    found = (Parameter("username", "u"), Parameter("password", PASSWORD, secret=True))
    gateway = Gateway(name, Target("external"), found)
    mark = revision(gateway, KEY)
    path = relative_path(gateway)
    return Claim(
        f"sipgateway-{name}", "2026-01-01T00:00:00Z", Wanted(name, "external", mark, True, path), render(gateway, mark)
    )


def kept(folder: ConfFolder, *names: str) -> list[Claim]:
    claims = [claim(name) for name in names]
    folder.write_all({c.wanted.path: c.file for c in claims})
    memory.keep(folder, KEY.key_id, claims, ["old"])
    return claims


def test_what_was_kept_comes_back_from_the_files(tmp_path: Path) -> None:
    folder = ConfFolder(tmp_path)
    claims = kept(folder, "a", "b")
    found = memory.recall(folder)
    assert (found.key_id, found.gone) == (KEY.key_id, frozenset({"old"}))
    assert found.records.keys() == {"a", "b"}
    assert memory.claims(folder, found.records) == claims


def test_what_was_noted_after_that_counts_too_whatever_a_kill_left_of_the_last_line(tmp_path: Path) -> None:
    folder = ConfFolder(tmp_path)
    claims = kept(folder, "a", "b")
    new = claim("c")
    folder.write_all({new.wanted.path: new.file})
    memory.note(folder, [new], ["a"])
    with (tmp_path / ".sipgw" / "fleet.log").open("ab") as log:
        log.write(b'["d", "sipgateway-')
    memory.note(folder, [], ["e"])
    found = memory.recall(folder)
    assert memory.claims(folder, found.records) == [claims[1], new]
    assert found.gone == {"old", "a", "e"}
    memory.keep(folder, KEY.key_id, [new], [])
    assert memory.recall(folder).records.keys() == {"c"}
    assert memory.recall(folder).gone == set()


def test_no_secret_is_written_down(tmp_path: Path) -> None:
    kept(ConfFolder(tmp_path), "a")
    text = (tmp_path / ".sipgw" / "fleet.json").read_text()
    assert PASSWORD not in text
    assert "a" in json.loads(text)["gateways"]


def test_a_gateway_whose_file_is_gone_or_is_another_version_is_what_stands_there(tmp_path: Path) -> None:
    folder = ConfFolder(tmp_path)
    one, two = kept(folder, "a", "b")
    (tmp_path / one.wanted.path).unlink()
    older = render(Gateway("b", Target("external"), (Parameter("register", "false"),)), "1-00000000-" + "0" * 32)
    (tmp_path / two.wanted.path).write_bytes(older)
    (found,) = memory.claims(folder, memory.recall(folder).records)
    assert (found.name, found.wanted.revision, found.wanted.registers) == ("b", "1-00000000-" + "0" * 32, False)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nonsense",
        "[]",
        "7",
        '{"gateways": 7, "gone": {}}',
        '{"gateways": {"a": [1, 2]}, "key": []}',
        '{"gone": [7]}',
    ],
)
def test_what_cannot_be_read_is_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / ".sipgw").mkdir()
    (tmp_path / ".sipgw" / "fleet.json").write_text(text)
    assert memory.recall(ConfFolder(tmp_path)) == Memory()


def test_a_path_that_leads_elsewhere_gives_no_claim(tmp_path: Path) -> None:
    folder = ConfFolder(tmp_path / "conf")
    (tmp_path / "conf" / ".sipgw").mkdir(parents=True)
    (tmp_path / "outside.xml").write_bytes(claim("a").file)
    state = {"key": KEY.key_id, "gateways": {"a": ["sipgateway-a", "x", "external", "../outside.xml"]}, "gone": []}
    (tmp_path / "conf" / ".sipgw" / "fleet.json").write_text(json.dumps(state))
    assert memory.claims(folder, memory.recall(folder).records) == []


def test_the_bucket_lets_a_burst_out_and_then_one_a_second() -> None:
    bucket = Bucket(burst=5, rate=1)
    now = 100.0
    for _ in range(5):
        assert bucket.wait(now) == 0
        bucket.take(now)
    assert bucket.wait(now) == pytest.approx(1.0)
    assert bucket.wait(now + 0.4) == pytest.approx(0.6)
    assert bucket.wait(now + 1.0) == 0
    bucket.take(now + 1.0)
    assert bucket.wait(now + 1.0) == pytest.approx(1.0)
    assert bucket.wait(now + 3600) == 0
    for _ in range(5):
        bucket.take(now + 3600)
    assert bucket.wait(now + 3600) == pytest.approx(1.0)
