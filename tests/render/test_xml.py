"""The renderer: golden files per behaviour, every hazard in every place, and what XML cannot carry."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import assume, event, given
from hypothesis import strategies as st

from sipgateway.api.gateway import Gateway, Parameter, Target
from sipgateway.api.names import REVISION_VARIABLE
from sipgateway.api.spec import Subscription, Variable
from sipgateway.render.preprocessor import preprocess
from sipgateway.render.proof import prove
from sipgateway.render.readback import ReadGateway
from sipgateway.render.revision import revision
from sipgateway.render.switchxml import parse_fragment
from sipgateway.render.xml import RenderError, render, render_sealed
from tests.golden import Golden, folder_of
from tests.profiles import thorough
from tests.render.gateways import (
    ANY_TEXT,
    HAZARDS,
    KEY,
    TEXT,
    UNCARRIED,
    gateway_of,
    gateways,
    read_by_a_hostile_switch,
)

CASES = sorted(folder_of(Path(__file__)).glob("*.in.json"))

#: Every place of a gateway that takes text, and how it reads back.
PLACES: dict[str, tuple[Callable[[str], Gateway], Callable[[ReadGateway], str | None], str]] = {
    "name": (lambda t: Gateway(t, Target("p"), ()), lambda g: g.name, "metadata.name"),
    "value": (lambda t: _with(Parameter("realm", t)), lambda g: g.get("realm"), "spec.realm"),
    "secret": (
        lambda t: _with(Parameter("password", t, secret=True)),
        lambda g: g.get("password"),
        "spec.passwordFrom",
    ),
    "extra value": (lambda t: _with(Parameter("x-a", t)), lambda g: g.get("x-a"), "spec.extraParams"),
    "extra name": (lambda t: _with(Parameter(t, "v")), lambda g: g.params[0][0], "spec.extraParams"),
    "variable name": (
        lambda t: Gateway("a", Target("p"), (), (Variable(t, "v"),)),
        lambda g: g.variables[1][0],
        "spec.variables[0].name",
    ),
    "variable value": (
        lambda t: Gateway("a", Target("p"), (), (Variable("v", t),)),
        lambda g: g.variables[1][1],
        "spec.variables[0].value",
    ),
    "event": (
        lambda t: Gateway("a", Target("p"), (), (), (Subscription(t),)),
        lambda g: g.subscriptions[0].event,
        "spec.subscriptions[0].event",
    ),
    "content type": (
        lambda t: Gateway("a", Target("p"), (), (), (Subscription("e", content_type=t),)),
        lambda g: g.subscriptions[0].params[0][1],
        "spec.subscriptions[0].contentType",
    ),
}


def _with(parameter: Parameter) -> Gateway:
    return Gateway("a", Target("p"), (parameter,))


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.name.split(".")[0])
def test_a_gateway_gives_these_bytes(case: Path, golden: Golden) -> None:
    """The revision stands in them: that it changes for no release is part of the promise."""
    gateway = gateway_of(case)
    mark = revision(gateway, KEY)
    data = render(gateway, mark)
    prove(gateway, mark, data)
    golden(case.name.replace(".in.json", ".out.xml"), data)


def test_the_sealed_form_has_a_sealed_text_in_place_of_each_secret(golden: Golden) -> None:
    gateway = gateway_of(folder_of(Path(__file__)) / "registering.in.json")
    sealed = render_sealed(gateway, revision(gateway, KEY), lambda name, value: f"k1:{name}:{len(value)}")
    golden("registering.sealed.xml", sealed)


@given(gateways(), st.text("ЖЗИКЛМ", min_size=12, max_size=20))
def test_the_sealed_form_differs_from_the_file_by_the_secrets_alone(gateway: Gateway, secret: str) -> None:
    assume(secret.encode() not in render(gateway, "r"))
    parameters = (*gateway.parameters, Parameter("password", secret, secret=True))
    gateway = Gateway(gateway.name, gateway.target, parameters, gateway.variables, gateway.subscriptions)
    sealed = render_sealed(gateway, "r", lambda name, _value: f"<sealed {name}>")
    assert secret.encode() not in sealed
    emptied = tuple(Parameter(p.name, "" if p.secret else p.value) for p in parameters)
    plain = Gateway(gateway.name, gateway.target, emptied, gateway.variables, gateway.subscriptions)
    (element,) = parse_fragment(preprocess(sealed, file="x").data)
    assert [p.get("sealed") for p in element.iterchildren("param")] == [
        f"<sealed {p.name}>" if p.secret else None for p in parameters
    ]
    assert read_by_a_hostile_switch(sealed) == read_by_a_hostile_switch(render(plain, "r"))


def test_an_error_in_the_sealing_comes_out_as_it_is() -> None:
    def broken(_name: str, _value: str) -> str:
        raise ValueError("no key")

    with pytest.raises(ValueError, match="no key"):
        render_sealed(_with(Parameter("password", "x", secret=True)), "r", broken)


@pytest.mark.parametrize("hazard", HAZARDS)
def test_every_hazard_arrives_exactly_in_every_place(hazard: str) -> None:
    for place, (make, read, _) in PLACES.items():
        for text in (hazard, f" {hazard}{hazard} ", f"a{hazard}b\n"):
            data = render(make(text), "r")
            prove(make(text), "r", data)
            assert read(read_by_a_hostile_switch(data)) == text, place


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("character", UNCARRIED)
def test_what_xml_cannot_carry_is_refused_with_its_field(place: str, character: str) -> None:
    make, _, field = PLACES[place]
    with pytest.raises(RenderError) as refusal:
        render(make(f"abc{character}def"), "r")
    finding = refusal.value.finding
    assert (finding.code, finding.field) == ("NotCarriedByXml", field)
    known = f"U+{ord(character):04X} at position 4"
    assert (known in finding.message) == (place != "secret"), "of a secret nothing is told"
    assert "abc" not in str(refusal.value)


def test_a_revision_or_sealed_text_that_xml_cannot_carry_is_refused() -> None:
    gateway = _with(Parameter("password", "x", secret=True))
    with pytest.raises(RenderError, match="NotCarriedByXml"):
        render(gateway, "\0")
    with pytest.raises(RenderError, match="NotCarriedByXml"):
        render_sealed(gateway, "r", lambda _name, _value: "\0")


def test_include_and_its_end_stand_on_lines_of_their_own_and_there_is_no_declaration() -> None:
    lines = render(_with(Parameter("realm", "a")), "r").split(b"\n")
    assert (lines[0], lines[-2], lines[-1]) == (b"<include>", b"</include>", b"")
    assert not any(b"include>" in line or b"<?" in line for line in lines[1:-2])


@thorough
@given(gateways(ANY_TEXT))
def test_any_gateway_is_proved_and_read_exactly_or_refused_with_a_code(gateway: Gateway) -> None:
    mark = revision(gateway, KEY)
    try:
        data = render(gateway, mark)
    except RenderError as refusal:
        event("refused")
        finding = refusal.finding
        assert finding.code
        assert finding.field
        assert finding.action
        return
    event("rendered")
    prove(gateway, mark, data)
    found = read_by_a_hostile_switch(data)
    assert found.name == gateway.name
    assert found.params == tuple((p.name, p.value) for p in gateway.parameters)
    assert found.variables[0] == (REVISION_VARIABLE, mark, "outbound")
    assert found.variables[1:] == tuple((v.name, v.value, v.direction) for v in gateway.variables)
    assert [s.event for s in found.subscriptions] == [s.event for s in gateway.subscriptions]


@given(gateways(), gateways())
def test_different_gateways_give_different_bytes(one: Gateway, other: Gateway) -> None:
    assume(_written(one) != _written(other))
    assert render(one, "r") != render(other, "r")


def _written(gateway: Gateway) -> tuple[object, ...]:
    """What of a gateway stands in its file: all but the target and which values are secret."""
    parameters = tuple((p.name, p.value) for p in gateway.parameters)
    return gateway.name, parameters, gateway.variables, gateway.subscriptions


@given(TEXT)
def test_the_same_gateway_gives_the_same_bytes(text: str) -> None:
    assert render(_with(Parameter("realm", text)), "r") == render(_with(Parameter("realm", text)), "r")
