"""The keeper: holds one switch to what is wanted. Wait for a hint, compare, plan, execute, prove, report; for ever.

In: `Desired` values and the switch's events. Out: files, a switch that has them, and `Report`s. A hint is only a
reason to look: what is done follows from what is wanted and what the switch has, read from it, not remembered.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from sipgateway.agent.executor import Executor, Reload, Result, profile_not_running, switch_config_broken
from sipgateway.agent.files import ConfFolder
from sipgateway.agent.report import Report
from sipgateway.agent.store import Desired, Store
from sipgateway.agent.view import SwitchView
from sipgateway.errors import Finding, SipgwError, StorageError, SwitchError
from sipgateway.esl.client import Client, EventsLost
from sipgateway.esl.replies import parse_gateway_event
from sipgateway.reconcile.backoff import Pace, Retry
from sipgateway.reconcile.plan import Kind, Plan, Problem, ProblemKind, Step, by_profile, plan
from sipgateway.reconcile.registration import Verdict

__all__ = ["Desired", "Keeper"]

#: CUSTOM events that the keeper listens to (facts 22, 30, 35).
EVENTS = (
    "sofia::gateway_add",
    "sofia::gateway_delete",
    "sofia::gateway_state",
    "sofia::gateway_invalid_digest_req",
    "sofia::profile_start",
)

#: Seconds between full looks at `sofia status` and at our files, which correct whatever events missed.
RESYNC = 10.0

#: Seconds between tries of a tree that the switch could not read (fact 3).
BROKEN_RETRY = 5.0

#: Seconds between tries of files that could not be written; a hint tries at once.
STORAGE_RETRY = 2.0

#: A second copy counts as a ghost when it is there for so many seconds: somebody's marked copy goes within two (14).
GHOST_PATIENCE = 3.0

#: A replacement waits at most this many seconds for its tick, then goes ahead.
TICK_PATIENCE = 4.0

#: Verdicts that are on the way to another, or follow from the manifest.
_NO_NEWS = frozenset({Verdict.PENDING, Verdict.NOT_WANTED})

#: A pass that found nothing to do is followed by at least this pause, whatever seems to be due.
_LEAST = 0.02

#: Seconds after which a replaced gateway that comes to no end is not waited for any more (timeout-seconds is 60).
_SETTLE_PATIENCE = 90.0

#: Aimed moments that are missed by more than this are aimed anew.
_LATE = 0.08


@dataclass(slots=True)
class Keeper:
    """Keeps one switch and its folder.

    Attributes:
        folder: where our files stand.
        ours: whether a revision was made with our key.
        report: told of everything that happens; must not block.
        adopt: take over gateways of our names that somebody else loaded.
    """

    folder: ConfFolder
    ours: Callable[[str], bool]
    report: Callable[[Report], None]
    adopt: bool = False
    view: SwitchView = field(default_factory=SwitchView)
    problems: dict[str, Problem] = field(default_factory=dict)
    failures: dict[str, Finding] = field(default_factory=dict)
    settling: dict[str, float] = field(default_factory=dict)
    connected: bool = False
    storage: Finding | None = None
    broken: Reload = field(default_factory=Reload)
    passes: int = 0
    desired: Desired = field(default_factory=Desired)
    store: Store = field(init=False)
    _retries: dict[str, Retry] = field(default_factory=dict)
    _known: set[str] = field(default_factory=set)
    _due: dict[str, tuple[float, float]] = field(default_factory=dict)
    _pace: Pace = field(default_factory=Pace)
    _wake: asyncio.Event = field(default_factory=asyncio.Event)
    _resync_at: float = 0.0
    _broken_at: float = 0.0
    _settle_at: float = 0.0
    _ghosts: dict[str, float] = field(default_factory=dict)
    _moving: dict[str, str] = field(default_factory=dict)
    _in_vain: dict[str, str] = field(default_factory=dict)
    _idle: bool = False
    _changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    def __post_init__(self) -> None:
        self.store = Store(self.folder)

    def want(self, desired: Desired) -> None:
        """Takes in what is wanted from now on, and looks at once."""
        for name in [n for n, mark in self._in_vain.items() if mark != desired.revision_of(n)]:
            del self._in_vain[name]
        for name, wanted in desired.wanted.items():
            before = self.desired.wanted.get(name)
            if before is None or before.revision != wanted.revision:
                self._retries.pop(name, None)  # a new version is not made to wait for its predecessor's failures
        self.desired = desired
        self.hint()

    def hint(self) -> None:
        """Something may have changed: look at it."""
        self._idle = False
        self._wake.set()

    @property
    def converged(self) -> bool:
        """Whether everything that is wanted is proved and nothing is in progress."""
        return (
            self._idle
            and self.connected
            and not (self.failures or self.settling or self._due or self._moving or self.storage)
        )

    async def idle(self) -> None:
        """Waits until a pass found nothing left that it could do now (failures may remain)."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._idle)

    async def write_files(self) -> None:
        """Brings the folder in line without a switch, so that a switch that starts later starts with everything."""
        try:
            kept = self.store.elsewhere(self.desired)
        except StorageError as error:
            self.storage = error.finding
            self.report(Report.failure("", error.finding))
            return
        await self._store(self.desired, kept, frozenset())

    async def keep(self, client: Client) -> None:
        """Keeps the switch behind this connection until the connection fails.

        Raises:
            SwitchError: the connection is gone or the switch answers what no switch answers; reconnect and call again.
        """
        self.view = SwitchView(ticks=self.view.ticks)
        self._due.clear()
        self._moving.clear()
        executor = Executor(client, self.view)
        await client.subscribe(EVENTS)
        await executor.read_everything()
        self.connected = True
        listener = asyncio.create_task(self._listen(client))
        try:
            while True:
                self._wake.clear()
                wait = await self._pass(executor)
                if listener.done():
                    listener.result()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._wake.wait(), wait)
                now = _now()
                aims = [aim for _, aim in self._due.values() if aim >= now]
                pause = min(self._pace.start_at(now), *aims, float("inf")) - now  # an aimed moment is not missed
                if pause > 0:
                    await asyncio.sleep(pause)
        finally:
            self.connected = False
            self._idle = False
            listener.cancel()
            with contextlib.suppress(asyncio.CancelledError, SipgwError):
                await listener

    async def _listen(self, client: Client) -> None:
        async for event in client.events:
            if isinstance(event, EventsLost):
                self.view.revisions.clear()  # whatever was missed may have changed any of them
                self.view.stale = True
                self.hint()
                continue
            gateway = parse_gateway_event(event)
            if gateway is None:
                continue
            before = self.view.registrations.get(gateway.gateway)
            self.view.event(gateway, _now())
            after = self.view.registrations.get(gateway.gateway)
            if (
                gateway.gateway in self.desired.wanted
                and after is not None
                and after.verdict not in _NO_NEWS
                and (before is None or before.verdict is not after.verdict)
            ):
                self.report(Report.registration(gateway.gateway, after))
            if self.view.stale or gateway.gateway in self.settling or gateway.kind == "delete":
                self._wake.set()
            elif self._due and gateway.profile is None:
                self._wake.set()  # a tick may have shown itself
        self._wake.set()
        raise SwitchError(
            Finding("SwitchDisconnected", "", "The switch closed the connection.", "It is tried again by itself.")
        )

    async def _pass(self, executor: Executor) -> float:
        """Looks once and does what can be done now. Returns how long to wait for the next look, in seconds."""
        now = _now()
        self._idle = False
        desired = self.desired
        if now >= self._resync_at:
            self._resync_at = now + RESYNC
            self.view.stale = True
            self.store.forget()
            again = (n for n in desired.wanted if n in self.view.rows and self.view.revisions.get(n) is None)
            self.view.unread.update(again)  # a look-up may have failed for a moment (fact 30)
        if self.view.stale or self.view.unread:
            await executor.refresh()
        todo = self._plan(desired)
        taken = {p.name for p in todo.problems if p.kind is ProblemKind.NAME_TAKEN}
        await self._store(desired, frozenset(taken | {s.name for s in todo.moves}), self._leaving(desired))
        steps, timed, moves, removals = (self._allowed(desired, group) for group in todo.groups)
        moves = [s for s in moves if self._has_target(s)]
        if not await self._readable(executor, [*moves, *steps], timed, removals):
            steps, timed, moves, removals = [], [], [], []
        due, wait = await self._timed(executor, timed)
        if steps or due:
            self._take(await executor.load([*steps, *due]), executor, _now() - now)
        if moves:
            await executor.vacate(moves)
            self._moving.update({s.name: s.why for s in moves})
        if removals:
            started = _now()
            self._take(await executor.remove(removals), executor, _now() - started)
        settled = await self._settle(executor)
        return await self._rest(
            min(wait, self._patience(now)), worked=bool(steps or due or moves or removals or settled)
        )

    async def _readable(self, executor: Executor, steps: list[Step], timed: list[Step], removals: list[Step]) -> bool:
        """Whether the switch can read its tree, as far as these steps depend on it.

        `killgw` before a rescan that cannot read the tree brings the old copy back as it was (fact 2): for one that
        registers that is a gap for nothing, so the tree is tried before the first such `killgw`.
        """
        todo = [*steps, *timed, *removals]
        disruptive = any(s.kill and (s.registered or s.moves) for s in steps) or any(
            s.profile not in self._due for s in timed
        )
        if not todo or (self.broken.error is None and not disruptive):
            return True
        now = _now()
        if self.broken.error is None or now >= self._broken_at:
            self._broken_at = now + BROKEN_RETRY
            self.broken = await executor.check_tree()
        if self.broken.error is None:
            return True
        for step in todo:
            self._failed(step.name, switch_config_broken(self.broken))
        return False

    def _patience(self, now: float) -> float:
        """Seconds until something is due that no event announces."""
        retries = (r.not_before for n, r in self._retries.items() if n in self.failures and r.not_before > now)
        until = [self._resync_at, *retries]
        if self.settling:
            until.append(now + 0.5)
        if self.storage is not None:
            until.append(now + STORAGE_RETRY)
        if self.broken.error is not None and self.failures:
            until.append(self._broken_at)
        until += [since + GHOST_PATIENCE for name, since in self._ghosts.items() if name not in self.problems]
        return max(min(until) - now, _LEAST)

    async def _rest(self, wait: float, *, worked: bool) -> float:
        self.passes += 1
        if worked:
            self._pace = self._pace.passed(_now())
        if worked or self._wake.is_set():
            return 0.0 if not self.view.marks and worked else min(wait, 1.0)
        async with self._changed:
            self._idle = True
            self._changed.notify_all()
        return wait

    def _plan(self, desired: Desired) -> Plan:
        todo = plan(
            self.view.listed(desired.wanted),
            self.view.loaded(),
            ours=self.ours,
            removable=lambda name: desired.complete and name not in desired.held,
            known=frozenset(self._known),
            adopt=self.adopt,
            unadopted=frozenset(self._in_vain),
        )
        self._moving = {name: why for name, why in self._moving.items() if name in desired.wanted}
        moved = (replace(s, kind=Kind.REPLACE, why=self._moving.get(s.name, s.why)) for s in todo.now)
        todo = replace(
            todo, now=tuple(m if m.name in self._moving else s for m, s in zip(moved, todo.now, strict=True))
        )
        now = _now()
        copies = {p.name for p in todo.problems if p.kind is ProblemKind.GHOST}
        self._ghosts = {name: self._ghosts.get(name, now) for name in copies}
        ghosts = {name for name, since in self._ghosts.items() if now - since >= GHOST_PATIENCE}
        fresh = {p.name: p for p in todo.problems if p.kind is not ProblemKind.GHOST or p.name in ghosts}
        for name, problem in fresh.items():
            if self.problems.get(name) != problem:
                self.report(Report.problem(problem))
        self.problems = fresh
        wrong = {s.name for s in todo.steps}
        for name in [n for n in self.failures if n not in wrong]:
            del self.failures[name]
            self._retries.pop(name, None)
            if name in desired.wanted and name not in fresh:
                self.report(Report.healed(desired.wanted[name]))
        self._known |= {n for n in desired.wanted if n not in wrong and n not in fresh}
        self._known &= desired.wanted.keys()
        return todo

    def _allowed(self, desired: Desired, steps: tuple[Step, ...]) -> list[Step]:
        """The steps that need not wait, neither for a retry nor for their file: a rescan loads what stands there."""
        now = _now()
        return [
            s
            for s in steps
            if (s.name not in self._retries or now >= self._retries[s.name].not_before)
            and (self.storage is None or self.store.holds(desired, s))
            and (s.kill or not self.view.leaving(s.name, s.profile))
            and not (s.kill and s.revision is not None and self._in_vain.get(s.name) == s.revision)  # no flapping
        ]

    def _has_target(self, step: Step) -> bool:
        """Whether a move has where to go: without that profile the gateway would only be lost."""
        if step.profile in self.view.profiles:
            return True
        self._failed(step.name, profile_not_running(step))
        self._retries[step.name] = Retry.after(self._retries.get(step.name), _now())
        return False

    def _leaving(self, desired: Desired) -> frozenset[str]:
        """Wanted names whose old copy, on another profile, is marked and still there."""
        marked = ((profile, name) for (profile, name), count in self.view.marks.items() if count > 0)
        return frozenset(n for p, n in marked if n in desired.wanted and desired.wanted[n].profile != p)

    async def _store(self, desired: Desired, kept: frozenset[str], leaving: frozenset[str]) -> None:
        try:
            await asyncio.to_thread(self.store.sync, desired, kept, leaving)
        except StorageError as error:
            if self.storage != error.finding:
                self.report(Report.failure("", error.finding))
            self.storage = error.finding
        else:
            self.storage = None

    async def _timed(self, executor: Executor, steps: list[Step]) -> tuple[list[Step], float]:
        """Which replacements are due now, and how long until the next is (fact 15)."""
        now = _now()
        due: list[Step] = []
        wait = RESYNC
        groups = by_profile(steps)
        for profile in [p for p in self._due if p not in groups]:
            del self._due[profile]
        for profile, group in groups.items():
            working = [s for s in group if self._works(s)]
            if not working:
                due += group  # nothing to lose
                continue
            first, aim = self._due.get(profile, (now, 0.0))
            if profile not in self._due and not self._trusted(profile, now):
                there = next((s.name for s in working if s.registered and self.view.is_on(s.name, profile)), None)
                if there is None or not await executor.show_tick(there):
                    due += group  # nothing of ours can show the tick: waiting would be for nothing
                    continue
            if now - first > TICK_PATIENCE or (aim and 0 <= now - aim <= _LATE):
                due += group
                self._due.pop(profile, None)
                continue
            if self._trusted(profile, now):
                if not aim or now > aim:
                    aim = self.view.ticks[profile].act_at(now, executor.rescan_seconds)
                wait = min(wait, max(aim - now, 0.0))
            else:
                wait = min(wait, TICK_PATIENCE - (now - first))
            self._due[profile] = (first, aim)
        return due, wait

    def _trusted(self, profile: str, now: float) -> bool:
        tick = self.view.ticks.get(profile)
        return tick is not None and tick.trusted(now)

    def _works(self, step: Step) -> bool:
        if not step.registered:
            return True  # a NOREG copy is UP
        registration = self.view.registrations.get(step.name)
        return registration is not None and registration.verdict is Verdict.REGISTERED

    async def _settle(self, executor: Executor) -> bool:
        now = _now()
        for name in [n for n, since in self.settling.items() if now - since > _SETTLE_PATIENCE]:
            del self.settling[name]
        names = [n for n in self.settling if not self.view.marked(n)]
        if not names or (now < self._settle_at and not self._wake.is_set()):
            return False
        self._settle_at = now + 0.5
        sent, over = await executor.settle(names)
        for name in (*sent, *over):
            del self.settling[name]
        for name in sent:
            self.report(Report.settled(name))
        return bool(sent or over)

    def _take(self, results: list[Result], executor: Executor, seconds: float) -> None:
        now = _now()
        if executor.reload != self.broken:
            self.broken = executor.reload
            self._broken_at = now + BROKEN_RETRY
        for result in results:
            step, name = result.step, result.step.name
            if result.finding is None:
                self._moving.pop(name, None)
                self.failures.pop(name, None)
                self._retries.pop(name, None)
                if step.kind is Kind.REMOVE:
                    self._known.discard(name)
                    self.settling.pop(name, None)
                else:
                    self._known.add(name)
                    if step.settles:
                        self.settling[name] = now
                self.report(Report.proved(step, seconds))
            else:
                self._failed(name, result.finding)
                if step.adopts or (step.kill and result.finding.code == "OtherVersionLoaded"):
                    self._in_vain[name] = step.revision or ""
                self._retries[name] = Retry.after(self._retries.get(name), now)

    def _failed(self, name: str, finding: Finding) -> None:
        if self.failures.get(name) != finding:
            self.report(Report.failure(name, finding))
        self.failures[name] = finding


def _now() -> float:
    return asyncio.get_running_loop().time()
