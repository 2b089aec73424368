"""The proof: it takes what the renderer writes, and nothing that a switch would read differently."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import event, example, given
from hypothesis import strategies as st

from sipgateway.api.gateway import Gateway, Parameter, Target
from sipgateway.api.names import REVISION_VARIABLE
from sipgateway.api.spec import Subscription, Variable
from sipgateway.render.preprocessor import MAX_LINE
from sipgateway.render.proof import prove
from sipgateway.render.xml import RenderError, render, render_sealed
from tests.canary import Canary
from tests.profiles import thorough
from tests.render.gateways import HAZARDS, gateways, read_by_a_hostile_switch

GATEWAY = Gateway(
    "acme",
    Target("external"),
    (Parameter("realm", "sip.example.com"), Parameter("password", "s3cret", secret=True)),
    (Variable("v", "1", "inbound"),),
    (Subscription("presence", 600),),
)
DATA = render(GATEWAY, "r")


def refusal(gateway: Gateway, data: bytes, revision: str = "r") -> str:
    with pytest.raises(RenderError) as refused:
        prove(gateway, revision, data)
    assert refused.value.finding.code == "RenderNotProved"
    assert refused.value.finding.action
    return refused.value.finding.message


@pytest.mark.parametrize(
    ("other", "what"),
    [
        (replace(GATEWAY, name="acme2"), "the name"),
        (replace(GATEWAY, parameters=GATEWAY.parameters[:1]), "a parameter"),
        (replace(GATEWAY, parameters=GATEWAY.parameters[::-1]), "a parameter"),
        (replace(GATEWAY, variables=()), "a variable"),
        (replace(GATEWAY, variables=(Variable("v", "1"),)), "a variable"),
        (replace(GATEWAY, subscriptions=()), "a subscription"),
        (replace(GATEWAY, subscriptions=(Subscription("presence", 601),)), "a subscription"),
    ],
)
def test_another_gateways_file_is_refused(other: Gateway, what: str) -> None:
    assert f"{what} reads back changed" in refusal(other, DATA)


def test_another_revision_is_refused() -> None:
    assert "a variable reads back changed" in refusal(GATEWAY, DATA, "s")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"sip.example.com", b"sip.$${x}example.com"),
        (b"sip.example.com", b"sip.example.com$${"),
        (b'value="sip.example.com"', b'value="sip.example.com" title="X-PRE-PROCESS"'),
        (b"<include>\n", b"<include>\n<!--#set v=1-->\n"),
        (b"<include>\n", b'<include>\n<X-PRE-PROCESS cmd="exec" data="id"/>\n'),
        (b"<variables>\n", b"<variables><include>\n"),
        (b"  </gateway>\n</include>", b"  </gateway></include>"),
        (b"sip.example.com", b"sip.example.com\0"),
        (b"sip.example.com", b"sip.example.com\xff"),
        (b"  </gateway>\n", b"  </gateway>\n<gateway name='b'/>\n"),
        (b"  <gateway name", b"  <gateways><gateway name"),
        (b"  </gateway>\n", b""),
        (b'"r"', b"'r'' "),
    ],
)
def test_a_file_that_depends_on_the_switch_or_is_no_whole_gateway_is_refused(old: bytes, new: bytes) -> None:
    assert old in DATA
    assert "Nothing was changed on the switch" in refusal(GATEWAY, DATA.replace(old, new, 1))


def test_a_gateway_inside_another_element_is_refused() -> None:
    inner = DATA.replace(b"<include>\n", b"").replace(b"</include>\n", b"")
    assert "other than one gateway" in refusal(GATEWAY, b"<gateways>" + inner + b"</gateways>")


def test_the_sealed_form_is_not_what_a_switch_shall_load() -> None:
    assert "a parameter reads back changed" in refusal(GATEWAY, render_sealed(GATEWAY, "r", lambda *_: "sealed"))


def test_a_value_longer_than_the_switchs_largest_line_is_refused() -> None:
    gateway = replace(GATEWAY, variables=(Variable("v", "x" * MAX_LINE),))
    assert "the pre-processor would act" in refusal(gateway, render(gateway, "r"))
    fits = replace(GATEWAY, variables=(Variable("v", "x" * (MAX_LINE - 100)),))
    prove(fits, "r", render(fits, "r"))


def test_no_value_is_in_a_refusal(canary: Canary) -> None:
    gateway = replace(GATEWAY, parameters=(Parameter("password", canary.password, secret=True),))
    data = render(gateway, "r")
    for broken in (data[:-20], data.replace(b"acme", b"acme2"), data.replace(b"C&amp;n", b"$${x}"), data + b"<"):
        canary.assert_absent(refusal(gateway, broken))


EDITS = st.sampled_from(
    [*HAZARDS, "<param name='realm' value='x'/>", "<params/>", "<variables/>", "name", "value", "=", ""]
)


@thorough
@given(gateways(), st.integers(0), st.integers(0, 12), EDITS)
@example(GATEWAY, len(b"<include>\n  <!-- "), 0, "X-PRE-PROCESS")
@example(GATEWAY, len(b"<include>\n  "), 0, "<!--#x-->")
@example(GATEWAY, len(DATA) - len(b"\n</include>\n"), 1, "")
def test_whatever_became_of_a_file_it_is_proved_only_if_a_hostile_switch_reads_it_right(
    gateway: Gateway, start: int, length: int, edit: str
) -> None:
    data = render(gateway, "r")
    start %= len(data)
    edited = data[:start] + edit.encode() + data[start + length :]
    try:
        prove(gateway, "r", edited)
    except RenderError:
        event("refused")
        return
    event("proved")
    found = read_by_a_hostile_switch(edited)
    assert found.name == gateway.name
    assert found.params == tuple((p.name, p.value) for p in gateway.parameters)
    wanted = ((REVISION_VARIABLE, "r", "outbound"), *((v.name, v.value, v.direction) for v in gateway.variables))
    assert found.variables == wanted
    assert len(found.subscriptions) == len(gateway.subscriptions)
