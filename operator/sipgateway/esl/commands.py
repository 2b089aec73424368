"""The fixed list of commands that may be sent to a switch. Nothing else can be built.

In: names. Out: `Command`s. Every argument is checked against the pattern that mod_sofia itself holds names to
(facts 11, 32), so that no name can become a second argument or a second command.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from sipgateway.api.names import PROFILE_NAME, is_gateway_name
from sipgateway.errors import SwitchError
from sipgateway.esl.codes import COMMAND_REFUSED

#: Which of a gateway's variables: of its outbound leg, of its inbound leg, or inbound before outbound (fact 20).
Leg = Literal["ovar", "ivar", "var"]

#: Names of variables that can stand in a command; `[` and blanks break the read-back (fact 33).
_VARIABLE = re.compile(r"[A-Za-z0-9_.\-]{1,255}", re.ASCII)

#: mod_event_socket reads a command into a buffer; no profile of a real switch comes near this length.
_MAX_PROFILE_NAME = 255


@dataclass(frozen=True, slots=True)
class Command:
    """One `api` command, complete, without its line ends. Make it with the functions of this module."""

    text: str


def status() -> Command:
    """`sofia status`: all profiles and gateways with their states (fact 20)."""
    return Command("api sofia status")


def gateway_status(name: str) -> Command:
    """`sofia xmlstatus gateway NAME`: one gateway in full (fact 20).

    Raises:
        SwitchError: CommandRefused, no gateway can have this name.
    """
    return Command(f"api sofia xmlstatus gateway {_gateway(name)}")


def all_gateways() -> Command:
    """`sofia xmlstatus gateways`: all of them, 1 kB each; without variables (fact 24e)."""
    return Command("api sofia xmlstatus gateways")


def gateway_variable(name: str, variable: str, leg: Leg = "ovar") -> Command:
    """`sofia_gateway_data NAME ovar|ivar|var VARIABLE`: one variable of a gateway (fact 20).

    Raises:
        SwitchError: CommandRefused, not a name.
    """
    if leg not in {"ovar", "ivar", "var"}:
        raise _refused("leg", leg)
    return Command(f"api sofia_gateway_data {_gateway(name)} {leg} {_variable(variable)}")


def rescan(profile: str) -> Command:
    """`sofia profile P rescan`: re-reads the whole tree and adds what is new in P (facts 1, 2, 29).

    Raises:
        SwitchError: CommandRefused, not a name.
    """
    return Command(f"api sofia profile {_profile(profile)} rescan")


def killgw(profile: str, name: str) -> Command:
    """`sofia profile P killgw NAME`: marks the gateway of that name, on whatever profile it is (facts 12, 14).

    Raises:
        SwitchError: CommandRefused, not a name, or one that means every gateway (fact 32).
    """
    return Command(f"api sofia profile {_profile(profile)} killgw {_gateway(name)}")


def register(profile: str, name: str) -> Command:
    """`sofia profile P register NAME`: registers anew.

    The caller must have read a state other than NOREG from the switch in the same batch: on a gateway in NOREG this
    command leaks a lock of the profile, and the profile's next restart never ends (fact 28).

    Raises:
        SwitchError: CommandRefused, not a name, or one that means every gateway (fact 32).
    """
    return Command(f"api sofia profile {_profile(profile)} register {_gateway(name)}")


def unregister(profile: str, name: str) -> Command:
    """`sofia profile P unregister NAME`: sends an un-REGISTER; the gateway stays DOWN until it registers anew (38).

    The caller must have read a state other than NOREG in the same batch, as for `register` (fact 28).

    Raises:
        SwitchError: CommandRefused, not a name, or one that means every gateway (fact 32).
    """
    return Command(f"api sofia profile {_profile(profile)} unregister {_gateway(name)}")


def reloadxml() -> Command:
    """`reloadxml`: re-reads the whole tree and applies nothing (facts 2, 24c)."""
    return Command("api reloadxml")


def version() -> Command:
    """`version`: the switch's version."""
    return Command("api version")


def alive() -> Command:
    """`status`: the cheapest sign of life, for a caller that looks for half-open connections."""
    return Command("api status")


def global_variable(name: str) -> Command:
    """`global_getvar NAME`: one global variable, e.g. `conf_dir`; the names of all of them cannot be asked for.

    Raises:
        SwitchError: CommandRefused, not a name.
    """
    return Command(f"api global_getvar {_variable(name)}")


def _gateway(name: str) -> str:
    if not is_gateway_name(name):
        raise _refused("gateway", name)
    return name


def _profile(name: str) -> str:
    if not PROFILE_NAME.fullmatch(name) or len(name) > _MAX_PROFILE_NAME:
        raise _refused("profile", name)
    return name


def _variable(name: str) -> str:
    if not _VARIABLE.fullmatch(name):
        raise _refused("variable", name)
    return name


def _refused(what: str, value: str) -> SwitchError:
    return SwitchError(COMMAND_REFUSED.finding("", f"{value[:60]!a} cannot be the {what} in a command to the switch."))
