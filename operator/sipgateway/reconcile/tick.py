"""The switch's one-second tick: when it came, and when to act so that a replacement's gap is shortest.

A registering gateway's new copy is UP at the second tick after its `rescan`, so the outbound gap is two seconds minus
the time since the last tick (fact 15). Acting just before a tick makes it about one second.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

#: Seconds between ticks when nothing better is known: ten waits of 100 ms and the work between them.
PERIOD = 1.0025

#: A phase older than this many seconds is not trusted: drift may have made it any.
MAX_AGE = 90.0

#: Seconds kept between the end of the rescan and the tick, for jitter of the switch's clock and of ours.
MARGIN = 0.06

#: How far apart two sightings of the same tick may be, in seconds.
_SAME = 0.25

#: A least delay counts for this many seconds, and for as many again while the next one is gathered.
_DELAY_LIFE = 60.0

#: No news is late by so many seconds: a delay that is longer by that means that the switch's clock was set back.
_STEP = 5.0


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


@dataclass(frozen=True, slots=True)
class Delay:
    """How far the switch's clock is behind ours, by the least delay that its news had lately.

    Only lately: a switch whose clock was set back would else seem to speak of the past for ever.

    Attributes:
        least: the least delay since `since`, seconds.
        before: the least delay of the time before that.
        since: when `least` was begun.
    """

    least: float = math.inf
    before: float = math.inf
    since: float = -math.inf

    @property
    def value(self) -> float:
        """Seconds to add to the switch's time stamps; infinite before any was seen."""
        return min(self.least, self.before)

    def seen(self, delay: float, now: float) -> Delay:
        """The estimate after news with this delay came at `now`."""
        if delay - self.value > _STEP:
            return Delay(delay, math.inf, now)
        age = now - self.since
        if age > _DELAY_LIFE:
            return Delay(delay, self.least if age <= 2 * _DELAY_LIFE else math.inf, now)
        return replace(self, least=min(self.least, delay))
