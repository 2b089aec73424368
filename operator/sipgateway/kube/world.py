"""What the operator knows of the cluster, indexed for decisions. No I/O and no clock: fed by watches, asked by workers.

In: objects from watches and answers of writes. Out: records, and a `hint` for each SipGateway whose ConfigMap or status
could have to change, at a cost of what the change touches.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

from sipgateway.api.resolve import SecretView
from sipgateway.cluster.client import Obj
from sipgateway.errors import Finding
from sipgateway.kube.index import discard
from sipgateway.kube.records import (
    ConfigMapRecord,
    FleetId,
    GatewayRecord,
    Key,
    KeysRecord,
    Name,
    SecretRecord,
    config_map_key,
    config_map_record,
    gateway_record,
    keys_record,
    not_since,
    renew,
    secret_record,
)
from sipgateway.kube.stale import Stale
from sipgateway.render.keys import secret_name


@dataclass(slots=True)
class World:
    """Everything that is known.

    Attributes:
        hint: told of each SipGateway to look at again: its key, and whether its ConfigMap could have to change.
        rival: told, instead, of each whose name another one's change concerns: no news of its own, and it can be many.
        gateways, config_maps, secrets, keys: by what they are called.
        members: the SipGateways of each fleet, by what their specs say.
    """

    hint: Callable[[Key, bool], None]
    rival: Callable[[Key], None] | None = None
    gateways: dict[Key, GatewayRecord] = field(default_factory=dict)
    config_maps: dict[Key, ConfigMapRecord] = field(default_factory=dict)
    secrets: dict[Key, SecretRecord] = field(default_factory=dict)
    keys: dict[FleetId, KeysRecord] = field(default_factory=dict)
    members: dict[FleetId, set[Key]] = field(default_factory=dict)
    _claims: dict[Name, set[Key]] = field(default_factory=dict)
    _held: dict[Name, set[Key]] = field(default_factory=dict)
    _reserved: dict[Name, set[Key]] = field(default_factory=dict)
    _users: dict[Key, set[Key]] = field(default_factory=dict)
    _signed: dict[FleetId, dict[str, set[Key]]] = field(default_factory=dict)
    _trusted: dict[FleetId, str] = field(default_factory=dict)
    _making_room: set[Key] = field(default_factory=set)
    _stale: Stale = field(default_factory=Stale)
    _keys_gone: dict[FleetId, int] = field(default_factory=dict)

    # SipGateways

    def take_gateway(self, obj: Obj) -> None:
        """A SipGateway is there."""
        meta = obj["metadata"]
        if self._stale.is_gone(meta["uid"]):
            return  # what a read found came after the news that it is gone
        before = self.gateways.get(Key(meta["namespace"], meta["name"]))
        if before is not None:
            if int(meta["resourceVersion"]) <= int(before.version):
                return  # older news than the answer to our own write
            if before.uid == meta["uid"] and before.generation == meta.get("generation"):
                renew(before, obj)  # its spec is the same: most news are echoes of our own statuses
                self.hint(before.key, False)
                return
        record = gateway_record(obj)
        if before is not None:
            if before.uid == record.uid:
                record.verdict, record.published = before.verdict, before.published
                record.was_refused = before.was_refused if before.refused is None else before.refused
            self._unlink(before)
        self.gateways[record.key] = record
        self._link(record)
        if before is None or before.standing != record.standing:
            if before is not None and before.name != record.name:
                self._rivals(before.name, record.key)
            self._rivals(record.name, record.key)
        self.hint(record.key, True)

    def update_gateway(self, obj: Obj) -> None:
        """The answer to a write of ours. It may come after the news that the object is gone: then it is old."""
        known = self.gateways.get(Key(obj["metadata"]["namespace"], obj["metadata"]["name"]))
        if known is not None and known.uid == obj["metadata"]["uid"]:
            self.take_gateway(obj)

    def take_gateway_read(self, obj: Obj) -> None:
        """A read of ours found a SipGateway. A LIST that is younger may have known better."""
        meta = obj["metadata"]
        known = Key(meta["namespace"], meta["name"]) in self.gateways
        if known or self._stale.since("gateways", meta["namespace"], meta["resourceVersion"]):
            self.take_gateway(obj)

    def drop_gateway(self, key: Key, uid: str) -> None:
        """A SipGateway is gone: that very object, which never comes back."""
        self._stale.gone(uid)
        record = self.gateways.get(key)
        if record is None or record.uid != uid:
            return
        del self.gateways[key]
        self._unlink(record)
        self._rivals(record.name, key)
        self.hint(key, True)

    def keep_only_gateways(self, uids: frozenset[str], version: str, namespace: str | None) -> None:
        """After a whole LIST of that version: drops what it did not have, unless it is younger than the LIST."""
        self._stale.listed("gateways", namespace, version)
        for key, record in list(self.gateways.items()):
            if record.uid not in uids and not_since(record.version, version) and namespace in {None, key.namespace}:
                self.drop_gateway(key, record.uid)

    def judged(self, record: GatewayRecord, *, refused: bool) -> None:
        """It was judged in itself. When that changed, others of its name are looked at again."""
        before = record.was_refused if record.refused is None else record.refused
        record.refused = refused
        if before is not refused and (before is not None or refused):
            self._rivals(record.name, record.key)

    def _link(self, record: GatewayRecord) -> None:
        self.members.setdefault(record.name.fleet, set()).add(record.key)
        self._claims.setdefault(record.name, set()).add(record.key)
        for secret in record.secrets:
            self._users.setdefault(Key(record.key.namespace, secret), set()).add(record.key)

    def _unlink(self, record: GatewayRecord) -> None:
        self.seeks_no_more(record)
        discard(self.members, record.name.fleet, record.key)
        discard(self._claims, record.name, record.key)
        for secret in record.secrets:
            discard(self._users, Key(record.key.namespace, secret), record.key)

    def _rivals(self, name: Name, key: Key) -> None:
        for rival in self.concerned(name) - {key}:
            (self.rival or self._news)(rival)

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
        good = {k for k in held if self._is_good(k)}
        asking = [r for r in (self.gateways[k] for k in claims) if r.key in good or not (r.leaving or refused(r))]
        holding = [r for r in (self.gateways[k] for k in good) if r.name != name and refused(r)]
        return min((r for r in (*asking, *holding) if not r.suspend), key=lambda r: (r.age, r.key), default=None)

    def _is_good(self, key: Key) -> bool:
        """Whether the ConfigMap of a SipGateway is its own, and none that somebody changed since."""
        record, found = self.gateways.get(key), self.config_maps[key]
        return record is not None and found.owner == record.uid and record.published in {b"", found.digest}

    def is_proved(self, record: GatewayRecord) -> bool:
        """Whether a SipGateway asks for its name by what it is, or by a last good version that was looked at."""
        found = self.config_maps.get(record.key)
        return record.refused is not True or (found is not None and record.published == found.digest)

    def holders(self, name: Name) -> frozenset[Key]:
        """The SipGateways (gone ones too) whose ConfigMaps carry this gateway name now, or are about to."""
        return frozenset((*self._held.get(name, ()), *self._reserved.get(name, ())))

    def concerned(self, name: Name) -> frozenset[Key]:
        """The SipGateways that a gateway name concerns: that ask for it, or whose ConfigMaps carry it."""
        return frozenset((*self._claims.get(name, ()), *self._held.get(name, ())))

    def is_swapped(self, key: Key) -> bool:
        """Whether what `key` waits for waits, through others, for what `key` holds, and nobody makes room yet."""
        seen: set[Key] = set()
        todo = [key]
        found = False
        while todo:
            record = self.gateways.get(todo.pop())
            if record is None or record.suspend or record.refused:
                continue  # it goes, or stays: it is not waiting for anybody
            for holder in self.holders(record.name) - {record.key}:
                if holder in self._making_room:
                    return False
                found = found or holder == key
                if holder not in seen:
                    seen.add(holder)
                    todo.append(holder)
        return found

    def make_room(self, key: Key, *, begun: bool) -> None:
        """A deletion of this ConfigMap has begun, or is over. One is enough where names are swapped."""
        (self._making_room.add if begun else self._making_room.discard)(key)

    # ConfigMaps

    def take_config_map(self, obj: Obj) -> None:
        """A ConfigMap with our labels is there. Its SipGateway is looked at when it is not what was seen or written."""
        before = self.config_maps.get(config_map_key(obj))
        if before is not None and int(obj["metadata"]["resourceVersion"]) <= int(before.version):
            return  # older news than the answer to our own write
        record = config_map_record(obj)
        if record is None:
            return
        same = before is not None and before.uid == record.uid and before.digest == record.digest
        if before is not None and same:
            record = replace(record, since=before.since, foreign=before.foreign)
        if self.set_config_map(record) and not same:
            self.hint(record.key, True)

    def set_config_map(self, record: ConfigMapRecord) -> bool:
        """A ConfigMap is there as it was read or written. Says whether that is still so, as far as is known."""
        if self._stale.is_gone(record.uid, record.version):
            return False  # the answer to our write came after the news that it is gone
        before = self.config_maps.get(record.key)
        self.config_maps[record.key] = record
        if record.name is not None:
            self._held.setdefault(record.name, set()).add(record.key)
        if (made := record.made_with) is not None:
            self._signed.setdefault(made[0], {}).setdefault(made[1], set()).add(record.key)
        if record.name is not None and (before is None or before.name != record.name):
            self._rivals(record.name, record.key)  # a refused one that holds a name has it before younger ones
        if before is not None:
            self._forget(before, record)
        return True

    def take_answer(self, record: ConfigMapRecord) -> bool:
        """The answer to a write of ours. Says whether the ConfigMap is still there, as far as is known."""
        before = self.config_maps.get(record.key)
        if before is not None and int(record.version) <= int(before.version):
            return before.uid == record.uid
        known = before is not None and before.uid == record.uid
        if not known and not self._stale.since("config maps", record.key.namespace, record.version):
            return False  # a LIST that is younger did not have it any more
        return self.set_config_map(record)

    def proved(self, key: Key, digest: bytes) -> None:
        """What a refused SipGateway has is its last good version: it keeps the name of that."""
        record, found = self.gateways.get(key), self.config_maps.get(key)
        if record is not None and found is not None and found.digest == digest:
            record.published = digest
            self.hint(key, True)
            if found.name is not None:
                self._rivals(found.name, key)

    def disown(self, key: Key, uid: str) -> None:
        """A ConfigMap with our labels is not ours: what it says counts for nothing, until it changes."""
        record = self.config_maps.get(key)
        if record is not None and record.uid == uid and not record.foreign:
            self.set_config_map(replace(record, foreign=True))

    def drop_config_map(self, key: Key, uid: str, version: str | None = None) -> None:
        """A ConfigMap is gone for good; or, with the version of that news, is gone or lost our labels."""
        self._stale.gone(uid, version)
        record = self.config_maps.get(key)
        if record is None or record.uid != uid:
            return
        del self.config_maps[key]
        self._forget(record, None)
        self.hint(key, True)

    def keep_only_config_maps(self, uids: frozenset[str], version: str, namespace: str | None) -> None:
        """After a whole LIST of that version: what was not in it is gone, unless we made it since."""
        self._stale.listed("config maps", namespace, version)
        for key, record in list(self.config_maps.items()):
            if record.uid not in uids and not_since(record.version, version) and namespace in {None, key.namespace}:
                self.drop_config_map(key, record.uid, version)

    def has_config_maps(self, fleet: FleetId) -> bool:
        """Whether there are ConfigMaps that were made with keys of this fleet."""
        return fleet in self._signed

    def signed_with(self, fleet: FleetId) -> frozenset[str]:
        """The ids of the revision keys that the fleet's ConfigMaps were made with."""
        return frozenset(self._signed.get(fleet, ()))

    def trusts(self, fleet: FleetId, key_id: str) -> bool:
        """Whether a revision key is the fleet's: it made a ConfigMap of it, or there is none that says otherwise.

        Once trusted it stays so: who edits the last ConfigMap of a fleet shall not get its keys refused.
        """
        if self._trusted.get(fleet) != key_id:
            signed = self._signed.get(fleet)
            if signed and key_id not in signed:
                return False
            self._trusted[fleet] = key_id
        return True

    def reserve(self, name: Name, key: Key) -> None:
        """`key` is about to write a ConfigMap that carries this name: nobody else may take it meanwhile."""
        self._reserved.setdefault(name, set()).add(key)

    def unreserve(self, name: Name, key: Key) -> None:
        """The write is over: the name is free again, unless a ConfigMap carries it."""
        discard(self._reserved, name, key)
        if key not in self._held.get(name, ()):
            self._released(name, key)

    def _forget(self, before: ConfigMapRecord, now: ConfigMapRecord | None) -> None:
        """What a ConfigMap was is not so any more."""
        name = before.name
        if name is not None and (now is None or now.name != name):
            discard(self._held, name, before.key)
            self._released(name, before.key)
        made = before.made_with
        if made is not None and (now is None or now.made_with != made):
            fleet, key_id = made
            discard(self._signed[fleet], key_id, before.key)
            if not self._signed[fleet]:
                del self._signed[fleet]
                self._hint_all(self.members.get(fleet, ()))  # keys may be made now

    def _released(self, name: Name, key: Key) -> None:
        for waiting in self._claims.get(name, frozenset[Key]()) - {key}:
            self.hint(waiting, True)

    # Secrets

    def take_secret(self, obj: Obj) -> None:
        """A labelled Secret is there."""
        key = Key(obj["metadata"]["namespace"], obj["metadata"]["name"])
        before = self.secrets.get(key)
        if before is not None and before.version == obj["metadata"]["resourceVersion"]:
            return
        self.secrets[key] = secret_record(obj)
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
            if secret.uid not in uids and not_since(secret.version, version) and namespace in {None, key.namespace}:
                self.drop_secret(key)

    # Keys

    def take_keys(self, obj: Obj) -> None:
        """The Secret with a fleet's keys is there."""
        record = keys_record(obj)
        if record is None:
            meta = obj["metadata"]
            for fleet in [f for f, known in self.keys.items() if known.uid == meta["uid"]]:
                self.drop_keys(fleet, meta["uid"], meta["resourceVersion"])  # its label is another by now
            return
        fleet, found = record
        before = self.keys.get(fleet)
        if before is not None and before.uid == found.uid and int(found.version) <= int(before.version):
            return
        if int(found.version) <= self._keys_gone.get(fleet, 0):
            return  # the answer to our write came after the news that they are gone, or lost their label
        self.keys[fleet] = found
        for foreign in [c for c in self.config_maps.values() if c.foreign and c.fleet == fleet]:
            self.set_config_map(replace(foreign, foreign=False))  # with these keys it may prove to be ours
            self.hint(foreign.key, True)
        self._hint_all(self.concerned_by(fleet))

    def take_keys_answer(self, obj: Obj) -> None:
        """The answer to a read or write of the Secret. A LIST that is younger may have known better."""
        meta = obj["metadata"]
        if self._stale.since("keys", meta["namespace"], meta["resourceVersion"]):
            self.take_keys(obj)

    def no_keys(self, fleet: FleetId, finding: Finding, seeker: Key) -> None:
        """A look at the Secret with a fleet's keys said that there is none, or none of ours; `seeker` looks again."""
        known = self.keys.get(fleet)
        self.keys[fleet] = KeysRecord(secret_name(fleet.switch), "", "0", None, finding, seeker)
        if known is not None and known.finding == finding:
            return
        self._hint_all(self.concerned_by(fleet))

    def drop_keys(self, fleet: FleetId, uid: str, version: str) -> None:
        """The Secret with a fleet's keys is gone, or lost its label; `version` is that of the news."""
        self._keys_gone[fleet] = int(version)
        for old in [f for f, record in self.keys.items() if record.uid == uid]:
            del self.keys[old]
            self._hint_all(self.concerned_by(old))

    def fleets_with_keys(self, namespace: str) -> int:
        """How many fleets of a namespace have keys."""
        return sum(1 for fleet, record in self.keys.items() if fleet.namespace == namespace and record.uid)

    def shall_seek_keys(self, record: GatewayRecord) -> bool:
        """Whether it is this SipGateway that looks for its fleet's keys: one of ten thousand is enough."""
        known = self.keys.get(record.name.fleet)
        if known is None:
            return True
        other = None if known.seeker is None else self.gateways.get(known.seeker)
        if other is None or other.suspend or other.refused or other.name.fleet != record.name.fleet:
            return not known.uid  # nobody does any more
        return not known.uid and other is record

    def seeks_no_more(self, record: GatewayRecord) -> None:
        """A SipGateway that looked for its fleet's keys needs none any more: another one has to."""
        fleet = record.name.fleet
        known = self.keys.get(fleet)
        if known is not None and known.seeker == record.key:
            self.keys[fleet] = replace(known, seeker=None)
            self._hint_all(self.members.get(fleet, set()) - {record.key})

    def concerned_by(self, fleet: FleetId) -> frozenset[Key]:
        """Whom the keys of a fleet concern: who wants to be there, and whose ConfigMaps still are."""
        still = (key for keys in self._signed.get(fleet, {}).values() for key in keys)
        return frozenset((*self.members.get(fleet, ()), *still))

    def keep_only_keys(self, uids: frozenset[str], version: str, namespace: str | None) -> None:
        """After a whole LIST of that version: what was not in it is gone, unless we made it since."""
        self._stale.listed("keys", namespace, version)
        for fleet, record in list(self.keys.items()):
            if record.uid not in uids and not_since(record.version, version) and namespace in {None, fleet.namespace}:
                self.drop_keys(fleet, record.uid, version)

    def _news(self, key: Key) -> None:
        self.hint(key, True)

    def _hint_all(self, keys: Iterable[Key]) -> None:
        for key in tuple(keys):
            self._news(key)
