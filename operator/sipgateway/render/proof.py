"""The proof of a rendered file: run through the model of FreeSWITCH's reader, it must give what went in.

In: a gateway, its revision, the rendered bytes. Out: nothing, or `RenderError`. It holds under any global variables,
because a proved file refers to none, and beside any other files, because it is one whole element.
"""

from __future__ import annotations

from lxml import etree

from sipgateway.api.gateway import Gateway
from sipgateway.api.names import REVISION_VARIABLE
from sipgateway.render.codes import RENDER_NOT_PROVED
from sipgateway.render.preprocessor import MAX_LINE, preprocess
from sipgateway.render.readback import ReadGateway, ReadSubscription, read_gateway
from sipgateway.render.switchxml import parse_strictly
from sipgateway.render.xml import RenderError, subscription_params

#: Between these lines, without any of the marks, the pre-processor copies every byte: it need not be run.
#: That this is what it does is a property test.
_HEAD, _FOOT = b"<include>\n", b"\n</include>\n"
_ACTED_ON = (b"$${", b"<!--#", b"<include>", b"</include>", b"<?", b"x-pre-process", b"\0")


def prove(gateway: Gateway, revision: str, data: bytes) -> None:
    """Checks that FreeSWITCH reads exactly this gateway out of `data`.

    Well-formed XML is asked for, though FreeSWITCH takes less: both readers of it then agree.

    Raises:
        RenderError: it would read something else; nothing of it may reach a switch.
    """
    try:
        element = parse_strictly(_expanded(gateway, data))
    except etree.XMLSyntaxError:
        # Its text would quote the document, and so a secret.
        raise _failed(gateway, "it is not well-formed XML") from None
    if element.tag != "gateway":
        raise _failed(gateway, "it holds something other than one gateway")
    difference = _difference(gateway, revision, read_gateway(element))
    if difference:
        raise _failed(gateway, f"{difference} reads back changed")


def _expanded(gateway: Gateway, data: bytes) -> bytes:
    """What the pre-processor makes of the file; refused when that could depend on more than the file."""
    inner = data[len(_HEAD) : -len(_FOOT)]
    if data.startswith(_HEAD) and data.endswith(_FOOT) and len(data) < MAX_LINE:
        lowered = inner.lower()
        if not any(mark in lowered for mark in _ACTED_ON):
            return inner
    expanded = preprocess(data, file="")
    if expanded.directives or expanded.dropped or b"$${" in data:
        raise _failed(gateway, "the pre-processor would act on a value")
    return expanded.data


def _difference(gateway: Gateway, revision: str, found: ReadGateway) -> str | None:
    if found.name != gateway.name:
        return "the name"
    if found.params != tuple([(p.name, p.value) for p in gateway.parameters]):
        return "a parameter"
    wanted = [(v.name, v.value, v.direction) for v in gateway.variables]
    if found.variables != ((REVISION_VARIABLE, revision, "outbound"), *wanted):
        return "a variable"
    if gateway.subscriptions or found.subscriptions:
        subscriptions = [ReadSubscription(s.event, tuple(subscription_params(s))) for s in gateway.subscriptions]
        if found.subscriptions != tuple(subscriptions):
            return "a subscription"
    return None


def _failed(gateway: Gateway, why: str) -> RenderError:
    return RenderError(
        RENDER_NOT_PROVED.finding(
            "",
            f"The rendered file of {gateway.name} does not read back as it was meant: {why}. "
            "Nothing was changed on the switch.",
        )
    )
