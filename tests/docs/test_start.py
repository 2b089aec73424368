"""The newcomer: docs/start.md, step by step, from nothing to a Ready SipGateway; then backup, keys, upgrade, the end;
and from there with kubectl alone, by docs/install.md and docs/operator.md.

The steps run as they stand on the page. The tests play the node: what the charts' Deployment and StatefulSet would
run is run as processes, with the arguments, the ServiceAccounts and the rights that the charts brought, and no others.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.agent_kube.pods import SwitchPod
from tests.controlplane import kubelet, plugin, programs
from tests.controlplane.operators import Operators
from tests.controlplane.plane import ControlPlane
from tests.controlplane.process import wait_until
from tests.docs.pages import ROOT, block, blocks

pytestmark = [pytest.mark.controlplane, pytest.mark.slow, pytest.mark.timeout(180)]

HOME, VOICE = "sipgateway-system", "voice"


class Cluster:
    """An empty control plane, and the node that the tests play."""

    def __init__(self, plane: ControlPlane, folder: Path) -> None:
        self.plane, self.folder, self.namespace = plane, folder, VOICE
        self.operators = Operators(folder)
        self.pods: list[AdoptedPod] = []

    def find(self, plural: str, name: str) -> dict[str, Any] | None:
        """An object of ours in the namespace of the trunks."""
        found: dict[str, Any] | None = self.plane.api.find(
            f"/apis/sipgateway.dev/v1alpha1/namespaces/{VOICE}/{plural}/{name}"
        )
        return found

    def type(self, text: str, where: Path | None = None) -> str:
        """Types a block into a shell, in the sources' folder unless another is given; returns what it said."""
        own = (programs.find("kubectl"), programs.find("helm"), Path(sys.executable))
        path = os.pathsep.join([*(str(program.parent) for program in own), "/usr/bin:/bin"])
        environment = {"PATH": path, "HOME": str(self.folder), "KUBECONFIG": str(self.plane.kubeconfig)}
        done = subprocess.run(
            ["bash", "-euc", f"umask 077\n{text}"],
            cwd=where or ROOT,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=90,
        )
        assert done.returncode == 0, f"{text}\n{done.stdout}{done.stderr}{self.told()}"
        return done.stdout

    def told(self) -> str:
        """What the processes have to say when something went wrong."""
        return "\n".join([*(one.tail() for one in self.operators.started), *(repr(pod.report) for pod in self.pods)])

    def play(self) -> None:
        """Runs what has been installed since the last step."""
        if not self.operators.started and (found := self._listed("deployments", HOME)):
            spec = found[0]["spec"]["template"]["spec"]
            arguments = [a for a in spec["containers"][0]["args"][1:] if not a.startswith("--listen")]
            account = self.plane.kubeconfig_for(HOME, spec["serviceAccountName"])
            self.operators(account, *arguments, f"--lease-namespace={HOME}")
        if not self.pods and self._listed("statefulsets", VOICE):
            wait_until(lambda: self._pods() != [], 20, lambda: "the StatefulSet has no pods")
            for pod in self._pods():
                one = AdoptedPod(self, pod, self.folder)
                self.pods.append(one)
                one.start()

    def close(self) -> None:
        """Ends all processes."""
        for pod in self.pods:
            pod.close()
        self.operators.close()

    def _listed(self, plural: str, namespace: str) -> list[dict[str, Any]]:
        found = self.plane.api.list_all(f"/apis/apps/v1/namespaces/{namespace}/{plural}")[0]
        return list(found)

    def _pods(self) -> list[dict[str, Any]]:
        return list(self.plane.api.list_all(f"/api/v1/namespaces/{VOICE}/pods")[0])


