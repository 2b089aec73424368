"""What waits to be looked at: each key once, news before routine, what failed not before its time.

In: hints. Out: keys, one at a time; none is worked on twice at once, and a hint for one that is being worked on brings
it back. Routine (a LIST, a report over a whole fleet) does not delay a change that somebody just made, and somebody who
makes changes without end does not keep routine waiting for ever: every fourth turn is its.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

_K = TypeVar("_K", bound=Hashable)

#: One turn of so many is routine's.
_TURNS = 4


@dataclass(slots=True)
class HintQueue(Generic[_K]):
    """A queue without duplicates. Times are seconds of the event loop's clock.

    Attributes:
        on_put: told when there is something to take.
    """

    on_put: Callable[[], None] = lambda: None
    _news: dict[_K, float] = field(default_factory=dict)
    _routine: dict[_K, float] = field(default_factory=dict)
    _busy: set[_K] = field(default_factory=set)
    _again: dict[_K, tuple[float, bool]] = field(default_factory=dict)
    _later: dict[_K, asyncio.TimerHandle] = field(default_factory=dict)
    _turn: int = 0

    def put(self, key: _K, *, routine: bool = False) -> None:
        """A hint. The time of its first one stays with it."""
        timer = self._later.pop(key, None)
        if timer is not None:
            timer.cancel()
        now = asyncio.get_running_loop().time()
        if key in self._busy:
            since, only_routine = self._again.get(key, (now, True))
            self._again[key] = (since, only_routine and routine)
            return
        if routine:
            if key not in self._news:
                self._routine.setdefault(key, now)
        else:
            self._news.setdefault(key, self._routine.pop(key, now))
        self.on_put()

    def put_later(self, key: _K, seconds: float) -> None:
        """A hint for later. One that waits already stays as it is: it comes sooner."""
        if key in self._news or key in self._routine or key in self._later:
            return
        loop = asyncio.get_running_loop()

        def due() -> None:
            self._later.pop(key, None)
            self.put(key, routine=True)

        self._later[key] = loop.call_later(seconds, due)

    def take(self) -> tuple[_K, float] | None:
        """The next key and when it was first hinted at; `done` must follow. None when nothing waits."""
        self._turn = (self._turn + 1) % _TURNS
        first, then = (self._news, self._routine) if self._turn else (self._routine, self._news)
        waiting = first or then
        if not waiting:
            return None
        key = next(iter(waiting))
        since = waiting.pop(key)
        self._busy.add(key)
        return key, since

    def done(self, key: _K) -> None:
        """The key is not worked on any more; what was hinted meanwhile counts now."""
        self._busy.discard(key)
        again = self._again.pop(key, None)
        if again is not None:
            self.put(key, routine=again[1])

    def close(self) -> None:
        """No timer fires after this."""
        for timer in self._later.values():
            timer.cancel()
        self._later.clear()

    def holds(self, key: _K) -> bool:
        """Whether the key waits or is worked on."""
        return key in self._busy or key in self._news or key in self._routine or key in self._later

    @property
    def oldest(self) -> float | None:
        """When the key that waits longest was first hinted at; None when nothing waits."""
        heads = [next(iter(waiting.values())) for waiting in (self._news, self._routine) if waiting]
        return min(heads, default=None)

    @property
    def depth(self) -> int:
        """How many keys wait now."""
        return len(self._news) + len(self._routine)

    @property
    def idle(self) -> bool:
        """Whether nothing waits and nothing is worked on."""
        return not (self._news or self._routine or self._busy)

    @property
    def empty(self) -> bool:
        """Whether it holds nothing at all, not even for later."""
        return self.idle and not self._later
