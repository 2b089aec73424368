"""Fact 17's third step: replaced gateways that register are sent one more `register` when their old copy is gone.

In: names of such gateways. Out: `register` commands, at the moment at which they keep the new binding.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field

from sipgateway.agent.executor import Executor

#: Seconds after which a gateway that comes to no end is not waited for any more (timeout-seconds is 60).
_PATIENCE = 90.0

#: Seconds between looks at gateways whose old copy is gone.
_PAUSE = 0.5


@dataclass(slots=True)
class Settling:
    """Gateways whose binding is still to be made sure of, and since when."""

    since: dict[str, float] = field(default_factory=dict)
    _next: float = 0.0

    def __contains__(self, name: object) -> bool:
        return name in self.since

    def __len__(self) -> int:
        return len(self.since)

    def __iter__(self) -> Iterator[str]:
        return iter(self.since)

    def begin(self, name: str, now: float) -> None:
        """A new copy of it was proved."""
        self.since[name] = now

    def drop(self, name: str) -> None:
        """It is not there any more."""
        self.since.pop(name, None)

    def moments(self, now: float) -> list[float]:
        """When to look though no event came."""
        return [now + _PAUSE] if self.since else []

    async def go_on(self, executor: Executor, *, hinted: bool) -> tuple[list[str], bool]:
        """Does what can be done now.

        Args:
            executor: to do it with.
            hinted: whether an event may have changed something since the last call.

        Returns:
            Names that were sent a `register`, and whether any gateway came to its end.
        """
        now = asyncio.get_running_loop().time()
        for name in [n for n, since in self.since.items() if now - since > _PATIENCE]:
            del self.since[name]
        names = [n for n in self.since if not executor.view.marked(n)]
        if not names or (now < self._next and not hinted):
            return [], False
        self._next = now + _PAUSE
        sent, over = await executor.settle(names)
        for name in (*sent, *over):
            del self.since[name]
        return sent, bool(sent or over)
