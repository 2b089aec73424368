"""What a step means, in sentences that a person decides by; passwords are never in them."""

from __future__ import annotations

import pytest

from sipgateway.api.gateway import Gateway, Parameter, Target
from sipgateway.api.spec import Variable
from sipgateway.reconcile.impact import Impact, impact
from sipgateway.reconcile.plan import Kind, Step
from sipgateway.render.preprocessor import preprocess
from sipgateway.render.readback import ReadGateway, read_gateways
from sipgateway.render.switchxml import parse
from sipgateway.render.xml import render
from tests.canary import Canary
from tests.golden import Golden

REVISION = "1-00000001-" + "0" * 32


def gateway(*, register: bool = True, variables: tuple[Variable, ...] = (), **params: str) -> Gateway:
    given = {"username": "alice", "password": "secret-of-alice", "proxy": "sip.example.com"} | params
    parameters = [Parameter(n.replace("_", "-"), v, n == "password") for n, v in given.items()]
    return Gateway("acme", Target("external"), (*parameters, Parameter("register", str(register).lower())), variables)


def read(one: Gateway) -> ReadGateway:
    (found,) = read_gateways(parse(preprocess(render(one, REVISION), file="x").data))
    return found


def replacing(before: Gateway, after: Gateway) -> Impact:
    step = Step(
        Kind.REPLACE, "acme", "external", True, REVISION, before.registers, after.registers, "its parameters changed"
    )
    return impact(step, read(before), after)


def removal(*, registered: bool) -> Impact:
    step = Step(Kind.REMOVE, "acme", "external", True, None, registered, False, "its manifest is gone")
    return impact(step, None, None)


def addition(one: Gateway) -> Impact:
    return impact(Step(Kind.ADD, "acme", "external", False, REVISION, False, one.registers, "it is new"), None, one)


def test_the_sentences(golden: Golden) -> None:
    one = gateway()
    said = {
        "new, registers": addition(one),
        "new, does not register": addition(gateway(register=False)),
        "proxy": replacing(one, gateway(proxy="sip2.example.com")),
        "proxy, does not register": replacing(gateway(register=False), gateway(register=False, proxy="b.example.com")),
        "password": replacing(one, gateway(password="another")),
        "a parameter more": replacing(one, gateway(from_domain="example.org")),
        "a parameter less": replacing(gateway(from_domain="example.org"), one),
        "begins to register": replacing(gateway(register=False), one),
        "ceases to register": replacing(one, gateway(register=False)),
        "variables": replacing(one, gateway(variables=(Variable("a", "1"), Variable("b", "2", "outbound")))),
        "a long value": replacing(one, gateway(contact_params="x=" + "y" * 300)),
        "two things": replacing(one, gateway(proxy="b.example.com", expire_seconds="60")),
        "what was loaded is not known": impact(replacing(one, one).step, None, one),
        "removal, registered": removal(registered=True),
        "removal, not registered": removal(registered=False),
    }
    golden("sentences.txt", "".join(f"{what}:\n  {entry}\n" for what, entry in said.items()))


@pytest.mark.parametrize(
    ("before", "after", "disruptive"),
    [(True, True, True), (True, False, False), (False, True, True), (False, False, False)],
)
def test_a_replacement_is_disruptive_when_the_new_copy_registers(before: bool, after: bool, disruptive: bool) -> None:
    assert replacing(gateway(register=before), gateway(register=after, proxy="b.example.com")).disruptive is disruptive


def test_a_removal_is_disruptive_and_an_addition_is_not() -> None:
    assert removal(registered=False).disruptive
    assert not addition(gateway()).disruptive


def test_a_username_that_may_have_come_from_a_secret_is_not_named(canary: Canary) -> None:
    changed = replacing(gateway(username=canary.password), gateway(username="bob"))
    assert changed.changes == ("username (not shown) -> bob",)
    canary.assert_absent(str(changed), repr(changed))
    given = replacing(gateway(username="bob"), gateway(username="alice"))
    assert given.changes == ("username (not shown) -> alice",)


def test_no_password_is_named_neither_the_old_nor_the_new(canary: Canary) -> None:
    changed = replacing(gateway(password=canary.password), gateway(password=canary.password + "2"))
    assert changed.changes == ("password changed",)
    canary.assert_absent(str(changed), repr(changed))
    dropped = replacing(gateway(password=canary.password), gateway(username="bob"))
    canary.assert_absent(str(dropped), repr(dropped))
