"""Releases on a real API server: installed, upgraded, rolled back, uninstalled; SipGateways outlive all of it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from sipgateway.api.names import API_VERSION, KIND, LABEL_KEYS
from tests.api.builders import CALLS, changed
from tests.charts import helm
from tests.controlplane.operators import Operators
from tests.controlplane.plane import ControlPlane
from tests.controlplane.process import wait_until
from tests.crd import install
from tests.crd.people import config_map, config_maps, denied, gateways, keys_secret, secrets

pytestmark = [pytest.mark.controlplane, pytest.mark.timeout(240)]

#: Seconds for the cluster's garbage collector, which asks only every 30 s which kinds there are.
COLLECTED = 90

OBJECTS = (
    "deployments,pods,services,serviceaccounts,poddisruptionbudgets,roles,rolebindings,clusterroles,clusterrolebindings,"
    "validatingadmissionpolicies,validatingadmissionpolicybindings,customresourcedefinitions"
)
OURS = "app.kubernetes.io/name=sipgateway"
RESTRICTED = {"pod-security.kubernetes.io/enforce": "restricted"}


class Site:
    """A cluster with two namespaces: where the operator lives and where the trunks are."""

    def __init__(self, plane: ControlPlane) -> None:
        self.plane = plane
        self.home = plane.create_namespace(**RESTRICTED)
        self.voice = plane.create_namespace()

    def run(self, *arguments: str | Path, check: bool = True) -> str:
        """Runs Helm in the operator's namespace; returns what it said."""
        done = self.plane.helm(*arguments, "--namespace", self.home, check=check)
        return done.stdout + done.stderr

    def install(
        self, *arguments: str, chart: Path = helm.OPERATOR, release: str = helm.RELEASE, check: bool = True
    ) -> str:
        """Installs the operator's chart, or upgrades it."""
        watched = f"--set=watch.namespaces={{{self.voice}}}"
        return self.run("upgrade", "--install", release, chart, watched, *arguments, check=check)

    def uninstall(self, release: str = helm.RELEASE) -> str:
        """Uninstalls it."""
        return self.run("uninstall", release)

    def names(self) -> set[str]:
        """Our objects: `Kind/name`."""
        listed = self.plane.kubectl("get", OBJECTS, "--all-namespaces", "--selector", OURS, "--output=json").stdout
        return {f"{item['kind']}/{item['metadata']['name']}" for item in json.loads(listed)["items"]}

    def deployment(self) -> dict[str, Any]:
        """The operator's Deployment."""
        found: dict[str, Any] = self.plane.api.get(
            f"/apis/apps/v1/namespaces/{self.home}/deployments/sipgateway-operator"
        )
        return found

    def pods(self) -> list[dict[str, Any]]:
        """The operator's pods."""
        found: list[dict[str, Any]] = self.plane.api.get(f"/api/v1/namespaces/{self.home}/pods")["items"]
        return found

    def declare(self, name: str = "acme") -> str:
        """Declares a trunk. Returns its uid."""
        spec = {"apiVersion": API_VERSION, "kind": KIND, "metadata": {"name": name}, "spec": changed(CALLS)}
        made: str = self.plane.api.create(gateways(self.voice), spec)["metadata"]["uid"]
        return made

    def uid(self, name: str = "acme") -> str | None:
        """The uid of a trunk; None when there is none."""
        found = self.plane.api.find(gateways(self.voice, name))
        return None if found is None else str(found["metadata"]["uid"])

    def clean(self) -> None:
        """Removes all that a test may have left."""
        for release in json.loads(self.run("list", "--short", "--output=json")):
            self.uninstall(release)
        self.plane.kubectl("delete", "--ignore-not-found", "--wait", "--filename", helm.ROOT / "crds", seconds=100)
        self.plane.delete_namespace(self.home)
        self.plane.delete_namespace(self.voice)


@pytest.fixture
def site(fresh: ControlPlane) -> Iterator[Site]:
    site = Site(fresh)
    yield site
    site.clean()


