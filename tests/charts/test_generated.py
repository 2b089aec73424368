"""What is generated from the charts is what is committed: one source for each right and each policy."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from tests.charts import helm
from tests.crd import install
from tools import generate_charts
from tools.generate import stale

pytestmark = pytest.mark.controlplane


def test_tables_schemas_versions_and_the_dashboard_are_those_of_their_sources() -> None:
    assert not [difference for path, text in generate_charts.of_charts() if (difference := stale(path, text))]


def test_the_manifests_are_what_helm_renders() -> None:
    program = generate_charts.helm()
    assert program
    assert not [difference for path, text in generate_charts.of_manifests(program) if (difference := stale(path, text))]


def test_no_manifest_but_the_kustomizations_and_examples_is_written_by_hand() -> None:
    folders = ("install", "switch", "injection", "sync")
    found = {
        path.relative_to(helm.ROOT / "manifests").as_posix()
        for f in folders
        for path in (helm.ROOT / "manifests" / f).iterdir()
    }
    made = {manifest.path for manifest in generate_charts.MANIFESTS}
    assert {path for path in found - made if not path.endswith("kustomization.yaml")} == set()
    assert made <= found


def test_the_chart_gives_the_rights_and_policies_that_the_tests_of_operator_and_agent_run_with() -> None:
    chart = helm.render(helm.OPERATOR, {"watch": {"namespaces": ["voice"]}})
    agents = helm.render(helm.EXAMPLE, {"createEslPassword": False})
    tested = [
        *install.rbac(helm.NAMESPACE, namespaces=["voice"]),
        *install.policies(helm.NAMESPACE),
        *install.shipped(install.INSTALL / "rbac-users.yaml"),
        *install.agent_rbac(helm.VOICE),
    ]
    shipped = {key(m): body(m) for m in [*chart, *agents]}
    assert {key(m): body(m) for m in tested if m["kind"] != "Namespace"}.items() <= shipped.items()
    rights = {"Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding", "ValidatingAdmissionPolicy"}
    assert {k for k in shipped if k[0] in rights} == {key(m) for m in tested if m["kind"] in rights}


def test_versions_are_that_of_the_project() -> None:
    for chart in (helm.OPERATOR, helm.LIBRARY, helm.EXAMPLE):
        definition = yaml.safe_load((chart / "Chart.yaml").read_text())
        assert definition["version"] == helm.VERSION
        assert {one["version"] for one in definition.get("dependencies", ())} <= {helm.VERSION}


def test_links_within_the_charts_lead_to_what_is_in_the_repository() -> None:
    links = {path: path.resolve() for path in (helm.ROOT / "charts").rglob("*") if path.is_symlink()}
    assert {target.relative_to(helm.ROOT) for target in links.values()} == {
        Path("charts/sipgateway-switch"),
        Path("crds"),
    }


def key(manifest: helm.Manifest) -> tuple[str, str, str]:
    return manifest["kind"], manifest["metadata"].get("namespace", ""), manifest["metadata"]["name"]


def body(manifest: helm.Manifest) -> str:
    """All but the labels, in one order."""
    return yaml.safe_dump({k: v for k, v in manifest.items() if k != "metadata"}, sort_keys=True)
