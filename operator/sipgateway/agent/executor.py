"""Carries a plan out over ESL and proves it by read-back. The order of commands is that of docs/switch-facts.md.

In: steps of `reconcile.plan`. Out: one `Result` per step. A reply of the switch is never taken for the deed: only the
revision that reads back counts. Nothing here retries or waits for a tick; the keeper decides when.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from sipgateway.agent.view import SwitchView
from sipgateway.api.names import REVISION_VARIABLE, is_gateway_name
from sipgateway.errors import Finding
from sipgateway.esl import commands, replies
from sipgateway.esl.client import Client
from sipgateway.reconcile.plan import Step, by_profile


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a step: proved, or why not."""

    step: Step
    finding: Finding | None = None

    @property
    def proved(self) -> bool:
        """Whether read-back showed what was wanted."""
        return self.finding is None


@dataclass(frozen=True, slots=True)
class Reload:
    """What the last reload of the switch's whole tree said (fact 2).

    Attributes:
        error: the switch's own words, None when it succeeded.
        line: line of the expanded document that the words name.
    """

    error: str | None = None
    line: int | None = None


@dataclass(slots=True)
class Executor:
    """Carries steps out on one connection.

    Attributes:
        rescan_seconds: how long a rescan took lately; a replacement is aimed by it (fact 15).
        reload: what the last reload said.
    """

    client: Client
    view: SwitchView
    rescan_seconds: float = 0.03
    reload: Reload = field(default_factory=Reload)

    async def refresh(self) -> None:
        """Reads `sofia status`, and the revision of every gateway that was not read yet (facts 20, 24e)."""
        (body,) = await self.client.pipeline([commands.status()])
        if self.view.same(body):
            self.view.stale = False  # 10,000 rows take 0.1 s to read, and mostly nothing has changed
        else:
            self.view.status(replies.parse_sofia_status(body), _now())
        await self.read_back(sorted(self.view.unread))

    async def read_everything(self) -> str | None:
        """Reads all from the switch, as after a connect: nothing that we remember counts (fact 24).

        Returns:
            What tells this start of the switch from others; None when it does not say.
        """
        (start,) = await self.client.pipeline([commands.global_variable("core_uuid")])
        self.view.revisions.clear()
        self.view.unread.clear()
        await self.refresh()
        return replies.parse_global_variable(start)

    async def read_back(self, names: Sequence[str]) -> None:
        """Reads the revisions of these names."""
        for name in names:
            if not is_gateway_name(name):
                self.view.read(name, None)  # loads, but no command reaches it alone (fact 32): never ours
        names = [name for name in names if is_gateway_name(name)]
        if not names:
            return
        bodies = await self.client.pipeline([commands.gateway_variable(n, REVISION_VARIABLE) for n in names])
        without: list[str] = []
        for name, body in zip(names, bodies, strict=True):
            revision = replies.parse_variable(body)
            self.view.read(name, revision)
            if revision is None:
                without.append(name)
        if not without:
            return
        bodies = await self.client.pipeline([commands.gateway_status(n) for n in without])
        for name, body in zip(without, bodies, strict=True):
            if replies.parse_gateway_xml(body) is None:
                self.view.unfindable(name, _now())

    async def load(self, steps: Sequence[Step]) -> list[Result]:
        """Adds, repairs and replaces: `killgw` of what is in the way, one rescan per profile, read-back.

        When the tree is broken the switch scans its old tree, so a copy that was killed comes back as it was (2).
        """
        groups = by_profile(steps)
        kills = [s for s in steps if s.kill]
        batch = [commands.killgw(s.profile, s.name) for s in kills]
        batch += [commands.rescan(profile) for profile in groups]
        batch += [commands.gateway_variable(s.name, REVISION_VARIABLE) for s in steps]
        before = _now()
        bodies = iter(await self.client.pipeline(batch))
        now = _now()
        self.rescan_seconds += 0.3 * ((now - before) / max(len(groups), 1) - self.rescan_seconds)
        for step in kills:
            if replies.parse_killgw(next(bodies)):
                self.view.killed(step.name, now)
        scans = {profile: replies.parse_rescan(next(bodies)) for profile in groups}
        self._note(scans.values())
        results: list[Result] = []
        for step in steps:
            seen = replies.parse_variable(next(bodies))
            results.append(self._judge(step, seen, scans[step.profile], now))
        return results

    async def vacate(self, steps: Sequence[Step]) -> None:
        """Moves, first half: `killgw`. The second is a `load` of the new profile once the old copy is gone."""
        bodies = await self.client.pipeline([commands.killgw(s.profile, s.name) for s in steps])
        for step, body in zip(steps, bodies, strict=True):
            if replies.parse_killgw(body):
                self.view.killed(step.name, _now())
            else:
                self.view.stale = True

    async def remove(self, steps: Sequence[Step]) -> list[Result]:
        """Removes: a reload that no longer has them (24c), then `killgw`, then the look-up must find nothing."""
        (body,) = await self.client.pipeline([commands.reloadxml()])
        scan = replies.parse_reloadxml(body)
        self._note([scan])
        if not scan.reloaded:
            return [Result(step, switch_config_broken(self.reload)) for step in steps]
        batch = [commands.killgw(s.profile, s.name) for s in steps]
        batch += [commands.gateway_variable(s.name, REVISION_VARIABLE) for s in steps]
        bodies = iter(await self.client.pipeline(batch))
        now = _now()
        for step in steps:
            if replies.parse_killgw(next(bodies)):
                self.view.killed(step.name, now)
        results: list[Result] = []
        for step in steps:
            left = replies.parse_variable(next(bodies))
            if left is None:
                self.view.read(step.name, None)
                if not self.view.marked(step.name):
                    self.view.forget(step.name)
                results.append(Result(step))
            else:
                self.view.stale = True
                results.append(Result(step, _still_there(step)))
        return results

    async def check_tree(self) -> Reload:
        """Reads the tree anew without touching a gateway: is it still broken?"""
        (body,) = await self.client.pipeline([commands.reloadxml()])
        self._note([replies.parse_reloadxml(body)])
        return self.reload

    async def settle(self, names: Iterable[str]) -> tuple[list[str], list[str]]:
        """Fact 17's third step for copies whose predecessor is gone: `register` once it is UP or in FAIL_WAIT.

        The state is read right before, because `register` on a NOREG gateway leaks a lock of the profile (28).

        Returns:
            The names that were sent a `register`, and those that need none any more. Others are to be asked again.
        """
        asked = list(names)
        bodies = await self.client.pipeline([commands.gateway_status(n) for n in asked])
        ready: list[str] = []
        over: list[str] = []
        batch: list[commands.Command] = []
        for name, body in zip(asked, bodies, strict=True):
            status = replies.parse_gateway_xml(body)
            if status is None or status.state == "NOREG":
                over.append(name)
            elif status.state in {"FAIL_WAIT", "DOWN"} or (status.state == "REGED" and status.status == "UP"):
                ready.append(name)
                batch.append(commands.register(status.profile, name))
        for name in ready:
            self.view.registers_anew(name, _now())
        if batch:
            await self.client.pipeline(batch)
        return ready, over

    async def show_tick(self, name: str) -> bool:
        """Refreshes the registration of a gateway that is about to be replaced, so that its tick shows (15, 36).

        Returns:
            Whether a refresh was sent.
        """
        (body,) = await self.client.pipeline([commands.gateway_status(name)])
        status = replies.parse_gateway_xml(body)
        if status is None or status.state != "REGED":
            return False
        await self.client.pipeline([commands.register(status.profile, name)])
        return True

    def _note(self, scans: Iterable[replies.Rescan]) -> None:
        for scan in scans:
            if scan.profile_missing:
                continue
            self.reload = Reload(scan.error, scan.error_line) if not scan.reloaded else Reload()

    def _judge(self, step: Step, seen: str | None, scan: replies.Rescan, now: float) -> Result:
        if seen == step.revision:
            registers = step.registers
            self.view.loaded_anew(step.name, step.profile, seen or "", registers=registers, now=now)
            return Result(step)
        self.view.stale = True
        self.view.unread.add(step.name)
        if scan.profile_missing:
            return Result(step, profile_not_running(step))
        if not scan.reloaded:
            return Result(step, switch_config_broken(self.reload))
        return Result(step, _not_loaded(step) if seen is None else _other_revision(step))


