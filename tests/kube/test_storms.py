"""An API server, or something before it, that refuses, breaks off, says nonsense or never answers, now and then.

A proxy spoils requests; everything must be as it should be in the end, and nothing done twice.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.controlplane.operators import Operator
from tests.controlplane.process import wait_until
from tests.kube.lab import Lab
from tests.kube.proxy import Fault, Proxy, Seen

LONG = "--lease-seconds=600"
GATEWAYS = 12

FAULTS = {
    "refused": (Fault(429, retry_after="1"), Fault(429), Fault(500), Fault(503, retry_after="1")),
    "broken off": (Fault(cut=0), Fault(cut=10), Fault(cut=200), Fault(reset="before"), Fault(reset="after")),
    "nonsense": (Fault(body=b"{}"), Fault(body=b"<html>"), Fault(body=b'{"kind":"Status","status":"Success"}')),
}


@pytest.fixture
def lab(start_lab: Callable[..., Lab]) -> Lab:
    one = start_lab()
    one.secret("acme")
    return one


@pytest.fixture
def proxy(lab: Lab, tmp_path: Path) -> Iterator[Proxy]:
    with Proxy(lab.plane.admin, tmp_path) as one:
        lab.kubeconfig = one.kubeconfig(lab.kubeconfig)
        yield one
        lab.operators.close()


def calm(operator: Operator) -> None:
    """What it logged is JSON, and what is expected to happen is no traceback."""
    assert operator.noise() == []
    assert [entry for entry in operator.logs() if "exception" in entry] == []


def kopf(seen: Seen) -> bool:
    """Whether a request is kopf's: it alone watches our kinds."""
    return seen.watches and "sipgateways" in seen.path


@pytest.mark.slow
@pytest.mark.parametrize("kind", list(FAULTS))
def test_what_storms_spoil_is_done_in_the_end_and_done_once(lab: Lab, proxy: Proxy, kind: str) -> None:
    source = random.Random(kind)

    def spoil(seen: Seen) -> Fault | None:
        return source.choice(FAULTS[kind]) if not seen.about_lease and source.random() < 0.2 else None

    proxy.fault = spoil
    operator = lab.start(LONG, wait=False)
    wait_until(operator.is_ready, 60, operator.tail)
    names = [f"gw-{n}" for n in range(GATEWAYS)]
    with lab.plane.record(lab.path("configmaps"), labelSelector="app.kubernetes.io/name=sipgateway") as recorder:
        for name in names:
            lab.apply(name)
        for name in names:
            lab.wait_config_map(name, seconds=60)
        for name in names[::2]:
            lab.edit(name, proxy="sip.example.net")
        for name in names[::2]:
            lab.wait_config_map(name, lambda found: "example.net" in found["data"]["gateway.xml"], seconds=60)
        proxy.fault = lambda _: None
        for name in names:
            lab.wait_condition(name, "Accepted", "True", seconds=90)
            lab.verified(name)
        lab.fence("after")
        changes = [(e["type"], e["object"]["metadata"]["name"]) for e in recorder.events()]
    for number, name in enumerate(names):
        wanted = ["ADDED", "MODIFIED"] if number % 2 == 0 else ["ADDED"]
        assert [kind for kind, which in changes if which == f"sipgateway-{name}"] == wanted
    calm(operator)


@pytest.mark.slow
def test_a_leader_keeps_its_lease_through_a_storm(lab: Lab, proxy: Proxy) -> None:
    source = random.Random(7)
    proxy.fault = lambda seen: Fault(503) if seen.about_lease and source.random() < 0.5 else None
    operator = lab.start("--lease-seconds=6", wait=False)
    wait_until(lambda: operator.is_ready() and operator.metrics()["sipgateway_leader"] == 1, 60, operator.tail)
    began = time.monotonic()
    while time.monotonic() - began < 8:
        assert operator.metrics()["sipgateway_leader"] == 1
        time.sleep(0.2)
    assert len([s for s in proxy.since(began) if s.about_lease and s.status == 0]) > 3
    calm(operator)


