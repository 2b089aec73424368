"""Whether the switch can read its configuration tree, and which of our files it cannot read (facts 2, 3).

In: what reloads said. Out: whether steps may go out, and names of gateways whose files are taken away. One file that
cannot be read blocks every gateway of every profile, so it is found with the switch's own reader: our new files are
taken away, and put back by halves. No gateway is touched by that.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from sipgateway.agent.executor import Executor, Reload
from sipgateway.agent.store import Desired, Store
from sipgateway.reconcile.plan import Kind, Step

#: Seconds between tries of a tree that the switch could not read.
BROKEN_RETRY = 5.0


@dataclass(frozen=True, slots=True)
class _Suspect:
    """A file that was not read well yet."""

    step: Step
    path: str
    data: bytes = field(repr=False)


@dataclass(slots=True)
class Tree:
    """What is known of the switch's tree.

    Attributes:
        state: what the last reload said.
        tried_again_at: when a broken one is read again.
    """

    state: Reload = field(default_factory=Reload)
    tried_again_at: float = 0.0
    _acquitted: set[tuple[str, Step]] = field(default_factory=set)

    @property
    def broken(self) -> bool:
        """Whether the switch could not read it."""
        return self.state.error is not None

    def note(self, state: Reload, now: float) -> None:
        """A reload said this."""
        if state != self.state:
            self.state = state
            self.tried_again_at = now + BROKEN_RETRY
        if not self.broken:
            self._acquitted.clear()

    async def readable(self, executor: Executor, *, disruptive: bool) -> bool:
        """Whether it can be read, as far as steps depend on it.

        `killgw` before a rescan that cannot read the tree brings the old copy back as it was (fact 2): for one that
        registers that is a gap for nothing, so the tree is tried before the first such `killgw`.
        """
        now = asyncio.get_running_loop().time()
        if disruptive if not self.broken else now >= self.tried_again_at:
            self.tried_again_at = now + BROKEN_RETRY
            self.note(await executor.check_tree(), now)
        return not self.broken

    async def breakers(self, executor: Executor, store: Store, desired: Desired, steps: Sequence[Step]) -> list[Step]:
        """Which of these steps' files break the tree: they are away afterwards. None when somebody else's file does.

        Raises:
            StorageError: a file cannot be taken away or put back.
            SwitchError: the connection is gone. What is away is written again when there is one.
        """
        words = self.state.error or ""
        suspects = [
            _Suspect(step, path, desired.files[path])
            for step in steps
            if step.kind is not Kind.REMOVE and store.holds(desired, step) and (words, step) not in self._acquitted
            for path in (desired.wanted[step.name].path,)
        ]
        if not suspects:
            return []
        await _put(store, suspects, away=True)
        if (await executor.check_tree()).error is not None:
            await _put(store, suspects, away=False)
            self._acquitted |= {(words, s.step) for s in suspects}
            return []
        found: list[Step] = []
        groups = [suspects]
        while groups:  # whatever is left of it is away, and the tree can be read
            group = groups.pop()
            await _put(store, group, away=False)
            if (await executor.check_tree()).error is None:
                continue
            await _put(store, group, away=True)
            if len(group) == 1:
                found.append(group[0].step)
            else:
                half = len(group) // 2
                groups += [group[:half], group[half:]]
        self.note(await executor.check_tree(), asyncio.get_running_loop().time())
        return found


async def _put(store: Store, suspects: Sequence[_Suspect], *, away: bool) -> None:
    await asyncio.to_thread(store.put, {s.path: None if away else s.data for s in suspects})
