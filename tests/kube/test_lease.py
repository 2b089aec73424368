"""Of several replicas one acts, whatever happens to it: killed, told to stop, stopped for a while and woken up."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.controlplane.operators import Operator
from tests.controlplane.process import wait_until
from tests.kube.lab import Lab, Obj
from tests.kube.proxy import Proxy

SECONDS = 3
QUICK = f"--lease-seconds={SECONDS}"
#: What a busy machine may add.
SLACK = 4.0


def lease(lab: Lab) -> Obj | None:
    found: Obj | None = lab.plane.api.find(lease_path(lab))
    return found


def lease_path(lab: Lab, name: str = "sipgateway-operator") -> str:
    base = f"/apis/coordination.k8s.io/v1/namespaces/{lab.namespace}/leases"
    return f"{base}/{name}" if name else base


def leads(operator: Operator) -> bool:
    return operator.runs and operator.metrics()["sipgateway_leader"] == 1


def wait_leads(operator: Operator, seconds: float) -> float:
    """Waits until a replica leads and has read everything; returns how long that took."""
    began = time.monotonic()
    wait_until(lambda: leads(operator) and operator.is_ready(), seconds, operator.tail)
    return time.monotonic() - began


def ready(lab: Lab) -> Lab:
    lab.secret("acme")
    return lab


def test_of_two_replicas_one_acts_and_both_are_ready(start_lab: Callable[..., Lab]) -> None:
    lab = ready(start_lab())
    one, two = lab.start(QUICK, "--identity=one"), lab.start(QUICK, "--identity=two")
    wait_until(lambda: leads(one) or leads(two), 10, lambda: "nobody leads")
    lab.apply("acme")
    lab.wait_condition("acme", "Accepted", "True")
    assert [leads(one), leads(two)].count(True) == 1
    acting, waiting = (one, two) if leads(one) else (two, one)
    assert acting.metrics()['sipgateway_writes_total{kind="ConfigMap",result="ok",verb="create"}'] == 1
    assert not [name for name in waiting.metrics() if name.startswith(("sipgateway_writes", "sipgateway_gateways"))]
    assert waiting.get("/readyz") == (200, "ok\n")
    found = lease(lab)
    assert found is not None
    assert found["spec"]["holderIdentity"].startswith("one_" if acting is one else "two_")


def test_after_a_crash_another_one_leads_within_the_leases_time(start_lab: Callable[..., Lab]) -> None:
    lab = ready(start_lab())
    one = lab.start(QUICK)
    wait_leads(one, 10)
    two = lab.start(QUICK)
    lab.apply("before")
    lab.wait_config_map("before")
    one.kill()
    lab.apply("after")
    assert wait_leads(two, SECONDS + SLACK) >= 0.5
    lab.wait_config_map("after")
    written = two.metrics()['sipgateway_writes_total{kind="ConfigMap",result="ok",verb="create"}']
    assert written == 1  # what was done before is not done again


def test_after_a_graceful_stop_another_one_leads_at_once(start_lab: Callable[..., Lab]) -> None:
    lab = ready(start_lab())
    one = lab.start("--lease-seconds=60")
    wait_leads(one, 10)
    two = lab.start("--lease-seconds=60")
    began = time.monotonic()
    assert one.stop() == 0
    stopped = time.monotonic() - began
    wait_leads(two, 10)
    assert stopped < 3
    assert time.monotonic() - began < 6  # a minute is what it would take without a word
    lab.apply("acme")
    lab.wait_config_map("acme")


def test_a_replica_that_waits_stops_at_once_and_leaves_the_lease_alone(start_lab: Callable[..., Lab]) -> None:
    lab = ready(start_lab())
    one = lab.start()
    wait_leads(one, 10)
    two = lab.start()
    began = time.monotonic()
    assert two.stop() == 0
    assert time.monotonic() - began < 3
    found = lease(lab)
    assert found is not None
    assert found["spec"]["holderIdentity"]
    assert leads(one)


@pytest.mark.slow
def test_a_leader_that_slept_through_its_deposition_writes_nothing_when_it_wakes_up(
    start_lab: Callable[..., Lab], tmp_path: Path
) -> None:
    """It is stopped while it writes, so that it has much in hand. A proxy sees whatever it sends after it woke up."""
    lab = ready(start_lab())
    with Proxy(lab.plane.admin, tmp_path) as proxy:
        direct, lab.kubeconfig = lab.kubeconfig, proxy.kubeconfig(lab.kubeconfig)
        one = lab.start(QUICK)
        wait_leads(one, 10)
        lab.kubeconfig = direct
        two = lab.start(QUICK)
        names = [f"gw-{n}" for n in range(60)]
        for name in names:
            lab.apply(name)
        wait_until(lambda: len(lab.all("configmaps", labelSelector="app.kubernetes.io/name")) > 5, 20, one.tail)
        one.pause()
        for name in names:
            lab.edit(name, proxy="sip.example.net")  # what it decided is old by now
        wait_leads(two, SECONDS + SLACK)
        for name in names:
            lab.wait_config_map(name, lambda found: "sip.example.net" in found["data"]["gateway.xml"])
        with lab.plane.record(lab.path("configmaps")) as recorder:
            woken = time.monotonic()
            one.resume()
            one.wait_for_log(lambda entry: "not leading any more" in entry["message"])
            lab.fence("after")
            touched = {e["object"]["metadata"]["name"] for e in recorder.events()}
        assert [s for s in proxy.since(woken) if s.writes and not s.about_lease] == []
        assert not any(name.startswith("sipgateway-gw-") for name in touched)
        assert leads(two)
        assert not leads(one)
        wait_until(one.is_ready, 10, one.tail)


def test_a_leader_that_slept_and_was_not_deposed_goes_on(start_lab: Callable[..., Lab]) -> None:
    lab = ready(start_lab())
    one = lab.start(QUICK)
    wait_leads(one, 10)
    one.pause()
    time.sleep(SECONDS)
    lab.apply("acme")
    one.resume()
    lab.wait_config_map("acme")
    wait_leads(one, 10)


def test_the_times_in_a_lease_mean_nothing(start_lab: Callable[..., Lab]) -> None:
    """As another replica leaves it whose clock was set to the year 2999 before it crashed."""
    lab = ready(start_lab())
    spec = {
        "holderIdentity": "gone",
        "leaseDurationSeconds": 2,
        "acquireTime": "2999-01-01T00:00:00.000000Z",
        "renewTime": "2999-01-01T00:00:00.000000Z",
        "leaseTransitions": 2**31 - 1,
    }
    lab.plane.api.create(lease_path(lab, ""), {"metadata": {"name": "sipgateway-operator"}, "spec": spec})
    one = lab.start(QUICK)
    assert wait_leads(one, 2 + SLACK) >= 0.5
    lab.apply("acme")
    lab.wait_config_map("acme")


def test_a_lease_that_somebody_deletes_deposes_nobody(start_lab: Callable[..., Lab]) -> None:
    lab = ready(start_lab())
    one = lab.start(QUICK)
    wait_leads(one, 10)
    two = lab.start(QUICK)
    lab.plane.api.delete(lease_path(lab))
    wait_until(lambda: lease(lab) is not None, 10, one.tail)
    assert leads(one)
    assert not leads(two)
    lab.apply("acme")
    lab.wait_config_map("acme")


@pytest.mark.parametrize("flags", [("--lease-name=another",), ("--lease-namespace=nowhere",)])
def test_a_lease_that_may_not_be_used_ends_it_with_a_clear_word(
    start_lab: Callable[..., Lab], flags: tuple[str, ...]
) -> None:
    lab = start_lab()
    one = lab.start(QUICK, *flags, wait=False)
    wait_until(lambda: not one.runs, 20, one.tail)
    assert one.returncode == 1
    assert one.noise() == []
    last = one.logs()[-1]
    assert (last["level"], last["code"]) == ("critical", "LeaseForbidden")
    assert "leases" in last["message"]
    assert "--lease-namespace" in last["message"]


def test_while_the_lease_is_refused_it_is_not_ready_and_says_why(start_lab: Callable[..., Lab]) -> None:
    lab = start_lab()
    path = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{lab.namespace}/roles/sipgateway-operator-lease"
    kept = lab.plane.api.get(path)
    lab.plane.api.patch(path, {"rules": []})
    one = lab.start("--lease-seconds=60", wait=False)
    one.wait_for_log(lambda entry: "Lease" in entry["message"] and "forbidden" in entry["message"], 20)
    status, why = one.get("/readyz")
    assert status == 503
    assert "Lease" in why
    lab.plane.api.patch(path, {"rules": kept["rules"]})
    wait_leads(one, 20)


@pytest.mark.parametrize("seconds", ["2", "601", "nan"])
def test_a_lease_that_is_too_short_or_too_long_is_a_wrong_argument(start_lab: Callable[..., Lab], seconds: str) -> None:
    one = start_lab().start(f"--lease-seconds={seconds}", wait=False)
    wait_until(lambda: not one.runs, 20, one.tail)
    assert one.returncode == 2
    assert "--lease-seconds" in one.tail()
