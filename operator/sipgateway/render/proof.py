"""The proof of a rendered file: run through the model of FreeSWITCH's reader, it must give what went in.

In: a gateway, its revision, the rendered bytes. Out: nothing, or `RenderError`. It holds under any global variables,
because a proved file refers to none.
"""

from __future__ import annotations

from sipgateway.api.gateway import Gateway
from sipgateway.api.names import REVISION_VARIABLE
from sipgateway.errors import Finding
from sipgateway.render.preprocessor import preprocess
from sipgateway.render.readback import ReadGateway, ReadSubscription, read_gateways
from sipgateway.render.switchxml import SwitchXmlError, parse
from sipgateway.render.xml import RenderError, subscription_params

#: Between these lines, without any of the marks, the pre-processor copies every byte: what it does need not be run.
#: That this is what it does is a property test.
_HEAD, _FOOT = b"<include>\n", b"</include>\n"
_ACTED_ON = (b"$${", b"<!--#", b"<include>", b"</include>", b"<?", b"x-pre-process")


def prove(gateway: Gateway, revision: str, data: bytes) -> None:
    """Checks that FreeSWITCH reads exactly this gateway out of `data`.

    Raises:
        RenderError: it would read something else; nothing of it may reach a switch.
    """
    inner = data[len(_HEAD) : -len(_FOOT)]
    if not data.startswith(_HEAD) or not data.endswith(_FOOT) or any(mark in inner.lower() for mark in _ACTED_ON):
        expanded = preprocess(data, file="")
        if expanded.directives or expanded.dropped or b"$${" in data:
            raise _failed(gateway, "the pre-processor would act on a value")
        inner = expanded.data
    try:
        found = read_gateways(parse(inner))
    except SwitchXmlError as error:
        raise _failed(gateway, error.text) from None
    if len(found) != 1:
        raise _failed(gateway, f"{len(found)} gateways read back")
    difference = _difference(gateway, revision, found[0])
    if difference:
        raise _failed(gateway, f"{difference} reads back changed")


def _difference(gateway: Gateway, revision: str, found: ReadGateway) -> str | None:
    if found.name != gateway.name:
        return "the name"
    if found.params != tuple((p.name, p.value) for p in gateway.parameters):
        return "a parameter"
    variables = (
        (REVISION_VARIABLE, revision, "outbound"),
        *((v.name, v.value, v.direction) for v in gateway.variables),
    )
    if found.variables != variables:
        return "a variable"
    if gateway.subscriptions or found.subscriptions:
        wanted = tuple(ReadSubscription(s.event, tuple(subscription_params(s))) for s in gateway.subscriptions)
        if found.subscriptions != wanted:
            return "a subscription"
    return None


def _failed(gateway: Gateway, why: str) -> RenderError:
    return RenderError(
        Finding(
            "RenderNotProved",
            "",
            f"The rendered file of {gateway.name} does not read back as it was meant: {why}.",
            "This is a defect: report it with the manifest, without its secrets. Nothing was changed on the switch.",
        )
    )
