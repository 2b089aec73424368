"""The operator as a process: its start, what it answers and logs, its end; and CRDs that are not there (any more)."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from prometheus_client import Metric
from prometheus_client.openmetrics import parser
from prometheus_client.parser import text_string_to_metric_families as prometheus

from tests.controlplane.operators import Operator, Operators
from tests.controlplane.plane import ControlPlane
from tests.controlplane.process import wait_until
from tests.crd import install
from tests.kube.lab import Lab

SHORT = "--lease-seconds=3"


def leads(operator: Operator) -> bool:
    return operator.metrics()["sipgateway_leader"] == 1


def wait_leads(operator: Operator, seconds: float = 20) -> None:
    wait_until(lambda: operator.is_ready() and leads(operator), seconds, operator.tail)


def ended(operator: Operator, seconds: float = 20) -> int:
    wait_until(lambda: not operator.runs, seconds, operator.tail)
    assert operator.returncode is not None
    return operator.returncode


# What it answers


def fetch(operator: Operator, accept: str) -> tuple[str, str]:
    request = urllib.request.Request(f"http://{operator.listen}/metrics", headers={"Accept": accept})
    with urllib.request.urlopen(request, timeout=5) as answer:  # noqa: S310
        return answer.read().decode(), answer.headers["Content-Type"]


def openmetrics(text: str) -> Iterator[Metric]:
    families: Iterator[Metric] = parser.text_string_to_metric_families(text)  # type: ignore[no-untyped-call]
    return families


def test_metrics_are_what_prometheus_takes_in_either_of_its_forms(lab: Lab) -> None:
    lab.apply("measured")
    lab.wait_condition("measured", "Accepted", "True")
    text, kind = fetch(lab.operator, "text/plain;version=0.0.4")
    assert kind.startswith("text/plain")
    plain = {family.name: family for family in prometheus(text)}
    text, kind = fetch(lab.operator, "application/openmetrics-text;version=1.0.0")
    assert kind.startswith("application/openmetrics-text")
    open_ = {family.name: family for family in openmetrics(text)}
    ours = {name for name in open_ if name.startswith("sipgateway_")}
    assert ours == {name for name in plain if name.startswith("sipgateway_") and not name.endswith("_created")}
    assert {
        "sipgateway_reconcile_duration_seconds",
        "sipgateway_writes",
        "sipgateway_gateways",
        "sipgateway_queue_depth",
        "sipgateway_leader",
        "sipgateway_last_success_timestamp_seconds",
        "sipgateway_build_info",
        "sipgateway_unreadable_collections",
    } <= ours
    assert "process_resident_memory_bytes" in open_
    for name in ours:
        family = open_[name]
        assert re.fullmatch(r"sipgateway_[a-z]+(_[a-z]+)*", name)
        assert family.documentation.endswith("."), name
        totals = [sample.name for sample in family.samples if sample.name.endswith("_total")]
        assert bool(totals) == (family.type == "counter" and bool(family.samples)), name


def test_no_metric_has_a_label_with_as_many_values_as_there_are_gateways(lab: Lab) -> None:
    names = [lab.new("counted") for _ in range(20)]
    for name in names:
        lab.apply(name)
    for name in names:
        lab.wait_condition(name, "Accepted", "True")
    text, _ = fetch(lab.operator, "application/openmetrics-text")
    labels = {label for family in openmetrics(text) for sample in family.samples for label in sample.labels}
    assert labels <= {"condition", "status", "reason", "kind", "verb", "result", "resource", "queue", "le", "version"}
    assert not any(name in text for name in names)
    assert lab.namespace not in text


def test_a_replica_that_leads_no_more_says_nothing_of_gateways(start_lab: Callable[..., Lab]) -> None:
    """Else sums over replicas would count each gateway twice."""
    lab = start_lab()
    lab.secret("acme")
    one = lab.start(SHORT)
    wait_leads(one)
    lab.apply("acme")
    lab.wait_condition("acme", "Accepted", "True")
    wait_until(lambda: any(n.startswith("sipgateway_gateways{") for n in one.metrics()), 5, one.tail)
    one.pause()
    two = lab.start(SHORT)
    wait_leads(two)
    one.resume()
    wait_until(lambda: not leads(one), 10, one.tail)
    assert not [name for name in one.metrics() if name.startswith(("sipgateway_gateways{", "sipgateway_queue_depth{"))]


def test_a_port_in_use_ends_it_with_a_clear_word(start_lab: Callable[..., Lab]) -> None:
    lab = start_lab()
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        one = lab.start(f"--listen=127.0.0.1:{port}", wait=False)
        assert ended(one) == 1
    (line,) = one.logs()
    assert (line["level"], line["code"]) == ("critical", "CannotListen")
    assert str(port) in line["message"]
    assert one.noise() == []


def test_a_kubeconfig_that_is_none_ends_it_with_a_clear_word(start_lab: Callable[..., Lab], tmp_path: Path) -> None:
    lab = start_lab()
    lab.kubeconfig = tmp_path / "nowhere"
    one = lab.start(wait=False)
    assert ended(one) == 3
    (line,) = one.logs()
    assert (line["level"], line["code"]) == ("critical", "NoClusterAccess")
    assert one.noise() == []


# What it logs


def test_every_line_of_the_log_is_json_and_says_which_gateway(start_lab: Callable[..., Lab]) -> None:
    lab = start_lab()
    lab.secret("acme")
    one = lab.start("--log-level=debug")
    lab.apply("acme")
    found = lab.wait_config_map("acme")
    lab.edit("acme", proxy="sip.example.net")
    lab.wait_config_map("acme", lambda now: now["metadata"]["resourceVersion"] != found["metadata"]["resourceVersion"])
    lab.delete(found["metadata"]["name"], "configmaps")
    lab.wait_event("acme", "ConfigMapRestored")
    assert one.stop() == 0
    assert one.noise() == []
    about = [entry for entry in one.logs() if entry.get("gateway") == f"{lab.namespace}/acme"]
    assert {entry["generation"] for entry in about} == {1, 2}
    assert any("put back" in entry["message"] for entry in about)
    assert {"time", "level", "logger", "message"} <= {key for entry in one.logs() for key in entry}
    assert json.loads(one.log.read_text().splitlines()[0])["level"] == "info"


# What it costs


@pytest.mark.slow
def test_at_rest_it_costs_next_to_nothing(start_lab: Callable[..., Lab]) -> None:
    """A Lease to renew, a look at the CRDs, watches on which nothing happens: under half a percent of a core."""
    lab = start_lab()
    lab.secret("acme")
    one = lab.start()
    names = [f"gw-{n}" for n in range(30)]
    for name in names:
        lab.apply(name)
    for name in names:
        lab.wait_event(name, "Accepted")
    began, before = time.monotonic(), cpu_seconds(one)
    time.sleep(12)
    assert (cpu_seconds(one) - before) / (time.monotonic() - began) < 0.005


def cpu_seconds(operator: Operator) -> float:
    """What a process has used of the processors since its start."""
    fields = Path(f"/proc/{operator.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


# Its end


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_graceful_stop_finishes_the_writes_in_hand(start_lab: Callable[..., Lab], number: int) -> None:
    """Of each gateway the ConfigMap is there whole or not at all; the Lease is free; nothing is left half known."""
    lab = start_lab()
    lab.secret("acme")
    one = lab.start()
    wait_leads(one)
    for n in range(40):
        lab.apply(f"gw-{n}")
    wait_until(lambda: len(lab.all("configmaps", labelSelector="app.kubernetes.io/name")) > 5, 20, one.tail)
    began = time.monotonic()
    one._running().send_signal(number)
    assert ended(one) == 0
    assert time.monotonic() - began < 4
    assert one.logs()[-1]["message"] == "stopped"
    written = {m["metadata"]["name"] for m in lab.all("configmaps", labelSelector="app.kubernetes.io/name")}
    told = {f"sipgateway-{e['gateway'].partition('/')[2]}" for e in one.logs() if ": write" in e["message"]}
    assert written == told  # no write went out whose answer nobody heard
    path = f"/apis/coordination.k8s.io/v1/namespaces/{lab.namespace}/leases/sipgateway-operator"
    assert not lab.plane.api.get(path)["spec"].get("holderIdentity")
    assert one.noise() == []


# A bug of our own


#: The operator, with a mistake in it for as long as a file is there.
MISTAKEN = """
import os, pathlib, sys
from sipgateway.cli import main
from sipgateway.kube.term import Term

