"""A ConfigMap of a SipGateway is written by the operator, and by nobody else; it is deleted by whoever may."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from sipgateway.api.names import API_VERSION, KIND, LABEL_NAME, LABEL_SWITCH
from tests.api.builders import CALLS, changed
from tests.controlplane.api import Api, ApiError
from tests.controlplane.plane import ControlPlane
from tests.controlplane.process import wait_until
from tests.crd import install
from tests.crd.people import OURS, bind, config_map, config_maps, denied, gateways, operator, person

POLICY = "configmaps.sipgateway.dev"


@pytest.fixture
def writer(guarded: ControlPlane) -> Iterator[Api]:
    """The operator."""
    with operator(guarded) as api:
        yield api


@pytest.fixture
def editor(guarded: ControlPlane, voice: str) -> Iterator[Api]:
    """Somebody with the role `edit` that Kubernetes ships."""
    with person(guarded, voice, "edit") as api:
        yield api


@pytest.fixture
def written(writer: Api, voice: str) -> str:
    """The path of a ConfigMap that the operator wrote."""
    writer.create(config_maps(voice), config_map("sipgateway-acme"))
    return config_maps(voice, "sipgateway-acme")


def test_the_operator_writes_changes_and_deletes_them(writer: Api, written: str) -> None:
    writer.patch(written, {"data": {"gateway.xml": "<gateway name='a'/>"}})
    writer.patch(written, {"metadata": {"labels": {LABEL_SWITCH: "other"}}})
    writer.delete(written)


def test_nobody_else_makes_one(guarded: ControlPlane, editor: Api, voice: str) -> None:
    for api in (editor, guarded.api):
        told = denied(POLICY, api.create, config_maps(voice), config_map("sipgateway-forged"))
        assert "ConfigMap sipgateway-forged carries the labels" in told
        assert "ServiceAccount sipgateway-operator of namespace sipgateway-system" in told
        assert "Change the SipGateway: the operator writes its ConfigMap anew." in told
        denied(POLICY, api.apply, config_maps(voice, "sipgateway-forged"), config_map("sipgateway-forged"))


@pytest.mark.parametrize(
    "change",
    [
        {"data": {"gateway.xml": "<gateway name='forged'/>"}},
        {"data": {"gateway.xml": None}},
        {"binaryData": {"more": "AA=="}},
        {"immutable": True},
        {"metadata": {"labels": {LABEL_SWITCH: "other"}}},
        {"metadata": {"labels": {LABEL_SWITCH: None}}},
        {"metadata": {"labels": {LABEL_NAME: None}}},
        {"metadata": {"labels": {LABEL_NAME: "other"}}},
        {"metadata": {"labels": {LABEL_NAME: None, LABEL_SWITCH: None}}},
        {"metadata": {"labels": {"example.com/mine": "yes"}}},
        {"metadata": {"annotations": {"example.com/mine": "yes"}}},
        {"metadata": {"finalizers": ["example.com/hold"]}},
        {"metadata": {"ownerReferences": [
            {"apiVersion": "v1", "kind": "ConfigMap", "name": "a", "uid": "6a1a7a5e-8d0c-4b61-9d25-7a6f0d1f5c11"}
        ]}},
    ],
    ids=lambda change: str(change)[:60],
)  # fmt: skip
def test_nobody_else_changes_one(guarded: ControlPlane, editor: Api, written: str, change: dict[str, Any]) -> None:
    before = guarded.api.get(written)
    for api in (editor, guarded.api):
        denied(POLICY, api.patch, written, change)
    assert guarded.api.get(written) == before


@pytest.mark.parametrize("label", sorted(OURS))
def test_nobody_else_gives_a_configmap_the_second_of_the_labels(editor: Api, voice: str, label: str) -> None:
    editor.create(config_maps(voice), config_map("mine", labels={label: OURS[label]}))
    editor.patch(config_maps(voice, "mine"), {"data": {"a": "1"}})
    denied(POLICY, editor.patch, config_maps(voice, "mine"), {"metadata": {"labels": OURS}})
    editor.patch(config_maps(voice, "mine"), {"metadata": {"labels": {label: None}}})


def test_a_configmap_with_the_labels_of_something_else_is_everybodys(editor: Api, voice: str) -> None:
    labels = {LABEL_SWITCH: "default", LABEL_NAME: "dashboards"}
    editor.create(config_maps(voice), config_map("mine", labels=labels))
    editor.patch(config_maps(voice, "mine"), {"data": {"a": "1"}})


def test_whoever_may_delete_configmaps_may_delete_these(editor: Api, written: str) -> None:
    editor.delete(written)


def test_a_finalizer_is_taken_away_by_whoever_may(writer: Api, editor: Api, written: str) -> None:
    writer.patch(written, {"metadata": {"finalizers": ["example.com/a", "example.com/b"]}})
    editor.delete(written)
    editor.patch(written, {"metadata": {"finalizers": ["example.com/b"]}})
    editor.patch(written, {"metadata": {"finalizers": None}})
    assert editor.find(written) is None


def test_a_rewrite_that_changes_nothing_is_free(editor: Api, guarded: ControlPlane, written: str) -> None:
    for api in (editor, guarded.api):
        api.replace(written, api.get(written))


def test_an_account_of_the_operators_name_in_another_namespace_is_not_the_operator(
    guarded: ControlPlane, voice: str
) -> None:
    account = {"metadata": {"name": install.OPERATOR_ACCOUNT}}
    guarded.api.create(f"/api/v1/namespaces/{voice}/serviceaccounts", account)
    bind(guarded, voice, "false-operator", "edit", {
        "kind": "ServiceAccount", "name": install.OPERATOR_ACCOUNT, "namespace": voice
    })  # fmt: skip
    with guarded.api_as(guarded.kubeconfig_for(voice, install.OPERATOR_ACCOUNT)) as false:
        denied(POLICY, false.create, config_maps(voice), config_map("sipgateway-forged"))


@pytest.mark.parametrize("propagation", ["Background", "Foreground", "Orphan"])
def test_it_goes_or_stays_with_its_sipgateway_as_kubectl_asks(
    guarded: ControlPlane, writer: Api, voice: str, propagation: str
) -> None:
    spec = {"apiVersion": API_VERSION, "kind": KIND, "metadata": {"name": "acme"}, "spec": changed(CALLS)}
    gateway = guarded.api.create(gateways(voice), spec)
    owner = {"apiVersion": API_VERSION, "kind": KIND, "name": "acme", "uid": gateway["metadata"]["uid"]}
    owners = [{**owner, "controller": True, "blockOwnerDeletion": False}]
    writer.create(config_maps(voice), config_map("sipgateway-acme", ownerReferences=owners))
    guarded.api.delete(gateways(voice, "acme"), propagationPolicy=propagation)
    _wait_until_gone(guarded, gateways(voice, "acme"))
    if propagation == "Orphan":
        assert "ownerReferences" not in guarded.api.get(config_maps(voice, "sipgateway-acme"))["metadata"]
    else:
        _wait_until_gone(guarded, config_maps(voice, "sipgateway-acme"))


def test_a_configmap_that_is_deleted_without_its_own_goes_too(guarded: ControlPlane, editor: Api, written: str) -> None:
    editor.delete(written, propagationPolicy="Orphan")
    _wait_until_gone(guarded, written)


def test_a_namespace_is_deleted_with_its_configmaps(guarded: ControlPlane, writer: Api) -> None:
    namespace = guarded.create_namespace()
    writer.create(config_maps(namespace), config_map("sipgateway-acme"))
    guarded.delete_namespace(namespace)
    _wait_until_gone(guarded, f"/api/v1/namespaces/{namespace}")


def test_the_policy_is_about_the_operator_that_it_names(guarded: ControlPlane, writer: Api, voice: str) -> None:
    other = {"operator_namespace": voice, "account": "telephony"}
    install.install_rbac(guarded, other["operator_namespace"], namespaces=[voice], account=other["account"])
    with guarded.api_as(guarded.kubeconfig_for(voice, "telephony")) as telephony:
        denied(POLICY, telephony.create, config_maps(voice), config_map("sipgateway-acme"))
        try:
            install.install_policies(guarded, **other)
            wait_until(lambda: _may_create(telephony, voice), 20, lambda: "the policy still names the other operator")
            assert f"ServiceAccount telephony of namespace {voice}" in denied(
                POLICY, writer.create, config_maps(voice), config_map("sipgateway-acme")
            )
        finally:
            install.install_policies(guarded)
            wait_until(lambda: _may_create(writer, voice), 20, lambda: "the policy does not name the operator again")


def _may_create(api: Api, namespace: str) -> bool:
    try:
        api.create(config_maps(namespace), config_map("probe"), dryRun="All")
    except ApiError:
        return False
    return True


def _wait_until_gone(plane: ControlPlane, path: str) -> None:
    wait_until(lambda: plane.api.find(path) is None, 30, lambda: f"{path} is still there: {plane.api.find(path)}")
