"""Fleets for the tests of readiness: from a few lines of YAML to the values that are judged, SipSwitches parsed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sipgateway.api.switch import SwitchReport, parse_switch
from sipgateway.errors import Finding
from sipgateway.reconcile.readiness import FleetView, GatewayView, HeardReport, PodView

#: The operator's clock in these tests.
NOW = 10_000.0

#: What an agent with nothing to complain of says; its ConfigMaps are handled up to 100.
WELL: Mapping[str, Any] = {
    "heartbeat": "2026-01-01T00:00:00Z",
    "phase": "Running",
    "observedResourceVersion": "100",
    "switch": {"reachable": True},
}


def problem(about: str, reason: str, *gateways: str, code: int = 0, message: str = "") -> dict[str, Any]:
    """One entry of `status.problems`."""
    found: dict[str, Any] = {"about": about, "reason": reason, "gateways": list(gateways)}
    return found | ({"code": code} if code else {}) | ({"message": message} if message else {})


REFUSED = problem("Registered", "CredentialsRefused", "acme", code=403, message="Forbidden")


def switch(pod: str = "fs-0", uid: str = "uid-fs-0", **status: Any) -> dict[str, Any]:
    """A SipSwitch as JSON."""
    return {
        "apiVersion": "sipgateway.dev/v1alpha1",
        "kind": "SipSwitch",
        "metadata": {
            "name": pod,
            "namespace": "voice",
            "uid": f"{pod}-switch",
            "resourceVersion": "77",
            "labels": {"sipgateway.dev/switch": "default"},
            "ownerReferences": [{"apiVersion": "v1", "kind": "Pod", "name": pod, "uid": uid}],
        },
        "status": {**WELL, **status},
    }


def report(pod: str = "fs-0", uid: str | None = None, **status: Any) -> SwitchReport:
    """What a SipSwitch says."""
    return parse_switch(switch(pod, f"uid-{pod}" if uid is None else uid, **status))


def pod(name: str = "fs-0", age: float = 3600.0, **fields: Any) -> PodView:
    """A pod that is `age` seconds old."""
    return PodView(name, f"uid-{name}", "default", NOW - age, **fields)


def heard(pod: str = "fs-0", ago: float = 5.0, *, confirmed: bool = True, **status: Any) -> HeardReport:
    """A report that was heard `ago` seconds ago."""
    return HeardReport(report(pod, **status), NOW - ago, confirmed)


def fleet(*pods: PodView, reports: tuple[HeardReport, ...] | None = None, now: float = NOW) -> FleetView:
    """A fleet; without reports each pod says that all is well."""
    said = tuple(heard(one.name) for one in pods) if reports is None else reports
    return FleetView.of(pods, said, now, switch="default")


def gateway(**fields: Any) -> GatewayView:
    """The gateway acme in its third generation, its ConfigMap at resourceVersion 50."""
    return GatewayView(**{"generation": 3, "gateway_name": "acme", "config_version": 50, **fields})


def finding(code: str = "MissingProxy", message: str = "It has no proxy.") -> Finding:
    """A refusal."""
    return Finding(code, "spec.proxy", message, "Set it.")


def fleet_of(pods: Mapping[str, Any]) -> FleetView:
    """A fleet as the golden inputs have it: pod name -> age, phase, ready, terminating, agent, heard, report."""
    views: list[PodView] = []
    reports: list[HeardReport] = []
    for name, given in pods.items():
        said = dict(given or {})
        fields = {k: said[k] for k in ("phase", "ready", "terminating") if k in said}
        views.append(pod(name, said.get("age", 3600), has_agent=said.get("agent", True), **fields))
        if said.get("report", {}) is not None:
            status = said.get("report", {})
            owner = said.get("owner", f"uid-{name}")
            reports.append(
                HeardReport(parse_switch(switch(name, owner, **status)), NOW - said.get("heard", 5), confirmed=True)
            )
    return FleetView.of(views, reports, NOW, switch="default")


def gateway_of(given: Mapping[str, Any]) -> GatewayView:
    """A gateway as the golden inputs have it: fields of GatewayView, findings as mappings."""
    fields = dict(given)
    for name in ("refusals", "warnings"):
        if name in fields:
            fields[name] = tuple(Finding(**one) for one in fields[name])
    if isinstance(fields.get("writing"), Mapping):
        fields["writing"] = Finding(**fields["writing"])
    return gateway(**fields)
