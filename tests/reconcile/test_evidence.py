"""Evidence as lines of a note: what goes in comes out, what counts, and whose word it is."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from sipgateway.reconcile.evidence import Evidence, NotReady, Verdict, is_signed_by, latest, parse, signed

GOOD = Evidence(
    environment="staging",
    commit="a" * 40,
    tree="b" * 40,
    verdict=Verdict.GOOD,
    judged_at=200,
    applied_at=100,
    ready_since=150,
    gateways=3,
    ready=3,
    deleted=("old",),
    version="0.1.0",
)
BAD = replace(
    GOOD,
    verdict=Verdict.BAD,
    judged_at=300,
    ready_since=0,
    ready=2,
    not_ready=(NotReady("acme", "CredentialsRefused"),),
)

_times = st.integers(0, 2**40)
_evidence = st.builds(
    Evidence,
    environment=st.text(),
    commit=st.text(),
    tree=st.text(),
    verdict=st.sampled_from(Verdict),
    judged_at=_times,
    applied_at=_times,
    ready_since=_times,
    gateways=st.integers(0, 10**6),
    ready=st.integers(0, 10**6),
    not_ready=st.lists(st.builds(NotReady, st.text(), st.text(), st.text()), max_size=4).map(tuple),
    deleted=st.lists(st.text(), max_size=4).map(tuple),
    version=st.text(),
)


@given(_evidence)
def test_a_line_holds_everything_and_is_one_line(one: Evidence) -> None:
    assert one.line.isascii()
    assert len(one.line.splitlines()) == 1
    assert parse(one.line) == (one,)


@given(st.lists(_evidence, max_size=4), st.text())
def test_nothing_that_stands_between_lines_hides_one(some: list[Evidence], noise: str) -> None:
    text = "\n".join([noise, *(one.line for one in some), noise, '{"format": 2}', "[]", "{", '{"format":1}'])
    assert sorted(one.line for one in parse(text)) == sorted(one.line for one in some)


def test_of_several_updates_the_youngest_counts_in_whatever_order_they_stand() -> None:
    later = replace(BAD, judged_at=400, verdict=Verdict.GOOD, not_ready=(), ready=3, ready_since=390)
    for order in itertools.permutations([GOOD, BAD, later]):
        assert latest(parse("\n".join(one.line for one in order)), "staging", GOOD.tree, None) == later


@pytest.mark.parametrize(("environment", "tree"), [("production", GOOD.tree), ("staging", "c" * 40)])
def test_evidence_of_another_environment_or_content_says_nothing(environment: str, tree: str) -> None:
    assert latest([GOOD], environment, tree, None) is None


def test_where_keys_are_set_only_their_word_counts() -> None:
    writer, stranger = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
    trusted = [writer.public_key()]
    forged = replace(GOOD, judged_at=900)
    own, others = signed(BAD, writer), signed(replace(GOOD, judged_at=901), stranger)
    assert latest([own, forged, others], "staging", GOOD.tree, trusted) == own
    assert latest([forged, others], "staging", GOOD.tree, trusted) is None
    assert latest([own, forged], "staging", GOOD.tree, []) is None


@pytest.mark.parametrize(
    "change",
    [
        {"environment": "production"},
        {"commit": "c" * 40},
        {"tree": "c" * 40},
        {"verdict": Verdict.GOOD},
        {"judged_at": 301},
        {"applied_at": 101},
        {"ready_since": 1},
        {"gateways": 2},
        {"ready": 3},
        {"not_ready": ()},
        {"deleted": ()},
        {"version": "0.1.1"},
        {"signature": "bm9uZQ=="},
        {"signature": "\u00fc"},
        {"signature": ""},
    ],
    ids=str,
)
def test_a_signature_holds_for_every_field(change: dict[str, object]) -> None:
    key = Ed25519PrivateKey.generate()
    own = signed(BAD, key)
    assert is_signed_by(own, [key.public_key()])
    assert parse(own.line) == (own,)
    assert not is_signed_by(replace(own, **change), [key.public_key()])  # type: ignore[arg-type] # of any field


@pytest.mark.parametrize(
    "broken",
    [
        {"format": 2},
        {"verdict": "Splendid"},
        {"judged_at": "now"},
        {"judged_at": True},
        {"commit": None},
        {"not_ready": [{}]},
        {"not_ready": 3},
        {"environment": 7},
    ],
)
def test_a_line_that_is_not_understood_is_no_evidence(broken: dict[str, object]) -> None:
    assert parse(json.dumps(json.loads(GOOD.line) | broken)) == ()


def test_what_a_line_says_more_is_left_out() -> None:
    [found] = parse(json.dumps(json.loads(GOOD.line) | {"weather": "fine"}))
    assert found == GOOD


def test_a_line_without_end_is_not_read() -> None:
    assert parse(GOOD.line[:-1] + " " * 70000 + "}") == ()


def test_the_signature_does_not_show_in_repr() -> None:
    own = signed(GOOD, Ed25519PrivateKey.generate())
    assert own.signature not in repr(own)
