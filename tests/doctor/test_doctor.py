"""`sipgw doctor` on a real API server: a healthy install is all well, and each defect is found and named."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from typing import Any

import pytest

from sipgateway.cli import doctor_checks as checks
from sipgateway.cli import main
from tests.crd import install
from tests.kube.lab import Agent, Lab

NAMED = ("Role", "sipgateway-operator")
Rows = list[dict[str, str]]


@pytest.fixture
def doctor(lab: Lab, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, Rows]]:
    """Calls it on the lab's namespace, with the admin's rights unless others are given."""

    def call(kubeconfig: object = None) -> tuple[int, Rows]:
        where = ["--namespace", lab.namespace, "--lease-namespace", lab.namespace]
        capsys.readouterr()
        ended = main(["doctor", "--kubeconfig", str(kubeconfig or lab.plane.kubeconfig), *where, "--output=json"])
        return ended, json.loads(capsys.readouterr().out)["checks"]

    return call


@pytest.fixture(scope="module")
def healthy(lab: Lab) -> Agent:
    """A fleet with one gateway that is loaded on its one pod."""
    lab.apply("acme", switch="voice")
    lab.wait_config_map("acme")
    agent = lab.agent("voice-0", "voice")
    well(lab, agent)
    return agent


def well(lab: Lab, agent: Agent, **status: Any) -> None:
    keys = list(lab.keys("voice").ids)
    now = dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    agent.report(**{"heartbeat": now, "sealKeys": keys} | status)


def words(rows: Rows) -> set[str]:
    return {row["code"] for row in rows if row["level"] != "ok"}


@pytest.mark.controlplane
def test_a_healthy_install_is_all_well(lab: Lab, healthy: Agent, doctor: Callable[..., tuple[int, Rows]]) -> None:
    well(lab, healthy)
    ended, rows = doctor()
    assert words(rows) == set(), [row for row in rows if row["level"] != "ok"]
    assert ended == 0
    assert {row["check"] for row in rows} == {"clock", "crd", "policy", "lease", "rbac", "fleet", "keys", "pod"}


@pytest.mark.controlplane
def test_each_defect_of_a_fleet_is_found(lab: Lab, healthy: Agent, doctor: Callable[..., tuple[int, Rows]]) -> None:
    lab.apply("lost", switch="nowhere")
    bare = lab.agent("stray-0", "stray")
    well(
        lab,
        healthy,
        heartbeat="2026-01-01T00:00:00Z",
        switch={"reachable": True, "reason": "DefaultPassword", "message": "Change it."},
        problems=[{"about": "Programmed", "reason": "NotLoaded", "message": "no", "gateways": ["acme"]}],
    )
    try:
        ended, rows = doctor()
    finally:
        lab.delete("lost")
        bare.gone()
        lab.wait_gone("lost")
        well(lab, healthy)
    assert ended == 1
    expected = {
        "FleetWithoutPods",
        "PodsWithoutGateways",
        "SwitchPodTrouble",
        "IncludeLineMissing",
        "ClockSkew",
        "SocketUnsafe",
    }
    assert expected <= words(rows)


@pytest.mark.controlplane
def test_a_missing_right_and_a_missing_binding_are_found(
    lab: Lab, healthy: Agent, doctor: Callable[..., tuple[int, Rows]]
) -> None:
    path = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{lab.namespace}/rolebindings/sipgateway-operator"
    kept = lab.plane.api.get(path)
    lab.plane.api.delete(path)
    try:
        ended, rows = doctor()
    finally:
        kept["metadata"] = {k: kept["metadata"][k] for k in ("name", "namespace", "labels") if k in kept["metadata"]}
        lab.plane.api.create(path.rpartition("/")[0], kept)
    assert ended == 1
    lacking = next(row for row in rows if row["code"] == "OperatorRightMissing")
    assert "list secrets" in lacking["message"]


@pytest.mark.controlplane
def test_who_may_read_little_is_told_what_could_not_be_checked(
    lab: Lab, healthy: Agent, doctor: Callable[..., tuple[int, Rows]]
) -> None:
    ended, rows = doctor(lab.plane.kubeconfig_of_user("newcomer"))
    assert ended == 1
    assert words(rows) == {"CannotCheck"}
    assert any("forbidden" in row["message"] for row in rows)


@pytest.mark.controlplane
def test_no_value_of_a_key_is_shown(lab: Lab, healthy: Agent, doctor: Callable[..., tuple[int, Rows]]) -> None:
    _, rows = doctor()
    shown = json.dumps(rows)
    for value in lab.get("secrets", "sipgateway-voice-keys")["data"].values():
        assert value not in shown


def test_it_asks_for_the_rights_that_the_chart_gives() -> None:
    role = next(m for m in install.rbac(namespaces=["voice"]) if (m["kind"], m["metadata"]["name"]) == NAMED)
    given = {(r["apiGroups"][0], r["resources"][0], tuple(r["verbs"])) for r in role["rules"]}
    assert given == set(checks.RIGHTS)
