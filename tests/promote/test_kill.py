"""`kill -9` of a promotion or a rollback at every point: nothing half done, nothing twice, a sound repository."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import pytest

from sipgateway.git.repository import Repository
from tests.controlplane.process import clean_environment
from tests.promote.conftest import Clone

#: Random kills of each command. `SIPGW_KILLS=100 pytest tests/promote/test_kill.py` kills more often.
KILLS = int(os.environ.get("SIPGW_KILLS", "8"))
COMMANDS = {
    "promote": ["promote", "staging", "production"],
    "rollback": ["rollback", "production", "--to", "HEAD~1"],
}


def killed_at(monkeypatch: pytest.MonkeyPatch, work: Callable[[], Any], number: int, *, after: bool) -> bool:
    """Does the work in a process that is killed at its git command of this number. Returns whether it was."""
    child = os.fork()
    if child == 0:
        count = 0
        run = Repository.run

        def counted(self: Repository, *arguments: str, **options: Any) -> bytes:
            nonlocal count
            count += 1
            if count == number and not after:
                os.kill(os.getpid(), signal.SIGKILL)
            answer = run(self, *arguments, **options)
            if count == number:
                os.kill(os.getpid(), signal.SIGKILL)
            return answer

        monkeypatch.setattr(Repository, "run", counted)
        try:
            work()
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)


def assert_whole(clone: Clone, name: str, before: str, tree: str) -> None:
    """After it was killed: the same command ends it, and it was done once."""
    clone.git("fsck", "--strict", "--no-dangling")
    assert clone.head in {before, clone.git("rev-parse", "main")}
    code, _, errors = clone(*(COMMANDS[name] if clone.head == before else ["env", "status"]))
    assert code == 0, errors
    assert clone.git("rev-list", "--count", f"{before}..HEAD") == "1"
    assert clone.git("rev-parse", "HEAD:environments/production") == tree
    assert clone.git("status", "--porcelain") == ""
    clone.git("fsck", "--strict", "--no-dangling")


@pytest.mark.slow
@pytest.mark.timeout(240)
@pytest.mark.parametrize("name", COMMANDS)
def test_killed_at_any_command_of_git_it_was_done_once_or_not_at_all(
    clone: Clone, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    if name == "rollback":
        assert clone(*COMMANDS["promote"])[0] == 0
    before = clone.head
    assert clone(*COMMANDS[name])[0] == 0
    tree = clone.git("rev-parse", "HEAD:environments/production")
    number, seen = 0, set()
    while True:
        number += 1
        some = False
        for after in (False, True):
            clone.git("reset", "-q", "--hard", before)
            some |= killed_at(monkeypatch, lambda: clone(*COMMANDS[name]), number, after=after)
            seen.add(clone.head == before)
            assert_whole(clone, name, before, tree)
        if not some:
            break
    assert number > 10
    assert seen == {True, False}  # it was killed before and after the branch had moved


@pytest.mark.slow
@pytest.mark.timeout(120 + 10 * KILLS)
@pytest.mark.parametrize("name", COMMANDS)
def test_killed_at_random_moments_it_was_done_once_or_not_at_all(clone: Clone, name: str) -> None:
    if name == "rollback":
        assert clone(*COMMANDS["promote"])[0] == 0
    before = clone.head
    assert clone(*COMMANDS[name])[0] == 0
    tree = clone.git("rev-parse", "HEAD:environments/production")
    chance = random.Random(1)
    for _ in range(KILLS):
        clone.git("reset", "-q", "--hard", before)
        command = [sys.executable, "-m", "sipgateway", *COMMANDS[name], "--repository", str(clone.folder)]
        with subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=clean_environment()
        ) as one:
            time.sleep(chance.uniform(0.2, 0.9))  # the moment is what is drawn here
            one.kill()
        for lock in (clone.folder / ".git").glob("*.lock"):  # a git that died with it; git itself asks for that
            lock.unlink()
        assert_whole(clone, name, before, tree)
