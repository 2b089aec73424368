"""A SipSwitch is read whatever an agent wrote into it: what can be read is, and nothing else counts."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sipgateway.api.conditions import BY_WORD, FROM_AGENTS
from sipgateway.api.crd_switch import crd_switch
from sipgateway.api.switch import MAX_WORDS, Problem, parse_switch
from tests.profiles import thorough

METADATA: dict[str, Any] = {
    "name": "fs-0",
    "namespace": "voice",
    "uid": "u-switch",
    "resourceVersion": "4711",
    "labels": {"sipgateway.dev/switch": "edge"},
    "ownerReferences": [{"apiVersion": "v1", "kind": "Pod", "name": "fs-0", "uid": "u-pod", "controller": True}],
}

STATUS: dict[str, Any] = {
    "heartbeat": "2026-01-01T00:00:00Z",
    "agentVersion": "0.1.0",
    "switchVersion": "1.10.12",
    "phase": "Running",
    "observedResourceVersion": "12345",
    "sealKeys": ["1f2e3d4c", "00000001"],
    "switch": {"reachable": True, "reason": "", "message": ""},
    "counts": {"wanted": 3, "loaded": 3, "registered": 1, "failed": 2},
    "problems": [
        {
            "about": "Registered",
            "reason": "CredentialsRefused",
            "code": 403,
            "message": "Forbidden",
            "gateways": ["acme", "beta"],
        }
    ],
}


def read(**status: Any) -> Any:
    return parse_switch({"metadata": METADATA, "status": {**STATUS, **status}})


def test_everything_that_an_agent_says_is_read() -> None:
    report = read()
    assert (report.pod, report.namespace, report.switch) == ("fs-0", "voice", "edge")
    assert (report.owner_uid, report.uid, report.resource_version) == ("u-pod", "u-switch", "4711")
    assert (report.heartbeat, report.phase, report.observed) == ("2026-01-01T00:00:00Z", "Running", 12345)
    assert (report.agent_version, report.switch_version) == ("0.1.0", "1.10.12")
    assert report.seal_keys == {"1f2e3d4c", "00000001"}
    assert (report.reachable, report.reachable_reason, report.reachable_message) == (True, "", "")
    assert report.counts == {"wanted": 3, "loaded": 3, "registered": 1, "failed": 2}
    assert report.unreadable == ""
    (problem,) = report.problems
    assert (problem.reason, problem.code, problem.message) == ("CredentialsRefused", 403, "Forbidden")
    assert report.registered == {"acme": problem, "beta": problem}
    assert report.programmed == {}


def test_a_new_object_says_nothing_and_is_readable() -> None:
    report = parse_switch({"metadata": METADATA})
    assert (report.phase, report.observed, report.reachable, report.unreadable) == ("", 0, False, "")


def test_fields_of_a_newer_agent_are_passed_over() -> None:
    newer = read(mood="fine", switch={"reachable": True, "uptime": 5}, counts={"wanted": 1, "dancing": 4})
    assert newer.reachable
    assert newer.counts == {"wanted": 1}
    assert newer.unreadable == ""


@pytest.mark.parametrize(
    ("status", "what"),
    [
        ({"observedResourceVersion": 12345}, "observedResourceVersion"),
        ({"observedResourceVersion": "12e5"}, "observedResourceVersion"),
        ({"observedResourceVersion": "-1"}, "observedResourceVersion"),
        ({"observedResourceVersion": "١٢"}, "observedResourceVersion"),
        ({"observedResourceVersion": "9" * 5000}, "observedResourceVersion"),
        ({"problems": {"acme": "down"}}, "problems"),
        ({"problems": ["acme"]}, "problems[0]"),
        ({"problems": [{"about": "Programmed", "reason": "NotLoaded"}]}, "problems[0]"),
        ({"problems": [{"about": "Programmed", "reason": "NotLoaded", "gateways": "acme"}]}, "problems[0]"),
        ({"problems": [{"about": "Programmed", "reason": "NotLoaded", "gateways": [["acme"]]}]}, "problems[0]"),
        ({"switch": "reachable"}, "status.switch"),
    ],
)
def test_what_cannot_be_read_is_named_and_proves_nothing(status: dict[str, Any], what: str) -> None:
    report = read(**status)
    assert what in report.unreadable
    assert report.observed in {0, 12345}


@pytest.mark.parametrize("obj", [None, 7, "x", [], {}, {"metadata": []}, {"status": None}, {"metadata": {"labels": 1}}])
def test_an_object_that_is_none_gives_an_empty_report(obj: object) -> None:
    report = parse_switch(obj)
    assert (report.pod, report.owner_uid, report.observed, report.reachable) == ("", "", 0, False)


@pytest.mark.parametrize("reachable", ["true", 1, None, {}])
def test_only_true_is_true(reachable: object) -> None:
    assert read(switch={"reachable": reachable}).reachable is False


def test_only_a_pod_can_own_a_report() -> None:
    for reference in ({"apiVersion": "v1", "kind": "ConfigMap"}, {"apiVersion": "example.com/v1", "kind": "Pod"}):
        owners = [{**reference, "name": "fs-0", "uid": "u-1"}]
        assert parse_switch({"metadata": {**METADATA, "ownerReferences": owners}, "status": STATUS}).owner_uid == ""


def test_a_problem_about_something_unknown_counts_against_loading() -> None:
    report = read(problems=[{"about": "Encrypted", "reason": "NoCertificate", "gateways": ["acme"]}])
    assert report.programmed["acme"].words == "NoCertificate"
    assert report.programmed["acme"].cause.word == "ProblemOnSwitch"


def test_of_several_problems_of_a_gateway_the_worst_is_told_whatever_their_order() -> None:
    entries = [
        {"about": "Registered", "reason": reason, "gateways": ["acme"]}
        for reason in ("Pending", "CredentialsRefused", "RegistrarUnreachable", "Whatever")
    ]
    for order in (entries, entries[::-1]):
        assert read(problems=order).registered["acme"].reason == "CredentialsRefused"


def test_a_reason_that_belongs_to_the_other_condition_is_unknown_here() -> None:
    report = read(problems=[{"about": "Programmed", "reason": "CredentialsRefused", "gateways": ["acme"]}])
    assert report.programmed["acme"].cause.word == "ProblemOnSwitch"


@pytest.mark.parametrize(
    ("code", "message", "words"),
    [
        (403, "Forbidden", "403 Forbidden"),
        (403, "403 Forbidden", "403 Forbidden"),
        (403, "", "403"),
        (0, "DNS Error", "DNS Error"),
        (-5, "x", "x"),
        (10_000, "x", "x"),
        ("403", "x", "x"),
        (True, "x", "x"),
        (0, "two\r\nlines\tand \x1b[31mred\u202e", "two lines and [31mred"),
        (0, "ünï ☎ 電話", "ünï ☎ 電話"),
        (0, 5, ""),
    ],
)
def test_words_of_others_are_one_line_for_people(code: object, message: object, words: str) -> None:
    entry = {"about": "Registered", "reason": "Refused", "code": code, "message": message, "gateways": ["acme"]}
    assert read(problems=[entry]).registered["acme"].words == words


def test_long_words_are_cut_and_names_are_not() -> None:
    names = [f"gw-{number}" for number in range(20_000)]
    report = read(problems=[{"about": "Registered", "reason": "Refused", "message": "x " * 999, "gateways": names}])
    assert len(report.registered) == 20_000
    assert len(report.registered["gw-0"].words) <= MAX_WORDS
    assert report.registered["gw-0"].words.endswith("...")


def test_every_word_that_an_agent_may_say_is_one_that_the_crd_takes() -> None:
    text = json.dumps(crd_switch())
    assert '"^[A-Z][A-Za-z0-9]*$"' in text
    for reason in FROM_AGENTS:
        assert BY_WORD[reason.word] is reason
        assert Problem(reason.types[0], reason.word).cause is reason


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)
spoiled = st.dictionaries(st.sampled_from([*STATUS, "later"]), anything, max_size=4)
entries = st.lists(
    anything
    | st.dictionaries(
        st.sampled_from(["about", "reason", "code", "message", "gateways", "later"]), anything, max_size=6
    ),
    max_size=4,
)


@thorough
@given(anything, st.dictionaries(st.sampled_from([*METADATA]), anything, max_size=3), spoiled, st.none() | entries)
def test_reading_never_raises(obj: object, metadata: dict[str, Any], status: dict[str, Any], problems: object) -> None:
    parse_switch(obj)
    parse_switch({"metadata": metadata, "status": status})
    report = parse_switch({"metadata": METADATA | metadata, "status": STATUS | status | {"problems": problems}})
    assert report.observed >= 0
    for by_name in (report.programmed, report.registered):
        for problem in by_name.values():
            assert problem.cause in FROM_AGENTS or problem.cause.word == "ProblemOnSwitch"
            assert "\n" not in problem.words
