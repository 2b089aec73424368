"""Gateway names are global to a fleet: who has one, who gets it next, and never two ConfigMaps of the same one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.controlplane.process import wait_until
from tests.kube.lab import Lab, Obj, carried


@pytest.fixture
def watched(lab: Lab) -> Iterator[Lab]:
    """The lab, watched by somebody else: at no moment have two ConfigMaps of a fleet had the same gateway name."""
    with lab.plane.record(lab.path("configmaps")) as recorder:
        yield lab
        lab.fence(lab.new("fleet"))
    assert_never_twice(recorder.start_items, recorder.events())


def assert_never_twice(start: list[Obj], events: list[Obj]) -> None:
    """Replays what a watcher saw."""
    there = {obj["metadata"]["name"]: place(obj) for obj in start}
    for event in events:
        name = event["object"]["metadata"]["name"]
        if event["type"] == "DELETED":
            there.pop(name, None)
        else:
            there[name] = place(event["object"])
        names = [one for one in there.values() if one is not None]
        assert len(names) == len(set(names)), f"twice at {event['object']['metadata']['resourceVersion']}: {there}"


def place(obj: Obj) -> tuple[str, str] | None:
    """The fleet and the name that a ConfigMap of ours carries."""
    switch = (obj["metadata"].get("labels") or {}).get("sipgateway.dev/switch")
    name = carried(obj)
    return (switch, name) if switch and name else None


def make(lab: Lab, switch: str, *names: str, **spec: Any) -> list[str]:
    """SipGateways with these gateway names, each with its ConfigMap."""
    made = []
    for gateway in names:
        made.append(lab.new("g"))
        lab.apply(made[-1], switch=switch, gatewayName=gateway, **spec)
        lab.wait_gateway(made[-1], gateway)
    return made


def age(lab: Lab, name: str) -> str:
    created: str = lab.get("sipgateways", name)["metadata"]["creationTimestamp"]
    return created


def older_and_younger(lab: Lab, apply: Callable[[str], object]) -> tuple[str, str]:
    """Two SipGateways of different seconds; the older one's name comes last, so that only its age can help it."""
    old, young = f"z-{lab.new('old')}", f"a-{lab.new('young')}"
    apply(old)
    born = age(lab, old)

    def later() -> bool:
        probe = lab.apply(lab.new("clock"), switch=lab.new("fleet"), suspend=True)
        lab.delete(probe["metadata"]["name"])
        return bool(probe["metadata"]["creationTimestamp"] > born)

    wait_until(later, 5, lambda: "the clock stands still", every=0.1)
    apply(young)
    return old, young


def test_the_older_one_has_the_name_and_the_other_is_told_whom_it_lost_to(watched: Lab) -> None:
    lab, switch = watched, watched.new("fleet")
    old, young = older_and_younger(lab, lambda name: lab.apply(name, switch=switch, gatewayName="x"))
    lab.wait_gateway(old, "x")
    condition = lab.wait_condition(young, "Accepted", "False", "GatewayNameTaken")
    assert f"{lab.namespace}/{old}" in condition["message"]
    assert lab.config_map(young) is None
    lab.wait_condition(old, "Accepted", "True")


@pytest.mark.parametrize("how", ["deleted", "suspended", "renamed", "moved"])
def test_the_next_one_takes_over_when_the_name_is_free(watched: Lab, how: str) -> None:
    lab, switch = watched, watched.new("fleet")
    old, young = older_and_younger(lab, lambda name: lab.apply(name, switch=switch, gatewayName="x"))
    lab.wait_condition(young, "Accepted", "False", "GatewayNameTaken")
    match how:
        case "deleted":
            lab.delete(old)
        case "suspended":
            lab.edit(old, suspend=True)
        case "renamed":
            lab.edit(old, gatewayName="y")
        case _:
            lab.edit(old, switch=lab.new("fleet"))
    lab.wait_gateway(young, "x")
    lab.wait_condition(young, "Accepted", "True")
    if how in {"suspended", "renamed", "moved"}:  # the older one comes back, and the name is its own
        lab.edit(old, suspend=None, gatewayName="x", switch=switch)
        lab.wait_gateway(old, "x")
        lab.wait_condition(young, "Accepted", "False", "GatewayNameTaken")
        lab.wait_gone(young)


def test_of_the_same_age_the_first_by_name_has_it(watched: Lab) -> None:
    lab = watched
    switch, stem = lab.new("fleet"), lab.new("tie")
    for stem in (lab.new("tie") for _ in range(20)):
        switch = lab.new("fleet")
        lab.apply(f"{stem}-b", switch=switch, gatewayName="x")
        lab.apply(f"{stem}-a", switch=switch, gatewayName="x")
        if age(lab, f"{stem}-a") == age(lab, f"{stem}-b"):
            break
    assert age(lab, f"{stem}-a") == age(lab, f"{stem}-b")
    lab.wait_gateway(f"{stem}-a", "x")
    lab.wait_condition(f"{stem}-b", "Accepted", "False", "GatewayNameTaken")
    lab.wait_gone(f"{stem}-b")


