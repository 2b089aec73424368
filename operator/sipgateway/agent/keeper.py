"""The keeper: holds one switch to what is wanted. Wait for a hint, compare, plan, execute, prove, report; for ever.

In: `Desired` values and the switch's events. Out: files, a switch that has them, and `Report`s. A hint is only a
reason to look: what is done follows from what is wanted and what the switch has, read from it, not remembered.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace

from sipgateway.agent.aim import Aim
from sipgateway.agent.executor import Executor, Result, profile_not_running, switch_config_broken
from sipgateway.agent.files import ConfFolder
from sipgateway.agent.gate import Gate
from sipgateway.agent.lastgood import LastGood
from sipgateway.agent.report import Report
from sipgateway.agent.settling import Settling
from sipgateway.agent.store import Desired, Store
from sipgateway.agent.tree import Tree
from sipgateway.agent.trouble import Trouble
from sipgateway.agent.view import SwitchView
from sipgateway.errors import Finding, SipgwError, StorageError, SwitchError
from sipgateway.esl.client import Client, EventsLost
from sipgateway.esl.replies import parse_gateway_event
from sipgateway.reconcile.backoff import Pace
from sipgateway.reconcile.plan import Kind, Plan, Problem, ProblemKind, Step, batch, plan
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

#: Seconds between looks at `sofia status` and at our files, which correct whatever events missed; more where they take
#: more than this share of a core, up to a limit.
RESYNC = 10.0
_SHARE, _RESYNC_MOST = 0.002, 120.0

#: Each so many such looks all gateways are compared anew, those too of which nothing was seen to change.
_WHOLE = 6

#: Seconds between tries of files that could not be written; a hint tries at once.
STORAGE_RETRY = 2.0

#: Verdicts that are on the way to another, or follow from the manifest.
_NO_NEWS = frozenset({Verdict.PENDING, Verdict.NOT_WANTED})

#: A pass that found nothing to do is followed by at least this pause, whatever seems to be due.
_LEAST = 0.02


@dataclass(slots=True)
class Keeper:
    """Keeps one switch and its folder.

    A pass looks only at gateways of which something changed; now and then one looks at all.

    Attributes:
        folder: where our files stand.
        ours: whether a revision was made with our key.
        report: told of everything that happens; must not block.
        adopt: take over gateways of our names that somebody else loaded.
        gate: which gateways may begin to register now.
        desired: what is wanted.
        holding: what the switch is held to: `desired`, with the last good version of what the switch refused.
        trouble: what is wrong with which gateway.
        settling: replaced gateways whose binding is still to be made sure of (fact 17).
    """

    folder: ConfFolder
    ours: Callable[[str], bool]
    report: Callable[[Report], None]
    adopt: bool = False
    gate: Gate = field(default_factory=Gate)
    view: SwitchView = field(default_factory=SwitchView)
    settling: Settling = field(default_factory=Settling)
    connected: bool = False
    storage: Finding | None = None
    tree: Tree = field(default_factory=Tree)
    passes: int = 0
    desired: Desired = field(default_factory=Desired)
    holding: Desired = field(default_factory=Desired)
    store: Store = field(init=False)
    last_good: LastGood = field(init=False)
    trouble: Trouble = field(init=False)
    _dirty: set[str] = field(default_factory=set)
    _all: bool = True
    _known: set[str] = field(default_factory=set)
    _aim: Aim = field(default_factory=Aim)
    _pace: Pace = field(default_factory=Pace)
    _wake: asyncio.Event = field(default_factory=asyncio.Event)
    _resync_at: float = 0.0
    _resyncs: int = 0
    _moving: dict[str, tuple[str, str]] = field(default_factory=dict)
    _unasked: set[str] = field(default_factory=set)
    _written: Desired | None = None
    _start: str | None = None
    _recovered: bool = False
    _urgent: bool = False
    _idle: bool = False
    _changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    def __post_init__(self) -> None:
        self.store = Store(self.folder)
        self.last_good = LastGood(self.store, self.ours)
        self.trouble = Trouble(self.report)

    def want(self, desired: Desired) -> None:
        """Takes in what is wanted from now on, and looks at once."""
        before, self.desired = self.desired, desired
        self.last_good.review(before, desired)
        self._hold()
        self.hint()

    def hint(self) -> None:
        """Something may have changed: look at it."""
        self._idle = False
        self._wake.set()

    @property
    def problems(self) -> Mapping[str, Problem]:
        """What only a person may mend, by gateway name."""
        return self.trouble.problems

    @property
    def failures(self) -> Mapping[str, Finding]:
        """What failed and is tried again, by gateway name; versions that the switch does not take are among it."""
        return self.trouble.failures

    @property
    def converged(self) -> bool:
        """Whether nothing is in progress: what is wanted is proved, but for versions that the switch refused."""
        return (
            self._idle
            and self.connected
            and self.failures.keys() <= self.last_good.refusals.keys()
            and not (self.settling or self._aim.waiting or self._moving or self.gate.closed_to or self.storage)
        )

    async def idle(self) -> None:
        """Waits until a pass found nothing left that it could do now (failures may remain)."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._idle)

    async def write_files(self) -> None:
        """Brings the folder in line without a switch, so that a switch that starts later starts with everything."""
        await self._recover()
        if self._written is self.holding and self.storage is None:
            return
        self._written = self.holding
        try:
            kept = self.store.elsewhere(self.holding)
        except StorageError as error:
            self._no_storage(error)
            return
        taken = {n for n, p in self.problems.items() if p.kind is ProblemKind.NAME_TAKEN}
        self._unasked |= await self._store(
            self.holding, None, kept=kept | taken, leaving=frozenset(), withdrawn=self.last_good.withdrawn
        )

    async def keep(self, client: Client) -> None:
        """Keeps the switch behind this connection until the connection fails.

        Raises:
            SwitchError: the connection is gone or the switch answers what no switch answers; reconnect and call again.
        """
        await self._recover()
        self.view = SwitchView(ticks=self.view.ticks, answers=self.view.answers)
        self._aim = Aim()
        self.gate.begun.clear()
        self._moving.clear()
        self._all = True
        executor = Executor(client, self.view)
        await client.subscribe(EVENTS)
        start = await executor.read_everything()
        if self._start not in {None, start}:
            self._try_again(tuple(self.last_good.refusals))  # a switch that was started anew may have what it needs
        self._start = start
        self.connected = True
        listener = asyncio.create_task(self._listen(client))
        try:
            while True:
                self._wake.clear()
                wait = await self._pass(executor)
                if listener.done():
                    listener.result()
                if self._urgent:
                    continue
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(wait):  # wait_for could lose a cancellation (Python before 3.12)
                        await self._wake.wait()
                now = _now()
                pause = min(self._pace.start_at(now), self._aim.soonest(now)) - now  # an aimed moment is not missed
                if pause > 0:
                    await asyncio.sleep(pause)
        finally:
            self.connected = False
            self._idle = False
            self._written = None
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
            if gateway.kind == "profile_start":
                self._try_again(
                    n
                    for n in tuple(self.last_good.refusals)
                    if self.view.profile_of(self.desired.wanted[n].profile) == gateway.profile
                )
            awaited = gateway.gateway in self.settling or gateway.gateway in self.gate.begun
            if self.view.stale or awaited or gateway.kind == "delete":
                self._wake.set()
            elif self._aim.waiting and gateway.profile is None:
                self._wake.set()  # a tick may have shown itself
        self._wake.set()
        raise SwitchError(
            Finding("SwitchDisconnected", "", "The switch closed the connection.", "It is tried again by itself.")
        )

    # -- one pass ------------------------------------------------------------------------------------------------

    async def _pass(self, executor: Executor) -> float:
        """Looks once and does what can be done now. Returns how long to wait for the next look, in seconds."""
        now, began = _now(), time.process_time()
        self._idle = self._urgent = False
        self._try_again(self.last_good.due(now))
        if resync := now >= self._resync_at:
            self._resync()
        if self.view.stale or self.view.unread:
            await executor.refresh()
        desired, whole, names = self.holding, self._all or resync or self.storage is not None, self._looked_at()
        todo = self._plan(desired, names)
        taken = {p.name for p in todo.problems if p.kind is ProblemKind.NAME_TAKEN}
        self._choose(todo)
        await self._store(
            desired,
            None if whole else names,
            # Anybody's rescan would load the file of one that must not register yet.
            kept=(taken - self._unasked) | {s.name for s in todo.moves} | self.gate.paced,
            leaving=self._leaving(desired),
            withdrawn=self.last_good.withdrawn | (taken & self._unasked),
        )
        steps, timed, moves, removals = (self._allowed(desired, group) for group in todo.groups)
        moves = [s for s in moves if self._has_target(s)]
        if not await self._readable(executor, [*moves, *steps], timed, removals):
            await self._withdraw(executor, desired, todo)
            steps, timed, moves, removals = [], [], [], []
        due, wait = await self._aim.due(executor, timed, RESYNC)
        loads, more = batch([*steps, *due])
        self.gate.sent([*loads, *moves], view=self.view, registrar=self._registrar, now=_now())
        if loads:
            self._take(await executor.load(loads), executor, _now() - now)
            if self.tree.broken:
                await self._withdraw(executor, desired, todo)
        if moves:
            moves, more_moves = batch(moves)
            more = more or more_moves
            leave = self.view.loaded(s.name for s in moves)
            await executor.vacate(moves)
            self._moving.update({s.name: (s.why, leave[s.name].profiles[0]) for s in moves if s.name in leave})
        if removals:
            started = _now()
            self._take(await executor.remove(removals), executor, _now() - started)
        sent, settled = await self.settling.go_on(executor, hinted=self._wake.is_set())
        for name in sent:
            self.report(Report.settled(name))
        if self.last_good.changed:
            await asyncio.to_thread(self.last_good.save)
        worked = bool(loads or moves or removals or settled)
        if resync and not worked:
            took = time.process_time() - began
            self._resync_at = now + max(RESYNC, min(took / _SHARE, _RESYNC_MOST))
        return await self._rest(0.0 if more else min(wait, self._patience(now)), worked=worked)

    def _resync(self) -> None:
        """Looks at what no event may have told of."""
        self._resync_at = _now() + RESYNC
        self._resyncs += 1
        self._all = self._all or self._resyncs % _WHOLE == 0
        self.view.stale = True
        self.store.forget()
        again = (n for n in self.holding.wanted if n in self.view.rows and self.view.revisions.get(n) is None)
        self.view.unread.update(again)  # a look-up may have failed for a moment (fact 30)

    def _looked_at(self) -> list[str]:
        """Names that this pass looks at: those of which something changed, now and then all."""
        names = self._dirty | self.view.changed
        if self._all:
            names |= self.holding.wanted.keys() | self.view.rows.keys()
        self._dirty, self._all = set(), False
        self.view.changed.clear()
        return sorted(names)

    def _hold(self) -> None:
        """What the switch is held to may have changed: its gateways that differ are looked at in the next pass."""
        before, after = self.holding, self.last_good.instead(self.desired)
        differing = after.differing(before)
        self.trouble.soon(differing)  # a new version is not made to wait for its predecessor's failures
        self._dirty |= differing
        self._known &= after.wanted.keys()
        if (before.complete, before.held, before.held_files) != (after.complete, after.held, after.held_files):
            self._all = True
        self.holding = after

    async def _readable(self, executor: Executor, steps: list[Step], timed: list[Step], removals: list[Step]) -> bool:
        """Whether these steps may go out: not while the switch cannot read its tree."""
        todo = [*steps, *timed, *removals]
        disruptive = any(s.kill and (s.registered or s.moves) for s in steps) or self._aim.begins(timed)
        if not todo or await self.tree.readable(executor, disruptive=disruptive):
            return True
        for step in todo:
            self.trouble.failed(step.name, switch_config_broken(self.tree.state))
        return False

    def _patience(self, now: float) -> float:
        """Seconds until something is due that no event announces."""
        refused = (refusal.until for refusal in self.last_good.refusals.values())
        until = [self._resync_at, *self.trouble.moments(now), *self.settling.moments(now), *refused]
        until += self.gate.moments(now)
        if self.storage is not None:
            until.append(now + STORAGE_RETRY)
        if self.tree.broken and self.failures:
            until.append(self.tree.tried_again_at)
        return max(min(until) - now, _LEAST)

    async def _rest(self, wait: float, *, worked: bool) -> float:
        self.passes += 1
        if worked:
            self._pace = self._pace.passed(_now())
        if worked or self._urgent or self._wake.is_set():
            return 0.0 if not self.view.marks and worked else min(wait, 1.0)
        async with self._changed:
            self._idle = True
            self._changed.notify_all()
        return wait

    def _plan(self, desired: Desired, names: list[str]) -> Plan:
        """What to do with these gateways; those that are not right after that are looked at in the next pass again."""
        todo = plan(
            self.view.listed({n: desired.wanted[n] for n in names if n in desired.wanted}),
            self.view.loaded(names),
            ours=self.ours,
            removable=desired.removable,
            known=self._known,
            adopt=self.adopt,
            unadopted=self.last_good.unadopted,
        )
        self._moving = {name: move for name, move in self._moving.items() if name in desired.wanted}
        todo = replace(todo, now=tuple(map(self._worded, todo.now)))
        self.trouble.take(todo.problems, _now())
        wrong = {s.name for s in todo.steps}
        self._dirty |= wrong | {p.name for p in todo.problems}
        for name in self.trouble.mended(wrong | self.last_good.refusals.keys()):
            if name in desired.wanted and name not in self.problems:
                self.report(Report.healed(desired.wanted[name]))
        for name in names:
            if name not in wrong and name not in self.problems:
                self._right(desired, name)
        return todo

    def _worded(self, step: Step) -> Step:
        """A step that ends what another began, in the words of that."""
        if step.name in self.last_good.refusals:
            why = "the switch did not take its new version; the last good one is put back"
            registered = step.registers and self.view.marked(step.name)
            return replace(step, kind=Kind.REPAIR, registered=registered, why=why)
        if step.name in self._moving:
            return replace(step, kind=Kind.REPLACE, why=self._moving[step.name][0])
        return step

    def _right(self, desired: Desired, name: str) -> None:
        """This gateway is as it is wanted, or is not there and not wanted: what was before is not needed any more."""
        if name in desired.wanted:
            self._known.add(name)
            self._unasked.discard(name)
        if name in desired.wanted or desired.removable(name):
            self.last_good.proved(name)

    def _allowed(self, desired: Desired, steps: tuple[Step, ...]) -> list[Step]:
        """The steps that need not wait, neither for a retry nor for their file: a rescan loads what stands there."""
        now = _now()
        return [
            s
            for s in steps
            if self.trouble.may(s.name, now)
            and s.name not in self.gate.closed_to
            and (self.storage is None or self.store.holds(desired, s))
            and (s.kill or not self.view.leaving(s.name, s.profile))
            and not self.last_good.in_vain(s)  # no flapping
        ]

    def _choose(self, todo: Plan) -> None:
        """Decides which must wait for their second or their turn; the second half of a move and a put-back never do."""
        now = _now()
        self.gate.end(self.view, self.settling, self.holding.wanted.__contains__, now)
        steps, timed, moves, _ = ([s for s in group if self.trouble.may(s.name, now)] for group in todo.groups)
        steps = [s for s in steps if s.name not in self._moving and s.name not in self.last_good.refusals]
        self.gate.choose(steps, timed, moves, view=self.view, registrar=self._registrar, now=now)

    def _registrar(self, name: str) -> str:
        wanted = self.holding.wanted.get(name)
        return "" if wanted is None else wanted.registrar

    def _has_target(self, step: Step) -> bool:
        """Whether a move has where to go: without that profile the gateway would only be lost."""
        if step.profile in self.view.profiles:
            return True
        self.trouble.failed(step.name, profile_not_running(step))
        self.trouble.later(step.name, _now())
        return False

    def _leaving(self, desired: Desired) -> frozenset[str]:
        """Wanted names whose old copy, on another profile, is marked and still there."""
        wanted = desired.wanted
        return frozenset(n for n in self.view.marks if n in wanted and self.view.leaving(n, wanted[n].profile))

    async def _store(
        self,
        desired: Desired,
        names: list[str] | None,
        *,
        kept: AbstractSet[str],
        leaving: AbstractSet[str],
        withdrawn: AbstractSet[str],
    ) -> set[str]:
        """Brings the files of these names in line. Returns those that had no file before."""
        try:
            new = await asyncio.to_thread(
                self.store.sync,
                desired,
                names,
                kept=kept,
                leaving=leaving,
                withdrawn=withdrawn,
                dropped=self.last_good.dropped,
            )
        except StorageError as error:
            self._no_storage(error)
            return set()
        self.storage = None
        return new

    def _no_storage(self, error: StorageError) -> None:
        if self.storage != error.finding:
            self.report(Report.failure("", error.finding))
        self.storage = error.finding

    def _take(self, results: list[Result], executor: Executor, seconds: float) -> None:
        now = _now()
        self.tree.note(executor.reload, now)
        for result in results:
            step, name = result.step, result.step.name
            if result.finding is not None:
                self._not_taken(step, result.finding, now)
                continue
            self._moving.pop(name, None)
            refusal = self.last_good.refusals.get(name)
            self.trouble.over(name, None if refusal is None else refusal.finding)
            if step.kind is Kind.REMOVE:
                self._known.discard(name)
                self.settling.drop(name)
            else:
                self._known.add(name)
                if step.settles:
                    self.settling.begin(name, now)
            self.report(Report.proved(step, seconds))

    def _not_taken(self, step: Step, why: Finding, now: float) -> None:
        """A step failed: it is tried again later, or the last good version takes its place at once."""
        before = self.last_good.refusals.get(step.name)
        self.trouble.later(step.name, now)
        left = self._moving.get(step.name, ("", ""))[1]
        self.trouble.failed(step.name, self.last_good.not_taken(step, why, self.desired, left, now))
        if self.last_good.refusals.get(step.name) is not before:
            self._put_back([step.name])

    async def _withdraw(self, executor: Executor, desired: Desired, todo: Plan) -> None:
        """Takes away those of our new files that the switch's own reader refuses, so that all others load (fact 3)."""
        words = self.tree.state.error or ""
        try:
            found = await self.tree.breakers(executor, self.store, desired, todo.steps)
        except StorageError as error:
            self._no_storage(error)
            self._all = True
            return
        for step in found:
            left = self._moving.get(step.name, ("", ""))[1]
            said = self.last_good.breaks(step, words, self.desired, left, _now())
            self.trouble.failed(step.name, said)
        if found:
            self.trouble.soon([n for n, f in self.failures.items() if f.code == "SwitchConfigBroken"])
            self._put_back(step.name for step in found)

    def _put_back(self, names: Iterable[str]) -> None:
        """The trunks of these names are down, or not what they should be, until another version is there: at once."""
        for name in names:
            self._moving.pop(name, None)
            if name in self.last_good.refusals:
                self.trouble.soon([name])
        self._urgent = True
        self._hold()

    def _try_again(self, names: Iterable[str]) -> None:
        """Versions that the switch refused get another try."""
        known = [name for name in names if name in self.last_good.refusals]
        if known:
            self.last_good.try_again(known)
            for name in known:
                self.trouble.over(name)  # so that it is told again when it comes to nothing again
            self._hold()
            self.hint()

    async def _recover(self) -> None:
        """Takes over what a process before this one knew of versions that the switch did not take."""
        if self._recovered or not self.desired.wanted:
            return
        self._recovered = True
        try:
            await asyncio.to_thread(self.last_good.recover, self.desired, _now())
        except StorageError as error:
            self._no_storage(error)
        for name, refusal in self.last_good.refusals.items():
            self.trouble.failed(name, refusal.finding)
        self._hold()


def _now() -> float:
    return asyncio.get_running_loop().time()
