"""Events of the switch and their form on the wire. In: a name and headers. Out: the bytes of `event plain` (fact 22).

The order of headers and their encoding are those of tests/transcripts/.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from sipgateway.simulator.words import url_encode

#: Events with all their fixed places: subclass -> (file, function, line) of mod_sofia 1.10.12.
_PLACES = {
    "sofia::gateway_add": ("sofia_reg.c", "sofia_reg_add_gateway", 3723),
    "sofia::gateway_delete": ("sofia_reg.c", "sofia_reg_check_gateway", 343),
    "sofia::gateway_state": ("sofia_reg.c", "sofia_reg_fire_custom_gateway_state_event", 156),
    "sofia::gateway_invalid_digest_req": ("sofia_reg.c", "sofia_reg_handle_sip_r_challenge", 2836),
    "sofia::profile_start": ("sofia.c", "config_sofia", 6335),
    "BACKGROUND_JOB": ("mod_event_socket.c", "api_exec", 1572),
    "RELOADXML": ("switch_xml.c", "switch_xml_reload", 2477),
}
_NOWHERE = ("switch_core.c", "switch_core", 1)


@dataclass(frozen=True, slots=True)
class Origin:
    """Who says it: the switch's identity in every event.

    Attributes:
        core_uuid: new at each start of the switch.
        hostname, ipv4, ipv6: as the switch sees itself.
    """

    core_uuid: str
    hostname: str = "sipgw-simulator"
    ipv4: str = "192.0.2.2"
    ipv6: str = "::1"


@dataclass(frozen=True, slots=True)
class Event:
    """One event.

    Attributes:
        name: `CUSTOM`, `BACKGROUND_JOB`, ...
        subclass: for CUSTOM, e.g. `sofia::gateway_state`; else empty.
        headers: of its own, in order, not encoded.
        body: text after the headers, or None.
        at: seconds since the epoch.
        sequence: number among the switch's events.
    """

    name: str
    subclass: str
    headers: tuple[tuple[str, str], ...]
    at: float
    sequence: int
    body: str | None = None

    def plain(self, origin: Origin) -> bytes:
        """The event as `event plain` sends it, its framing included."""
        file, function, line = _PLACES.get(self.subclass or self.name, _NOWHERE)
        whole = int(self.at)
        local, universal = time.localtime(whole), time.gmtime(whole)
        common = (
            ("Core-UUID", origin.core_uuid),
            ("FreeSWITCH-Hostname", origin.hostname),
            ("FreeSWITCH-Switchname", origin.hostname),
            ("FreeSWITCH-IPv4", origin.ipv4),
            ("FreeSWITCH-IPv6", origin.ipv6),
            ("Event-Date-Local", time.strftime("%Y-%m-%d %H:%M:%S", local)),
            ("Event-Date-GMT", time.strftime("%a, %d %b %Y %H:%M:%S GMT", universal)),
            ("Event-Date-Timestamp", str(round(self.at * 1_000_000))),
            ("Event-Calling-File", file),
            ("Event-Calling-Function", function),
            ("Event-Calling-Line-Number", str(line)),
            ("Event-Sequence", str(self.sequence)),
        )
        first = (("Event-Subclass", self.subclass),) if self.subclass else ()
        lines = [f"{name}: {url_encode(value)}\n" for name, value in (*first, ("Event-Name", self.name), *common)]
        lines += [f"{name}: {url_encode(value)}\n" for name, value in self.headers]
        body = b"" if self.body is None else self.body.encode("utf-8", "surrogateescape")
        if body:
            lines.append(f"Content-Length: {len(body)}\n")
        data = "".join(lines).encode("utf-8", "surrogateescape") + b"\n" + body
        return f"Content-Length: {len(data)}\nContent-Type: text/event-plain\n\n".encode() + data
