"""What the status says of real Pods and what their agents report; how often it is written, what else is left alone."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from tests.controlplane.audit import Request
from tests.controlplane.process import wait_until
from tests.kube.lab import Agent, Lab


def fleet(lab: Lab, pods: int = 2) -> tuple[str, list[Agent]]:
    """A fleet of pods whose agents say that all is well."""
    switch = lab.new("fleet")
    agents = [lab.agent(lab.new("fs"), switch) for _ in range(pods)]
    for agent in agents:
        agent.settled()
    return switch, agents


def problem(about: str, reason: str, *gateways: str, code: int = 0, message: str = "") -> dict[str, Any]:
    return {"about": about, "reason": reason, "code": code, "message": message, "gateways": list(gateways)}


def columns(lab: Lab, name: str) -> list[str]:
    """The row of `kubectl get sipgateway`, its age left out."""
    out = lab.plane.kubectl("-n", lab.namespace, "get", "sipgateway", name).stdout
    head, row = (line.split() for line in out.splitlines())
    assert head == ["NAME", "SWITCH", "PROFILE", "READY", "REGISTERED", "REASON", "AGE"]
    return row[:-1]


def writes(lab: Lab, name: str = "") -> list[Request]:
    """Everything that the operator wrote in this namespace, of one object or of all, the Lease left out."""
    marker = lab.new("marker")
    with lab.plane.api_as(lab.kubeconfig) as api:  # when this stands in the log, all before it does
        api.get(lab.path("configmaps"), labelSelector=f"marker={marker}")
    log = lab.plane.audit_log
    wait_until(lambda: marker.encode() in log.read_bytes(), 10, lambda: "the audit log is behind")
    mine = f'"namespace":"{lab.namespace}"'.encode()
    requests = [Request.of(json.loads(line)) for line in log.read_bytes().splitlines() if mine in line]
    return [
        r
        for r in requests
        if r.user == lab.user
        and r.verb in {"create", "update", "patch", "delete"}
        and r.resource != "leases"
        and "dryRun" not in r.uri
        and (not name or r.name == name)
    ]


def reasons(lab: Lab, name: str) -> list[str]:
    return [event["reason"] for event in lab.events(name)]


def test_a_gateway_that_is_registered_on_all_pods_is_ready(lab: Lab) -> None:
    switch, _ = fleet(lab)
    name = lab.new("ready")
    lab.apply(name, switch=switch, profile="internal")
    lab.plane.kubectl("-n", lab.namespace, "wait", "--for=condition=Ready", "--timeout=20s", f"sipgateway/{name}")
    found = lab.get("sipgateways", name)
    status = found["status"]
    assert {c["type"]: c["status"] for c in status["conditions"]} == dict.fromkeys(
        ("Accepted", "Programmed", "Registered", "Ready"), "True"
    )
    assert all(c["observedGeneration"] == found["metadata"]["generation"] for c in status["conditions"])
    assert status["pods"] == {"wanted": 2, "programmed": 2, "registered": 2}
    assert (status["registered"], status["gatewayName"], status["observedGeneration"]) == ("2/2", name, 1)
    assert columns(lab, name) == [name, switch, "internal", "True", "2/2", "Ready"]


def test_one_that_does_not_register_is_ready_when_it_is_loaded(lab: Lab) -> None:
    switch, _ = fleet(lab, pods=1)
    name = lab.new("outbound")
    lab.apply(name, switch=switch, register=False, passwordFrom=None)
    lab.wait_condition(name, "Ready", "True")
    assert lab.conditions(name)["Registered"]["reason"] == "NotRegistering"
    assert columns(lab, name) == [name, switch, "external", "True", "-", "Ready"]


def test_refused_credentials_are_told_with_the_registrars_words_and_mending_them_heals(lab: Lab) -> None:
    switch, (one, two) = fleet(lab)
    name, other = lab.new("refused"), lab.new("other")
    lab.apply(name, switch=switch)
    lab.apply(other, switch=switch)
    lab.wait_condition(name, "Ready", "True")
    for agent in (one, two):  # one alone is young, and turns nothing while the other one is fine
        agent.report(problems=[problem("Registered", "CredentialsRefused", name, code=403, message="Forbidden")])
    condition = lab.wait_condition(name, "Registered", "False", "CredentialsRefused")
    pods = ", ".join(sorted((one.pod, two.pod)))
    said = f"Registered on 0 of 2 pods. {pods}: CredentialsRefused (403 Forbidden)."
    assert condition["message"].startswith(said)
    lab.wait_condition(name, "Ready", "False", "CredentialsRefused")
    lab.wait_condition(name, "Stalled", "True", "CredentialsRefused")
    lab.wait_condition(name, "Programmed", "True")
    assert columns(lab, name) == [name, switch, "external", "False", "0/2", "CredentialsRefused"]
    lab.wait_condition(other, "Ready", "True")
    one.report()
    two.report()
    lab.wait_condition(name, "Ready", "True")
    assert "Stalled" not in lab.conditions(name)
    lab.wait_event(name, "CredentialsRefused")
    lab.wait(lambda: reasons(lab, name).count("Registered") == 2, lambda: str(reasons(lab, name)))


def test_what_is_not_loaded_yet_is_not_ready(lab: Lab) -> None:
    switch, (agent,) = fleet(lab, pods=1)
    name = lab.new("loading")
    agent.report(observedResourceVersion="1")
    lab.apply(name, switch=switch)
    lab.wait_condition(name, "Programmed", "False", "Loading")
    found = lab.wait_config_map(name)
    agent.report(observedResourceVersion=found["metadata"]["resourceVersion"])
    lab.wait_condition(name, "Ready", "True")
    lab.edit(name, proxy="sip.example.net")  # the new version has a new resourceVersion
    lab.wait_condition(name, "Programmed", "False", "Loading")
    agent.report(problems=[problem("Programmed", "ConfigMapRefused", name, message="MAC")])
    lab.wait_condition(name, "Programmed", "False", "ConfigMapRefused")


def test_without_pods_nothing_is_known_and_the_first_pod_changes_that(lab: Lab) -> None:
    name, switch = lab.new("alone"), lab.new("fleet")
    lab.apply(name, switch=switch)
    condition = lab.wait_condition(name, "Ready", "Unknown", "NoSwitchPods")
    assert f"No pod in this namespace has the label sipgateway.dev/switch: {switch}." in condition["message"]
    assert columns(lab, name) == [name, switch, "external", "Unknown", "0/0", "NoSwitchPods"]
    agent = lab.agent(lab.new("fs"), switch)
    lab.wait_condition(name, "Programmed", "Unknown", "PodStarting")
    agent.settled()
    lab.wait_condition(name, "Ready", "True")
    agent.gone()
    lab.wait_condition(name, "Ready", "Unknown", "NoSwitchPods")


def test_each_change_is_an_event_and_none_is_repeated(lab: Lab) -> None:
    switch, (agent,) = fleet(lab, pods=1)
    name = lab.new("told")
    lab.apply(name, switch=switch)
    lab.wait_condition(name, "Ready", "True")
    for code in (403, 401, 403):
        agent.report(problems=[problem("Registered", "CredentialsRefused", name, code=code, message="No")])
        lab.wait(
            lambda: str(code) in lab.conditions(name)["Registered"]["message"],  # noqa: B023
            lambda: str(lab.conditions(name)),
        )
    agent.report()
    lab.wait_condition(name, "Ready", "True")
    lab.wait(lambda: reasons(lab, name).count("Registered") == 2, lambda: str(reasons(lab, name)))
    counts = Counter(reasons(lab, name))
    assert counts.pop("Registered") == 2  # it was, it was not, it is again
    assert set(counts.values()) == {1}, counts
    assert "CredentialsRefused" in counts
    described = lab.plane.kubectl("-n", lab.namespace, "describe", "sipgateway", name).stdout
    assert "CredentialsRefused" in described.partition("Events:")[2]


def test_an_apply_costs_three_status_writes_at_most(lab: Lab) -> None:
    switch, agents = fleet(lab)
    name = lab.new("cheap")
    for agent in agents:
        agent.report(observedResourceVersion="1")
    lab.apply(name, switch=switch)
    version = lab.wait_config_map(name)["metadata"]["resourceVersion"]
    for agent in agents:
        agent.report(observedResourceVersion=version)
    lab.wait_condition(name, "Ready", "True")
    mine = writes(lab, name)
    assert {(r.resource, r.subresource, r.verb) for r in mine} == {("sipgateways", "status", "patch")}
    assert len(mine) <= 3, [r.event.get("requestObject") for r in mine]


def test_twenty_applies_at_once_cost_three_status_writes_each_at_most(lab: Lab) -> None:
    switch, _ = fleet(lab)
    names = [lab.new("burst") for _ in range(20)]
    for name in names:
        lab.apply(name, switch=switch)
    for name in names:
        lab.wait_condition(name, "Ready", "True")
    counts = Counter(r.name for r in writes(lab) if r.resource == "sipgateways")
    assert all(1 <= counts[name] <= 3 for name in names), counts


def test_a_report_over_many_healthy_gateways_writes_nothing(lab: Lab) -> None:
    switch, agents = fleet(lab, pods=1)
    names = [lab.new("calm") for _ in range(10)]
    for name in names:
        lab.apply(name, switch=switch)
    for name in names:
        lab.wait_condition(name, "Ready", "True")
    before = len(writes(lab))
    for agent in agents * 3:
        agent.report()
    agents[0].report(problems=[problem("Registered", "CredentialsRefused", names[0], code=403)])
    lab.wait_condition(names[0], "Registered", "False")
    fresh = writes(lab)[before:]
    assert {r.name for r in fresh if r.resource == "sipgateways"} == {names[0]}


def test_conditions_of_others_are_kept(lab: Lab) -> None:
    switch, _ = fleet(lab)
    name = lab.new("audited")
    lab.apply(name, switch=switch)
    lab.wait_condition(name, "Ready", "True")
    conditions = lab.get("sipgateways", name)["status"]["conditions"]
    theirs = {
        "type": "example.com/Audited",
        "status": "True",
        "reason": "Audited",
        "message": "by hand",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }
    path = f"{lab.path('sipgateways', name)}/status"
    lab.plane.api.patch(path, {"status": {"conditions": [*conditions, theirs]}})
    lab.edit(name, suspend=True)
    lab.wait_condition(name, "Ready", "False", "Suspended")
    assert lab.conditions(name)["example.com/Audited"] == theirs


def test_a_status_that_somebody_changed_is_mended(lab: Lab) -> None:
    switch, _ = fleet(lab)
    name = lab.new("mended")
    lab.apply(name, switch=switch)
    lab.wait_condition(name, "Ready", "True")
    path = f"{lab.path('sipgateways', name)}/status"
    lab.plane.api.patch(path, {"status": {"conditions": [], "gatewayName": "wrong"}})
    lab.wait_condition(name, "Ready", "True")
    assert lab.get("sipgateways", name)["status"]["gatewayName"] == name


@pytest.mark.slow
def test_a_restart_over_healthy_gateways_writes_nothing(start_lab: Callable[..., Lab]) -> None:
    lab = start_lab()
    lab.secret("acme")
    operator = lab.start("--lease-seconds=3")
    switch, agents = fleet(lab)
    names = [lab.new("healthy") for _ in range(6)]
    for number, name in enumerate(names):
        lab.apply(name, switch=switch, suspend=number == 0, register=number != 1)
    for number, name in enumerate(names):
        lab.wait(partial(is_final, lab, name, ("-", "-", "2/2")[min(number, 2)]), lambda: str(lab.conditions(name)))  # noqa: B023
    for number, name in enumerate(names):
        lab.wait_event(name, "Ready" if number else "Suspended")
    before = len(writes(lab))
    operator.restart(graceful=False)
    wait_until(lambda: operator.metrics()["sipgateway_leader"] == 1 and operator.is_ready(), 20, operator.tail)
    for agent in agents:
        agent.settled()
    ready = 'sipgateway_gateways{condition="Ready",reason="Ready",status="True"}'
    wait_until(lambda: operator.metrics().get(ready) == 5, 20, operator.tail)
    time.sleep(2.2)  # for so long counts and words alone may wait
    assert [(r.verb, r.resource, r.name) for r in writes(lab)[before:]] == []


def is_final(lab: Lab, name: str, registered: str) -> bool:
    """Whether the status is what it is going to stay."""
    status = lab.get("sipgateways", name).get("status") or {}
    ready = {c["type"]: c for c in status.get("conditions", ())}.get("Ready", {})
    return status.get("registered") == registered and ready.get("reason") in {"Ready", "Suspended"}
