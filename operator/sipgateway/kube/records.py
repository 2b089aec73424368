"""What is kept of each object: as little as decisions need. 10,000 gateways are to fit into a small container.

In: objects as the API server sends them. Out: records. Nothing is judged here; a malformed object gives a record with
what could be read of it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from sipgateway.api.names import (
    API_VERSION,
    DEFAULT_SWITCH,
    GROUP,
    KIND,
    LABEL_CREDENTIALS,
    LABEL_KEYS,
    LABEL_NAME,
    LABEL_NAME_VALUE,
    LABEL_SWITCH,
    OBJECT_PREFIX,
)
from sipgateway.api.resolve import SecretView
from sipgateway.cluster.client import Obj
from sipgateway.errors import Finding
from sipgateway.render import configmap
from sipgateway.render.keys import FleetKeys, KeysError, secret_name

_SIGNED = re.compile(r"1-([0-9a-f]{8})-[0-9a-f]{64}", re.ASCII)


#: Bytes that are kept of a value of a Secret, and of all of its values. A longer user name or password is refused.
_LONGEST, _MOST = 4096, 65536


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
        leaving: whether it is being deleted and something still holds it: nothing is made for it any more.
        was_refused: what `refused` was before the last change.
        refused: refused on its own account, so that it keeps its name from nobody; None when not judged since a change.
        published: digest that its ConfigMap was last written with, or seen with when that was the desired one. What
            differs from it without a write of ours is drift.
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
    leaving: bool = False
    refused: bool | None = None
    was_refused: bool | None = None
    published: bytes = b""
    verdict: Verdict | None = None

    @property
    def standing(self) -> tuple[object, ...]:
        """What decides who has its name, besides whether it is refused."""
        return self.uid, self.name, self.age, self.suspend, self.leaving

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
        fleet: the one of its label; None without one.
        gateway: the gateway name that it carries; empty when it cannot be read.
        registers: whether that gateway REGISTERs.
        signed: id of the revision key that its MAC is of; empty when it has no MAC of our form.
        seals: ids of the seal keys that it needs.
        owner: uid of the SipGateway that is its controller, empty without one.
        extra: keys of its data that are not ours.
        immutable: whether it must be deleted to be changed.
        foreign: whether it was looked at and is not ours: it is left alone, and what it says counts for nothing.
    """

    key: Key
    uid: str
    version: str
    since: str
    digest: bytes
    fleet: FleetId | None
    gateway: str
    registers: bool
    signed: str
    seals: tuple[str, ...]
    owner: str
    extra: tuple[str, ...] = ()
    immutable: bool = False
    foreign: bool = False

    @property
    def made_with(self) -> tuple[FleetId, str] | None:
        """The fleet and the id of the revision key that it was made with; None for one that is not ours."""
        return (self.fleet, self.signed) if self.fleet is not None and self.signed and not self.foreign else None

    @property
    def name(self) -> Name | None:
        """The gateway name that it carries, and where; None when it carries none."""
        return Name(self.fleet, self.gateway) if self.fleet is not None and self.gateway and not self.foreign else None


@dataclass(frozen=True, slots=True)
class SecretRecord:
    """A labelled Secret: its identity, its version and what is in it."""

    uid: str
    version: str
    view: SecretView


@dataclass(frozen=True, slots=True)
class KeysRecord:
    """The keys of a fleet as last read: usable, or why not.

    Attributes:
        uid: of the Secret; empty when there is none, as a look at it said.
    """

    name: str
    uid: str
    version: str
    keys: FleetKeys | None
    finding: Finding | None = None
    seeker: Key | None = None


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
        leaving=bool(meta.get("deletionTimestamp")),
    )


def renew(record: GatewayRecord, obj: Obj) -> None:
    """Takes in what changes while the spec stays: `metadata.generation` says that it does."""
    meta = obj["metadata"]
    record.version = meta["resourceVersion"]
    record.status = _dumps(obj.get("status") or {})
    record.leaving = bool(meta.get("deletionTimestamp"))


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
    """The uid of the SipGateway that is the object's controller, empty without one."""
    for reference in meta.get("ownerReferences") or ():
        if reference.get("controller") is True and reference.get("kind") == KIND:
            group = str(reference.get("apiVersion") or "").partition("/")[0]
            return str(reference.get("uid") or "") if group == GROUP else ""
    return ""


def is_labelled(obj: Obj) -> bool:
    """Whether a ConfigMap has the labels that our watch asks for."""
    labels = obj["metadata"].get("labels") or {}
    return labels.get(LABEL_NAME) == LABEL_NAME_VALUE and LABEL_SWITCH in labels


