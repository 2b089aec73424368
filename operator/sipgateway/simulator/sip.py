"""SIP messages as mod_sofia builds them. In: a gateway and what is sent. Out: a `Message` for the journal.

The wire bytes carry the values as they are, so that a CR LF in a parameter shows as a header of its own (fact 33).
"""

from __future__ import annotations

import re
import uuid
from dataclasses import asdict, dataclass
from typing import Any

_CANNOT_SEND = re.compile(r"""[\x00-\x20;?<>",\\]|%(?![0-9A-Fa-f]{2})""")
_VERB_PORTS = {"tls": 5061}


@dataclass(frozen=True, slots=True)
class Address:
    """Host and port that a message is sent to."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


@dataclass(slots=True)
class Message:
    """A request that left the switch, and the answer to it.

    Attributes:
        at: seconds since the epoch when it was sent.
        method: REGISTER, OPTIONS, INVITE, BYE.
        gateway, profile: of the copy that sent it.
        destination: `host:port`.
        contact: the Contact's text, empty when there is none.
        expires: seconds of the Expires header; 0 un-registers.
        authorised: an Authorization header was in it.
        status, phrase: the answer; 0 while there is none.
        user_agent: of the message; empty for freed memory (fact 24f).
        wire: the whole request.
    """

    at: float
    method: str
    gateway: str
    profile: str
    destination: str
    request_uri: str
    from_: str
    to: str
    contact: str
    expires: int | None
    call_id: str
    cseq: int
    authorised: bool
    user_agent: str
    wire: str
    status: int = 0
    phrase: str = ""

    def as_json(self) -> dict[str, Any]:
        """The record as the control port gives it."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Parts:
    """What goes into a request."""

    request_uri: str
    from_: str
    to: str
    contact: str
    expires: str | None
    call_id: str
    cseq: int
    user_agent: str
    authorization: str | None = None


def wire(method: str, parts: Parts, local: str, transport: str) -> str:
    """The request's text, headers in sofia-sip's order."""
    lines = [
        f"{method} {parts.request_uri} SIP/2.0",
        f"Via: SIP/2.0/{transport.upper()} {local};rport;branch=z9hG4bK{uuid.uuid4().hex[:13]}",
        "Max-Forwards: 70",
        f"From: {parts.from_};tag={uuid.uuid4().hex[:13]}",
        f"To: {parts.to}",
        f"Call-ID: {parts.call_id}",
        f"CSeq: {parts.cseq} {method}",
    ]
    if parts.contact:
        lines.append(f"Contact: {parts.contact}")
    lines.append(f"User-Agent: {parts.user_agent}")
    if parts.authorization is not None:
        lines.append(f"Authorization: {parts.authorization}")
    if parts.expires is not None:
        lines.append(f"Expires: {parts.expires}")
    lines += ["Content-Length: 0", "", ""]
    return "\r\n".join(lines)


def destination(uri: str, transport: str) -> Address | None:
    """Where a URI sends to: host and port, brackets of IPv6 kept. None when it has no host that can be read.

    `sip:sip:host` is what a `proxy` with a scheme becomes (fact 24h): its "host" is the word `sip`.
    """
    rest = uri.strip("<>")
    for scheme in ("sips:", "sip:"):
        if rest[: len(scheme)].lower() == scheme:
            rest = rest[len(scheme) :]
            break
    rest = rest.split(";", 1)[0].rpartition("@")[2]
    default = _VERB_PORTS.get(transport, 5060)
    if rest.startswith("["):
        host, _, port = rest.partition("]")
        host, port = host + "]", port.removeprefix(":")
    else:
        host, _, port = rest.partition(":")
    if not host or (port and not port.isdigit()):
        return Address(host, default) if host else None
    return Address(host, int(port) if port else default)


def can_be_sent(username: str) -> bool:
    """Whether a REGISTER with this user name leaves the switch: else it stays in TRYING (fact 33)."""
    return _CANNOT_SEND.search(username) is None
