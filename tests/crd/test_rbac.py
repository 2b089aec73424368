"""What is shipped in manifests/: each rule with its reason, the least of rights, applied cleanly under any names."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from sipgateway.api.names import API_VERSION, KIND, LABEL_KEYS, LABEL_SWITCH
from tests.api.builders import CALLS, changed
from tests.controlplane.api import Api, ApiError
from tests.controlplane.plane import ControlPlane
from tests.controlplane.process import wait_until
from tests.crd import install
from tests.crd.people import config_maps, gateways, keys_secret, operator, person, secrets, switch_pod, switches

FILES = sorted((*install.INSTALL.glob("*.yaml"), install.AGENT))
RBAC = [path for path in FILES if path.name != "policies.yaml"]

#: Everything that the operator does on the API, and nothing else: (group, resource, verbs).
OPERATOR = {
    ("sipgateway.dev", "sipgateways", "get list watch"),
    ("sipgateway.dev", "sipgateways/status", "patch"),
    ("sipgateway.dev", "sipswitches", "list watch"),
    ("", "pods", "list watch"),
    ("", "secrets", "create get list patch watch"),
    ("", "configmaps", "create delete get list patch watch"),
    ("", "events", "create"),
}


def rules(manifests: list[install.Manifest], kind: str) -> list[dict[str, Any]]:
    """The rules of the Roles or ClusterRoles among the objects."""
    return [rule for manifest in manifests if manifest["kind"] == kind for rule in manifest["rules"]]


@pytest.mark.parametrize("path", RBAC, ids=lambda path: path.name)
def test_every_rule_has_its_reason_in_a_comment_above_it(path: Path) -> None:
    lines = path.read_text("utf-8").splitlines()
    found = [number for number, line in enumerate(lines) if re.match(r"  - apiGroups:", line)]
    assert len(found) == sum(len(manifest.get("rules", ())) for manifest in install.shipped(path))
    for number in found:
        assert re.match(r"  # .{20,}", lines[number - 1]), f"{path.name}:{number + 1} has no reason"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_no_rule_and_no_subject_is_wider_than_it_must_be(path: Path) -> None:
    for manifest in install.shipped(path):
        for rule in manifest.get("rules", ()):
            assert "*" not in {*rule["apiGroups"], *rule["resources"], *rule["verbs"]}
        for subject in manifest.get("subjects", ()):
            assert subject["kind"] == "ServiceAccount"


def test_the_operator_may_do_what_it_does_and_nothing_else() -> None:
    found = {
        (group, resource, " ".join(sorted(rule["verbs"])))
        for rule in rules(install.rbac(cluster=True), "ClusterRole")
        for group in rule["apiGroups"]
        for resource in rule["resources"]
    }
    assert found == OPERATOR


def test_one_namespace_and_the_whole_cluster_give_the_same_rights() -> None:
    assert rules(install.shipped(install.INSTALL / "rbac-namespaced.yaml"), "Role") == rules(
        install.shipped(install.INSTALL / "rbac-cluster.yaml"), "ClusterRole"
    )


def test_the_lease_is_the_only_thing_in_the_operators_own_namespace_and_has_its_name() -> None:
    create, hold = rules(install.rbac(namespaces=["voice"]), "Role")[:2]
    assert create == {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["create"]}
    assert hold["resourceNames"] == ["sipgateway-operator"]
    assert hold["verbs"] == ["get", "patch"]


def test_an_agent_gets_one_secret_by_its_name() -> None:
    wanted = [
        rule for rule in rules(install.agent_rbac("voice", "frankfurt"), "Role") if rule["resources"] == ["secrets"]
    ]
    assert wanted == [
        {"apiGroups": [""], "resources": ["secrets"], "resourceNames": ["sipgateway-frankfurt-keys"], "verbs": ["get"]}
    ]


def test_names_of_tests_replace_all_that_is_shipped() -> None:
    manifests = [
        *install.rbac("telephony", namespaces=["a", "b"], account="op"),
        *install.rbac("telephony", cluster=True, account="op"),
        *install.policies("telephony", "op"),
        *install.agent_rbac("a", "frankfurt"),
    ]
    text = yaml.safe_dump_all(manifests)
    assert "sipgateway-system" not in text
    assert "sipgateway-default" not in text
    assert "namespace: voice" not in text
    accounts = [manifest for manifest in manifests if manifest["kind"] == "ServiceAccount"]
    assert {account["metadata"]["name"] for account in accounts} == {"op", "sipgateway-frankfurt-agent"}
    subjects = [subject for manifest in manifests for subject in manifest.get("subjects", ())]
    assert {(s["namespace"], s["name"]) for s in subjects} == {("telephony", "op"), ("a", "sipgateway-frankfurt-agent")}


# On the API server


@pytest.fixture(scope="module")
def watched(guarded: ControlPlane) -> Iterator[str]:
    """A namespace that an operator of its own watches, by a Role."""
    namespace = guarded.create_namespace()
    install.install_rbac(guarded, "telephony", namespaces=[namespace], account="namespaced")
    yield namespace
    guarded.delete_namespace(namespace)


@pytest.fixture
def namespaced(guarded: ControlPlane, watched: str) -> Iterator[Api]:
    """That operator."""
    with guarded.api_as(guarded.kubeconfig_for("telephony", "namespaced")) as api:
        yield api


def test_every_file_applies_cleanly_and_a_second_time(guarded: ControlPlane) -> None:
    guarded.create_namespace("voice")
    commands = [
        ("--kustomize", install.INSTALL),
        *(("--filename", path) for path in FILES if path.name != "kustomization.yaml"),
    ]
    for _ in range(2):
        for option, path in commands:
            namespace = ["--namespace", "voice"] if path.name == "rbac-namespaced.yaml" else []
            done = guarded.kubectl("apply", "--server-side", "--force-conflicts", *namespace, option, path)
            assert "Warning" not in done.stderr, done.stderr
    guarded.delete_namespace("voice")


def test_the_api_server_finds_no_mistake_in_the_policies(guarded: ControlPlane) -> None:
    path = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies"

    def checked() -> bool:
        items = guarded.api.get(path)["items"]
        return all(item["status"].get("observedGeneration") == item["metadata"]["generation"] for item in items)

    wait_until(checked, 30, lambda: "the policies' types are not checked")
    policies = guarded.api.get(path)["items"]
    assert {policy["metadata"]["name"] for policy in policies} == {
        f"{kind}.sipgateway.dev" for kind in ("sipswitches", "configmaps", "secrets")
    }
    for policy in policies:
        assert policy["spec"]["failurePolicy"] == "Fail"
        assert "expressionWarnings" not in policy["status"].get("typeChecking", {}), policy["status"]


def test_the_operator_of_a_namespace_does_its_work_there_and_nowhere_else(
    guarded: ControlPlane, namespaced: Api, watched: str
) -> None:
    spec = {"apiVersion": API_VERSION, "kind": KIND, "metadata": {"name": "acme"}, "spec": changed(CALLS)}
    guarded.api.create(gateways(watched), spec)
    namespaced.get(gateways(watched))
    namespaced.patch(gateways(watched, "acme", "status"), {"status": {"registered": "-"}})
    namespaced.get(switches(watched))
    namespaced.get(f"/api/v1/namespaces/{watched}/pods", labelSelector=LABEL_SWITCH)
    namespaced.get(secrets(watched), labelSelector=LABEL_KEYS)
    namespaced.create(f"/api/v1/namespaces/{watched}/events", _event(watched))
    lease = "/apis/coordination.k8s.io/v1/namespaces/telephony/leases"
    namespaced.create(lease, {"metadata": {"name": "sipgateway-operator"}, "spec": {"holderIdentity": "a"}})
    namespaced.patch(f"{lease}/sipgateway-operator", {"spec": {"holderIdentity": "b"}})
    namespaced.get(f"{lease}/sipgateway-operator")
    for refused in (
        lambda: namespaced.get(gateways("default")),
        lambda: namespaced.get(f"/apis/{API_VERSION}/sipgateways"),
        lambda: namespaced.get(secrets("telephony")),
        lambda: namespaced.patch(gateways(watched, "acme"), {"spec": {"suspend": True}}),
        lambda: namespaced.delete(gateways(watched, "acme")),
        lambda: namespaced.delete(secrets(watched, "acme")),
        lambda: namespaced.create(switches(watched), {}),
        lambda: namespaced.get(f"{lease}/another"),
        lambda: namespaced.delete(f"{lease}/sipgateway-operator"),
    ):
        _refused(refused)


def test_the_operator_of_the_cluster_works_everywhere_and_holds_its_lease_at_home(
    guarded: ControlPlane, voice: str
) -> None:
    with operator(guarded) as api:
        api.get(f"/apis/{API_VERSION}/sipgateways")
        api.get(config_maps(voice))
        api.create(secrets(voice), keys_secret())
        _refused(lambda: api.create(f"/apis/coordination.k8s.io/v1/namespaces/{voice}/leases", {}))


def test_an_agent_does_its_work_and_nothing_else(guarded: ControlPlane, voice: str) -> None:
    guarded.api.create(secrets(voice), keys_secret())
    guarded.api.create(secrets(voice), keys_secret("other"))
    _, agent = switch_pod(guarded, voice, "sw-0")
    leases = f"/apis/coordination.k8s.io/v1/namespaces/{voice}/leases"
    with agent:
        agent.get(config_maps(voice), labelSelector=f"{LABEL_SWITCH}=default")
        agent.get(secrets(voice, "sipgateway-default-keys"))
        agent.get(f"/api/v1/namespaces/{voice}/pods/sw-0")
        assert agent.find(gateways(voice, "acme")) is None
        agent.create(leases, {"metadata": {"name": "sipgateway-default-turn"}})
        agent.patch(f"{leases}/sipgateway-default-turn", {"spec": {"holderIdentity": "sw-0"}})
        for refused in (
            lambda: agent.get(secrets(voice)),
            lambda: agent.get(secrets(voice, "sipgateway-other-keys")),
            lambda: agent.get(gateways(voice)),
            lambda: agent.get(config_maps("default")),
            lambda: agent.create(config_maps(voice), {}),
            lambda: agent.delete(switches(voice, "sw-0")),
            lambda: agent.patch(f"{leases}/another", {}),
        ):
            _refused(refused)


def test_editors_of_a_namespace_edit_its_sipgateways_and_viewers_see_them(guarded: ControlPlane, voice: str) -> None:
    spec = {"apiVersion": API_VERSION, "kind": KIND, "metadata": {"name": "acme"}, "spec": changed(CALLS)}
    with person(guarded, voice, "edit") as editor, person(guarded, voice, "view") as viewer:
        wait_until(lambda: _may(lambda: editor.get(gateways(voice))), 20, lambda: "`edit` has no rights on SipGateways")
        editor.create(gateways(voice), spec)
        editor.patch(gateways(voice, "acme"), {"spec": {"suspend": True}})
        assert viewer.get(gateways(voice, "acme"))["spec"]["suspend"]
        viewer.get(switches(voice))
        _refused(lambda: viewer.patch(gateways(voice, "acme"), {"spec": {"suspend": False}}))
        _refused(lambda: editor.patch(gateways(voice, "acme", "status"), {"status": {"registered": "2/2"}}))
        _refused(lambda: editor.create(switches(voice), {}))
        editor.delete(gateways(voice, "acme"))


def test_one_line_in_the_kustomization_moves_everything(guarded: ControlPlane, tmp_path: Path) -> None:
    for path in install.INSTALL.glob("*.yaml"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    kustomization = tmp_path / "kustomization.yaml"
    kustomization.write_text(kustomization.read_text("utf-8") + "namespace: telephony\nnamePrefix: acme-\n")
    built = list(yaml.safe_load_all(guarded.kubectl("kustomize", tmp_path).stdout))
    assert "sipgateway-system" not in yaml.safe_dump_all(built)
    named = [
        m for m in built if m["kind"] == "ValidatingAdmissionPolicy" and "sipswitches" not in m["metadata"]["name"]
    ]
    assert len(named) == 2
    for policy in named:
        variables = {variable["name"]: variable["expression"] for variable in policy["spec"]["variables"]}
        assert variables["operatorNamespace"] == "'telephony'"
        assert variables["operatorAccount"] == "'acme-sipgateway-operator'"
    bindings = [m for m in built if m["kind"] == "RoleBinding"]
    assert [(s["namespace"], s["name"]) for b in bindings for s in b["subjects"]] == [
        ("telephony", "acme-sipgateway-operator")
    ]


def _event(namespace: str) -> dict[str, Any]:
    involved = {"apiVersion": API_VERSION, "kind": KIND, "name": "acme", "namespace": namespace}
    return {"metadata": {"generateName": "acme-"}, "involvedObject": involved, "reason": "Ready", "type": "Normal"}


def _refused(call: Any) -> None:
    with pytest.raises(ApiError) as caught:
        call()
    assert caught.value.code == 403
    assert "ValidatingAdmissionPolicy" not in str(caught.value)


def _may(call: Any) -> bool:
    try:
        call()
    except ApiError:
        return False
    return True
