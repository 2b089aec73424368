"""What mod_sofia takes from a gateway's XML: elements in, plain values out.

In: an lxml tree as FreeSWITCH reads it (switchxml.py). Out: `ReadGateway` values: what is written there, in order, with
the rules of docs/gateway-params.md on where parameters and variables may stand; no value is judged or defaulted.

Source: `parse_gateways` and `parse_gateway_subscriptions` in mod_sofia's sofia.c.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from lxml import etree

from sipgateway.api.params import BY_XML

_WRAPPERS = frozenset({"params", "variables", "subscriptions"})


@dataclass(frozen=True, slots=True)
class ReadSubscription:
    """One `<subscription>`: its event and its params in file order."""

    event: str
    params: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class ReadGateway:
    """One `<gateway>` as mod_sofia sees it.

    Attributes:
        name: attribute `name`, empty when missing.
        params: (name, value) in file order; mod_sofia takes the last of two equal names.
        variables: (name, value, direction as written or None) in file order; without name or value it is none.
        subscriptions: in file order.
        line: line of the element in the expanded text, 0 when unknown, at most 65535.
    """

    name: str
    params: tuple[tuple[str, str], ...] = ()
    variables: tuple[tuple[str, str, str | None], ...] = ()
    subscriptions: tuple[ReadSubscription, ...] = ()
    line: int = 0

    def get(self, name: str) -> str | None:
        """The value that counts for an XML name or one of its aliases: the last one written, None without one."""
        row = BY_XML.get(name)
        names = (row.xml, *row.aliases) if row else (name,)
        for written, value in reversed(self.params):
            if written in names:
                return value
        return None


def read_gateways(element: etree._Element) -> tuple[ReadGateway, ...]:
    """Reads the gateways of a tree.

    Args:
        element: a `<gateways>`, a `<gateway>`, or any tree with `<gateways>` in it.
    """
    return tuple(map(read_gateway, gateway_elements(element)))


def gateway_elements(element: etree._Element) -> Iterator[etree._Element]:
    """The `<gateway>` elements that mod_sofia would visit; of two `<gateways>` side by side it takes the first."""
    if element.tag == "gateway":
        yield element
    elif element.tag == "gateways":
        yield from element.iterchildren("gateway")
    else:
        for gateways in element.iter("gateways"):
            if next(gateways.itersiblings("gateways", preceding=True), None) is None:
                yield from gateways.iterchildren("gateway")


def read_gateway(element: etree._Element) -> ReadGateway:
    """Reads one `<gateway>` element, whose tree holds no comments (`switchxml.parse` leaves them out)."""
    params: list[tuple[str, str]] = []
    variables: list[tuple[str, str, str | None]] = []
    wrappers: dict[str, etree._Element] = {}
    for child in element:
        tag = child.tag
        if tag == "param":
            params.append((child.get("name", ""), child.get("value", "")))
        elif tag == "variable":
            variables += _variable(child)
        elif tag in _WRAPPERS:
            wrappers.setdefault(tag, child)  # of two the first counts
    if (wrapper := wrappers.get("params")) is not None:
        params = _params(wrapper)
    if (wrapper := wrappers.get("variables")) is not None:
        variables = [found for child in wrapper if child.tag == "variable" for found in _variable(child)]
    wrapper = wrappers.get("subscriptions")
    subscriptions = () if wrapper is None else tuple(_subscription(c) for c in wrapper if c.tag == "subscription")
    return ReadGateway(element.get("name", ""), tuple(params), tuple(variables), subscriptions, _line(element))


def _line(element: etree._Element) -> int:
    line: object = element.sourceline  # int or None; the stubs say `...`
    return line if isinstance(line, int) else 0


def _params(element: etree._Element) -> list[tuple[str, str]]:
    return [(child.get("name", ""), child.get("value", "")) for child in element if child.tag == "param"]


def _variable(element: etree._Element) -> tuple[tuple[str, str, str | None], ...]:
    name, value = element.get("name"), element.get("value")
    return () if name is None or value is None else ((name, value, element.get("direction")),)


def _subscription(element: etree._Element) -> ReadSubscription:
    return ReadSubscription(element.get("event", ""), tuple(_params(element)))
