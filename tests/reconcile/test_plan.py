"""The plan on tables of cases, and on a model of the switch that says whether it converges."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sipgateway.reconcile.plan import Kind, Plan, ProblemKind, Step, batch, by_profile, plan
from sipgateway.reconcile.state import Loaded, Wanted
from tests.profiles import thorough

OURS = "1-00000001-"


def ours(revision: str) -> bool:
    return revision.startswith(OURS)


def wanted(name: str = "acme", profile: str = "external", version: str = "a", *, registers: bool = False) -> Wanted:
    return Wanted(name, profile, OURS + version, registers, f"sip_profiles/{profile}/sipgw-{name}.xml")


def loaded(*profiles: str, version: str | None = "a", state: str = "NOREG", name: str = "acme") -> Loaded:
    revision = version if version is None or version.startswith("2-") else OURS + version
    return Loaded(name, profiles or ("external",), state, revision)


def planned(want: Wanted | None, have: Loaded | None, **options: object) -> Plan:
    words: dict[str, object] = {"ours": ours, "removable": lambda _: True, **options}
    wants = {} if want is None else {want.name: want}
    return plan(wants, {} if have is None else {have.name: have}, **words)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("want", "have", "kind", "kill", "when"),
    [
        (None, None, None, False, ""),
        (wanted(), None, Kind.ADD, False, "now"),
        (wanted(registers=True), None, Kind.ADD, False, "now"),
        (wanted(), loaded(), None, False, ""),
        (wanted(registers=True), loaded(state="REGED"), None, False, ""),
        (wanted(registers=True), loaded(state="FAIL_WAIT"), None, False, ""),
        (wanted(version="b"), loaded(), Kind.REPLACE, True, "now"),
        (wanted(version="b"), loaded(state="REGED"), Kind.REPLACE, True, "now"),
        (wanted(version="b", registers=True), loaded(), Kind.REPLACE, True, "timed"),
        (wanted(version="b", registers=True), loaded(state="REGED"), Kind.REPLACE, True, "timed"),
        (wanted(profile="internal"), loaded(), Kind.REPLACE, True, "moves"),
        (wanted(profile="internal", registers=True), loaded(state="REGED"), Kind.REPLACE, True, "moves"),
        (None, loaded(), Kind.REMOVE, True, "removals"),
        (None, loaded(state="REGED"), Kind.REMOVE, True, "removals"),
        (None, loaded(version=None), None, False, ""),
        (None, loaded(version="2-other"), None, False, ""),
    ],
)
def test_each_gateway_gets_the_one_step_that_it_needs(
    want: Wanted | None, have: Loaded | None, kind: Kind | None, kill: bool, when: str
) -> None:
    todo = planned(want, have)
    if kind is None:
        assert todo.steps == ()
        return
    (step,) = getattr(todo, when)
    assert todo.steps == (step,)
    assert (step.kind, step.kill) == (kind, kill)
    assert step.profile == (want.profile if want else "external")
    assert step.revision == (want.revision if want else None)
    assert step.registered == (have is not None and have.state != "NOREG")


@pytest.mark.parametrize(
    ("state", "registers", "settles"),
    [("REGED", True, True), ("NOREG", True, False), ("REGED", False, False), ("NOREG", False, False)],
)
def test_a_register_follows_only_when_both_copies_use_the_same_binding(
    state: str, registers: bool, settles: bool
) -> None:
    (step,) = planned(wanted(version="b", registers=registers), loaded(state=state)).steps
    assert step.settles is settles


def test_a_missing_gateway_that_was_proved_before_is_a_repair() -> None:
    (step,) = planned(wanted(), None, known=frozenset({"acme"})).now
    assert step.kind is Kind.REPAIR


@pytest.mark.parametrize("version", [None, "2-other"])
def test_somebody_elses_gateway_of_our_name_is_reported_and_left_alone(version: str | None) -> None:
    todo = planned(wanted(), loaded(version=version))
    assert [p.kind for p in todo.problems] == [ProblemKind.NAME_TAKEN]
    assert (todo.steps, todo.unchanged) == ((), 0)


def test_adopting_replaces_somebody_elses_gateway_of_our_name() -> None:
    todo = planned(wanted(), loaded(version=None), adopt=True)
    assert [(s.kind, s.kill) for s in todo.now] == [(Kind.REPLACE, True)]
    assert todo.problems == ()


def test_adopting_never_removes_what_is_not_ours() -> None:
    assert planned(None, loaded(version=None), adopt=True).steps == ()


def test_a_ghost_is_reported_and_its_proved_copy_is_left_alone() -> None:
    todo = planned(wanted(), loaded("external", "internal"))
    assert [p.kind for p in todo.problems] == [ProblemKind.GHOST]
    assert (todo.steps, todo.unchanged) == ((), 1)


def test_without_evidence_nothing_is_removed() -> None:
    assert planned(None, loaded(), removable=lambda _: False).steps == ()


def test_one_rescan_serves_all_steps_of_a_profile() -> None:
    wants = {n: wanted(n, profile) for n, profile in (("a", "external"), ("b", "internal"), ("c", "external"))}
    groups = by_profile(plan(wants, {}, ours=ours, removable=lambda _: True).steps)
    assert {profile: [s.name for s in steps] for profile, steps in groups.items()} == {
        "external": ["a", "c"],
        "internal": ["b"],
    }


# -- properties ----------------------------------------------------------------------------------------------------

NAMES = st.sampled_from(["a", "b", "c", "d", "e"])
PROFILES = st.sampled_from(["external", "internal", "carrier"])
STATES = st.sampled_from(["NOREG", "REGED", "TRYING", "FAIL_WAIT", "DOWN"])
WANTED = st.dictionaries(NAMES, st.tuples(PROFILES, st.sampled_from("abc"), st.booleans()), max_size=5).map(
    lambda d: {n: wanted(n, p, v, registers=r) for n, (p, v, r) in d.items()}
)
REVISIONS = st.one_of(st.none(), st.just("2-other"), st.sampled_from("abc"))
LOADED = st.dictionaries(
    NAMES, st.tuples(st.lists(PROFILES, min_size=1, max_size=3), STATES, REVISIONS), max_size=5
).map(lambda d: {n: loaded(*ps, version=v, state=s, name=n) for n, (ps, s, v) in d.items()})
SINGLE = LOADED.map(lambda d: {n: replace(have, profiles=have.profiles[:1]) for n, have in d.items()})


def apply(todo: Plan, have: dict[str, Loaded]) -> dict[str, Loaded]:
    """What a switch has after a plan was carried out: `killgw` takes one copy, a rescan adds the new one."""
    after = dict(have)

    def kill(step: Step) -> None:
        rest = after[step.name].profiles[1:]
        after.pop(step.name)
        if rest:
            after[step.name] = Loaded(step.name, rest, "REGED", None)  # copies that no look-up finds (fact 11)

    for step in todo.steps:
        if step.kill:
            kill(step)
        if step.revision is not None:
            left = after[step.name].profiles if step.name in after else ()
            state = "REGED" if step.registers else "NOREG"
            after[step.name] = Loaded(step.name, (step.profile, *left), state, step.revision)
    return after


@thorough
@given(WANTED, LOADED, st.sets(NAMES), st.booleans())
def test_no_step_touches_what_is_unchanged_foreign_or_not_known_to_be_unwanted(
    wants: dict[str, Wanted], have: dict[str, Loaded], removable: set[str], adopt: bool
) -> None:
    todo = plan(wants, have, ours=ours, removable=removable.__contains__, adopt=adopt)
    assert len({s.name for s in todo.steps}) == len(todo.steps)
    for step in todo.steps:
        want, old = wants.get(step.name), have.get(step.name)
        mine = old is not None and old.revision is not None and ours(old.revision)
        assert step.kill == (old is not None)
        if want is None:
            assert step.kind is Kind.REMOVE
            assert mine
            assert step.name in removable
        else:
            assert old is None or old.revision != want.revision or want.profile not in old.profiles
            assert old is None or mine or adopt
        assert not step.settles or step.timed


@thorough
@given(WANTED, SINGLE)
def test_a_plan_converges_in_one_round_and_then_has_nothing_left_to_do(
    wants: dict[str, Wanted], have: dict[str, Loaded]
) -> None:
    todo = plan(wants, have, ours=ours, removable=lambda _: True)
    after = apply(todo, have)
    again = plan(wants, after, ours=ours, removable=lambda _: True)
    assert again.steps == ()
    assert again.problems == todo.problems
    taken = {p.name for p in todo.problems}
    assert {n: (h.revision, h.profiles) for n, h in after.items() if n in wants and n not in taken} == {
        n: (w.revision, (w.profile,)) for n, w in wants.items() if n not in taken
    }
    foreign = {n: h for n, h in have.items() if h.revision is None or not ours(h.revision)}
    assert {n: after[n] for n in foreign} == foreign


@given(WANTED, LOADED)
def test_even_with_ghosts_a_plan_is_not_repeated_for_ever(wants: dict[str, Wanted], have: dict[str, Loaded]) -> None:
    for _ in range(4):
        todo = plan(wants, have, ours=ours, removable=lambda _: True)
        have = apply(todo, have)
    assert plan(wants, have, ours=ours, removable=lambda _: True).steps == ()


@given(kills=st.lists(st.booleans(), max_size=30), most=st.integers(1, 8))
def test_all_that_needs_no_kill_goes_out_at_once_and_kills_in_batches_in_their_order(
    kills: list[bool], most: int
) -> None:
    steps = [Step(Kind.ADD, f"g{n}", "external", kill, "r", False, False, "") for n, kill in enumerate(kills)]
    batches = 0
    done: list[Step] = []
    left = steps
    while left:
        taken, more = batch(left, most)
        assert sum(s.kill for s in taken) <= most
        assert batches or [s for s in taken if not s.kill] == [s for s in steps if not s.kill]
        left = [s for s in left if s not in taken]
        assert more == bool(left)
        done += taken
        batches += 1
    assert [s for s in done if s.kill] == [s for s in steps if s.kill]
    assert batches == max(-(-sum(kills) // most), bool(steps))
