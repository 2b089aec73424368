"""Agents are killed, switches restart, API servers go: last good goes on, and nothing is touched needlessly."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.agent_kube.bare import Bare, outbound, registering
from tests.agent_kube.pods import SwitchPod
from tests.controlplane.plane import ControlPlane
from tests.controlplane.process import wait_until

pytestmark = [pytest.mark.controlplane, pytest.mark.timeout(240)]

Start = Callable[..., SwitchPod]

#: Commands that change something on a switch.
CHANGES = ("rescan", "killgw", "register", "reloadxml", "startgw", "restart")


def changes(pod: SwitchPod, since: int = 0) -> list[str]:
    sent = [c["text"] for c in pod.control("commands", since=since)]
    return [text for text in sent if any(word in text.split() for word in CHANGES)]


def everything(pod: SwitchPod) -> tuple[Any, ...]:
    """What a carrier and the folder have seen so far."""
    return len(pod.control("journal")), pod.files(), len(changes(pod))


def test_a_killed_agent_takes_over_where_it_was_and_touches_nothing(bare: Bare, start_pod: Start) -> None:
    pod = start_pod(bare, "switch-0", start=False)
    for n in range(20):
        bare.publish(registering(f"gw-{n}"))
    pod.start()
    pod.wait(lambda: pod.report.get("counts", {}).get("registered") == 20, "not registered")
    before = everything(pod)
    for _ in range(3):
        pod.agent.kill()
        pod.agent.start()
    assert everything(pod) == before
    pod.wait(lambda: pod.report["counts"]["registered"] == 20 and not pod.problems(), "not reported")


def test_a_switch_that_restarts_is_proved_anew_and_loses_no_gateway(bare: Bare, start_pod: Start) -> None:
    pod = start_pod(bare, "switch-0", start=False)
    revision = bare.publish(registering("acme"))
    pod.start()
    pod.wait(lambda: pod.report.get("counts", {}).get("registered") == 1, "not registered")
    pod.simulator.kill()
    pod.wait(lambda: pod.report["switch"]["reachable"] is False, "its end is not reported")
    newer = bare.publish(outbound("beta"))
    pod.wait(lambda: any("sipgw-beta" in path for path in pod.files()), "no file while the switch is down")
    right = pod.files()
    next(pod.conf.rglob("sipgw-acme.xml")).write_bytes(b"<include>")
    pod.wait(lambda: pod.files() == right, "damaged while the switch is down, and left so")
    pod.simulator.start()
    pod.wait(lambda: pod.revision("acme") == revision and pod.revision("beta") == newer, "not loaded")
    assert [text for text in changes(pod) if "killgw" in text] == []
    pod.wait(lambda: pod.report["switch"]["reachable"] and not pod.problems(), "not reported")


def test_a_switch_boots_with_every_gateway(bare: Bare, start_pod: Start) -> None:
    pod = start_pod(bare, "switch-0", start=False)
    for n in range(50):
        bare.publish(outbound(f"gw-{n}"))
    pod.start()
    assert changes(pod) == []
    assert len(pod.files()) == 50
    assert all(pod.revision(f"gw-{n}") for n in range(50))


def test_without_an_api_server_last_good_goes_on_and_reports_catch_up(
    private_control_plane: ControlPlane, start_pod: Start
) -> None:
    bare = Bare(private_control_plane)
    pod = start_pod(bare, "switch-0", start=False)
    revision = bare.publish(registering("acme"))
    bare.publish(outbound("beta"))
    pod.start()
    pod.wait(lambda: pod.report.get("counts", {}).get("registered") == 1, "not registered")
    private_control_plane.api_server.kill()
    pod.api("sofia profile external killgw acme")
    _until(pod, lambda: pod.revision("acme") == revision, "not repaired without an API server")
    before = pod.files()
    pod.agent.kill()
    pod.agent.start()
    assert pod.files() == before
    pod.api("sofia profile external killgw beta")
    _until(pod, lambda: pod.revision("beta") is not None, "not repaired by an agent that started without an API server")
    assert pod.agent.get("/readyz")[0] == 200
    private_control_plane.api_server.start()
    bare.plane.api.close()
    newest = bare.publish(outbound("gamma"))
    pod.wait(lambda: pod.revision("gamma") == newest, "not followed when the API server came back", 60)
    pod.wait(lambda: pod.report["counts"]["loaded"] == 3 and not pod.problems(), "not reported", 60)
    assert pod.agent.metrics()["sipgateway_agent_cluster_reachable"] == 1


def test_a_boot_without_an_api_server_waits_and_then_starts_with_what_is_on_the_disk(
    private_control_plane: ControlPlane, start_pod: Start
) -> None:
    bare = Bare(private_control_plane)
    pod = start_pod(bare, "switch-0", start=False, flags=["--boot-timeout=3"])
    revision = bare.publish(outbound("acme"))
    pod.start()
    pod.wait((pod.conf / ".sipgw" / "fleet.json").exists, "nothing kept")
    private_control_plane.api_server.stop()
    pod.agent.kill()
    pod.simulator.kill()
    pod.agent.launch()
    pod.start_switch()
    pod.agent.wait_ready()
    assert pod.revision("acme") == revision
    assert any("did not answer in time" in e["message"] for e in pod.agent.logs())


def test_an_api_server_that_hangs_stops_no_repair(private_control_plane: ControlPlane, start_pod: Start) -> None:
    bare = Bare(private_control_plane)
    pod = start_pod(bare, "switch-0", start=False)
    revision = bare.publish(outbound("acme"))
    pod.start()
    private_control_plane.api_server.pause()
    try:
        pod.api("sofia profile external killgw acme")
        _until(pod, lambda: pod.revision("acme") == revision, "not repaired")
        assert pod.agent.get("/healthz")[0] == 200
    finally:
        private_control_plane.api_server.resume()


def test_a_sipswitch_that_somebody_deletes_is_written_anew(bare: Bare, start_pod: Start) -> None:
    pod = start_pod(bare, "switch-0")
    pod.wait(lambda: pod.report.get("phase") == "Running", "not reported")
    bare.delete("sipswitches", "switch-0")
    bare.publish(outbound("acme"))
    pod.wait(lambda: pod.report.get("counts", {}).get("loaded") == 1, "not written anew")


def test_a_pod_of_the_same_name_gets_a_sipswitch_of_its_own(bare: Bare, start_pod: Start) -> None:
    pod = start_pod(bare, "switch-0")
    pod.wait(lambda: pod.report.get("phase") == "Running", "not reported")
    first = pod.uid
    pod.close()
    bare.plane.api.delete(bare.path("pods", "switch-0"), gracePeriodSeconds=0)
    again = start_pod(bare, "switch-0", start=False, folder="again")
    assert again.uid != first
    again.start()
    again.wait(lambda: _owner(bare) == again.uid, "not its own", 40)


def _owner(bare: Bare) -> str:
    found = bare.find("sipswitches", "switch-0") or {"metadata": {}}
    return str((found["metadata"].get("ownerReferences") or [{}])[0].get("uid"))


def _until(pod: SwitchPod, what: Callable[[], bool], told: str) -> None:
    """Waits without asking the API server."""
    wait_until(what, 20, lambda: f"{told}\n{pod.agent.tail()}")
