"""The agent's metrics, in Prometheus' naming. No label has unbounded values: never a gateway's name.

In: reports of the keeper, and the present state when it is scraped. Out: the text of `/metrics`.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.openmetrics.exposition import CONTENT_TYPE_LATEST, generate_latest

from sipgateway.agent.report import Report

#: Upper bounds of durations in seconds: a rescan takes 25 ms with 1,000 gateways and 0.8 s with 10,000 (fact 10).
_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)


@dataclass(slots=True)
class Metrics:
    """All metrics of one agent, in a registry of their own."""

    registry: CollectorRegistry = field(default_factory=CollectorRegistry)
    steps: Counter = field(init=False)
    step_seconds: Histogram = field(init=False)
    drift: Counter = field(init=False)
    last_proved: Gauge = field(init=False)
    gateways: Gauge = field(init=False)
    counts: Gauge = field(init=False)
    answers: Counter = field(init=False)
    values: Gauge = field(init=False)
    _counted: dict[str, int] = field(default_factory=dict)
    _proved: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        own = self.registry
        self.steps = Counter(
            "sipgateway_agent_steps", "Steps on the switch: adds, replacements, ...", ["kind", "result"], registry=own
        )
        self.step_seconds = Histogram(
            "sipgateway_agent_step_duration_seconds",
            "From the begin of a pass to the proof of a gateway.",
            buckets=_BUCKETS,
            registry=own,
        )
        self.drift = Counter(
            "sipgateway_agent_drift_repaired",
            "Gateways of ours that somebody killed or changed by hand and that were put back.",
            registry=own,
        )
        self.last_proved = Gauge(
            "sipgateway_agent_last_proved_timestamp_seconds",
            "Unix time of the last moment at which everything that is wanted was proved or named in a problem.",
            registry=own,
        )
        self.gateways = Gauge(
            "sipgateway_agent_gateways", "Gateways on the switch by their state.", ["state"], registry=own
        )
        self.counts = Gauge("sipgateway_agent_counts", "The counts of the SipSwitch.", ["count"], registry=own)
        self.answers = Counter(
            "sipgateway_agent_register_answers",
            "Answers to REGISTER, by their class.",
            ["class"],
            registry=own,
        )
        self.values = Gauge("sipgateway_agent_state", "Other numbers about the agent.", ["about"], registry=own)

    def heard(self, report: Report) -> bool:
        """Takes a report of the keeper in; returns whether it tells of drift that was repaired."""
        if report.event == "failed" and report.gateway:
            self.steps.labels(report.kind or "any", "failed").inc()
        if report.event != "proved":
            return False
        self.steps.labels(report.kind, "proved").inc()
        if report.seconds is not None:
            self.step_seconds.observe(report.seconds)
        drifted = report.kind == "repair" or (
            report.kind == "replace" and self._proved.get(report.gateway) == report.revision
        )
        if report.kind == "remove":
            self._proved.pop(report.gateway, None)
        else:
            self._proved[report.gateway] = report.revision
        if drifted:
            self.drift.inc()
        return drifted

    def all_proved(self) -> None:
        """A pass ended and left nothing that is neither proved nor named."""
        self.last_proved.set(time.time())

    def exposition(
        self,
        *,
        states: Mapping[str, int],
        counts: Mapping[str, int],
        answers: Mapping[str, int],
        values: Mapping[str, float],
    ) -> tuple[bytes, str]:
        """What `/metrics` answers, and its content type."""
        for gauge, numbers in (
            (self.gateways, states),
            (self.counts, counts),
            (self.values, values),
        ):
            gauge.clear()
            for label, number in numbers.items():
                gauge.labels(label).set(number)
        for label, number in answers.items():
            self.answers.labels(label).inc(max(number - self._counted.get(label, 0), 0))
            self._counted[label] = number
        body: bytes = generate_latest(self.registry)  # type: ignore[no-untyped-call]
        return body, CONTENT_TYPE_LATEST
