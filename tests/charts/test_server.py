"""A real API server takes every object of every values file, and all pods under the Restricted standard."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.charts import helm
from tests.charts.test_renders import CASES
from tests.controlplane.plane import ControlPlane

pytestmark = pytest.mark.controlplane

ALL = [(helm.OPERATOR, None), (helm.EXAMPLE, None), *CASES]


def test_there_are_as_many_values_files_as_promised() -> None:
    assert len(helm.OPERATOR_VALUES) >= 12


@pytest.mark.parametrize(("chart", "values"), ALL, ids=lambda one: getattr(one, "stem", "no values"))
def test_the_api_server_takes_each_object(cluster: ControlPlane, chart: Path, values: Path | None) -> None:
    text = helm.template(chart, values).stdout
    done = cluster.kubectl(
        "apply", "--server-side", "--dry-run=server", "--validate=strict", "--filename", "-", stdin=text
    )
    assert len(done.stdout.splitlines()) == len(helm.documents(text))
    assert done.stderr == ""


@pytest.mark.parametrize(
    ("option", "path"),
    [("--kustomize", "install"), ("--kustomize", "switch"), ("--filename", "injection"), ("--filename", "sync")],
    ids=lambda one: one.strip("-"),
)
def test_the_api_server_takes_the_manifests_too(cluster: ControlPlane, option: str, path: str) -> None:
    where = helm.ROOT / "manifests" / path
    done = cluster.kubectl("apply", "--server-side", "--dry-run=server", "--validate=strict", option, where)
    assert "agents.sipgateway.dev" in done.stdout or "sipgateway-" in done.stdout
    assert done.stderr == ""


@pytest.mark.parametrize(("chart", "values"), ALL, ids=lambda one: getattr(one, "stem", "no values"))
def test_a_namespace_that_enforces_the_restricted_standard_admits_each_pod(
    cluster: ControlPlane, chart: Path, values: Path | None
) -> None:
    manifests = helm.render(chart, values)
    templates = helm.pod_specs(manifests)
    assert templates
    for template in templates:
        account = {
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": {"name": template["spec"]["serviceAccountName"]},
        }
        cluster.apply(json.dumps(account), namespace=helm.NAMESPACE)
        cluster.api.create(f"/api/v1/namespaces/{helm.NAMESPACE}/pods", pod(template), dryRun="All")


def test_that_namespace_does_refuse_a_pod_that_is_not_restricted(cluster: ControlPlane) -> None:
    template = helm.pod_specs(helm.render(helm.OPERATOR))[0]
    del template["spec"]["containers"][0]["securityContext"]["allowPrivilegeEscalation"]
    template["spec"]["serviceAccountName"] = "default"
    done = cluster.kubectl(
        "create",
        "--dry-run=server",
        "--namespace",
        helm.NAMESPACE,
        "--filename",
        "-",
        stdin=json.dumps(pod(template)),
        check=False,
    )
    assert 'violates PodSecurity "restricted' in done.stderr


@pytest.mark.parametrize(("chart", "values"), ALL, ids=lambda one: getattr(one, "stem", "no values"))
def test_no_container_may_write_its_root_or_gain_rights(chart: Path, values: Path | None) -> None:
    for template in helm.pod_specs(helm.render(chart, values)):
        spec = template["spec"]
        for container in [*spec["containers"], *spec.get("initContainers", ())]:
            security = {**spec["securityContext"], **container["securityContext"]}
            assert security["readOnlyRootFilesystem"] is True
            assert security["allowPrivilegeEscalation"] is False
            assert security["capabilities"] == {"drop": ["ALL"]}
            assert security["runAsNonRoot"] is True
            assert security["seccompProfile"] == {"type": "RuntimeDefault"}


def pod(template: dict[str, Any]) -> dict[str, Any]:
    """A pod of a template."""
    spec = {k: v for k, v in template["spec"].items() if k != "priorityClassName"}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {**template["metadata"], "name": "one"}, "spec": spec}
