"""What the switch's answers really say. `+OK scan complete` proves nothing; the lines beside it may.

In: bodies of `api/response` (as text, see `protocol.decode`) and events. Out: frozen values.

An answer that says no is a value that says no, in the switch's own words. An answer that no version of FreeSWITCH gives
raises SwitchError: out of a table without its end, nobody may conclude that a gateway is gone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from sys import intern
from typing import Literal

from sipgateway.errors import SwitchError
from sipgateway.esl.codes import SWITCH_CONFUSED, SWITCH_NOT_READY
from sipgateway.esl.protocol import Event

_UNKNOWN = re.compile(r"-ERR (?P<command>\S{1,60}) Command not found!\n?")
_RELOAD = re.compile(r"Reload XML \[(?P<said>.*)\]\n(?P<scan>.*)", re.DOTALL)
_RELOADXML = re.compile(r"\+OK \[(?P<said>.*)\]\n?", re.DOTALL)
_LINE = re.compile(r"\[error near line (\d{1,9})\]")
_RETRY = re.compile(r" \(retry: (?:(\d{1,18})s|NEVER)\)$", re.ASCII)
_END_OF_STATUS = re.compile(r"=\n\d+ profiles? \d+ alias(?:es)?\n?$", re.ASCII)
_FIELD = re.compile(r"^    <(name|profile|contact|state|status|retry)>(.*)</\1>$", re.MULTILINE)
_TAIL = 200  # characters that hold the end of `sofia status`
_VERSION = re.compile(r"FreeSWITCH Version (\S+)")
_NUMBER = re.compile(r"\d{1,18}", re.ASCII)

#: What an api function that wrote nothing is answered with: no such gateway, or no such variable.
NO_REPLY = "-ERR no reply\n"

#: The switch's own encoding of `&` and others in a Contact; `&amp;` last, else `&amp;lt;` would be decoded twice.
_ENTITIES = (("&lt;", "<"), ("&gt;", ">"), ("&quot;", '"'), ("&apos;", "'"), ("&amp;", "&"))

GatewayEventKind = Literal["add", "delete", "state", "invalid_digest_req", "profile_start"]
_KINDS: dict[str, GatewayEventKind] = {
    "sofia::gateway_add": "add",
    "sofia::gateway_delete": "delete",
    "sofia::gateway_state": "state",
    "sofia::gateway_invalid_digest_req": "invalid_digest_req",
    "sofia::profile_start": "profile_start",
}


@dataclass(frozen=True, slots=True)
class Rescan:
    """Answer to `rescan`, `startgw` or `reloadxml` (fact 2).

    Attributes:
        reloaded: whether the whole tree was read anew.
        error: the switch's words when it was not.
        error_line: the line that they name, in the expanded document.
        profile_missing: there is no running profile of that name (facts 24d, 30); then nothing was reloaded either.
        raw: the answer as it was.
        scan_error: why the profile was not scanned although the tree was read, e.g. its configuration is gone.
    """

    reloaded: bool
    error: str | None
    error_line: int | None
    profile_missing: bool
    raw: str
    scan_error: str | None = None


@dataclass(frozen=True, slots=True)
class ProfileRow:
    """A profile's row of `sofia status`; a profile with TLS has two, unless it has TLS only.

    Attributes:
        name: as configured.
        state: e.g. `RUNNING (0)`, with the number of its calls; ` (TLS)` after it in the second row.
    """

    name: str
    state: str


@dataclass(frozen=True, slots=True)
class AliasRow:
    """Another name of a profile: commands reach the profile by it, gateways are listed under the profile's own."""

    name: str
    profile: str


@dataclass(frozen=True, slots=True)
class GatewayRow:
    """A gateway's row of `sofia status`.

    Attributes:
        profile: the profile that it is on.
        name: of the gateway.
        data: where it registers to, as a SIP URI.
        state: one of fact 21's, without the retry that may follow it (fact 39).
        retry_seconds: until the next try; None when there is none, or the switch says NEVER (the try is due).
    """

    profile: str
    name: str
    data: str
    state: str
    retry_seconds: int | None


@dataclass(frozen=True, slots=True)
class SofiaStatus:
    """`sofia status`, in the switch's order: per profile, newest gateway first. Marked copies are among them (24b)."""

    profiles: tuple[ProfileRow, ...]
    gateways: tuple[GatewayRow, ...]
    aliases: tuple[AliasRow, ...] = ()


