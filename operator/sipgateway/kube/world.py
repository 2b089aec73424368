"""What the operator knows of the cluster, indexed for decisions. No I/O and no clock: fed by watches, asked by workers.

In: objects from watches and answers of writes. Out: records, and a call of `hint` for each SipGateway whose ConfigMap
or status could have to change. Each intake costs what the change touches, never the size of the fleet.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import TypeVar

from sipgateway.api.names import LABEL_CREDENTIALS, LABEL_KEYS, LABEL_SWITCH, OBJECT_PREFIX
from sipgateway.api.resolve import SecretView
from sipgateway.cluster.client import Obj
from sipgateway.errors import Finding
from sipgateway.kube.records import (
    ConfigMapRecord,
    FleetId,
    GatewayRecord,
    Key,
    Name,
    SecretRecord,
    content_digest,
    controller_uid,
    gateway_record,
)
from sipgateway.render import configmap
from sipgateway.render.keys import FleetKeys, KeysError, secret_name

#: ConfigMaps that are gone and may still come up in the answer to a write.
_REMEMBERED = 2048

_K = TypeVar("_K")
_V = TypeVar("_V")


@dataclass(frozen=True, slots=True)
class KeysRecord:
    """The keys of a fleet as last read: usable, or why not."""

    name: str
    uid: str
    version: str
    keys: FleetKeys | None
    finding: Finding | None = None


@dataclass(slots=True)
class World:
    """Everything that is known.

    Attributes:
        hint: told of each SipGateway to look at again: its key, and whether its ConfigMap could have to change.
            An empty verdict is not needed for a status.
        gateways, config_maps, secrets, keys: by what they are called.
        members: the SipGateways of each fleet, by what their specs say.
    """

    hint: Callable[[Key, bool], None]
    gateways: dict[Key, GatewayRecord] = field(default_factory=dict)
    config_maps: dict[Key, ConfigMapRecord] = field(default_factory=dict)
    secrets: dict[Key, SecretRecord] = field(default_factory=dict)
    keys: dict[FleetId, KeysRecord] = field(default_factory=dict)
    members: dict[FleetId, set[Key]] = field(default_factory=dict)
    _claims: dict[Name, set[Key]] = field(default_factory=dict)
    _held: dict[Name, set[Key]] = field(default_factory=dict)
    _users: dict[Key, set[Key]] = field(default_factory=dict)
    _waiting: dict[Name, set[Key]] = field(default_factory=dict)
    _gone: dict[str, None] = field(default_factory=dict)

    # SipGateways

    def take_gateway(self, obj: Obj) -> None:
        """A SipGateway is there."""
        record = gateway_record(obj)
        before = self.gateways.get(record.key)
        if before is not None:
            if int(record.version) <= int(before.version):
                return  # older news than the answer to our own write
            if before.uid == record.uid:
                record.verdict, record.published = before.verdict, before.published
                if before.document == record.document and before.generation == record.generation:
                    before.version, before.status = record.version, record.status
                    self.hint(record.key, False)
                    return
            self._unlink(before)
        self.gateways[record.key] = record
        self._link(record)
        if before is not None:
            self._rivals(before.name, record.key)
        self._rivals(record.name, record.key)
        self.hint(record.key, True)

    def update_gateway(self, obj: Obj) -> None:
        """The answer to a write of ours. It may come after the news that the object is gone: then it is old."""
        known = self.gateways.get(Key(obj["metadata"]["namespace"], obj["metadata"]["name"]))
        if known is not None and known.uid == obj["metadata"]["uid"]:
            self.take_gateway(obj)

    def drop_gateway(self, key: Key, uid: str | None = None) -> None:
        """A SipGateway is gone. With `uid` only that very object."""
        record = self.gateways.get(key)
        if record is None or (uid is not None and record.uid != uid):
            return
        del self.gateways[key]
        self._unlink(record)
        self._rivals(record.name, key)
        self.hint(key, True)

    def keep_only_gateways(self, uids: frozenset[str], version: str, namespace: str | None) -> None:
        """After a whole LIST of that version: drops what it did not have, unless it is younger than the LIST."""
        for key, record in list(self.gateways.items()):
            if record.uid not in uids and _not_since(record.version, version) and namespace in {None, key.namespace}:
                self.drop_gateway(key)

    def judged(self, record: GatewayRecord, *, refused: bool) -> None:
        """It was judged in itself. When that changed, others of its name are looked at again."""
        before, record.refused = record.refused, refused
        if before is not refused and (before is not None or refused):
            self._rivals(record.name, record.key)

    def _link(self, record: GatewayRecord) -> None:
        self.members.setdefault(record.name.fleet, set()).add(record.key)
        self._claims.setdefault(record.name, set()).add(record.key)
        for secret in record.secrets:
            self._users.setdefault(Key(record.key.namespace, secret), set()).add(record.key)

    def _unlink(self, record: GatewayRecord) -> None:
        _discard(self.members, record.name.fleet, record.key)
        _discard(self._claims, record.name, record.key)
        for secret in record.secrets:
            _discard(self._users, Key(record.key.namespace, secret), record.key)

    def _rivals(self, name: Name, key: Key) -> None:
        for rival in (*self._claims.get(name, ()), *self._held.get(name, ())):
            if rival != key:
                self.hint(rival, True)

    # Names

    def winner(self, name: Name, refused: Callable[[GatewayRecord], bool]) -> GatewayRecord | None:
        """Who has a gateway name: the oldest of those that ask for it and are not refused.

        One that is refused now keeps the name that it was last good for, as long as its ConfigMap carries it.

        Args:
            name: the name, on its fleet.
            refused: whether a SipGateway is refused on its own account; asked for each that could have the name.
        """
        held = self._held.get(name, frozenset[Key]())
        claims = self._claims.get(name, frozenset[Key]())
        if len(claims) == 1 and held <= claims:  # nobody to compare with: whether it is refused is its own business
            only = self.gateways[next(iter(claims))]
            return None if only.suspend else only
        asking = [self.gateways[k] for k in claims if k in held or not refused(self.gateways[k])]
        holding = [r for k in held if (r := self.gateways.get(k)) is not None and r.name != name and refused(r)]
        return min((r for r in (*asking, *holding) if not r.suspend), key=lambda r: (r.age, r.key), default=None)

    def holders(self, name: Name) -> frozenset[Key]:
        """The SipGateways (gone ones too) whose ConfigMaps carry this gateway name now."""
        return frozenset(self._held.get(name, ()))

    def concerned(self, name: Name) -> frozenset[Key]:
        """The SipGateways that a gateway name concerns: that ask for it, or whose ConfigMaps carry it."""
        return frozenset((*self._claims.get(name, ()), *self._held.get(name, ())))

    def wait_for(self, name: Name, key: Key) -> None:
        """`key` is to be looked at again when the name's holder changes."""
        self._waiting.setdefault(name, set()).add(key)

    def waits_in_circle(self, key: Key) -> bool:
        """Whether what `key` waits for waits, through others, for what `key` holds: a swap of names."""
        seen: set[Key] = set()
        todo = [key]
        while todo:
            record = self.gateways.get(todo.pop())
            if record is None:
                continue
            for holder in self.holders(record.name) - {record.key}:
                if holder == key:
                    return True
                if holder not in seen:
                    seen.add(holder)
                    todo.append(holder)
        return False

    # ConfigMaps

    def take_config_map(self, obj: Obj) -> ConfigMapRecord | None:
        """A ConfigMap with our labels is there. Its SipGateway is looked at when it is not what was seen or written."""
        record = config_map_record(obj)
        if record is None:
            return None
        before = self.config_maps.get(record.key)
        if before is not None and before.uid == record.uid:
            if int(record.version) <= int(before.version):
                return before  # older news than the answer to our own write
            if before.digest == record.digest:
                record = replace(record, since=before.since)
        self.set_config_map(record)
        if before is None or before.digest != record.digest:
            self.hint(record.key, True)
        return record

    @staticmethod
    def key_of_config_map(obj: Obj) -> Key:
        """Which SipGateway a ConfigMap is of."""
        meta = obj["metadata"]
        return Key(meta["namespace"], str(meta["name"]).removeprefix(OBJECT_PREFIX))

    def set_config_map(self, record: ConfigMapRecord) -> None:
        """A ConfigMap is there as it was read or written."""
        if record.uid in self._gone:
            return  # the answer to our write came after the news that it is gone
        self._free(self.config_maps.get(record.key), unless=record.name)
        self.config_maps[record.key] = record
        if record.name is not None:
            self._held.setdefault(record.name, set()).add(record.key)

    def drop_config_map(self, key: Key, uid: str | None = None) -> None:
        """A ConfigMap is gone, or lost our labels. With `uid` only that very object."""
        if uid is not None:
            self._gone[uid] = None
            if len(self._gone) > _REMEMBERED:
                del self._gone[next(iter(self._gone))]
        record = self.config_maps.get(key)
        if record is None or (uid is not None and record.uid != uid):
            return
        del self.config_maps[key]
        self._free(record, unless=None)
        self.hint(key, True)

    def keep_only_config_maps(self, uids: frozenset[str], version: str, namespace: str | None) -> None:
        """After a whole LIST of that version: what was not in it is gone, unless we made it since."""
        for key, record in list(self.config_maps.items()):
            if record.uid not in uids and _not_since(record.version, version) and namespace in {None, key.namespace}:
                self.drop_config_map(key, record.uid)

    def reserve(self, name: Name, key: Key) -> None:
        """`key` is about to write a ConfigMap that carries this name: nobody else may take it meanwhile."""
        self._held.setdefault(name, set()).add(key)

    def unreserve(self, name: Name, key: Key) -> None:
        """The write came to nothing: the name is free again, unless its ConfigMap carries it."""
        record = self.config_maps.get(key)
        if record is None or record.name != name:
            self._release(name, key)

    def _free(self, record: ConfigMapRecord | None, *, unless: Name | None) -> None:
        if record is not None and record.name is not None and record.name != unless:
            self._release(record.name, record.key)

    def _release(self, name: Name, key: Key) -> None:
        _discard(self._held, name, key)
        for waiting in (*self._waiting.pop(name, ()), *self._claims.get(name, ())):
            if waiting != key:
                self.hint(waiting, True)

    def sealed_in(self, fleet: FleetId) -> Iterator[ConfigMapRecord]:
        """The ConfigMaps of a fleet."""
        for name, keys in self._held.items():
            if name.fleet == fleet:
                yield from (self.config_maps[k] for k in keys if k in self.config_maps)

    # Secrets

    def take_secret(self, obj: Obj) -> None:
        """A labelled Secret is there."""
        meta = obj["metadata"]
        key = Key(meta["namespace"], meta["name"])
        before = self.secrets.get(key)
        if before is not None and before.version == meta["resourceVersion"]:
            return
        labelled = (meta.get("labels") or {}).get(LABEL_CREDENTIALS) == "true"
        view = SecretView(key.name, labelled, _decoded(obj.get("data")))
        self.secrets[key] = SecretRecord(meta["uid"], meta["resourceVersion"], view)
        self._hint_all(self._users.get(key, ()))

    def drop_secret(self, key: Key) -> None:
        """A Secret is gone, or lost its label."""
        if self.secrets.pop(key, None) is not None:
            self._hint_all(self._users.get(key, ()))

    def secrets_of(self, record: GatewayRecord) -> dict[str, SecretView]:
        """The Secrets that a SipGateway may use, by name."""
        found = ((n, self.secrets.get(Key(record.key.namespace, n))) for n in record.secrets)
        return {name: secret.view for name, secret in found if secret is not None}

    def keep_only_secrets(self, uids: frozenset[str], version: str, namespace: str | None) -> None:
        """After a whole LIST of that version: what was not in it is gone."""
        for key, secret in list(self.secrets.items()):
            if secret.uid not in uids and _not_since(secret.version, version) and namespace in {None, key.namespace}:
                self.drop_secret(key)

    # Keys

    def take_keys(self, obj: Obj) -> None:
        """The Secret with a fleet's keys is there."""
        record = keys_record(obj)
        if record is None:
            return
        fleet, found = record
        before = self.keys.get(fleet)
        if before is not None and before.uid == found.uid and int(found.version) <= int(before.version):
            return
        self.keys[fleet] = found
        self._hint_all(self.members.get(fleet, ()))

    def drop_keys(self, fleet: FleetId, uid: str | None = None) -> None:
        """The Secret with a fleet's keys is gone."""
        record = self.keys.get(fleet)
        if record is None or (uid is not None and record.uid != uid):
            return
        del self.keys[fleet]
        self._hint_all(self.members.get(fleet, ()))

    def keep_only_keys(self, uids: frozenset[str], version: str, namespace: str | None) -> None:
        """After a whole LIST of that version: what was not in it is gone, unless we made it since."""
        for fleet, record in list(self.keys.items()):
            if record.uid not in uids and _not_since(record.version, version) and namespace in {None, fleet.namespace}:
                self.drop_keys(fleet)

    def _hint_all(self, keys: Iterable[Key]) -> None:
        for key in tuple(keys):
            self.hint(key, True)


