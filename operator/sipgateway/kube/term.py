"""One term of leadership: everything that is known and done between taking the Lease and losing it.

In: an `Api`, a Lease that is held, where to look. Out: ConfigMaps and statuses as they should be. Nothing outlives the
term: the next one begins with LISTs of its own, so no memory of another time can be wrong.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from sipgateway.api.names import (
    API_VERSION,
    LABEL_CREDENTIALS,
    LABEL_KEYS,
    LABEL_NAME,
    LABEL_NAME_VALUE,
    LABEL_SWITCH,
    PLURAL,
    SWITCH_PLURAL,
)
from sipgateway.cluster.access import Access
from sipgateway.cluster.client import Api, ApiError, Obj
from sipgateway.cluster.lease import DeposedError, Lease
from sipgateway.cluster.reflector import Reflector
from sipgateway.kube.events import Events
from sipgateway.kube.fleets import Fleets
from sipgateway.kube.kopfwatch import KopfWatch
from sipgateway.kube.metrics import Metrics
from sipgateway.kube.publish import Publisher
from sipgateway.kube.records import FleetId, Key, config_map_key
from sipgateway.kube.statuses import Statuses
from sipgateway.kube.workers import Workers
from sipgateway.kube.world import World
from sipgateway.reconcile.fleet import Affected

log = logging.getLogger("sipgateway.operator")

#: Seconds between LISTs of SipGateways and SipSwitches: after a 410 no DELETED event comes.
RELIST = 300.0

#: Seconds between looks whether our CRDs are there, while they are.
CRDS_LOOK = 5.0

#: Seconds that a graceful stop gives to the writes in hand.
PATIENCE = 10.0


@dataclass(slots=True)
class Term:
    """One term.

    Attributes:
        namespaces: where to look; empty for everywhere.
        crds_there: asks whether our CRDs are served.
    """

    api: Api
    access: Access
    lease: Lease
    metrics: Metrics
    namespaces: tuple[str, ...]
    crds_there: Callable[[], Awaitable[bool]]
    identity: str
    seeded: bool = False
    world: World = field(init=False)
    fleets: Fleets = field(init=False)
    workers: Workers = field(init=False)
    statuses: Statuses = field(init=False)
    events: Events = field(init=False)
    _end: asyncio.Future[str] = field(init=False)

    def __post_init__(self) -> None:
        loop = asyncio.get_running_loop()
        check = self.lease.check
        self._end = loop.create_future()
        self.world = World(self._hint)
        self.fleets = Fleets(self._fleet_changed, loop.time, time.time)
        self.events = Events(self.api, self.metrics, check, self.identity)
        publisher = Publisher(self.api, self.world, self.metrics, check)
        self.workers = Workers(self.world, publisher, self.metrics, self._judge, self._restored, self._deposed)
        self.statuses = Statuses(
            self.api,
            self.world,
            self.fleets,
            self.events,
            self.metrics,
            check,
            busy=lambda: self.workers.depth > 0,
            deposed=self._deposed,
        )

    async def run(self, stop: asyncio.Event) -> str:
        """Runs until something ends the term; says what."""
        tasks: list[asyncio.Task[object]] = []

        def start(what: Awaitable[object], name: str) -> None:
            async def guarded() -> None:
                try:
                    await what
                except DeposedError as error:
                    self._finish(str(error))
                except RuntimeError as error:
                    log.error("%s: %s", name, error)  # noqa: TRY400 - its text says all
                    self._finish(f"{name} broke")

            tasks.append(asyncio.create_task(guarded(), name=name))

        try:
            start(self._stopped(stop), "stop")
            start(self._deposed_later(), "lease")
            reflectors = [r for n in self._scopes() for r in self._reflectors(n)]
            for reflector in reflectors:
                start(reflector.run(), f"watch of {reflector.name}")
            start(self._seed_and_work(reflectors, start), "work")
            return await self._end
        finally:
            await self._wind_up(tasks)

    async def _seed_and_work(
        self, reflectors: list[Reflector], start: Callable[[Awaitable[object], str], None]
    ) -> None:
        began = time.monotonic()
        for reflector in reflectors:
            await reflector.synced.wait()
        while True:
            try:
                await self._relist()
                break
            except ApiError as error:
                log.warning("SipGateways cannot be listed: %s", error)
                await asyncio.sleep(1.0)
        self.seeded = True
        log.info(
            "%d SipGateways, %d ConfigMaps, %d Secrets known after %.1f s",
            len(self.world.gateways),
            len(self.world.config_maps),
            len(self.world.secrets),
            time.monotonic() - began,
        )
        for key in {*self.world.gateways, *self.world.config_maps}:
            self.workers.hint(key, routine=True)
        start(self.statuses.run(), "statuses")
        start(self.events.run(), "events")
        start(self._kopf(), "kopf")
        start(self._relist_now_and_then(), "resync")
        start(self._tick(), "clock")
        start(self._watch_crds(), "CRDs")

    async def _kopf(self) -> None:
        async with KopfWatch(self.access, self.namespaces, self._event) as kopf:
            await kopf.ended()

    def _event(self, plural: str, kind: str | None, obj: Obj) -> None:
        """An event of kopf's."""
        meta = obj["metadata"]
        key = Key(meta["namespace"], meta["name"])
        if plural == PLURAL:
            if kind == "DELETED":
                self.world.drop_gateway(key, meta["uid"])
            else:
                self.world.take_gateway(obj)
        elif kind == "DELETED":
            self.fleets.drop_report(key)
        else:
            self.fleets.take_report(obj)

    def _reflectors(self, namespace: str | None) -> list[Reflector]:
        """The watches of one namespace, or of all."""
        base = "/api/v1" if namespace is None else f"/api/v1/namespaces/{namespace}"
        world, fleets = self.world, self.fleets
        return [
            Reflector(
                self.api,
                "Secrets",
                f"{base}/secrets",
                world.take_secret,
                lambda obj: world.drop_secret(_key(obj)),
                lambda uids, version: world.keep_only_secrets(uids, version, namespace),
                self._trouble,
                selector=f"{LABEL_CREDENTIALS}=true",
            ),
            Reflector(
                self.api,
                "key Secrets",
                f"{base}/secrets",
                world.take_keys,
                lambda obj: world.drop_keys(_fleet(obj, LABEL_KEYS), obj["metadata"]["uid"]),
                lambda uids, version: world.keep_only_keys(uids, version, namespace),
                self._trouble,
                selector=LABEL_KEYS,
            ),
            Reflector(
                self.api,
                "ConfigMaps",
                f"{base}/configmaps",
                world.take_config_map,
                lambda obj: world.drop_config_map(
                    config_map_key(obj), obj["metadata"]["uid"], obj["metadata"]["resourceVersion"]
                ),
                lambda uids, version: world.keep_only_config_maps(uids, version, namespace),
                self._trouble,
                selector=f"{LABEL_NAME}={LABEL_NAME_VALUE},{LABEL_SWITCH}",
            ),
            Reflector(
                self.api,
                "Pods",
                f"{base}/pods",
                fleets.take_pod,
                fleets.drop_pod,
                lambda uids, _: fleets.keep_only_pods(uids, namespace),
                self._trouble,
                selector=LABEL_SWITCH,
            ),
        ]

    async def _relist(self) -> None:
        """Takes in all SipSwitches and SipGateways, and drops what is gone."""
        for namespace in self._scopes():
            where = "" if namespace is None else f"/namespaces/{namespace}"
            seen: set[Key] = set()
            async for page in self.api.pages(f"/apis/{API_VERSION}{where}/{SWITCH_PLURAL}"):
                for obj in page.items:
                    seen.add(_key(obj))
                    self.fleets.take_report(obj)
            for key in self.fleets.known_reports():
                if key not in seen and namespace in {None, key.namespace}:
                    self.fleets.drop_report(key)
            uids: set[str] = set()
            version = "0"
            async for page in self.api.pages(f"/apis/{API_VERSION}{where}/{PLURAL}"):
                for obj in page.items:
                    uids.add(obj["metadata"]["uid"])
                    self.world.take_gateway(obj)
                version = page.version
            self.world.keep_only_gateways(frozenset(uids), version, namespace)

    async def _relist_now_and_then(self) -> None:
        while True:
            await asyncio.sleep(RELIST)
            try:
                await self._relist()
            except ApiError as error:
                self._trouble("SipGateways", error)

    async def _tick(self) -> None:
        """What time alone changes, and the numbers that are asked for rather than told."""
        loop = asyncio.get_running_loop()
        while True:
            due = self.fleets.due()
            await asyncio.sleep(1.0 if due is None else min(max(due - loop.time(), 0.05), 1.0))
            self.fleets.tick()
            self.metrics.queue.labels("configmap").set(self.workers.depth)
            self.metrics.queue.labels("status").set(self.statuses.depth)

    async def _watch_crds(self) -> None:
        while True:
            await asyncio.sleep(CRDS_LOOK)
            try:
                there = await self.crds_there()
            except ApiError:
                continue  # that the API server does not answer says nothing about them
            if not there:
                self._finish("the CRDs are gone")

    async def _stopped(self, stop: asyncio.Event) -> None:
        await stop.wait()
        self._finish("told to stop")

    async def _deposed_later(self) -> None:
        await self.lease.keep()
        self._finish("the Lease was lost")

    async def _wind_up(self, tasks: list[asyncio.Task[object]]) -> None:
        self.seeded = False
        await self.workers.stop(PATIENCE if self.lease.held else 0.0)
        self.statuses.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _scopes(self) -> tuple[str | None, ...]:
        return self.namespaces or (None,)

    def _hint(self, key: Key, content: bool) -> None:
        if not self.seeded:
            return
        if content:
            self.workers.hint(key)
        else:
            self.statuses.hint(key)

    def _judge(self, key: Key) -> None:
        self.statuses.hint(key)

    def _fleet_changed(self, fleet: FleetId, touched: Affected) -> None:
        if self.seeded:
            self.statuses.fleet_changed(fleet, touched)

    def _restored(self, key: Key) -> None:
        record = self.world.gateways.get(key)
        if record is not None:
            text = "Somebody changed or deleted the ConfigMap of this gateway; it was put back."
            log.warning("the ConfigMap of %s was changed or deleted by somebody; it was put back", key)
            self.events.forget(record.uid, "ConfigMapRestored")
            self.events.tell(record, "ConfigMapRestored", text, normal=False)

    def _trouble(self, name: str, error: ApiError) -> None:
        self.metrics.watch_restarts.labels(name).inc()
        log.warning("the watch of %s began again: %s", name, error)

    def _deposed(self, error: DeposedError) -> None:
        self._finish(str(error))

    def _finish(self, why: str) -> None:
        if not self._end.done():
            self._end.set_result(why)


def _key(obj: Obj) -> Key:
    return Key(obj["metadata"]["namespace"], obj["metadata"]["name"])


def _fleet(obj: Obj, label: str) -> FleetId:
    return FleetId(obj["metadata"]["namespace"], (obj["metadata"].get("labels") or {}).get(label, ""))
