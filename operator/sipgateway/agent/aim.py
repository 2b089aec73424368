"""When replacements of working gateways that register go out: just before the switch's tick (fact 15).

In: steps that are ready, and what is known of ticks. Out: those that are due now, and how long until the next is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from sipgateway.agent.executor import Executor
from sipgateway.agent.view import SwitchView
from sipgateway.reconcile.plan import Step, by_profile
from sipgateway.reconcile.registration import Verdict

#: A replacement waits at most this many seconds for its tick, then goes ahead.
PATIENCE = 4.0

#: Aimed moments that are missed by more than this are aimed anew.
_LATE = 0.08


@dataclass(slots=True)
class Aim:
    """Replacements that wait for a tick, by profile: since when, and the moment that is aimed at (0: none yet)."""

    waiting: dict[str, tuple[float, float]] = field(default_factory=dict)

    def soonest(self, now: float) -> float:
        """The next moment that must not be missed; infinite when nothing is aimed."""
        return min((aim for _, aim in self.waiting.values() if aim >= now), default=float("inf"))

    def begins(self, steps: Iterable[Step]) -> bool:
        """Whether one of these steps is the first of its profile to wait."""
        return any(s.profile not in self.waiting for s in steps)

    async def due(self, executor: Executor, steps: Sequence[Step], longest: float) -> tuple[list[Step], float]:
        """Which of these replacements are due now, and how long until the next is, `longest` without one."""
        now, view = _now(), executor.view
        due: list[Step] = []
        wait = longest
        groups = by_profile(steps)
        for profile in self.waiting.keys() - groups.keys():
            del self.waiting[profile]
        for profile, group in groups.items():
            working = [s for s in group if _works(view, s)]
            if not working:
                due += group  # nothing to lose
                continue
            first, aim = self.waiting.get(profile, (now, 0.0))
            if profile not in self.waiting and not _trusted(view, profile, now):
                there = next((s.name for s in working if s.registered and view.is_on(s.name, profile)), None)
                if there is None or not await executor.show_tick(there):
                    due += group  # nothing of ours can show the tick: waiting would be for nothing
                    continue
            if now - first > PATIENCE or (aim and 0 <= now - aim <= _LATE):
                due += group
                self.waiting.pop(profile, None)
                continue
            if _trusted(view, profile, now):
                if not aim or now > aim:
                    aim = view.ticks[profile].act_at(now, executor.rescan_seconds)
                wait = min(wait, max(aim - now, 0.0))
            else:
                wait = min(wait, PATIENCE - (now - first))
            self.waiting[profile] = (first, aim)
        return due, wait


def _trusted(view: SwitchView, profile: str, now: float) -> bool:
    tick = view.ticks.get(profile)
    return tick is not None and tick.trusted(now)


def _works(view: SwitchView, step: Step) -> bool:
    if not step.registered:
        return True  # a NOREG copy is UP
    registration = view.registrations.get(step.name)
    return registration is not None and registration.verdict is Verdict.REGISTERED


def _now() -> float:
    return asyncio.get_running_loop().time()
