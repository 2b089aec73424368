"""From a push to Ready, told by the webhook, against a bare `git fetch` and the time from apply to Ready.

In: the programs that `make controlplane` builds, git. Out: rows of the table. Both in turns, on the same switch.
"""

from __future__ import annotations

import hashlib
import hmac
import itertools
import random
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import yaml

from benchmarks.fleet import quantile
from benchmarks.table import Line, ratio_line
from tests.agent_kube.pods import REGISTRAR
from tests.controlplane.operators import Operators
from tests.controlplane.plane import ControlPlane
from tests.controlplane.ports import free_port
from tests.controlplane.process import Program, wait_until
from tests.git.served import commit, git, new_repository
from tests.kube.lab import Lab, gateway
from tests.ring.fleet import Fleet, is_ready

_SECRET = b"a secret of this benchmark alone"
_PATIENCE = 60.0


def bench_push(changes: int, tell: Callable[[Line], None]) -> None:
    """Changes of a gateway that registers, and of one that does not: there nothing hides what a sync costs."""
    with ControlPlane(crds=[Path("crds")], audit_policy=None) as plane, tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        lab = Lab(plane, Operators(folder))
        lab.secret("acme")
        lab.start()
        fleet = Fleet(lab, folder, 1)
        push = _Push(lab, fleet, folder)
        try:
            push.sync.start()
            for what, register in (("registers", True), ("does not register", False)):
                floor, ours = push.turns(changes, register=register)
                for share, goal in ((0.5, 1.5), (0.9, None)):
                    told = f"push -> Ready of a gateway that {what}, p{share * 100:.0f} / git fetch and apply -> Ready"
                    tell(ratio_line(told, quantile(floor, share), quantile(ours, share), goal))
        finally:
            if push.sync.runs:
                push.sync.stop()
            fleet.close()
            lab.close()


class _Push:
    """The repository, its sync, and what a change takes by either way."""

    def __init__(self, lab: Lab, fleet: Fleet, folder: Path) -> None:
        self.lab, self.fleet = lab, fleet
        self.source = new_repository(folder / "source", {"trunks/README": "-"})
        self.bare = folder / "bare.git"
        self.bare.mkdir()
        git(self.bare, "init", "-q", "--bare", ".")
        (folder / "secret").write_bytes(_SECRET)
        door, health = free_port(), free_port()
        self.hook = f"http://127.0.0.1:{door}/webhook"
        self.numbers = itertools.count(600)
        self.chance = random.Random(1)
        commit(self.source, self._files("pushed", 599, register=True))
        command = [
            *(sys.executable, "-m", "sipgateway", "sync", "--path=trunks", "--environment=bench", "--every=3600"),
            *(f"--repository={self.source}", f"--namespace={lab.namespace}", "--evidence-remote=-"),
            *(f"--folder={folder / 'mirror'}", f"--kubeconfig={lab.plane.kubeconfig}", "--log-level=warning"),
            *(f"--webhook-listen=127.0.0.1:{door}", f"--webhook-secret={folder / 'secret'}"),
            f"--listen=127.0.0.1:{health}",
        ]
        ready = f"http://127.0.0.1:{health}/readyz"
        self.sync = Program(
            "sync",
            command,
            folder / "sync.log",
            is_ready=lambda: urllib.request.urlopen(ready, timeout=5).status == 200,
        )

    def turns(self, changes: int, *, register: bool) -> tuple[list[float], list[float]]:
        """Seconds of each change: by hand after a fetch, and by a push."""
        floor, ours = [], []
        for _ in range(changes):
            number = next(self.numbers)
            body = self._body("applied", number, register=register)
            self._anywhere_in_a_tick()
            started = time.perf_counter()
            git(self.bare, "fetch", "-q", str(self.source), "+main:main")
            self.lab.plane.api.apply(self.lab.path("sipgateways", "applied"), body)
            self._wait("applied", number)
            floor.append(time.perf_counter() - started)
            commit(self.source, self._files("pushed", number, register=register))
            mark = "sha256=" + hmac.new(_SECRET, b"{}", hashlib.sha256).hexdigest()
            request = urllib.request.Request(self.hook, b"{}", {"X-Hub-Signature-256": mark})  # noqa: S310 - http
            self._anywhere_in_a_tick()
            started = time.perf_counter()
            urllib.request.urlopen(request, timeout=5).close()  # noqa: S310 - http
            self._wait("pushed", number)
            ours.append(time.perf_counter() - started)
        return floor, ours

    def _anywhere_in_a_tick(self) -> None:
        """What is Ready became so at a tick of the switch: the next change would always begin right behind one."""
        time.sleep(self.chance.random())

    def _body(self, name: str, number: int, *, register: bool) -> dict[str, object]:
        return gateway(name, switch=self.fleet.name, proxy=REGISTRAR, register=register, expireSeconds=number)

    def _files(self, name: str, number: int, *, register: bool) -> dict[str, str | None]:
        return {f"trunks/{name}.yaml": yaml.safe_dump(self._body(name, number, register=register))}

    def _wait(self, name: str, number: int) -> None:
        def look() -> bool:
            found = self.lab.find("sipgateways", name)
            return found is not None and found["spec"]["expireSeconds"] == number and is_ready(found)

        wait_until(look, _PATIENCE, lambda: f"{name} is not Ready\n{self.sync.tail()}", 0.005)
