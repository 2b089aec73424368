"""A second watcher records every version of every ConfigMap, while users edit and operators are killed at any moment.

The actions follow from the seed; when a kill meets which write does not, which is the point of repeating it.
"""

from __future__ import annotations

import contextlib
import os
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from tests.controlplane.api import ApiError
from tests.controlplane.operators import Operator
from tests.controlplane.process import wait_until
from tests.kube.history import History, stamped
from tests.kube.lab import Lab, Obj

#: `SIPGW_KILLS=100 SIPGW_SEED=7 pytest -s tests/kube/test_history.py` kills more often.
KILLS = int(os.environ.get("SIPGW_KILLS", "4"))
SEED = int(os.environ.get("SIPGW_SEED", "1"))
FLEETS = ("east", "west")
NAMES = ("w", "x", "y", "z")
#: The Lease's time: another replica takes over after so long.
LEASE = 3.0


@dataclass
class Users:
    """Those who change SipGateways, their Secret, and what is not theirs."""

    lab: Lab
    random: random.Random
    passwords: list[str] = field(default_factory=list)
    meddled: set[int] = field(default_factory=set)
    steps: int = 0

    def begin(self) -> None:
        self.new_password()
        for number in range(6):
            self.make(f"g{number}")

    def act(self) -> None:
        """One action, by the seed."""
        name = f"g{self.random.randrange(6)}"
        actions: list[tuple[int, Callable[[str], None]]] = [
            (6, self.edit),
            (4, self.rename),
            (4, self.swap),
            (2, self.suspend),
            (2, self.move),
            (2, self.remake),
            (2, self.meddle),
            (1, lambda _: self.new_password()),
        ]
        weights, calls = zip(*actions, strict=True)
        if self.lab.find("sipgateways", name) is None:
            self.make(name)
        else:
            self.random.choices(calls, weights)[0](name)

    def make(self, name: str) -> None:
        self.steps += 1
        switch, gateway = self.random.choice(FLEETS), self.random.choice(NAMES)
        variables = [{"name": "step", "value": str(self.steps)}]
        self.lab.apply(name, switch=switch, gatewayName=gateway, variables=variables)

    def edit(self, name: str, **spec: object) -> None:
        """Each change is unlike any other, so that a ConfigMap tells which one it is of."""
        self.steps += 1
        self.lab.edit(name, variables=[{"name": "step", "value": str(self.steps)}], **spec)

    def rename(self, name: str) -> None:
        self.edit(name, gatewayName=self.random.choice(NAMES))

    def swap(self, _: str) -> None:
        """Two change names, or three pass them round."""
        there = sorted(obj["metadata"]["name"] for obj in self.lab.all("sipgateways"))
        chosen = self.random.sample(there, min(len(there), self.random.choice((2, 2, 3))))
        specs = [self.lab.get("sipgateways", one)["spec"] for one in chosen]
        for one, spec in zip(chosen, [*specs[1:], specs[0]], strict=True):
            self.edit(one, gatewayName=spec["gatewayName"], switch=spec["switch"])

    def suspend(self, name: str) -> None:
        self.edit(name, suspend=not self.lab.get("sipgateways", name)["spec"].get("suspend"))

    def move(self, name: str) -> None:
        self.edit(name, switch=self.random.choice(FLEETS))

    def remake(self, name: str) -> None:
        self.lab.delete(name)
        if self.random.random() < 0.5:
            self.make(name)

    def new_password(self) -> None:
        self.passwords.append(f"password-{len(self.passwords)}")
        self.lab.secret("acme", password=self.passwords[-1])

    def meddle(self, name: str) -> None:
        """Somebody deletes a ConfigMap; the version at which it went is that of the deletion's event."""
        found = self.lab.config_map(name)
        if found is not None:
            self.meddled.add(found["metadata"]["uid"])
            with contextlib.suppress(ApiError):  # the operator may be faster
                self.lab.delete(found["metadata"]["name"], "configmaps", uid=found["metadata"]["uid"])


