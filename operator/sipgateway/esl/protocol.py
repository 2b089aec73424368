"""The event socket protocol without I/O (fact 27): bytes in, messages out.

The caller feeds what the socket gave to `Protocol.receive`, acts on each message as its docstring says, and writes the
bytes that `send_auth` and the other senders give. Text is decoded as UTF-8 with surrogate escapes, so that no byte of
the switch is lost or raises. How the stream is split between calls never changes what comes out.
"""

from __future__ import annotations

import enum
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from urllib.parse import unquote_to_bytes

from sipgateway.api.codes import Code
from sipgateway.errors import SwitchError
from sipgateway.esl.codes import (
    ANSWER_TOO_LARGE,
    COMMAND_REFUSED,
    NOT_AN_EVENT_SOCKET,
    PASSWORD_UNUSABLE,
    SWITCH_REFUSED_ADDRESS,
)

#: Largest block of headers, in bytes. mod_event_socket's own are below 4 kB.
MAX_HEADERS = 64 * 1024

#: Largest body, in bytes. `sofia xmlstatus gateways` of 10,000 gateways is 10 MB (fact 20).
MAX_BODY = 64 * 1024 * 1024


class State(enum.Enum):
    """Where a connection stands."""

    WAIT_GREETING = "waiting for the greeting"
    WAIT_AUTH = "waiting to be logged in"
    READY = "logged in"
    CLOSED = "closed"


class _Kind(enum.Enum):
    """What a message is, by its Content-Type; a reply to `auth` counts by what it says."""

    GREETING = "auth/request"
    REJECTED = "text/rude-rejection"
    REPLY = "command/reply"
    ACCEPTED = "command/reply +OK"
    RESPONSE = "api/response"
    EVENT = "text/event-plain"
    JSON_EVENT = "text/event-json"
    XML_EVENT = "text/event-xml"
    LOG = "log/data"
    GOODBYE = "text/disconnect-notice"


_KINDS = {kind.value: kind for kind in _Kind}
_NOT_ASKED_FOR = frozenset({_Kind.JSON_EVENT, _Kind.XML_EVENT, _Kind.LOG})

# Why the table is complete: mod_event_socket sends one greeting (or a rejection by its ACL, and closes); until the
# login is accepted it answers one `auth` and closes when that was wrong; afterwards it sends replies, events and log
# lines in any order. It says goodbye whenever it ends a connection by itself. Anything else is another service.
_NEXT: Mapping[State, Mapping[_Kind, State]] = MappingProxyType(
    {
        State.WAIT_GREETING: {
            _Kind.GREETING: State.WAIT_AUTH,
            _Kind.REJECTED: State.CLOSED,
            _Kind.GOODBYE: State.CLOSED,
        },
        State.WAIT_AUTH: {
            _Kind.ACCEPTED: State.READY,
            _Kind.REPLY: State.WAIT_AUTH,
            _Kind.GOODBYE: State.CLOSED,
        },
        State.READY: {
            _Kind.ACCEPTED: State.READY,
            _Kind.REPLY: State.READY,
            _Kind.RESPONSE: State.READY,
            _Kind.EVENT: State.READY,
            _Kind.JSON_EVENT: State.READY,
            _Kind.XML_EVENT: State.READY,
            _Kind.LOG: State.READY,
            _Kind.GOODBYE: State.CLOSED,
        },
        State.CLOSED: {},
    }
)


@dataclass(frozen=True, slots=True)
class AuthRequest:
    """The greeting. Send `send_auth` now."""


@dataclass(frozen=True, slots=True)
class CommandReply:
    """Answer to anything but `api`, e.g. `+OK accepted`; it belongs to the oldest command that has none yet.

    Attributes:
        text: the Reply-Text.
    """

    text: str

    @property
    def ok(self) -> bool:
        """Whether it begins with +OK."""
        return self.text.startswith("+OK")


@dataclass(frozen=True, slots=True)
class ApiResponse:
    """Answer to `api`; it belongs to the oldest command that has none yet.

    Attributes:
        body: as it came. An api function that wrote nothing shows as `-ERR no reply` and a line feed.
    """

    body: bytes

    @property
    def text(self) -> str:
        """The body as text; bytes that are no UTF-8 survive as surrogate escapes."""
        return decode(self.body)