@dataclass(frozen=True, slots=True)
class GatewayStatus:
    """One gateway of `sofia xmlstatus`.

    Attributes:
        name: of the gateway.
        profile: the profile that it is on.
        state: one of fact 21's.
        status: UP or DOWN (fact 21).
        retry_seconds: until the next try; None when there is none or it is due.
        contact: with angle brackets; the switch cuts it at 2 kB.
    """

    name: str
    profile: str
    state: str
    status: str
    retry_seconds: int | None
    contact: str


@dataclass(frozen=True, slots=True)
class GatewayEvent:
    """A CUSTOM event about a gateway or a profile (facts 22, 30, 35).

    Attributes:
        kind: which event.
        gateway: its name; empty when the event is about a profile.
        profile: the profile's name; `sofia::gateway_state` has none.
        state: of a `state` event, one of fact 21's.
        ping_status: of a `state` event, UP or DOWN.
        status: SIP status that led to it, else None; 503 and 904 may be the switch's own (fact 36).
        phrase: the reason phrase beside it.
        timestamp: `Event-Date-Timestamp`, microseconds since 1970 by the switch's clock; 0 when missing.
    """

    kind: GatewayEventKind
    gateway: str
    profile: str | None
    state: str | None
    ping_status: str | None
    status: int | None
    phrase: str | None
    timestamp: int


def parse_rescan(body: str) -> Rescan:
    """Reads the answer to `rescan` or `startgw`; its first line is the truth (fact 2).

    Raises:
        SwitchError: SwitchNotReady, mod_sofia is not loaded.
    """
    _known(body)
    if body.startswith("Invalid Profile ["):
        return Rescan(False, body.strip(), None, True, body)
    said = _RELOAD.fullmatch(body)
    if said is None:
        return Rescan(False, body.strip()[:200] or "an empty answer", None, False, body)
    scan = said["scan"].strip()
    return _reload(said["said"], body, None if scan.startswith("+OK") else scan or "an empty answer")


def parse_reloadxml(body: str) -> Rescan:
    """Reads the answer to `reloadxml`: `+OK [Success]`, or `+OK [[error near line ...]...]`.

    Raises:
        SwitchError: SwitchNotReady, mod_commands is not loaded.
    """
    _known(body)
    said = _RELOADXML.fullmatch(body)
    if said is None:
        return Rescan(False, body.strip()[:200] or "an empty answer", None, False, body)
    return _reload(said["said"], body, None)


def parse_killgw(body: str) -> bool:
    """Whether a gateway was marked (fact 14).

    False when there was none of that name, and when there is no such running profile: what is loaded must be read then.

    Raises:
        SwitchError: SwitchNotReady or SwitchConfused, nothing is known of what happened.
    """
    if body.startswith("+OK gateway marked"):
        return True
    if body.startswith(("-ERR no such gateway", "Invalid Profile [")):
        return False
    raise _confused("killgw", body)


def parse_register(body: str) -> bool:
    """Whether the gateway was told to register; False when it is in NOREG (fact 28!) or not there.

    Raises:
        SwitchError: SwitchNotReady or SwitchConfused, nothing is known of what happened.
    """
    if body.startswith("+OK"):
        return True
    if body.startswith(("-ERR NOREG gateway", "Invalid gateway!", "Invalid Profile [")):
        return False
    raise _confused("register", body)


def parse_variable(body: str) -> str | None:
    """A gateway's variable, exactly; None when the gateway or the variable is not there (fact 24c).

    A variable whose value is `-ERR no reply` and a line feed cannot be told from a missing one; all others can.

    Raises:
        SwitchError: SwitchNotReady, mod_sofia is not loaded.
    """
    _known(body, "sofia_gateway_data")
    return None if body == NO_REPLY else body


def parse_global_variable(body: str) -> str | None:
    """A global variable, exactly; None when it is unset or empty.

    Raises:
        SwitchError: SwitchNotReady, mod_commands is not loaded.
    """
    _known(body, "global_getvar")
    return None if body == NO_REPLY else body


def parse_version(body: str) -> str:
    """The version, e.g. `1.10.12-release+git~...`.

    Raises:
        SwitchError: SwitchNotReady or SwitchConfused.
    """
    said = _VERSION.match(body)
    if said is None:
        raise _confused("version", body)
    return said[1]


