"""Readiness on any fleet: never a lie, never an exception, and what can change is named beforehand."""

from __future__ import annotations

import math
import re
import timeit
from dataclasses import replace
from random import Random
from typing import Any

from hypothesis import assume, given
from hypothesis import strategies as st

from sipgateway.api.conditions import BY_WORD, REASONS, ConditionType, Status
from sipgateway.errors import Finding
from sipgateway.reconcile.readiness import (
    SILENT,
    STARTING,
    Affected,
    FleetView,
    GatewayView,
    HeardReport,
    Judgement,
    PodView,
    affected,
    judge,
)
from tests.profiles import thorough
from tests.reconcile.fleets import NOW, finding, gateway, heard, pod, problem, report

NAMES = ("acme", "beta", "gamma")
WORDS = [*(reason.word for reason in REASONS), "NobodyKnows", "", "bad word"]

findings = st.builds(
    Finding, st.sampled_from(["SecretMissing", "GatewayNameTaken"]), st.just(""), st.text(max_size=9), st.just("Do it.")
)

problems = st.lists(
    st.builds(
        lambda about, reason, names, code, message: problem(about, reason, *names, code=code, message=message),
        st.sampled_from(["Programmed", "Registered", "Other"]),
        st.sampled_from(WORDS),
        st.lists(st.sampled_from(NAMES), max_size=3),
        st.sampled_from([0, 200, 403, 503]),
        st.sampled_from(["", "Forbidden", "\x1b[2J", "x" * 5000]),
    ),
    max_size=3,
)

gateways = st.builds(
    GatewayView,
    generation=st.integers(1, 3),
    gateway_name=st.sampled_from(NAMES),
    suspended=st.sampled_from([False, False, False, True]),
    registers=st.booleans(),
    refusals=st.just(()) | st.lists(findings, max_size=7).map(tuple),
    warnings=st.lists(findings, max_size=2).map(tuple),
    config_version=st.none() | st.integers(0, 5) | st.integers(0, 5),
    held=st.sampled_from([False, False, True]),
    writing=st.just(False) | st.booleans() | findings,
    several_pods_hint=st.booleans(),
)


#: A gateway to which nothing stands in the way of being ready but its fleet.
hopeful = st.builds(
    GatewayView,
    generation=st.just(1),
    gateway_name=st.sampled_from(NAMES),
    registers=st.booleans(),
    config_version=st.integers(0, 3),
)

Fleet = tuple[list[PodView], list[HeardReport]]


@st.composite
def fleets(draw: st.DrawFn) -> Fleet:
    """Up to four pods and up to one report each. What is drawn first is what is well, and most often drawn."""

    careless = draw(st.booleans())

    def mostly(*well_and_ill: Any) -> Any:
        return draw(st.sampled_from(well_and_ill)) if careless else well_and_ill[0]

    pods: list[PodView] = []
    reports: list[HeardReport] = []
    for number in range(draw(st.integers(0, 4))):
        name = f"fs-{number}"
        pods.append(
            pod(
                name,
                draw(st.sampled_from([3600.0, STARTING, STARTING - 1, 0.0])),
                ready=mostly(True, False),
                terminating=mostly(False, False, True),
                has_agent=mostly(True, True, False),
                phase=mostly("Running", "Running", "Running", "Pending", "Failed", "Unknown", ""),
            )
        )
        if mostly(True, True, True, False):
            status = {
                "phase": mostly("Running", "Running", "Running", "Starting", "Draining", "Dancing", 7),
                "observedResourceVersion": str(draw(st.integers(0, 5))),
                "switch": {"reachable": mostly(True, True, False), "message": "refused"},
                "problems": draw(problems) if careless or draw(st.booleans()) else [],
            }
            said = report(name, mostly(f"uid-{name}", f"uid-{name}", "uid-of-another"), **status)
            ago = draw(st.sampled_from([0.0, 5.0, SILENT - 1])) if mostly(True, True, False) else SILENT
            reports.append(HeardReport(said, NOW - ago, mostly(True, False)))
    return pods, reports


def view(given_: Fleet, now: float = NOW) -> FleetView:
    return FleetView.of(*given_, now, switch="default")


def status(judgement: Judgement, kind: str) -> Status:
    found = judgement.condition(kind)
    assert found is not None
    return found.status


