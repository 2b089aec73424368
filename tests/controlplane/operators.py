"""The operator under test, as a real process. In: a kubeconfig and flags. Out: its log, health, metrics, its end."""

from __future__ import annotations

import http.client
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.controlplane.ports import free_port
from tests.controlplane.process import NotReadyError, Program, clean_environment, wait_until

PROGRAM = (sys.executable, "-m", "sipgateway", "operator")
TRIES = 5


class Operator(Program):
    """A running `sipgw operator`."""

    def __init__(
        self,
        name: str,
        log: Path,
        port: int,
        kubeconfig: Path,
        flags: Sequence[str],
        program: Sequence[str],
        env: Mapping[str, str],
    ) -> None:
        self.listen = f"127.0.0.1:{port}"
        command = [*program, f"--kubeconfig={kubeconfig}", f"--listen={self.listen}", *flags]
        environment = clean_environment(PYTHONUNBUFFERED="1", **env)
        super().__init__(
            name, command, log, is_ready=lambda: self.get("/readyz")[0] == 200, environment=environment, ready_within=30
        )

    def get(self, path: str, seconds: float = 5) -> tuple[int, str]:
        """Asks its own HTTP server. Returns the status and the text.

        Raises:
            OSError: It does not answer.
        """
        connection = http.client.HTTPConnection(self.listen, timeout=seconds)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        except http.client.HTTPException as error:
            raise ConnectionError(f"GET {path}: {error!r}") from error
        finally:
            connection.close()

    def metrics(self) -> dict[str, float]:
        """Its metrics by name, labels as they are written: `{'sipgateway_writes_total{kind="ConfigMap"}': 3.0}`."""
        status, text = self.get("/metrics")
        assert status == 200, text
        lines = (line.rpartition(" ") for line in text.splitlines() if line and not line.startswith("#"))
        return {name: float(value) for name, _, value in lines}

    def logs(self) -> list[dict[str, Any]]:
        """What it logged so far: its lines that are JSON objects."""
        return [entry for line in self._lines() if (entry := _object(line)) is not None]

    def noise(self) -> list[str]:
        """What it wrote that is no JSON object: warnings of libraries, a traceback, an error before logging began."""
        return [line for line in self._lines() if line.strip() and _object(line) is None]

    def wait_for_log(self, wanted: Callable[[dict[str, Any]], bool], seconds: float = 10) -> dict[str, Any]:
        """The first entry that is wanted, as soon as there is one."""
        found: list[dict[str, Any]] = []

        def look() -> bool:
            found.extend(entry for entry in self.logs() if wanted(entry))
            return bool(found)

        wait_until(look, seconds, lambda: f"{self.name} logged nothing like that\n{self.tail()}")
        return found[0]

    def _lines(self) -> list[str]:
        if not self.log.exists():
            return []
        whole, _, _ = self.log.read_bytes().rpartition(b"\n")
        return whole.decode(errors="replace").splitlines()


def _object(line: str) -> dict[str, Any] | None:
    try:
        value = json.loads(line)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


class Operators:
    """Starts operators, each with a log of its own in one folder, and ends them all."""

    def __init__(self, folder: Path, program: Sequence[str] = PROGRAM) -> None:
        self._folder = folder
        self._program = program
        self.started: list[Operator] = []

    def __call__(
        self, kubeconfig: Path, *flags: str, env: Mapping[str, str] | None = None, wait: bool = True
    ) -> Operator:
        """Starts an operator.

        Args:
            kubeconfig: Who it is: the kubeconfig of its ServiceAccount, never the admin's.
            flags: What follows `sipgw operator --kubeconfig ... --listen ...`.
            env: More environment variables.
            wait: Whether to wait until `/readyz` answers 200.

        Raises:
            NotReadyError: It ended, or was not ready in 30 s; the text has the end of its log.
        """
        for left in range(TRIES, 0, -1):
            operator = self._launch(kubeconfig, flags, env or {})
            try:
                if wait:
                    operator.wait_ready()
            except NotReadyError as error:
                operator.kill()
                if left == 1 or "address already in use" not in str(error).lower():
                    raise
            else:
                return operator
        raise AssertionError("unreachable")

    def _launch(self, kubeconfig: Path, flags: Sequence[str], env: Mapping[str, str]) -> Operator:
        name = f"operator-{len(self.started) + 1}"
        log = self._folder / f"{name}.log"
        operator = Operator(name, log, free_port(), kubeconfig, flags, self._program, env)
        self.started.append(operator)
        operator.launch()
        return operator

    def close(self) -> None:
        """Ends all that still run, at once."""
        for operator in self.started:
            operator.kill()