def parse_sofia_status(body: str) -> SofiaStatus:
    """Reads the table of `sofia status` (fact 20).

    Columns are separated by tabs. A gateway's name cannot hold `::` (fact 11), so the last one in the first column
    separates it from its profile; a tab in a username can only be in the third column.

    Raises:
        SwitchError: SwitchNotReady or SwitchConfused, it is not the whole table.
    """
    if not body.lstrip(" ").startswith("Name\t") or not _END_OF_STATUS.search(body, max(len(body) - _TAIL, 0)):
        raise _confused("sofia status", body)
    profiles: list[ProfileRow] = []
    gateways: list[GatewayRow] = []
    aliases: list[AliasRow] = []
    for line in body.split("\n")[1:]:
        columns = line.split("\t")
        if len(columns) < 4:
            continue
        name, kind, state = columns[0].lstrip(" "), columns[1], columns[-1]
        data = (columns[2] if len(columns) == 4 else "\t".join(columns[2:-1])).lstrip(" ")
        if kind == "gateway":
            profile, _, gateway = name.rpartition("::")
            seconds = None
            if state.endswith(")") and (retry := _RETRY.search(state)):
                state = state[: retry.start()]
                seconds = int(retry[1]) if retry[1] else None
            # 10,000 rows have a few profiles and states: one text of each.
            gateways.append(GatewayRow(intern(profile), gateway, data, intern(state), seconds))
        elif kind == "profile":
            profiles.append(ProfileRow(name, state))
        elif kind == "  alias":
            aliases.append(AliasRow(name, data))
    return SofiaStatus(tuple(profiles), tuple(gateways), tuple(aliases))


def parse_gateway_xml(body: str) -> GatewayStatus | None:
    """Reads `sofia xmlstatus gateway NAME`; None when there is none of that name (24d).

    Raises:
        SwitchError: SwitchNotReady or SwitchConfused, it is neither.
    """
    if body.startswith("Invalid Gateway!"):
        return None
    if not body.startswith("<?xml ") or not body.endswith("  </gateway>\n"):
        raise _confused("sofia xmlstatus gateway", body)
    return next(_gateways(body), None)


def parse_all_gateways(body: str) -> Iterator[GatewayStatus]:
    """Reads `sofia xmlstatus gateways`, one gateway after the other.

    Raises:
        SwitchError: SwitchNotReady or SwitchConfused, it is not the whole list; before the first gateway is given.
    """
    if not body.startswith("<?xml ") or not body.endswith("</gateways>\n"):
        raise _confused("sofia xmlstatus gateways", body)
    return _gateways(body)


def parse_gateway_event(event: Event) -> GatewayEvent | None:
    """Reads a gateway event; None for any other event."""
    kind = _KINDS.get(event.name)
    if kind is None:
        return None
    get = event.headers.get
    return GatewayEvent(
        kind,
        get("Gateway", ""),
        get("profile-name") or get("profile_name"),
        get("State"),
        get("Ping-Status"),
        _number(get("Status", "")),
        get("Phrase"),
        _number(get("Event-Date-Timestamp", "")) or 0,
    )


def _gateways(body: str) -> Iterator[GatewayStatus]:
    """Not with an XML parser: `&` and `<` in a username stand there as they are (fact 39).

    Each field stands on a line of its own. Name and profile come before the username, the state after it: so a
    username that holds lines of its own changes none of them.
    """
    at = body.find("\n  <gateway>\n")
    while at >= 0:
        end = body.find("\n  <gateway>\n", at + 1)
        fields: dict[str, str] = {}
        for key, value in _FIELD.findall(body, at, len(body) if end < 0 else end + 1):
            if key not in fields or key not in {"name", "profile"}:
                fields[key] = value
        contact = fields.get("contact", "")
        for entity, character in _ENTITIES:
            contact = contact.replace(entity, character)
        yield GatewayStatus(
            fields.get("name", ""),
            fields.get("profile", ""),
            fields.get("state", ""),
            fields.get("status", ""),
            _number(fields.get("retry", "").removesuffix("s")),
            contact,
        )
        at = end


def _reload(said: str, body: str, scan_error: str | None) -> Rescan:
    if said == "Success":
        return Rescan(True, None, None, False, body, scan_error)
    line = _LINE.search(said)
    return Rescan(False, said, int(line[1]) if line else None, False, body, scan_error)


def _number(text: str) -> int | None:
    return int(text) if _NUMBER.fullmatch(text) else None


def _known(body: str, command: str = "") -> None:
    """Raises SwitchNotReady when the answer is that the command is not known."""
    said = _UNKNOWN.fullmatch(body)
    if said and (not command or said["command"] == command):
        raise SwitchError(
            SWITCH_NOT_READY.finding("", f"The switch does not know the command {said['command']!a} (yet).")
        )


def _confused(command: str, body: str) -> SwitchError:
    try:
        _known(body)
    except SwitchError as error:
        return error
    said = f"{body[:80]!a}" + (f" and {len(body) - 80} characters more" if len(body) > 80 else "")
    return SwitchError(SWITCH_CONFUSED.finding("", f"The switch answered `{command}` with {said}."))
