"""The agent of one switch pod: puts source, keeper, link, reporter and probes together, and starts them in order.

In: `Options` and access to the API server. Out: a switch that is kept for ever. First everything that is wanted is
fetched and written to files; then `/startedz` says so, and only then does the switch's container start, so that it
boots with everything. After the boot's time limit it starts with what is on the disk.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from sipgateway import __version__
from sipgateway.agent import heap, memory
from sipgateway.agent.cluster_source import ClusterSource
from sipgateway.agent.codes import DEFAULT_PASSWORD
from sipgateway.agent.desired import Claim
from sipgateway.agent.drain import Doomed, Drain
from sipgateway.agent.files import ConfFolder
from sipgateway.agent.gate import Gate
from sipgateway.agent.keeper import Keeper
from sipgateway.agent.link import Link
from sipgateway.agent.metrics import KIND as METRICS
from sipgateway.agent.metrics import Metrics
from sipgateway.agent.probes import Answer, Probes
from sipgateway.agent.report import Report
from sipgateway.agent.reporter import Reporter
from sipgateway.agent.switch_report import Facts, status
from sipgateway.agent.turn import FleetTurn
from sipgateway.agent.view import states
from sipgateway.cluster.access import Access
from sipgateway.cluster.client import Api
from sipgateway.errors import Finding, StorageError
from sipgateway.esl.client import Client, connect
from sipgateway.reconcile.state import Wanted
from sipgateway.render.revision import key_id_of

_log = logging.getLogger("sipgateway.agent")

#: Seconds that the API server gets before a switch that runs already is kept with what is known from the disk.
_GRACE = 2.0

#: Seconds after a change in the cluster in which the switch mostly has it: then one report says both.
_SOON = 0.2

#: Seconds until what a restart must know is written again.
_KEEP = 1.0


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line asks for. The event socket's password never shows in `repr`."""

    namespace: str
    pod: str
    uid: str
    switch: str
    esl_host: str
    esl_port: int
    esl_password: str = field(repr=False)
    host: str = "0.0.0.0"  # noqa: S104 - the kubelet and Prometheus come from outside the container
    port: int = 8081
    boot_timeout: float = 60.0
    register_rate: int = 20
    default_password: bool = False


