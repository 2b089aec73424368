"""The grammars: against the standard library where it knows better, and against their own schema form."""

from __future__ import annotations

import ipaddress

import pytest
import re2  # type: ignore[import-untyped]
from hypothesis import example, given
from hypothesis import strategies as st

from sipgateway.api import grammar
from sipgateway.api.grammar import violation
from sipgateway.api.params import Grammar
from tests.api import strategies
from tests.profiles import thorough


def is_address(text: str, kind: type[ipaddress.IPv4Address | ipaddress.IPv6Address]) -> bool:
    """Whether the standard library reads an address."""
    try:
        kind(text)
    except ValueError:
        return False
    return True


@thorough
@given(st.lists(st.sampled_from(["::", ":", ":", "0", "1", "fff", "ABCD", "12345", "g"]), max_size=16).map("".join))
@example("1:2:3:4:5:6:7:8")
@example("1:2:3:4:5:6:7::")
@example("::2:3:4:5:6:7:8")
@example("1::3:4:5:6:7:8")
def test_an_ipv6_address_is_one_that_the_standard_library_reads(text: str) -> None:
    if ":" in text:
        assert (violation(Grammar.HOST, text) is None) == is_address(text, ipaddress.IPv6Address)
        assert (violation(Grammar.HOST_PORT, f"[{text}]") is None) == is_address(text, ipaddress.IPv6Address)


@thorough
@given(st.lists(st.sampled_from(["0", "1", "9", "25", "255", "256", "01", ".", "."]), max_size=9).map("".join))
def test_a_text_of_digits_and_dots_is_a_host_only_as_an_ipv4_address(text: str) -> None:
    assert (violation(Grammar.HOST, text) is None) == is_address(text, ipaddress.IPv4Address)


@given(st.integers(-1, 70_000))
@example(0)
@example(1)
@example(65_535)
@example(65_536)
def test_a_port_is_from_1_to_65535(port: int) -> None:
    assert (violation(Grammar.HOST_PORT, f"a:{port}") is None) == (1 <= port <= 65_535)


@thorough
@given(st.sampled_from(Grammar), strategies.dirty)
@example(Grammar.TEXT, "a\ufffe")
@example(Grammar.URI_PARAMS, ";a")
def test_the_schemas_pattern_refuses_no_text_that_python_accepts(kind: Grammar, text: str) -> None:
    matches = re2.fullmatch(grammar.pattern(kind), text) is not None
    assert matches == (grammar.python_pattern(grammar.pattern(kind)).fullmatch(text) is not None)
    if violation(kind, text) is None:
        assert matches


@given(strategies.any_text)
def test_every_text_is_judged_by_every_grammar_without_an_exception(text: str) -> None:
    for kind in Grammar:
        wrong = violation(kind, text)
        assert wrong is None or (wrong and wrong[-1] != ".")


@thorough
@given(
    st.sampled_from(Grammar),
    st.text(max_size=10),
    st.sampled_from("\r\n\0\x1b\x7f\x85\ufffe\ud800"),
    st.text(max_size=10),
)
def test_no_grammar_lets_a_control_character_pass(kind: Grammar, before: str, control: str, after: str) -> None:
    assert violation(kind, before + control + after) is not None


@pytest.mark.parametrize("kind", Grammar)
def test_an_empty_text_is_never_right(kind: Grammar) -> None:
    assert violation(kind, "") == "it is empty"


@pytest.mark.parametrize("character", ":\"\\'")
def test_a_password_is_never_quoted_in_what_is_said_of_it(character: str) -> None:
    wrong = violation(Grammar.SECRET, f"hunter{character}2")
    assert (wrong is None) == (character != ":")
    assert wrong is None or "hunter" not in wrong


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (Grammar.HOST, "carrier.example.com"),
        (Grammar.HOST, "carrier.example.com."),
        (Grammar.HOST, "a" * 63 + ".example"),
        (Grammar.HOST, "xn--mnchen-3ya.example"),
        (Grammar.PROXY, "carrier.example.com:5061;transport=tls"),
        (Grammar.HOST_OR_URI, "sips:carrier.example.com"),
        (Grammar.URI_PARAMS, "tgrp=TG01;trunk-context=+1-555-0100.example.com"),
        (Grammar.USER, "+1-555-0100"),
        (Grammar.AUTH_USER, "acme/pbx"),
        (Grammar.AUTH_USER, "Jürgen Müller"),
        (Grammar.REALM, "The Carrier: SIP (east)"),
        (Grammar.SECRET, 'p@ss "word" \\ <&> ${x} ü 📞'),
        (Grammar.TEXT, "from carrier"),
    ],
)
def test_what_carriers_really_use_is_right(kind: Grammar, text: str) -> None:
    assert violation(kind, text) is None


@pytest.mark.parametrize(
    ("kind", "text", "said"),
    [
        (Grammar.USER, "a b", "U+0020"),
        (Grammar.USER, "a@b", '"@"'),
        (Grammar.HOST, "a" * 64, "host name"),
        (Grammar.HOST, "-a.example", "host name"),
        (Grammar.HOST, "münchen.example", "host name"),
        (Grammar.PROXY, "a;transport=tcp;transport=udp", "twice"),
        (Grammar.PROXY, "a;TAG=1", "TAG"),
        (Grammar.PROXY, "a;transport=ws", "transport"),
        (Grammar.HOST_OR_URI, "sip:user@a", "without a user"),
        (Grammar.URI_PARAMS, "a;Gw=1", "Gw"),
        (Grammar.TEXT, "a\x00", "U+0000"),
        (Grammar.TEXT, "a\ud800", "U+D800"),
    ],
)
def test_what_is_wrong_is_named(kind: Grammar, text: str, said: str) -> None:
    wrong = violation(kind, text)
    assert wrong is not None
    assert said in wrong


def test_uri_parameters_are_read_from_behind_the_first_semicolon() -> None:
    assert grammar.uri_parameters("a:1;LR;Transport=TCP") == (("lr", None), ("transport", "tcp"))
    assert grammar.transport_of("a:1;Transport=TCP") == "tcp"
    assert grammar.transport_of("a:1;transport") is None
    assert grammar.transport_of("transport=tcp") is None
