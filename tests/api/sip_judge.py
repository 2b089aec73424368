"""A small strict parser of SIP requests, by RFC 3261's grammar (section 25.1). It shares nothing with the product.

In: the bytes of a request. Out: its parts, every one read by the grammar; anything outside it is `NotSipError`. It is
stricter than the RFC where the RFC is lenient for old senders: no line folding, no blanks around `=` and `;`, no
empty parameters, a UTF-8 header value at most.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

_ALPHANUM = "A-Za-z0-9"
_MARK = re.escape("-_.!~*'()")
_UNRESERVED = _ALPHANUM + _MARK
_TOKEN = re.compile(f"[{_ALPHANUM}" + re.escape("-.!%*_+`'~") + "]+")
_USER = re.compile(f"(?:[{_UNRESERVED}" + re.escape("&=+$,;?/") + "]|%[0-9A-Fa-f]{2})+")
_PARAM_CHARS = re.compile(f"(?:[{_UNRESERVED}" + re.escape("[]/:&+$") + "]|%[0-9A-Fa-f]{2})+")
_LABEL = re.compile("[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?")
_TOP_LABEL = re.compile("[A-Za-z]([A-Za-z0-9-]*[A-Za-z0-9])?")
_IPV4 = re.compile(r"[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}")
_METHOD = re.compile(r"(REGISTER|OPTIONS|INVITE|SUBSCRIBE) (\S+) SIP/2\.0")


class NotSipError(ValueError):
    """A byte stands where the grammar does not allow it."""


@dataclass(frozen=True)
class Uri:
    """A SIP or SIPS URI without headers."""

    scheme: str
    user: str | None
    host: str
    port: int | None
    params: tuple[tuple[str, str | None], ...]


@dataclass(frozen=True)
class Address:
    """name-addr or addr-spec with its header parameters."""

    uri: Uri
    params: tuple[tuple[str, str | None], ...]


@dataclass(frozen=True)
class Request:
    """A request: header values as they stand, by name, in order."""

    method: str
    uri: Uri
    headers: tuple[tuple[str, str], ...]

    def get(self, name: str) -> str:
        """The value of a header that stands there exactly once."""
        values = [value for key, value in self.headers if key == name]
        if len(values) != 1:
            raise NotSipError(f"{len(values)} headers {name}")
        return values[0]


def parse_request(data: bytes) -> Request:
    """Reads a whole request without a body.

    Raises:
        NotSipError: a byte is out of its place.
    """
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise NotSipError("not UTF-8") from error
    head, end, body = text.partition("\r\n\r\n")
    if not end or body:
        raise NotSipError("no end of the headers, or something behind it")
    start, *lines = head.split("\r\n")
    match = _METHOD.fullmatch(start)
    if match is None:
        raise NotSipError(f"start line {start!r}")
    headers = []
    for line in lines:
        name, colon, value = line.partition(": ")
        if not colon or _TOKEN.fullmatch(name) is None:
            raise NotSipError(f"header {line!r}")
        if any(ord(c) < 0x20 or 0x7F <= ord(c) < 0xA0 for c in value):
            raise NotSipError(f"control character in {line!r}")
        headers.append((name, value))
    return Request(match[1], uri(match[2]), tuple(headers))


def uri(text: str) -> Uri:
    """`SIP-URI` or `SIPS-URI`, without headers."""
    scheme, colon, rest = text.partition(":")
    if not colon or scheme.lower() not in {"sip", "sips"}:
        raise NotSipError(f"scheme of {text!r}")
    user: str | None = None
    if "@" in rest:
        user, _, rest = rest.partition("@")
        if _USER.fullmatch(user) is None:
            raise NotSipError(f"user {user!r}")
    hostport, *parameters = rest.split(";")
    host, port = host_and_port(hostport)
    return Uri(scheme.lower(), user, host, port, tuple(_uri_parameter(p) for p in parameters))


def host_and_port(text: str) -> tuple[str, int | None]:
    """`hostport`."""
    if text.startswith("["):
        literal, bracket, rest = text[1:].partition("]")
        if not bracket:
            raise NotSipError(f"host {text!r}")
        try:
            ipaddress.IPv6Address(literal)
        except ValueError as error:
            raise NotSipError(f"host {text!r}") from error
        if "%" in literal:
            raise NotSipError(f"zone in {text!r}")
        return f"[{literal}]", _port(rest)
    host, colon, rest = text.partition(":")
    check_host(host)
    return host, _port(colon + rest)


def check_host(host: str) -> None:
    """`hostname` or `IPv4address`."""
    if _IPV4.fullmatch(host):
        try:
            ipaddress.IPv4Address(host)
        except ValueError as error:
            raise NotSipError(f"host {host!r}") from error
        return
    *labels, top = host.removesuffix(".").split(".")
    if not all(_LABEL.fullmatch(label) for label in labels) or _TOP_LABEL.fullmatch(top) is None:
        raise NotSipError(f"host {host!r}")


def address(text: str) -> Address:
    """`name-addr` without a display name, or `addr-spec`, and header parameters."""
    if text.startswith("<"):
        inside, bracket, rest = text[1:].partition(">")
        if not bracket:
            raise NotSipError(f"address {text!r}")
        return Address(uri(inside), _header_parameters(rest))
    # RFC 3261 20.10: without brackets, what follows `;` belongs to the header, and the URI may have no `,` `?`.
    inside, semicolon, rest = text.partition(";")
    if "," in inside or "?" in inside:
        raise NotSipError(f"address {text!r}")
    return Address(uri(inside), _header_parameters(semicolon + rest))


def quoted_string(text: str) -> str:
    """What a `quoted-string` says; only qdtext, no escapes."""
    if len(text) < 2 or text[0] != '"' or text[-1] != '"':
        raise NotSipError(f"quoted string {text!r}")
    inside = text[1:-1]
    if any(c in '"\\' or (ord(c) < 0x20 and c != "\t") or ord(c) == 0x7F for c in inside):
        raise NotSipError(f"quoted string {text!r}")
    return inside


def token(text: str) -> str:
    """A `token`."""
    if _TOKEN.fullmatch(text) is None:
        raise NotSipError(f"token {text!r}")
    return text


def event_type(text: str) -> str:
    """RFC 6665 8.4 `event-type`, without parameters."""
    for part in text.split("."):
        token(part)
    return text


def media_type(text: str) -> str:
    """One `media-range` with parameters."""
    kind, *parameters = text.split(";")
    major, slash, minor = kind.partition("/")
    token(major)
    token(minor)
    for parameter in parameters:
        name, equals, value = parameter.partition("=")
        token(name)
        if equals:
            token(value)
    if not slash:
        raise NotSipError(f"media type {text!r}")
    return text


def _port(text: str) -> int | None:
    if not text:
        return None
    if not re.fullmatch(":[0-9]{1,5}", text) or not 1 <= int(text[1:]) <= 65535:
        raise NotSipError(f"port {text!r}")
    return int(text[1:])


def _uri_parameter(text: str) -> tuple[str, str | None]:
    name, equals, value = text.partition("=")
    if _PARAM_CHARS.fullmatch(name) is None or (equals and _PARAM_CHARS.fullmatch(value) is None):
        raise NotSipError(f"URI parameter {text!r}")
    return name, value if equals else None


def _header_parameters(text: str) -> tuple[tuple[str, str | None], ...]:
    if not text:
        return ()
    first, *parts = text.split(";")
    if first:
        raise NotSipError(f"header parameters {text!r}")
    return tuple(_header_parameter(part) for part in parts)


def _header_parameter(text: str) -> tuple[str, str | None]:
    name, equals, value = text.partition("=")
    token(name)
    if equals:
        if value.startswith('"'):
            quoted_string(value)
        elif _TOKEN.fullmatch(value) is None:
            host_and_port(value)
    return name, value if equals else None
