"""SipSwitches as the API server serves them: a whole fleet's names fit, bounds hold, and the columns tell a story."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from sipgateway.api import limits
from sipgateway.api.switch import parse_switch
from tests.controlplane.api import ApiError
from tests.controlplane.plane import ControlPlane
from tests.crd.people import switches

STATUS: dict[str, Any] = {
    "heartbeat": "2026-01-01T00:00:00Z",
    "agentVersion": "0.1.0",
    "switchVersion": "1.10.12",
    "phase": "Running",
    "observedResourceVersion": "12345",
    "sealKeys": ["1f2e3d4c"],
    "switch": {"reachable": True, "reason": "", "message": ""},
    "counts": {"wanted": 3, "loaded": 3, "registered": 1, "registering": 0, "failed": 2, "foreign": 1, "ghosts": 0},
    "problems": [
        {
            "about": "Registered",
            "reason": "CredentialsRefused",
            "code": 403,
            "message": "Forbidden",
            "gateways": ["acme", "beta"],
        }
    ],
}


@pytest.fixture
def control_plane(module_control_plane: ControlPlane) -> ControlPlane:
    """One without the policies that other tests bind everybody with on the shared one."""
    return module_control_plane


@pytest.fixture
def path(control_plane: ControlPlane, namespace: str) -> str:
    """The path of a SipSwitch without a status. No policy binds anybody on this control plane."""
    metadata = {"name": "sw-0", "labels": {"sipgateway.dev/switch": "frankfurt"}}
    body = {"apiVersion": "sipgateway.dev/v1alpha1", "kind": "SipSwitch", "metadata": metadata}
    control_plane.api.create(switches(namespace), body)
    return switches(namespace, "sw-0")


def write(plane: ControlPlane, path: str, **status: Any) -> Any:
    """Writes parts of a status beside what must be there. Returns the status as it is stored."""
    body = {"heartbeat": STATUS["heartbeat"], "phase": "Running", **status}
    return plane.api.patch(f"{path}/status", {"status": body}, fieldValidation="Strict")["status"]


def test_everything_that_an_agent_says_is_stored_as_it_said_it(control_plane: ControlPlane, path: str) -> None:
    assert write(control_plane, path, **STATUS) == STATUS
    report = parse_switch(control_plane.api.get(path))
    assert not report.unreadable
    assert report.observed == 12345
    assert sorted(report.registered) == ["acme", "beta"]


def test_the_names_of_ten_thousand_gateways_fit_in_one_status(control_plane: ControlPlane, path: str) -> None:
    names = [f"gateway-{n:05}-{'x' * 100}" for n in range(10_000)]
    problems = [
        {
            "about": "Registered",
            "reason": "RegistrarUnreachable",
            "code": 503,
            "message": f"{n}",
            "gateways": names[n::500],
        }
        for n in range(500)
    ]
    stored = write(control_plane, path, problems=problems)
    assert sorted(name for problem in stored["problems"] for name in problem["gateways"]) == names
    managed = json.dumps(control_plane.api.get(path)["metadata"]["managedFields"])
    assert len(managed) < 5_000, "managedFields repeats the names"
    assert len(parse_switch(control_plane.api.get(path)).registered) == 10_000


def test_a_fleet_of_twenty_thousand_may_all_have_one_problem(control_plane: ControlPlane, path: str) -> None:
    names = [f"gateway-{n:05}" for n in range(limits.MAX_PROBLEM_GATEWAYS)]
    problem = {"about": "Programmed", "reason": "Loading", "gateways": names}
    assert write(control_plane, path, problems=[problem])["problems"] == [problem]


@pytest.mark.parametrize(
    "problem",
    [
        {"about": "Registered", "reason": "Pending", "gateways": ["strange name: 'ä' \U0001f4de"]},
        {"about": "Programmed", "reason": "Ghost", "message": "-ERR \x07\r\n<invalid>", "gateways": []},
        {"about": "Programmed", "reason": "Ghost", "code": 0, "message": "", "gateways": [""]},
        {"about": "Registered", "reason": "Refused", "code": 904, "gateways": ["a"]},
    ],
)
def test_odd_words_of_a_switch_do_not_silence_a_pod(control_plane: ControlPlane, path: str, problem: Any) -> None:
    assert write(control_plane, path, problems=[problem])["problems"] == [problem]


_PROBLEM = STATUS["problems"][0]


#: What no status may say, and the status.
OUT_OF_BOUNDS: dict[str, dict[str, Any]] = {
    "no heartbeat": {"heartbeat": None},
    "no phase": {"phase": None},
    "a heartbeat in words": {"heartbeat": "now"},
    "a phase that is none": {"phase": "Asleep"},
    "a resourceVersion in hex": {"observedResourceVersion": "0x1"},
    "an empty resourceVersion": {"observedResourceVersion": ""},
    "a key's id in capitals": {"sealKeys": ["1F2E3D4C"]},
    "17 keys": {"sealKeys": ["1f2e3d4c"] * 17},
    "a long version": {"agentVersion": "1" * 65},
    "a switch that may be reached or not": {"switch": {"reason": "EslRefused"}},
    "a quoted truth": {"switch": {"reachable": "yes"}},
    "fewer than no gateways": {"counts": {"wanted": -1}},
    "more gateways than 31 bits count": {"counts": {"failed": 2**31}},
    "a problem about Ready": {"problems": [{**_PROBLEM, "about": "Ready"}]},
    "a reason of two words": {"problems": [{**_PROBLEM, "reason": "two words"}]},
    "an empty reason": {"problems": [{**_PROBLEM, "reason": ""}]},
    "a SIP status of four digits": {"problems": [{**_PROBLEM, "code": 1000}]},
    "a long message": {"problems": [{**_PROBLEM, "message": "m" * 1025}]},
    "a gateway name of 256": {"problems": [{**_PROBLEM, "gateways": ["g" * 256]}]},
    "a problem of no gateways": {"problems": [{"about": "Registered", "reason": "Pending"}]},
    "1025 problems": {"problems": [{**_PROBLEM, "gateways": []}] * 1025},
    "20,001 gateways": {"problems": [{**_PROBLEM, "gateways": ["a"] * (limits.MAX_PROBLEM_GATEWAYS + 1)}]},
}


@pytest.mark.parametrize("status", OUT_OF_BOUNDS.values(), ids=OUT_OF_BOUNDS)
def test_a_status_out_of_its_bounds_is_refused(control_plane: ControlPlane, path: str, status: Any) -> None:
    with pytest.raises(ApiError) as caught:
        write(control_plane, path, **status)
    assert caught.value.code == 422


def test_there_is_nothing_to_want_of_a_switch(control_plane: ControlPlane, path: str) -> None:
    with pytest.raises(ApiError, match='unknown field "spec"'):
        control_plane.api.patch(path, {"spec": {"drain": True}}, fieldValidation="Strict")


def test_kubectl_get_shows_what_an_operator_asks_first(control_plane: ControlPlane, path: str, namespace: str) -> None:
    write(control_plane, path, **STATUS)
    for name in ("sipswitches", "sipsw", "ssw"):
        lines = control_plane.kubectl("get", name, "--namespace", namespace).stdout.splitlines()
        head, row = (re.split(r" {2,}", line.strip()) for line in lines)
        assert head == ["NAME", "SWITCH", "PHASE", "WANTED", "LOADED", "REGISTERED", "FAILED", "SEEN", "AGE"]
        assert row[:7] == ["sw-0", "frankfurt", "Running", "3", "3", "1", "2"]


def test_kubectl_explains_every_field_of_the_status(control_plane: ControlPlane) -> None:
    for path in ("status", "status.switch", "status.counts", "status.problems"):
        text = control_plane.kubectl("explain", f"sipswitch.{path}").stdout
        fields = re.split(r"^  (?=\w+\t)", text.partition("FIELDS:\n")[2], flags=re.MULTILINE)[1:]
        assert len(fields) >= 3
        for field in fields:
            assert re.search(r"[.)]\s*$", field), field
            assert len(field.split()) >= 5, field
