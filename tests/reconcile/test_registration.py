"""A registration's verdict over the switch's own event sequences, recorded and told by the facts."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote

import pytest

from sipgateway.reconcile.registration import ADVICE, Registration, Verdict

TRANSCRIPTS = Path(__file__).parents[1] / "transcripts"


def events(transcript: str, gateway: str) -> list[dict[str, str]]:
    """The `gateway_state` events of one gateway in a transcript."""
    lines = (TRANSCRIPTS / transcript).read_text("utf-8").splitlines()
    found: list[dict[str, str]] = []
    for line in lines:
        name, _, value = line.removeprefix("< ").partition(": ")
        if name == "Event-Subclass":
            found.append({})
        if found:
            found[-1][name] = unquote(value)
    return [e for e in found if e["Event-Subclass"].endswith("gateway_state") and e["Gateway"] == gateway]


def fold(steps: list[dict[str, str]], known: Registration | None = None) -> list[Registration]:
    """The registration after each event."""
    known, found = known or Registration(), []
    for number, event in enumerate(steps):
        known = known.event(
            event["State"],
            up=event["Ping-Status"] == "UP" if "Ping-Status" in event else None,
            status=int(event["Status"]) if "Status" in event else None,
            phrase=event.get("Phrase", ""),
            now=float(number),
        )
        found.append(known)
    return found


def told(*steps: str) -> list[dict[str, str]]:
    """`STATE UP|DOWN [STATUS PHRASE]` as events."""
    found: list[dict[str, str]] = []
    for step in steps:
        state, up, *rest = step.split(" ", 3)
        found.append({"State": state, "Ping-Status": up} | ({"Status": rest[0], "Phrase": rest[1]} if rest else {}))
    return found


def verdicts(registrations: list[Registration]) -> list[Verdict]:
    return [r.verdict for r in registrations]


REGISTERED = fold(told("TRYING DOWN", "REGISTER DOWN 200 OK", "REGED UP"))[-1]


def test_a_gateway_that_registers_is_pending_and_then_registered() -> None:
    folded = fold(events("register-ok.txt", "reg1"))
    assert [r.state for r in folded] == ["TRYING", "REGISTER", "REGED"]
    assert verdicts(folded) == [Verdict.PENDING, Verdict.REGISTERED, Verdict.REGISTERED]
    assert folded[-1].since == 1


def test_a_wrong_password_is_told_and_stays_told_while_the_switch_tries_again() -> None:
    folded = fold(events("register-refused.txt", "reg2"))
    assert verdicts(folded)[0] is Verdict.PENDING
    assert set(verdicts(folded)[1:]) == {Verdict.CREDENTIALS_REFUSED}
    assert "TRYING" in [r.state for r in folded[2:]]
    assert folded[-1].status == 904
    assert folded[-1].since == 1


def test_a_registrar_that_does_not_answer_is_told_as_such() -> None:
    folded = fold(events("register-unreachable.txt", "reg3"))
    assert set(verdicts(folded)[1:]) == {Verdict.UNREACHABLE}
    assert folded[-1].phrase == "Service Unavailable"


def test_an_ordinary_refresh_is_no_loss_fact_36() -> None:
    refresh = told("UNREGED UP", "TRYING UP", "REGISTER UP 200 OK", "REGED UP")
    folded = fold(refresh, REGISTERED)
    assert set(verdicts(folded)) == {Verdict.REGISTERED}
    assert folded[-1].since == REGISTERED.since


def test_a_refresh_that_is_refused_is_a_loss() -> None:
    folded = fold(told("UNREGED UP", "TRYING UP", "FAILED DOWN 403 Forbidden", "FAIL_WAIT DOWN"), REGISTERED)
    assert verdicts(folded)[-2:] == [Verdict.CREDENTIALS_REFUSED] * 2


def test_an_unanswered_ping_takes_a_registered_gateway_down_fact_37() -> None:
    folded = fold(told("FAIL_WAIT DOWN", "UNREGED DOWN", "TRYING DOWN", "REGISTER DOWN 200 OK", "REGED UP"), REGISTERED)
    assert verdicts(folded) == [
        Verdict.DOWN,
        Verdict.PENDING,
        Verdict.PENDING,
        Verdict.REGISTERED,
        Verdict.REGISTERED,
    ]


def test_an_ignored_challenge_stays_told_until_an_answer_counts_fact_35() -> None:
    trying = fold(told("TRYING DOWN"))[-1].ignored_challenge(5.0)
    assert (trying.verdict, trying.since) == (Verdict.CHALLENGE_IGNORED, 5.0)
    assert fold(told("TRYING DOWN"), trying)[-1].verdict is Verdict.CHALLENGE_IGNORED
    assert fold(told("REGISTER DOWN 200 OK"), trying)[-1].verdict is Verdict.REGISTERED


def test_the_switchs_own_resolver_is_told_from_an_unreachable_registrar_fact_36() -> None:
    event = {"State": "FAILED", "Ping-Status": "DOWN", "Status": "503", "Phrase": "DNS Error"}
    assert fold([event])[-1].verdict is Verdict.DNS_FAILED
    assert fold([event | {"Phrase": "Service Unavailable"}])[-1].verdict is Verdict.UNREACHABLE


@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        (401, Verdict.CREDENTIALS_REFUSED),
        (403, Verdict.CREDENTIALS_REFUSED),
        (404, Verdict.REFUSED),
        (407, Verdict.CREDENTIALS_REFUSED),
        (408, Verdict.UNREACHABLE),
        (423, Verdict.REFUSED),
        (480, Verdict.REFUSED),
        (500, Verdict.REFUSED),
        (503, Verdict.UNREACHABLE),
        (603, Verdict.REFUSED),
        (904, Verdict.CREDENTIALS_REFUSED),
        (908, Verdict.UNREACHABLE),
    ],
)
def test_each_status_has_its_verdict_and_its_advice(status: int, verdict: Verdict) -> None:
    folded = fold(told("TRYING DOWN", f"FAILED DOWN {status} Words", "FAIL_WAIT DOWN"))
    assert verdicts(folded)[1:] == [verdict, verdict]
    assert ADVICE[verdict]


def test_a_provisional_answer_is_no_answer() -> None:
    folded = fold(told("FAILED DOWN 403 Forbidden", "TRYING DOWN 100 Trying"))
    assert (folded[-1].status, folded[-1].verdict) == (403, Verdict.CREDENTIALS_REFUSED)


def test_a_noreg_gateway_is_not_waited_for() -> None:
    assert Registration().seen("NOREG", 3.0).verdict is Verdict.NOT_WANTED


@pytest.mark.parametrize(
    ("state", "verdict"),
    [
        ("REGED", Verdict.REGISTERED),
        ("FAIL_WAIT", Verdict.DOWN),
        ("TIMEOUT", Verdict.UNREACHABLE),
        ("TRYING", Verdict.PENDING),
    ],
)
def test_a_row_of_the_status_stands_in_for_events_that_were_missed(state: str, verdict: Verdict) -> None:
    assert Registration().seen(state, 1.0).verdict is verdict


def test_a_row_that_says_registered_ends_an_old_refusal() -> None:
    refused = fold(told("FAILED DOWN 403 Forbidden", "FAIL_WAIT DOWN"))[-1]
    assert refused.seen("REGED", 9.0).verdict is Verdict.REGISTERED


def test_a_verdict_is_dated_by_its_first_event() -> None:
    refused = fold(told("FAILED DOWN 403 Forbidden", "FAIL_WAIT DOWN", "UNREGED DOWN", "TRYING DOWN"))
    assert [r.since for r in refused] == [0.0, 0.0, 0.0, 0.0]
