"""What is shipped in crds/ and manifests/, installed on a control plane with the names that a test wants.

In: the shipped files, namespaces and a ServiceAccount's name. Out: the same objects under those names, as values or
installed. Nothing is added and nothing left out: a test of the operator runs with the rights that users give it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import yaml

from tests.controlplane.api import ApiError
from tests.controlplane.plane import ControlPlane
from tests.controlplane.process import wait_until

ROOT = Path(__file__).parents[2]
CRDS = ROOT / "crds"
INSTALL = ROOT / "manifests" / "install"
AGENT = ROOT / "manifests" / "switch" / "agent-rbac.yaml"

Manifest: TypeAlias = dict[str, Any]

#: The names in the shipped files.
OPERATOR_NAMESPACE = "sipgateway-system"
OPERATOR_ACCOUNT = "sipgateway-operator"
AGENT_NAMESPACE = "voice"
SWITCH = "default"


def install_crds(plane: ControlPlane) -> None:
    """Installs crds/ and waits until both kinds are served."""
    plane.install_crds(CRDS)


def install_policies(
    plane: ControlPlane, operator_namespace: str = OPERATOR_NAMESPACE, account: str = OPERATOR_ACCOUNT
) -> None:
    """Installs the admission policies for an operator, and waits until the API server acts on them."""
    apply(plane, policies(operator_namespace, account))
    wait_until(lambda: _is_denied(plane), 30, lambda: "the API server does not act on the policies")


def install_rbac(
    plane: ControlPlane,
    operator_namespace: str = OPERATOR_NAMESPACE,
    *,
    namespaces: Sequence[str] = (),
    cluster: bool = False,
    account: str = OPERATOR_ACCOUNT,
) -> None:
    """Makes the operator's namespace and ServiceAccount, and gives it its rights.

    Args:
        plane: where to.
        operator_namespace: where the operator lives; made when there is none.
        namespaces: what it watches, each by a Role; they must exist.
        cluster: whether it watches everything instead, by a ClusterRole.
        account: the operator's ServiceAccount.
    """
    apply(plane, rbac(operator_namespace, namespaces=namespaces, cluster=cluster, account=account))


def install_agent_rbac(plane: ControlPlane, namespace: str, switch: str = SWITCH) -> str:
    """Makes the ServiceAccount of a fleet's agents and gives it its rights. Returns its name."""
    manifests = agent_rbac(namespace, switch)
    apply(plane, manifests)
    name: str = next(m["metadata"]["name"] for m in manifests if m["kind"] == "ServiceAccount")
    return name


def apply(plane: ControlPlane, manifests: Iterable[Manifest]) -> None:
    """Applies objects in their order."""
    plane.apply("\n---\n".join(json.dumps(manifest) for manifest in manifests))


def policies(operator_namespace: str = OPERATOR_NAMESPACE, account: str = OPERATOR_ACCOUNT) -> list[Manifest]:
    """The shipped admission policies, about this operator."""
    manifests = shipped(INSTALL / "policies.yaml")
    names = {"operatorNamespace": operator_namespace, "operatorAccount": account}
    for manifest in manifests:
        for variable in manifest["spec"].get("variables", ()):
            if variable["name"] in names:
                variable["expression"] = f"'{names[variable['name']]}'"
    return manifests


def rbac(
    operator_namespace: str = OPERATOR_NAMESPACE,
    *,
    namespaces: Sequence[str] = (),
    cluster: bool = False,
    account: str = OPERATOR_ACCOUNT,
) -> list[Manifest]:
    """The shipped namespace, ServiceAccount, Roles and bindings of this operator."""
    manifests = shipped(INSTALL / "operator.yaml")
    if cluster:
        manifests += shipped(INSTALL / "rbac-cluster.yaml")
    for namespace in namespaces:
        for manifest in shipped(INSTALL / "rbac-namespaced.yaml"):
            manifest["metadata"]["namespace"] = namespace
            manifests.append(manifest)
    for manifest in manifests:
        metadata = manifest["metadata"]
        if metadata.get("namespace") == OPERATOR_NAMESPACE:
            metadata["namespace"] = operator_namespace
        if manifest["kind"] == "Namespace":
            metadata["name"] = operator_namespace
        if manifest["kind"] == "ServiceAccount":
            metadata["name"] = account
        for subject in manifest.get("subjects", ()):
            subject |= {"name": account, "namespace": operator_namespace}
    return manifests


def agent_rbac(namespace: str, switch: str = SWITCH) -> list[Manifest]:
    """The shipped ServiceAccount, Role and binding of the agents of a fleet."""
    text = AGENT.read_text("utf-8").replace(f"sipgateway-{SWITCH}-", f"sipgateway-{switch}-")
    manifests = _documents(text)
    for manifest in manifests:
        places = [*manifest.get("subjects", ())]
        if manifest["kind"].startswith("Cluster"):
            name = manifest["metadata"]["name"]
            manifest["metadata"]["name"] = name.replace(f"-{AGENT_NAMESPACE}-{SWITCH}-", f"-{namespace}-{switch}-")
        else:
            places.append(manifest["metadata"])
        for place in places:
            assert place["namespace"] == AGENT_NAMESPACE
            place["namespace"] = namespace
    return manifests


def shipped(path: Path) -> list[Manifest]:
    """The objects of a shipped file."""
    return _documents(path.read_text("utf-8"))


def _documents(text: str) -> list[Manifest]:
    return [document for document in yaml.safe_load_all(text) if document]


def _is_denied(plane: ControlPlane) -> bool:
    """Whether the last policy of the file is in force: then those before it are too."""
    probe = {"apiVersion": "sipgateway.dev/v1alpha1", "kind": "SipSwitch", "metadata": {"name": "probe"}}
    try:
        plane.api.create("/apis/sipgateway.dev/v1alpha1/namespaces/default/sipswitches", probe, dryRun="All")
    except ApiError as error:
        return "ValidatingAdmissionPolicy" in str(error)
    return False
