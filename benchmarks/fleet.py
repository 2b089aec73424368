"""What every benchmark needs: many gateways, as values and as manifests, and a simulated switch as a process."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sipgateway.api.gateway import Gateway, Parameter, Target
from sipgateway.api.spec import Variable


def gateway(number: int) -> Gateway:
    """A trunk of usual size."""
    return Gateway(
        f"trunk-{number}",
        Target("external"),
        (
            Parameter("register", "true"),
            Parameter("username", f"account{number}"),
            Parameter("auth-username", f"auth{number}"),
            Parameter("password", f"pw-{number}-$${{x}}&", secret=True),
            Parameter("realm", "sip.example.com"),
            Parameter("from-user", f"+4989000{number}"),
            Parameter("from-domain", "sip.example.com"),
            Parameter("extension", "auto_to_user"),
            Parameter("proxy", "sip.example.com:5060"),
            Parameter("register-transport", "udp"),
            Parameter("expire-seconds", "600"),
            Parameter("retry-seconds", "30"),
            Parameter("ping", "25"),
        ),
        (Variable("carrier", "example"), Variable("codec_string", "PCMA,PCMU", "outbound")),
    )


def manifest(number: int, *, value: str = "1") -> str:
    """A SipGateway with `register: false`, so that a change of it has no gap that the switch makes."""
    return (
        "apiVersion: sipgateway.dev/v1alpha1\n"
        "kind: SipGateway\n"
        "metadata:\n"
        f"  name: trunk-{number}\n"
        "spec:\n"
        "  register: false\n"
        f"  username: account{number}\n"
        "  proxy: sip.example.com:5060\n"
        "  variables:\n"
        "    - name: carrier\n"
        f'      value: "{value}"\n'
    )


def write_manifests(folder: Path, count: int) -> None:
    """One file per gateway."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        (folder / f"trunk-{number}.yaml").write_text(manifest(number), "utf-8")


@dataclass(frozen=True, slots=True)
class SwitchProcess:
    """A simulated switch in a process of its own."""

    conf: Path
    host: str
    port: int


@contextlib.contextmanager
def simulator(folder: Path) -> Iterator[SwitchProcess]:
    """Starts a simulator on a free port; ends it afterwards."""
    conf = folder / "conf"
    command = [sys.executable, "-m", "sipgateway", "simulator", "--conf", str(conf), "--init", "--esl", "127.0.0.1:0"]
    process = subprocess.Popen([*command, "--registrar", "*=accept"], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        host, _, port = json.loads(process.stdout.readline())["esl"].rpartition(":")
        yield SwitchProcess(conf, host, int(port))
    finally:
        process.terminate()
        process.wait(10)
        assert process.stdout is not None
        process.stdout.close()


@contextlib.contextmanager
def running(source: Path, switch: SwitchProcess) -> Iterator[subprocess.Popen[str]]:
    """`sipgw run` in a process of its own, its JSON lines on stdout."""
    command = [sys.executable, "-m", "sipgateway", "run", "--source", str(source), "--conf", str(switch.conf)]
    process = subprocess.Popen(
        [*command, "--esl", f"{switch.host}:{switch.port}", "--output", "json"], stdout=subprocess.PIPE, text=True
    )
    try:
        yield process
    finally:
        process.terminate()
        process.wait(10)
        assert process.stdout is not None
        process.stdout.close()


def quantile(values: list[float], share: float) -> float:
    """The value below which `share` of all lie."""
    ordered = sorted(values)
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)]
