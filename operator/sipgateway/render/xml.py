"""Gateway to XML bytes: one document per gateway, the same bytes for the same input on any machine.

In: an effective gateway and its revision. Out: the file's form, with secret values, or the ConfigMap's form, where
each secret stands sealed beside an empty value. What FreeSWITCH's pre-processor would eat is written as character
references (facts 4-8), so that every value arrives byte for byte.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from sipgateway.api.gateway import Gateway
from sipgateway.api.names import REVISION_VARIABLE
from sipgateway.api.params import BY_XML
from sipgateway.api.spec import Subscription
from sipgateway.errors import Finding, InputError

#: Nothing in it that a reader would change: the common case.
_PLAIN = re.compile(r"[A-Za-z0-9 .:@_/;=+*~,!()]*", re.ASCII).fullmatch
_REFERENCES = str.maketrans(
    {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "\n": "&#10;", "\t": "&#9;", "\r": "&#13;"}
)
_COMMAND = re.compile(r"(x)-(?=pre-process)", re.IGNORECASE | re.ASCII)
_UNCARRIED = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
#: The beginning of the line of each parameter of the table.
_STARTS = {name: f'    <param name="{name}" value="' for name in BY_XML}


class RenderError(InputError):
    """A value cannot be carried by XML, or would not arrive as it is."""


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
    except ValueError:
        raise _uncarried(gateway) from None


def _lines(gateway: Gateway, revision: str, seal: Callable[[str, str], str] | None) -> list[str]:
    """Text and not a tree: it takes half the time, and `proof.prove` parses every result with lxml anyway."""
    out = [f'<include>\n  <gateway name="{_escape(gateway.name)}">\n']
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
        ValueError: it holds what XML cannot carry. The text is not in the error: it may be a secret.
    """
    if _PLAIN(text) is not None:
        return text
    if _UNCARRIED.search(text) is not None:
        raise ValueError("not XML")
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
    places = [("metadata.name", gateway.name)]
    for parameter in gateway.parameters:
        row = BY_XML.get(parameter.name)
        field = (row.secret_source or row.field) if row and parameter.secret else (row.field if row else "extraParams")
        places.append((f"spec.{field}", parameter.value))
        places.append(("spec.extraParams", parameter.name))
    for index, variable in enumerate(gateway.variables):
        places.append((f"spec.variables[{index}].value", variable.value))
        places.append((f"spec.variables[{index}].name", variable.name))
    for index, subscription in enumerate(gateway.subscriptions):
        places.append((f"spec.subscriptions[{index}]", subscription.event + (subscription.content_type or "")))
    for field, text in places:
        found = _UNCARRIED.search(text)
        if found:
            character = f"U+{ord(found[0]):04X} at position {found.start() + 1}"
            if "From" in field:
                character = "a character"
            return RenderError(
                Finding(
                    "NotCarriedByXml",
                    field,
                    f"{character} cannot stand in XML, so FreeSWITCH can never read it.",
                    "Remove control characters, NUL and lone surrogates.",
                )
            )
    return RenderError(Finding("NotCarriedByXml", "", "A text cannot stand in XML.", "Remove control characters."))
