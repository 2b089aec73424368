"""The tool that keeps what a release wrote: a folder for the version, and never over one that is there."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
VERSION = (ROOT / "VERSION").read_text().strip()
RELEASES = ROOT / "tests" / "fixtures" / "releases"


def keep(into: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "tools/keep_release.py", "--into", str(into), *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_this_version_has_its_folder() -> None:
    """When VERSION was raised: run tools/keep_release.py before the tag, and commit the folder (CONTRIBUTING.md)."""
    assert {"keys.yaml", "configmaps.yaml", "manifests/more.yaml"} <= contents(RELEASES / VERSION).keys()


def test_a_folder_is_written_the_same_each_time_and_not_over_one_that_is_there(tmp_path: Path) -> None:
    first = keep(tmp_path)
    assert first.returncode == 0, first.stderr
    before = contents(tmp_path / VERSION)
    (tmp_path / VERSION / "keys.yaml").write_text("edited")
    second = keep(tmp_path)
    assert second.returncode == 1
    assert "stays as it is" in second.stdout
    assert (tmp_path / VERSION / "keys.yaml").read_text() == "edited"
    third = keep(tmp_path, "--again")
    assert third.returncode == 0, third.stderr
    assert contents(tmp_path / VERSION) == before
