"""The image: what may get into it, as whom it runs, and that what it is built from is enough to build it."""

from __future__ import annotations

import fnmatch
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.charts import helm

DOCKERFILE = (helm.ROOT / "Dockerfile").read_text()
IGNORE = [line for line in (helm.ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]


def let_in(path: str) -> bool:
    """Whether .dockerignore lets a file into the build."""
    inside = True
    for rule in IGNORE:
        pattern = rule.removeprefix("!")
        parts = [path, *(str(parent) for parent in Path(path).parents)]
        if any(fnmatch.fnmatch(part, pattern) or fnmatch.fnmatch(f"/{part}", pattern) for part in parts):
            inside = rule.startswith("!")
    return inside


def test_all_stages_have_one_base_that_is_pinned_by_its_tag() -> None:
    assert re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE) == ["python:${PYTHON}"] * 3
    assert re.search(r"^ARG PYTHON=3\.\d+\.\d+-slim-\w+$", DOCKERFILE, re.MULTILINE)


@pytest.mark.controlplane
def test_it_runs_as_the_user_that_the_charts_say_and_starts_what_their_arguments_follow() -> None:
    assert len(re.findall(r"^USER 65532:65532$", DOCKERFILE, re.MULTILINE)) == 2
    assert DOCKERFILE.rstrip().endswith('ENTRYPOINT ["/opt/sipgateway/bin/sipgw"]')
    spec = helm.pod_specs(helm.render(helm.OPERATOR))[0]["spec"]
    assert spec["securityContext"]["runAsUser"] == 65532
    assert "command" not in spec["containers"][0]


def test_every_package_is_checked_by_its_hash() -> None:
    commands = re.split(r"&&|\n", DOCKERFILE.replace("\\\n", ""))
    installs = [line for line in commands if re.search(r"\bpip (?:--python \S+ )?install\b", line)]
    assert len(installs) == 3
    for line in installs:
        assert "--require-hashes" in line or ("--no-deps" in line and "/wheel/*.whl" in line)


@pytest.mark.parametrize(
    "path", [".git/config", ".venv/bin/python", "tests/canary.py", ".env", "key.pem", "docs/security.md"]
)
def test_what_is_not_needed_stays_out(path: str) -> None:
    assert not let_in(path)
    assert not let_in("operator/sipgateway/__pycache__/errors.cpython-313.pyc")


def test_what_gets_in_is_enough_to_build_the_wheel_that_git_would_give(tmp_path: Path) -> None:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=helm.ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, listed.split("\0")):
        if let_in(name) and (helm.ROOT / name).is_file():
            (tmp_path / "source" / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "source" / name).write_bytes((helm.ROOT / name).read_bytes())
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--no-deps",
        "--no-build-isolation",
        "--wheel-dir",
        str(tmp_path),
        ".",
    ]
    done = subprocess.run(command, cwd=tmp_path / "source", capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    with zipfile.ZipFile(tmp_path / f"sipgateway_operator-{helm.VERSION}-py3-none-any.whl") as wheel:
        names = wheel.namelist()
    assert {"sipgateway/cli/agent.py", "sipgateway/cli/operator.py", "sipgateway/examples/ping.yaml"} <= set(names)
    assert not [name for name in names if not name.startswith(("sipgateway/", "sipgateway_operator-"))]