@dataclass(slots=True)
class Agent:
    """Runs until it is cancelled. The folder is locked by the caller."""

    access: Access
    options: Options
    folder: ConfFolder
    started: bool = False
    proved_once: bool = False
    phase: str = "Starting"
    source: ClusterSource = field(init=False)
    keeper: Keeper = field(init=False)
    link: Link = field(init=False)
    reporter: Reporter = field(init=False)
    probes: Probes = field(init=False)
    turn: FleetTurn = field(init=False)
    drain: Drain = field(init=False)
    metrics: Metrics = field(default_factory=Metrics)
    _api: Api = field(init=False)
    _memory: memory.Memory = field(default_factory=memory.Memory)
    _linked: asyncio.Task[None] | None = None
    _noted: dict[str, tuple[Wanted, str]] = field(default_factory=dict)
    _noted_gone: frozenset[str] = frozenset()
    _memory_lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    _dirty: asyncio.Event = field(default_factory=asyncio.Event)
    _unkept: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        o = self.options
        self._api = Api(self.access, connections=24)
        # After kill -9 the same pod must not take the Lease of the process before it for its own.
        identity = f"{o.pod}_{secrets.token_hex(4)}"
        self.turn = FleetTurn(self._api, o.namespace, o.switch, identity, self._our_turn)
        self.keeper = Keeper(
            self.folder, self._ours, self._heard, gate=Gate(o.register_rate, self.turn), idled=self._idled
        )
        self.source = ClusterSource(self._api, o.namespace, o.switch, self._dirty.set, self.folder.layout)
        self.link = Link(self.keeper, o.esl_host, o.esl_port, o.esl_password, self._heard)
        self.reporter = Reporter(self._api, o.namespace, o.pod, o.uid, o.switch, self.status)
        doomed = Doomed(self._api, o.namespace, o.pod, o.uid)
        self.drain = Drain(doomed, self._stop_keeping, lambda: self.keeper.holding.wanted, o.register_rate)
        paths: dict[str, Callable[[], Awaitable[Answer]]] = {
            "/healthz": _always,
            "/startedz": self._startedz,
            "/readyz": self._readyz,
            "/drain": self._drainz,
            "/metrics": self._metricsz,
        }
        self.probes = Probes(o.host, o.port, MappingProxyType(paths))

    async def run(self) -> None:
        """Boots, then keeps the switch for ever."""
        async with self._api, self.probes:
            self._memory = memory.recall(self.folder)
            self.source.key_id = self._memory.key_id
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self.source.run())
                await self._boot()
                tasks.create_task(self._want())
                tasks.create_task(self._keep_memory())
                tasks.create_task(self.reporter.run())
                tasks.create_task(self.turn.run())
                self._linked = tasks.create_task(self.link.run())

    # -- boot ----------------------------------------------------------------------------------------------------

    async def _boot(self) -> None:
        """Fetches what is wanted, and writes it; after the time limit with what is on the disk.

        A switch that runs already waits for nobody: this is a restart of the agent alone. Then the keeper writes the
        files, in batches where they make gateways register.
        """
        runs = await self._switch_runs()
        limit = min(_GRACE, self.options.boot_timeout) if runs else self.options.boot_timeout
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(limit):
                await self.source.synced()
        if not self.source.is_synced:
            _log.warning("the API server did not answer in time; starting with what is on the disk")
        self._restore()
        await self._want_now()
        if not runs:
            await self.keeper.write_files()
        heap.give_back()
        self.started = True
        _log.info("started with %d gateways", len(self.keeper.desired.wanted))

    async def _switch_runs(self) -> bool:
        try:
            async with asyncio.timeout(1.0):
                _, writer = await asyncio.open_connection(self.options.esl_host, self.options.esl_port)
        except OSError:
            return False
        writer.close()
        return True

    def _restore(self) -> None:
        """Takes over what was known before and is not listed now: its ConfigMap is gone, or was not read yet."""
        listed = {e.claim.name for e in self.source.fleet.entries.values() if e.claim is not None}
        absent = {name: record for name, record in self._memory.records.items() if name not in listed}
        self.source.fleet.restore(memory.claims(self.folder, absent), self._memory.gone)
        self._memory = memory.Memory()
        self.source.seeker.look()

    # -- work ----------------------------------------------------------------------------------------------------

    async def _want(self) -> None:
        """Hands what the cluster wants to the keeper: the first change at once, those of a storm together."""
        loop = asyncio.get_running_loop()
        while True:
            await self._dirty.wait()
            self._dirty.clear()
            before = loop.time()
            await self._want_now()
            self._unkept.set()
            if self.link.down:
                await self.keeper.write_files()
            loop.call_later(_SOON, self.reporter.hint)
            await asyncio.sleep(max(4 * (loop.time() - before), 0.001))

    async def _want_now(self) -> None:
        """What is wanted is wanted of the keeper, and before that it is written down whose each new gateway is."""
        desired = self.source.fleet.desired()
        news: list[Claim] = []
        noted: dict[str, tuple[Wanted, str]] = {}
        for name, wanted in desired.wanted.items():
            before = self._noted.get(name)
            if before is not None and before[0] is wanted:
                continue
            claim = self.source.fleet.claim(name)
            if claim is None:
                continue
            noted[name] = wanted, claim.config_map
            if before is None or (before[0].path, before[1]) != (wanted.path, claim.config_map):
                news.append(claim)
        gone = desired.gone - self._noted_gone
        if news or gone:
            async with self._memory_lock:
                try:
                    await asyncio.to_thread(memory.note, self.folder, news, gone)
                except StorageError as error:
                    _log.warning("what a restart must know cannot be written: %s", error.finding.message)
                    noted = {}
        self._noted |= noted
        for name in self._noted.keys() - desired.wanted.keys():
            del self._noted[name]
        self._noted_gone = desired.gone
        self.keeper.want(desired)

    async def _keep_memory(self) -> None:
        """Writes down what a restart must know, not in the way of what is being changed: the log has the news."""
        kept: object = None
        while True:
            await self._unkept.wait()
            if kept is not None:
                await asyncio.sleep(_KEEP)
            self._unkept.clear()
            try:
                async with self._memory_lock:
                    fleet = self.source.fleet
                    known = (self.source.key_id, tuple(fleet.claims.values()), tuple(fleet.gone))
                    kept = await asyncio.to_thread(memory.keep, self.folder, *known, kept)
            except StorageError as error:
                _log.warning("what a restart must know cannot be written: %s", error.finding.message)
                await asyncio.sleep(_KEEP)

    def _idled(self) -> None:
        """A pass left nothing to do: what is gone for good is forgotten, and there may be news without any step."""
        self.metrics.all_proved()
        if not self.proved_once:
            self.proved_once = True
            self.phase = "Running"
            heap.give_back()
        keeper = self.keeper
        handled = keeper.desired.gone if keeper.storage is None else ()  # their files are gone too
        over = [n for n in handled if n not in keeper.view.rows and n not in keeper.failures]
        if over:
            self.source.fleet.forget(over)
            self._unkept.set()
        self.reporter.hint()

    def _ours(self, revision: str) -> bool:
        key_id = key_id_of(revision)
        return key_id is not None and key_id == self.source.key_id

    def _heard(self, report: Report) -> None:
        """The keeper tells that something happened."""
        level = {"info": logging.INFO, "warning": logging.WARNING}.get(report.level, logging.ERROR)
        if self.metrics.heard(report):
            level = logging.WARNING  # somebody else changes what is ours
        _log.log(level, "%s: %s", report.event, report.text, extra={"gateway": report.gateway})
        self.reporter.hint()

    # -- what is said ----------------------------------------------------------------------------------------------

    def status(self) -> dict[str, Any]:
        """The status of the SipSwitch now."""
        keeper, source = self.keeper, self.source
        keys = source.keys
        return status(
            Facts(
                phase=self.phase,
                agent_version=__version__,
                switch_version=self.link.version,
                observed=source.observed,
                seal_keys=() if keys is None else keys.ids,
                wanted=keeper.desired.wanted,
                refused=source.fleet.troubled,
                view=keeper.view,
                ours=frozenset(n for n, r in keeper.view.revisions.items() if r is not None and self._ours(r)),
                failures=keeper.failures,
                problems=keeper.problems,
                storage=keeper.storage,
                unreachable=self.link.unreachable,
                warning=self._warning,
            )
        )

    @property
    def _warning(self) -> Finding | None:
        return (
            DEFAULT_PASSWORD.because("", "The event socket has FreeSWITCH's own password.")
            if self.options.default_password
            else None
        )

    def _our_turn(self) -> None:
        self.keeper.hint()

    async def _stop_keeping(self) -> Client:
        """Ends the keeper's work for good; gives a connection for what comes after."""
        self.phase = "Draining"
        self.reporter.hint()
        if self._linked is not None:
            self._linked.cancel()
            await asyncio.wait((self._linked,))
        return await connect(self.options.esl_host, self.options.esl_port, self.options.esl_password)

    async def _startedz(self) -> Answer:
        return Answer.of(None if self.started else "fetching and writing what is wanted")

    async def _readyz(self) -> Answer:
        if not self.started:
            return await self._startedz()
        if self.phase == "Draining":
            return Answer.of("the pod is being deleted")
        return Answer.of(None if self.proved_once else "the switch was not proved to have what is wanted yet")

    async def _drainz(self) -> Answer:
        drained, text = await self.drain()
        return Answer(200 if drained else 409, f"{text}\n".encode())

    async def _metricsz(self) -> Answer:
        source, keeper = self.source, self.keeper
        text = self.metrics.exposition(
            states=states(keeper.view),
            counts=self.status()["counts"],
            answers=keeper.view.answers,
            gauges={
                "switch_reachable": ("Whether the event socket is connected.", self.link.unreachable is None),
                "cluster_reachable": ("Whether the API server answers.", not source.trouble),
                "config_maps_refused": ("ConfigMaps that are not taken.", len(source.fleet.refusals)),
                "held_without_evidence": ("Gateways kept for want of evidence.", len(source.seeker.held_back)),
                "waiting_for_turn": ("Replacements that wait for other pods.", len(keeper.gate.waiting)),
                "waiting_for_pace": ("Gateways that wait to register.", len(keeper.gate.paced)),
            },
            totals={
                "watch_restarts_total": ("Watches that had to begin again.", source.restarts),
                "switch_connects_total": ("Connections to the event socket.", self.link.connects),
                "reports_written_total": ("Writes of the SipSwitch.", self.reporter.written),
                "turns_total": ("Turns to replace working gateways.", self.turn.taken),
                "passes_total": ("Looks at the switch.", keeper.passes),
            },
        )
        return Answer(200, text.encode(), METRICS)


async def _always() -> Answer:
    return Answer()
