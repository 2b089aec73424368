"""The event socket protocol without I/O (fact 27): bytes in, messages out.

The caller feeds what the socket gave to `Protocol.receive` and acts on the messages that come back; it writes the
bytes that `encode` gives. Text is decoded as UTF-8 with surrogate escapes, so that no byte is lost or raises.

The states, and why the table is complete: mod_event_socket sends one greeting, answers each `auth` once, and after
that sends replies, events and at last a disconnect notice. Anything else is not an event socket.

    state     message             next
    GREETING  auth/request        AUTH
    GREETING  text/rude-rejection CLOSED
    AUTH      command/reply +OK   READY
    AUTH      command/reply other AUTH    (the switch closes by itself)
    READY     api/response, command/reply, text/event-*, log/data  READY
    any       text/disconnect-notice                               CLOSED
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote_to_bytes

from sipgateway.errors import Finding, SwitchError

#: Largest block of headers, and largest body, in bytes. `sofia xmlstatus gateways` of 10,000 is 10 MB (fact 20).
MAX_HEADERS = 64 * 1024
MAX_BODY = 64 * 1024 * 1024


class State(enum.Enum):
    """Where a connection stands."""

    GREETING = "greeting"
    AUTH = "auth"
    READY = "ready"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class AuthRequest:
    """The greeting: the caller must send `auth PASSWORD` now."""


@dataclass(frozen=True, slots=True)
class CommandReply:
    """Answer to anything but `api`, e.g. `+OK accepted`."""

    text: str

    @property
    def ok(self) -> bool:
        """Whether it begins with +OK."""
        return self.text.startswith("+OK")


@dataclass(frozen=True, slots=True)
class ApiResponse:
    """Answer to `api`: the body, as it is."""

    body: bytes

    @property
    def text(self) -> str:
        """The body as text; bytes that are no UTF-8 survive as surrogate escapes."""
        return decode(self.body)


@dataclass(frozen=True, slots=True)
class Event:
    """An event: decoded headers and body."""

    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def name(self) -> str:
        """`Event-Subclass` of a CUSTOM event, else `Event-Name`."""
        return self.headers.get("Event-Subclass") or self.headers.get("Event-Name", "")


@dataclass(frozen=True, slots=True)
class Disconnect:
    """The switch is about to close: nothing more will come."""

    text: str


Message = AuthRequest | CommandReply | ApiResponse | Event | Disconnect


def decode(data: bytes) -> str:
    """Bytes of the switch as text, without loss."""
    return data.decode("utf-8", "surrogateescape")


def encode(line: str) -> bytes:
    """One command as bytes.

    Raises:
        SwitchError: it holds a line break or NUL, which would start a second command.
    """
    if any(c in line for c in "\r\n\0"):
        raise SwitchError(
            Finding("CommandRefused", "", "A command may not hold a line break.", "This is a defect: report it.")
        )
    return line.encode("utf-8", "surrogateescape") + b"\n\n"


@dataclass(slots=True)
class Protocol:
    """One connection's reading side. `receive` may be given any split of the stream, byte by byte included."""

    state: State = State.GREETING
    _buffer: bytearray = field(default_factory=bytearray)
    _scanned: int = 0
    _headers: dict[str, str] | None = None
    _length: int = 0

    def receive(self, data: bytes) -> list[Message]:
        """Takes bytes in and gives the messages that are complete now.

        Raises:
            SwitchError: what came is not the event socket protocol, or is larger than any answer; close then.
        """
        self._buffer += data
        messages: list[Message] = []
        start = 0
        while self.state is not State.CLOSED:
            if self._headers is None:
                end = self._buffer.find(b"\n\n", max(start, self._scanned))
                if end < 0:
                    self._scanned = max(len(self._buffer) - 1, start)
                    if len(self._buffer) - start > MAX_HEADERS:
                        raise _broken("headers of more than 64 KiB")
                    break
                block = bytes(self._buffer[start:end])
                start = self._scanned = end + 2
                self._headers = _headers(block)
                if not self._headers:
                    self._headers = None
                    continue
                self._length = _length(self._headers)
            if len(self._buffer) - start < self._length:
                break
            body = bytes(self._buffer[start : start + self._length])
            start = self._scanned = start + self._length
            headers, self._headers = self._headers, None
            message = self._message(headers, body)
            if message is not None:
                messages.append(message)
        if start:
            del self._buffer[:start]
            self._scanned = max(self._scanned - start, 0)
        return messages

    def _message(self, headers: dict[str, str], body: bytes) -> Message | None:
        kind = headers.get("Content-Type", "")
        if kind == "text/disconnect-notice":
            if headers.get("Content-Disposition") == "linger":
                return None
            self.state = State.CLOSED
            return Disconnect(decode(body).strip())
        if kind == "text/rude-rejection":
            raise SwitchError(
                Finding(
                    "SwitchRefusedAddress",
                    "",
                    "The switch's event socket refuses connections from this address.",
                    "Allow loopback in apply-inbound-acl of event_socket.conf.xml.",
                )
            )
        if self.state is State.GREETING:
            if kind != "auth/request":
                raise _broken(f"a greeting of type {kind[:40]!r}")
            self.state = State.AUTH
            return AuthRequest()
        if kind == "command/reply":
            reply = CommandReply(headers.get("Reply-Text", ""))
            if self.state is State.AUTH and reply.ok:
                self.state = State.READY
            return reply
        if self.state is not State.READY:
            raise _broken(f"{kind[:40]!r} before the login")
        if kind == "api/response":
            return ApiResponse(body)
        if kind == "text/event-plain":
            return _event(body)
        if kind in {"log/data", "text/event-json", "text/event-xml"}:
            return None
        raise _broken(f"a message of type {kind[:40]!r}")


def _headers(block: bytes) -> dict[str, str]:
    found: dict[str, str] = {}
    for line in block.split(b"\n"):
        name, colon, value = line.partition(b":")
        if colon:
            found[decode(name.strip())] = decode(value.strip())
        elif line.strip():
            raise _broken(f"a line that is no header: {decode(line[:40])!r}")
    return found


def _event(body: bytes) -> Event:
    head, _, rest = body.partition(b"\n\n")
    headers: dict[str, str] = {}
    for line in head.split(b"\n"):
        name, colon, value = line.partition(b": ")
        if colon:
            headers[decode(name)] = decode(unquote_to_bytes(value)) if b"%" in value else decode(value)
    length = headers.get("Content-Length", "")
    return Event(headers, rest[: int(length)] if length.isdecimal() else b"")


def _length(headers: Mapping[str, str]) -> int:
    text = headers.get("Content-Length", "0")
    if not (text.isascii() and text.isdecimal()) or len(text) > 12 or int(text) > MAX_BODY:
        raise _broken(f"a body of {text[:20]!r} bytes")
    return int(text)


def _broken(what: str) -> SwitchError:
    return SwitchError(
        Finding(
            "NotAnEventSocket",
            "",
            f"What answers here is not FreeSWITCH's event socket: it sent {what}.",
            "Check the address and port given with --esl.",
        )
    )
