"""docs/promotion.md: its walk is walked, command by command, in a fresh repository."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from sipgateway.reconcile.evidence import Verdict
from tests.controlplane.process import clean_environment
from tests.git.served import new_repository
from tests.promote.conftest import Clone

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "promotion.md").read_text()
STEP = re.compile(r"<!-- evidence (\w+) (\w+) -->|<!-- run -->\n```console\n(.*?)```", re.DOTALL)


def matches(expected: str, printed: str) -> bool:
    """Whether something was printed as the page says; `...` stands for anything."""
    pattern = re.escape(expected.strip()).replace(r"\.\.\.", ".*")
    return re.fullmatch(pattern, printed.strip(), re.DOTALL) is not None


def test_the_walk_through_prints_what_the_page_says(tmp_path: Path) -> None:
    folder = new_repository(tmp_path / "trunks")
    clone = Clone(folder, None)  # type: ignore[arg-type] # nothing is captured here
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    ran = 0
    for environment, verdict, block in STEP.findall(PAGE):
        if environment:
            clone.note(environment, Verdict(verdict))
            continue
        for step in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, expected = step.partition("\n")
            done = subprocess.run(  # noqa: S602 - the page's own
                command,
                shell=True,
                cwd=folder,
                env=clean_environment(PATH=path),
                capture_output=True,
                text=True,
                check=False,
            )
            printed = done.stdout + done.stderr
            assert done.returncode == 0, f"{command}\n{printed}"
            assert matches(expected, printed), f"$ {command}\n{printed}\n--- expected\n{expected}"
            ran += 1
    assert ran >= 8
