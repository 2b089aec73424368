"""What the project's own pages and settings promise is so: targets, commands, exit codes, pins, changelog, licence."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

from sipgateway.cli import COMMANDS
from sipgateway.errors import ExitCode

ROOT = Path(__file__).resolve().parents[2]
MAKEFILE = (ROOT / "Makefile").read_text()
TARGETS = set(re.findall(r"^([a-z0-9-]+):", MAKEFILE, re.MULTILINE))
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


def code_in(page: Path) -> list[str]:
    """What a page shows as code: fenced blocks and words in backticks."""
    text = page.read_text()
    blocks = re.findall(r"^```\w*\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    return blocks + re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL))


def locked(kind: str) -> dict[str, str]:
    text = (ROOT / "constraints" / f"{kind}.txt").read_text()
    return dict(re.findall(r"^([a-z0-9-]+)==([^\s;\\]+)", text, re.MULTILINE))


def wanted(*groups: str) -> list[Requirement]:
    """The project's dependencies and those of some of its groups, included groups too."""
    requirements = list(PROJECT["project"]["dependencies"])
    entries = [entry for group in groups for entry in PROJECT["dependency-groups"][group]]
    while entries:
        entry = entries.pop()
        if isinstance(entry, str):
            requirements.append(entry)
        else:
            entries += PROJECT["dependency-groups"][entry["include-group"]]
    return [Requirement(r) for r in requirements]


def test_make_help_lists_every_target() -> None:
    shown = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert set(re.findall(r"^  make ([a-z0-9-]+) ", shown, re.MULTILINE)) == TARGETS
    assert {"help", "demo", "test", "check", "bench"} <= TARGETS


def test_every_target_is_phony() -> None:
    phony = re.search(r"^\.PHONY: (.*)$", MAKEFILE, re.MULTILINE)
    assert phony
    assert set(phony[1].split()) == TARGETS


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_every_make_target_on_a_page_exists(page: Path) -> None:
    named = {target for code in code_in(page) for target in re.findall(r"\bmake ([a-z][a-z0-9-]*)", code)}
    assert named <= TARGETS


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_every_command_on_a_page_exists(page: Path) -> None:
    named = {name for code in code_in(page) for name in re.findall(r"(?:^|[\s/`$(])sipgw ([a-z][a-z-]*)", code)}
    assert named <= set(COMMANDS)


def test_the_readme_names_the_first_commands_of_a_new_user() -> None:
    readme = (ROOT / "README.md").read_text()
    assert "make demo" in readme


def test_the_documented_exit_codes_are_those_of_the_program() -> None:
    rows = re.findall(r"^\| (\d+) \| `(\w+)` \|", (ROOT / "docs" / "exit-codes.md").read_text(), re.MULTILINE)
    assert [(int(code), name) for code, name in rows] == [(c.value, c.name) for c in ExitCode]


def test_the_changelog_keeps_its_form() -> None:
    text = (ROOT / "CHANGELOG.md").read_text()
    assert text.startswith("# Changelog\n")
    headings = re.findall(r"^## (.*)$", text, re.MULTILINE)
    assert headings[0] == "[Unreleased]"
    assert not [h for h in headings[1:] if not re.fullmatch(r"\[\d+\.\d+\.\d+\] - \d{4}-\d\d-\d\d", h)]
    kinds = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
    assert set(re.findall(r"^### (.*)$", text, re.MULTILINE)) <= kinds


def test_the_version_is_a_version() -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+\n", (ROOT / "VERSION").read_text())


def test_the_licence_is_present_and_is_the_one_that_is_declared() -> None:
    text = (ROOT / "LICENSE").read_text()
    assert PROJECT["project"]["license"] == "Apache-2.0"
    assert "Apache License" in text
    assert "Version 2.0, January 2004" in text


@pytest.mark.parametrize(("kind", "groups"), [("runtime", []), ("test", ["test"]), ("dev", ["dev"])])
def test_the_lock_holds_what_the_project_asks_for(kind: str, groups: list[str]) -> None:
    pins = locked(kind)
    for requirement in wanted(*groups):
        name = re.sub(r"[-_.]+", "-", requirement.name).lower()
        assert name in pins, f"{requirement}: run `make lock`"
        assert requirement.specifier.contains(pins[name], prereleases=True), f"{requirement}: run `make lock`"


def test_all_locks_agree() -> None:
    assert locked("runtime").items() <= locked("test").items() <= locked("dev").items()


@pytest.mark.parametrize("kind", ["runtime", "test", "dev", "lock"])
def test_every_pin_has_hashes(kind: str) -> None:
    text = (ROOT / "constraints" / f"{kind}.txt").read_text()
    pins = re.split(r"^(?=[a-z0-9])", text, flags=re.MULTILINE)[1:]
    assert pins
    assert all("--hash=sha256:" in pin for pin in pins)


def test_a_commit_hook_runs_each_tool_that_make_check_runs() -> None:
    recipe = re.search(r"^check:.*\n((?:\t.*\n)+)", MAKEFILE, re.MULTILINE)
    assert recipe
    hooks = (ROOT / ".pre-commit-config.yaml").read_text()
    tools = re.findall(r"\$\(BIN\)/((?:ruff )?[a-z-]+(?: tools/\w+\.py)?)", recipe[1])
    assert len(tools) >= 5
    for tool in tools:
        assert f".venv/bin/{tool}" in hooks, f"{tool} is run by `make check` and by no commit hook"
    assert not re.findall(r"repo: (?!local)", hooks)


def test_the_build_machine_runs_what_a_developer_runs() -> None:
    script = (ROOT / ".ci" / "run").read_text()
    assert "set -euo pipefail" in script
    assert re.search(r"^make test$", script, re.MULTILINE)