@dataclass(frozen=True, slots=True)
class Event:
    """An event. It belongs to no command.

    Attributes:
        headers: URL-decoded. The switch writes an empty value as `_undef_`; it stays so.
        body: what follows the headers inside the event.
    """

    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def name(self) -> str:
        """`Event-Subclass` of a CUSTOM event, else `Event-Name`."""
        return self.headers.get("Event-Subclass") or self.headers.get("Event-Name", "")


@dataclass(frozen=True, slots=True)
class Disconnect:
    """The switch is about to close: nothing more will come, and no command will be answered.

    Attributes:
        text: its words.
    """

    text: str


Message = AuthRequest | CommandReply | ApiResponse | Event | Disconnect


def decode(data: bytes) -> str:
    """Bytes of the switch as text, without loss."""
    return data.decode("utf-8", "surrogateescape")


class Protocol:
    """One connection, from the client's side.

    Attributes:
        state: where the connection stands.
        failure: why nothing more can be read; None while all is well. Close the connection when it is set.
    """

    def __init__(self, *, max_body: int = MAX_BODY) -> None:
        self.state = State.WAIT_GREETING
        self.failure: SwitchError | None = None
        self._max_body = max_body
        self._buffer = bytearray()
        self._start = 0  # everything before this index is done with
        self._scanned = 0  # no end of headers begins before this index
        self._headers: dict[str, str] | None = None  # of the message whose body is awaited
        self._length = 0

    def __repr__(self) -> str:
        return f"<Protocol {self.state.name}>"  # never the buffer: it holds what others may not see

    def receive(self, data: bytes) -> list[Message]:
        """Takes bytes in and gives the messages that are complete now. Takes linear time, however they are split.

        What precedes an error is still given; look at `failure` after each call. After `Disconnect` or a failure the
        state is CLOSED and everything that comes is passed over.
        """
        messages: list[Message] = []
        self._buffer += data
        try:
            while self.state is not State.CLOSED and self._complete():
                message = self._take()
                if message is not None:
                    messages.append(message)
        except SwitchError as error:
            self.failure = error
            self.state = State.CLOSED
        if self.state is State.CLOSED:
            self._start = len(self._buffer)
        del self._buffer[: self._start]
        self._scanned = max(self._scanned - self._start, 0)
        self._start = 0
        return messages

    def send_auth(self, password: str) -> bytes:
        """The bytes that log in; `CommandReply` comes back, and `Disconnect` too when the password was wrong.

        Raises:
            SwitchError: PasswordUnusable. Neither the password nor a part of it is in the error.
        """
        try:
            data = _line(f"auth {password}")
        except ValueError:
            data = b""
        if not data or not password:
            raise SwitchError(
                PASSWORD_UNUSABLE.finding("", "The event socket's password is empty or is not one line of text.")
            ) from None
        return data

    def send_command(self, text: str) -> bytes:
        """The bytes of one command; one `ApiResponse` comes back if it is an `api` command, else a `CommandReply`.

        Raises:
            SwitchError: CommandRefused, the text holds a line break or NUL: the rest would be another command.
        """
        try:
            return _line(text)
        except ValueError:
            raise SwitchError(COMMAND_REFUSED.finding("", f"{text[:60]!a} cannot be sent as one command.")) from None

    def send_subscribe(self, subclasses: Sequence[str]) -> bytes:
        """The bytes that ask for CUSTOM events of these subclasses (fact 22); a `CommandReply` comes back.

        Raises:
            SwitchError: CommandRefused, a subclass holds more than a name does.
        """
        if not subclasses or any(not name or any(c.isspace() for c in name) for name in subclasses):
            raise SwitchError(COMMAND_REFUSED.finding("", "A subclass of events is one word.", ""))
        return self.send_command(" ".join(("event plain CUSTOM", *subclasses)))

    def _complete(self) -> bool:
        """Whether a whole message is in the buffer; reads its headers as soon as they are there."""
        while self._headers is None:
            self._check_greeting()
            end = self._buffer.find(b"\n\n", max(self._start, self._scanned))
            # When only the first of the two line feeds is there, the block may still end in time.
            if (len(self._buffer) - 1 if end < 0 else end) - self._start > MAX_HEADERS:
                raise _broken(ANSWER_TOO_LARGE, f"headers of more than {MAX_HEADERS} bytes")
            if end < 0:
                self._scanned = len(self._buffer) - 1
                return False
            headers = _headers(bytes(self._buffer[self._start : end]))
            self._start = self._scanned = end + 2
            if headers:  # else an empty line between messages
                self._length = self._body_length(headers)
                self._headers = headers
        return len(self._buffer) - self._start >= self._length

    def _take(self) -> Message | None:
        headers, self._headers = self._headers or {}, None
        body = bytes(memoryview(self._buffer)[self._start : self._start + self._length])
        self._start = self._scanned = self._start + self._length
        return self._message(headers, body)

    def _check_greeting(self) -> None:
        """Says at once that a server of another kind greets us: it may never send the empty line that is waited for."""
        if self.state is State.WAIT_GREETING:
            said = bytes(self._buffer[self._start : self._start + 10]).lstrip(b"\n")
            if not b"content-".startswith(said[:8].lower()):
                raise _broken(NOT_AN_EVENT_SOCKET, f"a greeting that begins with {decode(said)!a}")

    def _message(self, headers: Mapping[str, str], body: bytes) -> Message | None:
        said = headers.get("content-type", "")
        kind = _KINDS.get(said)
        if kind is _Kind.REPLY and headers.get("reply-text", "").startswith("+OK"):
            kind = _Kind.ACCEPTED
        if kind is None or kind not in _NEXT[self.state]:
            raise _broken(NOT_AN_EVENT_SOCKET, f"a message of type {said[:40]!a} while {self.state.value}")
        self.state = _NEXT[self.state][kind]
        match kind:
            case _Kind.GREETING:
                return AuthRequest()
            case _Kind.REPLY | _Kind.ACCEPTED:
                return CommandReply(headers.get("reply-text", ""))
            case _Kind.RESPONSE:
                return ApiResponse(body)
            case _Kind.EVENT:
                return _event(body)
            case _Kind.GOODBYE:
                return Disconnect(decode(body).strip())
            case _Kind.REJECTED:
                raise SwitchError(
                    SWITCH_REFUSED_ADDRESS.finding("", "The switch's event socket refuses connections from here.")
                )
            case _:
                return None  # events in another format, log lines: never asked for

    def _body_length(self, headers: Mapping[str, str]) -> int:
        text = headers.get("content-length", "0")
        if not (text.isascii() and text.isdecimal()):
            raise _broken(NOT_AN_EVENT_SOCKET, f"a Content-Length of {text[:20]!a}")
        if len(text) > 12 or int(text) > self._max_body:
            raise _broken(ANSWER_TOO_LARGE, f"a message of {text[:20]} bytes (the limit is {self._max_body})")
        return int(text)


