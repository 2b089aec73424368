"""One term of leadership: everything that is known and done between taking the Lease and losing it.

In: an `Api`, a Lease that is held, where to look. Out: ConfigMaps and statuses as they should be. Nothing outlives the
term: the next one begins with LISTs of its own, so no memory of another time can be wrong.
"""

from __future__ import annotations

import asyncio
import enum
import logging
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from sipgateway.cluster.access import Access
from sipgateway.cluster.client import Api, ApiError
from sipgateway.cluster.lease import DeposedError, Lease
from sipgateway.cluster.reflector import wait
from sipgateway.kube.events import Events
from sipgateway.kube.fleets import Fleets
from sipgateway.kube.intake import Intake
from sipgateway.kube.kopfwatch import KopfWatch
from sipgateway.kube.metrics import Metrics
from sipgateway.kube.publish import Publisher
from sipgateway.kube.records import FleetId, Key
from sipgateway.kube.scope import Scope
from sipgateway.kube.statuses import Statuses
from sipgateway.kube.troubles import Troubles
from sipgateway.kube.workers import Workers
from sipgateway.kube.world import World
from sipgateway.kube.writes import Writes
from sipgateway.reconcile.fleet import Affected

log = logging.getLogger("sipgateway.operator")

#: Seconds between looks whether our CRDs are there, while they are.
CRDS_LOOK = 5.0

#: Seconds that a graceful stop gives to the writes in hand.
PATIENCE = 5.0

#: Seconds after which kopf counts as running well.
_WORKS = 30.0


