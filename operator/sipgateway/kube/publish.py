"""Carries a decision about a ConfigMap out: one small atomic write of exactly the object that was decided on.

In: a `Decision`. Out: an `Outcome`, and the world as the API server's answer says. Before each write the Lease's
deadline is asked; each write names the resourceVersion (or that there is none), so a late one meets a conflict.
"""

from __future__ import annotations

import base64
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import TypeVar

from sipgateway.api.names import API_VERSION, FIELD_MANAGER, KIND, LABEL_KEYS, LABEL_SWITCH, PLURAL
from sipgateway.cluster.client import Api, ApiError, Obj
from sipgateway.errors import Finding
from sipgateway.kube import codes
from sipgateway.kube.decide import Action, Decision
from sipgateway.kube.metrics import Metrics
from sipgateway.kube.records import FleetId, GatewayRecord, Key, Name, controller_uid
from sipgateway.kube.world import World, config_map_record, keys_record
from sipgateway.render import configmap
from sipgateway.render.keys import FleetKeys, secret_name

_T = TypeVar("_T")

_MANAGER = {"fieldManager": FIELD_MANAGER}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a decision.

    Attributes:
        done: whether it was carried out, or nothing was to be done.
        look_again: look at it anew at once: what it was decided on has changed.
        retry: try again later, not before so many seconds.
        failure: why not, for the status; None when it will be all right by itself.
        restored: whether drift was put back.
    """

    done: bool = True
    look_again: bool = False
    retry: float | None = None
    failure: Finding | None = None
    restored: bool = False


@dataclass(slots=True)
class Publisher:
    """Writes ConfigMaps and key Secrets.

    Attributes:
        check: asked before each write; raises when we do not lead any more.
    """

    api: Api
    world: World
    metrics: Metrics
    check: Callable[[], None]

    async def carry_out(self, key: Key, decision: Decision) -> Outcome:
        """Does what was decided. Never raises for what the API server says."""
        try:
            return await self._carry_out(key, decision)
        except ApiError as error:
            if error.conflict:
                return Outcome(done=False, look_again=True)
            if error.transient:
                return Outcome(done=False, retry=error.retry_after)
            what = f"The API server answers: {error.message}"
            return Outcome(done=False, retry=5.0, failure=codes.WRITE_REFUSED.because("", what))

    async def _carry_out(self, key: Key, decision: Decision) -> Outcome:
        match decision.action:
            case Action.WRITE:
                return await self._write(decision)
            case Action.DELETE:
                return await self._delete(key, decision)
            case Action.CLEAR:
                return await self._clear(key, decision)
            case Action.MAKE_KEYS if decision.record is not None:
                return await self._make_keys(decision.record)
            case _:
                return Outcome()

    async def _write(self, decision: Decision) -> Outcome:
        record, body = decision.record, decision.body
        if record is None or body is None:
            raise ValueError("a write needs a record and a body")
        if decision.first and decision.before is not None and await self._means_the_same(record, body, decision):
            return Outcome()
        name = Name(record.name.fleet, body.target.gateway)
        self.world.reserve(name, record.key)
        try:
            stored = await self._store(record, body, decision)
        finally:
            self.world.unreserve(name, record.key)
        if isinstance(stored, Outcome):
            return stored
        self._stored(record, stored)
        if decision.drift:
            self.metrics.drift.inc()
        return Outcome(restored=decision.drift)

    async def _store(self, record: GatewayRecord, body: configmap.Body, decision: Decision) -> Obj | Outcome:
        before = decision.before
        path = _config_maps(record.key.namespace)
        wanted: Obj = {
            "metadata": {"labels": dict(body.labels), "ownerReferences": [_owner(record)]},
            "data": dict(body.data),
        }
        if before is None:
            wanted |= {"apiVersion": "v1", "kind": "ConfigMap"}
            wanted["metadata"]["name"] = body.name
            try:
                return await self._count(
                    "ConfigMap", "create", self.api.create(f"{path}?fieldManager={FIELD_MANAGER}", wanted)
                )
            except ApiError as error:
                if error.reason != "AlreadyExists":
                    raise
            return await self._adopt(record, body)
        if before.owner != record.uid:
            return await self._adopt(record, body)
        if before.immutable:
            await self._remove(before.key, before.uid, before.version)
            return Outcome(done=False, look_again=True)
        wanted["metadata"]["resourceVersion"] = before.version
        wanted["data"] |= dict.fromkeys(before.extra)
        if decision.drift:
            wanted["binaryData"] = None
        return await self._patch(f"{path}/{body.name}", wanted, before.key)

    async def _patch(self, path: str, wanted: Obj, key: Key) -> Obj | Outcome:
        try:
            return await self._count("ConfigMap", "patch", self.api.patch(path, wanted, params=_MANAGER))
        except ApiError as error:
            if error.not_found and error.is_status:
                self.world.drop_config_map(key)
            elif error.conflict:
                await self._look(path)
            else:
                raise
            return Outcome(done=False, look_again=True)

    async def _adopt(self, record: GatewayRecord, body: configmap.Body) -> Obj | Outcome:
        """A ConfigMap of our name is there that our watch did not tell of, or whose owner is another: is it ours?

        It is when its controller is this SipGateway, or when it verifies under the fleet's keys: then it lost its
        labels, or its SipGateway was made anew. Else it is somebody else's, and stays as it is.
        """
        path = f"{_config_maps(record.key.namespace)}/{body.name}"
        found = await self.api.get(path)
        meta = found["metadata"]
        if controller_uid(meta) != record.uid and not self._verifies(found, record):
            what = f"ConfigMap {record.key.namespace}/{body.name} was not made by sipgateway."
            return Outcome(done=False, retry=10.0, failure=codes.CONFIG_MAP_FOREIGN.because("", what))
        wanted: Obj = {
            "metadata": {
                "labels": dict(body.labels),
                "ownerReferences": [_owner(record)],
                "resourceVersion": meta["resourceVersion"],
            },
            "data": dict.fromkeys(found.get("data") or {}) | dict(body.data),
            "binaryData": None,
        }
        return await self._patch(path, wanted, record.key)

    def _verifies(self, found: Obj, record: GatewayRecord) -> bool:
        switch = (found["metadata"].get("labels") or {}).get(LABEL_SWITCH) or record.name.fleet.switch
        keys = self.world.keys.get(FleetId(record.key.namespace, switch))
        if keys is None or keys.keys is None:
            return False
        try:
            configmap.verify(
                found.get("data") or {},
                configmap.labels(record.key.name, switch),
                namespace=record.key.namespace,
                name=configmap.config_map_name(record.key.name),
                switch=switch,
                keys=keys.keys,
            )
        except configmap.PublishedError:
            return False
        return True

    async def _means_the_same(self, record: GatewayRecord, body: configmap.Body, decision: Decision) -> bool:
        """Whether what stands there since before our start means the same in another release's words: it stays."""
        keys = self.world.keys.get(record.name.fleet)
        before = decision.before
        if before is None or keys is None or keys.keys is None or before.owner != record.uid or before.extra:
            return False
        found = await self.api.get(f"{_config_maps(record.key.namespace)}/{body.name}")
        meta = found["metadata"]
        if meta["resourceVersion"] != before.version or found.get("binaryData") or before.immutable:
            return False
        same = configmap.up_to_date(
            found.get("data") or {}, meta.get("labels") or {}, body, namespace=record.key.namespace, keys=keys.keys
        )
        if same and record.verdict is not None:
            record.verdict = replace(record.verdict, desired=before.digest)
            record.published = before.digest
        return same

    def _stored(self, record: GatewayRecord, stored: Obj) -> None:
        found = config_map_record(stored)
        if found is None:
            return
        known = self.world.config_maps.get(found.key)
        if known is None or known.uid != found.uid or int(known.version) < int(found.version):
            self.world.set_config_map(found)
        if record.verdict is not None and found.digest == record.verdict.desired:
            record.published = found.digest

    async def _look(self, path: str) -> None:
        """Takes in what the API server has, without waiting for the watch to say so."""
        try:
            self.world.take_config_map(await self.api.get(path))
        except ApiError:
            return

    async def _delete(self, key: Key, decision: Decision) -> Outcome:
        if decision.before is not None:
            await self._remove(key, decision.before.uid, decision.before.version)
        return Outcome()

    async def _clear(self, key: Key, decision: Decision) -> Outcome:
        """The ConfigMap of a SipGateway that is gone, when a GET says so too: not being listed is no evidence."""
        try:
            found = await self.api.get(f"/apis/{API_VERSION}/namespaces/{key.namespace}/{PLURAL}/{key.name}")
        except ApiError as error:
            if not (error.not_found and error.is_status):
                raise
        else:
            self.world.take_gateway(found)
            return Outcome()
        if decision.before is not None:
            await self._remove(key, decision.before.uid, decision.before.version)
        return Outcome()

    async def _remove(self, key: Key, uid: str, version: str) -> None:
        self.check()
        path = f"{_config_maps(key.namespace)}/{configmap.config_map_name(key.name)}"
        try:
            await self._count("ConfigMap", "delete", self.api.delete(path, uid=uid, version=version))
        except ApiError as error:
            if error.conflict:
                await self._look(path)
                raise
            if not error.not_found:
                raise
        self.world.drop_config_map(key, uid)

    async def _make_keys(self, record: GatewayRecord) -> Outcome:
        """Keys for a fleet that has none. That there are none is asked by name: its label may have been lost."""
        fleet = record.name.fleet
        path = f"/api/v1/namespaces/{fleet.namespace}/secrets"
        name = secret_name(fleet.switch)
        try:
            found = await self.api.get(f"{path}/{name}")
        except ApiError as error:
            if not (error.not_found and error.is_status):
                raise
            self.check()
            found = await self._count(
                "Secret",
                "create",
                self.api.create(
                    f"{path}?fieldManager={FIELD_MANAGER}",
                    secret_object(fleet, FleetKeys.generate(secrets.token_bytes)),
                ),
            )
        if keys_record(found) is None:
            self.check()
            label = {
                "metadata": {
                    "labels": {LABEL_KEYS: fleet.switch},
                    "resourceVersion": found["metadata"]["resourceVersion"],
                }
            }
            found = await self._count("Secret", "patch", self.api.patch(f"{path}/{name}", label, params=_MANAGER))
        self.world.take_keys(found)
        return Outcome(done=False, look_again=True)

    async def _count(self, kind: str, verb: str, write: Awaitable[_T]) -> _T:
        self.check()
        try:
            answer = await write
        except ApiError as error:
            result = "conflict" if error.conflict else ("transient" if error.transient else "refused")
            self.metrics.writes.labels(kind, verb, result).inc()
            raise
        self.metrics.writes.labels(kind, verb, "ok").inc()
        return answer


def _owner(record: GatewayRecord) -> Obj:
    return {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "name": record.key.name,
        "uid": record.uid,
        "controller": True,
        "blockOwnerDeletion": False,
    }


def _config_maps(namespace: str) -> str:
    return f"/api/v1/namespaces/{namespace}/configmaps"


def secret_object(fleet: FleetId, keys: FleetKeys) -> Obj:
    """The Secret that holds a fleet's keys."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "Opaque",
        "metadata": {
            "name": secret_name(fleet.switch),
            "labels": {LABEL_KEYS: fleet.switch, "app.kubernetes.io/managed-by": FIELD_MANAGER},
        },
        "data": {name: base64.b64encode(value).decode() for name, value in keys.to_data().items()},
    }
