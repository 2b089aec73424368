"""Registering gateways begin so many a second, are replaced pod by pod, and are un-registered before their pod goes."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from tests.agent_kube.bare import Bare, outbound, registering
from tests.agent_kube.pods import SwitchPod
from tests.controlplane import kubelet
from tests.controlplane.process import wait_until

pytestmark = [pytest.mark.controlplane, pytest.mark.timeout(240)]

Start = Callable[..., SwitchPod]


def registered(pod: SwitchPod, count: int) -> None:
    pod.wait(lambda: pod.report.get("counts", {}).get("registered") == count, f"{count} are not registered", 60)


def working(pod: SwitchPod, count: int) -> None:
    """Waits until calls go through so many gateways: that is a tick after the 200 that counts as registered."""
    registered(pod, count)
    pod.wait(lambda: pod.api("sofia status").count("REGED") >= count, f"{count} are not UP", 20)


def gaps(pod: SwitchPod, name: str) -> list[tuple[float, float]]:
    """Times in which a call through this gateway would have failed, after it worked first."""
    return [(start, end) for start, end in pod.control("availability", gateway=name)["gaps"]]


def begins(pod: SwitchPod) -> list[float]:
    """When each gateway sent its first REGISTER."""
    first: dict[str, float] = {}
    for message in pod.control("journal"):
        if message["method"] == "REGISTER":
            first.setdefault(message["gateway"], message["at"])
    return sorted(first.values())


def test_gateways_that_are_added_register_so_many_a_second(bare: Bare, start_pod: Start) -> None:
    pod = start_pod(bare, "switch-0", flags=["--register-rate=5"])
    pod.wait(lambda: pod.report.get("phase") == "Running", "not running")
    for n in range(23):
        bare.publish(registering(f"gw-{n:02d}"))
    registered(pod, 23)
    times = begins(pod)
    assert len(times) == 23
    most = max(sum(1 for t in times if start <= t < start + 0.9) for start in times)
    assert most <= 5
    assert times[-1] - times[0] < 10


def test_gateways_that_wait_for_their_second_have_no_file_that_anybodys_rescan_would_load(
    bare: Bare, start_pod: Start
) -> None:
    pod = start_pod(bare, "switch-0", flags=["--register-rate=1"])
    pod.wait(lambda: pod.report.get("phase") == "Running", "not running")
    for n in range(6):
        bare.publish(registering(f"gw-{n}"))
    pod.wait(lambda: pod.agent.metrics()["sipgateway_agent_waiting_for_pace"] >= 3, "nobody waits")
    pod.api("sofia profile external rescan")
    registered(pod, 6)
    assert min(after - before for before, after in itertools.pairwise(begins(pod))) > 0.5


def test_working_gateways_are_replaced_on_one_pod_at_a_time(bare: Bare, start_pod: Start) -> None:
    pods = [start_pod(bare, f"switch-{n}", start=False) for n in range(3)]
    names = ["a", "b", "c"]
    for name in names:
        bare.publish(registering(name))
    for pod in pods:
        pod.start()
    for pod in pods:
        working(pod, 3)
    newest = {name: bare.publish(registering(name, "2")) for name in names}
    for pod in pods:
        pod.wait(partial(_has, pod, newest), "not replaced", 60)
    for pod in pods:
        registered(pod, 3)
    spans = [_span([gap for name in names for gap in gaps(pod, name)]) for pod in pods]
    spans.sort()
    assert all(before[1] <= after[0] for before, after in itertools.pairwise(spans)), spans
    bindings = [b for pod in pods for b in pod.control("bindings")]
    assert len(bindings) == 9


def test_the_turn_of_a_pod_that_died_runs_out(bare: Bare, start_pod: Start) -> None:
    pods = [start_pod(bare, f"switch-{n}", start=False) for n in range(2)]
    bare.publish(registering("a"))
    for pod in pods:
        pod.start()
    for pod in pods:
        working(pod, 1)
        pod.control("registrar", address="127.0.0.1:15070", set={"mode": "silent"})
    newest = bare.publish(registering("a", "2"))
    wait_until(lambda: any(pod.revision("a") == newest for pod in pods), 20, lambda: "nobody began")
    holder, other = sorted(pods, key=lambda pod: pod.revision("a") != newest)
    assert other.revision("a") != newest
    holder.agent.kill()
    other.wait(lambda: other.revision("a") == newest, "the Lease of the dead never ran out", 40)


def test_without_the_api_server_a_gateway_that_works_waits_and_one_that_does_not_is_mended(
    bare: Bare, start_pod: Start
) -> None:
    lease = bare.path("leases")
    body = {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": "sipgateway-default-turn"},
        "spec": {
            "holderIdentity": "somebody",
            "leaseDurationSeconds": 3600,
            "renewTime": "2026-01-01T00:00:00.000000Z",
        },
    }
    bare.plane.api.create(lease, body)
    pod = start_pod(bare, "switch-0", start=False)
    works = bare.publish(registering("works"))
    bare.publish(registering("fails", password="not-this"))
    pod.start()
    registered(pod, 1)
    bare.publish(registering("works", "2"))
    mended = bare.publish(registering("fails"))
    pod.wait(lambda: pod.revision("fails") == mended, "not mended")
    pod.wait(lambda: pod.agent.metrics()["sipgateway_agent_waiting_for_turn"] == 1, "it does not wait")
    pod.api("sofia profile external killgw works")
    pod.wait(lambda: pod.revision("works") not in {works, None}, "what somebody killed is not put back")


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_drain_un_registers_only_when_the_pod_is_being_deleted(bare: Bare, start_pod: Start, method: str) -> None:
    pod = start_pod(bare, "switch-0", start=False)
    for n in range(30):
        bare.publish(registering(f"gw-{n}"))
    bare.publish(outbound("quiet"))
    pod.start()
    registered(pod, 30)
    status, text = pod.agent.get("/drain", method=method)
    assert (status, len(pod.control("bindings"))) == (409, 30), text
    kubelet.delete_pod(bare.plane.api, bare.namespace, "switch-0", grace=60)
    status, text = pod.agent.get("/drain", method=method)
    assert status == 200, text
    assert "30" in text
    wait_until(lambda: not pod.control("bindings"), 10, lambda: f"left: {pod.control('bindings')}")
    assert pod.control("profiles")["external"]["leaked_locks"] == 0
    assert [c for c in pod.control("commands") if "unregister quiet" in c["text"]] == []
    pod.wait(lambda: pod.report["phase"] == "Draining", "not reported")
    assert pod.agent.get("/readyz")[0] == 503
    times = sorted(c["at"] for c in pod.control("commands") if " unregister " in c["text"])
    assert max(sum(1 for t in times if start <= t < start + 0.9) for start in times) <= 20
    bare.publish(registering("late"))
    time.sleep(1)  # nothing happens, and that is what is looked at
    assert pod.revision("late") is None


def _has(pod: SwitchPod, revisions: dict[str, str]) -> bool:
    return all(pod.revision(name) == revision for name, revision in revisions.items())


def _span(found: list[tuple[float, float]]) -> tuple[Any, Any]:
    assert found
    return min(start for start, _ in found), max(end for _, end in found)
