"""Leader election by a `coordination.k8s.io` Lease: of several replicas one acts.

In: an `Api`, the Lease's place, our identity. Out: leadership with a deadline on our own steady clock.

Ours and not `kubernetes.aio.leaderelection`: that one compares wall clocks (a step of the clock makes two leaders),
cannot give the Lease back at a graceful stop, and has no deadline to ask before a write. The rules are client-go's
(`tools/leaderelection`): another holder's times are never compared with our clock; it counts as gone when its Lease did
not change for its whole duration, as watched by us.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from dataclasses import dataclass, field
from typing import Any

from sipgateway.cluster.client import Api, ApiError, Obj


class DeposedError(Exception):
    """We are not the leader any more, or cannot be sure of it: nothing may be written."""


@dataclass(slots=True)
class Lease:
    """One candidate's view of the Lease. Times are seconds.

    Attributes:
        path: collection of Leases in its namespace.
        name: of the Lease.
        identity: ours; no other replica has it.
        duration: after so long without a renewal others take over.
        renew_within: a renewal that takes longer ends our leadership: before anybody else's can begin.
        period: between renewals, and between looks while another one leads.
    """

    api: Api
    path: str
    name: str
    identity: str
    duration: float = 15.0
    renew_within: float = 10.0
    period: float = 2.0
    look: float = 1.0
    _deadline: float = float("-inf")
    _seen: tuple[str, str] = ("", "")
    _seen_at: float = float("-inf")
    _version: str = ""
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    def check(self) -> None:
        """To be called before every write.

        Raises:
            DeposedError: our time is over, perhaps because this process was stopped for a while.
        """
        if _now() >= self._deadline:
            raise DeposedError(f"the Lease {self.name} was not renewed in time")

    @property
    def held(self) -> bool:
        """Whether we lead now."""
        return _now() < self._deadline

    async def acquire(self) -> None:
        """Returns when we lead. Goes on through failures of the API server.

        Raises:
            ApiError: we may not use the Lease at all.
        """
        while True:
            try:
                if await self._try():
                    return
            except ApiError as error:
                if error.status in {401, 403}:
                    raise
            await asyncio.sleep(self.look)

    async def keep(self) -> None:
        """Renews until that fails for too long; returns then. The caller stops everything at once."""
        while self.held:
            await asyncio.sleep(min(self.period, max(self._deadline - _now(), 0.0)))
            try:
                async with asyncio.timeout(max(self._deadline - _now(), 0.05)):
                    if not await self._try():
                        break  # another one has it
            except (ApiError, TimeoutError):
                continue
        self._deadline = float("-inf")

    async def release(self) -> None:
        """Gives the Lease back, so that another replica need not wait. Failures do not matter: it runs out."""
        if not self.held:
            return
        self._deadline = float("-inf")
        body = self._body("", transitions=None)
        body["spec"]["leaseDurationSeconds"] = 1
        body["metadata"] = {"resourceVersion": self._version}
        try:
            async with asyncio.timeout(3):
                await self.api.patch(f"{self.path}/{self.name}", body)
        except (ApiError, TimeoutError):
            return

    async def _try(self) -> bool:
        """Takes or renews the Lease; the deadline counts from before the request, never from its answer."""
        before = _now()
        try:
            found = await self.api.get(f"{self.path}/{self.name}")
        except ApiError as error:
            if not (error.not_found and error.is_status):
                raise
            return await self._create(before)
        spec: dict[str, Any] = found.get("spec") or {}
        holder = str(spec.get("holderIdentity") or "")
        self._version = str(found["metadata"]["resourceVersion"])
        sign = (holder, self._version)
        if sign != self._seen:
            self._seen, self._seen_at = sign, before
        fresh = before - self._seen_at < float(spec.get("leaseDurationSeconds") or self.duration)
        if holder and holder != self.identity and fresh:
            return False
        transitions = int(spec.get("leaseTransitions") or 0) + (holder != self.identity)
        body = self._body(self.identity, transitions=transitions)
        if holder == self.identity and not self.held:
            body["spec"].pop("acquireTime", None)
        body["metadata"] = {"resourceVersion": self._version}
        try:
            answer = await self.api.patch(f"{self.path}/{self.name}", body)
        except ApiError as error:
            if error.conflict:
                return False  # another one was faster
            raise
        return self._won(answer, before)

    async def _create(self, before: float) -> bool:
        body = self._body(self.identity, transitions=0)
        body |= {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": self.name, "labels": {"app.kubernetes.io/name": "sipgateway"}},
        }
        try:
            answer = await self.api.create(self.path, body)
        except ApiError as error:
            if error.conflict:
                return False
            raise
        return self._won(answer, before)

    def _won(self, answer: Obj, before: float) -> bool:
        self._version = str(answer["metadata"]["resourceVersion"])
        self._seen, self._seen_at = (self.identity, self._version), before
        self._deadline = before + self.renew_within
        return True

    def _body(self, holder: str, *, transitions: int | None) -> Obj:
        now = dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        spec: dict[str, Any] = {
            "holderIdentity": holder,
            "leaseDurationSeconds": max(round(self.duration), 1),
            "renewTime": now,
        }
        if not self.held:
            spec["acquireTime"] = now
        if transitions is not None:
            spec["leaseTransitions"] = transitions
        return {"spec": spec}


def _now() -> float:
    return asyncio.get_running_loop().time()
