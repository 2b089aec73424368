"""The keys of a fleet: made from random bytes, kept in a Secret, exchanged, and never shown."""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sipgateway.errors import ExitCode
from sipgateway.render.keys import FleetKeys, KeysError, seal_key_id, secret_name
from sipgateway.render.revision import RevisionKey
from tests.canary import Canary
from tests.render.fleets import ANNOUNCED, KEYS, ROTATED, test_key


def counting() -> Callable[[int], bytes]:
    """A source of bytes that nobody has seen before, the same in each run."""
    numbers = itertools.count()
    return lambda size: test_key(f"number {next(numbers)}", size)


def refused(data: dict[str, bytes]) -> str:
    with pytest.raises(KeysError) as refusal:
        FleetKeys.from_data(data)
    assert refusal.value.exit_code is ExitCode.INPUT
    assert refusal.value.finding.code == "FleetKeysBroken"
    assert "Restore" in refusal.value.finding.action
    return str(refusal.value)


def test_the_secrets_name_is_that_of_the_fleet() -> None:
    assert secret_name("edge") == "sipgateway-edge-keys"


def test_new_keys_are_as_random_as_their_source_and_of_the_right_sizes() -> None:
    asked: list[int] = []

    def random(size: int) -> bytes:
        asked.append(size)
        return secrets.token_bytes(size)

    one, other = FleetKeys.generate(random), FleetKeys.generate(random)
    assert asked == [32, 64, 32, 64]
    assert one.active == seal_key_id(one.seals[one.active])
    assert one.ids == (one.active,)
    assert one.revision != other.revision
    assert one.active != other.active


def test_a_source_that_gives_too_little_is_not_believed() -> None:
    with pytest.raises(ValueError, match="32 random bytes were asked for, 31 came"):
        FleetKeys.generate(lambda size: bytes(size - 1))


@pytest.mark.parametrize("keys", [KEYS, ANNOUNCED, ROTATED], ids=["one", "announced", "rotated"])
def test_keys_survive_their_secret(keys: FleetKeys) -> None:
    assert FleetKeys.from_data(keys.to_data()) == keys


def test_the_secret_has_the_documented_entries() -> None:
    old, new = KEYS.active, ROTATED.active
    assert sorted(KEYS.to_data()) == sorted(["revision", "seal-active", f"seal-{old}"])
    data = ANNOUNCED.to_data()
    assert sorted(data) == sorted(["revision", "seal-active", "seal-next", f"seal-{old}", f"seal-{new}"])
    assert (data["seal-active"], data["seal-next"]) == (old.encode(), new.encode())
    assert len(data["revision"]) == 32
    assert len(data[f"seal-{new}"]) == 64


def test_the_order_of_entries_does_not_matter_and_foreign_ones_are_left_alone() -> None:
    data = {"zebra": b"x", "seal-": b"", "seal-ABCDEF01": b"", **ANNOUNCED.to_data()}
    assert FleetKeys.from_data(dict(reversed(data.items()))) == ANNOUNCED


def test_an_exchange_goes_from_announced_to_active_to_alone() -> None:
    old = KEYS.active
    announced = KEYS.with_new_seal(counting())
    new = announced.following
    assert new is not None
    assert announced.active == old
    active = announced.activated(new)
    assert (active.active, active.following, active.ids) == (new, None, tuple(sorted([old, new])))
    alone = active.without(old)
    assert (alone.active, alone.ids) == (new, (new,))
    assert alone.revision == KEYS.revision
    assert FleetKeys.from_data(alone.to_data()) == alone


def test_an_announced_key_can_be_withdrawn() -> None:
    assert ANNOUNCED.following is not None
    assert ANNOUNCED.without(ANNOUNCED.following) == KEYS


