"""The ring from end to end: `kubectl apply`, three real agents, three switches, and the status that comes back.

One operator and three pods for all; every test lets one trunk live through one thing that users do.
"""

from __future__ import annotations

import pytest

from tests.canary import Canary
from tests.controlplane.api import encoded
from tests.kube.lab import PASSWORD
from tests.ring.fleet import Fleet, evidence, killed, rows

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]


def test_what_is_applied_is_registered_in_three_pods(fleet: Fleet) -> None:
    name = fleet.lab.new("applied")
    fleet.apply(name)
    published = fleet.wait_everywhere(name)
    status = fleet.lab.get("sipgateways", name)["status"]
    assert status["gatewayName"] == name
    assert status["pods"] == {"wanted": 3, "programmed": 3, "registered": 3}
    assert {kind: c["status"] for kind, c in fleet.lab.conditions(name).items()} == dict.fromkeys(
        ("Accepted", "Programmed", "Registered", "Ready"), "True"
    )
    assert published.profile == "external"


def test_a_change_replaces_it_in_three_pods_and_touches_no_other(fleet: Fleet) -> None:
    name, other = fleet.lab.new("changed"), fleet.lab.new("untouched")
    fleet.apply(name)
    fleet.apply(other)
    before = fleet.wait_everywhere(name)
    fleet.wait_everywhere(other)
    since = [len(pod.control("commands")) for pod in fleet.pods]
    messages = [len(pod.control("journal", gateway=other)) for pod in fleet.pods]
    fleet.lab.edit(name, variables=[{"name": "trunk_tier", "value": "gold"}])
    fleet.wait_everywhere(name, other_than=before.revision)
    assert [killed(pod, n) for pod, n in zip(fleet.pods, since, strict=True)] == [[name]] * 3
    assert [len(pod.control("journal", gateway=other)) for pod in fleet.pods] == messages


def test_a_password_that_is_rotated_reaches_three_switches(fleet: Fleet, canary: Canary) -> None:
    name, secret = fleet.lab.new("rotated"), fleet.lab.new("rotated")
    fleet.lab.secret(secret)
    fleet.apply(name, username=name, passwordFrom={"secretKeyRef": {"name": secret, "key": "password"}})
    before = fleet.wait_everywhere(name)
    fleet.accept(name, canary.password)
    fleet.lab.secret(secret, password=canary.password)
    # The status speaks of the generation, which stays: it may be the one from before.
    fleet.wait(lambda: before.revision not in {pod.revision(name) for pod in fleet.pods}, f"{name} stays as it was")
    fleet.wait_everywhere(name, other_than=before.revision)
    for pod in fleet.pods:
        assert canary.seen_in(next(c for p, c in pod.files().items() if name in p))  # so that the next lines can fail
        canary.assert_absent(pod.agent.log, pod.simulator.log, repr(pod.report), repr(fleet.lab.config_map(name)))
        canary.assert_private(pod.conf)
    canary.assert_absent(fleet.lab.operator.log, repr(fleet.lab.get("sipgateways", name)), repr(fleet.lab.events(name)))
    canary.assert_in_no_process_arguments()


def test_a_move_to_another_profile_leaves_one_copy_of_it(fleet: Fleet) -> None:
    name = fleet.lab.new("moved")
    fleet.apply(name)
    before = fleet.wait_everywhere(name)
    fleet.lab.edit(name, profile="internal")
    after = fleet.wait_everywhere(name, other_than=before.revision)
    assert (before.profile, after.profile) == ("external", "internal")


def test_a_rename_takes_the_old_name_off_three_switches(fleet: Fleet) -> None:
    name, renamed = fleet.lab.new("renamed"), fleet.lab.new("as")
    fleet.apply(name)
    before = fleet.wait_everywhere(name)
    fleet.lab.edit(name, gatewayName=renamed)
    fleet.wait_everywhere(name, renamed, before.revision)
    fleet.wait_gone(name)
    assert evidence(fleet.pods, name) == {"its SipGateway has another gatewayName now"}


def test_what_is_suspended_goes_and_what_is_resumed_comes_back(fleet: Fleet) -> None:
    name = fleet.lab.new("suspended")
    fleet.apply(name)
    before = fleet.wait_everywhere(name)
    fleet.lab.edit(name, suspend=True)
    fleet.wait_gone(name)
    fleet.lab.wait_condition(name, "Ready", "False", "Suspended")
    assert evidence(fleet.pods, name) == {"its SipGateway is suspended"}
    fleet.lab.edit(name, suspend=None)
    assert fleet.wait_everywhere(name).revision == before.revision


def test_what_is_deleted_is_gone_from_files_and_switches_and_the_agents_say_why(fleet: Fleet) -> None:
    name = fleet.lab.new("deleted")
    fleet.apply(name)
    fleet.wait_everywhere(name)
    fleet.lab.delete(name)
    fleet.wait_gone(name)
    assert evidence(fleet.pods, name) == {"its SipGateway is gone"}
    fleet.lab.wait_gone(name)


def test_a_wrong_password_is_told_in_the_registrars_words_and_heals_with_the_secret_alone(fleet: Fleet) -> None:
    name, secret = fleet.lab.new("refused"), fleet.lab.new("refused")
    fleet.lab.secret(secret, password="battery-staple")
    fleet.apply(name, passwordFrom={"secretKeyRef": {"name": secret, "key": "password"}})

    def told_of_all() -> bool:
        registered = fleet.lab.conditions(name).get("Registered", {})
        refused = (registered.get("status"), registered.get("reason")) == ("False", "CredentialsRefused")
        return refused and all(pod.name in registered["message"] for pod in fleet.pods)

    fleet.wait(told_of_all, f"{name} is not refused everywhere: {fleet.lab.conditions(name)}")
    registered = fleet.lab.conditions(name)["Registered"]
    assert "403 Forbidden" in registered["message"]
    assert fleet.lab.conditions(name)["Stalled"]["status"] == "True"
    assert fleet.lab.conditions(name)["Programmed"]["status"] == "True"
    assert fleet.lab.get("sipgateways", name)["status"]["registered"] == "0/3"
    assert {rows(pod)[name][0][1] for pod in fleet.pods} <= {"FAIL_WAIT", "FAILED", "UNREGED", "TRYING"}

    path = fleet.lab.path("secrets", secret)
    fleet.lab.plane.api.patch(path, {"data": {"password": encoded(PASSWORD)}})
    fleet.wait_everywhere(name)
    assert "Stalled" not in fleet.lab.conditions(name)
