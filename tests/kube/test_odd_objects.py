"""Objects that were made for somebody else: by a newer version of ours, for another operator, or to do harm."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import pytest

from tests.controlplane.plane import ControlPlane
from tests.kube.lab import Lab, gateway

CRD = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{}.sipgateway.dev"


def follows(lab: Lab, name: str) -> None:
    """The operator sees an edit of this very object at once, not only when it lists anew."""
    target = f"{lab.new('sip')}.example.net"
    lab.edit(name, proxy=target)
    lab.wait_config_map(name, lambda found: target in found["data"]["gateway.xml"], seconds=5)


@pytest.mark.parametrize(
    "annotations",
    [
        {"kopf.zalando.org/last-handled-configuration": "{no json"},
        {"kopf.zalando.org/last-handled-configuration": "[]"},
        {"kopf.zalando.org/gateway": "{no json", "kopf.dev/gateway": "7"},
        {"kopf.zalando.org/touch-dummy": "2020-01-01T00:00:00"},
    ],
)
def test_what_another_kopf_wrote_into_annotations_disturbs_nobody(lab: Lab, annotations: dict[str, str]) -> None:
    name = lab.new("annotated")
    body = gateway(name)
    body["metadata"]["annotations"] = annotations
    lab.plane.api.create(lab.path("sipgateways"), body)
    lab.wait_config_map(name, seconds=5)
    follows(lab, name)
    assert lab.get("sipgateways", name)["metadata"]["annotations"] == annotations


def test_the_finalizer_of_another_kopf_is_left_alone(lab: Lab) -> None:
    """kopf would take its own off, which is a write to the SipGateway; ours has no right to that, and no business."""
    name = lab.new("finalized")
    body = gateway(name)
    body["metadata"]["finalizers"] = ["kopf.zalando.org/KopfFinalizerMarker"]
    lab.plane.api.create(lab.path("sipgateways"), body)
    lab.wait_config_map(name, seconds=5)
    follows(lab, name)
    follows(lab, name)
    lab.fence(lab.new("fleet"))
    requests = [r for r in lab.plane.audit_requests(lab.user) if r.name == name and r.resource == "sipgateways"]
    assert {(r.verb, r.subresource) for r in requests if r.verb != "get"} == {("patch", "status")}
    lab.plane.api.patch(lab.path("sipgateways", name), {"metadata": {"finalizers": []}})


def test_a_switch_that_says_nonsense_costs_its_own_pod_and_nobody_else(lab: Lab) -> None:
    fleet, name = lab.new("fleet"), lab.new("acme")
    lab.apply(name, switch=fleet)
    odd = lab.agent(lab.new("odd"), fleet)
    even = lab.agent(lab.new("even"), fleet)
    even.settled()
    odd.settled(
        problems=[
            {"about": "Programmed", "reason": "Rain", "message": "\n\t<b>", "gateways": [name, "nobody"]},
            {"about": "Registered", "reason": "Rain", "code": 699, "message": "", "gateways": [name]},
        ],
        switch={"reachable": False, "reason": "Gone", "message": "y" * 200},
        observedResourceVersion="9" * 19,
    )
    lab.wait_condition(name, "Accepted", "True")
    follows(lab, name)
    assert [e for e in lab.operator.logs() if "exception" in e] == []


# A newer version's CRD, which takes more than ours


@pytest.fixture
def newer(start_lab: Callable[..., Lab], module_control_plane: ControlPlane) -> Iterator[Lab]:
    """A lab on a control plane whose CRDs keep fields that ours do not know."""
    plane = module_control_plane
    for plural in ("sipgateways", "sipswitches"):
        crd = plane.api.get(CRD.format(plural))
        for version in crd["spec"]["versions"]:
            properties = version["schema"]["openAPIV3Schema"]["properties"]
            for part in ("spec", "status"):
                if part in properties:
                    properties[part]["x-kubernetes-preserve-unknown-fields"] = True
        plane.api.replace(CRD.format(plural), crd)
    lab = start_lab(plane=plane)
    lab.secret("acme")
    lab.start()
    yield lab
    assert [e for e in lab.operator.logs() if "exception" in e] == []


def until_kept(lab: Lab, name: str) -> None:
    """Makes a SipGateway with a field of the future; the API server takes a changed CRD over after a moment."""

    def made() -> bool:
        lab.apply(name, futureField={"deep": [1]})
        return "futureField" in lab.get("sipgateways", name)["spec"]

    lab.wait(made, lambda: "the CRD does not keep what it does not know")


def test_a_field_of_a_newer_version_is_told_and_not_taken_for_understood(newer: Lab) -> None:
    until_kept(newer, "acme")
    found = newer.wait_condition("acme", "Accepted", "False")
    assert "futureField" in found["message"]
    newer.edit("acme", futureField=None)
    newer.wait_condition("acme", "Accepted", "True")


def test_what_a_newer_version_wrote_into_a_status_stays(newer: Lab) -> None:
    newer.apply("acme")
    newer.wait_condition("acme", "Accepted", "True")
    condition = {
        "type": "Glorious",
        "status": "True",
        "reason": "ItIs",
        "message": "m",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }
    path = f"{newer.path('sipgateways', 'acme')}/status"
    status = newer.get("sipgateways", "acme")["status"]
    status |= {"futureField": {"deep": [1]}, "conditions": [*status["conditions"], condition]}
    newer.plane.api.patch(path, {"status": status})
    newer.edit("acme", proxy="sip.example.net")
    newer.wait_condition("acme", "Accepted", "True")
    after = newer.get("sipgateways", "acme")["status"]
    assert after["futureField"] == {"deep": [1]}
    assert condition in after["conditions"], json.dumps(after)
