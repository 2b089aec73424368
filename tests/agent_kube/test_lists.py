"""LISTs that are cut short, empty or nonsense: no gateway goes for that, and what can be read is taken."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.agent_kube.bare import Bare, outbound
from tests.agent_kube.liar import liar
from tests.agent_kube.pods import SwitchPod
from tests.controlplane.plane import ControlPlane

pytestmark = [pytest.mark.controlplane, pytest.mark.timeout(120)]

Start = Callable[..., SwitchPod]
NAMES = ("a", "b", "c")


def cut_short(body: dict[str, Any]) -> dict[str, Any]:
    """Half of it, and no word of a next page."""
    return body | {"items": body["items"][:1], "metadata": {"resourceVersion": body["metadata"]["resourceVersion"]}}


def empty(body: dict[str, Any]) -> dict[str, Any]:
    return body | {"items": []}


def without_version(body: dict[str, Any]) -> dict[str, Any]:
    return body | {"items": [], "metadata": {}}


def of_nonsense(body: dict[str, Any]) -> dict[str, Any]:
    return body | {
        "items": [{}, {"metadata": {}}, *body["items"][:1], {"metadata": {"name": 7, "uid": [], "labels": 3}}]
    }


@pytest.mark.parametrize("lie", [cut_short, empty, without_version, of_nonsense])
def test_a_list_that_lies_takes_no_gateway_away(
    bare: Bare, open_plane: ControlPlane, start_pod: Start, tmp_path: Path, lie: Callable[..., Any]
) -> None:
    pod = start_pod(bare, "switch-0", start=False)
    for name in NAMES:
        bare.sipgateway(name)
        bare.publish(outbound(name))
    pod.start()
    pod.wait((pod.conf / ".sipgw" / "fleet.json").exists, "nothing kept")
    files = pod.files()
    pod.agent.kill()
    with liar(open_plane, lie) as address:
        pod.reach(address, tmp_path / "liar.kubeconfig")
        pod.agent.start()
        pod.wait(lambda: pod.report.get("counts", {}).get("loaded") == 3, "not reported")
        assert pod.files() == files
        assert all(pod.revision(name) for name in NAMES)
        assert [c for c in pod.control("commands") if "killgw" in c["text"]] == []
        pod.agent.kill()
