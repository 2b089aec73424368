"""One namespace or several (all of them: test_rbac.py): what is wrong with one of them is no trouble of the others."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.controlplane.operators import Operator
from tests.controlplane.process import wait_until
from tests.kube.lab import Lab

ROLES = "/apis/rbac.authorization.k8s.io/v1/namespaces/{}/roles/sipgateway-operator"


def works_in(lab: Lab) -> None:
    """The operator sees what is done to every kind of object in this namespace, and acts on it."""
    name, secret = lab.new("probe"), lab.new("secret")
    lab.apply(name, passwordFrom={"secretKeyRef": {"name": secret, "key": "password"}})
    lab.wait_condition(name, "Accepted", "False")
    lab.secret(secret)
    lab.wait_condition(name, "Accepted", "True")
    lab.edit(name, proxy="sip.example.net")
    lab.wait_config_map(name, lambda found: "sip.example.net" in found["data"]["gateway.xml"])
    lab.delete(name)
    lab.wait_gone(name)


def ignored_in(lab: Lab) -> str:
    """A SipGateway in a namespace that the operator must not act in."""
    name = lab.new("ignored")
    lab.apply(name, register=False, passwordFrom=None)
    return name


def several(lab: Lab, *namespaces: str, wait: bool = True) -> Operator:
    where = [f"--namespace={name}" for name in namespaces]
    return lab.operators(lab.kubeconfig, *where, f"--lease-namespace={lab.namespace}", wait=wait)


def unreadable(operator: Operator) -> float:
    return operator.metrics()["sipgateway_unreadable_collections"]


def test_several_namespaces_are_served_and_no_other(start_lab: Callable[..., Lab]) -> None:
    one, two, other = start_lab(), start_lab(), start_lab()
    several(one, one.namespace, two.namespace)
    name = ignored_in(other)
    works_in(one)
    works_in(two)
    assert other.config_map(name) is None
    assert not other.conditions(name)


def test_many_namespaces_leave_connections_for_the_work(start_lab: Callable[..., Lab]) -> None:
    """Each takes six watches for as long as it is served."""
    labs = [start_lab() for _ in range(9)]
    several(labs[0], *(lab.namespace for lab in labs))
    for lab in (labs[0], labs[-1]):
        works_in(lab)


def test_a_namespace_without_rights_holds_up_no_other_and_is_served_when_it_has_them(
    start_lab: Callable[..., Lab],
) -> None:
    one, two = start_lab(), start_lab()
    path = ROLES.format(two.namespace)
    kept = two.plane.api.get(path)["rules"]
    two.plane.api.patch(path, {"rules": []})
    operator = several(one, one.namespace, two.namespace)
    works_in(one)
    name = ignored_in(two)
    assert unreadable(operator) > 0
    told = [e for e in operator.logs() if e.get("namespace") == two.namespace and "cannot be read" in e["message"]]
    assert told
    assert all("forbidden" in entry["message"].lower() for entry in told)
    assert two.config_map(name) is None
    two.plane.api.patch(path, {"rules": kept})
    two.wait_config_map(name, seconds=30)
    works_in(two)
    wait_until(lambda: unreadable(operator) == 0, 20, operator.tail)
    assert len(operator.logs()) < 60  # it does not tell each try


def test_a_namespace_that_loses_its_rights_keeps_what_it_has(start_lab: Callable[..., Lab]) -> None:
    one, two = start_lab(), start_lab()
    operator = several(one, one.namespace, two.namespace)
    name = ignored_in(two)
    before = two.wait_config_map(name)
    path = ROLES.format(two.namespace)
    kept = two.plane.api.get(path)["rules"]
    two.plane.api.patch(path, {"rules": []})
    two.edit(name, proxy="sip.example.net")  # a running watch tells of it; the write is refused
    two.wait(lambda: any("forbidden" in e["message"] for e in operator.logs()), lambda: "no word of what is refused")
    works_in(one)
    assert (two.config_map(name) or {})["metadata"]["uid"] == before["metadata"]["uid"]
    two.plane.api.patch(path, {"rules": kept})
    two.wait_config_map(name, lambda found: "sip.example.net" in found["data"]["gateway.xml"], seconds=90)


def test_a_single_namespace_without_rights_is_not_ready_and_says_why(start_lab: Callable[..., Lab]) -> None:
    lab = start_lab()
    path = ROLES.format(lab.namespace)
    kept = lab.plane.api.get(path)["rules"]
    lab.plane.api.patch(path, {"rules": [rule for rule in kept if rule["resources"] != ["configmaps"]]})
    operator = lab.start(wait=False)
    operator.wait_for_log(lambda entry: "ConfigMaps" in entry["message"] and "cannot be read" in entry["message"], 20)
    status, why = operator.get("/readyz")
    assert status == 503
    assert "ConfigMaps" in why
    assert lab.namespace in why
    name = ignored_in(lab)  # nothing is judged while something is not known
    lab.plane.api.patch(path, {"rules": kept})
    lab.wait_config_map(name, seconds=30)
    wait_until(operator.is_ready, 20, operator.tail)


def test_a_namespace_that_is_not_there_holds_up_no_other_and_is_served_when_it_comes(
    start_lab: Callable[..., Lab],
) -> None:
    one = start_lab()
    coming = f"{one.namespace}-later"
    operator = several(one, one.namespace, coming)
    works_in(one)
    one.plane.create_namespace(coming)
    later = start_lab(namespace=coming)
    works_in(later)
    wait_until(lambda: unreadable(operator) == 0, 20, operator.tail)


@pytest.mark.slow
def test_a_namespace_that_is_deleted_and_made_again(start_lab: Callable[..., Lab]) -> None:
    one, two = start_lab(), start_lab()
    operator = several(one, one.namespace, two.namespace)
    two.secret("acme")
    two.apply("acme")
    two.wait_config_map("acme")
    two.plane.delete_namespace(two.namespace)
    path = f"/api/v1/namespaces/{two.namespace}"
    wait_until(lambda: two.plane.api.find(path) is None, 60, lambda: f"{two.namespace} stays")
    works_in(one)
    two.plane.create_namespace(two.namespace)
    again = start_lab(namespace=two.namespace)
    works_in(again)
    assert [entry for entry in operator.logs() if "exception" in entry] == []
