"""Real pods on a real node: the charts installed, the simulator as the switch, and what happens to pods at night."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e import node
from tests.e2e.node import IMAGE, SCRIPT, SYSTEM, VERSION, VOICE

pytestmark = pytest.mark.timeout(400)

QUIET, REGISTERING = "quiet", "registering"
PODS = 3


@pytest.fixture(scope="module", autouse=True)
def installed() -> None:
    """The operator with two replicas, a fleet of three pods, and two SipGateways, as docs/install.md has it."""
    for namespace in (SYSTEM, VOICE):
        node.kubectl("create", "namespace", namespace)
        # Where the Restricted standard is enforced, nothing else gets in.
        node.kubectl("label", "namespace", namespace, "pod-security.kubernetes.io/enforce=restricted")
    image = (f"image.repository={IMAGE}", f"image.tag={VERSION}")
    operator = [word for value in (*image, "replicas=2", f"watch.namespaces={{{VOICE}}}") for word in ("--set", value)]
    node.run("helm", "install", "sipgateway", "charts/sipgateway-operator", "--namespace", SYSTEM, *operator)
    switch = [f"sipgateway-switch.{value}" for value in image]
    fleet = [w for value in (*switch, "simulator.enabled=true", f"replicas={PODS}") for w in ("--set", value)]
    node.run("helm", "install", "fleet", "charts/freeswitch-example", "--namespace", VOICE, *fleet)
    node.kubectl("create", "secret", "generic", "acme", "--namespace", VOICE, "--from-literal=password=correct-horse")
    node.kubectl("label", "secret", "acme", "--namespace", VOICE, "sipgateway.dev/credentials=true")
    node.apply(QUIET, proxy="sip.example.com", register=False)
    reference = {"secretKeyRef": {"name": "acme", "key": "password"}}
    node.apply(REGISTERING, proxy="192.0.2.10", username="4989123", passwordFrom=reference)
    node.wait_ready(QUIET, REGISTERING, registered="")
    node.wait_ready(REGISTERING, registered=f"{PODS}/{PODS}")


@pytest.fixture
def untouched() -> Iterator[set[str]]:
    """Pods whose gateways must not be touched by what a test does; all of them, unless it takes some out."""
    pods = set(node.switch_pods())
    before = {pod: node.uptime(pod, REGISTERING) for pod in pods}
    yield pods
    for pod in pods:
        now, then = node.uptime(pod, REGISTERING), before[pod]
        assert now is not None, f"{pod} has lost it"
        assert then is not None
        assert now >= then, f"{pod} has loaded it anew"


def test_every_switch_has_every_gateway_from_its_own_reply() -> None:
    pods = node.switch_pods()
    assert len(pods) == PODS
    for pod in pods:
        answer = node.ask(pod, "sofia status")
        assert f"external::{QUIET}" in answer
        assert "REGED" in node.ask(pod, f"sofia status gateway {REGISTERING}")


def test_the_sidecar_starts_before_the_switch_and_waits_until_it_is_started() -> None:
    for name in node.switch_pods():
        pod = node.get("pod", name)
        agent, switch = node.container(pod, "sipgateway-agent"), node.container(pod, "freeswitch")
        started = [node.moment(one["state"]["running"]["startedAt"]) for one in (agent, switch)]
        assert started[0] <= started[1]
        assert agent["started"] is True
        assert (
            next(c for c in pod["spec"]["initContainers"] if c["name"] == "sipgateway-agent")["restartPolicy"]
            == "Always"
        )


def test_a_killed_agent_takes_over_where_it_was(untouched: set[str]) -> None:
    pod = min(untouched)
    node.kill(pod, "sipgateway-agent")
    node.wait(
        lambda: node.container(node.get("pod", pod), "sipgateway-agent")["restartCount"] >= 1, lambda: "it is not back"
    )
    node.wait_ready(QUIET, REGISTERING)


def test_a_killed_switch_comes_back_with_every_gateway(untouched: set[str]) -> None:
    pod = min(untouched)
    untouched.discard(pod)
    before = node.container(node.get("pod", pod), "freeswitch")["restartCount"]
    node.kill(pod, "freeswitch")
    log = ("logs", pod, "--namespace", VOICE, "--container", "sipgateway-agent")
    node.wait(lambda: "SwitchDisconnected" in node.kubectl(*log), lambda: "the agent has not noticed")
    node.wait(
        lambda: node.container(node.get("pod", pod), "freeswitch")["restartCount"] > before, lambda: "it is not back"
    )
    node.wait(lambda: "connected to" in node.kubectl(*log).rpartition("SwitchDisconnected")[2], lambda: "no connection")
    node.wait(lambda: "REGED" in node.ask(pod, f"sofia status gateway {REGISTERING}"), lambda: "it is not registered")
    node.wait_ready(QUIET)
    node.wait_ready(REGISTERING, registered=f"{PODS}/{PODS}")


def test_a_deleted_pod_ends_with_the_agent_last_and_its_successor_has_everything(
    untouched: set[str], tmp_path: Path
) -> None:
    pod = min(untouched)
    untouched.discard(pod)
    uid = node.get("pod", pod)["metadata"]["uid"]
    watch = ["kubectl", "get", "pod", pod, "--namespace", VOICE, "--watch", "--output", "json"]
    output = tmp_path / "watch"
    with (
        output.open("w") as sink,
        subprocess.Popen([SCRIPT, "run", *watch], stdout=sink, cwd=node.ROOT) as seen,
    ):
        node.kubectl("delete", "pod", pod, "--namespace", VOICE)
        node.wait(lambda: node.get("pod", pod)["metadata"]["uid"] != uid, lambda: f"{pod} is not made anew")
        node.run("pkill", "-f", " ".join(watch))  # what enters the node's namespaces passes no signal on
        seen.wait(20)
    states = [one for one in _objects(output.read_text()) if one["metadata"]["uid"] == uid]
    ended = {
        name: [s["state"]["terminated"] for one in states if "terminated" in (s := node.container(one, name))["state"]]
        for name in ("freeswitch", "sipgateway-agent")
    }
    assert all(ended.values()), f"not seen to end: {ended}"
    assert node.moment(ended["freeswitch"][-1]["finishedAt"]) <= node.moment(
        ended["sipgateway-agent"][-1]["finishedAt"]
    )
    assert ended["sipgateway-agent"][-1]["exitCode"] == 0
    node.wait_ready(QUIET)
    node.wait_ready(REGISTERING, registered=f"{PODS}/{PODS}")


def test_a_rolling_update_of_the_switch_never_leaves_the_trunk_without_a_pod() -> None:
    name = node.items("statefulsets")[0]["metadata"]["name"]
    node.kubectl("rollout", "restart", f"statefulset/{name}", "--namespace", VOICE)
    readiness: list[str] = []

    def over() -> bool:
        readiness.append(node.condition(REGISTERING))
        found = node.get("statefulset", name)["status"]
        return bool(found.get("updatedReplicas") == PODS and found["currentRevision"] == found["updateRevision"])

    node.wait(over, lambda: node.kubectl("get", "pods", "--namespace", VOICE))
    node.wait_ready(QUIET)
    node.wait_ready(REGISTERING, registered=f"{PODS}/{PODS}")
    assert "False" not in readiness


def test_another_operator_takes_over_and_touches_nothing(untouched: set[str]) -> None:
    lease = node.items("leases", SYSTEM)[0]["metadata"]["name"]
    holder = node.get("lease", lease, SYSTEM)["spec"]["holderIdentity"]
    pods = [one["metadata"]["name"] for one in node.items("pods", SYSTEM)]
    leader = next(pod for pod in pods if holder.startswith(pod))
    node.kubectl("delete", "pod", leader, "--namespace", SYSTEM, "--wait=false")
    node.wait(
        lambda: node.get("lease", lease, SYSTEM)["spec"].get("holderIdentity") not in {holder, ""}, lambda: holder
    )
    node.apply("later", proxy="sip.example.net", register=False)
    node.wait_ready("later", QUIET, REGISTERING)


def test_what_the_containers_use_is_told() -> None:
    """Not judged here: the numbers stand in docs/install.md, and limits of the charts are above them."""
    rows = []
    for namespace, containers in ((SYSTEM, ["operator"]), (VOICE, ["sipgateway-agent", "freeswitch"])):
        for pod in node.items("pods", namespace):
            created = node.moment(pod["metadata"]["creationTimestamp"])
            for name in containers:
                status = node.container(pod, name)
                now, most = node.memory(pod, name)
                started = node.moment(status["state"]["running"]["startedAt"])
                rows.append((pod["metadata"]["name"], name, now >> 20, most >> 20, (started - created).total_seconds()))
    print("\npod / container: memory now, at most (MiB); from the pod's making to the container's start (s)")
    for pod_name, name, now, most, start in rows:
        print(f"  {pod_name:<45} {name:<17} {now:>4} {most:>4}   {start:>5.0f}")
    assert rows
    assert all(most >= now > 0 for _, _, now, most, _ in rows)


def _objects(text: str) -> list[node.Obj]:
    """The JSON objects of a stream, whole ones only."""
    found, decoder, at = [], json.JSONDecoder(), 0
    while at < len(text):
        try:
            one, at = decoder.raw_decode(text, at)
        except ValueError:
            break
        found.append(one)
        while at < len(text) and text[at].isspace():
            at += 1
    return found