class End(enum.Enum):
    """Why a term ended."""

    STOPPED = "told to stop"
    DEPOSED = "the Lease was lost"
    NO_CRDS = "the CRDs are gone"
    BROKEN = "something broke"


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
    world: World = field(init=False)
    fleets: Fleets = field(init=False)
    workers: Workers = field(init=False)
    statuses: Statuses = field(init=False)
    events: Events = field(init=False)
    scopes: tuple[Scope, ...] = field(init=False)
    troubles: Troubles = field(init=False)
    _end: asyncio.Future[End] = field(init=False)
    _intake: Intake = field(init=False)
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)

    def __post_init__(self) -> None:
        loop = asyncio.get_running_loop()
        check = self.lease.check
        writer = self.api.guarded(check)
        self._end = loop.create_future()
        self.world = World(self._hint, self._rival)
        self.fleets = Fleets(self._fleet_changed, loop.time, time.time)
        self.events = Events(writer, self.metrics, check, self.identity)
        publisher = Publisher(Writes(writer, self.metrics, check), self.world)
        self.workers = Workers(self.world, publisher, self.metrics, self._judge, self._restored, self._deposed)
        self.statuses = Statuses(
            writer,
            self.world,
            self.fleets,
            self.events,
            self.metrics,
            check,
            storm=lambda: self.workers.storm,
            deposed=self._deposed,
        )
        self.troubles = Troubles(self.metrics)
        self._intake = Intake(self.world, self.fleets)
        self.scopes = tuple(Scope(self.api, n, self._intake, self.troubles) for n in self.namespaces or (None,))

    def in_the_way(self) -> str | None:
        """Why the term does not do its work; None when it does, if only where it may."""
        waiting = [s for s in self.scopes if not s.seeded.is_set()]
        if not waiting:
            return None
        if len(waiting) < len(self.scopes) and all(self.troubles.refused(s.namespace) for s in waiting):
            return None  # others work, and somebody has to give us a right: the log and a metric say so
        said = [why for s in waiting if (why := self.troubles.of(s.namespace))]
        return "; ".join(["reading what is there", *said])

    async def run(self, stop: asyncio.Event) -> End:
        """Runs until something ends the term; says what."""
        try:
            self._start(self._stopped(stop), "stop")
            self._start(self._keep_the_lease(), "lease")
            for scope in self.scopes:
                for reflector in scope.reflectors:
                    self._start(reflector.run(), f"watch of {reflector.name}")
                self._start(scope.run(), "LISTs")
                self._start(self._begin(scope), "seed")
            self._start(self.statuses.run(), "statuses")
            self._start(self.events.run(), "events")
            self._start(self._kopf(), "kopf")
            self._start(self._tick(), "clock")
            self._start(self._watch_crds(), "CRDs")
            return await self._end
        finally:
            await self._wind_up()

    def _start(self, what: Awaitable[object], name: str) -> None:
        """Runs what runs until the term ends; when it breaks, the term does."""

        async def guarded() -> None:
            try:
                await what
            except DeposedError as error:
                self._deposed(error)
            except Exception:
                log.exception("%s broke; all begins anew", name)
                self._finish(End.BROKEN)

        self._tasks.append(asyncio.create_task(guarded(), name=name))

    async def _begin(self, scope: Scope) -> None:
        """The work in a namespace begins once all of it is known."""
        began = time.monotonic()
        await scope.seeded.wait()
        keys = {key for key in (*self.world.gateways, *self.world.config_maps) if scope.covers(key.namespace)}
        known = (self.world.gateways, self.world.config_maps, self.world.secrets)
        log.info(
            "%d SipGateways, %d ConfigMaps, %d Secrets known after %.1f s",
            *(sum(scope.covers(key.namespace) for key in records) for records in known),
            time.monotonic() - began,
            extra={"namespace": scope.namespace or ""},
        )
        for key in keys:
            self.workers.hint(key, routine=True)

    async def _kopf(self) -> None:
        """kopf, started anew when it ends. It begins once the LISTs are in: both at once would take longer."""
        await self._any_seeded()
        failures = 0
        loop = asyncio.get_running_loop()
        while True:
            began = loop.time()
            watch = KopfWatch(
                self.access, self.namespaces, self._intake.event, self._watch_began, self._kopf_was_answered
            )
            async with watch:
                why = await watch.ended()
            failures = 0 if loop.time() - began > _WORKS else failures + 1
            self.metrics.watch_restarts.labels("SipGateways").inc()
            log.warning("kopf ended, it is started again: %s", why)
            for scope in self.scopes:
                scope.relist()  # what happens meanwhile nobody else tells
            await asyncio.sleep(wait(failures + 2, random.SystemRandom()))

    async def _any_seeded(self) -> None:
        seeded = [asyncio.create_task(scope.seeded.wait()) for scope in self.scopes]
        try:
            await asyncio.wait(seeded, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in seeded:
                one.cancel()

    def _watch_began(self, namespace: str | None) -> None:
        """What went before the LIST of kopf's that a watch began with, kopf does not tell."""
        for scope in self.scopes:
            if scope.namespace == namespace:
                scope.relist()

    def _kopf_was_answered(self, namespace: str | None, plural: str, status: int, reason: str) -> None:
        what = f"the watch of {plural}"
        if status < 400:
            self.troubles.well(namespace, what)
        else:
            self.troubles.ill(namespace, what, ApiError(status, reason, "that is what kopf was told"))

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
                if not await self.crds_there() and not await self.crds_there():
                    self._finish(End.NO_CRDS)
            except ApiError:
                continue  # that the API server does not answer says nothing about them

    async def _stopped(self, stop: asyncio.Event) -> None:
        await stop.wait()
        self._finish(End.STOPPED)

    async def _keep_the_lease(self) -> None:
        await self.lease.keep()
        self._finish(End.DEPOSED)

    async def _wind_up(self) -> None:
        await self.workers.stop(PATIENCE if self.lease.held else 0.0)
        self.statuses.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _seeded(self, namespace: str) -> bool:
        return any(scope.seeded.is_set() for scope in self.scopes if scope.covers(namespace))

    def _hint(self, key: Key, content: bool) -> None:
        if not self._seeded(key.namespace):
            return
        if content:
            self.workers.hint(key)
        else:
            self.statuses.hint(key)

    def _rival(self, key: Key) -> None:
        if self._seeded(key.namespace):
            self.workers.hint(key, routine=True)

    def _judge(self, key: Key) -> None:
        self.statuses.hint(key)

    def _fleet_changed(self, fleet: FleetId, touched: Affected) -> None:
        if self._seeded(fleet.namespace):
            self.statuses.fleet_changed(fleet, touched)

    def _restored(self, key: Key) -> None:
        record = self.world.gateways.get(key)
        if record is not None:
            text = "Somebody changed or deleted the ConfigMap of this gateway; it was put back."
            about = {"gateway": str(key), "generation": record.generation}
            log.warning("the ConfigMap of %s was changed or deleted by somebody; it was put back", key, extra=about)
            self.events.forget(record.uid, "ConfigMapRestored")
            self.events.tell(record, "ConfigMapRestored", text, normal=False)

    def _deposed(self, error: DeposedError) -> None:
        if not self._end.done():
            log.warning("%s: nothing is written any more", error)
        self._finish(End.DEPOSED)

    def _finish(self, why: End) -> None:
        if not self._end.done():
            self._end.set_result(why)
