"""What cannot be read now, and why. Told when it begins, when it changes, and when it is over; counted always.

In: failures and successes of watches and LISTs. Out: log lines, metrics, and the answer to "what is in the way".
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field

from sipgateway.cluster.client import ApiError
from sipgateway.kube.metrics import Metrics

log = logging.getLogger("sipgateway.watch")


@dataclass(slots=True)
class Troubles:
    """All of them, by (namespace or None for all, what)."""

    metrics: Metrics
    _now: dict[tuple[str | None, str], ApiError] = field(default_factory=dict)

    def ill(self, namespace: str | None, what: str, error: ApiError) -> None:
        """A watch or LIST failed; it is tried again by itself. That a watch lost its place is no trouble."""
        self.metrics.watch_restarts.labels(what).inc()
        if error.expired:
            return
        before = self._now.get((namespace, what))
        self._now[namespace, what] = error
        self.metrics.unreadable.set(len(self._now))
        if before is None or before.status != error.status:
            about = {"namespace": namespace or ""}
            log.warning("%s cannot be read; it is tried again: %s", _named(namespace, what), error, extra=about)

    def well(self, namespace: str | None, what: str) -> None:
        """It works, perhaps again."""
        if self._now.pop((namespace, what), None) is not None:
            self.metrics.unreadable.set(len(self._now))
            log.info("%s can be read again", _named(namespace, what), extra={"namespace": namespace or ""})

    def refused(self, namespace: str | None) -> bool:
        """Whether something of a namespace is refused to us, so that waiting alone mends nothing."""
        return any(n == namespace and not e.transient for (n, _), e in self._now.items())

    def of(self, namespace: str | None) -> str:
        """What is in the way in a namespace, in words; empty when nothing is."""
        found = [f"{_named(n, what)}: {error}" for (n, what), error in self._now.items() if n == namespace]
        return "; ".join(found[:2]) + ("; ..." if len(found) > 2 else "")


def _named(namespace: str | None, what: str) -> str:
    return what if namespace is None else f"{what} in namespace {namespace}"
