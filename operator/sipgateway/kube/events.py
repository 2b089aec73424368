"""Kubernetes Events: what changed, for `kubectl describe`. One per change, none twice, on a budget.

In: a SipGateway's record and a word with a text. Out: Events, written behind everything else; what is over the budget
is dropped and counted. An Event is news, never state: losing one loses nothing. While the API server does not take them
they wait.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import hashlib
import logging
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, field

from sipgateway.api.names import API_VERSION, FIELD_MANAGER, KIND
from sipgateway.cluster.client import Api, ApiError, Obj
from sipgateway.kube.metrics import Metrics
from sipgateway.kube.records import GatewayRecord

log = logging.getLogger("sipgateway.events")

#: Events at once, and per second when they keep coming.
_BURST, _RATE = 50.0, 5.0

#: News that wait; older ones are dropped first.
_WAITING = 500

#: (object, word) of which something was told lately.
_REMEMBERED = 4096

#: Texts that are remembered of each.
_TEXTS = 16

#: Bytes of an Event's message: the API server takes 1024.
_NOTE = 1000

#: Seconds before one is written again that the API server could not take just now.
_AGAIN = 2.0


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
    at: dt.datetime


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
    _told: OrderedDict[tuple[str, str], set[str]] = field(default_factory=OrderedDict)
    _wake: asyncio.Event = field(default_factory=asyncio.Event)
    _tokens: float = _BURST
    _at: float = 0.0
    _refused: int = 0

    def tell(self, record: GatewayRecord, reason: str, text: str, *, normal: bool) -> None:
        """Something changed. Does not wait."""
        texts = self._told.setdefault((record.uid, reason), set())
        self._told.move_to_end((record.uid, reason))
        if text in texts:
            return
        if len(texts) == _TEXTS:
            texts.clear()
        texts.add(text)
        if len(self._told) > _REMEMBERED:
            self._told.popitem(last=False)
        self._waiting.append(
            News(
                record.key.namespace,
                record.key.name,
                record.uid,
                record.version,
                normal,
                reason,
                text,
                dt.datetime.now(dt.UTC),
            )
        )
        if len(self._waiting) > _WAITING:
            self._waiting.popleft()
            self.metrics.events_dropped.inc()
        self._wake.set()

    def forget(self, uid: str, reason: str) -> None:
        """What was told of this may be told again: it was otherwise in between."""
        self._told.pop((uid, reason), None)

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
            news = self._waiting.popleft()
            pause = await self._write(news)
            if pause:
                self._waiting.appendleft(news)
                await asyncio.sleep(pause)

    async def _write(self, news: News) -> float:
        """Writes one. Returns the seconds after which it is to be tried again, 0 when that is of no use."""
        self.check()
        try:
            await self.api.create(f"/api/v1/namespaces/{news.namespace}/events", self._event(news))
        except ApiError as error:
            if error.reason == "AlreadyExists":
                return 0.0  # the answer to an earlier try was lost
            self.metrics.writes.labels("Event", "create", "transient" if error.transient else "refused").inc()
            if not error.transient and error.status != self._refused:
                log.warning("an Event is refused, as others may be: %s", error)
                self._refused = error.status
            return max(_AGAIN, error.retry_after) if error.transient else 0.0
        self._refused = 0
        self.metrics.writes.labels("Event", "create", "ok").inc()
        return 0.0

    def _event(self, news: News) -> Obj:
        at = news.at.strftime("%Y-%m-%dT%H:%M:%SZ")
        sign = hashlib.sha256(f"{news.uid}/{news.reason}/{news.text}/{news.at.timestamp()}".encode()).hexdigest()[:16]
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
            "message": _cut(news.text),
            "action": "Reconcile",
            "source": {"component": FIELD_MANAGER},
            "reportingComponent": f"sipgateway.dev/{FIELD_MANAGER}",
            "reportingInstance": self.identity[:128],
            "firstTimestamp": at,
            "lastTimestamp": at,
            "eventTime": None,
            "count": 1,
        }


def _cut(text: str) -> str:
    """A text in as many bytes as an Event may have, whole characters only."""
    raw = text.encode("utf-8", "replace")
    return text if len(raw) <= _NOTE else raw[: _NOTE - 3].decode("utf-8", "ignore") + "..."
