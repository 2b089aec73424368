"""The exchange of a seal key: the step that is due in every state, and no order of events that loses a value."""

from __future__ import annotations

import hashlib
import itertools

import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from sipgateway.reconcile.rotation import Activate, AddKey, Done, DropKeys, Reseal, Step, WaitForPods, carried_out, due
from sipgateway.render.keys import FleetKeys
from tests.profiles import thorough

_NUMBERS = itertools.count()


def random(size: int) -> bytes:
    """TEST KEYS: everybody can compute them."""
    return hashlib.shake_256(f"sipgateway TEST KEY rotation {next(_NUMBERS)}".encode()).digest(size)


ONE = FleetKeys.generate(random)
ANNOUNCED = ONE.with_new_seal(random)
OLD, NEW = ONE.active, ANNOUNCED.following or ""
ACTIVE = ANNOUNCED.activated(NEW)
ALONE = ACTIVE.without(OLD)
LOST = "00000000"

TABLE: dict[str, tuple[FleetKeys, dict[str, set[str]], dict[str, set[str]], bool, Step]] = {
    "nothing is wanted": (ONE, {"a": {OLD}}, {"p": {OLD}}, False, Done(OLD)),
    "an exchange is wanted": (ONE, {"a": {OLD}}, {"p": {OLD}}, True, AddKey()),
    "an exchange is wanted of an empty fleet": (ONE, {}, {}, True, AddKey()),
    "an agent has not read the Secret at all": (ONE, {"a": {OLD}}, {"p": set()}, True, AddKey()),
    "announced": (ANNOUNCED, {"a": {OLD}}, {"q": {OLD}, "p": {OLD}}, False, WaitForPods(NEW, ("p", "q"))),
    "announced, wanted again": (ANNOUNCED, {"a": {OLD}}, {"p": {OLD}}, True, WaitForPods(NEW, ("p",))),
    "announced, one pod is behind": (ANNOUNCED, {}, {"p": {OLD, NEW}, "q": {OLD}}, False, WaitForPods(NEW, ("q",))),
    "announced, all hold it": (ANNOUNCED, {"a": {OLD}}, {"p": {OLD, NEW}, "q": {OLD, NEW}}, False, Activate(NEW)),
    "announced, no pods": (ANNOUNCED, {"a": {OLD}}, {}, False, Activate(NEW)),
    "active": (ACTIVE, {"b": {OLD}, "a": {OLD}, "c": {NEW}}, {"p": {OLD, NEW}}, False, Reseal(NEW, ("a", "b"))),
    "active, half sealed anew": (ACTIVE, {"a": {OLD, NEW}, "c": set()}, {"p": {OLD, NEW}}, True, Reseal(NEW, ("a",))),
    "active, a pod lost it": (ACTIVE, {"a": {NEW}}, {"p": {OLD}}, False, WaitForPods(NEW, ("p",))),
    "active, all sealed anew": (ACTIVE, {"a": {NEW}, "c": set()}, {"p": {OLD, NEW}}, False, DropKeys((OLD,))),
    "active, wanted again": (ACTIVE, {"a": {NEW}}, {"p": {OLD, NEW}}, True, DropKeys((OLD,))),
    "alone": (ALONE, {"a": {NEW}}, {"p": {OLD, NEW}}, False, Done(NEW)),
    "alone, wanted again": (ALONE, {"a": {NEW}}, {"p": {NEW}}, True, AddKey()),
    "a key was lost": (ALONE, {"a": {LOST}, "b": {NEW}}, {"p": {NEW}}, True, Reseal(NEW, ("a",))),
}


@pytest.mark.parametrize("case", TABLE)
def test_the_step_that_is_due(case: str) -> None:
    keys, sealed, agents, start, step = TABLE[case]
    assert due(keys, sealed, agents, start=start) == step


def test_several_old_keys_go_together() -> None:
    again = ACTIVE.with_new_seal(random)
    newest = again.activated(again.following or "")
    step = due(newest, {}, {})
    assert step == DropKeys(tuple(sorted([OLD, NEW])))
    assert carried_out(step, newest, random).ids == (newest.active,)


def test_steps_are_said_in_words() -> None:
    pods = tuple(f"pod-{n}" for n in range(7))
    assert [str(step) for step in (AddKey(), Activate("k"), DropKeys(("k",)), DropKeys(("j", "k")), Done("k"))] == [
        "Add a new seal key.",
        "Activate seal key k.",
        "Drop seal key k.",
        "Drop seal keys j, k.",
        "Nothing to do: everything is sealed with key k.",
    ]
    assert str(WaitForPods("k", pods[:1])) == "Wait for pod pod-0 to read seal key k."
    assert str(WaitForPods("k", pods)) == (
        "Wait for 7 pods (pod-0, pod-1, pod-2, pod-3, pod-4 and 2 more) to read seal key k."
    )
    assert str(Reseal("k", ("a", "b"))) == "Wait for the operator to seal ConfigMaps a, b with key k."


def test_waiting_changes_no_key() -> None:
    for step in (WaitForPods(NEW, ("p",)), Reseal(NEW, ("a",)), Done(NEW)):
        assert carried_out(step, ACTIVE, random) == ACTIVE


ACTORS = st.sampled_from(
    ["rotate", "agent p", "agent q", "pod q restarts", "operator reads", "operator writes a", "operator writes b"]
)


@thorough
@given(st.lists(ACTORS, max_size=60))
def test_in_no_order_of_events_is_a_value_sealed_with_a_key_that_an_agent_lacks(actors: list[str]) -> None:
    """Agents and operator act on what stood in the Secret when they read it last."""
    keys = seen = FleetKeys.generate(random)
    first = keys.active
    sealed = {"a": {first}, "b": {first}}
    agents: dict[str, set[str]] = {"p": {first}, "q": {first}}
    start = True
    ending = ["rotate", "agent p", "agent q", "operator reads", "operator writes a", "operator writes b"] * 6
    for actor in (*actors, *ending):
        who, what = actor.partition(" ")[0], actor[-1]
        if who == "rotate":
            step = due(keys, sealed, agents, start=start)
            start = start and step != AddKey()
            keys = carried_out(step, keys, random)
            event(type(step).__name__)
        elif actor == "operator reads":
            seen = keys
        elif who == "operator":
            sealed[what] = {seen.active}
        else:
            agents["q" if who == "pod" else what] = set(keys.ids)
        used = set().union(*sealed.values())
        assert used <= set(keys.ids)
        assert all(used <= held for held in agents.values())
    assert keys.active != first
    assert due(keys, sealed, agents) == Done(keys.active)
