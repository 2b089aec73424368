"""The keeper's side of the files: brings them in line off the event loop, and tells when that fails.

In: what the switch is held to, and names whose files must wait, go or stay. Out: files, and `trouble` for as long as
they cannot be written.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from sipgateway.agent.lastgood import LastGood
from sipgateway.agent.report import Report
from sipgateway.agent.store import Desired, Store
from sipgateway.errors import Finding, StorageError

#: Seconds between tries of files that could not be written; a hint tries at once.
STORAGE_RETRY = 2.0

#: The most of its time that looking at files may take while there is no switch.
_SHARE = 0.02


@dataclass(slots=True)
class Filing:
    """The files of one switch.

    Attributes:
        store: has them.
        last_good: says which versions are not worth keeping, and which files must not stand there.
        report: told of a failure, once.
        trouble: why not all files could be written; None when they could.
        unasked: names whose file was new when nobody could be asked whose the name is on the switch.
    """

    store: Store
    last_good: LastGood
    report: Callable[[Report], None]
    trouble: Finding | None = None
    unasked: set[str] = field(default_factory=set)
    _ahead_of: Desired | None = None
    _look_at: float = 0.0
    _one: asyncio.Lock = field(default_factory=asyncio.Lock)  # what is wanted may change while the switch comes back

    async def sync(
        self,
        desired: Desired,
        names: Iterable[str] | None,
        *,
        kept: AbstractSet[str],
        leaving: AbstractSet[str],
        taken: AbstractSet[str],
    ) -> None:
        """Brings the files of these names in line, of all without any, or while some could not be written.

        Args:
            desired: what the switch is held to.
            names: of gateways.
            kept: their files stay as they are.
            leaving: their files go, the new ones are not written yet.
            taken: somebody else's gateway has the name.
        """
        await self._sync(
            desired,
            None if self.trouble is not None else names,
            kept | (taken - self.unasked),
            leaving,
            taken & self.unasked,
        )

    async def ahead(self, desired: Desired, taken: AbstractSet[str]) -> None:
        """Writes everything for a switch that is not there yet; when it is called again, what was damaged meanwhile."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        if self._ahead_of is desired and self.trouble is None and began < self._look_at:
            return
        self._ahead_of = desired
        try:
            async with self._one:
                self.store.forget()
                kept = await asyncio.to_thread(self.store.elsewhere, desired)
        except StorageError as error:
            self.failed(error)
            return
        self.unasked |= await self._sync(desired, None, kept | taken, frozenset(), frozenset())
        self._look_at = loop.time() + (loop.time() - began) / _SHARE

    def connected(self) -> None:
        """There is a switch: what was written ahead is to be looked at again when it is gone."""
        self._ahead_of = None

    def failed(self, error: StorageError) -> None:
        """Files could not be read, written or removed."""
        if self.trouble != error.finding:
            self.report(Report.failure("", error.finding))
        self.trouble = error.finding

    def moments(self, now: float) -> list[float]:
        """When to try again though nothing happens."""
        return [] if self.trouble is None else [now + STORAGE_RETRY]

    async def _sync(
        self,
        desired: Desired,
        names: Iterable[str] | None,
        kept: AbstractSet[str],
        leaving: AbstractSet[str],
        unwelcome: AbstractSet[str],
    ) -> set[str]:
        try:
            async with self._one:
                new = await asyncio.to_thread(
                    self.store.sync,
                    desired,
                    names,
                    kept=kept,
                    leaving=leaving,
                    withdrawn=self.last_good.withdrawn | unwelcome,
                    dropped=self.last_good.dropped,
                )
        except StorageError as error:
            self.failed(error)
            return set()
        self.trouble = None
        return new
