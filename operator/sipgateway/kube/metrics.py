"""The operator's metrics, in Prometheus' naming. No label has unbounded values: never a gateway's name.

In: counts and durations from the workers. Out: what `/metrics` answers, as OpenMetrics or as Prometheus' older text,
whichever the asker accepts. A replica that does not lead says nothing of gateways: sums over replicas stay true.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, exposition

from sipgateway import __version__

#: Upper bounds of durations, in seconds: a write takes 2 ms, a full fleet's start some tens of seconds.
_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0)


#: What a leader may count. It is there from the begin, as 0: of a series that begins at 1 Prometheus sees no increase.
_WRITES = {
    "ConfigMap": ("create", "patch", "delete"),
    "Secret": ("create", "patch"),
    "Event": ("create",),
    "SipGateway": ("status",),
}
_RESULTS = ("ok", "conflict", "transient", "refused")
_WATCHED = ("SipGateways", "SipSwitches", "ConfigMaps", "Secrets", "Pods")


@dataclass(slots=True)
class Metrics:
    """All metrics of one process, in a registry of their own."""

    registry: CollectorRegistry = field(default_factory=CollectorRegistry)
    reconcile_seconds: Histogram = field(init=False)
    writes: Counter = field(init=False)
    gateways: Gauge = field(init=False)
    queue: Gauge = field(init=False)
    watch_restarts: Counter = field(init=False)
    unreadable: Gauge = field(init=False)
    drift: Counter = field(init=False)
    events_dropped: Counter = field(init=False)
    leader: Gauge = field(init=False)
    last_success: Gauge = field(init=False)

    def __post_init__(self) -> None:
        own = self.registry
        self.reconcile_seconds = Histogram(
            "sipgateway_reconcile_duration_seconds",
            "From the hint that a SipGateway may have changed to its ConfigMap as it should be.",
            buckets=_BUCKETS,
            registry=own,
        )
        self.writes = Counter(
            "sipgateway_writes", "Writes to the API server.", ["kind", "verb", "result"], registry=own
        )
        self.gateways = Gauge(
            "sipgateway_gateways",
            "SipGateways by the status and reason of a condition.",
            ["condition", "status", "reason"],
            registry=own,
        )
        self.queue = Gauge("sipgateway_queue_depth", "SipGateways that wait to be looked at.", ["queue"], registry=own)
        self.watch_restarts = Counter(
            "sipgateway_watch_restarts", "Watches that had to begin again.", ["resource"], registry=own
        )
        self.unreadable = Gauge(
            "sipgateway_unreadable_collections",
            "What cannot be read now (a missing right, no answer), one for each kind in each namespace.",
            registry=own,
        )
        self.drift = Counter(
            "sipgateway_drift_repaired",
            "ConfigMaps that somebody changed or deleted and that were put back.",
            registry=own,
        )
        self.events_dropped = Counter(
            "sipgateway_events_dropped", "Kubernetes Events that were not written, for their budget.", registry=own
        )
        self.leader = Gauge("sipgateway_leader", "1 while this replica acts, else 0.", registry=own)
        self.last_success = Gauge(
            "sipgateway_last_success_timestamp_seconds",
            "Unix time of the last reconcile that ended as it should.",
            registry=own,
        )
        Gauge("sipgateway_build_info", "1, with the version.", ["version"], registry=own).labels(__version__).set(1)
        ProcessCollector(registry=own)

    def leads(self) -> None:
        """This replica acts now."""
        self.leader.set(1)
        for kind, verbs in _WRITES.items():
            for verb in verbs:
                for result in _RESULTS:
                    self.writes.labels(kind, verb, result)
        for resource in _WATCHED:
            self.watch_restarts.labels(resource)

    def leads_no_more(self) -> None:
        """What only the leader knows is not said any more."""
        self.leader.set(0)
        self.gateways.clear()
        self.queue.clear()
        self.unreadable.set(0)

    def exposition(self, accept: str) -> tuple[bytes, str]:
        """What `/metrics` answers, and its content type.

        Args:
            accept: what the asker takes, as in HTTP's header.
        """
        encode, kind = exposition.choose_encoder(accept)
        body: bytes = encode(self.registry)
        return body, kind
