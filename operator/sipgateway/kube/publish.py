"""Carries a decision about a ConfigMap out: one small atomic write of exactly the object that was decided on.

In: a `Decision`. Out: an `Outcome`, and the world as the API server's answer says. Before each write the Lease's
deadline is asked; each write names the resourceVersion (or that there is none), so a late one meets a conflict.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, replace

from sipgateway.api.names import API_VERSION, KIND, LABEL_SWITCH, PLURAL
from sipgateway.cluster.client import ApiError, Obj
from sipgateway.errors import Finding
from sipgateway.kube import codes
from sipgateway.kube.decide import Action, Decision
from sipgateway.kube.keysecrets import seek_keys
from sipgateway.kube.records import (
    FleetId,
    GatewayRecord,
    Key,
    Name,
    config_map_record,
    controller_uid,
    is_labelled,
)
from sipgateway.kube.world import World
from sipgateway.kube.writes import Writes
from sipgateway.render import configmap
from sipgateway.render.codes import SEAL_KEY_UNKNOWN
from sipgateway.render.xml import RenderError

log = logging.getLogger("sipgateway.reconcile")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a decision.

    Attributes:
        done: whether it was carried out, or nothing was to be done.
        look_again: look at it anew at once: what it was decided on has changed.
        retry: try again later, not before so many seconds; each time it waits longer.
        recheck: look again after so many seconds, each time: somebody else has to act, and no watch tells when.
        failure: why not, for the status; None when it will be all right by itself.
        restored: whether drift was put back.
    """

    done: bool = True
    look_again: bool = False
    retry: float | None = None
    recheck: float | None = None
    failure: Finding | None = None
    restored: bool = False


_AGAIN = Outcome(done=False, look_again=True)


