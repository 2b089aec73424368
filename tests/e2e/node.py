"""The node of `make e2e`: kubectl and Helm on it, what runs in its pods, what their cgroups say.

In: the environment that run.sh sets. Out: objects as plain values, replies of switches, bytes and seconds.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

from tests.controlplane.process import wait_until

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = Path(__file__).with_name("node.sh")
VERSION = (ROOT / "VERSION").read_text().strip()
IMAGE = "sipgateway.test/sipgateway-operator"
SYSTEM, VOICE = "sipgateway-system", "voice"
#: Seconds that anything may take: containers start, on a machine that does much else.
PATIENCE = 120.0

Obj: TypeAlias = dict[str, Any]

#: Asks the switch in a pod, over its own loopback, as anybody could who knows the password.
_ASK = """
import socket, sys
stream = socket.create_connection(("127.0.0.1", 8021), 10).makefile("rwb")
def answer():
    headers = {}
    while line := stream.readline().decode().strip():
        name, _, value = line.partition(": ")
        headers[name] = value
    return stream.read(int(headers.get("Content-Length", 0))).decode()
answer()
for command in ["auth " + open("/run/secrets/esl/password").read().strip(), *("api " + one for one in sys.argv[1:])]:
    stream.write(command.encode() + b"\\n\\n")
    stream.flush()
    print(answer())
"""


def run(*command: str, data: str | None = None, seconds: float = 180) -> str:
    """What a command prints in the node's namespaces."""
    done = subprocess.run(
        [SCRIPT, "run", *command], input=data, capture_output=True, text=True, timeout=seconds, cwd=ROOT, check=False
    )
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}{done.stderr}"
    return done.stdout


def kubectl(*arguments: str, data: str | None = None) -> str:
    """What kubectl prints."""
    return run("kubectl", *arguments, data=data)


def get(kind: str, name: str, namespace: str = VOICE) -> Obj:
    """One object."""
    found: Obj = json.loads(kubectl("get", kind, name, "--namespace", namespace, "--output", "json"))
    return found


def items(kind: str, namespace: str = VOICE, selector: str = "") -> list[Obj]:
    """All objects of a kind."""
    found: list[Obj] = json.loads(
        kubectl("get", kind, "--namespace", namespace, "--selector", selector, "--output", "json")
    )["items"]
    return found


def apply(name: str, **spec: Any) -> None:
    """Applies a SipGateway."""
    body = {
        "apiVersion": "sipgateway.dev/v1alpha1",
        "kind": "SipGateway",
        "metadata": {"name": name, "namespace": VOICE},
        "spec": spec,
    }
    kubectl("apply", "--filename", "-", data=json.dumps(body))


def switch_pods() -> list[str]:
    """Names of the switch pods that do not leave."""
    found = items("pods", selector="sipgateway.dev/switch")
    return sorted(p["metadata"]["name"] for p in found if "deletionTimestamp" not in p["metadata"])


def ask(pod: str, *commands: str) -> str:
    """What the switch in a pod answers."""
    return kubectl(
        "exec", "--namespace", VOICE, pod, "--container", "freeswitch", "--", "/usr/bin/python3", "-c", _ASK, *commands
    )


def uptime(pod: str, gateway: str) -> float | None:
    """Seconds for which a gateway has been loaded; None when it is not."""
    answer = ask(pod, f"sofia status gateway {gateway}")
    line = next((line for line in answer.splitlines() if line.startswith("Uptime")), None)
    return None if line is None else float(line.split()[1].rstrip("s"))


def condition(name: str, kind: str = "Ready") -> str:
    """A condition's status, of the generation that is there."""
    found = get("sipgateway", name)
    generation = found["metadata"]["generation"]
    for one in found.get("status", {}).get("conditions", []):
        if one["type"] == kind and one["observedGeneration"] == generation:
            return str(one["status"])
    return "Unknown"


def wait_ready(*names: str, registered: str = "") -> None:
    """Until SipGateways are Ready, and as many pods have them registered."""

    def ready() -> bool:
        for name in names:
            found = get("sipgateway", name)
            if condition(name) != "True" or (registered and found["status"].get("registered") != registered):
                return False
        return True

    wait(ready, lambda: kubectl("get", "sipgateways,pods", "--namespace", VOICE))


def wait(true: Callable[[], bool], told: Callable[[], str]) -> None:
    """Until something is so; looks every half second, for each look starts processes."""
    wait_until(true, PATIENCE, told, every=0.5)


def container(pod: Obj, name: str) -> Obj:
    """The status of a container, an init container too."""
    status = pod["status"]
    found: Obj = next(
        one
        for one in (*status.get("initContainerStatuses", ()), *status.get("containerStatuses", ()))
        if one["name"] == name
    )
    return found


def moment(text: str) -> dt.datetime:
    """A time of Kubernetes'."""
    return dt.datetime.fromisoformat(text)


def kill(pod: str, name: str) -> None:
    """Ends the first process of a container as a crash would."""
    ident = container(get("pod", pod), name)["containerID"].rpartition("/")[2]
    tasks = run("ctr", "-a", f"{_folder()}/containerd.sock", "-n", "k8s.io", "tasks", "ls")
    process = next(line.split()[1] for line in tasks.splitlines() if line.startswith(ident))
    run("kill", "-9", process)


def memory(pod: Obj, name: str) -> tuple[int, int]:
    """Bytes that a container has in its cgroup now, and had at most."""
    ident = container(pod, name)["containerID"].rpartition("/")[2]
    found = run("find", "/sys/fs/cgroup", "-maxdepth", "8", "-type", "d", "-name", f"*{ident}*").split()
    folders = [Path(one) for one in found if "/memory/" in one or not Path("/sys/fs/cgroup/memory").exists()]
    names = ("memory.usage_in_bytes", "memory.max_usage_in_bytes"), ("memory.current", "memory.peak")
    for now, most in names:
        for folder in folders:
            if (folder / now).exists():
                return int((folder / now).read_text()), int((folder / most).read_text())
    raise AssertionError(f"no cgroup of {ident}")


def _folder() -> str:
    return os.environ["NODE_DIR"]
