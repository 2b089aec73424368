"""Where the simulated switch takes its time from. In: nothing, or a test that drives. Out: seconds since the epoch.

The switch never reads a clock by itself: it is told `advance(to)`, so that a test may be the clock (fact 15's
second-long ticks without a second of waiting), and the server passes a real or a faster one.
"""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """A source of time.

    Attributes:
        speed: simulated seconds that pass in a real one; 0 for a clock that only a test moves.
    """

    @property
    def speed(self) -> float:
        """Simulated seconds per real second."""
        ...

    def now(self) -> float:
        """Seconds since the epoch."""
        ...


class RealClock:
    """The machine's clock, optionally running faster: starts at the present and never goes back.

    Args:
        speed: simulated seconds per real second, above 0.
    """

    def __init__(self, speed: float = 1.0) -> None:
        if speed <= 0:
            raise ValueError("a clock must run forward")
        self._speed = speed
        self._epoch = time.time()
        self._start = time.monotonic()

    @property
    def speed(self) -> float:
        """Simulated seconds per real second."""
        return self._speed

    def now(self) -> float:
        """Seconds since the epoch."""
        return self._epoch + (time.monotonic() - self._start) * self._speed


class DrivenClock:
    """Stands still until it is moved.

    Args:
        start: seconds since the epoch.
    """

    def __init__(self, start: float = 1_795_419_630.0) -> None:
        self._now = start

    @property
    def speed(self) -> float:
        """Simulated seconds per real second: none pass by themselves."""
        return 0.0

    def now(self) -> float:
        """Seconds since the epoch."""
        return self._now

    def move(self, seconds: float) -> float:
        """Moves the clock forward.

        Args:
            seconds: how far, 0 or more.

        Returns:
            The new time.
        """
        if seconds < 0:
            raise ValueError("time does not go back")
        self._now += seconds
        return self._now
