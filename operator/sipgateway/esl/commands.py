"""The fixed list of commands that may be sent to a switch. Nothing else can be built.

In: names. Out: `Command`s. Every argument is checked against the pattern that mod_sofia itself holds names to
(facts 11, 32), so that no name can become a second argument or a second command.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from sipgateway.api.names import PROFILE_NAME, is_gateway_name
from sipgateway.errors import Finding, SwitchError

_VARIABLE = re.compile(r"[A-Za-z0-9_.\-]{1,255}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Command:
    """One `api` command, complete. Make it with the functions of this module."""

    text: str


def status() -> Command:
    """`sofia status`: all profiles and gateways with their states (fact 20)."""
    return Command("api sofia status")


def gateway_status(name: str) -> Command:
    """`sofia xmlstatus gateway NAME`: one gateway in full (fact 20)."""
    return Command(f"api sofia xmlstatus gateway {_gateway(name)}")


def all_gateways() -> Command:
    """`sofia xmlstatus gateways`: all of them; without variables (fact 24e)."""
    return Command("api sofia xmlstatus gateways")


def gateway_variable(name: str, variable: str, leg: str = "ovar") -> Command:
    """`sofia_gateway_data NAME ovar|ivar|var VARIABLE`: one variable of a gateway (fact 20)."""
    if leg not in {"ovar", "ivar", "var"}:
        raise _refused("leg", leg)
    if not _VARIABLE.fullmatch(variable):
        raise _refused("variable", variable)
    return Command(f"api sofia_gateway_data {_gateway(name)} {leg} {variable}")


def rescan(profile: str) -> Command:
    """`sofia profile P rescan`: re-reads the whole tree and adds what is new in P (facts 1, 2, 29)."""
    return Command(f"api sofia profile {_profile(profile)} rescan")


def killgw(profile: str, name: str) -> Command:
    """`sofia profile P killgw NAME`: marks the gateway of that name, on whatever profile it is (facts 12, 14)."""
    return Command(f"api sofia profile {_profile(profile)} killgw {_gateway(name)}")


def register(profile: str, name: str) -> Command:
    """`sofia profile P register NAME`. Read a state other than NOREG in the same batch first: see fact 28."""
    return Command(f"api sofia profile {_profile(profile)} register {_gateway(name)}")


def reloadxml() -> Command:
    """`reloadxml`: re-reads the whole tree and applies nothing (facts 2, 24c)."""
    return Command("api reloadxml")


def version() -> Command:
    """`version`: the switch's version."""
    return Command("api version")


def alive() -> Command:
    """`status`: the cheapest sign of life."""
    return Command("api status")


def _gateway(name: str) -> str:
    if not is_gateway_name(name):
        raise _refused("gateway", name)
    return name


def _profile(name: str) -> str:
    if not PROFILE_NAME.fullmatch(name) or len(name) > 255:
        raise _refused("profile", name)
    return name


def _refused(what: str, value: str) -> SwitchError:
    return SwitchError(
        Finding(
            "CommandRefused",
            "",
            f"{value[:60]!r} cannot be the {what} of a command to the switch.",
            "Use letters, digits, `_`, `.` and `-` only, and none of the words all and _all_.",
        )
    )
