"""Who speaks to the API server in these tests: agents of pods, the operator, people; and what is denied them.

In: a control plane with all that is shipped. Out: connections, objects as each would write them, and refusals.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sipgateway.api.names import (
    API_VERSION,
    LABEL_KEYS,
    LABEL_NAME,
    LABEL_NAME_VALUE,
    LABEL_SWITCH,
    PLURAL,
    SWITCH_PLURAL,
)
from tests.controlplane.api import Api, ApiError
from tests.controlplane.kubelet import create_pod
from tests.controlplane.plane import ControlPlane
from tests.crd import install

OURS = {LABEL_SWITCH: "default", LABEL_NAME: LABEL_NAME_VALUE}


def switches(namespace: str, name: str = "", part: str = "") -> str:
    """Path of SipSwitches."""
    return _path(f"/apis/{API_VERSION}", namespace, SWITCH_PLURAL, name, part)


def gateways(namespace: str, name: str = "", part: str = "") -> str:
    """Path of SipGateways."""
    return _path(f"/apis/{API_VERSION}", namespace, PLURAL, name, part)


def config_maps(namespace: str, name: str = "") -> str:
    """Path of ConfigMaps."""
    return _path("/api/v1", namespace, "configmaps", name)


def secrets(namespace: str, name: str = "") -> str:
    """Path of Secrets."""
    return _path("/api/v1", namespace, "secrets", name)


def _path(group: str, namespace: str, plural: str, *rest: str) -> str:
    return "/".join((group, "namespaces", namespace, plural, *(part for part in rest if part)))


def switch(pod: dict[str, Any], **metadata: Any) -> dict[str, Any]:
    """The SipSwitch that the agent in a pod writes; `metadata` replaces parts of it."""
    meta = pod["metadata"]
    owner = {"apiVersion": "v1", "kind": "Pod", "name": meta["name"], "uid": meta["uid"]}
    labels = {LABEL_SWITCH: meta["labels"][LABEL_SWITCH]}
    return {
        "apiVersion": API_VERSION,
        "kind": "SipSwitch",
        "metadata": {"name": meta["name"], "labels": labels, "ownerReferences": [owner], **metadata},
    }


def config_map(name: str, **metadata: Any) -> dict[str, Any]:
    """A ConfigMap as the operator labels it."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "labels": OURS, **metadata},
        "data": {"gateway.xml": "<gateway/>"},
    }


def keys_secret(fleet: str = "default", **metadata: Any) -> dict[str, Any]:
    """The Secret with the keys of a fleet, empty."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": f"sipgateway-{fleet}-keys", "labels": {LABEL_KEYS: fleet}, **metadata},
    }


def switch_pod(plane: ControlPlane, namespace: str, name: str) -> tuple[dict[str, Any], Api]:
    """A pod of the fleet `default` and the agent in it. Close the connection."""
    account = install.install_agent_rbac(plane, namespace)
    pod = create_pod(plane.api, namespace, name, labels={LABEL_SWITCH: "default"}, service_account=account)
    return pod, plane.api_as(plane.kubeconfig_for(namespace, account, pod=name))


def operator(plane: ControlPlane) -> Api:
    """The operator, by its ServiceAccount. Close the connection."""
    return plane.api_as(plane.kubeconfig_for(install.OPERATOR_NAMESPACE, install.OPERATOR_ACCOUNT))


def person(plane: ControlPlane, namespace: str, role: str) -> Api:
    """Somebody with a role that Kubernetes ships (`edit`, `view`) in a namespace. Close the connection."""
    user = f"{role}-of-{namespace}"
    bind(plane, namespace, user, role, {"kind": "User", "name": user})
    return plane.api_as(plane.kubeconfig_of_user(user))


def may_write_switches(plane: ControlPlane, namespace: str, subject: dict[str, str]) -> None:
    """Gives somebody every right on SipSwitches that RBAC can give: what is left is the policy's."""
    rules = [{"apiGroups": ["sipgateway.dev"], "resources": ["sipswitches", "sipswitches/status"], "verbs": ["*"]}]
    role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "all-switches"}}
    install.apply(plane, [{**role, "rules": rules}])
    bind(plane, namespace, f"all-switches-{subject['name']}", "all-switches", subject)


def bind(plane: ControlPlane, namespace: str, name: str, role: str, subject: dict[str, str]) -> None:
    """Binds a ClusterRole in a namespace."""
    binding = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": {"name": name, "namespace": namespace},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
        "subjects": [subject],
    }
    install.apply(plane, [binding])


def denied(policy: str, write: Callable[..., Any], *arguments: Any, **query: Any) -> str:
    """What a policy says to a write.

    Raises:
        AssertionError: the write was allowed, or refused by something else.
    """
    try:
        write(*arguments, **query)
    except ApiError as error:
        message = str(error.status["message"])
        assert f"ValidatingAdmissionPolicy '{policy}'" in message, message
        return message
    raise AssertionError(f"{policy} allowed it")