def test_an_older_one_that_is_not_accepted_takes_no_name(watched: Lab) -> None:
    lab, switch, secret = watched, watched.new("fleet"), watched.new("secret")

    def apply(name: str) -> None:
        which = secret if name.startswith("z-") else "acme"
        lab.apply(
            name, switch=switch, gatewayName="x", passwordFrom={"secretKeyRef": {"name": which, "key": "password"}}
        )

    old, young = older_and_younger(lab, apply)
    lab.wait_gateway(young, "x")
    lab.wait_condition(young, "Accepted", "True")
    lab.wait_condition(old, "Accepted", "False", "SecretMissing")
    lab.secret(secret)  # now it is accepted, and the older one
    lab.wait_gateway(old, "x")
    lab.wait_condition(young, "Accepted", "False", "GatewayNameTaken")
    lab.wait_gone(young)


def test_one_that_is_refused_keeps_the_name_that_it_was_last_good_for(watched: Lab) -> None:
    lab, switch, secret = watched, watched.new("fleet"), watched.new("secret")
    lab.secret(secret)
    lab.apply(
        old := f"a-{lab.new('old')}",
        switch=switch,
        gatewayName="x",
        passwordFrom={"secretKeyRef": {"name": secret, "key": "password"}},
    )
    lab.wait_gateway(old, "x")
    lab.delete(secret, "secrets")
    lab.wait_condition(old, "Accepted", "False", "SecretMissing")
    lab.edit(old, gatewayName="y")
    lab.wait_condition(old, "Programmed", "False", "HeldLastGood")
    assert carried(lab.config_map(old) or {}) == "x"
    young = f"b-{lab.new('young')}"
    lab.apply(young, switch=switch, gatewayName="x")
    condition = lab.wait_condition(young, "Accepted", "False", "GatewayNameTaken")
    assert "last good" in condition["message"]
    assert lab.config_map(young) is None
    lab.secret(secret)
    lab.wait_gateway(old, "y")
    lab.wait_gateway(young, "x")


def test_two_swap_their_names(watched: Lab) -> None:
    lab, switch = watched, watched.new("fleet")
    a, b = make(lab, switch, "x", "y")
    lab.edit(a, gatewayName="y")
    lab.edit(b, gatewayName="x")
    lab.wait_gateway(a, "y")
    lab.wait_gateway(b, "x")
    for name, gateway in ((a, "y"), (b, "x")):
        lab.wait_condition(name, "Accepted", "True")
        lab.wait_condition(name, "Programmed", "Unknown", "NoSwitchPods")
        assert lab.verified(name).name == gateway
        assert "ConfigMapRestored" not in [e["reason"] for e in lab.events(name)]


def test_three_pass_their_names_round(watched: Lab) -> None:
    lab, switch = watched, watched.new("fleet")
    made = make(lab, switch, "x", "y", "z")
    for turn in ("yzx", "zxy", "xyz", "zyx"):
        for name, gateway in zip(made, turn, strict=True):
            lab.edit(name, gatewayName=gateway)
        for name, gateway in zip(made, turn, strict=True):
            lab.wait_gateway(name, gateway)
            lab.wait_condition(name, "Accepted", "True")


def test_a_chain_of_renames_waits_for_its_end(watched: Lab) -> None:
    lab, switch = watched, watched.new("fleet")
    made = make(lab, switch, "w", "x", "y", "z")
    for name, gateway in zip(made, ("x", "y", "z", "last"), strict=True):
        lab.edit(name, gatewayName=gateway)
    for name, gateway in zip(made, ("x", "y", "z", "last"), strict=True):
        lab.wait_gateway(name, gateway)
        lab.wait_condition(name, "Accepted", "True")


def test_the_same_name_on_two_fleets_is_no_conflict_and_two_may_change_places(watched: Lab) -> None:
    lab, one, two = watched, watched.new("fleet"), watched.new("fleet")
    (a,), (b,) = make(lab, one, "x"), make(lab, two, "x")
    lab.edit(a, switch=two)
    lab.edit(b, switch=one)
    lab.wait_config_map(a, lambda found: place(found) == (two, "x"))
    lab.wait_config_map(b, lambda found: place(found) == (one, "x"))
    assert {lab.verified(a).name, lab.verified(b).name} == {"x"}


def test_names_that_differ_in_case_are_two(watched: Lab) -> None:
    lab, switch = watched, watched.new("fleet")
    a, b = make(lab, switch, "Acme", "acme")
    assert {lab.verified(a).name, lab.verified(b).name} == {"Acme", "acme"}


def test_a_new_operator_lets_no_older_refused_one_take_a_name(start_lab: Callable[..., Lab]) -> None:
    lab, switch = start_lab(), "default"
    lab.secret("acme")

    def apply(name: str) -> None:
        which = "missing" if name.startswith("z-") else "acme"
        lab.apply(
            name, switch=switch, gatewayName="x", passwordFrom={"secretKeyRef": {"name": which, "key": "password"}}
        )

    _, young = older_and_younger(lab, apply)
    operator = lab.start("--lease-seconds=3")
    found = lab.wait_gateway(young, "x")
    lab.wait_condition(young, "Accepted", "True")
    operator.kill()
    with lab.plane.record(lab.path("configmaps")) as recorder:
        lab.start("--lease-seconds=3")
        lab.fence(switch)
    touched = [e for e in recorder.events() if e["object"]["metadata"]["uid"] == found["metadata"]["uid"]]
    assert touched == []
