"""What is told of SipGateways and SipSwitches twice, late, or after they are gone."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from sipgateway.kube.fleets import Fleets
from sipgateway.kube.intake import Intake
from sipgateway.kube.records import Key
from sipgateway.kube.world import World

GATEWAYS, SWITCHES = "sipgateways", "sipswitches"
ACME = Key("voice", "acme")


class Taken:
    """An intake and what came of it."""

    def __init__(self) -> None:
        self.hints: list[Key] = []
        self.now = 0.0
        self.world = World(lambda key, _: self.hints.append(key))
        self.fleets = Fleets(lambda *_: None, lambda: self.now, lambda: 0.0)
        self.intake = Intake(self.world, self.fleets)

    def gateway(self, kind: str | None, version: int, uid: str = "u1", **spec: Any) -> None:
        meta = {"namespace": "voice", "name": "acme", "uid": uid, "resourceVersion": str(version), "generation": 1}
        self.intake.event(GATEWAYS, kind, {"metadata": meta, "spec": spec})

    def switch(self, kind: str | None, version: int, heartbeat: str = "", uid: str = "s1") -> None:
        meta = {"namespace": "voice", "name": "sw-0", "uid": uid, "resourceVersion": str(version)}
        self.intake.event(SWITCHES, kind, {"metadata": meta, "status": {"heartbeat": heartbeat}})

    def heard(self) -> Any:
        return self.fleets._reports.get(Key("voice", "sw-0"))


def test_a_list_that_is_older_than_what_is_known_changes_nothing() -> None:
    taken = Taken()
    taken.gateway("ADDED", 5, proxy="new")
    taken.hints.clear()
    taken.gateway(None, 4, proxy="old")
    taken.gateway(None, 5, proxy="new")
    assert taken.hints == []
    assert b"new" in taken.world.gateways[ACME].document


def test_what_is_gone_does_not_come_back_with_an_older_list() -> None:
    taken = Taken()
    taken.gateway("ADDED", 5)
    taken.gateway("DELETED", 6)
    taken.gateway(None, 5)
    assert ACME not in taken.world.gateways
    taken.gateway("ADDED", 7, uid="u2")  # another one of that name
    assert taken.world.gateways[ACME].uid == "u2"


def test_the_end_of_an_earlier_object_is_not_that_of_its_successor() -> None:
    taken = Taken()
    taken.gateway("ADDED", 7, uid="u2")
    taken.gateway("DELETED", 6, uid="u1")
    assert taken.world.gateways[ACME].uid == "u2"
    taken.switch("ADDED", 7, uid="s2")
    taken.switch("DELETED", 6, uid="s1")
    assert taken.heard().report.uid == "s2"


def test_an_older_report_is_no_heartbeat() -> None:
    taken = Taken()
    taken.switch("ADDED", 5, "b")
    taken.now = 60.0
    taken.switch(None, 4, "a")
    assert taken.heard().heard_at == 0.0
    assert not taken.heard().confirmed
    taken.switch("MODIFIED", 6, "c")
    assert taken.heard().heard_at == 60.0
    assert taken.heard().confirmed


def test_one_object_that_cannot_be_borne_is_told_and_costs_nothing_but_itself(
    caplog: pytest.LogCaptureFixture,
) -> None:
    taken = Taken()
    with caplog.at_level(logging.ERROR, "sipgateway.watch"):
        taken.intake.event(GATEWAYS, "ADDED", {"metadata": {"namespace": "voice", "name": "odd", "uid": "x"}})
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert caplog.records[0].gateway == "voice/odd"  # type: ignore[attr-defined]
    taken.gateway("ADDED", 5)
    assert ACME in taken.world.gateways
