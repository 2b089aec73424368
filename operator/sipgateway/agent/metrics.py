"""The agent's metrics, in Prometheus' naming. No label has unbounded values: never a gateway's name.

In: reports of the keeper, and the present state when it is scraped. Out: the text of `/metrics` (text format 0.0.4).
Written by hand: prometheus-client brings an HTTP server of its own along, 1.4 MB in each switch pod.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from sipgateway.agent.report import Report
from sipgateway.reconcile.plan import Kind

KIND = "text/plain; version=0.0.4; charset=utf-8"

#: Upper bounds of durations in seconds: a rescan takes 25 ms with 1,000 gateways and 0.8 s with 10,000 (fact 10).
_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)

_PREFIX = "sipgateway_agent_"

#: What is there from the begin: of a series that begins at 1 Prometheus sees no increase.
_STEPS = {**{(kind.value, "proved"): 0 for kind in Kind}, ("any", "failed"): 0}
_ANSWERS = {f"{digit}xx": 0 for digit in range(2, 7)}


@dataclass(slots=True)
class Metrics:
    """What one agent counts.

    Attributes:
        steps: by kind and result.
        drift: gateways of ours that somebody killed or changed by hand and that were put back.
        last_proved: Unix time of the last moment at which everything was proved, or named in a problem.
    """

    steps: Counter[tuple[str, str]] = field(default_factory=Counter)
    drift: int = 0
    last_proved: float = 0.0
    _buckets: list[int] = field(default_factory=lambda: [0] * (len(_BUCKETS) + 1))
    _seconds: float = 0.0
    _proved: dict[str, str] = field(default_factory=dict)

    def heard(self, report: Report) -> bool:
        """Takes a report of the keeper in; returns whether it tells of drift that was repaired."""
        if report.event == "failed" and report.gateway:
            self.steps["any", "failed"] += 1
        if report.event != "proved":
            return False
        self.steps[report.kind, "proved"] += 1
        if report.seconds is not None:
            self._buckets[bisect_left(_BUCKETS, report.seconds)] += 1
            self._seconds += report.seconds
        same = self._proved.get(report.gateway) == report.revision
        drifted = report.kind == "repair" or (report.kind == "replace" and same)
        if report.kind == "remove":
            self._proved.pop(report.gateway, None)
        else:
            self._proved[report.gateway] = report.revision
        self.drift += drifted
        return drifted

    def all_proved(self) -> None:
        """A pass ended and left nothing that is neither proved nor named."""
        self.last_proved = time.time()

    def exposition(
        self,
        *,
        states: Mapping[str, int],
        counts: Mapping[str, int],
        answers: Mapping[str, int],
        gauges: Mapping[str, tuple[str, float]],
        totals: Mapping[str, tuple[str, float]],
    ) -> str:
        """What `/metrics` answers.

        Args:
            states: gateways on the switch by state.
            counts: as in the SipSwitch.
            answers: to REGISTER, by class.
            gauges: name -> (help, value).
            totals: the same for what only grows.
        """
        lines: list[str] = []
        counted = _STEPS | self.steps
        steps = {f'kind="{kind}",result="{result}"': n for (kind, result), n in sorted(counted.items())}
        lines += _family("steps_total", "counter", "Steps on the switch.", steps)
        lines += self._histogram()
        lines += _family(
            "drift_repaired_total", "counter", "Gateways put back that somebody changed.", {"": self.drift}
        )
        text = "Unix time at which everything was last proved, or named in a problem."
        lines += _family("last_proved_timestamp_seconds", "gauge", text, {"": self.last_proved})
        lines += _family("gateways", "gauge", "Gateways on the switch.", {f'state="{s}"': n for s, n in states.items()})
        lines += _family("counts", "gauge", "As in the SipSwitch.", {f'count="{c}"': n for c, n in counts.items()})
        by_class = {f'class="{c}"': n for c, n in sorted((_ANSWERS | dict(answers)).items())}
        lines += _family("register_answers_total", "counter", "Answers to REGISTER.", by_class)
        for kind, numbers in (("gauge", gauges), ("counter", totals)):
            for name, (text, value) in numbers.items():
                lines += _family(name, kind, text, {"": value})
        return "\n".join([*lines, ""])

    def _histogram(self) -> Iterator[str]:
        name = "step_duration_seconds"
        yield from _head(name, "histogram", "From the begin of a pass to the proof of a gateway.")
        total = 0
        for bound, count in zip((*map(str, _BUCKETS), "+Inf"), self._buckets, strict=True):
            total += count
            yield f'{_PREFIX}{name}_bucket{{le="{bound}"}} {total}'
        yield f"{_PREFIX}{name}_sum {self._seconds:.6f}"
        yield f"{_PREFIX}{name}_count {total}"


def _family(name: str, kind: str, text: str, values: Mapping[str, float]) -> Iterator[str]:
    yield from _head(name, kind, text)
    for labels, value in values.items():
        yield f"{_PREFIX}{name}{f'{{{labels}}}' if labels else ''} {float(value):.15g}"


def _head(name: str, kind: str, text: str) -> Iterator[str]:
    yield f"# HELP {_PREFIX}{name} {text}"
    yield f"# TYPE {_PREFIX}{name} {kind}"
