"""Leader election by a `coordination.k8s.io` Lease: of several replicas one acts.

In: an `Api` of its own, so that no queue of requests delays a renewal; the Lease's place; our identity. Out: leadership
with a deadline on our own steady clock.

Ours and not `kubernetes.aio.leaderelection`: that one compares wall clocks (a step of the clock makes two leaders),
cannot give the Lease back at a graceful stop, and has no deadline to ask before a write. The rules are client-go's
(`tools/leaderelection`): another holder's times are never compared with our clock; it counts as gone when its Lease did
not change for its whole duration, as watched by us.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import enum
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from sipgateway.cluster.client import Api, ApiError, Obj

#: The longest duration, in seconds, that a Lease is believed: an absurd one would keep all replicas waiting for ever.
LONGEST: Final = 600.0

_INT32: Final = 2**31 - 1

#: Seconds that giving the Lease back may take.
_RELEASE: Final = 3.0

#: Seconds before a renewal that failed is tried again.
_AGAIN: Final = 0.5


class DeposedError(Exception):
    """We are not the leader any more, or cannot be sure of it: nothing may be written."""


class _Answer(enum.Enum):
    OURS = "ours"
    TAKEN = "taken"  # another one has it
    UNSURE = "unsure"  # it changed while we looked


@dataclass(slots=True)
class Lease:
    """One candidate's view of the Lease. Times are seconds.

    Attributes:
        path: collection of Leases in its namespace.
        name: of the Lease.
        identity: ours; no other process has it, nor did one before us.
        duration: after so long without a renewal others take over.
        renew_within: a renewal that takes longer ends our leadership: before anybody else's can begin.
        period: between renewals.
        look: between looks while another one leads.
        told: told of each failure, and of each time that all was well (None).
    """

    api: Api
    path: str
    name: str
    identity: str
    duration: float = 15.0
    renew_within: float = 10.0
    period: float = 2.0
    look: float = 1.0
    told: Callable[[ApiError | None], None] = lambda _: None
    _deadline: float = float("-inf")
    _holder: str = ""
    _version: str = ""
    _seen_at: float = float("-inf")
    _patience: float = 0.0
    _asked: bool = False

    def check(self) -> None:
        """To be called before every write.

        Raises:
            DeposedError: our time is over, perhaps because this process was stopped for a while.
        """
        if not self.held:
            raise DeposedError(f"the Lease {self.name} was not renewed in time")

    @property
    def held(self) -> bool:
        """Whether we lead now."""
        return _now() < self._deadline

    @property
    def of_another(self) -> bool:
        """Whether another one had it when it was last looked at."""
        return bool(self._holder) and self._holder != self.identity

    async def acquire(self) -> None:
        """Returns when we lead. Goes on through failures of the API server.

        Raises:
            ApiError: we may not use the Lease: for its whole duration nothing but refusals came.
        """
        refused_since: float | None = None
        while True:
            try:
                answer = await self._try()
            except ApiError as error:
                self.told(error)
                if error.transient:
                    refused_since = None
                elif refused_since is None:  # an API server that starts may refuse for a moment what RBAC allows
                    refused_since = _now()
                elif _now() - refused_since >= self.duration:
                    raise
            else:
                self.told(None)
                refused_since = None
                if answer is _Answer.OURS:
                    return
            await asyncio.sleep(self.look)

    async def keep(self) -> None:
        """Renews until that fails for too long, or another one has the Lease. The caller stops everything at once."""
        pause = self.period
        while self.held:
            await asyncio.sleep(min(pause, max(self._deadline - _now(), 0.0)))
            pause = _AGAIN
            try:
                async with asyncio.timeout(max(self._deadline - _now(), 0.05)):
                    answer = await self._renew()
            except ApiError as error:
                self.told(error)
                continue
            except TimeoutError:
                continue
            self.told(None)
            if answer is _Answer.TAKEN:
                break
            if answer is _Answer.OURS:
                pause = self.period
        self._deadline = float("-inf")

    async def release(self) -> None:
        """Gives the Lease back, so that another replica need not wait. Failures do not matter: it runs out."""
        if not self.held and not self._asked:
            return
        self._deadline = float("-inf")
        try:
            async with asyncio.timeout(_RELEASE):
                if self._asked:  # an answer never came: is it ours?
                    found = await self.api.get(f"{self.path}/{self.name}")
                    self._version = str(found["metadata"]["resourceVersion"])
                    if (found.get("spec") or {}).get("holderIdentity") != self.identity:
                        return
                body = self._body("")
                body["spec"]["leaseDurationSeconds"] = 1
                await self.api.patch(f"{self.path}/{self.name}", body)
        except (ApiError, TimeoutError):
            return
        finally:
            self._asked = False

    async def _renew(self) -> _Answer:
        """Renews what nobody touched since our last write; else looks."""
        if self._holder != self.identity:
            return await self._try()
        before = _now()
        try:
            return await self._write(self._body(self.identity), before)
        except ApiError as error:
            if not (error.conflict or error.not_found):
                raise
        return await self._try()

    async def _try(self) -> _Answer:
        """Takes or renews the Lease; the deadline counts from before the request, never from its answer."""
        before = _now()
        try:
            found = await self.api.get(f"{self.path}/{self.name}")
        except ApiError as error:
            if not (error.not_found and error.is_status):
                raise
            if self._others(before):
                return _Answer.TAKEN  # somebody deleted it under its holder, who may not know yet
            return await self._create(before)
        spec: dict[str, Any] = found.get("spec") or {}
        holder, version = str(spec.get("holderIdentity") or ""), str(found["metadata"]["resourceVersion"])
        if (holder, version) != (self._holder, self._version):
            self._holder, self._version, self._seen_at = holder, version, before
            self._patience = min(float(spec.get("leaseDurationSeconds") or self.duration), LONGEST)
        if self._others(before):
            return _Answer.TAKEN
        body = self._body(self.identity)
        if holder != self.identity:
            body["spec"]["acquireTime"] = body["spec"]["renewTime"]
            body["spec"]["leaseTransitions"] = min(int(spec.get("leaseTransitions") or 0), _INT32 - 1) + 1
        try:
            return await self._write(body, before)
        except ApiError as error:
            if error.conflict:
                return _Answer.UNSURE
            raise

    def _others(self, now: float) -> bool:
        """Whether another one may believe that it leads."""
        return bool(self._holder) and self._holder != self.identity and now - self._seen_at < self._patience

    async def _create(self, before: float) -> _Answer:
        body = self._body(self.identity)
        body["spec"] |= {"acquireTime": body["spec"]["renewTime"], "leaseTransitions": 0}
        body |= {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease"}
        body["metadata"] = {"name": self.name, "labels": {"app.kubernetes.io/name": "sipgateway"}}
        self._asked = True
        try:
            answer = await self.api.create(self.path, body)
        except ApiError as error:
            self._asked = error.transient
            if error.conflict:
                return _Answer.UNSURE
            raise
        return self._won(answer, before)

    async def _write(self, body: Obj, before: float) -> _Answer:
        """A write on the version that was seen, and on no other."""
        self._asked = True
        try:
            answer = await self.api.patch(f"{self.path}/{self.name}", body)
        except ApiError as error:
            self._asked = error.transient
            raise
        return self._won(answer, before)

    def _won(self, answer: Obj, before: float) -> _Answer:
        self._asked = False
        self._holder, self._version = self.identity, str(answer["metadata"]["resourceVersion"])
        self._seen_at = before
        self._deadline = before + self.renew_within
        return _Answer.OURS

    def _body(self, holder: str) -> Obj:
        spec: dict[str, Any] = {
            "holderIdentity": holder,
            "leaseDurationSeconds": max(round(self.duration), 1),
            "renewTime": dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        }
        return {"metadata": {"resourceVersion": self._version}, "spec": spec}


def _now() -> float:
    """Seconds of a clock that nobody sets and that goes on while the machine sleeps."""
    return time.clock_gettime(_CLOCK)


#: CLOCK_MONOTONIC stands still while the machine sleeps, and a deposed leader would wake up believing.
_CLOCK: Final = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
