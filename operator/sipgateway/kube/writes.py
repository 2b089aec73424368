"""Writes to the API server, each one counted, and none after our Lease is over.

In: an `Api` and what to write. Out: the answer, or what the API server said against it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from sipgateway.api.names import FIELD_MANAGER
from sipgateway.cluster.client import Api, ApiError, Obj
from sipgateway.kube.metrics import Metrics

_MANAGER = {"fieldManager": FIELD_MANAGER}


@dataclass(frozen=True, slots=True)
class Writes:
    """Where writes go.

    Attributes:
        check: asked before each; raises when we do not lead any more.
    """

    api: Api
    metrics: Metrics
    check: Callable[[], None]

    async def create(self, kind: str, path: str, body: Obj) -> Obj:
        """Creates an object.

        Raises:
            ApiError: it is there already (`conflict`), or was refused.
        """
        return await self._count(kind, "create", lambda: self.api.create(f"{path}?fieldManager={FIELD_MANAGER}", body))

    async def patch(self, kind: str, path: str, body: Obj) -> Obj:
        """Changes an object, by a merge patch.

        Raises:
            ApiError: it has another version (`conflict`), or was refused.
        """
        return await self._count(kind, "patch", lambda: self.api.patch(path, body, params=_MANAGER))

    async def delete(self, kind: str, path: str, uid: str, version: str) -> Obj:
        """Deletes exactly this version of an object.

        Raises:
            ApiError: it has another version (`conflict`), is gone, or was refused.
        """
        return await self._count(kind, "delete", lambda: self.api.delete(path, uid=uid, version=version))

    async def _count(self, kind: str, verb: str, write: Callable[[], Awaitable[Obj]]) -> Obj:
        self.check()
        try:
            answer = await write()
        except ApiError as error:
            self.metrics.writes.labels(kind, verb, outcome(error)).inc()
            raise
        self.metrics.writes.labels(kind, verb, "ok").inc()
        return answer


def outcome(error: ApiError) -> str:
    """The label `result` of a write that was not taken: `conflict` too when the object went meanwhile."""
    if error.conflict or error.not_found:
        return "conflict"
    return "transient" if error.transient else "refused"
