"""A trunk goes only when there is evidence: what happens on a real API server when ConfigMaps and SipGateways go."""

from __future__ import annotations

import json
import time
from collections.abc import Callable

import pytest

from tests.agent_kube.bare import SWITCH, Bare, outbound, renamed
from tests.agent_kube.pods import SwitchPod
from tests.controlplane.plane import ControlPlane
from tests.controlplane.process import wait_until

pytestmark = [pytest.mark.controlplane, pytest.mark.timeout(240)]

Start = Callable[..., SwitchPod]
CRD = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/sipgateways.sipgateway.dev"


def loaded(pod: SwitchPod, *names: str) -> bool:
    return all(pod.revision(name) is not None for name in names)


def is_gone(pod: SwitchPod, name: str) -> bool:
    return pod.revision(name) is None and not any(f.endswith(f"/sipgw-{name}.xml") for f in pod.files())


def held(pod: SwitchPod, why: str, *names: str) -> bool:
    """Whether the agent has looked for evidence about these names, and said that it stays for this reason."""
    said = {e.get("gateway"): e["message"] for e in pod.agent.logs() if "want of evidence" in e["message"]}
    return all(why in said.get(name, "") for name in names) and loaded(pod, *names)


def with_two(bare: Bare, start_pod: Start) -> SwitchPod:
    """A pod with `goes` and `stays`."""
    pod = start_pod(bare, "switch-0", start=False)
    for name in ("goes", "stays"):
        bare.sipgateway(name)
        bare.publish(outbound(name))
    pod.start()
    assert loaded(pod, "goes", "stays")
    return pod


def test_a_deleted_config_map_takes_nothing_down_and_a_deleted_sipgateway_does(bare: Bare, start_pod: Start) -> None:
    pod = with_two(bare, start_pod)
    bare.unpublish("goes")
    pod.wait(lambda: held(pod, "only its ConfigMap is missing", "goes"), "not held")
    bare.delete("sipgateways", "goes")
    pod.wait(lambda: is_gone(pod, "goes"), "still there")
    pod.wait(lambda: pod.report.get("counts", {}).get("wanted") == 1 and not pod.problems(), "not reported")
    assert loaded(pod, "stays")


@pytest.mark.parametrize("spec", [{"suspend": True}, {"switch": "other"}, {"gatewayName": "another"}])
def test_a_sipgateway_that_wants_something_else_takes_its_gateway_away(
    bare: Bare, start_pod: Start, spec: dict[str, object]
) -> None:
    pod = with_two(bare, start_pod)
    bare.sipgateway("goes", **spec)
    if "switch" in spec:
        bare.elsewhere("goes")
    else:
        bare.unpublish("goes")
    pod.wait(lambda: is_gone(pod, "goes"), "still there")
    assert loaded(pod, "stays")


def test_a_renamed_gateway_is_loaded_under_its_new_name_and_the_old_one_goes(bare: Bare, start_pod: Start) -> None:
    pod = with_two(bare, start_pod)
    bare.publish(renamed(outbound("goes"), "renamed"), owner="goes")
    pod.wait(lambda: loaded(pod, "renamed"), "not loaded")
    pod.wait(lambda: held(pod, "its SipGateway is there and wants it", "goes"), "not held")
    bare.sipgateway("goes", gatewayName="renamed")
    pod.wait(lambda: is_gone(pod, "goes"), "still there", 60)
    assert loaded(pod, "renamed", "stays")


def test_a_restart_does_not_forget_whose_gateway_it_was(bare: Bare, start_pod: Start) -> None:
    pod = with_two(bare, start_pod)
    pod.wait((pod.conf / ".sipgw" / "fleet.json").exists, "nothing kept")
    for name in ("newer", "newest"):  # the second comes before everything is written down again
        bare.sipgateway(name)
        bare.publish(outbound(name))
        wait_until(lambda: loaded(pod, name), 10, lambda: "not loaded")  # noqa: B023 - called at once
    pod.agent.kill()
    for name in ("goes", "newest"):
        bare.unpublish(name)
        bare.delete("sipgateways", name)
    pod.agent.start()
    for name in ("goes", "newest"):
        pod.wait(lambda: is_gone(pod, name), "still there")  # noqa: B023 - called at once
    assert loaded(pod, "stays", "newer")


