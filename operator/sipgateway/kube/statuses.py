"""Writes the status of SipGateways: what changed, when it changed, and nothing else.

In: hints. Out: patches of the status subresource, each on the resourceVersion it was decided on, and Events. What
turned is written at once, behind ConfigMaps; counts and words alone wait, so that a pod that rolls costs no write.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import logging
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from sipgateway.api.conditions import ConditionType, Status
from sipgateway.api.names import API_VERSION, FIELD_MANAGER, PLURAL
from sipgateway.cluster.client import Api, ApiError, Obj
from sipgateway.cluster.lease import DeposedError
from sipgateway.kube.events import Events
from sipgateway.kube.fleets import Fleets
from sipgateway.kube.hints import HintQueue
from sipgateway.kube.metrics import Metrics
from sipgateway.kube.records import ConfigMapRecord, FleetId, GatewayRecord, Key, Name
from sipgateway.kube.world import World
from sipgateway.kube.writes import outcome
from sipgateway.reconcile.backoff import RETRY_MAX, Retry
from sipgateway.reconcile.readiness import Affected, GatewayView, Judgement, Transition, judge, merge_status

log = logging.getLogger("sipgateway.status")

#: Statuses that are written at once.
_AT_ONCE = 4

#: Seconds for which statuses give way to ConfigMaps while many of them change.
_GIVE_WAY = 5.0

#: Seconds that counts and words may wait: in a fleet of few gateways, and in one of many (a pod takes 120 s to start).
_SOON, _LATE = 2.0, 130.0
_FEW = 100

#: The longest wait, in seconds, for an API server that could not take one just now.
_TRANSIENT_MAX = 8.0

#: Seconds in which nothing of the answer of a write was seen in the watch: look again.
_CONFLICT = 1.0


@dataclass(slots=True)
class Statuses:
    """The status writer.

    Attributes:
        check: asked before each write; raises when we do not lead any more.
        storm: whether so many ConfigMaps change that statuses had better wait.
        deposed: told when we do not lead any more.
    """

    api: Api
    world: World
    fleets: Fleets
    events: Events
    metrics: Metrics
    check: Callable[[], None]
    storm: Callable[[], bool]
    deposed: Callable[[DeposedError], None]
    _queue: HintQueue[Key] = field(init=False)
    _wake: asyncio.Event = field(default_factory=asyncio.Event)
    _soft: dict[Key, asyncio.TimerHandle] = field(default_factory=dict)
    _due: set[Key] = field(default_factory=set)
    _retries: dict[Key, Retry] = field(default_factory=dict)
    _partial: dict[FleetId, set[Key]] = field(default_factory=dict)
    _counted: dict[Key, tuple[tuple[str, str, str], ...]] = field(default_factory=dict)
    _totals: Counter[tuple[str, str, str]] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self._queue = HintQueue(self._wake.set)

    def hint(self, key: Key, *, routine: bool = False) -> None:
        """A gateway's status may have to change."""
        self._queue.put(key, routine=routine)

    def fleet_changed(self, fleet: FleetId, touched: Affected) -> None:
        """The pods of a fleet, or what they say, changed."""
        for key in self._touched(fleet, touched):
            self._queue.put(key, routine=touched.everything)

    @property
    def depth(self) -> int:
        """How many gateways wait."""
        return self._queue.depth

    @property
    def idle(self) -> bool:
        """Whether nothing waits and nothing is under way; what may wait is not counted."""
        return self._queue.idle

    async def run(self) -> None:
        """Writes until it is cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for _ in range(_AT_ONCE):
                tasks.create_task(self._work())

    def close(self) -> None:
        """No timer fires after this."""
        self._queue.close()
        for timer in self._soft.values():
            timer.cancel()

    def _touched(self, fleet: FleetId, touched: Affected) -> Iterable[Key]:
        if touched.everything:
            return self.world.concerned_by(fleet)
        found = {key for name in touched.names for key in self.world.concerned(Name(fleet, name))}
        if touched.versions is not None:  # those that are not proved everywhere yet; of the others nothing changes
            found |= {k for k in self._partial.get(fleet, ()) if touched.touches("", _version(self.world, k))}
        return found

    async def _work(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            oldest = self._queue.oldest
            if oldest is None:
                self._wake.clear()
                await self._wake.wait()
                continue
            if self.storm() and loop.time() - oldest < _GIVE_WAY:
                await asyncio.sleep(0.02)
                continue
            taken = self._queue.take()
            if taken is None:
                continue
            key, _ = taken
            try:
                await self._look(key)
            except DeposedError as error:
                self.deposed(error)
                return
            except ApiError as error:
                self._failed(key, error)
            except Exception:
                log.exception(
                    "the status of %s could not be judged; it is tried again", key, extra={"gateway": str(key)}
                )
                self._later(key, 0.0)
            finally:
                self._queue.done(key)
            await asyncio.sleep(0)

    async def _look(self, key: Key) -> None:
        record = self.world.gateways.get(key)
        if record is None:
            self._forget(key)
            return
        view = gateway_view(self.world, record)
        if view is None:
            return  # its first look is still to come, and brings a hint
        fleet = judged_by(self.world, record)
        judgement = judge(view, self.fleets.view(fleet))
        self._note(record, fleet, judgement)
        change = merge_status(json.loads(record.status), judgement, _now())
        if not change.changed:
            self._wait_no_longer(key)
            return
        if not change.urgent and key not in self._due:
            self._wait(key, _SOON if len(self.world.members.get(fleet, ())) <= _FEW else _LATE)
            return
        self._wait_no_longer(key)
        self._due.discard(key)
        await self._write(record, change.status)
        self._retries.pop(key, None)
        for transition in change.transitions:
            self._tell(record, transition)

    async def _write(self, record: GatewayRecord, status: Obj) -> None:
        path = f"/apis/{API_VERSION}/namespaces/{record.key.namespace}/{PLURAL}/{record.key.name}/status"
        body = {"metadata": {"resourceVersion": record.version, "uid": record.uid}, "status": status}
        self.check()
        try:
            stored = await self.api.patch(path, body, params={"fieldManager": FIELD_MANAGER})
        except ApiError as error:
            self.metrics.writes.labels("SipGateway", "status", outcome(error)).inc()
            raise
        self.metrics.writes.labels("SipGateway", "status", "ok").inc()
        self.world.update_gateway(stored)

    def _failed(self, key: Key, error: ApiError) -> None:
        if error.not_found and error.is_status:
            return  # it is gone; the watch says so too
        if error.conflict:
            self._queue_later(key, _CONFLICT)  # a newer version is on its way, and is news itself
            return
        if not error.transient:
            log.error("the status of %s is not written: %s", key, error, extra={"gateway": str(key)})
        self._later(key, error.retry_after, _TRANSIENT_MAX if error.transient else RETRY_MAX)

    def _later(self, key: Key, at_least: float, at_most: float = RETRY_MAX) -> None:
        now = asyncio.get_running_loop().time()
        retry = self._retries[key] = Retry.after(self._retries.get(key), now)
        self._queue_later(key, min(max(retry.not_before - now, at_least), at_most))

    def _queue_later(self, key: Key, seconds: float) -> None:
        asyncio.get_running_loop().call_soon(self._queue.put_later, key, seconds)

    def _wait(self, key: Key, seconds: float) -> None:
        if key in self._soft:
            return

        def due() -> None:
            self._soft.pop(key, None)
            self._due.add(key)
            self._queue.put(key, routine=True)

        self._soft[key] = asyncio.get_running_loop().call_later(seconds, due)

    def _wait_no_longer(self, key: Key) -> None:
        timer = self._soft.pop(key, None)
        if timer is not None:
            timer.cancel()

    def _note(self, record: GatewayRecord, fleet: FleetId, judgement: Judgement) -> None:
        """Keeps who is not proved everywhere, and the numbers for the metrics."""
        partial = self._partial.get(fleet, set())
        if judgement.programmed < judgement.wanted or judgement.provisional:
            self._partial[fleet] = partial
            partial.add(record.key)
        else:
            partial.discard(record.key)
            if not partial:
                self._partial.pop(fleet, None)
        counted = tuple((str(c.type), str(c.status), c.reason) for c in judgement.conditions)
        before = self._counted.get(record.key, ())
        if counted != before:
            self._totals.subtract(before)
            self._totals.update(counted)
            self._counted[record.key] = counted
            self._show({*before, *counted})

    def _forget(self, key: Key) -> None:
        self._wait_no_longer(key)
        self._due.discard(key)
        for partial in self._partial.values():
            partial.discard(key)
        before = self._counted.pop(key, ())
        self._totals.subtract(before)
        self._show(before)

    def _show(self, changed: Iterable[tuple[str, str, str]]) -> None:
        for kind, status, reason in changed:
            self.metrics.gateways.labels(kind, status, reason).set(self._totals[kind, status, reason])

    def _tell(self, record: GatewayRecord, transition: Transition) -> None:
        """An Event for what turned. Ready repeats the others; it is told only where it is news of its own."""
        condition = transition.condition
        if condition.type in {ConditionType.STALLED, ConditionType.READY} and condition.status is not Status.TRUE:
            return
        if condition.type is ConditionType.STALLED or (not transition.before and condition.status is Status.UNKNOWN):
            return
        normal = condition.status is not Status.FALSE or not condition.reason or condition.reason in _CALM
        if transition.before:
            self.events.forget(record.uid, transition.reason_before)
        self.events.tell(record, condition.reason, f"{condition.type}: {condition.message}", normal=normal)


#: Reasons that are no trouble though the answer is no.
_CALM = frozenset({"NotRegistering", "Suspended", "ConfigMapPending", "Loading", "NotProgrammed", "Pending"})


def gateway_view(world: World, record: GatewayRecord) -> GatewayView | None:
    """What readiness wants to know of one SipGateway; None before its first look."""
    verdict = record.verdict
    if verdict is None:
        return None
    found = _own(world, record)
    version = None if found is None else int(found.since)
    held = bool(verdict.refusals) and found is not None and not record.suspend
    up_to_date = found is not None and found.digest == verdict.desired
    earlier = found if found is not None and not up_to_date else None
    return GatewayView(
        generation=verdict.generation,
        gateway_name=record.name.gateway if earlier is None else earlier.gateway,
        suspended=record.suspend,
        registers=verdict.registers if earlier is None else earlier.registers,
        refusals=verdict.refusals,
        warnings=verdict.warnings,
        config_version=version,
        held=held,
        writing=verdict.failure or (not up_to_date and not verdict.refusals and not record.suspend),
    )


def judged_by(world: World, record: GatewayRecord) -> FleetId:
    """The fleet whose pods say how it does: until it is written there, that of the version which is on the switches."""
    found = _own(world, record)
    return record.name.fleet if found is None or found.fleet is None else found.fleet


def _own(world: World, record: GatewayRecord) -> ConfigMapRecord | None:
    """The ConfigMap of a SipGateway; None for one that is somebody else's, or cannot be read."""
    found = world.config_maps.get(record.key)
    return found if found is not None and found.name is not None and found.owner in {"", record.uid} else None


def _version(world: World, key: Key) -> int | None:
    found = world.config_maps.get(key)
    return None if found is None else int(found.since)


def _now() -> str:
    return dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