class AdoptedPod(SwitchPod):
    """The processes of a pod that a chart made."""

    def __init__(self, cluster: Cluster, pod: dict[str, Any], folder: Path) -> None:
        self.object = pod
        account = pod["spec"]["serviceAccountName"]
        super().__init__(cluster, pod["metadata"]["name"], folder, account=account, registrars=["*=accept"])

    def create_pod(self) -> None:
        """Binds the pod to the node, says that it runs, and projects its token."""
        plane, path = self.lab.plane, f"/api/v1/namespaces/{self.lab.namespace}/pods/{self.name}"
        self.object = plane.api.get(path)
        binding = {"metadata": {"name": self.name}, "target": {"kind": "Node", "name": kubelet.NODE}}
        plane.api.create(f"{path}/binding", {"apiVersion": "v1", "kind": "Binding", **binding})
        kubelet.set_status(plane.api, self.lab.namespace, self.name)
        self.project_token()
        (self.token_folder / "ca.crt").write_bytes(Path(plane.admin.authority).read_bytes())
        (self.token_folder / "namespace").write_text(self.lab.namespace)


@pytest.fixture(scope="module")
def cluster(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    failed = request.session.testsfailed
    plane = plugin._start(request.config, crds=[])
    one = Cluster(plane, tmp_path_factory.mktemp("newcomer"))
    yield one
    one.close()
    plugin._close(request.config, plane, failed=request.session.testsfailed > failed)


def test_a_newcomer_gets_to_a_ready_sipgateway(cluster: Cluster) -> None:
    said = ""
    for one in blocks(ROOT / "docs" / "start.md"):
        if not one.mark:
            said = cluster.type(one.text)
            cluster.play()
    assert "condition met" in said
    assert said.splitlines()[-1].split()[:5] == ["acme", "default", "external", "True", "1/1"]
    assert cluster.pods[0].revision("acme")


def assert_untouched(pod: AdoptedPod, since: int) -> None:
    """No gateway was removed and none loaded since the switch had been told so many commands."""
    done = [str(command["text"]) for command in pod.control("commands", since=since)]
    assert not [text for text in done if "killgw" in text or "rescan" in text]


def step(page: str, section: str) -> str:
    """The first block of a section of a page."""
    text = (ROOT / "docs" / page).read_text()
    start = text[: text.index(f"\n## {section}\n" if f"\n## {section}\n" in text else f"\n### {section}\n") + 2].count(
        "\n"
    )
    return next(block.text for block in blocks(ROOT / "docs" / page) if block.line > start)


def test_what_is_well_is_said_to_be_well_by_doctor_md_and_status_md(cluster: Cluster) -> None:
    def typed(page: str, beginning: str) -> str:
        text = block(ROOT / "docs" / page, f"$ {beginning}")
        [command] = [line.removeprefix("$ ") for line in text.splitlines() if line.startswith(f"$ {beginning}")]
        return cluster.type(command.replace("telephony", VOICE))

    checks = typed("doctor.md", "sipgw doctor --namespace").splitlines()
    assert checks[-1].endswith("1 warning, 0 error")
    [warning] = [line for line in checks if line.startswith("warning")]
    assert "SocketUnsafe: DefaultPassword." in warning  # the example's simulated switch has FreeSWITCH's own
    gateway, _, head, pod = typed("status.md", "sipgw status").splitlines()[1:]
    assert gateway.split()[:6] == ["acme", "default", "external", "True", "1/1", "Ready"]
    assert dict(zip(head.split(), pod.split(), strict=True))["REGISTERED"] == "1"
    trace = typed("status.md", "sipgw trace").splitlines()
    assert [line.split()[0] for line in trace[1:]] == ["SipGateway", "accepted", "ConfigMap", "pod", "status", "every"]
    assert all(" done " in line for line in trace[1:-1])


def test_keys_that_are_deleted_are_not_remade_and_come_back_from_their_copy(cluster: Cluster, tmp_path: Path) -> None:
    pod, secret = cluster.pods[0], f"/api/v1/namespaces/{VOICE}/secrets/sipgateway-default-keys"
    before, commands = pod.revision("acme"), len(pod.control("commands"))
    data = cluster.plane.api.get(secret)["data"]
    config_map = f"/api/v1/namespaces/{VOICE}/configmaps/sipgateway-acme"
    version = cluster.plane.api.get(config_map)["metadata"]["resourceVersion"]
    save, restore = step("backup.md", "Back up"), step("backup.md", "Restore")
    cluster.type(save, tmp_path)
    operator = cluster.operators.started[0]
    said = len(operator.logs())
    cluster.plane.api.delete(secret)
    wait_until(lambda: any("FleetKeys" in str(entry) for entry in operator.logs()[said:]), 20, operator.tail)
    assert cluster.plane.api.find(secret) is None, "new keys were made"
    cluster.type(restore, tmp_path)
    assert cluster.plane.api.get(secret)["data"] == data
    cluster.type("kubectl -n voice wait --for=condition=Ready sipgateway/acme --timeout=60s")
    assert cluster.plane.api.get(config_map)["metadata"]["resourceVersion"] == version
    assert pod.revision("acme") == before
    assert_untouched(pod, commands)


def test_a_new_seal_key_touches_no_gateway(cluster: Cluster) -> None:
    pod, commands = cluster.pods[0], len(cluster.pods[0].control("commands"))
    before = pod.revision("acme")
    said = cluster.type(step("security.md", "A new seal key"))
    assert "voice/default" in said
    cluster.type("kubectl -n voice wait --for=condition=Ready sipgateway/acme --timeout=60s")
    assert pod.revision("acme") == before
    assert_untouched(pod, commands)


def test_an_upgrade_a_rollback_and_the_end_of_the_operator_touch_no_trunk(cluster: Cluster) -> None:
    pod, commands = cluster.pods[0], len(cluster.pods[0].control("commands"))
    before = pod.revision("acme")
    cluster.type(step("install.md", "Upgrade and roll back"))
    cluster.operators.close()
    cluster.type(step("install.md", "Uninstall"))
    assert cluster.plane.api.find(f"/apis/apps/v1/namespaces/{HOME}/deployments/sipgateway-operator") is None
    assert cluster.find("sipgateways", "acme") is not None
    cluster.type("kubectl delete crd sipgateways.sipgateway.dev sipswitches.sipgateway.dev")
    kind = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/sipgateways.sipgateway.dev"
    wait_until(lambda: cluster.plane.api.find(kind) is None, 30, lambda: "the kind stays")
    assert pod.revision("acme") == before
    assert_untouched(pod, commands)


def test_without_helm_the_same_is_had_from_the_manifests(cluster: Cluster, tmp_path: Path) -> None:
    for pod in cluster.pods:
        pod.close()
    cluster.pods.clear()
    cluster.operators.started.clear()
    cluster.type("helm -n voice uninstall fleet; kubectl -n voice delete secret acme")
    cluster.type("kubectl -n voice delete pods --all --force --grace-period=0")  # which a kubelet would end
    wait_until(lambda: not cluster._pods(), 20, cluster.told)
    for section in ("The operator, with kubectl or kustomize", "By hand"):
        cluster.type(step("install.md", section))
    # As the head of manifests/install/kustomization.yaml has it, for one's own image and namespace.
    head = (ROOT / "manifests" / "install" / "kustomization.yaml").read_text().split("#   resources:\n")[1]
    own = "\n".join(line.removeprefix("#").removeprefix("   ") for line in head.split("\n#\n")[0].splitlines())
    where = os.path.relpath(ROOT / "manifests" / "install", tmp_path)
    (tmp_path / "kustomization.yaml").write_text("resources:\n" + own.replace("../sipgateway/manifests/install", where))
    cluster.type(f"kubectl apply --server-side -k {tmp_path}")
    [deployment] = cluster._listed("deployments", HOME)
    container = deployment["spec"]["template"]["spec"]["containers"][0]
    assert container["image"].startswith("registry.example.net/telephony/sipgateway-operator:")
    cluster.play()

    cluster.type(step("operator.md", "A first gateway"))
    assert "condition met" in cluster.type(
        "kubectl -n voice wait --for=condition=Accepted sipgateway/acme --timeout=60s"
    )
    wait_until(lambda: "NoSwitchPods" in str(cluster.find("sipgateways", "acme")), 20, cluster.told)
    cluster.type("kubectl apply --server-side -f manifests/switch/freeswitch.yaml")
    cluster.play()
    assert "condition met" in cluster.type("kubectl -n voice wait --for=condition=Ready sipgateway/acme --timeout=60s")
