"""The policy makes of a bare pod what the library chart makes of it, leaves others alone, and refuses in words."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from sipgateway.api.names import AGENT_CONTAINER, LABEL_SWITCH
from tests.charts import helm
from tests.charts.library import BARE, OPINIONATED, chart, pod_of
from tests.controlplane.plane import ControlPlane
from tests.controlplane.process import wait_until

pytestmark = pytest.mark.controlplane

CONTAINER = "sipgateway.dev/switch-container"
INJECTED = "injected"
ACCOUNT: dict[str, Any] = {"metadata": {"name": "sipgateway-default-agent"}, "automountServiceAccountToken": False}

#: What the library is told so that it adds what the policy adds: the same Secret, and the container by its name.
SETTINGS: dict[str, Any] = {"esl": {"passwordSecret": {"name": "freeswitch-esl"}}}

VARIANTS: dict[str, dict[str, Any]] = {
    "as they come": {},
    "everything": {
        "port": 9081,
        "bindAddress": "[::]",
        "logLevel": "debug",
        "registerRate": 0,
        "conf": {
            "path": "/etc/gateways",
            "profilePath": "{profile}",
            "directoryPath": "u/{domain}/{user}",
            "sizeLimit": "8Mi",
        },
        "logFolder": {"path": "/logs"},
        "fsGroup": 3000,
        "tokenSeconds": 900,
        "resources": {"limits": {"cpu": "1", "memory": "96Mi"}},
    },
    "as little as can be": {"drain": False, "logFolder": {"private": False}, "resources": {}},
}


@pytest.fixture(scope="module")
def plane(fresh: ControlPlane) -> ControlPlane:
    """A control plane with a namespace in which the agent is injected, and one in which it is not."""
    for namespace, labels in ((INJECTED, {"inject": "yes"}), ("plain", {})):
        fresh.create_namespace(namespace, **labels)
        for name in (ACCOUNT["metadata"]["name"], "switch"):
            account = {**ACCOUNT, "metadata": {"name": name}}
            fresh.api.create(f"/api/v1/namespaces/{namespace}/serviceaccounts", account)
        fresh.api.create(f"/api/v1/namespaces/{namespace}/serviceaccounts", {"metadata": {"name": "talkative"}})
    return fresh


@pytest.fixture(params=VARIANTS)
def settings(request: pytest.FixtureRequest, plane: ControlPlane) -> dict[str, Any]:
    """What the policy was told and acts on."""
    settings = {**SETTINGS, **VARIANTS[request.param]}
    install(plane, settings, str(request.param).replace(" ", "-"))
    return settings


@pytest.fixture
def plain_settings(plane: ControlPlane) -> dict[str, Any]:
    """The policy without any settings of its own."""
    install(plane, SETTINGS, "plain")
    return SETTINGS


def install(plane: ControlPlane, settings: dict[str, Any], mark: str) -> None:
    """Installs the policies and waits until the API server acts on them; the tag of the image tells the version."""
    values = {
        "injection": {"create": True, "namespaceLabels": {"inject": "yes"}},
        "image": {"repository": "registry.example.com/sipgateway-operator", "tag": mark},
        helm.LIBRARY.name: settings,
        "crds": {"install": False},
    }
    wanted = [m for m in helm.render(helm.OPERATOR, values) if m["metadata"]["name"] == "agents.sipgateway.dev"]
    assert len(wanted) == 4
    plane.apply("\n---\n".join(json.dumps(m) for m in wanted))

    def acts() -> bool:
        agent = created(plane, BARE)["spec"].get("initContainers", [{"image": ""}])[0]
        try:
            created(plane, {**BARE, "automountServiceAccountToken": False}, account="talkative")
            wrong = plane.kubectl(*DRY, stdin=json.dumps(a_pod(BARE, {CONTAINER: "none"})), check=False)
        except AssertionError:
            return False
        return bool(agent["image"].endswith(f":{mark}")) and "names the container none" in wrong.stderr

    wait_until(acts, 30, lambda: "the API server does not act on the policies", every=0.1)


DRY = ("create", "--dry-run=server", "--output=json", "--namespace", INJECTED, "--filename=-")


def a_pod(
    spec: dict[str, Any], annotations: dict[str, str] | None = None, *, account: str = "", label: bool = True
) -> dict[str, Any]:
    labels = {"app": "switch"} | ({LABEL_SWITCH: "default"} if label else {})
    account = account or spec.get("serviceAccountName") or ACCOUNT["metadata"]["name"]
    metadata = {"name": "one", "labels": labels, "annotations": annotations or {}}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {**spec, "serviceAccountName": account}}


def created(
    plane: ControlPlane,
    spec: dict[str, Any],
    annotations: dict[str, str] | None = None,
    *,
    namespace: str = INJECTED,
    account: str = "",
    label: bool = True,
) -> dict[str, Any]:
    """What the API server makes of a pod."""
    pod = a_pod(spec, annotations, account=account, label=label)
    command = [namespace if part == INJECTED else part for part in DRY]
    made: dict[str, Any] = json.loads(plane.kubectl(*command, stdin=json.dumps(pod)).stdout)
    return made


def refused(plane: ControlPlane, pod: dict[str, Any]) -> str:
    done: subprocess.CompletedProcess[str] = plane.kubectl(*DRY, stdin=json.dumps(pod), check=False)
    assert done.returncode != 0, "the pod was taken"
    return done.stderr


SWITCH_OF_THREE: dict[str, Any] = {
    "containers": [
        {"name": "proxy", "image": "registry.example.com/proxy:1"},
        {
            "name": "freeswitch",
            "image": "registry.example.com/freeswitch:1",
            "lifecycle": {"postStart": {"exec": {"command": ["true"]}}},
            "volumeMounts": [{"name": "data", "mountPath": "/data"}],
        },
        {"name": "recorder", "image": "registry.example.com/recorder:1"},
    ],
    "initContainers": [{"name": "prepare", "image": "registry.example.com/prepare:1"}],
    "securityContext": {"runAsNonRoot": True},
    "volumes": [{"name": "data", "emptyDir": {}}],
}


@pytest.mark.parametrize(
    ("spec", "switch"),
    [(BARE, ""), (SWITCH_OF_THREE, "freeswitch"), (OPINIONATED, "freeswitch")],
    ids=["bare", "with company", "opinionated"],
)
def test_the_injected_pod_is_the_pod_of_the_library(
    plane: ControlPlane, settings: dict[str, Any], spec: dict[str, Any], switch: str, tmp_path: Path
) -> None:
    injected = created(plane, spec, {CONTAINER: switch} if switch else {})
    image = dict(zip(("repository", "tag"), injected["spec"]["initContainers"][0]["image"].rsplit(":", 1), strict=True))
    made = chart(tmp_path, spec, {**settings, "switchContainer": switch, "image": image})
    by_library = created(plane, pod_of(made)["spec"], namespace="plain")
    assert tidy(injected["spec"]) == tidy(by_library["spec"])
    assert injected["spec"]["initContainers"][0]["name"] == AGENT_CONTAINER


def test_a_pod_that_has_the_agent_is_left_alone(
    plane: ControlPlane, plain_settings: dict[str, Any], tmp_path: Path
) -> None:
    ready = pod_of(chart(tmp_path, SWITCH_OF_THREE, {"switchContainer": "freeswitch"}))["spec"]
    assert tidy(created(plane, ready)["spec"]) == tidy(created(plane, ready, namespace="plain")["spec"])


def test_pods_without_the_label_and_other_namespaces_are_left_alone(
    plane: ControlPlane, plain_settings: dict[str, Any]
) -> None:
    assert "initContainers" not in created(plane, BARE, label=False)["spec"]
    assert "initContainers" not in created(plane, BARE, namespace="plain")["spec"]


def test_an_annotation_that_names_no_container_is_refused_with_those_that_there_are(
    plane: ControlPlane, plain_settings: dict[str, Any]
) -> None:
    told = refused(plane, a_pod(SWITCH_OF_THREE, {CONTAINER: "switch"}))
    assert "names the container switch, and the pod has only proxy, freeswitch, recorder" in told


def test_a_pod_in_which_the_switch_would_get_the_agents_token_is_refused_unless_it_says_so(
    plane: ControlPlane, plain_settings: dict[str, Any]
) -> None:
    assert "set automountServiceAccountToken: false" in refused(plane, a_pod(BARE, account="talkative"))
    created(plane, {**BARE, "automountServiceAccountToken": False}, account="talkative")
    created(plane, {**BARE, "automountServiceAccountToken": True}, account="talkative")


def test_a_workloads_pods_are_made_with_the_agent(plane: ControlPlane, plain_settings: dict[str, Any]) -> None:
    labels = {"app": "switch", LABEL_SWITCH: "default"}
    template = {"metadata": {"labels": labels}, "spec": a_pod(BARE)["spec"]}
    spec = {
        "replicas": 1,
        "serviceName": "switch",
        "selector": {"matchLabels": {"app": "switch"}},
        "template": template,
    }
    made = {"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "switch"}, "spec": spec}
    plane.apply(json.dumps(made), namespace=INJECTED)
    path = f"/api/v1/namespaces/{INJECTED}/pods/switch-0"
    wait_until(lambda: plane.api.find(path) is not None, 30, lambda: "no pod")
    assert [one["name"] for one in plane.api.get(path)["spec"]["initContainers"]] == [AGENT_CONTAINER]
    plane.kubectl("delete", "statefulset", "switch", "--namespace", INJECTED)


def test_the_api_server_finds_no_mistake_in_the_policy(plane: ControlPlane, plain_settings: dict[str, Any]) -> None:
    path = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies/agents.sipgateway.dev"

    def checked() -> bool:
        return "typeChecking" in plane.api.get(path).get("status", {})

    wait_until(checked, 30, lambda: "its types are not checked")
    assert "expressionWarnings" not in plane.api.get(path)["status"]["typeChecking"]


def tidy(spec: dict[str, Any]) -> dict[str, Any]:
    """A pod's spec without the token that Kubernetes itself adds, which has a random name."""
    tidied: dict[str, Any] = json.loads(json.dumps(spec))
    for part in (tidied, *tidied["containers"], *tidied.get("initContainers", ())):
        for key in ("volumes", "volumeMounts"):
            if key in part:
                part[key] = [one for one in part[key] if not one["name"].startswith("kube-api-access-")]
                if not part[key]:
                    del part[key]
    return tidied