@pytest.fixture(scope="module")
def previous(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The operator's chart as an earlier version might have been: another number, an older kind, no Service."""
    folder = tmp_path_factory.mktemp("previous") / helm.OPERATOR.name
    shutil.copytree(helm.OPERATOR, folder)
    definition = folder / "Chart.yaml"
    text = definition.read_text()
    definition.write_text(
        text.replace(f"\nversion: {helm.VERSION}", "\nversion: 0.0.9").replace(
            f"appVersion: {helm.VERSION}", "appVersion: 0.0.9"
        )
    )
    (folder / "templates" / "service.yaml").unlink()
    crd = yaml.safe_load((folder / "files" / "crds" / "sipgateways.yaml").read_text())
    del crd["spec"]["versions"][0]["additionalPrinterColumns"]
    (folder / "files" / "crds" / "sipgateways.yaml").write_text(yaml.safe_dump(crd, sort_keys=False))
    return folder


def columns(plane: ControlPlane) -> list[dict[str, Any]]:
    crd = plane.api.get("/apis/apiextensions.k8s.io/v1/customresourcedefinitions/sipgateways.sipgateway.dev")
    found: list[dict[str, Any]] = crd["spec"]["versions"][0].get("additionalPrinterColumns", [])
    return found


def test_an_installation_makes_what_the_chart_says_and_its_pods_are_admitted(site: Site) -> None:
    said = site.install()
    assert "kubectl" in said
    wanted = {
        f"{m['kind']}/{m['metadata']['name']}"
        for m in helm.render(helm.OPERATOR, {"watch": {"namespaces": [site.voice]}})
    }
    assert wanted <= site.names()
    wait_until(lambda: len(site.pods()) == 2, 30, lambda: f"{len(site.pods())} pods")
    for pod in site.pods():
        tokens = [m for c in pod["spec"]["containers"] for m in c["volumeMounts"] if "serviceaccount" in m["mountPath"]]
        assert len(tokens) == 1


def test_an_upgrade_with_other_values_changes_what_they_say_and_touches_no_sipgateway(site: Site) -> None:
    site.install()
    uid, generation = site.declare(), site.deployment()["metadata"]["generation"]
    site.install()
    assert site.deployment()["metadata"]["generation"] == generation, "the same values changed something"
    site.install("--set=replicas=3,logLevel=debug,podDisruptionBudget.create=false")
    assert site.deployment()["spec"]["replicas"] == 3
    assert "--log-level=debug" in site.deployment()["spec"]["template"]["spec"]["containers"][0]["args"]
    assert "PodDisruptionBudget/sipgateway-operator" not in site.names()
    assert site.uid() == uid


def test_an_upgrade_from_an_earlier_version_brings_the_new_kinds_and_keeps_the_objects(
    site: Site, previous: Path
) -> None:
    site.install(chart=previous)
    assert columns(site.plane) == []
    uid = site.declare()
    site.install()
    assert columns(site.plane)
    assert "Service/sipgateway-operator" in site.names()
    assert site.uid() == uid


def test_a_rollback_brings_the_earlier_version_back_and_keeps_the_objects(site: Site, previous: Path) -> None:
    site.install("--set=replicas=1", chart=previous)
    uid = site.declare()
    site.install("--set=replicas=3")
    site.run("rollback", helm.RELEASE, "1")
    assert site.deployment()["spec"]["replicas"] == 1
    assert "Service/sipgateway-operator" not in site.names()
    assert columns(site.plane) == []
    assert site.uid() == uid


def test_after_uninstalling_the_kinds_and_the_sipgateways_are_left_and_nothing_else(site: Site) -> None:
    site.install()
    uid = site.declare()
    said = site.uninstall()
    assert "sipgateways.sipgateway.dev" in said
    wait_until(lambda: not site.pods(), COLLECTED, lambda: "pods are left")
    kinds = {f"CustomResourceDefinition/{kind}.sipgateway.dev" for kind in ("sipgateways", "sipswitches")}
    assert site.names() == kinds
    assert site.uid() == uid
    site.install()
    assert site.uid() == uid


def test_uninstalling_takes_the_kinds_along_where_that_is_wanted(site: Site) -> None:
    site.install("--set=crds.keep=false")
    site.uninstall()
    wait_until(lambda: not site.names(), COLLECTED, lambda: f"left: {site.names()}")


def test_kinds_that_kubectl_installed_are_not_taken_over_unasked(site: Site) -> None:
    site.plane.install_crds(helm.ROOT / "crds")
    uid = site.declare()
    assert "cannot be imported into the current release" in site.install(check=False)
    site.install("--set=crds.install=false")
    assert site.uid() == uid
    site.install("--take-ownership", "--force-conflicts")
    assert site.uid() == uid


def test_two_operators_share_a_cluster_when_the_policies_know_both(site: Site) -> None:
    second = {"namespace": site.home, "serviceAccount": "second-sipgateway-operator"}
    site.install(f"--set-json=policies.otherOperators=[{json.dumps(second)}]")
    assert "cannot be imported into the current release" in site.install(release="second", check=False)
    off = "crds.install=false,policies.create=false,rbac.userRoles=false,rbac.agentRole=false"
    site.run("install", "second", helm.OPERATOR, "--set", off, f"--set=watch.namespaces={{{site.voice}}}")
    install_stranger(site)
    with (
        site.plane.api_as(site.plane.kubeconfig_for(site.home, "sipgateway-operator")) as one,
        site.plane.api_as(site.plane.kubeconfig_for(site.home, "second-sipgateway-operator")) as other,
        site.plane.api_as(site.plane.kubeconfig_for(site.home, "stranger")) as stranger,
    ):

        def acts() -> bool:
            try:
                denied(
                    "configmaps.sipgateway.dev", stranger.create, config_maps(site.voice), config_map("c"), dryRun="All"
                )
                one.create(config_maps(site.voice), config_map("a"), dryRun="All")
            except Exception:  # noqa: BLE001 - whatever it is, it is asked again
                return False
            return True

        wait_until(acts, 30, lambda: "the policies are not in force", every=0.1)
        one.create(config_maps(site.voice), config_map("a"))
        other.create(config_maps(site.voice), config_map("b"))
        for operator in (one, other):
            wrong = keys_secret(labels={LABEL_KEYS: "another"})
            denied("secrets.sipgateway.dev", operator.create, secrets(site.voice), wrong)


def install_stranger(site: Site) -> None:
    """Somebody who may write ConfigMaps, and is no operator."""
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "stranger", "namespace": site.home}}
    binding = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": {"name": "stranger", "namespace": site.voice},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "edit"},
        "subjects": [{"kind": "ServiceAccount", "name": "stranger", "namespace": site.home}],
    }
    install.apply(site.plane, [account, binding])


