"""The revision: an HMAC over what a gateway means, secrets included, never over XML bytes.

In: an effective gateway and the fleet's revision key. Out: a short text that stands in the gateway as a variable.
A new release that writes other bytes for the same meaning gives the same revision and touches no gateway; without the
key nobody can try passwords against it.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from sipgateway.api.gateway import Gateway
from sipgateway.api.spec import Subscription

_FORMAT = re.compile(r"1-([0-9a-f]{8})-[0-9a-f]{32}", re.ASCII)


@dataclass(frozen=True, slots=True)
class RevisionKey:
    """The key of the revisions. Never shows in `repr`.

    Attributes:
        key: at least 32 random bytes.
        key_id: eight hex digits that tell keys apart and reveal nothing of them.
    """

    key: bytes = field(repr=False)
    key_id: str = field(init=False)

    def __post_init__(self) -> None:
        if len(self.key) < 32:
            raise ValueError("a revision key has at least 32 bytes")
        digest = hmac.digest(self.key, b"sipgateway revision key id", "sha256")
        object.__setattr__(self, "key_id", digest.hex()[:8])


def canonical(gateway: Gateway) -> bytes:
    """The meaning of a gateway as bytes: two gateways give the same bytes only if they are equal.

    Every text is preceded by its length, every list by its count, None by a mark of its own.
    """
    target = gateway.target
    parts: list[bytes] = [b"sipgateway/1"]
    _add(parts, [gateway.name, target.profile])
    _add(parts, [] if target.directory is None else [target.directory.domain, target.directory.user])
    _add(parts, [text for p in gateway.parameters for text in (p.name, p.value)])
    _add(parts, [text for v in gateway.variables for text in (v.name, v.value, v.direction)])
    _add(parts, [text for s in gateway.subscriptions for text in _subscription(s)])
    return b"".join(parts)


def revision(gateway: Gateway, key: RevisionKey) -> str:
    """`1-KEYID-MAC`: the revision of a gateway under a key."""
    digest = hmac.digest(key.key, canonical(gateway), hashlib.sha256)
    return f"1-{key.key_id}-{digest.hex()[:32]}"


def key_id_of(revision: str) -> str | None:
    """Which key made a revision; None when the text is no revision."""
    found = _FORMAT.fullmatch(revision)
    return found[1] if found else None


def _subscription(s: Subscription) -> tuple[str | None, ...]:
    numbers = tuple(None if n is None else str(n) for n in (s.expire_seconds, s.retry_seconds))
    flag = None if s.username_in_request is None else str(s.username_in_request)
    return (s.event, *numbers, s.content_type, flag)


def _add(parts: list[bytes], texts: Iterable[str | None]) -> None:
    encoded = [None if t is None else t.encode("utf-8", "surrogatepass") for t in texts]
    parts.append(b"[%d]" % len(encoded))
    parts.extend(b"-" if text is None else b"%d:%s" % (len(text), text) for text in encoded)
