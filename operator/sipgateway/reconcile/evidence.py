"""Evidence: what became of a commit in an environment, as one line of a git note. Pure: time is an argument.

In: what the SipGateways of a commit are like, or a note's text. Out: `Evidence` values, their line, and which of them
counts. A line is signed with the writer's key when it has one; who reads decides which keys count, not the repository.
"""

from __future__ import annotations

import base64
import binascii
import enum
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

#: Gateways that are named in one line; of more the number is told.
MAX_NAMED: Final = 100
_MAX_LINE: Final = 65536
_FORMAT: Final = 1
_PREFIX: Final = b"sipgateway/evidence/1\0"


class Verdict(enum.StrEnum):
    """What is to be concluded."""

    GOOD = "Good"  # every gateway of the commit is Ready
    BAD = "Bad"  # one has failed on its own account, or the deadline passed
    REFUSED = "Refused"  # the commit was not applied: a manifest is refused


@dataclass(frozen=True, slots=True)
class NotReady:
    """A gateway that was not Ready, and why. Never holds a secret, nor an address that no manifest has."""

    name: str
    reason: str
    message: str = ""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What became of a commit in an environment.

    Attributes:
        environment, commit: which.
        tree: id of the environment's folder in that commit. Another commit with the same tree says the same.
        applied_at: seconds since the epoch at which everything of it was applied; 0 when it was not.
        ready_since: from when on all were Ready without a break; 0 when they were not.
        judged_at: when this was written.
        gateways, ready: how many the commit has, and how many are Ready; suspended ones count as ready.
        not_ready: those that are not, up to MAX_NAMED.
        deleted: names of those that went with this commit.
        version: of the sipgateway that wrote it.
        signature: of everything else, by the writer's key; empty without one.
    """

    environment: str
    commit: str
    tree: str
    verdict: Verdict
    judged_at: int
    applied_at: int = 0
    ready_since: int = 0
    gateways: int = 0
    ready: int = 0
    not_ready: tuple[NotReady, ...] = ()
    deleted: tuple[str, ...] = ()
    version: str = ""
    signature: str = field(default="", repr=False)

    @property
    def line(self) -> str:
        """One line of JSON, the same for equal values."""
        return json.dumps(_body(self) | {"signature": self.signature}, sort_keys=True, separators=(",", ":"))


def signed(evidence: Evidence, key: Ed25519PrivateKey) -> Evidence:
    """The same with a signature."""
    mark = base64.b64encode(key.sign(_signed_bytes(evidence))).decode()
    return replace(evidence, signature=mark)


def is_signed_by(evidence: Evidence, keys: Iterable[Ed25519PublicKey]) -> bool:
    """Whether one of these keys has signed exactly this."""
    try:
        mark = base64.b64decode(evidence.signature, validate=True)
    except (binascii.Error, ValueError):
        return False
    for key in keys:
        try:
            key.verify(mark, _signed_bytes(evidence))
        except InvalidSignature:
            continue
        return True
    return False


def parse(text: str) -> tuple[Evidence, ...]:
    """The evidence of a note, oldest first. Lines that are none, or of a newer version, are left out."""
    found = [one for line in text.splitlines() if len(line) <= _MAX_LINE and (one := _parse_line(line)) is not None]
    return tuple(sorted(found, key=lambda one: one.judged_at))


def latest(
    found: Iterable[Evidence], environment: str, tree: str, trusted: Iterable[Ed25519PublicKey] | None
) -> Evidence | None:
    """What is known of a tree in an environment: the youngest evidence that counts, of whatever commit it was noted on.

    Args:
        found: from notes.
        environment: which; evidence that says it is of another one does not count.
        tree: the same.
        trusted: keys, one of which must have signed it; None: whoever may write notes is believed.
    """
    keys = None if trusted is None else tuple(trusted)
    counting = [
        one
        for one in found
        if (one.environment, one.tree) == (environment, tree) and (keys is None or is_signed_by(one, keys))
    ]
    return max(counting, key=lambda one: one.judged_at, default=None)


def _body(evidence: Evidence) -> dict[str, Any]:
    body = asdict(evidence)
    del body["signature"]
    return body | {"format": _FORMAT, "verdict": evidence.verdict.value}


def _signed_bytes(evidence: Evidence) -> bytes:
    return _PREFIX + json.dumps(_body(evidence), sort_keys=True, separators=(",", ":")).encode()


def _parse_line(line: str) -> Evidence | None:
    try:
        body = json.loads(line)
        if not isinstance(body, dict) or body.get("format") != _FORMAT:
            return None
        return Evidence(
            environment=_text(body, "environment"),
            commit=_text(body, "commit"),
            tree=_text(body, "tree"),
            verdict=Verdict(body["verdict"]),
            judged_at=_number(body, "judged_at"),
            applied_at=_number(body, "applied_at"),
            ready_since=_number(body, "ready_since"),
            gateways=_number(body, "gateways"),
            ready=_number(body, "ready"),
            not_ready=tuple(
                NotReady(_text(one, "name"), _text(one, "reason"), _text(one, "message")) for one in body["not_ready"]
            ),
            deleted=tuple(str(name) for name in body["deleted"]),
            version=_text(body, "version"),
            signature=_text(body, "signature"),
        )
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


def _text(body: Mapping[str, Any], name: str) -> str:
    value = body[name]
    if not isinstance(value, str):
        raise TypeError(name)
    return value


def _number(body: Mapping[str, Any], name: str) -> int:
    value = body[name]
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(name)
    return value
