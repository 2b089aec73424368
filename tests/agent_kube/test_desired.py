"""What a fleet's ConfigMaps want of a switch: names, conflicts, and that nothing goes without evidence."""

from __future__ import annotations

import itertools
from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from sipgateway.agent.desired import Claim, Fleet, Refusal
from sipgateway.errors import Finding
from sipgateway.reconcile.state import Wanted
from sipgateway.render.layout import file_name

REFUSED = Finding("ConfigMapForged", "", "The ConfigMap's MAC does not verify.", "")


def claim(owner: str, name: str, *, born: str = "2026-01-01T00:00:00Z", version: str = "1") -> Claim:
    revision = f"1-00000000-{owner}-{name}-{version}"
    path = f"sip_profiles/external/{file_name(name)}"
    return Claim(f"sipgateway-{owner}", born, Wanted(name, "external", revision, True, path), revision.encode())


def put(fleet: Fleet, one: Claim, uid: str = "") -> None:
    fleet.verified(uid or one.config_map, "1", one)


def test_what_a_verified_config_map_asks_for_is_wanted_with_its_file() -> None:
    fleet = Fleet()
    one = claim("a", "acme")
    put(fleet, one)
    desired = fleet.desired()
    assert desired.wanted == {"acme": one.wanted}
    assert desired.files == {one.wanted.path: one.file}
    assert not desired.complete
    assert not desired.removable("acme")
    assert not desired.removable("somebody-elses")


def test_a_config_map_that_is_gone_leaves_its_gateway_until_there_is_evidence() -> None:
    fleet = Fleet()
    one = claim("a", "acme")
    put(fleet, one)
    fleet.vanished(one.config_map, one.config_map)
    assert fleet.desired().wanted == {"acme": one.wanted}
    assert fleet.give_up(one)
    desired = fleet.desired()
    assert desired.wanted == {}
    assert desired.files == {}
    assert desired.removable("acme")
    assert desired.removable_file(file_name("acme"))


def test_what_a_whole_list_does_not_have_is_left_over_and_wanted() -> None:
    fleet = Fleet()
    one, two = claim("a", "acme"), claim("b", "beta")
    put(fleet, one)
    put(fleet, two)
    fleet.listed(frozenset({one.config_map}))
    assert fleet.desired().wanted.keys() == {"acme", "beta"}
    assert fleet.leftovers == {"beta": two}


def test_the_end_of_an_earlier_object_of_that_name_does_not_count() -> None:
    fleet = Fleet()
    one = claim("a", "acme")
    put(fleet, one, uid="new")
    fleet.vanished(one.config_map, "old")
    assert fleet.leftovers == {}


def test_a_config_map_that_comes_back_takes_its_gateway_over() -> None:
    fleet = Fleet()
    one = claim("a", "acme")
    put(fleet, one, uid="first")
    fleet.vanished(one.config_map, "first")
    again = claim("a", "acme", version="2")
    put(fleet, again, uid="second")
    assert fleet.leftovers == {}
    assert not fleet.give_up(one)
    assert fleet.desired().wanted == {"acme": again.wanted}


def test_evidence_that_comes_late_does_not_take_what_is_wanted_again() -> None:
    fleet = Fleet()
    one = claim("a", "acme")
    put(fleet, one)
    fleet.vanished(one.config_map, one.config_map)
    fleet.give_up(one)
    again = claim("b", "acme")
    put(fleet, again)
    assert not fleet.desired().removable("acme")
    assert fleet.desired().wanted == {"acme": again.wanted}


def test_a_renamed_gateway_leaves_its_old_name_until_there_is_evidence() -> None:
    fleet = Fleet()
    old, new = claim("a", "old"), claim("a", "new")
    put(fleet, old)
    put(fleet, new)
    assert fleet.desired().wanted == {"old": old.wanted, "new": new.wanted}
    assert fleet.give_up(old)
    assert fleet.desired().wanted == {"new": new.wanted}
    assert fleet.desired().removable("old")


def test_of_two_config_maps_with_one_name_the_older_counts_in_whatever_order_they_come() -> None:
    older = claim("z", "acme", born="2026-01-01T00:00:00Z")
    younger = claim("a", "acme", born="2026-01-01T00:00:01Z")
    for order in itertools.permutations((older, younger)):
        fleet = Fleet()
        for one in order:
            put(fleet, one)
        assert fleet.desired().wanted == {"acme": older.wanted}
        assert fleet.desired().files == {older.wanted.path: older.file}
        fleet.vanished(older.config_map, older.config_map)
        assert fleet.desired().wanted == {"acme": younger.wanted}
        assert fleet.leftovers == {}


def test_a_refused_config_map_keeps_what_it_was_last_good_for() -> None:
    fleet = Fleet()
    one = claim("a", "acme")
    put(fleet, one)
    fleet.refused(one.config_map, one.config_map, "2", Refusal(REFUSED, "acme"))
    assert fleet.desired().wanted == {"acme": one.wanted}
    assert fleet.refusals.keys() == {one.config_map}


