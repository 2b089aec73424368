"""What people see of the ring: `sipgw status` and `sipgw trace` against what really is."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from tests.canary import Canary
from tests.controlplane.process import clean_environment
from tests.ring.fleet import Fleet

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]


def sipgw(fleet: Fleet, *arguments: str) -> tuple[int, str, str]:
    where = ("--kubeconfig", str(fleet.lab.plane.kubeconfig), "--namespace", fleet.lab.namespace)
    command = [sys.executable, "-m", "sipgateway", *arguments, *where]
    done = subprocess.run(command, capture_output=True, text=True, env=clean_environment(), timeout=60, check=False)
    return done.returncode, done.stdout, done.stderr


def hops(fleet: Fleet, name: str) -> tuple[int, dict[str, Any], str]:
    code, output, _ = sipgw(fleet, "trace", name, "--output", "json")
    found = json.loads(output)
    return code, {hop["hop"]: hop for hop in found["hops"]}, found["firstBehind"]


def test_of_what_is_registered_everywhere_every_hop_is_done(fleet: Fleet) -> None:
    name = fleet.lab.new("seen")
    fleet.lab.plane.api.apply(
        fleet.lab.path("sipgateways", name),
        {
            "apiVersion": "sipgateway.dev/v1alpha1",
            "kind": "SipGateway",
            "metadata": {
                "name": name,
                "annotations": {"sipgateway.dev/commit": "3f2a1b0c", "sipgateway.dev/path": "production/seen.yaml"},
            },
            "spec": {"switch": fleet.name, "proxy": "sip.example.com", "register": False},
        },
    )
    fleet.lab.wait_condition(name, "Ready", "True")
    revision = fleet.lab.verified(name).revision

    written = int((fleet.lab.config_map(name) or {})["metadata"]["resourceVersion"])

    def proved() -> bool:  # Ready waits for no pod that is only starting
        reports = [pod.report for pod in fleet.pods]
        return (
            all(pod.revision(name) == revision and name not in pod.problems() for pod in fleet.pods)
            and all(report.get("phase") == "Running" for report in reports)
            and all(int(report.get("observedResourceVersion") or 0) >= written for report in reports)
        )

    fleet.wait(proved, f"{name} is proved on each pod")
    code, output, errors = sipgw(fleet, "trace", name)
    assert (code, errors) == (0, ""), output
    lines = output.splitlines()
    assert lines[0] == f"{fleet.lab.namespace}/{name}: gateway {name} on switch {fleet.name}, profile external"
    assert lines[-1] == "every hop is done"
    assert "3f2a1b0c production/seen.yaml" in lines[1]
    assert f"revision {revision}" in output
    assert sum("loaded and proved" in line for line in lines) == 3

    code, output, errors = sipgw(fleet, "status", name)
    assert (code, errors) == (0, "")
    head, row, empty, *pods = output.splitlines()
    assert head.split() == ["NAME", "SWITCH", "PROFILE", "READY", "REGISTERED", "REASON", "AGE"]
    assert row.split()[:6] == [name, fleet.name, "external", "True", "-", "Ready"]
    assert empty == ""
    assert [line.split()[0] for line in pods] == ["POD", *(pod.name for pod in fleet.pods)]
    assert {line.split()[2] for line in pods[1:]} == {"Running"}


def test_a_refusal_by_the_registrar_is_the_first_hop_behind_in_each_pod(fleet: Fleet, canary: Canary) -> None:
    name, secret = fleet.lab.new("wrong"), fleet.lab.new("wrong")
    fleet.lab.secret(secret, password=canary.password)
    fleet.apply(name, passwordFrom={"secretKeyRef": {"name": secret, "key": "password"}})
    fleet.lab.wait_condition(name, "Registered", "False", "CredentialsRefused", seconds=60)
    fleet.wait(
        lambda: all("403" in json.dumps(pod.problems().get(name)) for pod in fleet.pods),
        f"{name} is refused in each pod",
    )
    code, found, behind = hops(fleet, name)
    assert (code, behind) == (1, f"pod {fleet.pods[0].name}")
    assert found["ConfigMap"]["state"] == "done"
    assert all("403" in found[f"pod {pod.name}"]["text"] for pod in fleet.pods)
    assert found["status"]["state"] == "wrong"
    code, output, _ = sipgw(fleet, "status")
    assert code == 1
    assert sum("CredentialsRefused 403 Forbidden" in line for line in output.splitlines()) == 3
    canary.assert_absent(output, json.dumps(found))


def test_a_secret_that_is_missing_stops_the_way_at_acceptance(fleet: Fleet) -> None:
    name = fleet.lab.new("lacking")
    fleet.apply(name, passwordFrom={"secretKeyRef": {"name": fleet.lab.new("no"), "key": "password"}})
    fleet.lab.wait_condition(name, "Accepted", "False")
    code, found, behind = hops(fleet, name)
    assert (code, behind) == (1, "accepted")
    assert "SecretNotFound" in found["accepted"]["text"] or "kubectl" in found["accepted"]["text"]
    assert found["ConfigMap"]["text"] == "is not there"


def test_what_is_not_there_is_said_and_so_is_what_may_not_be_read(fleet: Fleet) -> None:
    code, output, errors = sipgw(fleet, "trace", "nobody")
    assert (code, output) == (1, "")
    assert f"NoSuchGateway: There is no SipGateway {fleet.lab.namespace}/nobody." in errors
    code, output, errors = sipgw(fleet, "status", "nobody")
    assert code == 1
    assert "there is no SipGateway nobody" in errors
