"""Whose turn it is to replace gateways that work: one pod of a fleet at a time, by a Lease of the fleet.

In: whether replacements are to begin, or begun and not ended. Out: `ours`. Nothing is asked of the API server while
there is nothing to replace. A holder that died keeps the others waiting until its Lease has run out.

While the API server is not reached, replacements of working gateways wait: nothing new is wanted then, so nothing gets
old by that. Additions, repairs, removals, and replacements of gateways that do not work need no turn and go on.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from dataclasses import dataclass, field

from sipgateway.cluster.client import Api, ApiError
from sipgateway.cluster.lease import Lease

_log = logging.getLogger(__name__)

#: Seconds after which no more replacements are begun in one turn, so that a pod with many lets the others come.
LONGEST = 30.0

#: Seconds after which a turn ends though something that was begun did not: a switch that died would keep it for ever.
MOST = LONGEST + 60.0

#: Seconds between looks while another pod has its turn, and before one that gave it back asks again.
_LOOK = 0.5
_AFTER_YOU = 3.0

#: Seconds between tries when the Lease may not be used.
_REFUSED = 10.0


def lease_name(switch: str) -> str:
    """The name of a fleet's Lease."""
    return f"sipgateway-{switch}-turn"


@dataclass(slots=True)
class FleetTurn:
    """One pod's part. Runs until it is cancelled.

    Attributes:
        hint: called when our turn has come.
        taken: how often it came.
        trouble: why it does not come; empty when nothing is wrong.
    """

    api: Api
    namespace: str
    switch: str
    identity: str
    hint: Callable[[], None]
    taken: int = 0
    trouble: str = ""
    _lease: Lease | None = None
    _until: float = 0.0
    _to_begin: bool = False
    _begun: bool = False
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def ours(self) -> bool:
        """Whether replacements may be begun now."""
        return self._lease is not None and self._lease.held and _now() < self._until

    def need(self, *, to_begin: bool, begun: bool) -> None:
        """What we have to replace."""
        if (to_begin, begun) != (self._to_begin, self._begun):
            self._to_begin, self._begun = to_begin, begun
            self._news.set()

    async def run(self) -> None:
        """Takes the turn whenever it is needed, and gives it back."""
        while True:
            while not self._to_begin:
                self._news.clear()
                await self._news.wait()
            lease = Lease(
                self.api,
                f"/apis/coordination.k8s.io/v1/namespaces/{self.namespace}/leases",
                lease_name(self.switch),
                self.identity,
                look=_LOOK,
                told=self._told,
            )
            try:
                if await self._acquired(lease):
                    await self._hold(lease)
            except ApiError as error:
                self._told(error)
                await asyncio.sleep(_REFUSED)
            finally:
                self._lease = None
                await lease.release()
            if self._to_begin:
                await asyncio.sleep(_AFTER_YOU)

    async def _acquired(self, lease: Lease) -> bool:
        """Waits for the turn; False when there is nothing to begin any more."""
        work = asyncio.create_task(lease.acquire())
        try:
            while not work.done():
                if not self._to_begin:
                    return False
                self._news.clear()
                news = asyncio.create_task(self._news.wait())
                await asyncio.wait({work, news}, return_when=asyncio.FIRST_COMPLETED)
                news.cancel()
            work.result()
        finally:
            work.cancel()
            with contextlib.suppress(asyncio.CancelledError, ApiError):
                await work
        return True

    async def _hold(self, lease: Lease) -> None:
        """Our turn, until everything that was begun has ended."""
        self.taken += 1
        self._lease, self._until = lease, _now() + LONGEST
        end = _now() + MOST
        self.hint()
        keeping = asyncio.create_task(lease.keep())
        try:
            while not keeping.done() and ((self._begun and _now() < end) or (self._to_begin and _now() < self._until)):
                self._news.clear()
                news = asyncio.create_task(self._news.wait())
                await asyncio.wait({keeping, news}, timeout=1.0, return_when=asyncio.FIRST_COMPLETED)
                news.cancel()
        finally:
            keeping.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await keeping

    def _told(self, error: ApiError | None) -> None:
        why = "" if error is None else str(error)
        if why and why != self.trouble:
            _log.warning("replacements wait for the Lease %s: %s", lease_name(self.switch), why)
        self.trouble = why


def _now() -> float:
    return asyncio.get_running_loop().time()