def _line(text: str) -> bytes:
    """Text as one command. Raises ValueError when it is none."""
    if any(c in text for c in "\r\n\0"):
        raise ValueError
    return text.encode("utf-8", "surrogateescape") + b"\n\n"


def _headers(block: bytes) -> dict[str, str]:
    found: dict[str, str] = {}
    for line in block.split(b"\n"):
        name, colon, value = line.partition(b":")
        if colon:
            found[decode(name.strip()).lower()] = decode(value.strip())
        elif line.strip():
            raise _broken(NOT_AN_EVENT_SOCKET, f"a line that is no header: {decode(line[:40])!a}")
    return found


def _event(body: bytes) -> Event:
    head, _, rest = body.partition(b"\n\n")
    headers: dict[str, str] = {}
    for line in head.split(b"\n"):
        name, colon, value = line.partition(b": ")
        if colon:
            headers[sys.intern(decode(name))] = decode(unquote_to_bytes(value) if b"%" in value else value)
    length = headers.get("Content-Length", "0")
    known = length.isascii() and length.isdecimal() and len(length) <= 12
    return Event(headers, rest[: int(length)] if known else rest)


def _broken(code: Code, what: str) -> SwitchError:
    return SwitchError(code.finding("", f"What answers as the switch's event socket sent {what}."))
