"""Gateway to XML bytes: one document per gateway, the same bytes for the same input on any machine.

In: an effective gateway and its revision. Out: the file's form, with secret values, or the ConfigMap's form, where
each secret stands sealed beside an empty value. What FreeSWITCH's pre-processor would eat is written as character
references (facts 4-8), so that every value arrives byte for byte.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from lxml import etree

from sipgateway.api.gateway import Gateway
from sipgateway.api.names import REVISION_VARIABLE
from sipgateway.api.params import BY_XML
from sipgateway.api.spec import Subscription
from sipgateway.errors import Finding, InputError

_HAZARD = re.compile(rb"\$\$(?=\{)|([xX])-(?=[pP][rR][eE]-[pP][rR][oO][cC][eE][sS][sS])")
_UNCARRIED = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


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
    element = etree.SubElement
    root = etree.Element("include")
    root.text = "\n  "
    try:
        top = element(root, "gateway", {"name": gateway.name})
        last = top
        for parameter in gateway.parameters:
            if parameter.secret and seal is not None:
                values = {"name": parameter.name, "value": "", "sealed": seal(parameter.name, parameter.value)}
            else:
                values = {"name": parameter.name, "value": parameter.value}
            last = element(top, "param", values)
            last.tail = "\n    "
        box = element(top, "variables")
        box.text = "\n      "
        last = element(box, "variable", {"name": REVISION_VARIABLE, "value": revision, "direction": "outbound"})
        for variable in gateway.variables:
            last.tail = "\n      "
            values = {"name": variable.name, "value": variable.value}
            if variable.direction is not None:
                values["direction"] = variable.direction
            last = element(box, "variable", values)
        last.tail = "\n    "
        if gateway.subscriptions:
            box.tail = "\n    "
            box = _subscriptions(top, gateway.subscriptions)
    except ValueError:
        raise _uncarried(gateway) from None
    top.text = "\n    "
    box.tail = "\n  "
    top.tail = "\n"
    return _HAZARD.sub(_reference, etree.tostring(root, encoding="utf-8")) + b"\n"


def _subscriptions(top: etree._Element, subscriptions: tuple[Subscription, ...]) -> etree._Element:
    box = etree.SubElement(top, "subscriptions")
    box.text = "\n      "
    last = box
    for subscription in subscriptions:
        last = etree.SubElement(box, "subscription", {"event": subscription.event})
        last.tail = "\n      "
        for name, value in subscription_params(subscription):
            etree.SubElement(last, "param", {"name": name, "value": value})
    last.tail = "\n    "
    return box


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


def _reference(found: re.Match[bytes]) -> bytes:
    return b"$&#36;" if found[1] is None else found[1] + b"&#45;"


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
