"""A program that runs beside the tests. In: a command line. Out: a process on a leash, its log in a file, its end."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

LEASH = Path(__file__).with_name("leash.py")
#: What a person's shell may have set that would lead our programs elsewhere.
_FOREIGN = ("KUBE", "HELM_", "ETCD_", "ETCDCTL_", "SIPGW_SWITCH")
_PROXIES = {"http_proxy", "https_proxy", "all_proxy", "no_proxy"}


class NotReadyError(Exception):
    """A program ended, or did not do what was waited for; the text has the end of its log."""


def clean_environment(**more: str) -> dict[str, str]:
    """This process' environment without what leads clients of Kubernetes elsewhere."""
    own = {k: v for k, v in os.environ.items() if not k.startswith(_FOREIGN) and k.lower() not in _PROXIES}
    return own | more


def wait_until(true: Callable[[], bool], seconds: float, what: Callable[[], str], every: float = 0.02) -> None:
    """Waits until `true()`, which is asked once more at the deadline.

    Raises:
        TimeoutError: It was not; the text is what `what()` says then.
    """
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what()} (waited {seconds:g} s)")
        time.sleep(every)


class Program:
    """A program that can be started, paused, ended and started again, always with the same command line.

    It ends when the thread that started it ends, also when that is killed: so start it in the main thread.
    """

    def __init__(
        self,
        name: str,
        command: list[str],
        log: Path,
        *,
        is_ready: Callable[[], bool],
        environment: Mapping[str, str] | None = None,
        ready_within: float = 60,
    ) -> None:
        """Starts nothing yet.

        Args:
            name: What errors call it.
            command: The program's path and its arguments.
            log: Where its output is appended.
            is_ready: Whether it can be used; may raise OSError for no.
            environment: All of its environment; this process' without Kubernetes' variables when there is none.
            ready_within: Seconds that it gets to become ready.
        """
        self.name = name
        self.command = command
        self.log = log
        self._is_ready = is_ready
        self._environment = dict(environment) if environment is not None else None
        self._ready_within = ready_within
        self._process: subprocess.Popen[bytes] | None = None
        self._paused = False

    @property
    def pid(self) -> int:
        """The id of the running process."""
        return self._running().pid

    @property
    def returncode(self) -> int | None:
        """How it ended; None while it runs. A signal is its negative number."""
        return self._process.poll() if self._process else None

    @property
    def runs(self) -> bool:
        """Whether there is a process, ready or not."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Starts it and waits until it is ready.

        Raises:
            NotReadyError: It ended at once, or was not ready in time.
        """
        self.launch()
        self.wait_ready()

    def launch(self) -> None:
        """Starts it and waits no longer than until it is on its leash."""
        if self.runs:
            raise RuntimeError(f"{self.name} runs already")
        if threading.current_thread() is not threading.main_thread():
            raise RuntimeError("start programs in the main thread: they end with the thread that started them")
        environment = {**(clean_environment() if self._environment is None else self._environment)}
        # The marks that find what a test leaves behind are set after the environment was made.
        environment |= {k: os.environ[k] for k in ("SIPGW_TEST_SESSION", "PYTEST_CURRENT_TEST") if k in os.environ}
        self._paused = False
        on_leash, pipe = os.pipe()
        leash = [sys.executable, "-I", "-S", str(LEASH), str(os.getpid()), str(pipe)]
        with self.log.open("ab") as log:
            try:
                self._process = subprocess.Popen(
                    [*leash, *self.command],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    env=environment,
                    pass_fds=(pipe,),
                )
            finally:
                os.close(pipe)
        os.read(on_leash, 1)  # its end; a program that is paused before would outlive us
        os.close(on_leash)

    def wait_ready(self, seconds: float | None = None) -> None:
        """Waits until it is ready.

        Raises:
            NotReadyError: It ended, or was not ready in time.
        """
        limit = self._ready_within if seconds is None else seconds
        try:
            wait_until(lambda: not self.runs or self.is_ready(), limit, lambda: "")
        except TimeoutError:
            raise NotReadyError(f"{self.name} was not ready within {limit:g} s\n{self.tail()}") from None
        if not self.runs:
            raise NotReadyError(f"{self.name} ended with {self.returncode}\n{self.tail()}")

    def is_ready(self) -> bool:
        """Whether it answers that it can be used, now."""
        try:
            return self.runs and not self._paused and self._is_ready()
        except OSError:
            return False

    def stop(self, seconds: float = 15) -> int:
        """Asks it to end (SIGTERM) and waits for that; kills it at the deadline. Returns how it ended."""
        if self._process is None:
            raise RuntimeError(f"{self.name} was never started")
        self.resume()
        if self.runs:
            self._process.terminate()
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return self.kill()

    def kill(self) -> int:
        """Ends it as a crash would (SIGKILL), paused or not. Returns how it ended."""
        if self._process is None:
            raise RuntimeError(f"{self.name} was never started")
        self._process.kill()
        self._paused = False
        return self._process.wait(10)

    def restart(self, *, graceful: bool = True) -> None:
        """Ends it, starts it again with the same arguments, waits until it is ready."""
        if graceful:
            self.stop()
        else:
            self.kill()
        self.start()

    def pause(self) -> None:
        """Stops it where it stands (SIGSTOP): connections stay open, nothing is answered."""
        process = self._running()
        process.send_signal(signal.SIGSTOP)
        wait_until(lambda: _state(process.pid) in "TtZX", 5, lambda: f"{self.name} cannot be paused", every=0.001)
        self._paused = True

    def resume(self) -> None:
        """Lets it go on; does nothing when it is not paused."""
        if self._paused:
            with contextlib.suppress(ProcessLookupError):
                self._running().send_signal(signal.SIGCONT)
            self._paused = False

    def memory(self) -> int:
        """Bytes of memory that it uses now (RSS)."""
        return self._status("VmRSS") * 1024

    def memory_peak(self) -> int:
        """The most bytes of memory that it used so far."""
        return self._status("VmHWM") * 1024

    def tail(self, lines: int = 40) -> str:
        """The last lines of its log."""
        if not self.log.exists():
            return f"{self.log} was not written"
        with self.log.open("rb") as log:
            log.seek(max(0, log.seek(0, os.SEEK_END) - lines * 400))
            last = log.read().decode(errors="replace").splitlines()[-lines:]
        return "\n".join([f"--- the end of {self.log}", *last])

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None or not self.runs:
            raise RuntimeError(f"{self.name} does not run\n{self.tail()}")
        return self._process

    def _status(self, field: str) -> int:
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(next(line.split()[1] for line in status.splitlines() if line.startswith(f"{field}:")))


def _state(pid: int) -> str:
    """The process' state as a letter: T and t are stopped, Z is ended, X is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return "X"