@dataclass(slots=True)
class Publisher:
    """Writes ConfigMaps and key Secrets."""

    writes: Writes
    world: World
    _unsure: dict[Key, set[Name]] = field(default_factory=dict)

    async def carry_out(self, key: Key, decision: Decision) -> Outcome:
        """Does what was decided. Never raises for what the API server says."""
        try:
            if key in self._unsure:
                await self._make_sure(key)
                return _AGAIN
            return await self._carry_out(key, decision)
        except ApiError as error:
            if error.conflict:
                return _AGAIN
            if error.transient:
                return Outcome(done=False, retry=error.retry_after)
            what = f"The API server answers: {error.message}"
            return Outcome(done=False, retry=5.0, failure=codes.WRITE_REFUSED.because("", what))

    async def _carry_out(self, key: Key, decision: Decision) -> Outcome:
        match decision.action:
            case Action.WRITE:
                return await self._write(decision)
            case Action.RESEAL:
                return await self._reseal(decision)
            case Action.KEEP:
                return await self._keep(decision)
            case Action.DELETE:
                return await self._delete(key, decision)
            case Action.CLEAR:
                return await self._clear(key, decision)
            case Action.SEEK_KEYS if decision.record is not None:
                why_not = await seek_keys(self.writes, self.world, decision.record.name.fleet, key)
                # No watch tells of a Secret without our label, so it is asked for again.
                return _AGAIN if why_not is None else Outcome(done=False, recheck=10.0, failure=why_not)
            case _:
                return Outcome()

    async def _write(self, decision: Decision) -> Outcome:
        record, body = decision.record, decision.body
        if record is None or body is None:
            raise ValueError("a write needs a record and a body")
        name = Name(record.name.fleet, body.target.gateway)
        self.world.reserve(name, record.key)  # from here on nobody else may have it
        try:
            if decision.first and decision.before is not None and await self._means_the_same(record, body, decision):
                return Outcome()
            if decision.drift and decision.before is None and not await self._is_wanted(record):
                return _AGAIN  # the garbage collector was faster than the news that its SipGateway is gone
            if self.world.gateways.get(record.key) is not record or record.leaving:
                return _AGAIN  # it changed while we looked
            stored = await self._store(record, body, decision)
            outcome = stored if isinstance(stored, Outcome) else self._stored(record, stored)
        except ApiError as error:
            if error.transient:  # perhaps it was done all the same: nobody else may have the name until we know
                self._unsure.setdefault(record.key, set()).add(name)
            raise
        finally:
            if name not in self._unsure.get(record.key, ()):
                self.world.unreserve(name, record.key)
        if outcome.done and decision.drift:
            self.writes.metrics.drift.inc()
        return replace(outcome, restored=outcome.done and decision.drift)

    async def _make_sure(self, key: Key) -> None:
        """After a write without an answer: what is there now?"""
        await self._look(key)
        record = self.world.gateways.get(key)
        if record is not None:
            record.published = b""  # whether what is there is ours or drift cannot be said
        for name in self._unsure.pop(key):
            self.world.unreserve(name, key)

    async def _store(self, record: GatewayRecord, body: configmap.Body, decision: Decision) -> Obj | Outcome:
        before = decision.before
        if before is None:
            wanted = _wanted(record, body) | {"apiVersion": "v1", "kind": "ConfigMap"}
            wanted["metadata"]["name"] = body.name
            path = _config_maps(record.key.namespace)
            try:
                return await self.writes.create("ConfigMap", path, wanted)
            except ApiError as error:
                if error.reason != "AlreadyExists":
                    raise
            return await self._adopt(record, body)
        if before.owner != record.uid or before.foreign:
            return await self._adopt(record, body)
        if before.immutable:
            await self._remove(before.key, before.uid, before.version)
            return _AGAIN
        wanted = _wanted(record, body, before.version)
        wanted["data"] |= dict.fromkeys(before.extra)
        return await self._patch(record.key, wanted)

    async def _patch(self, key: Key, wanted: Obj) -> Obj | Outcome:
        try:
            return await self.writes.patch("ConfigMap", _config_map(key), wanted)
        except ApiError as error:
            if not (error.conflict or (error.not_found and error.is_status)):
                raise
        await self._look(key)
        return _AGAIN

    async def _adopt(self, record: GatewayRecord, body: configmap.Body) -> Obj | Outcome:
        """A ConfigMap of our name is there that our watch did not tell of, or whose owner is another: is it ours?

        It is when its controller is this SipGateway, or when it verifies under the fleet's keys: then it lost its
        labels, or its SipGateway was made anew. Else it is somebody else's, and stays as it is.
        """
        found = await self._find(record.key)
        if found is None:
            return _AGAIN
        meta = found["metadata"]
        if controller_uid(meta) != record.uid and not self._is_made_by_us(found, record.key, record.name.fleet):
            what = f"ConfigMap {record.key.namespace}/{body.name} was not made by sipgateway."
            return Outcome(done=False, recheck=5.0, failure=codes.CONFIG_MAP_FOREIGN.because("", what))
        if found.get("immutable") is True:
            await self._remove(record.key, meta["uid"], meta["resourceVersion"])
            return _AGAIN
        wanted = _wanted(record, body, meta["resourceVersion"])
        wanted["data"] = dict.fromkeys(found.get("data") or {}) | wanted["data"]
        return await self._patch(record.key, wanted)

    def _is_made_by_us(self, found: Obj, key: Key, fleet: FleetId) -> bool | None:
        """Whether a ConfigMap was made with the keys of the fleet of its label, or of this one when that is lost.

        If not, it is disowned; None when that cannot be said, for want of keys.
        """
        switch = (found["metadata"].get("labels") or {}).get(LABEL_SWITCH) or fleet.switch
        fleet = FleetId(key.namespace, switch)
        record = self.world.keys.get(fleet)
        keys = None if record is None else record.keys
        if keys is None or not self.world.trusts(fleet, keys.revision.key_id):
            return None
        try:
            configmap.verify(
                found.get("data") or {},
                configmap.labels(key.name, switch),
                namespace=key.namespace,
                name=configmap.config_map_name(key.name),
                switch=switch,
                keys=keys,
            )
        except configmap.PublishedError as error:
            if error.finding.code == SEAL_KEY_UNKNOWN.name:
                return True  # its MAC was good; a backup of the keys that was too old has lost the seal's
            self.world.disown(key, found["metadata"]["uid"])
            return False
        return True

    async def _means_the_same(self, record: GatewayRecord, body: configmap.Body, decision: Decision) -> bool:
        """Whether what stands there since before our start means the same in another release's words: it stays."""
        keys = self.world.keys.get(record.name.fleet)
        before = decision.before
        if before is None or keys is None or keys.keys is None or before.owner != record.uid or before.extra:
            return False
        found = await self._find(record.key)
        if found is None or found["metadata"]["resourceVersion"] != before.version:
            return False
        if found.get("binaryData") or before.immutable:
            return False
        labels = found["metadata"].get("labels") or {}
        same = configmap.up_to_date(
            found.get("data") or {}, labels, body, namespace=record.key.namespace, keys=keys.keys
        )
        if same and record.verdict is not None:
            record.verdict = replace(record.verdict, desired=before.digest, failure=None)
            record.published = before.digest
        return same

    def _stored(self, record: GatewayRecord, stored: Obj) -> Outcome:
        """Takes in the answer to a write."""
        found = config_map_record(stored)
        if found is None or not self.world.take_answer(found):
            return _AGAIN
        current = self.world.gateways.get(record.key)
        if current is not None and current.uid == record.uid:
            current.published = found.digest
            _succeeded(current)
        return Outcome()

    async def _keep(self, decision: Decision) -> Outcome:
        """Sees whether what a refused SipGateway has is its last good version; gives that its owner back."""
        record, before = decision.record, decision.before
        if record is None or before is None or before.fleet is None:
            raise ValueError("to be kept, it must be there")
        found = await self._find(record.key)
        if found is None or found["metadata"]["resourceVersion"] != before.version:
            await self._look(record.key)
            return _AGAIN
        ours = self._is_made_by_us(found, record.key, before.fleet)
        if ours is None:
            return Outcome()  # the keys are missing: their coming back brings the next look
        if not ours:
            return _AGAIN
        if before.owner == record.uid:
            self.world.proved(record.key, before.digest)
            return Outcome()
        meta: Obj = {"resourceVersion": before.version, "ownerReferences": [_owner(record)]}
        stored = await self._patch(record.key, {"metadata": meta})
        if isinstance(stored, Outcome):
            return stored
        outcome = self._stored(record, stored)
        if outcome.done and (kept := self.world.config_maps.get(record.key)) is not None:
            self.world.proved(record.key, kept.digest)
        return replace(outcome, restored=outcome.done)

    async def _reseal(self, decision: Decision) -> Outcome:
        """Seals a last good version with the active key. Only its own seals still have the values."""
        record, before = decision.record, decision.before
        if record is None or before is None or before.fleet is None:
            raise ValueError("a new seal needs a record and what was there before")
        keys = self.world.keys.get(before.fleet)
        found = await self._find(record.key)
        if found is None or keys is None or keys.keys is None:
            return Outcome()
        if found["metadata"]["resourceVersion"] != before.version:
            await self._look(record.key)
            return _AGAIN
        try:
            body = configmap.resealed(
                found.get("data") or {},
                found["metadata"].get("labels") or {},
                namespace=record.key.namespace,
                switch=before.fleet.switch,
                object_name=record.key.name,
                keys=keys.keys,
            )
        except (configmap.PublishedError, RenderError) as error:
            log.error("the last good version of %s cannot be sealed anew: %s", record.key, error)  # noqa: TRY400
            return Outcome(done=False)
        wanted: Obj = {"metadata": {"resourceVersion": before.version}, "data": dict(body.data)}
        stored = await self._patch(record.key, wanted)
        return stored if isinstance(stored, Outcome) else self._stored(record, stored)

    async def _find(self, key: Key) -> Obj | None:
        """The ConfigMap as the API server has it now; when it has none, the world is told."""
        try:
            return await self.writes.api.get(_config_map(key))
        except ApiError as error:
            if not (error.not_found and error.is_status):
                raise
        known = self.world.config_maps.get(key)
        if known is not None:
            self.world.drop_config_map(key, known.uid)
        return None

    async def _look(self, key: Key) -> None:
        """Takes in what the API server has, without waiting for the watch to say so."""
        found = await self._find(key)
        if found is None:
            return
        if is_labelled(found):
            self.world.take_config_map(found)
        else:  # our watch does not see it
            self.world.drop_config_map(key, found["metadata"]["uid"], found["metadata"]["resourceVersion"])

    async def _delete(self, key: Key, decision: Decision) -> Outcome:
        record, before = decision.record, decision.before
        if record is None or before is None:
            return Outcome()
        self.world.make_room(key, begun=True)
        try:
            if not before.owner and not await self._is_ours(key, before.uid):
                return Outcome()
            await self._remove(key, before.uid, before.version)
        except ApiError as error:
            if error.transient and (current := self.world.gateways.get(key)) is not None:
                current.published = b""  # perhaps it was done all the same: then it is no drift
            raise
        finally:
            self.world.make_room(key, begun=False)
        current = self.world.gateways.get(key)
        if current is not None:
            current.published = b""
            _succeeded(current)
        return Outcome()

    async def _clear(self, key: Key, decision: Decision) -> Outcome:
        """The ConfigMap of a SipGateway that is gone, when a GET says so too: not being listed is no evidence."""
        found = await self._sipgateway(key)
        before = decision.before
        if found is not None:
            self.world.take_gateway_read(found)
        elif before is not None and (before.owner or await self._is_ours(key, before.uid)):
            await self._remove(key, before.uid, before.version)
        return Outcome()

    async def _is_wanted(self, record: GatewayRecord) -> bool:
        """Whether the SipGateway is there and is not being deleted; if not, the world is told."""
        found = await self._sipgateway(record.key)
        if found is None:
            self.world.drop_gateway(record.key, record.uid)
            return False
        self.world.take_gateway_read(found)
        return found["metadata"]["uid"] == record.uid and not found["metadata"].get("deletionTimestamp")

    async def _sipgateway(self, key: Key) -> Obj | None:
        try:
            return await self.writes.api.get(f"/apis/{API_VERSION}/namespaces/{key.namespace}/{PLURAL}/{key.name}")
        except ApiError as error:
            if error.not_found and error.is_status:
                return None
            raise

    async def _is_ours(self, key: Key, uid: str) -> bool | None:
        """Whether a ConfigMap that no SipGateway owns was made by us; None when that cannot be said."""
        found = await self._find(key)
        if found is None or found["metadata"]["uid"] != uid:
            return False
        return self._is_made_by_us(found, key, FleetId(key.namespace, ""))

    async def _remove(self, key: Key, uid: str, version: str) -> None:
        try:
            answer = await self.writes.delete("ConfigMap", _config_map(key), uid, version)
        except ApiError as error:
            if error.conflict or (error.not_found and error.is_status):
                await self._look(key)
            if not error.not_found:
                raise
            return
        if not (answer.get("metadata") or {}).get("finalizers"):  # else it is there until somebody lets go of it
            self.world.drop_config_map(key, uid)


def _succeeded(record: GatewayRecord) -> None:
    """What could not be written before is written."""
    if record.verdict is not None and record.verdict.failure is not None:
        record.verdict = replace(record.verdict, failure=None)


def _wanted(record: GatewayRecord, body: configmap.Body, version: str | None = None) -> Obj:
    """What of a ConfigMap is ours; with a version, as a patch of exactly that one."""
    meta: Obj = {"labels": dict(body.labels), "ownerReferences": [_owner(record)]}
    wanted: Obj = {"metadata": meta, "data": dict(body.data)}
    if version is not None:
        meta["resourceVersion"] = version
        wanted["binaryData"] = None
    return wanted


def _owner(record: GatewayRecord) -> Obj:
    return {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "name": record.key.name,
        "uid": record.uid,
        "controller": True,
        "blockOwnerDeletion": False,
    }


def _config_map(key: Key) -> str:
    return f"{_config_maps(key.namespace)}/{configmap.config_map_name(key.name)}"


def _config_maps(namespace: str) -> str:
    return f"/api/v1/namespaces/{namespace}/configmaps"
