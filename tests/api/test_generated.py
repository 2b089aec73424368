"""What is generated from the tables is committed as it is, complete, and found stale when it is not."""

from __future__ import annotations

import re
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from sipgateway.api.codes import CODES, SECTIONS
from sipgateway.api.params import PARAMS
from sipgateway.api.parse import SPEC_FIELDS, SPEC_PARAMS, parse_sipgateway
from sipgateway.api.reference import codes_page, reference_page
from sipgateway.errors import Severity
from tests.api.builders import manifest

ROOT = Path(__file__).parents[2]


def generate(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs tools/generate.py of a tree."""
    return subprocess.run(
        [sys.executable, "tools/generate.py", *arguments], cwd=root, capture_output=True, text=True, check=False
    )


def test_what_is_committed_is_what_the_tables_say() -> None:
    result = generate(ROOT, "--check")
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A tree with the generator and all that it writes; the package is the installed one."""
    (tmp_path / "tools").mkdir()
    shutil.copy(ROOT / "tools" / "generate.py", tmp_path / "tools")
    result = generate(tmp_path)
    assert sorted(result.stdout.split("\n")) == [
        "",
        "wrote crds/sipgateways.yaml",
        "wrote crds/sipswitches.yaml",
        "wrote docs/codes.md",
        "wrote docs/conditions.md",
        "wrote docs/environments.schema.json",
        "wrote docs/reference.md",
    ]
    return tmp_path


def test_a_stale_file_is_found_shown_and_mended(tree: Path) -> None:
    page = tree / "docs" / "reference.md"
    wanted = page.read_text("utf-8")
    page.write_text(wanted.replace("# Reference", "# Referenz", 1), "utf-8")
    (tree / "crds" / "sipgateways.yaml").unlink()
    result = generate(tree, "--check")
    assert result.returncode == 1
    assert "-# Referenz" in result.stdout
    assert "+# Reference" in result.stdout
    assert "docs/reference.md is stale" in result.stdout
    assert "crds/sipgateways.yaml is stale" in result.stdout
    assert "make generate" in result.stdout
    assert "codes.md" not in result.stdout
    assert page.read_text("utf-8") != wanted
    assert generate(tree).returncode == 0
    assert page.read_text("utf-8") == wanted
    assert generate(tree, "--check").returncode == 0
    assert generate(tree).stdout == ""


def test_every_code_of_every_room_is_in_the_page_once() -> None:
    sections = runpy.run_path(str(ROOT / "tools" / "generate.py"))["sections"]()
    codes = [code for section in sections.values() for code in section]
    assert set(CODES) <= set(codes)
    names = [code.name for code in codes]
    assert sorted(names) == sorted(set(names))
    page = (ROOT / "docs" / "codes.md").read_text("utf-8")
    for name in names:
        assert page.count(f"### {name}\n") == 1


def test_every_code_says_what_why_and_what_to_do_in_sentences() -> None:
    for code in CODES:
        assert re.fullmatch(r"([A-Z][a-z0-9]*)+", code.name), code.name
        assert len(code.name) <= 64
        for text in (code.meaning, code.why, code.action):
            assert text.endswith("."), (code.name, text)
            assert "\n" not in text
        assert code.severity in Severity


def test_the_reference_has_every_field_once_with_its_xml_name() -> None:
    page = reference_page()
    for field in SPEC_FIELDS:
        assert page.count(f"### {field}\n") == 1
    for param in SPEC_PARAMS:
        section = page.split(f"### {param.field}\n")[1].split("\n### ")[0]
        assert f"`{param.xml}`" in section
        assert param.doc in section
        assert param.hazard in section
        assert all(alias in section for alias in param.aliases)


def test_every_link_of_the_pages_leads_to_a_heading() -> None:
    for page in (reference_page(), codes_page(SECTIONS)):
        headings = {h.lower().replace(".", "") for h in re.findall(r"^### (\S+)$", page, re.MULTILINE)}
        links = set(re.findall(r"\]\(#([^)]+)\)", page))
        assert links
        assert links <= headings


def test_every_example_of_the_table_is_accepted_for_its_field() -> None:
    for param in PARAMS:
        if param.secret or param.refused is not None:
            assert not param.example
            continue
        value: object = param.example
        if param.example in {"true", "false"}:
            value = param.example == "true"
        elif param.minimum is not None:
            value = int(param.example)
        _, findings = parse_sipgateway(manifest({"register": False, "proxy": "a.example.com", param.field: value}))
        assert not findings
