"""Who owns a gateway name: the oldest, whatever the order in which they are listed."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from sipgateway.api.conflicts import losers, lost_to
from sipgateway.api.spec import SipGateway, Spec


def one(name: str, created: str = "", *, namespace: str = "voice", gateway: str = "acme", **spec: object) -> SipGateway:
    return SipGateway(namespace, name, Spec(gateway_name=gateway, **spec), created=created)  # type: ignore[arg-type]


OLD, NEW = "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"


def test_the_oldest_has_the_name_and_the_others_say_whom_they_lost_to() -> None:
    a, b, c = one("a", NEW), one("b", OLD), one("c", NEW)
    assert losers([a, b, c]) == {("voice", "a"): b, ("voice", "c"): b}


def test_a_tie_goes_by_namespace_and_name() -> None:
    a, b = one("a", OLD), one("b", OLD)
    assert losers([b, a]) == {("voice", "b"): a}


def test_of_a_tie_the_one_that_has_the_name_keeps_it() -> None:
    a, b, c = one("a", OLD), one("b", OLD), one("c", NEW)
    assert losers([a, b, c], holds=lambda g: g.name in {"b", "c"}) == {("voice", "a"): b, ("voice", "c"): b}
    assert "which has it" in lost_to(a, b).message
    assert "which is older" in lost_to(c, b).message


def test_the_object_name_counts_when_there_is_no_gateway_name() -> None:
    plain = SipGateway("voice", "acme", Spec(), created=NEW)
    assert losers([plain, one("b", OLD)]) == {("voice", "acme"): one("b", OLD)}


def test_names_are_case_sensitive() -> None:
    assert losers([one("a", gateway="Acme"), one("b", gateway="acme")]) == {}


def test_another_profile_or_the_directory_is_no_excuse() -> None:
    a, b = one("a", OLD, profile="internal"), one("b", NEW, profile="external")
    assert losers([a, b]) == {("voice", "b"): a}


def test_another_switch_or_namespace_has_names_of_its_own() -> None:
    assert losers([one("a"), one("b", switch="frankfurt"), one("c", namespace="other")]) == {}


def test_one_switch_that_loads_everything_has_one_set_of_names() -> None:
    a, b = one("a", OLD), one("c", NEW, namespace="other", switch="frankfurt")
    assert losers([a, b], fleet=lambda _: None) == {("other", "c"): a}


def test_a_suspended_one_does_not_compete() -> None:
    a, b, c = one("a", OLD, suspend=True), one("b", NEW), one("c", "2026-01-03T00:00:00Z")
    assert losers([a, b, c]) == {("voice", "c"): b}


def test_what_is_said_names_the_winner_and_what_to_do() -> None:
    finding = lost_to(one("b", NEW), one("a", OLD))
    assert (finding.code, finding.field) == ("GatewayNameTaken", "spec.gatewayName")
    assert "voice/a" in finding.message
    assert "voice/a" in finding.action
    assert lost_to(SipGateway("voice", "b", Spec()), one("a")).field == "metadata.name"


_objects = st.builds(
    one,
    st.sampled_from("abcdefgh"),
    st.sampled_from(["", OLD, NEW]),
    namespace=st.sampled_from(["voice", "other"]),
    gateway=st.sampled_from(["acme", "bell"]),
    switch=st.sampled_from(["default", "frankfurt"]),
    suspend=st.booleans(),
)


@given(st.lists(_objects, max_size=10, unique_by=lambda g: (g.namespace, g.name)), st.randoms(use_true_random=False))
def test_each_name_has_one_owner_in_any_order(gateways: list[SipGateway], shuffle: random.Random) -> None:
    lost = losers(gateways)
    again = list(gateways)
    shuffle.shuffle(again)
    assert losers(again) == lost
    owners = [g for g in gateways if not g.spec.suspend and (g.namespace, g.name) not in lost]
    keys = [(g.namespace, g.spec.switch, g.gateway_name) for g in owners]
    assert len(set(keys)) == len(keys)
    for key, winner in lost.items():
        assert key != (winner.namespace, winner.name)
        assert winner in owners
