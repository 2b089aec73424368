"""The ConfigMap's XML back to a gateway: only the form that `xml.render_sealed` writes is taken.

In: bytes whose MAC was verified, the target, and a function that opens seals. Out: the effective gateway and its
revision, or `SealedXmlError`. Entities and document types are not expanded but refused, nothing is ever fetched.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import get_args

from lxml import etree

from sipgateway.api.gateway import Gateway, Parameter, Target
from sipgateway.api.names import REVISION_VARIABLE
from sipgateway.api.spec import Direction, Subscription, Variable
from sipgateway.render.xml import subscription_params

_PARSER = etree.XMLParser(
    encoding="utf-8",
    resolve_entities=False,
    load_dtd=False,
    no_network=True,
    collect_ids=False,
    remove_comments=True,
)
_PARAM = {"name", "value"}
_SEALED = {"name", "value", "sealed"}
_VARIABLE = {"name", "value"}
_LEG = {"name", "value", "direction"}
_DIRECTIONS: frozenset[Direction] = frozenset(get_args(Direction))
_NUMBER = re.compile(r"[0-9]{1,9}", re.ASCII)


class SealedXmlError(ValueError):
    """The XML is not of our form. Its text holds nothing of the document."""


def read_sealed(data: bytes, target: Target, unseal: Callable[[str, str], str]) -> tuple[Gateway, str]:
    """Reads the ConfigMap's form.

    Args:
        data: the XML.
        target: where the gateway stands; the XML does not say.
        unseal: (parameter's name, seal) -> secret value.

    Returns:
        The gateway with secret values in it, and the revision that it carries.

    Raises:
        SealedXmlError: it is not of our form.
    """
    if b"<!D" in data or b"<!E" in data or b"<?" in data:
        raise SealedXmlError("a document type or a processing instruction")
    try:
        root = etree.fromstring(data, _PARSER)
    except etree.XMLSyntaxError:
        raise SealedXmlError("the XML") from None  # its text would quote the document
    if root.tag != "include" or root.attrib or len(root) != 1 or "".join(map(str, root.itertext())).strip():
        raise SealedXmlError("the root element")
    return _gateway(root[0], target, unseal)


def _gateway(element: etree._Element, target: Target, unseal: Callable[[str, str], str]) -> tuple[Gateway, str]:
    _expect(element, "gateway", {"name"})
    parameters: list[Parameter] = []
    rest: list[etree._Element] = []
    for child in element:
        if child.tag == "param" and not rest:
            parameters.append(_parameter(child, unseal))
        else:
            rest.append(child)
    if not 1 <= len(rest) <= 2:
        raise SealedXmlError("the gateway's elements")
    revision, variables = _variables(rest[0])
    subscriptions = _subscriptions(rest[1]) if len(rest) == 2 else ()
    return Gateway(element.get("name", ""), target, tuple(parameters), variables, subscriptions), revision


def _parameter(element: etree._Element, unseal: Callable[[str, str], str]) -> Parameter:
    name, value, sealed = element.get("name"), element.get("value"), element.get("sealed")
    if len(element) or name is None or value is None:
        raise SealedXmlError("a parameter")
    if sealed is None and len(element.attrib) == len(_PARAM):
        return Parameter(name, value)
    if sealed is None or value or len(element.attrib) != len(_SEALED):
        raise SealedXmlError("a sealed parameter")
    return Parameter(name, unseal(name, sealed), secret=True)


def _variables(element: etree._Element) -> tuple[str, tuple[Variable, ...]]:
    _expect(element, "variables", set())
    found = [_variable(child) for child in element]
    if not found or found[0].name != REVISION_VARIABLE or found[0].direction != "outbound":
        raise SealedXmlError("the revision's variable")
    return found[0].value, tuple(found[1:])


def _variable(element: etree._Element) -> Variable:
    direction = element.get("direction")
    _expect(element, "variable", _VARIABLE if direction is None else _LEG, leaf=True)
    for known in _DIRECTIONS:
        if direction == known:
            return Variable(element.get("name", ""), element.get("value", ""), known)
    if direction is not None:
        raise SealedXmlError("a variable's direction")
    return Variable(element.get("name", ""), element.get("value", ""))


def _subscriptions(element: etree._Element) -> tuple[Subscription, ...]:
    _expect(element, "subscriptions", set())
    if not len(element):
        raise SealedXmlError("the subscriptions")
    return tuple(_subscription(child) for child in element)


def _subscription(element: etree._Element) -> Subscription:
    _expect(element, "subscription", {"event"})
    params: list[tuple[str, str]] = []
    for child in element:
        _expect(child, "param", _PARAM, leaf=True)
        params.append((child.get("name", ""), child.get("value", "")))
    values = dict(params)
    subscription = Subscription(
        element.get("event", ""),
        _number(values.get("expire-seconds")),
        _number(values.get("retry-seconds")),
        values.get("content-type"),
        _truth(values.get("username-in-request")),
    )
    if subscription_params(subscription) != params:  # an unknown or repeated one, or another order
        raise SealedXmlError("a subscription")
    return subscription


def _number(text: str | None) -> int | None:
    if text is None:
        return None
    if _NUMBER.fullmatch(text) is None:
        raise SealedXmlError("a number")
    return int(text)


def _truth(text: str | None) -> bool | None:
    return None if text is None else text == "true"


def _expect(element: etree._Element, tag: str, attributes: set[str], *, leaf: bool = False) -> None:
    if element.tag != tag or set(element.attrib) != attributes or (leaf and len(element)):
        raise SealedXmlError(f"an element where <{tag}> should be")
