"""One worker per fleet: takes hints, decides, writes ConfigMaps. A slow or failing gateway delays no other one.

In: hints from the world. Out: ConfigMaps as they should be, and a hint for the status of each gateway looked at.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from sipgateway.cluster.lease import DeposedError
from sipgateway.errors import Finding
from sipgateway.kube.decide import Action, Decision, decide
from sipgateway.kube.hints import HintQueue
from sipgateway.kube.metrics import Metrics
from sipgateway.kube.publish import Outcome, Publisher
from sipgateway.kube.records import FleetId, Key
from sipgateway.kube.world import World
from sipgateway.reconcile.backoff import Retry

log = logging.getLogger("sipgateway.reconcile")

#: Writes of one fleet that are under way at once.
_AT_ONCE = 4

#: Looks in a row at one gateway, each for what changed during the one before; then others get their turn.
_TRIES = 5

#: So many looks within so many seconds are a storm.
_MANY, _LATELY = 8, 0.5

#: Seconds between looks at what failed on its own account: a foreign ConfigMap, a quota.
_RECHECK_MAX = 60.0

#: The same for what fails on the API server's account: when it is back, nobody shall wait a minute.
_TRANSIENT_MAX = 8.0


@dataclass(slots=True)
class Workers:
    """The workers of all fleets.

    Attributes:
        judge: told of each gateway whose status may have to change.
        restored: told of each gateway whose ConfigMap somebody had changed or deleted.
        deposed: told once when we do not lead any more.
    """

    world: World
    publisher: Publisher
    metrics: Metrics
    judge: Callable[[Key], None]
    restored: Callable[[Key], None]
    deposed: Callable[[DeposedError], None]
    _queues: dict[FleetId, HintQueue[Key]] = field(default_factory=dict)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _running: dict[FleetId, int] = field(default_factory=dict)
    _retries: dict[Key, Retry] = field(default_factory=dict)
    _told: dict[Key, Finding] = field(default_factory=dict)
    _fleet_of: dict[Key, FleetId] = field(default_factory=dict)
    _looks: deque[float] = field(default_factory=lambda: deque(maxlen=_MANY))
    _stopping: bool = False

    def hint(self, key: Key, *, routine: bool = False) -> None:
        """A gateway's ConfigMap may have to change."""
        if not self._stopping:
            self._queue(self._fleet(key)).put(key, routine=routine)

    @property
    def depth(self) -> int:
        """How many gateways wait."""
        return sum(queue.depth for queue in self._queues.values())

    @property
    def storm(self) -> bool:
        """Whether so many gateways change that everything but ConfigMaps had better wait."""
        if self.depth > 0:
            return True
        lately = asyncio.get_running_loop().time() - _LATELY
        return len(self._looks) == _MANY and self._looks[0] > lately

    @property
    def idle(self) -> bool:
        """Whether nothing waits and nothing is under way."""
        return all(queue.idle for queue in self._queues.values())

    async def stop(self, patience: float) -> None:
        """Finishes the writes in hand, takes up no more.

        Args:
            patience: seconds after which they are given up.
        """
        self._stopping = True
        for queue in self._queues.values():
            queue.close()
        tasks = list(self._tasks)
        if tasks:
            await asyncio.wait(tasks, timeout=patience)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _fleet(self, key: Key) -> FleetId:
        """The fleet whose worker has a key; while it is worked on it stays with that one."""
        record = self.world.gateways.get(key)
        if record is not None:
            fleet = record.name.fleet
        elif (before := self.world.config_maps.get(key)) is not None and before.name is not None:
            fleet = before.name.fleet
        else:
            fleet = FleetId(key.namespace, "")
        known = self._fleet_of.get(key)
        if known is not None and known != fleet and known in self._queues and self._queues[known].holds(key):
            return known
        self._fleet_of[key] = fleet
        return fleet

    def _queue(self, fleet: FleetId) -> HintQueue[Key]:
        queue = self._queues.get(fleet)
        if queue is None:
            queue = self._queues[fleet] = HintQueue(lambda: self._start(fleet))
        return queue

    def _start(self, fleet: FleetId) -> None:
        """There is work for a fleet: another task for it, unless it has enough. It ends when nothing is left."""
        if self._stopping or self._running.get(fleet, 0) >= _AT_ONCE:
            return
        self._running[fleet] = self._running.get(fleet, 0) + 1
        task = asyncio.create_task(self._work(fleet, self._queues[fleet]), name=f"fleet {fleet}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _work(self, fleet: FleetId, queue: HintQueue[Key]) -> None:
        try:
            while not self._stopping and (taken := queue.take()) is not None:
                key, since = taken
                self._looks.append(asyncio.get_running_loop().time())
                try:
                    await self._look(key, since)
                except DeposedError as error:
                    self.deposed(error)
                    return
                except Exception:
                    log.exception("a look at %s failed; it is tried again", key, extra={"gateway": str(key)})
                    self._retry(key, 0.0)
                finally:
                    queue.done(key)
                await asyncio.sleep(0)  # decisions take no I/O: others get their turn
        finally:
            self._running[fleet] -= 1
            if not self._running[fleet]:
                del self._running[fleet]
                if queue.empty and self._queues.get(fleet) is queue:
                    del self._queues[fleet]  # whoever writes names of fleets without end fills no memory

    async def _look(self, key: Key, since: float) -> None:
        tries = 0
        while True:
            decision = decide(self.world, key)
            outcome = await self.publisher.carry_out(key, decision)
            tries += 1
            if not outcome.look_again:
                break
            if tries == _TRIES:
                outcome = replace(outcome, retry=0.0)
                break
        self._took(key, decision, outcome, since)
        self.judge(key)

    def _took(self, key: Key, decision: Decision, outcome: Outcome, since: float) -> None:
        record = self.world.gateways.get(key)
        verdict = None if record is None else record.verdict
        if outcome.failure is not None and self._told.get(key) != outcome.failure:
            self._told[key] = outcome.failure
            generation = record.generation if record is not None else 0
            log.error("%s", outcome.failure, extra={"gateway": str(key), "generation": generation})
        if record is not None and verdict is not None and outcome.failure is not None:
            record.verdict = replace(verdict, failure=outcome.failure, inputs=())
        if outcome.retry is not None:
            self._retry(key, outcome.retry, _TRANSIENT_MAX if outcome.failure is None else _RECHECK_MAX)
            return
        self._retries.pop(key, None)
        self._told.pop(key, None)
        if outcome.recheck is not None:
            self._later(key, outcome.recheck)
        if not outcome.done:
            return
        if record is None and key not in self.world.config_maps:
            self._fleet_of.pop(key, None)
        if decision.action not in {Action.NOTHING, Action.WAIT}:
            self.metrics.reconcile_seconds.observe(asyncio.get_running_loop().time() - since)
            generation = record.generation if record is not None else 0
            log.info(
                "ConfigMap of %s: %s",
                key,
                decision.action.value,
                extra={"gateway": str(key), "generation": generation, "fleet": str(self._fleet_of.get(key, ""))},
            )
        if outcome.restored:
            self.restored(key)
        self.metrics.last_success.set(time.time())

    def _retry(self, key: Key, at_least: float, at_most: float = _RECHECK_MAX) -> None:
        now = asyncio.get_running_loop().time()
        retry = self._retries[key] = Retry.after(self._retries.get(key), now)
        self._later(key, min(max(retry.not_before - now, at_least), at_most))

    def _later(self, key: Key, seconds: float) -> None:
        def later() -> None:  # when it is not worked on any more
            if not self._stopping:
                self._queue(self._fleet(key)).put_later(key, seconds)

        asyncio.get_running_loop().call_soon(later)
