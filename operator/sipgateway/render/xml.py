"""Gateway to XML bytes: one document per gateway, the same bytes for the same input on any machine.

In: an effective gateway and its revision. Out: the file's form, with secret values, or the ConfigMap's form, where
each secret stands sealed beside an empty value. What FreeSWITCH's pre-processor would eat is written as character
references (facts 4-8), so that every value arrives byte for byte.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from sipgateway.api.gateway import Gateway, Parameter
from sipgateway.api.names import REVISION_VARIABLE
from sipgateway.api.params import BY_XML
from sipgateway.api.spec import Subscription
from sipgateway.errors import InputError
from sipgateway.render.codes import NOT_CARRIED_BY_XML

#: Nothing in it that a reader would change: the common case.
_PLAIN = re.compile(r"[A-Za-z0-9 .:@_/;=+*~,!()]*", re.ASCII).fullmatch
_REFERENCES = str.maketrans(
    {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "\n": "&#10;", "\t": "&#9;", "\r": "&#13;"}
)
_COMMAND = re.compile(r"(x)-(?=pre-process)", re.IGNORECASE | re.ASCII)
_UNCARRIED = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
#: On a line of its own: the pre-processor drops the whole line of an `<include>` (fact 4).
_HEAD = "<include>\n  <!-- Managed by sipgateway: what is edited here will be overwritten. -->\n"
#: The beginning of the line of each parameter of the table.
_STARTS = {name: f'    <param name="{name}" value="' for name in BY_XML}


class RenderError(InputError):
    """A value cannot be carried by XML, or would not arrive as it is."""


class _UncarriedError(Exception):
    """A text holds what XML cannot carry. The text is not in it: it may be a secret."""


def render(gateway: Gateway, revision: str) -> bytes:
    """The file's form, with secret values in it.

    Raises:
        RenderError: a value holds what XML cannot carry.
    """
    return _render(gateway, revision, None)


def render_sealed(gateway: Gateway, revision: str, seal: Callable[[str, str], str]) -> bytes:
    """The ConfigMap's form: `value=""` and `sealed=` for each secret.

    Args:
        gateway: the effective gateway.
        revision: its revision.
        seal: (parameter's name, secret value) -> text to keep in its place.

    Raises:
        RenderError: a value holds what XML cannot carry.
    """
    return _render(gateway, revision, seal)


def _render(gateway: Gateway, revision: str, seal: Callable[[str, str], str] | None) -> bytes:
    try:
        return "".join(_lines(gateway, revision, seal)).encode()
    except _UncarriedError:
        raise _uncarried(gateway) from None


def _lines(gateway: Gateway, revision: str, seal: Callable[[str, str], str] | None) -> list[str]:
    """Text and not a tree: it takes half the time, and `proof.prove` parses every result with lxml anyway."""
    out = [f'{_HEAD}  <gateway name="{_escape(gateway.name)}">\n']
    for parameter in gateway.parameters:
        start = _STARTS.get(parameter.name) or _start(parameter.name)
        if parameter.secret and seal is not None:
            out.append(f'{start}" sealed="{_escape(seal(parameter.name, parameter.value))}"/>\n')
        else:
            out.append(f'{start}{_escape(parameter.value)}"/>\n')
    out.append("    <variables>\n")
    out.append(f'      <variable name="{REVISION_VARIABLE}" value="{_escape(revision)}" direction="outbound"/>\n')
    for variable in gateway.variables:
        leg = "" if variable.direction is None else f' direction="{_escape(variable.direction)}"'
        out.append(f'      <variable name="{_escape(variable.name)}" value="{_escape(variable.value)}"{leg}/>\n')
    out.append("    </variables>\n")
    if gateway.subscriptions:
        out.append("    <subscriptions>\n")
        for subscription in gateway.subscriptions:
            out.append(f'      <subscription event="{_escape(subscription.event)}">\n')
            out += [
                "    " + _start(name) + _escape(value) + '"/>\n' for name, value in subscription_params(subscription)
            ]
            out.append("      </subscription>\n")
        out.append("    </subscriptions>\n")
    out.append("  </gateway>\n</include>\n")
    return out


def _start(name: str) -> str:
    return f'    <param name="{_escape(name)}" value="'


def _escape(text: str) -> str:
    """A value of an attribute, with everything that a reader on the way would change written as a reference.

    Raises:
        _UncarriedError: it holds what XML cannot carry.
    """
    if _PLAIN(text) is not None:
        return text
    if _UNCARRIED.search(text) is not None:
        raise _UncarriedError
    text = text.translate(_REFERENCES)
    if "$${" in text:
        text = text.replace("$${", "$&#36;{")
    if "-" in text:
        text = _COMMAND.sub(r"\1&#45;", text)
    return text


def subscription_params(subscription: Subscription) -> list[tuple[str, str]]:
    """The `<param>`s of a subscription, in their order; what is not set is left out."""
    found: list[tuple[str, str]] = []
    if subscription.expire_seconds is not None:
        found.append(("expire-seconds", str(subscription.expire_seconds)))
    if subscription.retry_seconds is not None:
        found.append(("retry-seconds", str(subscription.retry_seconds)))
    if subscription.content_type is not None:
        found.append(("content-type", subscription.content_type))
    if subscription.username_in_request is not None:
        found.append(("username-in-request", "true" if subscription.username_in_request else "false"))
    return found


def _uncarried(gateway: Gateway) -> RenderError:
    """The refusal, with the first field that XML cannot carry. Of a secret it does not say which character."""
    for field, text, secret in _texts(gateway):
        if (found := _UNCARRIED.search(text)) is not None:
            what = "It holds a character" if secret else f"U+{ord(found[0]):04X} at position {found.start() + 1}"
            return RenderError(NOT_CARRIED_BY_XML.because(field, f"{what} that XML cannot carry."))
    return RenderError(NOT_CARRIED_BY_XML.because("", "The revision or a sealed value holds what XML cannot carry."))


def _texts(gateway: Gateway) -> Iterator[tuple[str, str, bool]]:
    """Every text of a gateway: its field, and whether it is secret."""
    yield "metadata.name", gateway.name, False
    for parameter in gateway.parameters:
        field = _field(parameter)
        yield field, parameter.name, False
        yield field, parameter.value, parameter.secret
    for index, variable in enumerate(gateway.variables):
        yield f"spec.variables[{index}].name", variable.name, False
        yield f"spec.variables[{index}].value", variable.value, False
        yield f"spec.variables[{index}].direction", variable.direction or "", False
    for index, subscription in enumerate(gateway.subscriptions):
        yield f"spec.subscriptions[{index}].event", subscription.event, False
        yield f"spec.subscriptions[{index}].contentType", subscription.content_type or "", False


def _field(parameter: Parameter) -> str:
    row = BY_XML.get(parameter.name)
    if row is None:
        return "spec.extraParams"
    return f"spec.{(parameter.secret and row.secret_source) or row.field}"
