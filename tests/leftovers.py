"""No test leaves a process or a thread behind.

In: the whole test session. Out: a failed run that names each leftover and the test that started it.

Processes are found by a mark in the environment that children inherit (`SIPGW_TEST_SESSION`), so that orphans and
processes of their own session are found too; `PYTEST_CURRENT_TEST`, which they inherit as well, names the test.
"""

from __future__ import annotations

import os
import secrets
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

MARK = "SIPGW_TEST_SESSION"
PATIENCE = float(os.environ.get("SIPGW_TEST_PATIENCE", "5"))  # seconds that what was told to end gets for it


@dataclass(frozen=True, slots=True)
class Process:
    """A process that is still there: its id, command line, and the test under which it was started."""

    pid: int
    command: str
    test: str


def marked(mark: str) -> Iterator[Process]:
    """The living processes, other than this one, that were started with `MARK=mark`."""
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit() or int(folder.name) == os.getpid():
            continue
        try:
            environment = dict(e.partition(b"=")[::2] for e in (folder / "environ").read_bytes().split(b"\0"))
            command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
        except OSError:
            continue  # gone, or another user's
        if environment.get(MARK.encode()) == mark.encode() and "multiprocessing.resource_tracker" not in command:
            test = environment.get(b"PYTEST_CURRENT_TEST", b"no test").decode(errors="replace")
            yield Process(int(folder.name), command, test)


class Leftovers:
    """The pytest plugin that looks for what tests left behind."""

    def __init__(self) -> None:
        self._mark = secrets.token_hex(8)
        self._threads: dict[int | None, str] = {}
        self._found: list[str] = []
        os.environ[MARK] = self._mark

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        """Remembers the first test after which a thread was seen."""
        for thread in threading.enumerate():
            self._threads.setdefault(thread.ident, nodeid)

    @pytest.hookimpl(trylast=True)  # after -x and Ctrl-C the session's fixtures end in this hook too
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Waits a moment for what is ending, then ends the rest and fails the run."""
        deadline = time.monotonic() + PATIENCE
        while (processes := list(marked(self._mark))) or threading.active_count() > 1:
            if time.monotonic() > deadline:
                break
            time.sleep(0.05)
        for process in processes:
            self._found.append(f"process {process.pid} ({process.command}), started in {process.test}")
            os.kill(process.pid, signal.SIGKILL)
        for thread in threading.enumerate():
            if thread is not threading.main_thread():
                self._found.append(f"thread {thread.name}, first seen after {self._threads.get(thread.ident)}")
        if self._found and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Names what was left behind."""
        if self._found:
            terminalreporter.section("FAILED: left behind by tests", red=True)
            for line in self._found:
                terminalreporter.line(line)
