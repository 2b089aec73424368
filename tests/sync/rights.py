"""The rights of a sync in a test's namespace, as they are shipped. In: a lab. Out: a kubeconfig of its account."""

from __future__ import annotations

from pathlib import Path

import yaml

from tests.kube.lab import Lab

_SHIPPED = Path(__file__).parents[2] / "manifests" / "sync" / "sync.yaml"
_RULES = next(one["rules"] for one in yaml.safe_load_all(_SHIPPED.read_text()) if one and one["kind"] == "Role")


def sync_kubeconfig(lab: Lab, account: str = "sipgateway-sync") -> Path:
    """Makes the account with its rights, and a kubeconfig with a token of it."""
    api, namespace = lab.plane.api, lab.namespace
    rbac = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}"
    api.create(f"/api/v1/namespaces/{namespace}/serviceaccounts", {"metadata": {"name": account}})
    api.create(f"{rbac}/roles", {"metadata": {"name": account}, "rules": _RULES})
    api.create(
        f"{rbac}/rolebindings",
        {
            "metadata": {"name": account},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": account},
            "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": namespace}],
        },
    )
    return lab.plane.kubeconfig_for(namespace, account)
