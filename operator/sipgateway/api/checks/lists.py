"""Checks of the lists: variables, subscriptions and extra parameters."""

from __future__ import annotations

from collections.abc import Iterator

from sipgateway.api import grammar
from sipgateway.api.checks.reading import Check, shown
from sipgateway.api.codes import lists as codes
from sipgateway.api.codes import parameters
from sipgateway.api.names import REVISION_VARIABLE
from sipgateway.api.params import BY_XML, Grammar
from sipgateway.api.spec import SipGateway, Variable
from sipgateway.errors import Finding

_VARIABLE_NAME = grammar.python_pattern(grammar.VARIABLE_NAME)
_HEADER_VARIABLE = grammar.python_pattern(grammar.HEADER_VARIABLE)
_HEADER_VARIABLE_GOOD = grammar.python_pattern(grammar.HEADER_VARIABLE_GOOD)
_EXPANSION = grammar.python_pattern(grammar.EXPANSION)
_EVENT = grammar.python_pattern(grammar.EVENT)
_MEDIA_TYPE = grammar.python_pattern(grammar.MEDIA_TYPE)
_PARAMETER_NAME = grammar.python_pattern(grammar.PARAMETER_NAME)

#: mod_sofia's bounds of a subscription's seconds (gateway-params.md); above a day it is a mistake.
SUBSCRIPTION_EXPIRE_MINIMUM = 5
SUBSCRIPTION_RETRY_MINIMUM = 10
SUBSCRIPTION_MAXIMUM = 86_400

#: `sip_` variables that hold whole bodies, where a line end is in its place.
BODY_VARIABLES = ("sip_append_audio_sdp", "sip_multipart")


def variable_names(gateway: SipGateway) -> Iterator[Finding]:
    """Names that FreeSWITCH keeps as they are, and that are not ours (fact 33)."""
    for index, variable in enumerate(gateway.spec.variables):
        field = f"spec.variables[{index}].name"
        name = variable.name
        if _VARIABLE_NAME.fullmatch(name) is None:
            yield codes.VARIABLE_NAME_INVALID.because(field, f"{shown(name)} is not a variable's name.")
        elif name.lower() == REVISION_VARIABLE:
            yield codes.VARIABLE_RESERVED.because(field, f"{name} is this product's own.")
        elif _HEADER_VARIABLE.match(name) and _HEADER_VARIABLE_GOOD.fullmatch(name) is None:
            yield codes.VARIABLE_HEADER_INVALID.because(field, f"{shown(name)} names no header.")


def variable_values(gateway: SipGateway) -> Iterator[Finding]:
    """Values that arrive byte for byte (fact 33), and stay in their place in a SIP message."""
    for index, variable in enumerate(gateway.spec.variables):
        field = f"spec.variables[{index}].value"
        value = variable.value
        if not value:
            yield codes.VARIABLE_EMPTY.because(field, "The value is empty.")
            continue
        if value.startswith("ARRAY::"):
            yield codes.VARIABLE_ARRAY.because(field, "It begins with ARRAY::.")
        if wrong := grammar.control_character(value, lines=True):
            yield codes.VARIABLE_CHARACTER.because(field, f"{wrong[0].upper()}{wrong[1:]}.")
        elif _on_the_wire(variable) and (wrong := grammar.control_character(value)):
            yield codes.VARIABLE_LINE_END.because(field, f"{wrong[0].upper()}{wrong[1:]}.")
        if _EXPANSION.search(value):
            yield codes.VARIABLE_EXPANSION.because(field, f"{variable.name} would not be set on any call.")


def variables_once(gateway: SipGateway) -> Iterator[Finding]:
    """No two variables of a name, in any case, on the same leg (facts 26, 33)."""
    seen: dict[str, list[Variable]] = {}
    for index, variable in enumerate(gateway.spec.variables):
        same = seen.setdefault(variable.name.lower(), [])
        if any(None in {one.direction, variable.direction} or one.direction == variable.direction for one in same):
            what = f"{shown(variable.name)} is set above on the same leg."
            yield codes.VARIABLE_TWICE.because(f"spec.variables[{index}].name", what)
        same.append(variable)


def subscriptions(gateway: SipGateway) -> Iterator[Finding]:
    """Subscriptions that mod_sofia sends as they are written, each event once."""
    seen: set[str] = set()
    for index, subscription in enumerate(gateway.spec.subscriptions):
        path = f"spec.subscriptions[{index}]"
        event = subscription.event
        if _EVENT.fullmatch(event) is None:
            yield codes.SUBSCRIPTION_EVENT_INVALID.because(f"{path}.event", f"{shown(event)} is not an event type.")
        if event.lower() in seen:
            yield codes.SUBSCRIPTION_TWICE.because(f"{path}.event", f"{shown(event)} stands above.")
        seen.add(event.lower())
        content_type = subscription.content_type
        if content_type is not None and _MEDIA_TYPE.fullmatch(content_type) is None:
            what = f"{shown(content_type)} is not type/subtype."
            yield codes.SUBSCRIPTION_TYPE_INVALID.because(f"{path}.contentType", what)
        yield from _seconds(f"{path}.expireSeconds", subscription.expire_seconds, SUBSCRIPTION_EXPIRE_MINIMUM, 3600)
        yield from _seconds(f"{path}.retrySeconds", subscription.retry_seconds, SUBSCRIPTION_RETRY_MINIMUM, 30)


def extra_params(gateway: SipGateway) -> Iterator[Finding]:
    """Extra parameters are outside the table, and each stands there once."""
    seen: set[str] = set()
    for index, extra in enumerate(gateway.spec.extra_params):
        path = f"spec.extraParams[{index}]"
        row = BY_XML.get(extra.name.lower())
        if row is not None:
            use = row.secret_source if row.secret else row.field
            what = f"{shown(extra.name)} is the field {use}."
            yield codes.EXTRA_PARAM_MODELLED.because(f"{path}.name", what, f"Use {use}.")
        elif _PARAMETER_NAME.fullmatch(extra.name) is None:
            yield codes.EXTRA_PARAM_NAME_INVALID.because(f"{path}.name", f"{shown(extra.name)} is not a name.")
        elif extra.name.lower() == "cid-type":
            yield codes.CID_TYPE_IGNORED.because(f"{path}.name", "mod_sofia has no parameter of this name.")
        if extra.name in seen:
            yield codes.EXTRA_PARAM_TWICE.because(f"{path}.name", f"{shown(extra.name)} stands above.")
        seen.add(extra.name)
        if not extra.value:
            yield parameters.EMPTY_VALUE.because(f"{path}.value", "The text is empty.")
        elif wrong := grammar.violation(Grammar.TEXT, extra.value):
            yield parameters.CONTROL_CHARACTER.because(f"{path}.value", f"{wrong[0].upper()}{wrong[1:]}.")


def _seconds(field: str, value: int | None, minimum: int, default: int) -> Iterator[Finding]:
    if value is not None and value < minimum:
        message = f"{value} is below {minimum}. It is silently replaced by {default} (gateway-params.md)."
        yield parameters.NUMBER_COERCED.finding(field, message)
    elif value is not None and value > SUBSCRIPTION_MAXIMUM:
        yield parameters.NUMBER_TOO_LARGE.because(field, f"{value} is above {SUBSCRIPTION_MAXIMUM}.")


def _on_the_wire(variable: Variable) -> bool:
    name = variable.name.lower()
    return name.startswith(("sip_", "~sip_")) and name not in BODY_VARIABLES


CHECKS: tuple[Check, ...] = (variable_names, variable_values, variables_once, subscriptions, extra_params)
