"""A SipSwitch is written by the agent in the pod of that name, and by nobody else; it is deleted by whoever may."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from sipgateway.api.names import LABEL_SWITCH
from tests.controlplane.api import Api
from tests.controlplane.kubelet import delete_pod
from tests.controlplane.plane import ControlPlane
from tests.controlplane.process import wait_until
from tests.crd.people import bind, denied, may_write_switches, person, switch, switch_pod, switches

POLICY = "sipswitches.sipgateway.dev"
STATUS = {"status": {"heartbeat": "2026-01-01T00:00:00Z", "phase": "Running"}}


@pytest.fixture
def pod(guarded: ControlPlane, voice: str) -> Iterator[tuple[dict[str, Any], Api]]:
    """The pod sw-0 and the agent in it."""
    pod, agent = switch_pod(guarded, voice, "sw-0")
    with agent:
        yield pod, agent


@pytest.fixture
def written(pod: tuple[dict[str, Any], Api], voice: str) -> tuple[dict[str, Any], Api]:
    """The same, with its SipSwitch."""
    pod[1].create(switches(voice), switch(pod[0]))
    return pod


def test_an_agent_writes_the_sipswitch_of_its_own_pod(pod: tuple[dict[str, Any], Api], voice: str) -> None:
    made, agent = pod
    agent.create(switches(voice), switch(made))
    agent.patch(switches(voice, "sw-0", "status"), STATUS)
    agent.patch(switches(voice, "sw-0"), {"metadata": {"annotations": {"example.com/rack": "7"}}})
    assert agent.get(switches(voice, "sw-0"))["status"] == STATUS["status"]


def test_an_agent_makes_its_sipswitch_by_server_side_apply(pod: tuple[dict[str, Any], Api], voice: str) -> None:
    made, agent = pod
    agent.apply(switches(voice, "sw-0"), switch(made), manager="sipgateway-agent")
    status = {**switch(made), **STATUS}
    del status["metadata"]["labels"], status["metadata"]["ownerReferences"]
    agent.apply(switches(voice, "sw-0", "status"), status, manager="sipgateway-agent")
    assert agent.get(switches(voice, "sw-0"))["status"] == STATUS["status"]


def test_not_even_a_cluster_admin_writes_one(
    guarded: ControlPlane, written: tuple[dict[str, Any], Api], voice: str
) -> None:
    made = {**switch(written[0]), "metadata": {**switch(written[0])["metadata"], "name": "sw-1"}}
    told = denied(POLICY, guarded.api.create, switches(voice), made)
    assert "only by the agent in the pod of that name" in told
    assert "yours is bound to none" in told
    denied(POLICY, guarded.api.patch, switches(voice, "sw-0", "status"), STATUS)
    denied(POLICY, guarded.api.patch, switches(voice, "sw-0"), {"metadata": {"labels": {"a": "b"}}})
    denied(POLICY, guarded.api.patch, switches(voice, "sw-0"), {"metadata": {"finalizers": ["example.com/hold"]}})
    denied(POLICY, guarded.api.patch, switches(voice, "sw-0"), {"metadata": {"ownerReferences": None}})


def test_an_editor_of_the_namespace_with_every_right_on_them_writes_none(
    guarded: ControlPlane, written: tuple[dict[str, Any], Api], voice: str
) -> None:
    with person(guarded, voice, "edit") as editor:
        may_write_switches(guarded, voice, {"kind": "User", "name": f"edit-of-{voice}"})
        denied(POLICY, editor.patch, switches(voice, "sw-0", "status"), STATUS)
        denied(POLICY, editor.patch, switches(voice, "sw-0"), {"metadata": {"labels": {LABEL_SWITCH: "other"}}})
        editor.delete(switches(voice, "sw-0"))


def test_an_agent_writes_no_sipswitch_of_another_pod(
    guarded: ControlPlane, written: tuple[dict[str, Any], Api], voice: str
) -> None:
    other, agent = switch_pod(guarded, voice, "sw-1")
    with agent:
        told = denied(POLICY, agent.patch, switches(voice, "sw-0", "status"), STATUS)
        assert "yours is bound to pod sw-1" in told
        disguised = switch(written[0], name="sw-2")
        denied(POLICY, agent.create, switches(voice), disguised)
        agent.create(switches(voice), switch(other))


def test_a_token_that_is_bound_to_no_pod_writes_none(
    guarded: ControlPlane, pod: tuple[dict[str, Any], Api], voice: str
) -> None:
    account = pod[0]["spec"]["serviceAccountName"]
    with guarded.api_as(guarded.kubeconfig_for(voice, account)) as unbound:
        denied(POLICY, unbound.create, switches(voice), switch(pod[0]))


def test_a_pod_of_the_same_name_in_another_namespace_writes_none(
    guarded: ControlPlane, pod: tuple[dict[str, Any], Api], voice: str
) -> None:
    elsewhere = guarded.create_namespace()
    twin, agent = switch_pod(guarded, elsewhere, "sw-0")
    account = {"kind": "ServiceAccount", "name": twin["spec"]["serviceAccountName"], "namespace": elsewhere}
    may_write_switches(guarded, voice, account)
    with agent:
        denied(POLICY, agent.create, switches(voice), switch(pod[0]))
        denied(POLICY, agent.create, switches(voice), switch(twin))
    guarded.delete_namespace(elsewhere)


@pytest.mark.parametrize(
    "change",
    [
        [],
        [{"uid": "6a1a7a5e-8d0c-4b61-9d25-7a6f0d1f5c11"}],
        [{"kind": "ReplicaSet", "apiVersion": "apps/v1"}],
        [{"name": "sw-1"}],
        [{}, {"kind": "ConfigMap", "name": "keeper", "uid": "6a1a7a5e-8d0c-4b61-9d25-7a6f0d1f5c11"}],
    ],
    ids=["none", "another pod's uid", "another kind", "another name", "a second owner"],
)
def test_it_is_owned_by_the_pod_alone(
    pod: tuple[dict[str, Any], Api], voice: str, change: list[dict[str, str]]
) -> None:
    made, agent = pod
    owner = switch(made)["metadata"]["ownerReferences"][0]
    wrong = switch(made, ownerReferences=[{**owner, **one} for one in change])
    told = denied(POLICY, agent.create, switches(voice), wrong)
    assert "must have one ownerReference, to the pod that writes it" in told
    assert made["metadata"]["uid"] in told


@pytest.mark.parametrize("labels", [{}, {LABEL_SWITCH: ""}, {"app": "default"}])
def test_it_names_its_fleet(pod: tuple[dict[str, Any], Api], voice: str, labels: dict[str, str]) -> None:
    told = denied(POLICY, pod[1].create, switches(voice), switch(pod[0], labels=labels))
    assert "must have the label sipgateway.dev/switch" in told


def test_its_owner_and_its_fleet_never_change(written: tuple[dict[str, Any], Api], voice: str) -> None:
    made, agent = written
    path = switches(voice, "sw-0")
    owner = switch(made)["metadata"]["ownerReferences"][0]
    for change in (
        {"labels": {LABEL_SWITCH: "other"}},
        {"labels": {LABEL_SWITCH: None}},
        {"ownerReferences": None},
        {"ownerReferences": [{**owner, "blockOwnerDeletion": True}]},
        {"ownerReferences": [{**owner, "controller": True}]},
    ):
        denied(POLICY, agent.patch, path, {"metadata": change})
    assert "keeps its ownerReference and its label" in denied(
        POLICY, agent.patch, path, {"metadata": {"labels": {LABEL_SWITCH: "other"}}}
    )


def test_it_goes_with_its_pod(guarded: ControlPlane, written: tuple[dict[str, Any], Api], voice: str) -> None:
    delete_pod(guarded.api, voice, "sw-0")
    _wait_until_gone(guarded, switches(voice, "sw-0"))


def test_a_new_pod_of_the_same_name_waits_for_the_old_ones_to_go(
    guarded: ControlPlane, written: tuple[dict[str, Any], Api], voice: str
) -> None:
    path = switches(voice, "sw-0")
    written[1].patch(path, {"metadata": {"finalizers": ["example.com/late"]}})
    delete_pod(guarded.api, voice, "sw-0")
    pod, agent = switch_pod(guarded, voice, "sw-0")
    with agent:
        told = denied(POLICY, agent.patch, switches(voice, "sw-0", "status"), STATUS)
        assert "Is it of an earlier pod of that name? Then it is removed in a moment: try again." in told
        guarded.api.patch(path, {"metadata": {"finalizers": None}})
        _wait_until_gone(guarded, path)
        agent.create(switches(voice), switch(pod))
        agent.patch(switches(voice, "sw-0", "status"), STATUS)


def test_a_pod_may_be_deleted_without_what_it_owns(
    guarded: ControlPlane, written: tuple[dict[str, Any], Api], voice: str
) -> None:
    guarded.api.delete(f"/api/v1/namespaces/{voice}/pods/sw-0", propagationPolicy="Orphan", gracePeriodSeconds=0)
    _wait_until_gone(guarded, f"/api/v1/namespaces/{voice}/pods/sw-0")
    left = guarded.api.get(switches(voice, "sw-0"))
    assert "ownerReferences" not in left["metadata"]
    guarded.api.delete(switches(voice, "sw-0"))


def test_a_rewrite_that_changes_nothing_is_free(
    guarded: ControlPlane, written: tuple[dict[str, Any], Api], voice: str
) -> None:
    written[1].patch(switches(voice, "sw-0", "status"), STATUS)
    found = guarded.api.get(switches(voice, "sw-0"))
    guarded.api.replace(switches(voice, "sw-0"), found)
    guarded.api.replace(switches(voice, "sw-0", "status"), found)


def test_a_namespace_is_deleted_with_its_sipswitches(guarded: ControlPlane) -> None:
    namespace = guarded.create_namespace()
    pod, agent = switch_pod(guarded, namespace, "sw-0")
    with agent:
        agent.create(switches(namespace), switch(pod))
    guarded.delete_namespace(namespace)
    _wait_until_gone(guarded, f"/api/v1/namespaces/{namespace}")


def test_who_may_view_the_namespace_sees_them(
    guarded: ControlPlane, written: tuple[dict[str, Any], Api], voice: str
) -> None:
    bind(guarded, voice, "seer", "view", {"kind": "User", "name": "seer"})
    with guarded.api_as(guarded.kubeconfig_of_user("seer")) as seer:
        wait_until(lambda: len(_list(seer, voice)) == 1, 10, lambda: "the role `view` does not show SipSwitches")


def _list(api: Api, namespace: str) -> list[Any]:
    found = api.find(switches(namespace, "sw-0"))
    return [found] if found else []


def _wait_until_gone(plane: ControlPlane, path: str) -> None:
    wait_until(lambda: plane.api.find(path) is None, 30, lambda: f"{path} is still there: {plane.api.find(path)}")
