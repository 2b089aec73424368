"""A fleet of switch pods and what its users see of it: one look from the manifest to each switch.

In: a lab with an operator, a folder. Out: pods with simulators and agents as processes, and waits for what a
SipGateway should have become everywhere: ConfigMap, file, loaded revision, status.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from sipgateway.render.configmap import Published
from sipgateway.render.layout import file_name
from tests.agent_kube.pods import REGISTRAR, SwitchPod
from tests.kube.lab import Lab

#: Seconds for a change to be everywhere: registering gateways are replaced pod by pod; the machine does much else.
PATIENCE = 60.0

#: A registrar answered 200; the first becomes the second at the next tick (fact 21).
REGISTERED = frozenset({"REGISTER", "REGED"})

#: Gateway -> (profile, state) of each of its copies.
Rows: TypeAlias = dict[str, list[tuple[str, str]]]


class Fleet:
    """The pods of one fleet, with their processes; `close` ends them."""

    def __init__(self, lab: Lab, folder: Path, size: int = 3, *, start: bool = True, **options: Any) -> None:
        """Makes the pods, one after another.

        Args:
            lab: its operator may run or not.
            folder: for the pods' files and logs.
            size: how many pods.
            start: whether their processes are started, too.
            options: for each `SwitchPod`.
        """
        self.lab = lab
        self.name = lab.new("fleet")
        self.pods: list[SwitchPod] = []
        try:
            for number in range(size):
                self.pods.append(SwitchPod(lab, f"{self.name}-{number}", folder, switch=self.name, **options))
                if start:
                    self.pods[-1].start()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Ends all processes."""
        for pod in self.pods:
            pod.close()

    @property
    def everywhere(self) -> str:
        """What a status says of a gateway that all pods have registered."""
        return f"{len(self.pods)}/{len(self.pods)}"

    def apply(self, name: str, **spec: Any) -> None:
        """Applies a SipGateway of this fleet; what is not given is as in `tests.kube.lab.gateway`."""
        self.lab.apply(name, **({"switch": self.name, "proxy": REGISTRAR} | spec))

    def accept(self, user: str, password: str) -> None:
        """The carrier changes the password of one account."""
        for pod in self.pods:
            pod.control("registrar", address=REGISTRAR, set={"passwords": {user: password}})

    def wait(self, true: Callable[[], Any], told: str, seconds: float = PATIENCE) -> Any:
        """What `true()` gives as soon as that is something true; else what each pod reports, and the operator's log."""

        def said() -> str:
            reports = "\n".join(f"{pod.name}: {pod.report}" for pod in self.pods)
            return f"{told}\n{reports}"

        return self.lab.wait(true, said, seconds)

    def wait_everywhere(self, name: str, gateway: str | None = None, other_than: str = "") -> Published:
        """Until a SipGateway is registered and Ready in all pods, which is proved by asking each switch.

        Args:
            name: of the SipGateway.
            gateway: its name on the switches, when it is another one.
            other_than: a revision that must be over.

        Returns:
            What its ConfigMap wants, verified.
        """

        def look() -> Published | None:
            found = self.lab.find("sipgateways", name)
            if found is None or not is_ready(found) or found["status"].get("registered") != self.everywhere:
                return None
            if self.lab.config_map(name) is None:
                return None
            published = self.lab.verified(name)
            # After a rotation the status may be the one from before: it speaks of the generation, which stays.
            states = {state for pod in self.pods for _, state in rows(pod).get(gateway or name, ())}
            return published if published.revision != other_than and states <= REGISTERED else None

        published: Published = self.wait(look, f"{name}: {self.lab.conditions(name)}")
        on_switch = gateway or name
        for pod in self.pods:
            assert pod.revision(on_switch) == published.revision, f"{pod.name} has another version of {on_switch}"
            assert files_of(pod, on_switch) == [published.file], f"{pod.name}: {list(pod.files())}"
            found = rows(pod)[on_switch]
            assert [(p, s in REGISTERED) for p, s in found] == [(published.profile, True)], f"{pod.name}: {found}"
            assert on_switch not in pod.problems(), f"{pod.name}: {pod.problems()}"
        return published

    def wait_gone(self, gateway: str) -> None:
        """Until no pod has a file of this gateway, and no switch the gateway."""

        def gone() -> bool:
            return all(gateway not in rows(pod) and not files_of(pod, gateway) for pod in self.pods)

        self.wait(gone, f"{gateway} is still there: {[rows(pod).get(gateway) for pod in self.pods]}")


def rows(pod: SwitchPod) -> Rows:
    """What `sofia status` lists."""
    found: Rows = {}
    for line in pod.api("sofia status").splitlines():
        columns = line.split("\t")
        if len(columns) >= 4 and columns[1].strip() == "gateway":
            profile, _, name = columns[0].strip().partition("::")
            found.setdefault(name, []).append((profile, columns[3].split(" ", 1)[0]))
    return found


def files_of(pod: SwitchPod, gateway: str) -> list[bytes]:
    """The content of each file of a gateway, whatever folder it stands in."""
    return [content for path, content in pod.files().items() if path.endswith(f"/{file_name(gateway)}")]


def is_ready(found: dict[str, Any]) -> bool:
    """Whether a SipGateway's status says Ready, of the version that is there."""
    about = found["metadata"]["generation"]
    return any(
        (c["type"], c["status"], c.get("observedGeneration")) == ("Ready", "True", about)
        for c in (found.get("status") or {}).get("conditions") or ()
    )


def killed(pod: SwitchPod, since: int = 0) -> list[str]:
    """The names that a switch was told to kill, in their order."""
    texts = [str(c["text"]) for c in pod.control("commands", since=since)]
    return [text.rpartition(" ")[2] for text in texts if " killgw " in text]


def evidence(pods: Sequence[SwitchPod], gateway: str) -> set[str]:
    """Why the agents let a gateway go, in their own words."""
    logged = [entry for pod in pods for entry in pod.agent.logs()]
    said = [str(e["message"]) for e in logged if e.get("gateway") == gateway]
    return {text.removeprefix("it is to go: ") for text in said if text.startswith("it is to go: ")}
