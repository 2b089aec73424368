"""Switch pods for tests: a Pod on a real API server, a simulator and `sipgw agent` as processes of their own.

In: a lab with an operator. Out: `SwitchPod`s: their files, what their switch has, what it was told, their end. The
agent has the rights that are shipped and a token that is bound to its pod, in a folder as the kubelet projects it.
"""

from __future__ import annotations

import http.client
import json
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

from tests.controlplane import kubelet
from tests.controlplane.plane import ControlPlane
from tests.controlplane.ports import free_port
from tests.controlplane.process import Program, clean_environment, wait_until
from tests.crd import install
from tests.kube.lab import PASSWORD

SIPGW = (sys.executable, "-m", "sipgateway")
#: A registrar that takes every REGISTER, unless a test says otherwise.
REGISTRAR = "127.0.0.1:15070"
PATIENCE = 20.0


class Place(Protocol):
    """A namespace on a control plane."""

    plane: ControlPlane
    namespace: str

    def find(self, plural: str, name: str) -> dict[str, Any] | None:
        """An object; None when there is none."""


class Agent(Program):
    """A running `sipgw agent`."""

    def __init__(self, name: str, log: Path, listen: str, flags: Sequence[str], env: Mapping[str, str]) -> None:
        self.listen = listen
        command = [*SIPGW, "agent", f"--listen={listen}", *flags]
        super().__init__(
            name,
            command,
            log,
            is_ready=lambda: self.get("/readyz")[0] == 200,
            environment=clean_environment(PYTHONUNBUFFERED="1", **env),
            ready_within=30,
        )

    def get(self, path: str, seconds: float = 30, method: str = "GET") -> tuple[int, str]:
        """Asks its own HTTP server.

        Raises:
            OSError: it does not answer.
        """
        connection = http.client.HTTPConnection(self.listen, timeout=seconds)
        try:
            connection.request(method, path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        except http.client.HTTPException as error:
            raise ConnectionError(f"{path}: {error!r}") from error
        finally:
            connection.close()

    def metrics(self) -> dict[str, float]:
        """Its metrics by name, labels as they are written."""
        status, text = self.get("/metrics")
        assert status == 200, text
        lines = (line.rpartition(" ") for line in text.splitlines() if line and not line.startswith("#"))
        return {name: float(value) for name, _, value in lines}

    def logs(self) -> list[dict[str, Any]]:
        """What it logged so far."""
        whole, _, _ = self.log.read_bytes().rpartition(b"\n") if self.log.exists() else (b"", b"", b"")
        found = []
        for line in whole.decode(errors="replace").splitlines():
            try:
                found.append(json.loads(line))
            except ValueError:
                continue
        return found


class SwitchPod:
    """One switch pod: its Pod object, its simulator, its agent."""

    def __init__(
        self,
        lab: Place,
        name: str,
        folder: Path,
        *,
        switch: str = "default",
        registrars: Sequence[str] = (),
        simulator: Sequence[str] = (),
        flags: Sequence[str] = (),
        account: str = "",
    ) -> None:
        self.lab, self.name, self.switch = lab, name, switch
        self.root = folder / name
        (self.root / "log").mkdir(parents=True)
        self.esl = f"127.0.0.1:{free_port()}"
        self.door = f"127.0.0.1:{free_port()}"
        known = [r for r in registrars if not r.startswith("*=")]
        modes = [*registrars] if any(r.startswith("*=") for r in registrars) else [*registrars, "*=silent"]
        if not any(r.startswith(f"{REGISTRAR}=") for r in known):
            modes.append(f"{REGISTRAR}=accept,password={PASSWORD}")
        command = [*SIPGW, "simulator", "--init", "--conf", str(self.conf), "--esl", self.esl]
        command += ["--control", self.door, "--log", str(self.root / "log"), *simulator]
        for mode in modes:
            command += ["--registrar", mode]
        self.simulator = Program(
            f"{name}-simulator",
            command,
            self.root / "simulator.log",
            is_ready=self._door_answers,
            environment=clean_environment(PYTHONUNBUFFERED="1"),
            ready_within=20,
        )
        self.account = account or install.install_agent_rbac(lab.plane, lab.namespace, switch)
        self.flags = list(flags)
        self.object: dict[str, Any] = {}
        self.token_folder = self.root / "serviceaccount"
        self.token_folder.mkdir()
        self.conf.mkdir()
        self.create_pod()
        url = urlsplit(lab.plane.admin.server)
        self.agent = Agent(
            f"{name}-agent",
            self.root / "agent.log",
            f"127.0.0.1:{free_port()}",
            [
                f"--switch={switch}",
                f"--conf={self.conf}",
                f"--esl={self.esl}",
                f"--token-folder={self.token_folder}",
                "--log-level=debug",
                *self.flags,
            ],
            {
                "KUBERNETES_SERVICE_HOST": str(url.hostname),
                "KUBERNETES_SERVICE_PORT": str(url.port),
                "POD_NAMESPACE": lab.namespace,
                "POD_NAME": name,
                "POD_UID": self.uid,
            },
        )

    @property
    def conf(self) -> Path:
        """The folder that the switch includes."""
        return self.root / "conf"

    @property
    def uid(self) -> str:
        """The Pod's uid."""
        return str(self.object["metadata"]["uid"])

    def create_pod(self) -> None:
        """Makes the Pod, and its token as the kubelet projects it."""
        plane = self.lab.plane
        self.object = kubelet.create_pod(
            plane.api,
            self.lab.namespace,
            self.name,
            labels={"sipgateway.dev/switch": self.switch},
            service_account=self.account,
            containers=("switch", "sipgateway-agent"),
        )
        self.project_token()
        (self.token_folder / "ca.crt").write_bytes(Path(plane.admin.authority).read_bytes())
        (self.token_folder / "namespace").write_text(self.lab.namespace)

    def project_token(self, seconds: float = 3600) -> None:
        """Writes a token that is bound to the Pod, whole, over the one before."""
        token = self.lab.plane.token_for(self.lab.namespace, self.account, seconds=seconds, pod=self.name)
        temporary = self.token_folder / ".token"
        temporary.write_text(token)
        temporary.replace(self.token_folder / "token")

    def reach(self, server: str, kubeconfig: Path) -> None:
        """From its next start the agent reaches the API server at this URL, with the same token."""
        token = (self.token_folder / "token").read_text()
        kubeconfig.write_text(
            json.dumps(
                {
                    "apiVersion": "v1",
                    "kind": "Config",
                    "clusters": [{"name": "test", "cluster": {"server": server}}],
                    "users": [{"name": "test", "user": {"token": token}}],
                    "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
                    "current-context": "test",
                }
            )
        )
        self.agent.command = [c for c in self.agent.command if not c.startswith("--token-folder")]
        self.agent.command.append(f"--kubeconfig={kubeconfig}")

    def start(self, *, wait: bool = True) -> SwitchPod:
        """The agent first, as a native sidecar; the switch once the agent has started."""
        self.agent.launch()
        self.start_switch()
        if wait:
            self.agent.wait_ready()
        return self

    def start_switch(self) -> None:
        """Starts the switch when the agent says so."""
        wait_until(self._started, 70, lambda: f"{self.name} did not start\n{self.agent.tail()}")
        self.simulator.start()

    def close(self) -> None:
        """Ends its processes."""
        for program in (self.agent, self.simulator):
            if program.runs:
                program.kill()

    # Looking

    def control(self, do: str, **words: Any) -> Any:
        """Asks or tells the simulator behind its door."""
        host, _, port = self.door.rpartition(":")
        with socket.create_connection((host, int(port)), timeout=10) as door:
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

    def revision(self, gateway: str) -> str | None:
        """The revision that the switch has loaded of a gateway."""
        body = self.api(f"sofia_gateway_data {gateway} ovar sipgw_revision").strip()
        return body if body.startswith("1-") else None

    def files(self) -> dict[str, bytes]:
        """Our files below the switch's folder, by relative path."""
        found = sorted(self.conf.rglob("sipgw-*.xml"))
        return {str(p.relative_to(self.conf)): p.read_bytes() for p in found if ".sipgw" not in p.parts}

    @property
    def report(self) -> dict[str, Any]:
        """The SipSwitch's status; empty when there is none."""
        found = self.lab.find("sipswitches", self.name) or {}
        status: dict[str, Any] = found.get("status") or {}
        return status

    def problems(self, about: str | None = None) -> dict[str, dict[str, Any]]:
        """Gateway name -> the problem that is reported of it."""
        found = self.report.get("problems") or ()
        return {n: p for p in found if about in {None, p["about"]} for n in p["gateways"]}

    def wait(self, what: Callable[[], Any], told: str, seconds: float = PATIENCE) -> Any:
        """What `what()` gives as soon as it is something true."""
        found: list[Any] = []

        def look() -> bool:
            one = what()
            if one:
                found.append(one)
            return bool(one)

        def said() -> str:
            return f"{self.name}: {told}\n{json.dumps(self.report, indent=1)}\n{self.agent.tail()}"

        wait_until(look, seconds, said)
        return found[0]

    def _started(self) -> bool:
        if not self.agent.runs:
            raise AssertionError(f"{self.name} ended\n{self.agent.tail()}")
        try:
            return self.agent.get("/startedz", 2)[0] == 200
        except OSError:
            return False

    def _door_answers(self) -> bool:
        return bool(self.control("time"))
