"""Which gateways may begin to register now: so many a second and registrar, and only in our turn."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from sipgateway.agent.gate import Gate
from sipgateway.agent.settling import Settling
from sipgateway.agent.view import SwitchView
from sipgateway.api.gateway import Gateway, Parameter, Target
from sipgateway.reconcile.plan import Kind, Step
from sipgateway.reconcile.registrar import host_of, registrar_of
from sipgateway.reconcile.registration import Registration


@dataclass
class Pods:
    """The other pods of the fleet, as far as we hear of them."""

    ours: bool = False
    asked: tuple[bool, bool] = (False, False)

    def need(self, *, to_begin: bool, begun: bool) -> None:
        self.asked = (to_begin, begun)


def registrar(name: str) -> str:
    return name.partition("-")[0]


def adds(*names: str, registers: bool = True) -> list[Step]:
    return [Step(Kind.ADD, n, "external", False, "r", False, registers, "new") for n in names]


def replacement(name: str) -> Step:
    return Step(Kind.REPLACE, name, "external", True, "r2", True, True, "changed")


def moving(name: str, *, registers: bool = True) -> Step:
    why = "it moves from profile external to internal"
    return Step(Kind.REPLACE, name, "internal", True, "r2", registers, registers, why, moves=True)


def working(*names: str) -> SwitchView:
    view = SwitchView()
    for name in names:
        view.rows[name] = [("external", "REGED")]
        view.registrations[name] = Registration().seen("REGED", 0.0)
    return view


def look(gate: Gate, *, now: float, view: SwitchView | None = None, **groups: list[Step]) -> frozenset[str]:
    view = view or SwitchView()
    gate.end(view, Settling(), lambda _: True, now)
    every = [groups.get(kind, []) for kind in ("steps", "timed", "moves")]
    gate.choose(*every, view=view, registrar=registrar, now=now)
    sent = [s for group in every for s in group if s.name not in gate.closed_to]
    gate.sent(sent, view=view, registrar=registrar, now=now)
    return frozenset(s.name for s in sent)


def test_so_many_gateways_of_one_registrar_begin_in_one_second() -> None:
    gate = Gate(rate=2)
    names = [f"x-{n}" for n in range(5)]
    begun: list[frozenset[str]] = []
    for now in (0.0, 0.3, 1.0, 2.0, 3.0):
        left = [n for n in names if not any(n in some for some in begun)]
        begun.append(look(gate, now=now, steps=adds(*left)))
    assert [len(some) for some in begun] == [2, 0, 2, 1, 0]


def test_registrars_are_counted_apart() -> None:
    gate = Gate(rate=2)
    assert len(look(gate, now=0.0, steps=adds("x-1", "x-2", "x-3", "y-1", "y-2", "y-3"))) == 4


def test_what_does_not_register_is_not_counted() -> None:
    gate = Gate(rate=1)
    assert len(look(gate, now=0.0, steps=adds("x-1", "x-2", "x-3", registers=False))) == 3


def test_without_a_rate_nobody_waits() -> None:
    gate = Gate()
    assert len(look(gate, now=0.0, steps=adds(*(f"x-{n}" for n in range(1000))))) == 1000


def test_it_says_when_the_next_may_begin() -> None:
    gate = Gate(rate=1)
    look(gate, now=5.0, steps=adds("x-1", "x-2"))
    assert gate.moments(5.2) == [6.0]


def test_a_replacement_of_a_working_gateway_waits_for_our_turn_and_asks_for_it() -> None:
    pods = Pods()
    gate = Gate(turn=pods)
    view = working("a")
    assert look(gate, now=0.0, view=view, timed=[replacement("a")]) == frozenset()
    assert pods.asked == (True, False)
    pods.ours = True
    assert look(gate, now=1.0, view=view, timed=[replacement("a")]) == {"a"}
    assert gate.begun.keys() == {"a"}


def test_a_gateway_that_does_not_work_is_replaced_without_a_turn() -> None:
    pods = Pods()
    gate = Gate(turn=pods)
    view = SwitchView()
    view.rows["a"] = [("external", "FAIL_WAIT")]
    view.registrations["a"] = Registration().event("FAILED", up=False, status=403, phrase="Forbidden", now=0.0)
    assert look(gate, now=0.0, view=view, timed=[replacement("a")]) == {"a"}
    assert pods.asked == (False, False)
    assert gate.begun == {}


def test_additions_and_repairs_need_no_turn() -> None:
    gate = Gate(turn=Pods())
    assert look(gate, now=0.0, steps=adds("a", "b")) == {"a", "b"}


@pytest.mark.parametrize(
    ("state", "status", "ended"),
    [("TRYING", None, False), ("UNREGED", None, False), ("REGED", None, True), ("FAILED", 403, True)],
)
def test_a_turn_lasts_until_the_replaced_gateway_is_registered_or_failed_by_itself(
    state: str, status: int | None, ended: bool
) -> None:
    pods = Pods(ours=True)
    gate = Gate(turn=pods)
    view = working("a")
    look(gate, now=0.0, view=view, timed=[replacement("a")])
    view.registrations["a"] = Registration().event(state, up=None, status=status, phrase="", now=1.0)
    look(gate, now=1.0, view=view)
    assert pods.asked == (False, not ended)
    assert ("a" in gate.begun) is not ended


@pytest.mark.parametrize("step", [replacement("a"), moving("a")])
def test_a_turn_does_not_end_with_the_200_but_with_the_tick_that_brings_it_up(step: Step) -> None:
    pods = Pods(ours=True)
    gate = Gate(turn=pods)
    view = working("a")
    look(gate, now=0.0, view=view, **{"moves" if step.moves else "timed": [step]})
    known = Registration().event("TRYING", up=False, status=None, phrase="", now=1.0)
    view.registrations["a"] = known = known.event("REGISTER", up=False, status=200, phrase="OK", now=1.1)
    look(gate, now=1.2, view=view)
    assert pods.asked == (False, True)
    view.registrations["a"] = known.event("REGED", up=True, status=None, phrase="", now=2.0)
    look(gate, now=2.1, view=view)
    assert pods.asked == (False, False)


def test_a_move_waits_for_our_turn_though_it_does_not_register() -> None:
    pods = Pods()
    gate = Gate(turn=pods)
    view = SwitchView()
    view.rows["a"] = [("external", "NOREG")]
    move = moving("a", registers=False)
    assert look(gate, now=0.0, view=view, moves=[move]) == frozenset()
    pods.ours = True
    assert look(gate, now=1.0, view=view, moves=[move]) == {"a"}
    view.rows.pop("a")
    look(gate, now=2.0, view=view)
    assert pods.asked == (False, True)
    view.rows["a"] = [("internal", "NOREG")]
    view.registrations["a"] = Registration().seen("NOREG", 3.0)
    look(gate, now=3.0, view=view)
    assert pods.asked == (False, False)


def test_nobody_is_kept_waiting_for_a_turn_in_which_nothing_could_be_begun() -> None:
    pods = Pods()
    gate = Gate(turn=pods)
    view = working("a")
    gate.choose([], [replacement("a")], [], view=view, registrar=registrar, now=0.0, asks=False)
    assert (gate.waiting, pods.asked) == (frozenset({"a"}), (False, False))
    gate.choose([], [replacement("a")], [], view=view, registrar=registrar, now=1.0)
    assert (gate.waiting, pods.asked) == (frozenset({"a"}), (True, False))


def test_a_move_of_a_gateway_that_does_not_work_waits_for_nobody() -> None:
    gate = Gate(turn=Pods())
    view = SwitchView()
    view.rows["a"] = [("external", "FAIL_WAIT")]
    view.registrations["a"] = Registration().event("FAILED", up=False, status=403, phrase="Forbidden", now=0.0)
    assert look(gate, now=0.0, view=view, moves=[moving("a")]) == {"a"}
    assert gate.begun == {}


def test_a_gateway_that_comes_to_no_end_does_not_keep_the_turn_for_ever() -> None:
    pods = Pods(ours=True)
    gate = Gate(turn=pods)
    view = working("a")
    look(gate, now=0.0, view=view, timed=[replacement("a")])
    view.registrations["a"] = Registration().seen("TRYING", 1.0)
    look(gate, now=91.0, view=view)
    assert pods.asked == (False, False)


def test_what_waits_for_its_turn_takes_nobodys_second() -> None:
    gate = Gate(rate=1, turn=Pods())
    view = working("x-1")
    assert look(gate, now=0.0, view=view, timed=[replacement("x-1")], steps=adds("x-2")) == {"x-2"}


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("sip.example.com", "sip.example.com"),
        ("SIP.Example.COM:5061", "sip.example.com"),
        ("sip:sip.example.com:5060;transport=tcp", "sip.example.com"),
        ("sips:user@sip.example.com", "sip.example.com"),
        ("192.0.2.1:5060", "192.0.2.1"),
        ("[2001:db8::1]:5060", "2001:db8::1"),
        ("2001:db8::1", "2001:db8::1"),
        ("sip.example.com;fs_path=sip:x", "sip.example.com"),
    ],
)
def test_a_registrars_host_is_found_in_whatever_names_it(text: str, host: str) -> None:
    assert host_of(text) == host


@pytest.mark.parametrize(
    ("parameters", "host"),
    [
        ({}, "acme"),
        ({"realm": "r.example.com"}, "r.example.com"),
        ({"realm": "r.example.com", "proxy": "p.example.com"}, "p.example.com"),
        ({"proxy": "p.example.com", "register-proxy": "sip:rp.example.com"}, "rp.example.com"),
        ({"proxy": "p.example.com", "register": "false"}, ""),
    ],
)
def test_the_registrar_is_where_register_is_sent(parameters: dict[str, str], host: str) -> None:
    found = tuple(Parameter(name, value) for name, value in parameters.items())
    assert registrar_of(Gateway("acme", Target("external"), found)) == host
