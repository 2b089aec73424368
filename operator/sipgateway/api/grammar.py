r"""Which texts may stand where in a SIP message: RFC 3261 section 25.1, less what mod_sofia or sofia-sip breaks on.

In: a grammar and a text. Out: None, or words that say what is wrong. One regular expression per grammar, in the common
subset of Python's `re` and RE2, so that the CRD's CEL rules and the Python checks are the same rule by construction.
mod_sofia pastes parameters into SIP messages as they are (fact 33); what passes here needs no escaping anywhere.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

from sipgateway.api import names
from sipgateway.api.params import Grammar

#: Inside a character class: control characters and what XML 1.0 cannot carry. RE2 has no surrogates to exclude.
_CONTROLS = r"\x00-\x1f\x7f-\x9f\x{fffe}\x{ffff}"

#: A control character or one that XML cannot carry, anywhere in a text.
CONTROL = rf"[{_CONTROLS}]"

_OCTET = r"(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_IPV4 = rf"{_OCTET}(?:\.{_OCTET}){{3}}"
#: RFC 3261 hostname: the last label begins with a letter, so that no broken IPv4 address passes as a name.
_HOSTNAME = r"(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)*[A-Za-z](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.?"
_H16 = "[0-9A-Fa-f]{1,4}"
#: IPv6 without zone and without an embedded IPv4 address.
_IPV6 = "|".join(
    [
        rf"(?:{_H16}:){{7}}{_H16}",
        rf"(?:{_H16}:){{1,7}}:",
        *(rf"(?:{_H16}:){{1,{7 - n}}}(?::{_H16}){{1,{n}}}" for n in range(1, 7)),
        rf":(?::{_H16}){{1,7}}",
        "::",
    ]
)
_PORT = r"(?:6553[0-5]|655[0-2][0-9]|65[0-4][0-9]{2}|6[0-4][0-9]{3}|[1-5][0-9]{4}|[1-9][0-9]{0,3})"
_HOST = rf"(?:{_IPV4}|{_HOSTNAME}|\[(?:{_IPV6})\])"
_HOST_PORT = rf"{_HOST}(?::{_PORT})?"

#: The parameters of proxy go into a To without angle brackets (distinctTo), where they are header parameters: only
#: characters that are right in both (RFC 3261 20.10), and no `:`, at which mod_sofia looks for the port.
_PROXY_WORD = r"[A-Za-z0-9_.!~*'+-]+"
_PROXY_PARAMS = rf"(?:;{_PROXY_WORD}(?:={_PROXY_WORD})?)*"
#: `paramchar` without escapes, and without the brackets that sofia-sip's URL parser refuses.
_PARAM_WORD = r"[A-Za-z0-9_.!~*'()/:&+$-]+"
_PARAM = rf"{_PARAM_WORD}(?:={_PARAM_WORD})?"

_TOKEN = r"[A-Za-z0-9.!%*_+`'~-]+"
_TOKEN_NODOT = r"[A-Za-z0-9!%*_+`'~-]+"

#: `user` without escapes and without `,` `/` `;` `?`, which are legal there, but send nothing (fact 33) or need the
#: angle brackets that mod_sofia does not write around a To (RFC 3261 20.10).
_USER_CHARS = r"A-Za-z0-9_.!~*'()&=+$-"

_PATTERNS: Mapping[Grammar, str] = MappingProxyType(
    {
        Grammar.TEXT: rf"[^{_CONTROLS}]+",
        Grammar.USER: rf"[{_USER_CHARS}]+",
        Grammar.AUTH_USER: rf"[^{_CONTROLS}\x22\x5c:]+",
        Grammar.REALM: rf"[^{_CONTROLS}\x22\x5c]+",
        Grammar.SCHEME: _TOKEN,
        Grammar.HOST: rf"(?:{_IPV4}|{_HOSTNAME}|{_IPV6})",
        Grammar.HOST_PORT: _HOST_PORT,
        Grammar.PROXY: _HOST_PORT + _PROXY_PARAMS,
        Grammar.HOST_OR_URI: rf"(?:[Ss][Ii][Pp][Ss]?:)?{_HOST_PORT}{_PROXY_PARAMS}",
        Grammar.URI_PARAMS: rf";?{_PARAM}(?:;{_PARAM})*",
        Grammar.SECRET: rf"[^{_CONTROLS}:]+",
    }
)

#: RFC 6665 8.4 event-type, without parameters: mod_sofia finds a subscription by the bare word.
EVENT = rf"{_TOKEN_NODOT}(?:\.{_TOKEN_NODOT})*"
#: One media-range of an Accept header, parameters with token values.
MEDIA_TYPE = rf"{_TOKEN}/{_TOKEN}(?:;{_TOKEN}={_TOKEN})*"
#: Inside a character class: what XML 1.0 cannot carry.
NOT_XML = r"\x00-\x08\x0b\x0c\x0e-\x1f\x{fffe}\x{ffff}"
#: Printable ASCII without blanks and `[` (fact 33).
VARIABLE_NAME = r"[!-Z\x5c-~]+"
#: A variable that mod_sofia writes as a header of its own, and one whose header has a name (fact 33, RFC 3261 `token`).
HEADER_VARIABLE = r"(?i)~?sip_(?:h|rh|ph|bye_h|info_h)_"
HEADER_VARIABLE_GOOD = rf"(?i)~?sip_(?:h|rh|ph|bye_h|info_h)_{_TOKEN}"
#: FreeSWITCH does not set a value with this on a channel.
EXPANSION = r"\$[\x5c$]*\{"
#: A parameter's name: what mod_sofia's own names look like.
PARAMETER_NAME = r"[A-Za-z0-9_][A-Za-z0-9_.-]*"
#: A Sofia profile, as it stands in a command and in a path.
PROFILE_NAME = names.PROFILE_NAME.pattern
#: mod_sofia drops a gateway of another name (fact 11).
GATEWAY_NAME = names.GATEWAY_NAME.pattern
#: A label of RFC 1123: `spec.switch` is a label's value and part of other objects' names.
DNS_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
DNS_SUBDOMAIN = r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*"
SECRET_KEY = r"[A-Za-z0-9_.-]+"
#: A directory user and domain: parts of a path, and of an XML attribute.
DIRECTORY_USER = r"[A-Za-z0-9_+][A-Za-z0-9_.+-]*"
DIRECTORY_DOMAIN = rf"(?:{_IPV4}|{_HOSTNAME})"

#: Parameters of proxy, outboundProxy and registerProxy that cannot stand there: `tag` would be the To's own tag, and
#: mod_sofia cuts a URI at `;fs_`.
RESERVED_PROXY_PARAM = r"(?i);(?:tag|fs_[^;=]*)(?:[;=]|$)"
#: Parameters of contactParams that cannot stand there: mod_sofia appends its own transport and gw, and cuts at `;fs_`.
RESERVED_CONTACT_PARAM = r"(?i)(?:^|;)(?:transport|gw|fs_[^;=]*)(?:[;=]|$)"
#: A transport parameter of a proxy, and one that mod_sofia and sofia-sip both read.
TRANSPORT_PARAM = r"(?i);transport(?:[;=]|$)"
TRANSPORT_PARAM_KNOWN = r"(?i);transport=(?:udp|tcp|tls|sctp)(?:;|$)"
#: One of RFC 3261's own URI parameters that stands there twice (19.1.1).
TWICE = "(?i)" + "|".join(
    rf"(?:^|;){name}(?:=[^;]*)?;(?:.*;)?{name}(?:[;=]|$)"
    for name in ("transport", "user", "method", "ttl", "maddr", "lr")
)
#: Where calls go is said by the gateway's name alone: only a name like this can be meant (gateway-params.md, realm).
DOTTED_NAME = (
    r"(?:[0-9]{1,3}(?:\.[0-9]{1,3}){3}|"
    r"(?:[A-Za-z0-9]+(?:-+[A-Za-z0-9]+)*\.)+[A-Za-z][A-Za-z0-9]*(?:-+[A-Za-z0-9]+)*)"
)
#: Parameters without a port: mod_sofia takes all of it for the host's name (fact 35).
PARAMS_WITHOUT_PORT = rf"(?:[Ss][Ii][Pp][Ss]?:)?{_HOST};.*"

_DESCRIPTIONS: Mapping[Grammar, str] = MappingProxyType(
    {
        Grammar.SCHEME: "a SIP token (letters, digits and - . ! % * _ + ` ' ~)",
        Grammar.HOST: "a host name, an IPv4 address, or an IPv6 address without brackets, without a port",
        Grammar.HOST_PORT: "host or host:port (an IPv6 address in brackets, a port from 1 to 65535)",
        Grammar.PROXY: "host[:port][;uri-parameters] (an IPv6 address in brackets, a port from 1 to 65535)",
        Grammar.HOST_OR_URI: "[sip:]host[:port][;uri-parameters], without a user (an IPv6 address in brackets)",
        Grammar.URI_PARAMS: "URI parameters such as a=b;c, without blanks, quotes, brackets and % escapes",
    }
)


def pattern(grammar: Grammar) -> str:
    r"""The whole text's regular expression, in RE2's syntax, without anchors (`\x{fffe}` is not Python's)."""
    return _PATTERNS[grammar]


def python_pattern(re2: str) -> re.Pattern[str]:
    r"""The same expression for `re`: `\x{fffe}` becomes `\ufffe`. Use it with fullmatch, or search for a part."""
    return re.compile(re.sub(r"\\x\{([0-9a-f]{4})\}", r"\\u\1", re2), re.ASCII)


_COMPILED = {grammar: python_pattern(text) for grammar, text in _PATTERNS.items()}
_RESERVED_PROXY_PARAM = python_pattern(RESERVED_PROXY_PARAM)
_RESERVED_CONTACT_PARAM = python_pattern(RESERVED_CONTACT_PARAM)
_TRANSPORT_PARAM = python_pattern(TRANSPORT_PARAM)
_TRANSPORT_PARAM_KNOWN = python_pattern(TRANSPORT_PARAM_KNOWN)
_TWICE = python_pattern(TWICE)
_CONTROL = python_pattern(rf"[{_CONTROLS}\ud800-\udfff]")
_ASTRAY = {
    Grammar.USER: python_pattern(rf"[^{_USER_CHARS}]"),
    Grammar.AUTH_USER: python_pattern(r"[\x22\x5c:]"),
    Grammar.REALM: python_pattern(r"[\x22\x5c]"),
    Grammar.SECRET: python_pattern(":"),
}
_URI_GRAMMARS = frozenset({Grammar.PROXY, Grammar.HOST_OR_URI})


def violation(grammar: Grammar, text: str) -> str | None:
    """Says what is wrong with a text, or None. Never quotes the text of a secret.

    Args:
        grammar: what the text must be.
        text: any text at all.
    """
    if not text:
        return "it is empty"
    control = control_character(text)
    if control is not None:
        return control
    astray = _ASTRAY.get(grammar)
    if astray is not None and (found := astray.search(text)):
        character = f"U+{ord(found[0]):04X}" if grammar is Grammar.SECRET else named(found[0])
        return f"{character} cannot stand in it"
    if _COMPILED[grammar].fullmatch(text) is None:
        return f"it is not {_DESCRIPTIONS[grammar]}"
    if grammar in _URI_GRAMMARS or grammar is Grammar.URI_PARAMS:
        return _parameter_violation(grammar, text)
    return None


def control_character(text: str, *, lines: bool = False) -> str | None:
    """Says which control character or character outside XML a text holds, or None.

    Args:
        text: any text.
        lines: whether every character that XML can carry is fine, line ends among them.
    """
    for found in _CONTROL.finditer(text):
        if not lines or not (found[0] in "\t\n\r" or "\x7f" <= found[0] <= "\x9f"):
            kind = "control character" if found[0] < "\xa0" else "character that XML cannot carry"
            return f"it holds a {kind}, U+{ord(found[0]):04X}"
    return None


def uri_parameters(text: str) -> tuple[tuple[str, str | None], ...]:
    """Name and value, in lower case, of each URI parameter: of all that stands behind the first `;`."""
    return tuple(_parameter(part) for part in text.split(";")[1:])


def transport_of(proxy: str) -> str | None:
    """The transport parameter of a proxy in lower case, None when there is none with a value."""
    return dict(uri_parameters(proxy)).get("transport")


def named(character: str) -> str:
    """A character as a message shows it."""
    return f'"{character}"' if character.isprintable() and character != " " else f"U+{ord(character):04X}"


def _parameter(part: str) -> tuple[str, str | None]:
    name, equals, value = part.partition("=")
    return name.lower(), value.lower() if equals else None


def _parameter_violation(grammar: Grammar, text: str) -> str | None:
    if grammar in _URI_GRAMMARS:
        if found := _RESERVED_PROXY_PARAM.search(text):
            return f"the parameter {found[0].strip(';=')} cannot stand there"
        if _TRANSPORT_PARAM.search(text) and not _TRANSPORT_PARAM_KNOWN.search(text):
            return "its transport is none of udp, tcp, tls, sctp"
    elif found := _RESERVED_CONTACT_PARAM.search(text):
        return f"the parameter {found[0].strip(';=')} cannot stand there: mod_sofia writes its own, or cuts there"
    return "a parameter stands there twice" if _TWICE.search(text) else None
