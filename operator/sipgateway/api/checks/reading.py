"""How checks read a SipGateway's parameters: by field and type; what is not set is None."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from sipgateway.api.spec import SipGateway
from sipgateway.errors import Finding

#: A check: yields refusals and warnings of one SipGateway.
Check = Callable[[SipGateway], Iterator[Finding]]


def text(gateway: SipGateway, field: str) -> str | None:
    """A text parameter; an empty one counts as not set, as in mod_sofia."""
    value = gateway.spec.params.get(field)
    return value if isinstance(value, str) and value else None


def number(gateway: SipGateway, field: str) -> int | None:
    """An integer parameter."""
    value = gateway.spec.params.get(field)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def flag(gateway: SipGateway, field: str) -> bool:
    """A boolean parameter that is false when not set."""
    return gateway.spec.params.get(field) is True


def registers(gateway: SipGateway) -> bool:
    """Whether the gateway REGISTERs: `register` is true when not set."""
    return gateway.spec.params.get("register") is not False


def is_set(gateway: SipGateway, field: str) -> bool:
    """Whether the manifest has the field."""
    return field in gateway.spec.params


def shown(value: str) -> str:
    """A value in quotes as a message shows it: at most 60 characters, unprintable ones escaped."""
    short = value if len(value) <= 60 else f"{value[:57]}..."
    return f'"{short}"' if short.isprintable() else ascii(short)
