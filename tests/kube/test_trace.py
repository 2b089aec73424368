"""The path of one SipGateway: which hop is told to be behind, for each way in which one can be."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import Any

import pytest

from sipgateway.api import reasons
from sipgateway.api.conditions import ConditionType
from sipgateway.api.switch import Problem
from sipgateway.kube.records import FleetId, Key
from sipgateway.kube.survey import Gateway, Pod, Published, Survey, Written
from sipgateway.kube.trace import first_behind, trace
from sipgateway.reconcile.fleet import PodState, Trouble

FLEET = FleetId("telephony", "default")
THEN = dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC)


def condition(status: str, reason: str, message: str = "", generation: int = 3) -> dict[str, Any]:
    return {"status": status, "reason": reason, "message": message, "observedGeneration": generation}


FINE = {kind: condition("True", kind) for kind in ("Accepted", "Programmed", "Registered", "Ready")}
GATEWAY = Gateway(
    key=Key("telephony", "acme"),
    fleet=FLEET,
    name="acme",
    profile="external",
    generation=3,
    suspend=False,
    registers=True,
    created=THEN,
    conditions=FINE,
    spec=Written("kubectl", THEN),
)
CONFIG_MAP = Published(
    "sipgateway-acme", 70, "acme", "1-0badc0de-00", Written("operator", THEN + dt.timedelta(seconds=1))
)
REFUSED = Problem(ConditionType.REGISTERED, "CredentialsRefused", 403, "Forbidden")
NOT_LOADED = Problem(ConditionType.PROGRAMMED, "NotLoaded", 0, "Invalid profile")


def pod(name: str = "switch-0", observed: int = 70, **state: Any) -> Pod:
    return Pod(FLEET, PodState(name, starting=False, trouble=state.pop("trouble", None), observed=observed, **state))


def behind(gateway: Gateway, published: Published | None, *pods: Pod, unread: tuple[str, ...] = ()) -> tuple[str, str]:
    hop = first_behind(trace(gateway, published, Survey((gateway,), {FLEET: pods} if pods else {}, unread)))
    return ("", "") if hop is None else (hop.name, hop.text)


def test_when_all_is_well_no_hop_is_behind_and_the_time_between_two_is_told() -> None:
    hops = trace(GATEWAY, CONFIG_MAP, Survey((GATEWAY,), {FLEET: (pod(), pod("switch-1"))}))
    assert [(hop.name, hop.took) for hop in hops] == [
        ("SipGateway", None),
        ("accepted", None),
        ("ConfigMap", 1),
        ("pod switch-0", None),
        ("pod switch-1", None),
        ("status", None),
    ]
    assert first_behind(hops) is None


@pytest.mark.parametrize(
    ("pods", "expected"),
    [
        ((pod(), pod("switch-1", registered={"acme": REFUSED})), ("pod switch-1", "CredentialsRefused: 403 Forbidden")),
        ((pod(programmed={"acme": NOT_LOADED}),), ("pod switch-0", "NotLoaded: Invalid profile")),
        ((pod(registered={"other": REFUSED}),), ("", "")),
        ((pod(trouble=Trouble(reasons.POD_WITHOUT_AGENT)),), ("pod switch-0", "PodWithoutAgent")),
        ((), ("pods", "no pod is labelled sipgateway.dev/switch=default")),
    ],
)
def test_a_pod_that_is_behind_says_why(pods: tuple[Pod, ...], expected: tuple[str, str]) -> None:
    name, text = behind(GATEWAY, CONFIG_MAP, *pods)
    assert name == expected[0]
    assert text.startswith(expected[1])


def test_a_pod_that_has_not_looked_at_this_version_is_behind_unless_the_status_says_that_it_is_proved() -> None:
    loading = replace(GATEWAY, conditions=FINE | {"Programmed": condition("Unknown", "Loading")})
    assert behind(loading, CONFIG_MAP, pod(), pod("switch-1", observed=69))[0] == "pod switch-1"
    assert behind(GATEWAY, CONFIG_MAP, pod(), pod("switch-1", observed=69)) == ("", "")


def test_of_a_gateway_that_does_not_register_only_its_being_down_counts() -> None:
    quiet = replace(GATEWAY, registers=False)
    down = Problem(ConditionType.REGISTERED, "Down", 0, "ping without an answer")
    assert behind(quiet, CONFIG_MAP, pod(registered={"acme": REFUSED})) == ("", "")
    assert behind(quiet, CONFIG_MAP, pod(registered={"acme": down}))[0] == "pod switch-0"


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        (
            {"Accepted": condition("False", "PingTooShort", "ping is 2")},
            ("accepted", "Accepted=False PingTooShort: ping is 2"),
        ),
        (
            {"Accepted": condition("True", "Accepted", generation=2)},
            ("accepted", "Accepted=Unknown the operator has not"),
        ),
        ({"Programmed": condition("Unknown", "ConfigMapPending")}, ("ConfigMap", "an earlier version stays")),
        ({"Programmed": condition("False", "ConfigMapNotWritten", "quota")}, ("ConfigMap", "an earlier version stays")),
        ({"Ready": condition("Unknown", "AgentSilent", "switch-0")}, ("status", "Ready=Unknown AgentSilent: switch-0")),
    ],
)
def test_a_condition_that_is_not_true_is_a_hop_behind(changed: dict[str, Any], expected: tuple[str, str]) -> None:
    name, text = behind(replace(GATEWAY, conditions=FINE | changed), CONFIG_MAP, pod())
    assert name == expected[0]
    assert text.startswith(expected[1])


def test_a_suspended_one_is_done_when_it_is_nowhere() -> None:
    suspended = {
        kind: condition("False", "Suspended", "It is taken off.") for kind in ("Programmed", "Registered", "Ready")
    }
    gateway = replace(GATEWAY, suspend=True, conditions=FINE | suspended)
    assert behind(gateway, None, pod()) == ("", "")
    assert behind(gateway, CONFIG_MAP, pod())[0] == "ConfigMap"
    left = Problem(ConditionType.PROGRAMMED, "StillLoaded")
    assert behind(gateway, None, pod(programmed={"acme": left}))[0] == "pod switch-0"


def test_a_config_map_that_is_not_there_is_where_to_look() -> None:
    assert behind(GATEWAY, None, pod()) == ("ConfigMap", "is not there")


def test_what_could_not_be_read_is_told_instead_of_that_there_is_nothing() -> None:
    assert behind(GATEWAY, CONFIG_MAP, unread=("pods: 403 Forbidden",)) == ("pods", "pods: 403 Forbidden")
