"""What is kept of each object: as little as decisions need. 10,000 gateways are to fit into a small container.

In: objects as the API server sends them. Out: records. Nothing is judged here; a malformed object gives a record with
what could be read of it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from sipgateway.api.names import API_VERSION, DEFAULT_SWITCH, KIND
from sipgateway.api.resolve import SecretView
from sipgateway.cluster.client import Obj
from sipgateway.errors import Finding


class Key(NamedTuple):
    """Which SipGateway: its namespace and name."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


class FleetId(NamedTuple):
    """Which fleet: the pods labelled `sipgateway.dev/switch: SWITCH` in a namespace."""

    namespace: str
    switch: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.switch}"


class Name(NamedTuple):
    """A gateway name on a fleet: two of the same are a ghost (fact 11)."""

    fleet: FleetId
    gateway: str


@dataclass(slots=True)
class GatewayRecord:
    """One SipGateway.

    Attributes:
        version: resourceVersion as last seen or written.
        document: JSON of identity and spec, for the parser; kept as bytes because that is a fifth of the parsed tree.
        status: JSON of the status as last seen or written.
        name: the gateway name that its spec asks for, and where.
        suspend: `spec.suspend`.
        secrets: names of the Secrets that it uses.
        refused: refused on its own account, so that it keeps its name from nobody; None when not judged since a change.
        published: digest that its ConfigMap was last seen or written with, when that was the desired one.
        verdict: what the last evaluation of it gave; None before the first.
    """

    key: Key
    uid: str
    version: str
    generation: int
    created: str
    document: bytes = field(repr=False)
    status: bytes = field(repr=False)
    name: Name
    suspend: bool
    secrets: tuple[str, ...]
    refused: bool | None = None
    published: bytes = b""
    verdict: Verdict | None = None

    @property
    def age(self) -> tuple[str, str]:
        """The oldest has the name; of equal ages, which count in seconds, the first by name."""
        return self.created, self.key.name


@dataclass(frozen=True, slots=True)
class Verdict:
    """What an evaluation of a SipGateway gave.

    Attributes:
        generation: of the spec that was evaluated.
        inputs: what it was made from; equal inputs give an equal verdict.
        refusals, warnings: findings.
        registers: whether it REGISTERs.
        desired: digest of the ConfigMap that it shall have; empty when it shall have none, or what it has.
        failure: why the ConfigMap could not be made or written; None when there is nothing of the kind.
    """

    generation: int
    inputs: tuple[object, ...]
    refusals: tuple[Finding, ...] = ()
    warnings: tuple[Finding, ...] = ()
    registers: bool = True
    desired: bytes = b""
    failure: Finding | None = None


@dataclass(frozen=True, slots=True)
class ConfigMapRecord:
    """One ConfigMap with our labels.

    Attributes:
        version: resourceVersion as last seen or written.
        since: resourceVersion at which its content came to be what it is; a touched annotation does not count.
        digest: of everything of it that is ours.
        name: the gateway name that it carries, and on which fleet; None when it cannot be read.
        owner: uid of its controller, empty without one.
        extra: keys of its data that are not ours.
        immutable: whether it must be deleted to be changed.
    """

    key: Key
    uid: str
    version: str
    since: str
    digest: bytes
    name: Name | None
    owner: str
    extra: tuple[str, ...] = ()
    immutable: bool = False


@dataclass(frozen=True, slots=True)
class SecretRecord:
    """A labelled Secret: its identity, its version and what is in it."""

    uid: str
    version: str
    view: SecretView


def gateway_record(obj: Obj) -> GatewayRecord:
    """The record of a SipGateway object."""
    meta = obj["metadata"]
    spec = obj.get("spec")
    spec = spec if isinstance(spec, dict) else {}
    key = Key(meta["namespace"], meta["name"])
    switch = _text(spec, "switch", DEFAULT_SWITCH)
    return GatewayRecord(
        key=key,
        uid=meta["uid"],
        version=meta["resourceVersion"],
        generation=int(meta.get("generation") or 0),
        created=meta.get("creationTimestamp") or "",
        document=_dumps({"metadata": {"namespace": key.namespace, "name": key.name}, "spec": spec}),
        status=_dumps(obj.get("status") or {}),
        name=Name(FleetId(key.namespace, switch), _text(spec, "gatewayName", key.name)),
        suspend=spec.get("suspend") is True,
        secrets=tuple(
            sorted({name for name in map(_secret, (spec.get("usernameFrom"), spec.get("passwordFrom"))) if name})
        ),
    )


def sipgateway_object(record: GatewayRecord) -> Obj:
    """The object that the parser reads, from a record."""
    obj: Obj = json.loads(record.document)
    obj["apiVersion"], obj["kind"] = API_VERSION, KIND
    obj["metadata"] |= {
        "uid": record.uid,
        "generation": record.generation,
        "creationTimestamp": record.created,
    }
    return obj


def content_digest(
    data: Mapping[str, str],
    labels: Mapping[str, str | None],
    owner: str,
    *,
    immutable: bool = False,
    binary: bool = False,
) -> bytes:
    """A digest of everything of a ConfigMap that is ours: whatever differs in it is drift."""
    return hashlib.sha256(
        json.dumps([sorted(data.items()), sorted(labels.items()), owner, immutable, binary]).encode()
    ).digest()[:16]


def controller_uid(meta: Obj) -> str:
    """The uid of the object's controller, empty without one."""
    for reference in meta.get("ownerReferences") or ():
        if reference.get("controller") is True:
            return str(reference.get("uid") or "")
    return ""


def _text(fields: Obj, name: str, default: str) -> str:
    value = fields.get(name)
    return value if isinstance(value, str) else default


def _secret(source: object) -> str | None:
    reference = source.get("secretKeyRef") if isinstance(source, dict) else None
    name = reference.get("name") if isinstance(reference, dict) else None
    return name if isinstance(name, str) else None


def _dumps(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":"), sort_keys=True, ensure_ascii=False).encode("utf-8", "surrogatepass")
