"""Keeps a view of one collection current: a paged LIST, then a watch, a LIST again when the watch lost its place.

In: a path and a label selector. Out: calls of `on_object`, `on_gone` and `on_listed`, in order, each quick and without
I/O. No DELETED event comes after a 410, so each LIST says which objects are still there. One object that a callback
cannot bear costs nothing but itself.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any, Final

from sipgateway.cluster.client import PAGE, Api, ApiError, Obj

#: Seconds between LISTs that no lost watch asked for: an event is a hint, and hints get lost.
RESYNC: Final = 600.0

#: Seconds of the first and the longest wait after a failure.
_WAIT_FIRST, _WAIT_MAX = 0.2, 10.0

#: Seconds after which what works counts as working. A watch that ends sooner, again and again, is a failure.
_WORKS: Final = 5.0


@dataclass(slots=True)
class Reflector:
    """One collection in one namespace, or in all.

    Attributes:
        name: what on_trouble and on_poison are told; for logs and metrics.
        path: URL path of the collection.
        on_object: told of each object that is there, as listed, added or modified.
        on_gone: told of each object that is there no more, with its last state.
        on_listed: told of the uids of all objects that a whole LIST gave, and its resourceVersion, before later events:
            what is not among them, and not younger, is gone.
        on_trouble: told of each failure; the reflector goes on by itself.
        on_well: told each time that the watch was accepted.
        on_poison: told, while the exception is handled, of an object that a callback could not bear; without it the
            exception ends the reflector.
        selector: label selector.
        page: objects of one page of a LIST.
        synced: set when the first LIST was taken in whole.
        restarts: how often a LIST or watch had to begin again.
    """

    api: Api
    name: str
    path: str
    on_object: Callable[[Obj], object]
    on_gone: Callable[[Obj], object]
    on_listed: Callable[[frozenset[str], str], object]
    on_trouble: Callable[[str, ApiError], None] = lambda _name, _error: None
    on_well: Callable[[str], None] = lambda _name: None
    on_poison: Callable[[str, Obj], None] | None = None
    selector: str = ""
    resync: float = RESYNC
    page: int = PAGE
    synced: asyncio.Event = field(default_factory=asyncio.Event)
    restarts: int = 0
    _random: random.Random = field(default_factory=random.SystemRandom)

    async def run(self) -> None:
        """Runs until it is cancelled."""
        version = ""
        failures = 0
        listed_at = float("-inf")
        loop = asyncio.get_running_loop()
        while True:
            began = loop.time()
            pause = 0.0
            try:
                if not version or began - listed_at > self.resync:
                    version = await self._list()
                    listed_at = loop.time()
                    self.synced.set()
                async for reached in self._watch(version):
                    version = reached  # where to go on, also after a failure
            except ApiError as error:
                self.restarts += 1
                if error.expired or not error.transient:
                    version = ""
                self.on_trouble(self.name, error)
                pause = error.retry_after
            if loop.time() - began > _WORKS:
                failures = 0
            else:
                failures += 1
                pause = max(pause, wait(failures - 1, self._random))
            await asyncio.sleep(pause)

    async def _list(self) -> str:
        seen: set[str] = set()
        version = ""
        async for page in self.api.pages(self.path, selector=self.selector, limit=self.page):
            for obj in page.items:
                seen.add(uid_of(obj))
                self._tell(self.on_object, obj)
            version = page.version
        self.on_listed(frozenset(seen), version)
        return version

    async def _watch(self, version: str) -> AsyncIterator[str]:
        """Follows the watch until the server ends it; gives where to go on."""
        seconds = self._random.randint(180, 300)  # so that not all watches of all replicas end together
        events = self.api.watch(
            self.path, version, selector=self.selector, seconds=seconds, opened=lambda: self.on_well(self.name)
        )
        async for event in events:
            if event.type == "DELETED":
                self._tell(self.on_gone, event.object)
            elif event.type in {"ADDED", "MODIFIED"}:
                self._tell(self.on_object, event.object)
            yield event.version

    def _tell(self, callback: Callable[[Obj], Any], obj: Obj) -> None:
        try:
            callback(obj)
        except Exception:  # whatever is in one object, the others go on; who is told logs it
            if self.on_poison is None:
                raise
            self.on_poison(self.name, obj)


def uid_of(obj: Obj) -> str:
    """The uid of an object of a LIST.

    Raises:
        ApiError: it has none; passed over, it would count as gone.
    """
    try:
        uid = obj["metadata"]["uid"]
    except (KeyError, TypeError):
        uid = None
    if not isinstance(uid, str):
        raise ApiError(0, "BadAnswer", "an object of a LIST is none", is_status=False)
    return uid


def wait(failures: int, source: random.Random) -> float:
    """Seconds before the next try: doubling up to ten, with jitter so that replicas do not come together."""
    return float(min(_WAIT_FIRST * 2 ** min(failures, 10), _WAIT_MAX) * source.uniform(0.5, 1.0))