def config_map_record(obj: Obj) -> ConfigMapRecord | None:
    """The record of a ConfigMap; None when its name is none of ours."""
    meta = obj["metadata"]
    name = str(meta["name"])
    if not name.startswith(OBJECT_PREFIX):
        return None
    data = obj.get("data") or {}
    labels = meta.get("labels") or {}
    key = Key(meta["namespace"], name.removeprefix(OBJECT_PREFIX))
    switch = labels.get(LABEL_SWITCH)
    carried: Name | None = None
    try:
        carried = Name(FleetId(key.namespace, switch), configmap.peek(data).gateway) if switch else None
    except configmap.PublishedError:
        carried = None
    ours = configmap.labels(key.name, switch or "")
    immutable = obj.get("immutable") is True
    owner = controller_uid(meta)
    digest = content_digest(
        data, {n: labels.get(n) for n in ours}, owner, immutable=immutable, binary=bool(obj.get("binaryData"))
    )
    extra = (*(k for k in data if k not in {configmap.XML, configmap.TARGET, configmap.MAC}),)
    version = str(meta["resourceVersion"])
    return ConfigMapRecord(key, meta["uid"], version, version, digest, carried, owner, extra, immutable)


def keys_record(obj: Obj) -> tuple[FleetId, KeysRecord] | None:
    """The record of a Secret with keys; None when it is none."""
    meta = obj["metadata"]
    switch = (meta.get("labels") or {}).get(LABEL_KEYS)
    if not switch or meta["name"] != secret_name(switch):
        return None  # else whoever may create a Secret could bring keys of his own
    fleet = FleetId(meta["namespace"], switch)
    identity = (str(meta["name"]), str(meta["uid"]), str(meta["resourceVersion"]))
    try:
        return fleet, KeysRecord(*identity, FleetKeys.from_data(_decoded(obj.get("data"))))
    except KeysError as error:
        return fleet, KeysRecord(*identity, None, error.finding)


def _not_since(version: str, listed: str) -> bool:
    """Whether an object's version is not younger than a LIST: resourceVersions of one API server are in order."""
    return int(version) <= int(listed)


def _decoded(data: object) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for name, text in data.items() if isinstance(data, dict) else ():
        try:
            found[name] = base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError, TypeError):
            continue  # the API server does not store such a thing
    return found


def _discard(index: dict[_K, set[_V]], key: _K, value: _V) -> None:
    found = index.get(key)
    if found is not None:
        found.discard(value)
        if not found:
            del index[key]