def test_without_the_right_to_see_the_crd_nothing_goes_and_the_right_heals_it(bare: Bare, start_pod: Start) -> None:
    pod = with_two(bare, start_pod)
    binding = f"sipgateway-{bare.namespace}-{SWITCH}-agent-crd"
    path = f"/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/{binding}"
    right = bare.plane.api.get(path)
    bare.plane.api.delete(path)
    bare.unpublish("goes")
    bare.delete("sipgateways", "goes")
    pod.wait(lambda: held(pod, "403", "goes"), "not held")
    right["metadata"] = {"name": binding, "labels": right["metadata"]["labels"]}
    bare.plane.api.create("/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", right)
    pod.wait(lambda: is_gone(pod, "goes"), "still there", 90)


def test_a_deleted_crd_takes_no_trunk_down_and_neither_does_its_return(
    private_control_plane: ControlPlane, start_pod: Start
) -> None:
    bare = Bare(private_control_plane)
    pod = with_two(bare, start_pod)
    seconds_apart()
    bare.unpublish("goes")
    recreate_crd(private_control_plane)
    bare.unpublish("stays")
    pod.wait(lambda: held(pod, "made anew after it", "goes", "stays"), "not held after its return", 90)
    seconds_apart()
    bare.sipgateway("stays")
    bare.publish(outbound("stays"))
    bare.sipgateway("goes", suspend=True)
    pod.wait(lambda: is_gone(pod, "goes"), "a suspended one is still there", 90)
    bare.unpublish("stays")
    bare.delete("sipgateways", "stays")
    pod.wait(lambda: is_gone(pod, "stays"), "a deleted one is still there", 90)


def test_a_gateway_that_outlived_its_crd_can_go_once_its_sipgateway_was_seen_again(
    private_control_plane: ControlPlane, start_pod: Start
) -> None:
    bare = Bare(private_control_plane)
    pod = with_two(bare, start_pod)
    seconds_apart()
    recreate_crd(private_control_plane)
    seconds_apart()
    for name in ("goes", "stays"):
        bare.sipgateway(name)
    pod.agent.restart()
    pod.wait(lambda: _seen_again(pod), "not looked at anew")
    bare.unpublish("goes")
    bare.delete("sipgateways", "goes")
    pod.wait(lambda: is_gone(pod, "goes"), "still there", 90)
    assert loaded(pod, "stays")


def recreate_crd(plane: ControlPlane) -> None:
    """Deletes the CRD of SipGateway with all of its objects, and makes it anew."""
    manifest = plane.api.get(CRD)
    plane.api.delete(CRD)
    wait_until(lambda: plane.api.find(CRD) is None, 30, lambda: "the CRD is still there")
    keep = {k: v for k, v in manifest["metadata"].items() if k in {"name", "annotations", "labels"}}
    plane.api.create(CRD.rpartition("/")[0], {**manifest, "metadata": keep, "status": None})
    plane.kubectl("wait", "--for=condition=Established", "--timeout=30s", "crd/sipgateways.sipgateway.dev")


def _seen_again(pod: SwitchPod) -> bool:
    state = json.loads((pod.conf / ".sipgw" / "fleet.json").read_text())
    crd = pod.lab.plane.api.get(CRD)["metadata"]["creationTimestamp"]
    return all(entry[1] > crd for entry in state["gateways"].values())


def seconds_apart() -> None:
    """Moments of the API server have whole seconds, and what is of one second is not told apart."""
    time.sleep(1.1)
