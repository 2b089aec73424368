"""The host that a gateway registers with, so that REGISTERs can be counted per registrar (fact 40).

In: an effective gateway. Out: a host name or address, lower case, without port and parameters.
"""

from __future__ import annotations

from sipgateway.api.gateway import Gateway

#: What names the registrar, the first that is set (docs/gateway-params.md); without any it is the gateway's name.
_PARAMETERS = ("register-proxy", "proxy", "realm")


def registrar_of(gateway: Gateway) -> str:
    """The registrar's host; empty for a gateway that does not register."""
    if not gateway.registers:
        return ""
    text = next((value for name in _PARAMETERS if (value := gateway.get(name))), gateway.name)
    return host_of(text)


def host_of(text: str) -> str:
    """The host of `host`, `host:port`, `[IPv6]:port`, or a SIP URI."""
    scheme, colon, rest = text.partition(":")
    if colon and scheme.lower() in {"sip", "sips"}:
        text = rest
    text = text.partition(";")[0].partition("?")[0].rpartition("@")[2].strip().lower()
    if text.startswith("["):
        return text[1:].partition("]")[0]
    host, colon, _ = text.rpartition(":")
    return host if colon and ":" not in host else text