def test_a_watch_that_never_answers_again_is_opened_anew(lab: Lab, proxy: Proxy) -> None:
    """The connection broke without a word in the network; here: all that there are break, with one."""
    operator = lab.start(LONG)
    lab.apply("acme")
    lab.wait_config_map("acme")
    for _ in range(3):
        proxy.break_all()
        lab.edit("acme", proxy=f"sip-{lab.new('x')}.example.net")
        wanted = lab.get("sipgateways", "acme")["spec"]["proxy"]
        lab.wait_config_map("acme", lambda found, w=wanted: w in found["data"]["gateway.xml"])  # type: ignore[misc]
    calm(operator)


@pytest.mark.slow
def test_kopf_that_ends_is_started_again_and_not_in_a_hurry(lab: Lab, proxy: Proxy) -> None:
    """An event that is an error ends kopf as a whole; with it went all that it would have told of."""
    error = {"kind": "Status", "code": 500, "reason": "InternalError", "message": "etcdserver: mvcc: weird"}
    line = json.dumps({"type": "ERROR", "object": error}).encode() + b"\n"
    proxy.fault = lambda seen: Fault(body=line) if kopf(seen) else None
    operator = lab.start(LONG)
    operator.wait_for_log(lambda entry: "kopf ended" in entry["message"])
    began = time.monotonic()
    time.sleep(8)
    assert len([seen for seen in proxy.since(began) if kopf(seen)]) < 12
    assert operator.is_ready()
    proxy.fault = lambda _: None
    lab.apply("acme")
    lab.wait_config_map("acme", seconds=30)
    lab.edit("acme", proxy="sip.example.net")
    lab.wait_config_map("acme", lambda found: "example.net" in found["data"]["gateway.xml"])
    assert operator.metrics()['sipgateway_watch_restarts_total{resource="SipGateways"}'] >= 1
    calm(operator)


@pytest.mark.slow
def test_kopf_that_was_told_of_nothing_to_watch_is_started_again(lab: Lab, proxy: Proxy) -> None:
    """It asks once what the API server serves, believes the answer, and would sleep for ever."""
    offer = "/apis/sipgateway.dev/v1alpha1"
    proxy.fault = lambda seen: Fault(body=b"{}") if seen.path == offer and "kopf" in seen.agent else None
    operator = lab.start(LONG)
    operator.wait_for_log(lambda entry: "watches nothing" in entry["message"], 40)
    proxy.fault = lambda _: None
    lab.apply("acme")
    lab.wait_config_map("acme")
    lab.edit("acme", proxy="sip.example.net")
    lab.wait_config_map("acme", lambda found: "example.net" in found["data"]["gateway.xml"])
    calm(operator)


def test_what_was_deleted_while_kopf_was_gone_is_seen_at_once(lab: Lab, proxy: Proxy) -> None:
    """No event tells of it, kopf's LIST neither: the holder of a name is gone, and the one that waits must have it."""
    operator = lab.start(LONG)
    lab.apply("first", gatewayName="acme")
    lab.wait_condition("first", "Accepted", "True")
    lab.apply("second", gatewayName="acme")
    lab.wait_condition("second", "Accepted", "False")
    proxy.fault = lambda seen: Fault(503) if "sipgateways" in seen.path and not seen.writes else None
    proxy.break_all()
    began = time.monotonic()
    wait_until(lambda: any("sipgateways" in s.path for s in proxy.since(began)), 10, operator.tail)
    lab.delete("first")
    proxy.fault = lambda _: None
    lab.wait_condition("second", "Accepted", "True")
    calm(operator)


def test_a_request_that_is_never_answered_holds_up_no_other_gateway(lab: Lab, proxy: Proxy) -> None:
    operator = lab.start(LONG)
    proxy.fault = lambda seen: Fault(hang=True) if seen.writes and seen.path.endswith("sipgateway-stuck") else None
    lab.apply("stuck")
    lab.wait_config_map("stuck")
    lab.edit("stuck", proxy="sip.example.net")  # a PATCH, which hangs
    wait_until(lambda: any(s.path.endswith("sipgateway-stuck") and s.writes for s in proxy.requests), 10, operator.tail)
    for name in ("one", "two", "three"):
        lab.apply(name)
    for name in ("one", "two", "three"):
        lab.wait_config_map(name, seconds=5)
    assert "example.net" not in (lab.config_map("stuck") or {})["data"]["gateway.xml"]
    calm(operator)
