"""Kubernetes Events: what changed, for `kubectl describe`. One per change, none twice, on a budget.

In: a SipGateway's record and a word with a text. Out: Events, written behind everything else; what is over the budget
is dropped and counted. An Event is news, never state: losing one loses nothing.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import hashlib
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, field

from sipgateway.api.names import API_VERSION, FIELD_MANAGER, KIND
from sipgateway.cluster.client import Api, ApiError, Obj
from sipgateway.kube.metrics import Metrics
from sipgateway.kube.records import GatewayRecord

#: Events at once, and per second when they keep coming.
_BURST, _RATE = 50.0, 5.0

#: News that wait; older ones are dropped first.
_WAITING = 500

#: (object, word, text) that were told lately.
_REMEMBERED = 4096

#: Characters of an Event's note: the API server takes 1024 bytes.
_NOTE = 250


@dataclass(frozen=True, slots=True)
class News:
    """One thing to tell of a SipGateway."""

    namespace: str
    name: str
    uid: str
    version: str
    normal: bool
    reason: str
    text: str


@dataclass(slots=True)
class Events:
    """Writes Events.

    Attributes:
        check: asked before each write; raises when we do not lead any more.
        identity: ours.
    """

    api: Api
    metrics: Metrics
    check: Callable[[], None]
    identity: str
    _waiting: deque[News] = field(default_factory=deque)
    _told: OrderedDict[tuple[str, str, str], None] = field(default_factory=OrderedDict)
    _wake: asyncio.Event = field(default_factory=asyncio.Event)
    _tokens: float = _BURST
    _at: float = 0.0

    def tell(self, record: GatewayRecord, reason: str, text: str, *, normal: bool) -> None:
        """Something changed. Does not wait."""
        sign = (record.uid, reason, text)
        if sign in self._told:
            self._told.move_to_end(sign)
            return
        self._told[sign] = None
        if len(self._told) > _REMEMBERED:
            self._told.popitem(last=False)
        self._waiting.append(
            News(record.key.namespace, record.key.name, record.uid, record.version, normal, reason, text)
        )
        if len(self._waiting) > _WAITING:
            self._waiting.popleft()
            self.metrics.events_dropped.inc()
        self._wake.set()

    def forget(self, uid: str, reason: str) -> None:
        """What was told of this may be told again: it was otherwise in between."""
        for sign in [s for s in self._told if s[0] == uid and s[1] == reason]:
            del self._told[sign]

    async def run(self) -> None:
        """Writes until it is cancelled."""
        loop = asyncio.get_running_loop()
        self._at = loop.time()
        while True:
            if not self._waiting:
                self._wake.clear()
                await self._wake.wait()
                continue
            now = loop.time()
            self._tokens = min(self._tokens + (now - self._at) * _RATE, _BURST)
            self._at = now
            if self._tokens < 1:
                await asyncio.sleep((1 - self._tokens) / _RATE)
                continue
            self._tokens -= 1
            await self._write(self._waiting.popleft())

    async def _write(self, news: News) -> None:
        self.check()
        try:
            await self.api.create(f"/api/v1/namespaces/{news.namespace}/events", self._event(news))
        except ApiError:
            self.metrics.writes.labels("Event", "create", "refused").inc()
            return
        self.metrics.writes.labels("Event", "create", "ok").inc()

    def _event(self, news: News) -> Obj:
        now = dt.datetime.now(dt.UTC)
        sign = hashlib.sha256(f"{news.uid}/{news.reason}/{news.text}/{now.timestamp()}".encode()).hexdigest()[:16]
        text = news.text if len(news.text) <= _NOTE else f"{news.text[: _NOTE - 3]}..."
        return {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": f"{news.name[:230]}.{sign}", "namespace": news.namespace},
            "involvedObject": {
                "apiVersion": API_VERSION,
                "kind": KIND,
                "namespace": news.namespace,
                "name": news.name,
                "uid": news.uid,
                "resourceVersion": news.version,
            },
            "type": "Normal" if news.normal else "Warning",
            "reason": news.reason,
            "message": text,
            "action": "Reconcile",
            "source": {"component": FIELD_MANAGER},
            "reportingComponent": f"sipgateway.dev/{FIELD_MANAGER}",
            "reportingInstance": self.identity[:128],
            "firstTimestamp": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "lastTimestamp": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "eventTime": None,
            "count": 1,
        }