def config_map_key(obj: Obj) -> Key:
    """Which SipGateway a ConfigMap is of."""
    meta = obj["metadata"]
    return Key(meta["namespace"], str(meta["name"]).removeprefix(OBJECT_PREFIX))


def config_map_record(obj: Obj) -> ConfigMapRecord | None:
    """The record of a ConfigMap; None when its name is none of ours."""
    meta = obj["metadata"]
    if not str(meta["name"]).startswith(OBJECT_PREFIX):
        return None
    key = config_map_key(obj)
    data = obj.get("data") or {}
    labels = meta.get("labels") or {}
    switch = labels.get(LABEL_SWITCH)
    try:
        target = configmap.peek(data)
        carried, registers = target.gateway, target.registers
    except configmap.PublishedError:
        carried, registers = "", True
    immutable = obj.get("immutable") is True
    owner = controller_uid(meta)
    ours = {n: labels.get(n) for n in configmap.labels(key.name, switch or "")}
    signed = _SIGNED.fullmatch(data.get(configmap.MAC) or "")
    version = str(meta["resourceVersion"])
    return ConfigMapRecord(
        key=key,
        uid=meta["uid"],
        version=version,
        since=version,
        digest=content_digest(data, ours, owner, immutable=immutable, binary=bool(obj.get("binaryData"))),
        fleet=FleetId(key.namespace, switch) if switch else None,
        gateway=carried,
        registers=registers,
        signed=sys.intern(signed[1]) if signed else "",
        seals=tuple(sorted(map(sys.intern, configmap.sealed_with(data)))),
        owner=owner,
        extra=(*(k for k in data if k not in {configmap.XML, configmap.TARGET, configmap.MAC}),),
        immutable=immutable,
    )


def secret_record(obj: Obj) -> SecretRecord:
    """The record of a Secret with credentials, without its annotations: `kubectl apply` puts the password there."""
    meta = obj["metadata"]
    labelled = (meta.get("labels") or {}).get(LABEL_CREDENTIALS) == "true"
    return SecretRecord(
        meta["uid"], meta["resourceVersion"], SecretView(meta["name"], labelled, _small(decoded(obj.get("data"))))
    )


def _small(data: dict[str, bytes]) -> dict[str, bytes]:
    """Values cut to a length that no user name or password has, as many as fit: a Secret may hold a megabyte."""
    kept: dict[str, bytes] = {}
    left = _MOST
    for name, value in sorted(data.items(), key=lambda entry: (len(entry[1]), entry[0])):
        cut = value[:_LONGEST]
        left -= len(name) + len(cut)
        if left < 0:
            break
        kept[name] = cut
    return kept


def keys_record(obj: Obj) -> tuple[FleetId, KeysRecord] | None:
    """The record of a Secret with keys; None when it is none."""
    meta = obj["metadata"]
    switch = (meta.get("labels") or {}).get(LABEL_KEYS)
    if not switch or meta["name"] != secret_name(switch):
        return None  # else whoever may create a Secret could bring keys of his own
    fleet = FleetId(meta["namespace"], switch)
    identity = (str(meta["name"]), str(meta["uid"]), str(meta["resourceVersion"]))
    try:
        return fleet, KeysRecord(*identity, FleetKeys.from_data(decoded(obj.get("data"))))
    except KeysError as error:
        found = error.finding
        told = f"Secret {fleet.namespace}/{meta['name']}, {found.field}: {found.message}"
        return fleet, KeysRecord(*identity, None, replace(found, field="", message=told))


def not_since(version: str, listed: str) -> bool:
    """Whether an object's version is not younger than a LIST: resourceVersions of one API server are in order."""
    return int(version) <= int(listed)


def decoded(data: object) -> dict[str, bytes]:
    """A Secret's `data`, decoded."""
    found: dict[str, bytes] = {}
    for name, text in data.items() if isinstance(data, dict) else ():
        try:
            found[name] = base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError, TypeError):
            continue  # the API server does not store such a thing
    return found


def _text(fields: Obj, name: str, default: str) -> str:
    value = fields.get(name)
    return value if isinstance(value, str) else default


def _secret(source: object) -> str | None:
    reference = source.get("secretKeyRef") if isinstance(source, dict) else None
    name = reference.get("name") if isinstance(reference, dict) else None
    return name if isinstance(name, str) else None


def _dumps(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":"), sort_keys=True, ensure_ascii=False).encode("utf-8", "surrogatepass")
