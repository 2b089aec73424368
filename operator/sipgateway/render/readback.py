"""Gateways as mod_sofia reads them out of a parsed tree (docs/gateway-params.md, its last part).

In: an element. Out: `ReadGateway` values. `<param>`s may stand in `<params>` or directly in `<gateway>`; when the
wrapper is there, only what is inside it is read. The same for `<variables>`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from lxml import etree

from sipgateway.api.params import BY_XML


@dataclass(frozen=True, slots=True)
class ReadSubscription:
    """A `<subscription>`: its event and its parameters in file order."""

    event: str
    params: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class ReadGateway:
    """One `<gateway>` as mod_sofia reads it.

    Attributes:
        params: (name, value) in file order; of equal names the last wins.
        variables: (name, value, direction or None) in file order.
        line: 1-based line in the expanded document, 0 when unknown.
    """

    name: str
    params: tuple[tuple[str, str], ...]
    variables: tuple[tuple[str, str, str | None], ...]
    subscriptions: tuple[ReadSubscription, ...]
    line: int

    def get(self, name: str) -> str | None:
        """Value of a parameter by any of its XML names: the last one wins; None when it is not there."""
        row = BY_XML.get(name)
        names = (row.xml, *row.aliases) if row else (name,)
        return next((value for key, value in reversed(self.params) if key in names), None)


def read_gateways(element: etree._Element) -> tuple[ReadGateway, ...]:
    """The gateways at or below an element, in document order. Names are not judged here."""
    if element.tag == "gateway":
        return (_read(element),)
    if element.tag == "gateways":
        return tuple(_read(child) for child in element if child.tag == "gateway")
    return tuple(_read(found) for found in element.iter("gateway"))


def _read(element: etree._Element) -> ReadGateway:
    wrapped: etree._Element | None = None
    params_in: etree._Element | None = None
    subscriptions_in: etree._Element | None = None
    params: list[tuple[str, str]] = []
    variables: list[tuple[str, str, str | None]] = []
    for child in element:
        tag = child.tag
        if tag == "param":
            params.append((child.get("name", ""), child.get("value", "")))
        elif tag == "variables" and wrapped is None:
            wrapped = child
        elif tag == "params" and params_in is None:
            params_in = child
        elif tag == "subscriptions" and subscriptions_in is None:
            subscriptions_in = child
    if params_in is not None:
        params = [(p.get("name", ""), p.get("value", "")) for p in params_in if p.tag == "param"]
    for child in element if wrapped is None else wrapped:
        if child.tag == "variable":
            name, value = child.get("name"), child.get("value")
            if name is not None and value is not None:
                variables.append((name, value, child.get("direction")))
    subscriptions = [_subscription(s) for s in subscriptions_in or () if s.tag == "subscription"]
    line = cast("int | None", element.sourceline) or 0
    return ReadGateway(element.get("name", ""), tuple(params), tuple(variables), tuple(subscriptions), line)


def _subscription(element: etree._Element) -> ReadSubscription:
    params = tuple((p.get("name", ""), p.get("value", "")) for p in element if p.tag == "param")
    return ReadSubscription(element.get("event", ""), params)
