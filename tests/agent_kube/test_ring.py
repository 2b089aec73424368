"""The ring, whole: operator, three agents and three switches as processes on a real API server, from apply to Ready.

The tests play the kubelet. Whatever a user does is done through the API server, and nothing else is touched.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from sipgateway.render.configmap import Published
from tests.agent_kube.pods import REGISTRAR, SwitchPod
from tests.kube.lab import PASSWORD, Lab

pytestmark = [pytest.mark.timeout(240), pytest.mark.slow]


class Fleet:
    """Three pods of one fleet."""

    def __init__(self, lab: Lab, folder: Path, name: str) -> None:
        self.lab, self.name = lab, name
        self.pods = [SwitchPod(lab, f"{name}-{n}", folder, switch=name) for n in range(3)]

    def start(self) -> Fleet:
        for pod in self.pods:
            pod.agent.launch()
        for pod in self.pods:
            pod.start_switch()
        for pod in self.pods:
            pod.agent.wait_ready()
        return self

    def apply(self, name: str, **spec: Any) -> None:
        self.lab.apply(name, **({"switch": self.name, "proxy": REGISTRAR} | spec))
        self.lab.wait_config_map(name)

    def ready(self, name: str, gateway: str | None = None, *, registered: str = "3/3") -> str:
        """Waits for Ready=True; every pod has proved exactly what is published. Returns the revision."""
        published = self.lab.verified(name)
        for pod in self.pods:  # a new password is no new generation: the status may still speak of the old one
            pod.wait(partial(_has, pod, published), f"{name} is not there", 40)
        self.lab.wait_condition(name, "Ready", "True", seconds=40)
        # A pod that is younger than two minutes turns nothing, so the first that has it makes it Ready.
        self.lab.wait(lambda: self._registered(name) == registered, lambda: self._registered(name), seconds=40)
        assert published == self.lab.verified(name)
        assert published.name == (gateway or name)
        assert all(published.file in pod.files().values() for pod in self.pods)
        return published.revision

    def _registered(self, name: str) -> str:
        status = self.lab.get("sipgateways", name).get("status") or {}
        programmed = (status.get("pods") or {}).get("programmed")
        return str(status.get("registered")) if programmed == len(self.pods) else f"{programmed} have it"

    def gone(self, gateway: str) -> None:
        """Waits until no pod has it, neither loaded nor as a file."""
        file = f"sipgw-{gateway}.xml"
        for pod in self.pods:
            pod.wait(partial(_is_gone, pod, gateway, file), f"{gateway} is still there")


@pytest.fixture(scope="module")
def fleet(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    one = Fleet(lab, tmp_path_factory.mktemp("fleet"), lab.new("ring"))
    try:
        yield one.start()
    finally:
        for pod in one.pods:
            pod.close()


def test_what_is_applied_is_loaded_registered_and_ready(lab: Lab, fleet: Fleet) -> None:
    fleet.apply("apply")
    fleet.ready("apply")
    for pod in fleet.pods:
        assert pod.problems() == {}
        assert pod.report["phase"] == "Running"
        assert pod.report["switch"] == {"reachable": True, "reason": "", "message": ""}
        assert pod.report["sealKeys"] == list(lab.keys(fleet.name).ids)


def test_a_change_and_a_new_password_reach_every_switch_and_no_other_gateway(lab: Lab, fleet: Fleet) -> None:
    lab.secret("changed", password=PASSWORD)
    source = {"secretKeyRef": {"name": "changed", "key": "password"}}
    fleet.apply("change", passwordFrom=source)
    fleet.apply("bystander")
    fleet.ready("bystander")
    first = fleet.ready("change")
    journals = [len(pod.control("journal", gateway="bystander")) for pod in fleet.pods]
    lab.edit("change", retrySeconds=77)
    lab.wait(lambda: lab.verified("change").revision != first, lambda: "the change is not published")
    second = fleet.ready("change")
    for pod in fleet.pods:
        pod.control("registrar", address=REGISTRAR, set={"passwords": {"4989123": "another"}})
    lab.secret("changed", password="another")
    lab.wait(
        lambda: lab.verified("change").revision not in {first, second}, lambda: "the new password is not published"
    )
    third = fleet.ready("change")
    for pod in fleet.pods:
        pod.control("registrar", address=REGISTRAR, set={"passwords": {}})
    assert len({first, second, third}) == 3
    assert [len(pod.control("journal", gateway="bystander")) for pod in fleet.pods] == journals


def test_a_move_a_rename_a_suspension_and_a_deletion_are_followed(lab: Lab, fleet: Fleet) -> None:
    fleet.apply("moves")
    fleet.ready("moves")
    lab.edit("moves", profile="internal")
    lab.wait(lambda: lab.verified("moves").profile == "internal", lambda: "the move is not published")
    fleet.ready("moves")
    assert all("sip_profiles/internal/sipgw-moves.xml" in pod.files() for pod in fleet.pods)
    assert all("sip_profiles/external/sipgw-moves.xml" not in pod.files() for pod in fleet.pods)
    lab.edit("moves", gatewayName="renamed")
    lab.wait_gateway("moves", "renamed")
    fleet.ready("moves", "renamed")
    fleet.gone("moves")
    lab.edit("moves", suspend=True)
    fleet.gone("renamed")
    lab.edit("moves", suspend=False)
    lab.wait_config_map("moves")
    fleet.ready("moves", "renamed")
    lab.delete("moves")
    fleet.gone("renamed")


def test_a_wrong_password_is_said_with_the_registrars_words_and_heals_with_the_secret(lab: Lab, fleet: Fleet) -> None:
    lab.secret("wrong", password="not-this-one")
    fleet.apply("refused", passwordFrom={"secretKeyRef": {"name": "wrong", "key": "password"}})
    condition = lab.wait_condition("refused", "Registered", "False", "CredentialsRefused", seconds=40)
    lab.wait_condition("refused", "Stalled", "True", "CredentialsRefused")
    lab.wait_condition("refused", "Programmed", "True")
    lab.wait(
        lambda: all(pod.name in _message(lab, "refused") for pod in fleet.pods),
        lambda: _message(lab, "refused"),
    )
    assert "403 Forbidden" in condition["message"]
    before = lab.verified("refused").revision
    lab.secret("wrong", password=PASSWORD)
    lab.wait(lambda: lab.verified("refused").revision != before, lambda: "the new password is not published")
    fleet.ready("refused")
    assert "Stalled" not in lab.conditions("refused")


def test_a_gateway_that_does_not_register_is_ready_when_it_is_loaded(lab: Lab, fleet: Fleet) -> None:
    fleet.apply("outbound", register=False, passwordFrom=None)
    fleet.ready("outbound", registered="-")


def _has(pod: SwitchPod, published: Published) -> bool:
    return pod.revision(published.name) == published.revision


def _is_gone(pod: SwitchPod, gateway: str, file: str) -> bool:
    return pod.revision(gateway) is None and not any(path.endswith(f"/{file}") for path in pod.files())


def _message(lab: Lab, name: str) -> str:
    return str(lab.conditions(name).get("Registered", {}).get("message", ""))
