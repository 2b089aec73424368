"""Writes the SipSwitch of this pod: at once when nothing was written for a while, else in bursts, then once a second.

In: a function that gives the present status, and hints that it may have changed. Out: one object, which the Pod owns,
and its status by server-side apply. An API server that is silent or dead delays reports and stops nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import logging
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from sipgateway.api.names import API_VERSION, LABEL_SWITCH, SWITCH_KIND, SWITCH_PLURAL
from sipgateway.cluster.client import APPLY, Api, ApiError, Obj
from sipgateway.cluster.reflector import wait

_log = logging.getLogger(__name__)

#: Whose fields they are, in `managedFields`.
MANAGER = "sipgateway-agent"

#: Seconds between reports when nothing changes.
HEARTBEAT = 30.0

#: Writes that may go out together, and how many more each second.
BURST = 5.0
RATE = 1.0


@dataclass(slots=True)
class Bucket:
    """A token bucket. Times are seconds of the event loop's clock."""

    burst: float = BURST
    rate: float = RATE
    _tokens: float = BURST
    _at: float = float("-inf")

    def wait(self, now: float) -> float:
        """Seconds until a token is there."""
        return max((1.0 - self._level(now)) / self.rate, 0.0)

    def take(self, now: float) -> None:
        """Takes one."""
        self._tokens, self._at = self._level(now) - 1.0, now

    def _level(self, now: float) -> float:
        return min(self.burst, self._tokens + (now - self._at) * self.rate) if self._at > float("-inf") else self.burst


@dataclass(slots=True)
class Reporter:
    """One pod's SipSwitch.

    Attributes:
        status: gives what is to be said now, without a heartbeat.
        written: how many reports were written.
        failing: why the last one was not; empty when it was.
    """

    api: Api
    namespace: str
    pod: str
    uid: str
    switch: str
    status: Callable[[], dict[str, Any]]
    heartbeat: float = HEARTBEAT
    written: int = 0
    failing: str = ""
    _said: dict[str, Any] | None = None
    _said_at: float = float("-inf")
    _news: asyncio.Event = field(default_factory=asyncio.Event)
    _bucket: Bucket = field(default_factory=Bucket)
    _made: bool = False
    _random: random.Random = field(default_factory=random.SystemRandom)

    def hint(self) -> None:
        """What is to be said may have changed."""
        self._news.set()

    async def run(self) -> None:
        """Reports until it is cancelled."""
        failures = 0
        while True:
            pause = self.heartbeat * self._random.uniform(0.8, 1.0)  # so that a fleet's pods do not write all at once
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(self._said_at + pause - _now(), 0.0)):
                    await self._news.wait()
            await asyncio.sleep(self._bucket.wait(_now()))
            self._news.clear()
            status = self.status()
            if status == self._said and _now() - self._said_at < self.heartbeat * 0.75:
                continue
            self._bucket.take(_now())
            try:
                await self._write(status)
            except ApiError as error:
                self._failed(str(error))
                await asyncio.sleep(max(wait(failures, self._random), error.retry_after))
                failures += 1
                self._news.set()
                continue
            failures = 0
            self._failed("")
            self._said, self._said_at = status, _now()
            self.written += 1

    async def say_last(self) -> None:
        """Writes once more what is to be said, before the end.

        Raises:
            ApiError: it cannot be written.
        """
        await self._write(self.status())

    async def _write(self, status: dict[str, Any]) -> None:
        if not self._made:
            await self._make()
        path = f"{self._path}/{self.pod}/status"
        body = self._object() | {"status": {"heartbeat": _clock(), **status}}
        del body["metadata"]["labels"], body["metadata"]["ownerReferences"]
        try:
            await self.api.patch(path, body, kind=APPLY, params={"fieldManager": MANAGER, "force": "true"})
        except ApiError as error:
            self._made = self._made and not error.not_found  # somebody deleted it: it is made anew
            raise

    async def _make(self) -> None:
        """Makes the object. One of an earlier pod of this name goes when the garbage collector comes to it."""
        try:
            await self.api.create(f"{self._path}?fieldManager={MANAGER}", self._object())
        except ApiError as error:
            if error.reason != "AlreadyExists":
                raise
            found = await self.api.get(f"{self._path}/{self.pod}")
            owners = [o.get("uid") for o in found["metadata"].get("ownerReferences") or ()]
            if owners != [self.uid]:
                raise ApiError(409, "OfAnotherPod", "the SipSwitch is of an earlier pod; it goes by itself") from None
        self._made = True

    def _object(self) -> Obj:
        return {
            "apiVersion": API_VERSION,
            "kind": SWITCH_KIND,
            "metadata": {
                "name": self.pod,
                "labels": {LABEL_SWITCH: self.switch},
                "ownerReferences": [{"apiVersion": "v1", "kind": "Pod", "name": self.pod, "uid": self.uid}],
            },
        }

    @property
    def _path(self) -> str:
        return f"/apis/{API_VERSION}/namespaces/{self.namespace}/{SWITCH_PLURAL}"

    def _failed(self, why: str) -> None:
        if why and not self.failing:
            _log.warning("the SipSwitch cannot be written: %s", why)
        if not why and self.failing:
            _log.info("the SipSwitch is written again")
        self.failing = why


def _now() -> float:
    return asyncio.get_running_loop().time()


def _clock() -> str:
    return dt.datetime.now(dt.UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
