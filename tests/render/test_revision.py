"""The revision: the same for the same meaning, another for any other, and telling nothing."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from sipgateway.api.gateway import Gateway, Parameter, Target
from sipgateway.api.spec import DirectoryUser, Subscription, Variable
from sipgateway.render.revision import RevisionKey, canonical, key_id_of, revision
from tests.canary import Canary
from tests.render.gateways import ANY_TEXT, KEY, gateways

PLAIN = Gateway("acme", Target("external"), (Parameter("realm", "a"), Parameter("proxy", "b")))

#: Gateways that are easily taken for one another.
NEIGHBOURS = (
    PLAIN,
    replace(PLAIN, name="acme "),
    replace(PLAIN, target=Target("internal")),
    replace(PLAIN, target=Target("external", DirectoryUser("d", "u"))),
    replace(PLAIN, target=Target("external", DirectoryUser("u", "d"))),
    replace(PLAIN, target=Target("external", DirectoryUser("", ""))),
    replace(PLAIN, parameters=()),
    replace(PLAIN, parameters=(Parameter("realm", "b"), Parameter("proxy", "a"))),
    replace(PLAIN, parameters=(Parameter("realm", "a"),)),
    replace(PLAIN, parameters=(Parameter("realm", 'a"],["proxy","b'),)),
    replace(PLAIN, parameters=(*PLAIN.parameters, Parameter("realm", "c"))),
    replace(PLAIN, parameters=(Parameter("realm", "c"), *PLAIN.parameters)),
    replace(PLAIN, variables=(Variable("realm", "a"),)),
    replace(PLAIN, variables=(Variable("realm", "a", "inbound"),)),
    replace(PLAIN, variables=(Variable("realm", "a", "outbound"),)),
    replace(PLAIN, variables=(Variable("x", "1"), Variable("y", "2"))),
    replace(PLAIN, variables=(Variable("y", "2"), Variable("x", "1"))),
    replace(PLAIN, subscriptions=(Subscription("e"),)),
    replace(PLAIN, subscriptions=(Subscription("e", 600),)),
    replace(PLAIN, subscriptions=(Subscription("e", None, 600),)),
    replace(PLAIN, subscriptions=(Subscription("e", content_type="600"),)),
    replace(PLAIN, subscriptions=(Subscription("e", content_type=""),)),
    replace(PLAIN, subscriptions=(Subscription("e", username_in_request=True),)),
    replace(PLAIN, subscriptions=(Subscription("e", username_in_request=False),)),
    replace(PLAIN, variables=(Variable("v", "\U0001f600"),)),
    replace(PLAIN, variables=(Variable("v", "\ud83d\ude00"),)),
    replace(PLAIN, variables=(Variable("v", "\\ud83d\\ude00"),)),
    replace(PLAIN, variables=(Variable("v", "é"),)),
    replace(PLAIN, variables=(Variable("v", "e\u0301"),)),
)


def meaning(gateway: Gateway) -> tuple[object, ...]:
    """What two gateways must share to be the same: the order of params counts for equal names only."""
    parameters: dict[str, tuple[str, ...]] = {}
    for parameter in gateway.parameters:
        parameters[parameter.name] = (*parameters.get(parameter.name, ()), parameter.value)
    return gateway.name, gateway.target, parameters, gateway.variables, gateway.subscriptions


def test_neighbours_are_told_apart() -> None:
    assert len({canonical(gateway) for gateway in NEIGHBOURS}) == len(NEIGHBOURS)
    assert len({revision(gateway, KEY) for gateway in NEIGHBOURS}) == len(NEIGHBOURS)


@given(gateways(ANY_TEXT), gateways(ANY_TEXT))
def test_two_gateways_share_their_encoding_only_if_they_mean_the_same(one: Gateway, other: Gateway) -> None:
    assert (canonical(one) == canonical(other)) == (meaning(one) == meaning(other))


SHORT = st.sampled_from(["", "a", "b", '"', ",", "[", '","', "null"])


@given(gateways(SHORT), gateways(SHORT))
def test_nor_do_gateways_of_the_texts_that_the_encoding_itself_is_made_of(one: Gateway, other: Gateway) -> None:
    assert (canonical(one) == canonical(other)) == (meaning(one) == meaning(other))


@given(gateways(), st.randoms(use_true_random=False))
def test_the_order_of_the_table_does_not_matter(gateway: Gateway, random: object) -> None:
    parameters = list({p.name: p for p in gateway.parameters}.values())
    one = replace(gateway, parameters=tuple(parameters))
    random.shuffle(parameters)  # type: ignore[attr-defined]
    assert revision(one, KEY) == revision(replace(gateway, parameters=tuple(parameters)), KEY)


def test_a_changed_secret_is_another_revision_and_marking_it_secret_is_not() -> None:
    def with_password(value: str, *, secret: bool) -> str:
        return revision(replace(PLAIN, parameters=(Parameter("password", value, secret),)), KEY)

    assert with_password("a", secret=True) != with_password("b", secret=True)
    assert with_password("a", secret=True) == with_password("a", secret=False)


def test_a_revision_of_an_earlier_release_is_still_the_same() -> None:
    """If this fails, an update of sipgateway would replace every gateway of every switch: do not regenerate, mend."""
    gateway = Gateway(
        "acme",
        Target("external", DirectoryUser("pbx.example.org", "1000")),
        (Parameter("username", "é"), Parameter("password", "s3cret", secret=True)),
        (Variable("v", "1", "inbound"),),
        (Subscription("e", 600, 30, "t", True),),
    )
    assert canonical(gateway).decode() == (
        '["sipgateway/1","acme","external",["pbx.example.org","1000"],[["password","s3cret"],["username","é"]],'
        '[["v","1","inbound"]],[["e",600,30,"t",true]]]'
    )
    assert revision(gateway, KEY) == "1-fac0670c-061db491262f4519582c2ebc4cf44f21"


@given(gateways(ANY_TEXT))
def test_a_revision_has_its_format_and_names_its_key(gateway: Gateway) -> None:
    mark = revision(gateway, KEY)
    assert re.fullmatch(r"1-[0-9a-f]{8}-[0-9a-f]{32}", mark)
    assert key_id_of(mark) == KEY.key_id


@given(st.binary(min_size=32, max_size=64), st.binary(min_size=32, max_size=64))
def test_another_key_gives_another_id_and_other_revisions(one: bytes, other: bytes) -> None:
    assume(one.rstrip(b"\0") != other.rstrip(b"\0"))  # HMAC pads short keys with NULs
    assert RevisionKey(one).key_id != RevisionKey(other).key_id
    assert revision(PLAIN, RevisionKey(one)).split("-")[2] != revision(PLAIN, RevisionKey(other)).split("-")[2]


@pytest.mark.parametrize(
    "text",
    [
        *("", "1", "1-fac0670c", "1-fac0670c-" + "0" * 31, "1-fac0670c-" + "0" * 33, "2-fac0670c-" + "0" * 32),
        *("1-FAC0670C-" + "0" * 32, " 1-fac0670c-" + "0" * 32, "1-fac0670c-" + "0" * 32 + "\n"),
        "1-fac0670c-" + "\N{ARABIC-INDIC DIGIT ZERO}" * 32,
    ],
)
def test_what_is_no_revision_names_no_key(text: str) -> None:
    assert key_id_of(text) is None


def test_neither_key_nor_password_shows_in_a_repr_or_an_error(canary: Canary) -> None:
    key = RevisionKey(canary.password.ljust(32, "x").encode())
    gateway = replace(PLAIN, parameters=(Parameter("password", canary.password, secret=True),))
    canary.assert_absent(repr(key), repr(gateway), revision(gateway, key), key.key_id)
    with pytest.raises(ValueError, match="at least 32 bytes") as refusal:
        RevisionKey(canary.password.encode()[:31])
    assert canary.password[:31] not in str(refusal.value)
