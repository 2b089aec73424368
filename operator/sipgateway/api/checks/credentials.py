"""Checks of what came out of Secrets. No finding shows any part of a value, nor its length."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from sipgateway.api import grammar
from sipgateway.api.checks.together import DIGEST_BYTES
from sipgateway.api.codes import objects as codes
from sipgateway.api.codes import parameters, together
from sipgateway.api.gateway import Gateway, Parameter
from sipgateway.api.params import BY_XML
from sipgateway.errors import Finding


def secret_values(gateway: Gateway) -> Iterator[Finding]:
    """Each value is one that reaches the carrier as the Secret has it."""
    for parameter in gateway.parameters:
        if parameter.secret:
            yield from _value(parameter)


def digest_length(gateway: Gateway) -> Iterator[Finding]:
    """User name, realm and password fit into mod_sofia's buffer (fact 34)."""
    password = gateway.get("password")
    if not password:
        return
    user = gateway.get("auth-username") or gateway.get("username") or "FreeSWITCH"
    total = sum(len(part.encode("utf-8", "surrogatepass")) for part in (user, gateway.get("realm") or "", password))
    if total > DIGEST_BYTES:
        what = f"With user name and realm it has more than {DIGEST_BYTES} bytes."
        yield together.DIGEST_TOO_LONG.because("spec.passwordFrom", what)


def _value(parameter: Parameter) -> Iterator[Finding]:
    param = BY_XML[parameter.name]
    field = f"spec.{param.secret_source}"
    value = parameter.value
    if not value:
        yield codes.SECRET_EMPTY.because(field, "The value is empty.")
    elif value.endswith(("\n", "\r")):
        yield codes.SECRET_LINE_END.because(field, "The value ends with a line end.")
    elif not param.secret and len(value) > param.max_length:
        yield parameters.SIP_USER_INVALID.because(field, "The value is longer than any user name.")
    elif wrong := grammar.violation(param.grammar, value):
        if param.secret or grammar.control_character(value):
            yield codes.SECRET_CHARACTER.because(field, f"The value cannot be used: {wrong}.")
        else:
            yield parameters.SIP_USER_INVALID.because(field, "The value is not a SIP user.")
    elif value != value.strip():
        yield codes.SECRET_BLANKS.because(field, "There are blanks at an end of the value.")


CHECKS: tuple[Callable[[Gateway], Iterator[Finding]], ...] = (secret_values, digest_length)