def has_it(one: PodView, reports: list[HeardReport], wanted: GatewayView) -> bool:
    """Whether a pod proved a gateway and its registration, told from what came in, without the code under test."""
    for candidate in reports:
        said = candidate.report
        if (said.pod, said.owner_uid) == (one.name, one.uid) and NOW - candidate.heard_at < SILENT:
            named = wanted.gateway_name in said.programmed
            named = named or (wanted.registers and wanted.gateway_name in said.registered)
            reached = wanted.config_version is not None and said.observed >= wanted.config_version
            return said.phase == "Running" and said.reachable and reached and not named
    return False


@given(gateways, fleets())
def test_every_status_is_one_that_the_api_server_takes(wanted: GatewayView, given_: Fleet) -> None:
    judgement = judge(wanted, view(given_))
    kinds = [one.type for one in judgement.conditions]
    assert kinds in ([*ConditionType], [*ConditionType][:-1])
    codes = {one.code for one in wanted.refusals}
    for one in judgement.conditions:
        assert re.fullmatch(r"[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?", one.reason)
        assert len(one.message) <= 32768
        assert one.observed_generation == wanted.generation
        known = BY_WORD.get(one.reason)
        if known is None:
            assert one.reason in codes
        elif one.type is not ConditionType.STALLED:
            assert one.type in known.types
            assert one.status is known.status
    assert (kinds[-1] is ConditionType.STALLED) <= (status(judgement, "Ready") is Status.FALSE)
    assert 0 <= judgement.registered_on <= judgement.wanted
    assert 0 <= judgement.programmed <= judgement.wanted
    assert judgement.registered in {"-", f"{judgement.registered_on}/{judgement.wanted}"}


@thorough
@given(hopeful, fleets())
def test_ready_is_true_only_where_every_pod_that_had_time_to_start_proved_it(
    wanted: GatewayView, given_: Fleet
) -> None:
    judgement = judge(wanted, view(given_))
    if status(judgement, "Ready") is not Status.TRUE:
        return
    pods, reports = given_
    counting = [one for one in pods if not one.terminating and one.phase not in {"Failed", "Succeeded"}]
    assert any(has_it(one, reports, wanted) for one in counting)
    assert all(has_it(one, reports, wanted) for one in counting if NOW - one.first_seen >= STARTING)
    assert judgement.wanted == len(counting)
    assert judgement.programmed >= sum(has_it(one, reports, wanted) for one in counting)


@given(hopeful | gateways, fleets())
def test_silence_makes_nothing_true(wanted: GatewayView, given_: Fleet) -> None:
    pods, reports = given_
    silent = [replace(one, heard_at=NOW - SILENT) for one in reports]
    judgement = judge(wanted, view((pods, silent)))
    for kind in ("Programmed", "Registered", "Ready"):
        assert status(judgement, kind) is not Status.TRUE
    assert (judgement.programmed, judgement.registered_on) == (0, 0)


@given(gateways, fleets(), st.randoms(use_true_random=False))
def test_the_order_of_pods_and_reports_does_not_matter(wanted: GatewayView, given_: Fleet, random: Random) -> None:
    pods, reports = list(given_[0]), list(given_[1])
    random.shuffle(pods)
    random.shuffle(reports)
    assert view((pods, reports)) == view(given_)
    assert judge(wanted, view((pods, reports))) == judge(wanted, view(given_))


@given(fleets(), fleets(), st.lists(gateways, min_size=1, max_size=5))
def test_a_gateway_that_a_change_does_not_touch_is_judged_as_before(
    before: Fleet,
    after: Fleet,
    wanted: list[GatewayView],
) -> None:
    old, new = view(before), view(after)
    change = affected(old, new)
    for one in wanted:
        if not change.touches(one.gateway_name, one.config_version):
            assert judge(one, old) == judge(one, new)


@given(fleets(), st.data())
def test_one_new_report_touches_no_more_than_it_says(before: Fleet, data: st.DataObject) -> None:
    pods, reports = before
    assume(reports)
    which = data.draw(st.integers(0, len(reports) - 1))
    told = reports[which].report
    changed = report(
        told.pod,
        told.owner_uid,
        observedResourceVersion=str(data.draw(st.integers(0, 5))),
        problems=data.draw(problems),
        phase=told.phase,
        switch={"reachable": told.reachable, "message": told.reachable_message},
    )
    after = [*reports[:which], replace(reports[which], report=changed), *reports[which + 1 :]]
    change = affected(view(before), view((pods, after)))
    assert not change.everything or told.unreadable or changed.observed < told.observed
    for one in data.draw(st.lists(gateways, min_size=1, max_size=5)):
        old, new = judge(one, view(before)), judge(one, view((pods, after)))
        if not change.touches(one.gateway_name, one.config_version):
            assert old == new
        elif old != new and not change.everything and one.gateway_name not in change.names:
            assert old.programmed < old.wanted


