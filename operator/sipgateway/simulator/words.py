"""How FreeSWITCH reads words and numbers: pure functions over text, the same answers as its C.

In: text of a configuration or a command. Out: what mod_sofia makes of it.
"""

from __future__ import annotations

import re

_TRUE = frozenset({"yes", "on", "true", "t", "enabled", "active", "allow"})
_NUMBER = re.compile(r"[ \t\n\v\f\r]*([+-]?\d+)", re.ASCII)
_ALL_DIGITS = re.compile(r"[+-]?\d+(\.\d*)?", re.ASCII)
_NAME = re.compile(r"[\w.\-]+", re.ASCII)
_URL_UNSAFE = frozenset(b'\r\n #%&+:;<=>?@[\\]^`{|}"')
_URL_TABLE = tuple(
    f"%{byte:02X}" if byte < 0x20 or byte > 0x7E or byte in _URL_UNSAFE else chr(byte) for byte in range(256)
)
_HEX = frozenset("0123456789ABCDEF")
_AMP = str.maketrans({'"': "&quot;", "'": "&apos;", "&": "&amp;", "<": "&lt;", ">": "&gt;"})

#: Bytes of `xml_gateway_status`'s buffer: a longer value is cut.
AMP_BUFFER = 2096


def atoi(text: str | None) -> int:
    """C's atoi: leading digits, 0 when there are none, wrapped to 32 bits."""
    found = _NUMBER.match(text or "")
    if found is None:
        return 0
    return (int(found.group(1)[:40]) + 2**31) % 2**32 - 2**31


def is_true(text: str | None) -> bool:
    """FreeSWITCH's switch_true: a word of the list in any case, or a number that is not 0."""
    if text is None:
        return False
    word = text.lower()
    return word in _TRUE or (_ALL_DIGITS.fullmatch(text) is not None and atoi(text) != 0)


def is_gateway_name(text: str) -> bool:
    r"""Whether mod_sofia takes this gateway name: `^[\w.\-]+$`; PCRE's `$` lets one final newline pass (fact 11)."""
    return _NAME.fullmatch(text.removesuffix("\n")) is not None


def url_encode(text: str) -> str:
    """The encoding of header values in `event plain` (fact 22): what already is `%XX` stays as it is."""
    data = text.encode("utf-8", "surrogateescape")
    if b"%" not in data:
        return "".join([_URL_TABLE[byte] for byte in data])
    out: list[str] = []
    for index, byte in enumerate(data):
        after = data[index + 1 : index + 3].decode("latin-1")
        keep = byte == 0x25 and len(after) == 2 and set(after) <= _HEX
        out.append("%" if keep else _URL_TABLE[byte])
    return "".join(out)


def amp_encode(text: str) -> str:
    """The XML escaping of mod_sofia's xmlstatus, of the fields that it escapes at all (fact 39)."""
    encoded = text.translate(_AMP)
    return encoded if len(encoded) < AMP_BUFFER else encoded[: AMP_BUFFER - 1]


def host_of(uri: str | None) -> str | None:
    """The host that a digest challenge's address is compared with (fact 35).

    Everything from the last colon on is cut, so `host;transport=udp` without a port stays whole and matches nothing.
    """
    if not uri:
        return None
    rest = uri
    for scheme in ("sip:", "sips:"):
        if uri[: len(scheme)].lower() == scheme:
            rest = uri[len(scheme) :]
            break
    bracket = rest.find("]")
    if bracket >= 0:
        return rest[: bracket + 1] if rest[bracket + 1 : bracket + 2] == ":" else rest
    colon = rest.rfind(":")
    return rest if colon < 0 else rest[:colon]


def transport_of(text: str) -> str | None:
    """The transport that `register-transport` names, matched by prefix; None when unknown (fact 13)."""
    word = text.lower()
    for prefix, transport in (("udp", "udp"), ("tcp", "tcp"), ("sctp", "sctp"), ("tls", "tls")):
        if word.startswith(prefix):
            return transport
    return None


def separate(text: str, limit: int) -> list[str]:
    """FreeSWITCH's switch_separate_string at blanks: runs of blanks are one, the last piece keeps the rest."""
    pieces: list[str] = []
    rest = text.strip(" ")
    while rest:
        if len(pieces) == limit - 1:
            pieces.append(rest)
            break
        piece, _, rest = rest.partition(" ")
        pieces.append(piece)
        rest = rest.lstrip(" ")
    return pieces