def test_a_refused_config_map_holds_the_name_that_it_says_it_is_about() -> None:
    fleet = Fleet()
    fleet.restore((), ["acme"])
    assert fleet.desired().removable("acme")
    fleet.refused("sipgateway-a", "uid", "1", Refusal(REFUSED, "acme"))
    assert not fleet.desired().removable("acme")
    assert fleet.desired().held == {"acme"}


def test_a_refused_config_map_speaks_against_no_gateway_that_a_good_one_asks_for() -> None:
    fleet = Fleet()
    one = claim("a", "acme")
    put(fleet, one)
    fleet.refused("sipgateway-forged", "uid", "1", Refusal(REFUSED, "acme"))
    fleet.refused("sipgateway-other", "uid", "1", Refusal(REFUSED, "beta"))
    fleet.refused("sipgateway-dumb", "uid", "1", Refusal(REFUSED))
    assert fleet.troubled.keys() == {"beta"}
    fleet.refused(one.config_map, one.config_map, "2", Refusal(REFUSED, "gamma"))
    assert fleet.troubled.keys() == {"acme", "beta", "gamma"}


def test_what_was_known_before_a_restart_is_wanted_until_its_config_map_says_otherwise() -> None:
    fleet = Fleet()
    one, two = claim("a", "acme"), claim("b", "beta")
    fleet.restore([one, two], [])
    assert fleet.desired().wanted == {"acme": one.wanted, "beta": two.wanted}
    newer = claim("a", "acme", version="2")
    put(fleet, newer)
    assert fleet.desired().wanted == {"acme": newer.wanted, "beta": two.wanted}
    fleet.refused(two.config_map, "uid", "1", Refusal(REFUSED, "beta"))
    assert fleet.desired().wanted["beta"] == two.wanted


def test_a_later_sign_of_life_counts_from_then_on() -> None:
    fleet = Fleet()
    one = claim("a", "acme")
    put(fleet, one)
    fleet.alive(one, "2026-02-02T00:00:00Z")
    entry = fleet.entries[one.config_map]
    assert entry.claim is not None
    assert entry.claim.since == "2026-02-02T00:00:00Z"
    fleet.vanished(one.config_map, one.config_map)
    assert fleet.leftovers["acme"].since == "2026-02-02T00:00:00Z"
    assert not fleet.give_up(one)
    assert fleet.give_up(fleet.leftovers["acme"])


OWNERS, NAMES = ("a", "b", "c"), ("x", "y")


def _event(owner: str, name: str, kind: str, born: int) -> Callable[[Fleet], None]:
    one = claim(owner, name, born=f"2026-01-01T00:00:0{born}Z")

    def happen(fleet: Fleet) -> None:
        if kind == "verified":
            put(fleet, one)
        elif kind == "refused":
            fleet.refused(one.config_map, one.config_map, "9", Refusal(REFUSED, name))
        elif kind == "vanished":
            fleet.vanished(one.config_map, one.config_map)
        else:
            fleet.listed(frozenset({one.config_map}))

    return happen


EVENTS = st.builds(
    _event,
    st.sampled_from(OWNERS),
    st.sampled_from(NAMES),
    st.sampled_from(["verified", "refused", "vanished", "listed"]),
    st.integers(0, 3),
)


@given(st.lists(EVENTS, max_size=30))
def test_whatever_happens_to_config_maps_no_gateway_goes_without_evidence(
    events: list[Callable[[Fleet], None]],
) -> None:
    fleet = Fleet()
    seen: set[str] = set()
    for event in events:
        event(fleet)
        seen |= {e.claim.name for e in fleet.entries.values() if e.claim is not None}
        desired = fleet.desired()
        assert desired.wanted.keys() == seen
        assert desired.gone == frozenset()
        assert desired.files.keys() == {w.path for w in desired.wanted.values()}
        assert all(desired.files[w.path] == w.revision.encode() for w in desired.wanted.values())


@given(st.lists(EVENTS, max_size=30), st.lists(st.booleans(), max_size=30))
def test_what_is_wanted_follows_from_what_is_there_whatever_the_order_was(
    events: list[Callable[[Fleet], None]], evidence: list[bool]
) -> None:
    fleet = Fleet()
    for event, gives_up in itertools.zip_longest(events, evidence):
        if event is not None:
            event(fleet)
        if gives_up:
            for one in list(fleet.leftovers.values()):
                assert fleet.give_up(one)
    claims = [e.claim for e in fleet.entries.values() if e.claim is not None]
    expected = {one.name: one for one in fleet.leftovers.values()}
    for one in sorted(claims, key=lambda c: (c.born, c.config_map), reverse=True):
        expected[one.name] = one
    assert fleet.desired().wanted == {name: one.wanted for name, one in expected.items()}
    assert not fleet.desired().gone & expected.keys()
    assert not fleet.leftovers.keys() & {one.name for one in claims}
