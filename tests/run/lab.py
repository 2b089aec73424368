"""`sipgw run` against a simulator, both as processes of their own. In: manifests. Out: outputs, files, a history."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SIPGW = [sys.executable, "-m", "sipgateway"]
REGISTRAR = "127.0.0.1:15070"

#: Imports everything, then forks one `sipgw` per line of its input: a process of its own within milliseconds.
_SPAWNER = """
import json, os, sys
from sipgateway.cli import main, run, session, pipeline, show
for line in sys.stdin:
    argv, output = json.loads(line)
    child = os.fork()
    if child == 0:
        os.close(0)
        log = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(log, 1); os.dup2(log, 2)
        code = 70
        try:
            code = main(argv)
        finally:
            os._exit(code)
    print(child, flush=True)
    _, status = os.waitpid(child, 0)
    print(status, flush=True)
"""


@dataclass
class Lab:
    """A simulator process, and where it and `sipgw run` have their things."""

    root: Path
    esl: str
    control_path: str
    process: subprocess.Popen[bytes]

    @property
    def conf(self) -> Path:
        return self.root / "conf"

    @property
    def source(self) -> Path:
        return self.root / "source"

    def arguments(self, command: str, *more: str) -> list[str]:
        common = ["--source", str(self.source), "--conf", str(self.conf), "--esl", self.esl]
        return [command, *common, *more]

    def sipgw(self, command: str, *more: str, seconds: float = 60) -> subprocess.CompletedProcess[bytes]:
        """Runs a command to its end."""
        return subprocess.run(
            [*SIPGW, *self.arguments(command, *more)], capture_output=True, timeout=seconds, check=False
        )

    def control(self, do: str, **words: Any) -> Any:
        with socket.socket(socket.AF_UNIX) as door:
            door.connect(self.control_path)
            door.sendall(json.dumps({"do": do, **words}).encode() + b"\n")
            with door.makefile("rb") as answers:
                answer = json.loads(answers.readline())
        assert answer["ok"], answer
        return answer["result"]

    def api(self, text: str) -> str:
        """Somebody's command on the event socket."""
        host, _, port = self.esl.rpartition(":")
        with socket.create_connection((host, int(port)), timeout=10) as wire, wire.makefile("rb") as said:
            for command in ("auth ClueCon", f"api {text}"):
                wire.sendall(command.encode() + b"\n\n")
            while said.readline() != b"Content-Type: api/response\n":
                pass
            length = int(said.readline().partition(b": ")[2])
            said.readline()
            return said.read(length).decode()

    def save(self, name: str, text: str) -> None:
        """A manifest is put in place whole, as editors and git do."""
        self.source.mkdir(exist_ok=True)
        temporary = self.source / f".{name}.tmp"
        temporary.write_text(text)
        temporary.replace(self.source / f"{name}.yaml")


@contextlib.contextmanager
def lab(root: Path, *options: str) -> Iterator[Lab]:
    """A simulator that runs until the end of the block."""
    (root / "log").mkdir(parents=True)
    (root / "source").mkdir()
    command = [*SIPGW, "simulator", "--init", "--conf", str(root / "conf"), "--esl", "127.0.0.1:0"]
    command += ["--control", str(root / "control"), "--log", str(root / "log"), "--registrar", "*=silent", *options]
    if not any(option.startswith(f"{REGISTRAR}=") for option in options):
        command += ["--registrar", f"{REGISTRAR}=accept"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        try:
            ready = json.loads(process.stdout.readline())
            yield Lab(root, ready["esl"], ready["control"], process)
        finally:
            process.terminate()
            process.wait(10)


@contextlib.contextmanager
def spawner() -> Iterator[Callable[[list[str], Path, float], bool]]:
    """`kill_after(argv, output, seconds)`: starts a `sipgw`, kills it with SIGKILL; False when it had ended before."""
    with subprocess.Popen([sys.executable, "-c", _SPAWNER], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        stdin, stdout = process.stdin, process.stdout
        assert stdin is not None
        assert stdout is not None

        def kill_after(argv: list[str], output: Path, seconds: float) -> bool:
            stdin.write(json.dumps([argv, str(output)]).encode() + b"\n")
            stdin.flush()
            child = int(stdout.readline())
            time.sleep(seconds)
            os.kill(child, signal.SIGKILL)
            return os.WTERMSIG(int(stdout.readline())) == signal.SIGKILL

        yield kill_after
        stdin.close()
        process.wait(10)


def manifest(
    name: str, version: str, *, registers: bool = False, password: str | None = None, proxy: str = REGISTRAR
) -> str:
    """A SipGateway, and its Secret when it registers."""
    lines = [
        "apiVersion: sipgateway.dev/v1alpha1",
        "kind: SipGateway",
        f"metadata: {{name: {name}}}",
        "spec:",
        f"  register: {str(registers).lower()}",
        f'  username: "{name}"',
        f'  proxy: "{proxy}"',
        "  variables:",
        f'  - {{name: version, value: "{version}"}}',
    ]
    if registers or password:
        lines += [
            "  expireSeconds: 600",
            f"  passwordFrom: {{secretKeyRef: {{name: {name}, key: password}}}}",
            "---",
            "apiVersion: v1",
            "kind: Secret",
            f'metadata: {{name: {name}, labels: {{"sipgateway.dev/credentials": "true"}}}}',
            f"stringData: {{password: {json.dumps(password or 'pw-' + name)}}}",
        ]
    return "\n".join([*lines, ""])


def until(what: Callable[[], bool], seconds: float = 20.0) -> None:
    """Waits for a condition."""
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.02)
