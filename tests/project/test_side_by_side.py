"""The script that runs the parts of `make test`: no output, no failure and no process is lost."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.controlplane.process import wait_until

SCRIPT = Path(__file__).resolve().parents[2] / "tools" / "side_by_side.py"


def run(*commands: str) -> tuple[int, str]:
    done = subprocess.run([sys.executable, SCRIPT, *commands], capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stdout


def test_they_run_at_the_same_time_and_print_one_after_the_other(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    meet = "echo {0} begins; touch {1}; until [ -e {2} ]; do sleep 0.01; done; echo {0} ends"
    code, output = run(meet.format("one", one, two), meet.format("two", two, one))
    assert code == 0
    assert [line for line in output.splitlines() if not line.startswith("side by side:")] == [
        "one begins",
        "one ends",
        "two begins",
        "two ends",
    ]


@pytest.mark.parametrize(("codes", "expected"), [((0, 3), 3), ((4, 0), 4), ((0, 5, 6), 5)])
def test_a_failure_of_any_is_a_failure_and_the_others_go_on(codes: tuple[int, ...], expected: int) -> None:
    code, output = run(*(f"echo this is {at}; exit {code}" for at, code in enumerate(codes)))
    assert code == expected
    assert all(f"\nthis is {at}\n" in f"\n{output}" for at in range(len(codes)))
    assert all(f"ended with {code} " in output for code in codes)


def test_when_it_is_ended_they_end_too(tmp_path: Path) -> None:
    alive = tmp_path / "alive"
    commands = [f"trap 'rm {alive}-{at}; exit' TERM; touch {alive}-{at}; while :; do sleep 0.01; done" for at in "ab"]
    with subprocess.Popen([sys.executable, SCRIPT, *commands]) as process:
        wait_until(lambda: len(list(tmp_path.iterdir())) == 2, 20, lambda: "they did not start")
        process.terminate()
        assert process.wait(20) == 128 + signal.SIGTERM
    assert list(tmp_path.iterdir()) == []