@pytest.mark.parametrize(
    ("act", "why"),
    [
        (lambda: ANNOUNCED.with_new_seal(counting()), "waiting already"),
        (lambda: KEYS.with_new_seal(lambda _: KEYS.seals[KEYS.active]), "held already"),
        (lambda: KEYS.activated("00000000"), "must be among the seal keys"),
        (lambda: KEYS.without("00000000"), "no such seal key"),
        (lambda: KEYS.without(KEYS.active), "must be among the seal keys"),
        (lambda: FleetKeys(KEYS.revision, KEYS.seals, KEYS.active, KEYS.active), "active already"),
    ],
    ids=["second new one", "held one", "activate unknown", "drop unknown", "drop active", "active one follows"],
)
def test_no_step_leaves_keys_that_contradict_themselves(act: Callable[[], object], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        act()


def test_nobody_changes_keys_behind_their_back() -> None:
    seals = dict(KEYS.seals)
    keys = FleetKeys(KEYS.revision, seals, KEYS.active)
    seals.clear()
    assert keys == KEYS
    with pytest.raises(TypeError):
        keys.seals["x"] = b""  # type: ignore[index]


@pytest.mark.parametrize("entry", ["revision", "seal-active"])
def test_a_missing_entry_is_named(entry: str) -> None:
    data = KEYS.to_data()
    del data[entry]
    assert f"data.{entry}: This entry of the fleet's keys is missing" in refused(data)


@pytest.mark.parametrize(
    ("entry", "value", "why"),
    [
        ("revision", b"", "data.revision: This entry of the fleet's keys has 0 bytes in place of 32"),
        ("revision", bytes(33), "has 33 bytes in place of 32"),
        (f"seal-{KEYS.active}", bytes(63), "has 63 bytes in place of 64"),
        (f"seal-{KEYS.active}", bytes(64), f"data.seal-{KEYS.active}: This entry of the fleet's keys is not the key"),
        ("seal-active", b"", "is not the id of a key"),
        ("seal-active", b"\xff" * 8, "is not the id of a key"),
        ("seal-active", b"00000000", "data.seal-00000000: This entry of the fleet's keys is missing, though seal-a"),
        ("seal-next", b"00000000", "data.seal-00000000: This entry of the fleet's keys is missing, though seal-next"),
        ("seal-next", b"next", "data.seal-next: This entry of the fleet's keys is not the id"),
    ],
)  # fmt: skip
def test_a_malformed_entry_is_named(entry: str, value: bytes, why: str) -> None:
    assert why in refused(KEYS.to_data() | {entry: value})


def test_a_newline_behind_an_id_that_was_written_by_hand_is_no_error() -> None:
    assert FleetKeys.from_data(KEYS.to_data() | {"seal-active": f"{KEYS.active}\n".encode()}) == KEYS


def test_an_announcement_that_was_left_behind_is_none() -> None:
    data = ROTATED.to_data() | {"seal-next": ROTATED.active.encode()}
    assert FleetKeys.from_data(data) == ROTATED


@given(st.dictionaries(st.sampled_from(["revision", "seal-active", "seal-next", *KEYS.to_data()]), st.binary()))
def test_whatever_stands_in_the_secret_it_is_read_or_refused(data: dict[str, bytes]) -> None:
    try:
        keys = FleetKeys.from_data(KEYS.to_data() | data)
    except KeysError:
        return
    assert keys.active in keys.ids


def test_ids_tell_keys_apart_and_are_not_cut_from_them() -> None:
    ids = {seal_key_id(test_key(str(n), 64)) for n in range(500)}
    assert len(ids) == 500
    assert KEYS.active not in KEYS.seals[KEYS.active].hex()
    assert seal_key_id(bytes(64)) != RevisionKey(bytes(64)).key_id


def test_no_key_shows_in_a_repr_or_in_a_refusal(canary: Canary) -> None:
    seal = canary.password.encode().ljust(64, b"s")
    revision = canary.password.encode().ljust(32, b"r")
    keys = FleetKeys(RevisionKey(revision), {seal_key_id(seal): seal}, seal_key_id(seal))
    canary.assert_absent(repr(keys), str(keys), repr(keys.ids))
    entry = f"seal-{keys.active}"
    for name, value in [
        ("revision", revision + b"x"),
        (entry, seal + b"x"),
        (entry, seal[::-1]),
        ("seal-active", seal),
    ]:
        canary.assert_absent(refused(keys.to_data() | {name: value}))
