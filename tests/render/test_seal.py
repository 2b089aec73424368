"""Seals: they open at their place, with their key, as they were made, and never otherwise."""

from __future__ import annotations

import base64
from dataclasses import fields, replace

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from hypothesis import assume, given
from hypothesis import strategies as st

from sipgateway.render.keys import FleetKeys
from sipgateway.render.seal import Place, SealError, seal, unseal
from tests.canary import Canary
from tests.render.fleets import ANNOUNCED, KEYS, NAME, NAMESPACE, ROTATED, SWITCH, fleet_keys, test_key

PLACE = Place(NAMESPACE, SWITCH, NAME, "acme")
SEALED = seal(KEYS, PLACE, "password", "s3cret")


def refused(sealed: str, keys: FleetKeys = KEYS, place: Place = PLACE, parameter: str = "password") -> SealError:
    with pytest.raises(SealError) as refusal:
        unseal(keys, place, parameter, sealed)
    assert refusal.value.finding.field == parameter
    assert refusal.value.finding.action
    return refusal.value


@given(st.text(st.characters()))
def test_any_value_comes_back_exactly(value: str) -> None:
    assert unseal(KEYS, PLACE, "password", seal(KEYS, PLACE, "password", value)) == value


@pytest.mark.parametrize("value", ["", "\0", "\x80", "a\0\0", "\ud800", "x" * 31, "x" * 32, "x" * 100_000])
def test_values_that_look_like_their_filling_come_back_too(value: str) -> None:
    assert unseal(KEYS, PLACE, "password", seal(KEYS, PLACE, "password", value)) == value


def test_a_seal_is_the_same_on_every_machine_and_in_every_release() -> None:
    """If this fails, an update of sipgateway would write every ConfigMap anew, or could not read the old ones."""
    key_id, text = SEALED.split(":")
    assert key_id == "da241ffa"
    assert text == "i7U+w0m7IhqgI4Fmc0wJWI6/D4VCVyvHt6qRxC+fJAZXSwHaDZVcaaH+S7kjIPfT"


def test_a_seal_is_rfc_5297_over_what_the_documentation_says() -> None:
    key_id, text = SEALED.split(":")
    bound = [b"sipgateway/seal/1", b"voice", b"default", b"sipgateway-acme", b"acme", b"password"]
    plain = AESSIV(KEYS.seals[key_id]).decrypt(base64.b64decode(text), bound)
    assert plain == b"s3cret\x80" + bytes(25)


def test_a_seals_length_tells_a_passwords_length_only_in_steps_of_32() -> None:
    lengths = [len(seal(KEYS, PLACE, "password", "x" * n)) for n in range(64)]
    assert len(set(lengths[:32])) == 1
    assert len(set(lengths[32:])) == 1
    assert lengths[0] < lengths[32]


@pytest.mark.parametrize("part", [field.name for field in fields(Place)])
def test_a_seal_does_not_open_at_another_place(part: str) -> None:
    error = refused(SEALED, place=replace(PLACE, **{part: "other"}))
    assert error.finding.code == "SealBroken"
    assert error.unknown_key is None


def test_a_seal_does_not_open_for_another_parameter() -> None:
    assert refused(SEALED, parameter="username").finding.code == "SealBroken"


def test_parts_of_a_place_cannot_be_moved_into_one_another() -> None:
    one = Place("ab", "c", "d", "e")
    sealed = seal(KEYS, one, "f", "x")
    for other, parameter in [
        (Place("a", "bc", "d", "e"), "f"), (Place("abc", "", "d", "e"), "f"), (Place("ab", "c", "de", ""), "f"),
        (Place("ab", "c", "d", "ef"), ""), (Place("ab", "d", "c", "e"), "f"),
    ]:  # fmt: skip
        assert refused(sealed, place=other, parameter=parameter).finding.code == "SealBroken"