tick = Term._tick

async def mistaken(self):
    if pathlib.Path(os.environ["MISTAKE"]).exists():
        raise ZeroDivisionError("a mistake")
    await tick(self)

Term._tick = mistaken
sys.exit(main(["operator", *sys.argv[1:]]))
"""


@pytest.fixture
def mistaken(tmp_path: Path) -> Iterator[Operators]:
    folder = tmp_path / "mistaken"
    folder.mkdir()
    operators = Operators(folder, (sys.executable, "-c", MISTAKEN))
    yield operators
    operators.close()


@pytest.mark.slow
def test_a_term_that_breaks_again_and_again_is_not_begun_in_a_hurry(
    start_lab: Callable[..., Lab], mistaken: Operators, tmp_path: Path
) -> None:
    lab = start_lab()
    lab.secret("acme")
    mistake = tmp_path / "mistake"
    mistake.touch()
    where = (f"--namespace={lab.namespace}", f"--lease-namespace={lab.namespace}", "--lease-seconds=600")
    one = mistaken(lab.kubeconfig, *where, env={"MISTAKE": str(mistake)}, wait=False)
    one.wait_for_log(lambda entry: "all begins anew" in entry["message"], 20)
    time.sleep(5)
    assert 2 <= sum(entry["message"].startswith("leading as") for entry in one.logs()) <= 5
    assert one.get("/healthz")[0] == 200
    wait_until(lambda: one.get("/readyz")[0] == 503, 5, one.tail)
    assert any("ZeroDivisionError" in entry.get("exception", "") for entry in one.logs())
    two = lab.start("--lease-seconds=600")  # while the first one pauses, another replica may have a try
    wait_leads(two)
    mistake.unlink()
    assert two.stop() == 0
    wait_leads(one, 40)
    lab.apply("acme")
    lab.wait_config_map("acme")
    assert one.noise() == []


# CRDs


def test_it_waits_for_crds_says_so_and_can_be_stopped_meanwhile(
    start_control_plane: Callable[..., ControlPlane], start_operator: Operators
) -> None:
    plane = start_control_plane(crds=[])
    namespace = plane.create_namespace()
    install.install_rbac(plane, namespaces=[namespace])
    kubeconfig = plane.kubeconfig_for(install.OPERATOR_NAMESPACE, install.OPERATOR_ACCOUNT)
    one = start_operator(kubeconfig, f"--namespace={namespace}", SHORT, wait=False)
    two = start_operator(kubeconfig, f"--namespace={namespace}", SHORT, wait=False)
    for operator in (one, two):
        operator.wait_for_log(lambda entry: "CRDs" in entry["message"], 20)
        status, why = operator.get("/readyz")
        assert status == 503
        assert "CRDs of sipgateway.dev are not installed" in why
        assert operator.get("/healthz")[0] == 200
    began = time.monotonic()
    assert two.stop() == 0
    assert time.monotonic() - began < 3
    assert len(one.logs()) == 1  # it is told once
    plane.install_crds(install.CRDS)
    wait_leads(one)
    assert one.noise() == []


@pytest.mark.slow
def test_crds_that_go_and_come_back(private_control_plane: ControlPlane, start_lab: Callable[..., Lab]) -> None:
    """With the CRDs go the SipGateways, and with those their ConfigMaps: Kubernetes collects what is owned.

    Agents keep the trunks: that a kind is gone is no evidence that an owner wants a trunk gone.
    """
    plane = private_control_plane
    lab = start_lab(plane=plane)
    lab.secret("acme")
    one = lab.start()
    wait_leads(one)
    lab.apply("acme")
    before = lab.wait_config_map("acme")
    keys = lab.get("secrets", "sipgateway-default-keys")
    plane.kubectl("delete", "crd", "sipgateways.sipgateway.dev", "sipswitches.sipgateway.dev", "--wait=true")
    one.wait_for_log(lambda entry: "the CRDs are gone" in entry["message"], 20)
    wait_until(lambda: one.get("/readyz")[0] == 503, 10, one.tail)
    lab.wait_gone("acme")
    plane.install_crds(install.CRDS)
    wait_leads(one)
    lab.apply("acme")
    after = lab.wait_config_map("acme")
    assert after["data"] == before["data"]  # the keys stayed, so the switch has nothing to change
    assert lab.get("secrets", "sipgateway-default-keys")["metadata"]["uid"] == keys["metadata"]["uid"]
    lab.edit("acme", proxy="sip.example.net")
    lab.wait_config_map("acme", lambda found: "example.net" in found["data"]["gateway.xml"])
    assert [entry for entry in one.logs() if "exception" in entry] == []
    assert one.noise() == []
