"""`sipgw promote --auto` and `--unmet-ok`: whoever promotes without being looked at."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.controlplane.process import Program, clean_environment, wait_until
from tests.git.served import commit, git
from tests.promote.conftest import Clone

STAGING = "environments/staging/acme.yaml"


def test_what_meets_its_gates_goes_on_by_itself_and_nothing_is_said_twice(clone: Clone, tmp_path: Path) -> None:
    bare = tmp_path / "bare.git"
    git(tmp_path, "clone", "-q", "--bare", str(clone.folder), str(bare))
    git(clone.folder, "push", "-q", str(bare), "refs/notes/*:refs/notes/*")
    log = tmp_path / "log"
    # The command itself; only the time between two looks is another.
    code = "import sys; from sipgateway.cli import main, promote; promote._AUTO = 0.2; sys.exit(main(sys.argv[1:]))"
    command = ["promote", "staging", "production", f"--repository=file://{bare}", "--auto"]
    program = Program("auto", [sys.executable, "-c", code, *command], log, is_ready=lambda: True)

    def commits() -> int:
        return int(git(bare, "rev-list", "--count", "main"))

    before = commits()
    program.start()
    try:
        wait_until(lambda: commits() == before + 1, 30, program.tail)
        wait_until(lambda: "nothing to promote" in log.read_text(), 30, program.tail)
        # Another change: it waits for its evidence, and a remote that is away ends nothing.
        git(clone.folder, "pull", "-q", "--rebase", str(bare), "main")
        commit(clone.folder, {STAGING: clone.read(STAGING).replace("600", "900")})
        git(clone.folder, "push", "-q", str(bare), "main")
        wait_until(lambda: "GateNotMet: evidence" in log.read_text(), 30, program.tail)
        away = bare.with_name("away.git")
        bare.rename(away)
        wait_until(lambda: "GitFailed" in log.read_text(), 30, program.tail)
        away.rename(bare)
        clone.note("staging")
        git(clone.folder, "push", "-q", str(bare), "refs/notes/*:refs/notes/*")
        wait_until(lambda: commits() == before + 3, 30, program.tail)
        wait_until(lambda: log.read_text().count("nothing to promote") == 2, 30, program.tail)
    finally:
        if program.runs:
            program.kill()
    assert log.read_text().count("committed ") == 2
    assert "Traceback" not in log.read_text()
    git(bare, "fsck", "--strict")


def test_a_job_that_comes_again_does_not_fail_because_of_a_gate_but_of_a_refusal(clone: Clone) -> None:
    clone.commit({STAGING: clone.read(STAGING) + "# new\n"})
    code, _, errors = clone("promote", "staging", "production", "--unmet-ok")
    assert (code, "GateNotMet" in errors) == (0, True)
    clone.commit({STAGING: "apiVersion: [\n"})
    assert clone("promote", "staging", "production", "--unmet-ok")[0] == 3


def test_auto_ends_when_it_is_told_to(clone: Clone) -> None:
    command = [sys.executable, "-m", "sipgateway", "promote", "staging", "production", "--auto"]
    with subprocess.Popen(
        [*command, "--repository", str(clone.folder)], stdout=subprocess.PIPE, env=clean_environment(), text=True
    ) as process:
        assert process.stdout
        assert "acme" in process.stdout.readline()
        process.terminate()
        assert process.wait(20) in {-15, 143, 130}
