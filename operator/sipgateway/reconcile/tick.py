"""The switch's one-second tick: when it came, and when to act so that a replacement's gap is shortest.

A registering gateway's new copy is UP at the second tick after its `rescan`, so the outbound gap is two seconds minus
the time since the last tick (fact 15). Acting just before a tick makes it about one second.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

#: Seconds between ticks when nothing better is known: ten waits of 100 ms and the work between them.
PERIOD = 1.0025

#: A phase older than this many seconds is not trusted: drift may have made it any.
MAX_AGE = 90.0

#: Seconds kept between the end of the rescan and the tick, for jitter of the switch's clock and of ours.
MARGIN = 0.06

#: How far apart two sightings of the same tick may be, in seconds.
_SAME = 0.25


@dataclass(frozen=True, slots=True)
class Tick:
    """When a profile ticked last and how long its second is. All times are seconds of one steady clock.

    Attributes:
        last: moment of the newest tick seen.
        period: estimated seconds between ticks.
        anchor: an older tick from which the period is estimated.
    """

    last: float
    period: float = PERIOD
    anchor: float | None = None

    def seen(self, at: float) -> Tick:
        """The estimate after a tick was seen at `at` (late by the way the news took, never early)."""
        base = self.last if self.anchor is None else self.anchor
        ticks = round((at - base) / self.period)
        if ticks <= 0 or at <= self.last:
            return self
        period = self.period
        if ticks >= 5 and abs(at - base - ticks * self.period) < _SAME:
            period = min(max((at - base) / ticks, 0.98), 1.05)
        if ticks > 120:  # an old anchor hides a change of the switch's load
            base = self.last
        return Tick(at, period, base)

    def trusted(self, now: float) -> bool:
        """Whether the phase is still known well enough to aim by."""
        return now - self.last <= MAX_AGE

    def next(self, now: float) -> float:
        """Moment of the first tick at or after `now`."""
        ticks = max(math.ceil((now - self.last) / self.period - 1e-9), 0)
        return self.last + ticks * self.period

    def act_at(self, now: float, work: float) -> float:
        """When to send `killgw` + `rescan`, at or after `now`.

        Args:
            now: the present moment.
            work: seconds that the rescan is expected to take.

        Returns:
            The moment that leaves `work` and a margin before a tick.
        """
        lead = work + MARGIN
        return self.next(now + lead) - lead
