"""The revision: an HMAC over what a gateway means, secrets included, never over XML bytes.

In: an effective gateway and the fleet's revision key. Out: a short text that stands in the gateway as a variable.
A new release that writes other bytes for the same meaning gives the same revision and touches no gateway; without the
key nobody can try passwords against it.
"""

from __future__ import annotations

import hmac
import json
import re
from dataclasses import dataclass, field
from operator import itemgetter

from sipgateway.api.gateway import Gateway

_JSON = json.JSONEncoder(ensure_ascii=False, check_circular=False, separators=(",", ":"))
_NAME = itemgetter(0)
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
    """The meaning of a gateway as bytes: two gateways give the same bytes only if they mean the same.

    JSON of nested lists: texts, numbers and None cannot be taken for one another, nor one field for the next.
    Parameters are sorted by name, because the order of the table is ours to change; of equal names the last counts and
    stays last. Variables and subscriptions keep their order. What is secret does not matter, only its value.
    """
    user = gateway.target.directory
    meaning = (
        "sipgateway/1",
        gateway.name,
        gateway.target.profile,
        None if user is None else (user.domain, user.user),
        sorted([(p.name, p.value) for p in gateway.parameters], key=_NAME),
        [(v.name, v.value, v.direction) for v in gateway.variables],
        [
            (s.event, s.expire_seconds, s.retry_seconds, s.content_type, s.username_in_request)
            for s in gateway.subscriptions
        ],
    )
    # Lone surrogates cannot be rendered; here they only must not be taken for the character that two of them make.
    return _JSON.encode(meaning).encode("utf-8", "surrogatepass")


def revision(gateway: Gateway, key: RevisionKey) -> str:
    """`1-KEYID-MAC`: the revision of a gateway under a key."""
    digest = hmac.digest(key.key, canonical(gateway), "sha256")
    return f"1-{key.key_id}-{digest.hex()[:32]}"


def key_id_of(revision: str) -> str | None:
    """Which key made a revision; None when the text is no revision."""
    found = _FORMAT.fullmatch(revision)
    return found[1] if found else None