def ready(operators: list[Operator]) -> bool:
    """Whether one leads, and knows all that is there."""
    return any(one.is_ready() and one.metrics()["sipgateway_leader"] == 1 for one in operators if one.is_ready())


def run(lab: Lab, seed: int, kills: int) -> History:
    """Actions and kills, then everything is judged."""
    choice = random.Random(seed)
    users = Users(lab, random.Random(seed + 1))
    operators = [lab.start(f"--lease-seconds={LEASE:g}") for _ in range(2)]
    times: list[tuple[float, float]] = []
    with (
        stamped(lab.plane.record(lab.path("sipgateways"))) as gateways,
        stamped(lab.plane.record(lab.path("configmaps"))) as maps,
    ):
        users.begin()
        lab.wait(lambda: len(lab.all("configmaps")) > 1, lambda: "nothing is written")
        for _ in range(kills):
            for _ in range(choice.randrange(2, 12)):
                users.act()
                if choice.random() < 0.3:
                    time.sleep(choice.random() * 0.05)  # anywhere in the middle of things
            victim = choice.choice(operators) if choice.random() < 0.3 else leader(operators)
            killed = time.monotonic()
            victim.kill()
            for _ in range(choice.randrange(4)):
                users.act()
            victim.launch()
            wait_until(lambda: ready(operators), 30, victim.tail)
            times.append((killed, time.monotonic()))
        settle(lab, users)
        time.sleep(0.2)
    keys = {fleet: lab.keys(fleet) for fleet in FLEETS}
    deleted = {
        int(event["object"]["metadata"]["resourceVersion"])
        for _, event in maps._events
        if event["type"] == "DELETED" and event["object"]["metadata"]["uid"] in users.meddled
    }
    history = History(lab.namespace, keys, users.passwords, deleted, times, (2.0, 3 * LEASE + 6))
    history.replay(gateways, maps)
    return history


def leader(operators: list[Operator]) -> Operator:
    return next((one for one in operators if one.is_ready() and one.metrics()["sipgateway_leader"] == 1), operators[0])


def settle(lab: Lab, users: Users) -> None:
    """In the end each name has the oldest of those who want it, with the last spec and the last password."""
    wanted = {obj["metadata"]["name"]: obj for obj in lab.all("sipgateways")}
    winners: dict[tuple[str, str], str] = {}
    for name, obj in sorted(wanted.items(), key=lambda one: (one[1]["metadata"]["creationTimestamp"], one[0])):
        if not obj["spec"].get("suspend"):
            winners.setdefault((obj["spec"]["switch"], obj["spec"]["gatewayName"]), name)

    def as_it_should_be(name: str, obj: Obj) -> bool:
        found = lab.config_map(name)
        if obj["spec"].get("suspend"):
            return found is None
        if name not in winners.values():
            return found is None or lab.verify(found).name != obj["spec"]["gatewayName"]
        if found is None or found["metadata"]["labels"]["sipgateway.dev/switch"] != obj["spec"]["switch"]:
            return False
        return lab.verify(found).gateway == History.effective(obj, users.passwords[-1])

    for name, obj in wanted.items():
        lab.wait(lambda: as_it_should_be(name, obj), lambda: f"{name}: {obj['spec']}", 30)  # noqa: B023
        kind = "True" if obj["spec"].get("suspend") or name in winners.values() else "False"
        lab.wait_condition(name, "Accepted", kind)
    known = {obj["metadata"]["name"] for obj in lab.all("configmaps")} - {"kube-root-ca.crt"}
    assert known <= {f"sipgateway-{name}" for name in wanted}


@pytest.mark.slow
@pytest.mark.timeout(120 + 30 * KILLS)
def test_every_version_that_anybody_could_have_seen_is_whole_and_wanted(start_lab: Callable[..., Lab]) -> None:
    history = run(start_lab(), SEED, KILLS)
    assert history.versions > 5 * KILLS
    print(f"{history.versions} versions, none missing for longer than {history.longest:.1f} s")
