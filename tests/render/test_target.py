"""target.json: one value gives one text, and no other text is read, whoever wrote it."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sipgateway.api.gateway import Gateway
from sipgateway.api.spec import DirectoryUser
from sipgateway.render.revision import revision
from sipgateway.render.target import PublishedTarget, TargetError, read_target, target_of
from tests.render.fleets import GATEWAY, KEYS, publishable

REVISION = "1-0123abcd-" + "0" * 32
PLAIN = PublishedTarget("acme", "external", None, True, REVISION)
DIRECTORY = PublishedTarget("Acme_1", "internal", DirectoryUser("sip.example.com", "trunks"), False, REVISION)
TEXT = PLAIN.to_json()


def refused(text: str) -> str:
    with pytest.raises(TargetError) as refusal:
        read_target(text)
    return str(refusal.value)


def test_the_text_is_canonical_json() -> None:
    assert (
        '{"directory":null,"gateway":"acme","profile":"external","registers":true,'
        f'"revision":"1-0123abcd-{"0" * 32}"}}'
    ) == TEXT
    assert '"directory":{"domain":"sip.example.com","user":"trunks"}' in DIRECTORY.to_json()


@given(publishable())
def test_a_gateways_target_reads_back(gateway: Gateway) -> None:
    target = target_of(gateway, revision(gateway, KEYS.revision))
    assert read_target(target.to_json()) == target
    assert (target.gateway, target.target, target.registers) == (gateway.name, gateway.target, gateway.registers)


@pytest.mark.parametrize("target", [PLAIN, DIRECTORY], ids=["profile", "directory"])
@pytest.mark.parametrize("style", [{"indent": 1}, {"sort_keys": False}, {"separators": (", ", ": ")}], ids=str)
def test_the_same_value_in_another_style_is_refused(target: PublishedTarget, style: dict[str, object]) -> None:
    value = dict(reversed(json.loads(target.to_json()).items()))
    assert refused(json.dumps(value, **{"separators": (",", ":")} | style)) == "the way it is written"  # type: ignore[arg-type]


def test_a_field_that_stands_twice_is_refused() -> None:
    assert refused(TEXT.replace('"gateway"', '"gateway":"other","gateway"')) == "the way it is written"


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ('"acme"', '"all"', "the gateway's name"),
        ('"acme"', '"ac me"', "the gateway's name"),
        ('"acme"', '"acme\\n\\napi shutdown"', "the gateway's name"),
        ('"acme"', '""', "the gateway's name"),
        ('"acme"', '"\\ud800"', "the gateway's name"),
        ('"acme"', f'"{"a" * 256}"', "the gateway's name"),
        ('"acme"', "1", "a field's type"),
        ('"external"', '"a b"', "the profile's name"),
        ('"external"', '"../x"', "the profile's name"),
        ('"external"', f'"{"a" * 65}"', "the profile's name"),
        ('"external"', "null", "a field's type"),
        ("true", '"true"', "a field's type"),
        ("true", "1", "a field's type"),
        ("null", "[]", "the directory"),
        ("null", '{"domain":"a.example.com"}', "the directory"),
        ("null", '{"domain":"a.example.com","user":1}', "a field's type"),
        ("null", '{"domain":"../..","user":"u"}', "the directory's user"),
        ("null", '{"domain":"a.example.com","user":"../u"}', "the directory's user"),
        ("null", '{"domain":"a.example.com","user":"u","x":1}', "the directory"),
        (REVISION, "", "the revision"),
        (REVISION, "1-0123abcd", "the revision"),
        ("}", ',"x":1}', "the fields"),
        ('"profile":"external",', "", "the fields"),
        ("true", "NaN", "a field's type"),
        ("true", "9" * 5000, "the size"),
        ("true", "9" * 1900, "a field's type"),
        ("null", "[" * 1900, "the JSON"),
        ("}", "", "the JSON"),
    ],
    ids=range(28),
)
def test_what_no_version_writes_is_refused(old: str, new: str, why: str) -> None:
    assert old in TEXT
    assert refused(TEXT.replace(old, new, 1)) == why


@pytest.mark.parametrize("text", ["", "null", "[]", '"x"', "1", "\0", "\ud800", "{}", TEXT + " ", "\ufeff" + TEXT])
def test_what_is_no_target_at_all_is_refused(text: str) -> None:
    refused(text)


@given(st.integers(0, len(TEXT) - 1), st.characters())
def test_one_changed_character_is_refused_or_another_value(position: int, character: str) -> None:
    text = TEXT[:position] + character + TEXT[position + 1 :]
    try:
        found = read_target(text)
    except TargetError:
        return
    assert found.to_json() == text


def test_a_name_that_cannot_stand_in_a_command_has_no_target() -> None:
    with pytest.raises(TargetError, match="the gateway's name"):
        target_of(Gateway("a b", GATEWAY.target, ()), REVISION)