#: Python as in a container: the user has a number and no name.
_NAMELESS = """\
import pwd


def getpwuid(number):
    raise KeyError(f"getpwuid(): uid not found: {number}")


pwd.getpwuid = getpwuid
"""


def test_the_operator_works_with_the_arguments_and_the_rights_of_the_chart_and_as_nobody(
    site: Site, start_operator: Operators, tmp_path: Path
) -> None:
    site.install()
    pod = site.deployment()["spec"]["template"]["spec"]
    flags = [flag for flag in pod["containers"][0]["args"][1:] if not flag.startswith("--listen=")]
    (tmp_path / "sitecustomize.py").write_text(_NAMELESS)
    nobody = {"PYTHONPATH": str(tmp_path), **dict.fromkeys(("LOGNAME", "USER", "LNAME", "USERNAME"), "")}
    operator = start_operator(site.plane.kubeconfig_for(site.home, pod["serviceAccountName"]), *flags, env=nobody)
    site.declare()
    made = f"{config_maps(site.voice)}/sipgateway-acme"
    wait_until(lambda: site.plane.api.find(made) is not None, 30, lambda: "no ConfigMap was written")
    leases = site.plane.api.get(f"/apis/coordination.k8s.io/v1/namespaces/{site.home}/leases")["items"]
    assert [lease["metadata"]["name"] for lease in leases] == ["sipgateway-operator"]
    assert not [entry for entry in operator.logs() if entry["level"] not in {"info", "debug"}]


def test_a_fleet_is_installed_beside_it_upgraded_and_taken_away(site: Site) -> None:
    site.install()
    fleet = ("--namespace", site.voice, "--set=simulator.enabled=true,replicas=2")
    site.plane.helm("install", helm.FLEET, helm.EXAMPLE, *fleet)
    pods = f"/api/v1/namespaces/{site.voice}/pods"
    wait_until(lambda: len(site.plane.api.get(pods)["items"]) == 2, 30, lambda: "there are not two pods")
    secret = secrets(site.voice, "freeswitch-esl")
    password = site.plane.api.get(secret)["data"]["password"]
    site.plane.helm("upgrade", helm.FLEET, helm.EXAMPLE, *fleet, "--set=replicas=3")
    wait_until(lambda: len(site.plane.api.get(pods)["items"]) == 3, 30, lambda: "there are not three pods")
    assert site.plane.api.get(secret)["data"]["password"] == password, "an upgrade changed the event socket's password"
    site.plane.helm("uninstall", helm.FLEET, "--namespace", site.voice)
    assert site.plane.api.find(secret) is None