def test_a_key_that_is_not_held_is_named_and_so_are_those_that_are() -> None:
    error = refused(SEALED, keys=fleet_keys("b"))
    assert error.finding.code == "SealKeyUnknown"
    assert error.unknown_key == KEYS.active
    assert KEYS.active in error.finding.message
    assert fleet_keys("b").active in error.finding.message


def test_another_key_under_the_same_id_does_not_open_it() -> None:
    forged = FleetKeys(KEYS.revision, {KEYS.active: test_key("another", 64)}, KEYS.active)
    assert refused(SEALED, keys=forged).finding.code == "SealBroken"


def test_an_announced_key_opens_and_does_not_seal() -> None:
    assert seal(ANNOUNCED, PLACE, "password", "s3cret") == SEALED
    with_new = seal(ROTATED, PLACE, "password", "s3cret")
    assert with_new.partition(":")[0] == ROTATED.active
    assert unseal(ANNOUNCED, PLACE, "password", with_new) == "s3cret"
    assert unseal(ROTATED, PLACE, "password", SEALED) == "s3cret"


@given(st.integers(0, len(SEALED) - 1), st.characters())
def test_a_seal_of_which_one_character_was_changed_does_not_open(position: int, character: str) -> None:
    assume(SEALED[position] != character)
    error = refused(SEALED[:position] + character + SEALED[position + 1 :])
    assert (error.finding.code == "SealKeyUnknown") == (error.unknown_key is not None)


@pytest.mark.parametrize("n", range(32))
def test_base64_with_spare_bits_is_taken_in_one_form_only(n: int) -> None:
    sealed = seal(KEYS, PLACE, "password", "x" * 40)  # 80 bytes: 4 spare bits in the last but one character
    assert sealed.endswith("=")
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    for character in {alphabet[n], alphabet[n + 32]} - {sealed[-2]}:
        refused(f"{sealed[:-2]}{character}=")


@pytest.mark.parametrize(
    "text",
    [
        *("", ":", "x", SEALED[:8], SEALED[:9], SEALED[9:], SEALED.upper(), f" {SEALED}", f"{SEALED}\n", f"{SEALED}="),
        *(SEALED[:-1], SEALED[:-4], SEALED[:9] + "AAAA", SEALED[:9] + "A" * 64, f"{SEALED}{SEALED}"),
        pytest.param(SEALED + "A" * 10**6, id="a megabyte"),
    ],
)  # fmt: skip
def test_what_is_no_seal_does_not_open(text: str) -> None:
    refused(text)


@given(st.text(max_size=80))
def test_whatever_stands_in_place_of_a_seal_is_refused(text: str) -> None:
    refused(text)
    refused(f"{KEYS.active}:{base64.b64encode(text.encode('utf-8', 'replace')).decode()}")


@pytest.mark.parametrize("plain", [b"", b"x" * 32, b"\x80" + bytes(32), b"x\x80\1", b"\xff\x80" + bytes(30)])
def test_what_the_key_holder_sealed_in_another_form_is_refused(plain: bytes) -> None:
    bound = [b"sipgateway/seal/1", *(t.encode() for t in (NAMESPACE, SWITCH, NAME, "acme", "password"))]
    sealed = AESSIV(KEYS.seals[KEYS.active]).encrypt(plain, bound) if plain else test_key("no text", 16)
    assert refused(f"{KEYS.active}:{base64.b64encode(sealed).decode()}").finding.code == "SealBroken"


def test_the_value_is_in_neither_the_seal_nor_a_refusal(canary: Canary) -> None:
    sealed = seal(KEYS, PLACE, "password", canary.password)
    canary.assert_absent(sealed, base64.b64decode(sealed[9:]))
    canary.assert_absent(str(refused(sealed, keys=fleet_keys("b"))), str(refused(sealed, parameter="username")))
    canary.assert_absent(str(refused(canary.password)), str(refused(f"{KEYS.active}:{canary.password}")))
