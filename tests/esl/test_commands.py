"""Only these commands can be built, and no name becomes more than a name."""

from __future__ import annotations

import inspect
import string
from collections.abc import Callable
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sipgateway.api.names import MAX_GATEWAY_NAME
from sipgateway.errors import SwitchError
from sipgateway.esl import commands
from sipgateway.esl.commands import Command, Leg

#: Text of each command, with the names of `_ARGUMENTS` in it: the whole list of what can reach a switch.
TEXTS = {
    "alive": "api status",
    "all_gateways": "api sofia xmlstatus gateways",
    "gateway_status": "api sofia xmlstatus gateway gw-1",
    "gateway_variable": "api sofia_gateway_data gw-1 ovar sipgw_revision",
    "global_variable": "api global_getvar sipgw_revision",
    "killgw": "api sofia profile external killgw gw-1",
    "register": "api sofia profile external register gw-1",
    "reloadxml": "api reloadxml",
    "rescan": "api sofia profile external rescan",
    "status": "api sofia status",
    "unregister": "api sofia profile external unregister gw-1",
    "version": "api version",
}
BUILDERS: dict[str, Callable[..., Command]] = {
    name: value
    for name, value in vars(commands).items()
    if inspect.isfunction(value) and not name.startswith("_") and value.__module__ == commands.__name__
}


def build(builder: Callable[..., Command], gateway: str, profile: str, variable: str) -> Command:
    """Calls a builder with its arguments, told apart by what they stand for."""
    given_names = list(inspect.signature(builder).parameters)
    about_gateway = builder is not commands.global_variable
    known = {"name": gateway if about_gateway else variable, "profile": profile, "variable": variable}
    return builder(**{name: known[name] for name in given_names if name in known})


def test_the_list_of_commands_is_fixed() -> None:
    assert {name: build(b, "gw-1", "external", "sipgw_revision").text for name, b in BUILDERS.items()} == TEXTS


@pytest.mark.parametrize(
    "name",
    [
        "",
        "a b",
        "a\n",
        "a\nb",
        "a\r",
        "a\0",
        "\n\napi fsctl shutdown",
        "a\tb",
        "a;b",
        "a$b",
        "${x}",
        "é",
        "a/b",
        "a::b",
        "all",
        "ALL",
        "_all_",
        "_All_",
        "a" * (MAX_GATEWAY_NAME + 1),
        "a\u2028b",
        "\u0663",
        "a\udcff",
    ],
)
@pytest.mark.parametrize("builder", ["killgw", "register", "unregister", "gateway_status", "gateway_variable"])
def test_a_gateway_name_that_is_none_or_means_all_is_refused(builder: str, name: str) -> None:
    with pytest.raises(SwitchError) as caught:
        build(BUILDERS[builder], name, "external", "v")
    assert caught.value.finding.code == "CommandRefused"
    assert "\n" not in str(caught.value)
    assert str(caught.value).isascii()


@pytest.mark.parametrize("name", ["", "a b", "a\n", "external rescan\n\napi x", "-a", ".", "a::b", "a/b", "p" * 256])
@pytest.mark.parametrize("builder", ["killgw", "register", "unregister", "rescan"])
def test_a_profile_name_that_is_none_is_refused(builder: str, name: str) -> None:
    with pytest.raises(SwitchError):
        build(BUILDERS[builder], "gw", name, "v")


@pytest.mark.parametrize("name", ["", "a b", "a[0]", "a\n", "x" * 256, "a=b"])
@pytest.mark.parametrize("builder", ["gateway_variable", "global_variable"])
def test_a_variable_name_that_is_none_is_refused(builder: str, name: str) -> None:
    with pytest.raises(SwitchError):
        build(BUILDERS[builder], "gw", "external", name)


def test_only_the_three_legs_can_be_asked_for() -> None:
    legs: tuple[Leg, ...] = ("ovar", "ivar", "var")
    assert [commands.gateway_variable("g", "v", leg).text.split()[3] for leg in legs] == list(legs)
    with pytest.raises(SwitchError):
        commands.gateway_variable("g", "v", cast("Any", "ovar v\n\napi x"))


@given(st.text(), st.text(), st.text())
def test_any_names_give_a_refusal_or_one_line_with_exactly_these_words(
    gateway: str, profile: str, variable: str
) -> None:
    plain = set(string.ascii_letters + string.digits + "_.- ")
    for name, builder in BUILDERS.items():
        try:
            text = build(builder, gateway, profile, variable).text
        except SwitchError:
            continue
        assert set(text) <= plain
        assert len(text.split(" ")) == len(TEXTS[name].split(" "))


@given(st.from_regex(r"\A[A-Za-z0-9_.\-]{1,255}\Z").filter(lambda n: n.lower() not in {"all", "_all_"}))
def test_every_name_that_mod_sofia_loads_can_be_named(name: str) -> None:
    assert commands.killgw("external", name).text == f"api sofia profile external killgw {name}"
