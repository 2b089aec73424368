"""What the switch's answers really say. `+OK scan complete` proves nothing; the lines beside it may.

In: bodies of `api/response` and events. Out: frozen values. Unexpected text never raises: it becomes a value that
says no, with the switch's own words in it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from sipgateway.esl.protocol import Event

_RELOAD = re.compile(r"^(?:Reload XML|\+OK) \[(?P<said>.*)\]\s*$", re.MULTILINE)
_LINE = re.compile(r"error near line (\d+)")
_RETRY = re.compile(r" \(retry: (\d+)s\)$")

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
        profile_missing: there is no running profile of that name (facts 24d, 30).
        raw: the answer as it was.
    """

    reloaded: bool
    error: str | None
    error_line: int | None
    profile_missing: bool
    raw: str


@dataclass(frozen=True, slots=True)
class ProfileRow:
    """A profile's row of `sofia status`."""

    name: str
    state: str


@dataclass(frozen=True, slots=True)
class GatewayRow:
    """A gateway's row of `sofia status`; `retry_seconds` from ` (retry: 29s)` (fact 39)."""

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


@dataclass(frozen=True, slots=True)
class GatewayStatus:
    """One gateway of `sofia xmlstatus`; `status` is UP or DOWN (fact 21)."""

    name: str
    profile: str
    state: str
    status: str
    retry_seconds: int | None
    contact: str


@dataclass(frozen=True, slots=True)
class GatewayEvent:
    """A CUSTOM event about a gateway (fact 22).

    Attributes:
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
    """Reads the answer to `rescan` or `startgw`; its first line is the truth (fact 2)."""
    missing = body.startswith("Invalid Profile [")
    said = _RELOAD.search(body)
    if said is None:
        return Rescan(False, body.strip()[:200] or "empty answer", None, missing, body)
    if said["said"] == "Success":
        return Rescan(True, None, None, missing, body)
    line = _LINE.search(said["said"])
    return Rescan(False, said["said"], int(line[1]) if line else None, missing, body)


def parse_reloadxml(body: str) -> Rescan:
    """Reads the answer to `reloadxml`: `+OK [Success]`, or `+OK [[error near line ...]...]`."""
    return parse_rescan(body)


def parse_killgw(body: str) -> bool:
    """Whether a gateway was marked; False when there was none of that name (fact 14)."""
    return body.startswith("+OK gateway marked")


def parse_variable(body: str) -> str | None:
    """A variable's value, exactly; None when the gateway or the variable is not there."""
    return None if body in {"-ERR no reply\n", "-ERR no reply", ""} or body.startswith("-ERR ") else body


def parse_sofia_status(body: str) -> SofiaStatus:
    """Reads the table of `sofia status`: columns are separated by tabs (fact 20)."""
    profiles: list[ProfileRow] = []
    gateways: list[GatewayRow] = []
    for line in body.split("\n"):
        columns = line.split("\t")
        if len(columns) < 4:
            continue
        name, kind, data, state = columns[0].strip(), columns[1].strip(), columns[2].strip(), columns[3].strip()
        if kind == "gateway":
            profile, _, gateway = name.rpartition("::")
            retry = _RETRY.search(state)
            if retry:
                gateways.append(GatewayRow(profile, gateway, data, state[: retry.start()], int(retry[1])))
            else:
                gateways.append(GatewayRow(profile, gateway, data, state, None))
        elif kind == "profile":
            profiles.append(ProfileRow(name, state))
    return SofiaStatus(tuple(profiles), tuple(gateways))


def parse_gateway_xml(body: str) -> GatewayStatus | None:
    """Reads `sofia xmlstatus gateway NAME`; None when there is none (24d)."""
    return next(parse_all_gateways(body), None)


def parse_all_gateways(body: str) -> Iterator[GatewayStatus]:
    """Reads `sofia xmlstatus gateways`. Not with an XML parser: `&` in a username stands there as it is (fact 39)."""
    for chunk in body.split("<gateway>")[1:]:
        retry = _field(chunk, "retry").removesuffix("s")
        yield GatewayStatus(
            _field(chunk, "name"),
            _field(chunk, "profile"),
            _field(chunk, "state"),
            _field(chunk, "status"),
            int(retry) if retry.isascii() and retry.isdecimal() else None,
            _field(chunk, "contact").replace("&lt;", "<").replace("&gt;", ">"),
        )


def parse_gateway_event(event: Event) -> GatewayEvent | None:
    """Reads a gateway event; None for any other event."""
    kind = _KINDS.get(event.name)
    if kind is None:
        return None
    get = event.headers.get
    status, stamp = get("Status", ""), get("Event-Date-Timestamp", "")
    return GatewayEvent(
        kind,
        get("Gateway", ""),
        get("profile-name") or get("profile_name"),
        get("State"),
        get("Ping-Status"),
        int(status) if status.isascii() and status.isdecimal() else None,
        get("Phrase"),
        int(stamp) if stamp.isascii() and stamp.isdecimal() else 0,
    )


def _field(chunk: str, name: str) -> str:
    _, found, rest = chunk.partition(f"<{name}>")
    return rest.partition(f"</{name}>")[0] if found else ""
