"""Checks of each parameter for itself, by its row of the table: grammar, words and bounds."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType

from sipgateway.api import grammar
from sipgateway.api.checks.reading import Check, number, shown, text
from sipgateway.api.codes import parameters as codes
from sipgateway.api.codes.code import Code
from sipgateway.api.params import PARAMS, Grammar, Kind, Param
from sipgateway.api.spec import SipGateway
from sipgateway.errors import Finding

_TEXTS = tuple(p for p in PARAMS if p.kind is Kind.TEXT and not p.secret)
_NUMBERS = tuple(p for p in PARAMS if p.kind is Kind.INT)
_SCHEME = re.compile(r"sips?:", re.IGNORECASE)
_PARAMS_WITHOUT_PORT = grammar.python_pattern(grammar.PARAMS_WITHOUT_PORT)
_COUNTS = frozenset({"pingMin", "pingMax", "regId"})
_PROXIES = ("proxy", "outboundProxy", "registerProxy")

CODE_OF_GRAMMAR: Mapping[Grammar, Code] = MappingProxyType(
    {
        Grammar.TEXT: codes.CONTROL_CHARACTER,
        Grammar.USER: codes.SIP_USER_INVALID,
        Grammar.AUTH_USER: codes.DIGEST_USER_INVALID,
        Grammar.REALM: codes.REALM_INVALID,
        Grammar.HOST: codes.HOST_INVALID,
        Grammar.HOST_PORT: codes.HOST_INVALID,
        Grammar.PROXY: codes.PROXY_INVALID,
        Grammar.HOST_OR_URI: codes.SIP_URI_INVALID,
        Grammar.URI_PARAMS: codes.URI_PARAMS_INVALID,
    }
)


def texts(gateway: SipGateway) -> Iterator[Finding]:
    """Every text is what its row wants, so that it stays in its place in a SIP message (fact 33)."""
    for param in _TEXTS:
        value = gateway.spec.params.get(param.field)
        if not isinstance(value, str):
            continue
        field = f"spec.{param.field}"
        if param.refused is not None:
            yield codes.PARAMETER_REFUSED.because(field, "It is never set.")
        elif param.choices:
            yield from _choice(param, value, field)
        elif not value:
            yield codes.EMPTY_VALUE.because(field, "The text is empty.")
        elif control := grammar.control_character(value):
            yield codes.CONTROL_CHARACTER.because(field, _sentence(control))
        elif param.field == "proxy" and _SCHEME.match(value):
            yield codes.PROXY_SCHEME.because(field, f"{shown(value)} begins with a scheme.")
        elif value not in param.words and (wrong := grammar.violation(param.grammar, value)):
            what = f"{shown(value)}: {wrong}."
            yield CODE_OF_GRAMMAR[param.grammar].because(field, what)


def ports(gateway: SipGateway) -> Iterator[Finding]:
    """A proxy with URI parameters has a port, unless an ACL says whose challenges are answered (fact 35)."""
    if text(gateway, "gwAuthAcl") is not None:
        return
    for field in _PROXIES:
        value = text(gateway, field)
        if value is not None and _PARAMS_WITHOUT_PORT.fullmatch(value):
            yield codes.PORT_MISSING.because(f"spec.{field}", f"{shown(value)} has no port.")


def numbers(gateway: SipGateway) -> Iterator[Finding]:
    """Every number is one that mod_sofia takes as it is."""
    for param in _NUMBERS:
        value = number(gateway, param.field)
        if value is None:
            continue
        field = f"spec.{param.field}"
        if param.minimum is not None and value < param.minimum:
            code, why = too_small(param)
            yield code.finding(field, f"{value} is below {param.minimum}. {why}")
        elif param.maximum is not None and value > param.maximum:
            yield codes.NUMBER_TOO_LARGE.because(field, f"{value} is above {param.maximum}.")


def too_small(param: Param) -> tuple[Code, str]:
    """The code of a number below the row's bound, and why it is one."""
    if param.field == "ping":
        return codes.PING_TOO_SHORT, codes.PING_TOO_SHORT.why
    if param.field in _COUNTS:
        return codes.NUMBER_TOO_SMALL, codes.NUMBER_TOO_SMALL.why
    return codes.NUMBER_COERCED, param.hazard


def _choice(param: Param, value: str, field: str) -> Iterator[Finding]:
    if value in param.choices:
        return
    words = ", ".join(param.choices)
    close = difflib.get_close_matches(value.lower(), [c.lower() for c in param.choices], n=1, cutoff=0.5)
    meant = f" Did you mean {next(c for c in param.choices if c.lower() == close[0])}?" if close else ""
    message = f"{shown(value)} is not one of {words}.{meant} {param.hazard}"
    yield codes.CHOICE_UNKNOWN.finding(field, message, f"Write one of: {words}.")


def _sentence(words: str) -> str:
    return f"{words[0].upper()}{words[1:]}."


CHECKS: tuple[Check, ...] = (texts, ports, numbers)
