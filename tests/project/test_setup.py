"""The script that sets environments up: what it says and does when it cannot."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def venv(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["/bin/sh", ROOT / "tools" / "venv.sh", *arguments],
        env={"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/")} | environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture
def path_without_python(tmp_path: Path) -> str:
    """A PATH with the tools of any machine and no Python."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for tool in ("cat", "cksum", "dirname", "grep", "ls", "mkdir", "rm", "sort"):
        found = shutil.which(tool)
        assert found
        (folder / tool).symlink_to(found)
    return str(folder)


def test_a_machine_without_python_is_told_what_to_install(path_without_python: str, tmp_path: Path) -> None:
    result = venv("runtime", tmp_path / "venv", PATH=path_without_python, HOME=str(tmp_path), PYENV_ROOT=str(tmp_path))
    assert result.returncode == 1
    assert "no Python >= 3.11" in result.stderr
    assert "apt-get install python3 python3-venv" in result.stderr
    assert not (tmp_path / "venv").exists()


def test_a_python_that_is_asked_for_and_will_not_do_is_named(tmp_path: Path) -> None:
    result = venv("runtime", tmp_path / "venv", PYTHON="/bin/false")
    assert result.returncode == 1
    assert "PYTHON=/bin/false" in result.stderr


def test_a_folder_that_is_no_environment_is_never_removed(tmp_path: Path) -> None:
    (tmp_path / "precious").touch()
    result = venv("runtime", tmp_path, PYTHON=sys.executable)
    assert result.returncode == 1
    assert "is in the way" in result.stderr
    assert (tmp_path / "precious").exists()


def test_the_other_python_is_another_one(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").symlink_to(sys.executable)
    other = venv("other", tmp_path).stdout.strip()
    if not other:
        pytest.skip("no other Python is at hand")
    command = [other, "-c", "import sys; print(*sys.version_info[:2])"]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert tuple(map(int, shown)) != sys.version_info[:2]
