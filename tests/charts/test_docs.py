"""The pages name values, files and commands that there are."""

from __future__ import annotations

import itertools
import re
import shlex
from pathlib import Path

import pytest

from tests.charts import helm
from tools.chart_values import described

pytestmark = pytest.mark.controlplane

PAGES = [
    helm.ROOT / "docs" / "install.md",
    *(chart / "README.md" for chart in (helm.OPERATOR, helm.LIBRARY, helm.EXAMPLE)),
]


def values() -> set[str]:
    known = {value.name for value in described((helm.OPERATOR / "values.yaml").read_text(), [helm.LIBRARY.name])}
    known |= {value.name for value in described((helm.EXAMPLE / "values.yaml").read_text(), [helm.LIBRARY.name])}
    library = {value.name for value in described((helm.LIBRARY / "values.yaml").read_text())}
    return known | library | {f"{helm.LIBRARY.name}.{name}" for name in library}


def commands(page: Path) -> list[list[str]]:
    """The lines of its shell blocks, joined where they go on."""
    blocks = re.findall(r"^```sh\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)
    return [shlex.split(line) for block in blocks for line in block.replace("\\\n", " ").splitlines()]


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.parent.name)
def test_every_link_and_every_path_in_a_command_leads_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text())
    assert not [link for link in links if not (page.parent / link).exists()]
    paths = [word for line in commands(page) for word in line if word.startswith(("charts/", "manifests/", "crds/"))]
    assert not [path for path in paths if not (helm.ROOT / path).exists()]


def test_every_value_that_a_page_speaks_of_exists() -> None:
    known = values()
    for page in PAGES:
        text = re.sub(r"<!-- values: begin -->.*<!-- values: end -->", "", page.read_text(), flags=re.DOTALL)
        named = re.findall(r"`([a-z][\w-]*(?:\.[a-zA-Z]\w*)+)(?:=\w+)?`", text)
        named += [one.partition("=")[0] for line in commands(page) for one in _set_by(line)]
        assert not [name for name in named if name.partition(".")[0] not in OTHER and name not in known]


#: What has a dot and is no value.
OTHER = {"spec", "packages", "freeswitch", "values"}


def _set_by(line: list[str]) -> list[str]:
    found = [value for flag, value in itertools.pairwise(line) if flag == "--set"]
    return [one for value in found for one in re.split(r",(?![^{]*\})", value)]


LINES = sorted(
    {tuple(line) for page in PAGES for line in commands(page) if line[:2] in (["helm", "install"], ["helm", "upgrade"])}
)


@pytest.mark.parametrize("line", LINES, ids=" ".join)
def test_every_helm_command_that_installs_renders(line: tuple[str, ...]) -> None:
    arguments = [word for word in line[2:] if word not in {"--create-namespace", "--reset-then-reuse-values"}]
    arguments = [str(helm.ROOT / word) if word.startswith("charts/") else word for word in arguments]
    assert helm.documents(helm.helm("template", *arguments).stdout)