@given(fleets(), st.floats(0, 1), gateways)
def test_nothing_changes_before_the_moment_that_is_named_and_something_does_then(
    given_: Fleet, part: float, wanted: GatewayView
) -> None:
    now = view(given_)
    if now.recheck_at is None:
        assert view(given_, NOW + 1e9) == now
        return
    assert now.recheck_at > NOW
    between = min(NOW + part * (now.recheck_at - NOW), math.nextafter(now.recheck_at, 0))
    assert view(given_, between) == now
    assert judge(wanted, view(given_, between)) == judge(wanted, now)
    then = view(given_, now.recheck_at)
    assert then.pods != now.pods
    assert then.recheck_at is None or then.recheck_at > now.recheck_at


@given(fleets(), gateways)
def test_what_time_alone_changes_is_named_too(given_: Fleet, wanted: GatewayView) -> None:
    old = view(given_)
    for later in (1.0, 30.0, SILENT, STARTING, 1e9):
        new = view(given_, NOW + later)
        if not affected(old, new).touches(wanted.gateway_name, wanted.config_version):
            assert judge(wanted, old) == judge(wanted, new)


def healthy(observed: str = "100", **status_: Any) -> FleetView:
    reports = [heard(f"fs-{n}", observedResourceVersion=observed, **status_) for n in range(3)]
    return FleetView.of([pod(f"fs-{n}") for n in range(3)], reports, NOW, switch="default")


def test_a_heartbeat_touches_no_gateway() -> None:
    change = affected(healthy(heartbeat="2026-01-01T00:00:00Z"), healthy(heartbeat="2026-01-01T00:00:30Z"))
    assert not change
    assert not change.touches("acme", 50)


def test_a_report_over_ten_thousand_gateways_touches_what_changed() -> None:
    many = [f"gw-{n}" for n in range(10_000)]
    old = healthy(problems=[problem("Registered", "Pending", *many)])
    new = healthy("101", problems=[problem("Registered", "Pending", *many[1:])])
    change = affected(old, new)
    assert change == Affected(names=frozenset({"gw-0"}), versions=(100, 101))
    assert change.touches("else", 101)
    assert not change.touches("else", 100)
    assert not change.touches("else", None)
    assert not change.touches("gw-1", 7)


def test_an_agent_that_begins_anew_touches_all() -> None:
    assert affected(healthy("100"), healthy("99")).everything


def test_a_pod_that_comes_touches_all_and_the_end_of_its_start_only_what_is_not_fine_there() -> None:
    young = [pod("fs-0"), pod("fs-1", STARTING - 10)]
    reports = [heard("fs-0"), heard("fs-1", problems=[problem("Registered", "Pending", "acme")])]
    before = FleetView.of(young[:1], reports[:1], NOW, switch="default")
    starting = FleetView.of(young, reports, NOW, switch="default")
    assert affected(before, starting).everything
    assert starting.recheck_at == NOW + 10
    change = affected(starting, FleetView.of(young, reports, NOW + 10, switch="default"))
    assert change.names == {"acme"}
    assert not change.touches("beta", 100)
    assert change.touches("beta", 101)


def test_judging_one_gateway_over_three_pods_takes_well_under_50_microseconds() -> None:
    well = healthy()
    ill = healthy(problems=[problem("Registered", "CredentialsRefused", "acme", code=403, message="Forbidden")])
    for fleet in (well, ill):
        best = min(timeit.repeat(lambda fleet=fleet: judge(gateway(), fleet), number=100, repeat=30)) / 100  # type: ignore[misc]
        assert best < 50e-6


def test_the_findings_of_a_gateway_are_told_in_their_order() -> None:
    first, second = finding("SecretMissing", "One."), finding("MissingProxy", "Two.")
    text = judge(gateway(refusals=(first, second)), healthy()).conditions[0].message
    assert text.index("One.") < text.index("Two.")