def _now() -> float:
    return asyncio.get_running_loop().time()


def profile_not_running(step: Step) -> Finding:
    """What is said of a gateway whose profile the switch does not have."""
    return Finding(
        "ProfileNotRunning",
        "spec.profile",
        f"The switch has no running profile {step.profile}.",
        f"Check spec.profile, or start it: `sofia profile {step.profile} start`. It is tried again by itself.",
    )


def switch_config_broken(reload: Reload) -> Finding:
    """The switch cannot read its own tree."""
    return Finding(
        "SwitchConfigBroken",
        "",
        f"The switch cannot read its own configuration: {reload.error or 'unknown error'}. It keeps the old one and "
        "loads nothing new from any file (facts 2, 3).",
        "Mend that file; the line counts in the expanded document, freeswitch.xml.fsxml in the switch's log folder. "
        "It is tried again by itself.",
    )


def _not_loaded(step: Step) -> Finding:
    return Finding(
        "NotLoaded",
        "",
        f"The switch read its configuration, but did not load {step.name} into profile {step.profile}.",
        "Check that the profile includes our folder (one include line, see docs/wiring.md) and, for tls, that the "
        "profile has TLS; the switch's log names a gateway that it drops.",
    )


def _other_revision(step: Step) -> Finding:
    return Finding(
        "OtherVersionLoaded",
        "",
        f"The switch loaded another version of {step.name} than the one in our file.",
        "Look for a second definition of this gateway in the switch's own XML and remove it.",
    )


def _still_there(step: Step) -> Finding:
    return Finding(
        "StillLoaded",
        "",
        f"{step.name} was removed and killed, and a copy of it is still found.",
        "Look for a second copy (a ghost, fact 11) in `sofia status`; only a profile restart clears it.",
    )
