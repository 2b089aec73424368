"""When to try again: back-off per gateway, and the growing gap between passes while changes keep coming."""

from __future__ import annotations

from dataclasses import dataclass

#: Seconds before the first retry of one gateway, and the longest wait.
RETRY_FIRST = 1.0
RETRY_MAX = 60.0

#: Seconds between passes while changes keep coming: from the first to the second value. Each pass of a storm costs a
#: rescan of the whole tree in every pod, and 1,000 changes shall not cost more than 15 (docs/design.md, "Storms").
GAP_MIN = 0.025
GAP_MAX = 1.0

#: Seconds after which it is quiet whatever the gap was.
_QUIET = 1.0


@dataclass(frozen=True, slots=True)
class Retry:
    """How often a gateway failed and when it may be tried again (seconds of a steady clock)."""

    failures: int
    not_before: float

    @staticmethod
    def after(previous: Retry | None, now: float) -> Retry:
        """The state after one more failure: waits double up to a minute."""
        failures = 1 if previous is None else previous.failures + 1
        return Retry(failures, now + min(RETRY_FIRST * 2 ** min(failures - 1, 10), RETRY_MAX))


@dataclass(frozen=True, slots=True)
class Pace:
    """The gap that the next pass keeps from the last one, in seconds. Idle passes have none.

    Attributes:
        gap: present gap; 0 means that the next hint acts at once.
        last: when the last pass ended.
    """

    gap: float = 0.0
    last: float = float("-inf")

    def start_at(self, now: float) -> float:
        """When a pass for a hint that came at `now` may start."""
        return max(now, self.last + self.gap)

    def passed(self, now: float) -> Pace:
        """After a pass that ended at `now`: the gap doubles while busy and falls back when idle."""
        if now - self.last > max(2 * self.gap, _QUIET):
            return Pace(GAP_MIN, now)
        return Pace(min(max(self.gap * 2, GAP_MIN), GAP_MAX), now)
