"""The keeper: holds one switch to what is wanted. Wait for a hint, compare, plan, execute, prove, report; for ever.

In: `Desired` values and the switch's events. Out: files, a switch that has them, and `Report`s. A hint is only a
reason to look: what is done follows from what is wanted and what the switch has, read from it, not remembered.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

from sipgateway.agent.aim import Aim
from sipgateway.agent.choice import Choice
from sipgateway.agent.executor import Executor, Result, switch_config_broken
from sipgateway.agent.files import ConfFolder
from sipgateway.agent.filing import Filing
from sipgateway.agent.gate import Gate
from sipgateway.agent.lastgood import LastGood
from sipgateway.agent.moves import Moves, leaving
from sipgateway.agent.report import Report
from sipgateway.agent.resync import RESYNC, Resync
from sipgateway.agent.settling import Settling
from sipgateway.agent.store import Desired, Store
from sipgateway.agent.tree import Tree
from sipgateway.agent.trouble import Trouble
from sipgateway.agent.view import EVENTS, SwitchView
from sipgateway.errors import Finding, SipgwError, StorageError, SwitchError
from sipgateway.esl.client import Client, EventsLost
from sipgateway.esl.replies import parse_gateway_event
from sipgateway.reconcile.backoff import Pace
from sipgateway.reconcile.plan import Kind, Plan, Problem, ProblemKind, Step, batch, plan

__all__ = ["Desired", "Keeper"]

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
        idled: told of each pass that left nothing to do; must not block.
        desired: what is wanted.
        holding: what the switch is held to: `desired`, with the last good version of what the switch refused.
        trouble: what is wrong with which gateway.
        filing: brings the files in line.
        settling: replaced gateways whose binding is still to be made sure of (fact 17).
    """

    folder: ConfFolder
    ours: Callable[[str], bool]
    report: Callable[[Report], None]
    adopt: bool = False
    gate: Gate = field(default_factory=Gate)
    idled: Callable[[], None] = lambda: None
    view: SwitchView = field(default_factory=SwitchView)
    settling: Settling = field(default_factory=Settling)
    connected: bool = False
    tree: Tree = field(default_factory=Tree)
    passes: int = 0
    desired: Desired = field(default_factory=Desired)
    holding: Desired = field(default_factory=Desired)
    store: Store = field(init=False)
    last_good: LastGood = field(init=False)
    trouble: Trouble = field(init=False)
    filing: Filing = field(init=False)
    _dirty: set[str] = field(default_factory=set)
    _all: bool = True
    _known: set[str] = field(default_factory=set)
    _aim: Aim = field(default_factory=Aim)
    _pace: Pace = field(default_factory=Pace)
    _wake: asyncio.Event = field(default_factory=asyncio.Event)
    _resync: Resync = field(default_factory=Resync)
    _moves: Moves = field(default_factory=Moves)
    _start: str | None = None
    _recovered: bool = False
    _urgent: bool = False
    _idle: bool = False
    _changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    def __post_init__(self) -> None:
        self.store = Store(self.folder)
        self.last_good = LastGood(self.store, self.ours)
        self.trouble = Trouble(self.report)
        self.filing = Filing(self.store, self.last_good, self.report)

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
    def storage(self) -> Finding | None:
        """Why not all files could be written; None when they could."""
        return self.filing.trouble

    @property
    def converged(self) -> bool:
        """Whether nothing is in progress: what is wanted is proved, but for versions that the switch refused."""
        return (
            self._idle
            and self.connected
            and self.failures.keys() <= self.last_good.refusals.keys()
            and not (self.settling or self._aim.waiting or self._moves or self.gate.closed_to or self.storage)
        )

    async def idle(self) -> None:
        """Waits until a pass found nothing left that it could do now (failures may remain)."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._idle)

    async def write_files(self) -> None:
        """Brings the folder in line without a switch, so that a switch that starts later starts with everything."""
        await self._recover()
        taken = {n for n, p in self.problems.items() if p.kind is ProblemKind.NAME_TAKEN}
        await self.filing.ahead(self.holding, taken)

    async def keep(self, client: Client) -> None:
        """Keeps the switch behind this connection until the connection fails.

        Raises:
            SwitchError: the connection is gone or the switch answers what no switch answers; reconnect and call again.
        """
        await self._recover()
        self.view = SwitchView(ticks=self.view.ticks, answers=self.view.answers)
        self._aim = Aim()
        self._moves = Moves()
        self._all = True
        executor = Executor(client, self.view)
        await client.subscribe(EVENTS)
        start = await executor.read_everything()
        if self._start != start:
            self.gate.begun.clear()  # nothing of what was begun comes to its end any more
        if self._start not in {None, start}:
            self._try_again(tuple(self.last_good.refusals))  # a switch that was started anew may have what it needs
        self._start = start
        self.connected = True
        self.filing.connected()
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
            news = Report.news(gateway.gateway, before, self.view.registrations.get(gateway.gateway))
            if news is not None and gateway.gateway in self.desired.wanted:
                self.report(news)
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
        now = _now()
        self._idle = self._urgent = False
        self._try_again(self.last_good.due(now))
        if resync := self._resync.due(now):
            self._look_again()
        if self.view.stale or self.view.unread:
            await executor.refresh()
        desired, whole, names = self.holding, self._all or resync, self._looked_at()
        todo = self._plan(desired, names)
        waits_for = (self.view, self.trouble, self.last_good, self._moves, self.settling, self.gate, self.filing)
        choice = Choice(desired, *waits_for, self.tree, _now())
        choice.close(todo)
        await self.filing.sync(
            desired,
            None if whole else names,
            # Anybody's rescan would load the file of one that must not register yet.
            kept={s.name for s in todo.moves} | self.gate.paced,
            leaving=leaving(self.view, desired.wanted),
            taken={p.name for p in todo.problems if p.kind is ProblemKind.NAME_TAKEN},
        )
        steps, timed, moves, removals = map(choice.allowed, todo.groups)
        moves = choice.with_target(moves)
        if not await self._readable(executor, [*moves, *steps], timed, removals):
            await self._withdraw(executor, desired, todo)
            steps, timed, moves, removals = [], [], [], []
        due, wait = await self._aim.due(executor, timed, RESYNC)
        loads, more = batch([*steps, *due])
        choice.sent([*loads, *moves], _now())
        if loads:
            self._take(await executor.load(loads), executor, _now() - now)
            if self.tree.broken:
                await self._withdraw(executor, desired, todo)
        if moves:
            moves, more_moves = batch(moves)
            more = more or more_moves
            await executor.vacate(moves)
            self._moves.begin(moves)
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
            self._resync.done(now)
        return await self._rest(0.0 if more else min(wait, self._patience(now)), worked=worked)

    def _look_again(self) -> None:
        """Looks at what no event may have told of."""
        self._all = self._all or self._resync.whole
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
        for name in differing & before.wanted.keys():
            self.last_good.follows(name, before.wanted[name].profile)
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
        until = [self._resync.at, *self.trouble.moments(now), *self.settling.moments(now), *refused]
        until += [*self.gate.moments(now), *self.filing.moments(now)]
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
        self.idled()
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
        self._moves.review(desired.wanted)
        todo = replace(todo, now=tuple(self._moves.worded(self.last_good.worded(s, self.view)) for s in todo.now))
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

    def _right(self, desired: Desired, name: str) -> None:
        """This gateway is as it is wanted, or is not there and not wanted: what was before is not needed any more."""
        if name in desired.wanted:
            self._known.add(name)
            self.filing.unasked.discard(name)
        if name in desired.wanted or desired.removable(name):
            self.last_good.proved(name)

    def _take(self, results: list[Result], executor: Executor, seconds: float) -> None:
        now = _now()
        self.tree.note(executor.reload, now)
        for result in results:
            step, name = result.step, result.step.name
            if result.finding is not None:
                self._not_taken(step, result.finding, now)
                continue
            self._moves.end(name)
            refusal = self.last_good.refusals.get(name)
            self.trouble.over(name, None if refusal is None else refusal.finding)
            if step.kind is Kind.REMOVE:
                self._known.discard(name)
                self.settling.drop(name)
            else:
                self._known.add(name)
                self.last_good.proved(name)
                if self.holding.revision_of(name) != step.revision:  # there is another one by now
                    self.last_good.follows(name, step.profile)
                if step.settles:
                    self.settling.begin(name, now)
            self.report(Report.proved(step, seconds))

    def _not_taken(self, step: Step, why: Finding, now: float) -> None:
        """A step failed: it is tried again later, or the last good version takes its place at once."""
        before = self.last_good.refusals.get(step.name)
        self.trouble.later(step.name, now)
        self.trouble.failed(step.name, self.last_good.not_taken(step, why, self.desired, now))
        if self.last_good.refusals.get(step.name) is not before:
            self._put_back([step.name])

    async def _withdraw(self, executor: Executor, desired: Desired, todo: Plan) -> None:
        """Takes away those of our new files that the switch's own reader refuses, so that all others load (fact 3)."""
        words = self.tree.state.error or ""
        try:
            found = await self.tree.breakers(executor, self.store, desired, todo.steps)
        except StorageError as error:
            self.filing.failed(error)
            self._all = True
            return
        for step in found:
            self.trouble.failed(step.name, self.last_good.breaks(step, words, self.desired, _now()))
        if found:
            self.trouble.soon([n for n, f in self.failures.items() if f.code == "SwitchConfigBroken"])
            self._put_back(step.name for step in found)

    def _put_back(self, names: Iterable[str]) -> None:
        """The trunks of these names are down, or not what they should be, until another version is there: at once."""
        for name in names:
            self._moves.end(name)
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
            self.filing.failed(error)
        for name, refusal in self.last_good.refusals.items():
            self.trouble.failed(name, refusal.finding)
        self._hold()


def _now() -> float:
    return asyncio.get_running_loop().time()
