"""The Grafana dashboard of the operator and the agents, as JSON.

In: the table of panels below. Out: text. A query names only metrics of kube/metrics.py and agent/metrics.py.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

#: Grafana's grid has 24 columns.
_COLUMNS = 24
_HEIGHT = 7

_SOURCE = {"type": "prometheus", "uid": "${datasource}"}


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel.

    Attributes:
        queries: (PromQL, legend) each.
        kind: `stat` for a number now, `timeseries` for a curve.
        alarm: the value from which a number is red; None for a number that is neither good nor bad.
    """

    title: str
    queries: tuple[tuple[str, str], ...]
    text: str
    kind: str = "timeseries"
    unit: str = "short"
    width: int = 8
    alarm: float | None = None


_HERE = 'namespace=~"$namespace"'


def _gateways(condition: str, status: str) -> str:
    return f'sum(sipgateway_gateways{{{_HERE}, condition="{condition}", status="{status}"}}) or vector(0)'


def _counts(count: str) -> str:
    return f'sum(sipgateway_agent_counts{{{_HERE}, count="{count}"}})'


def _quantile(quantile: float, histogram: str) -> str:
    return f"histogram_quantile({quantile}, sum by (le) (rate({histogram}_bucket{{{_HERE}}}[5m])))"


ROWS: dict[str, tuple[Panel, ...]] = {
    "Trunks": (
        Panel("Ready", ((_gateways("Ready", "True"), ""),), "SipGateways that work.", "stat", width=4),
        Panel(
            "Not registered",
            ((_counts("failed"), ""),),
            "Gateways on all switches that their carrier does not know.",
            "stat",
            width=4,
            alarm=1,
        ),
        Panel(
            "Not loaded",
            ((f"{_counts('wanted')} - {_counts('loaded')}", ""),),
            "Gateways that a switch does not have as they should be, over all switches.",
            "stat",
            width=4,
            alarm=1,
        ),
        Panel(
            "Refused", ((_gateways("Accepted", "False"), ""),), "SipGateways to be mended.", "stat", width=4, alarm=1
        ),
        Panel(
            "Unknown", ((_gateways("Ready", "Unknown"), ""),), "Nobody has said how they are.", "stat", width=4, alarm=1
        ),
        Panel(
            "Acting",
            ((f"sum(sipgateway_leader{{{_HERE}}})", ""),),
            "Replicas of the operator that act: one.",
            "stat",
            width=4,
        ),
        Panel(
            "SipGateways by Ready",
            ((f'sum by (status) (sipgateway_gateways{{{_HERE}, condition="Ready"}})', "{{status}}"),),
            "How many are Ready over time.",
            width=12,
        ),
        Panel(
            "Answers to REGISTER",
            ((f"sum by (class) (rate(sipgateway_agent_register_answers_total{{{_HERE}}}[5m]))", "{{class}}"),),
            "By the class of the registrars' answers.",
            unit="reqps",
            width=12,
        ),
    ),
    "Switches": (
        Panel(
            "Switch reached",
            ((f"sipgateway_agent_switch_reachable{{{_HERE}}}", "{{pod}}"),),
            "1 while the agent reaches its switch.",
        ),
        Panel(
            "Gateways by state",
            ((f"sum by (state) (sipgateway_agent_gateways{{{_HERE}}})", "{{state}}"),),
            "In the switches' own words, over all pods.",
        ),
        Panel(
            "Steps on the switches",
            (
                (
                    f"sum by (kind, result) (rate(sipgateway_agent_steps_total{{{_HERE}}}[5m]))",
                    "{{kind}} {{result}}",
                ),
            ),
            "Adds, replacements, removals, repairs.",
            unit="ops",
        ),
        Panel(
            "From pass to proof, 99 in 100",
            ((_quantile(0.99, "sipgateway_agent_step_duration_seconds"), "p99"),),
            "How long a step takes until it was read back.",
            unit="s",
        ),
        Panel(
            "Seconds since all was proved",
            ((f"time() - sipgateway_agent_last_proved_timestamp_seconds{{{_HERE}}}", "{{pod}}"),),
            "Small while the switch has what is wanted.",
            unit="s",
        ),
        Panel(
            "Changed by hand",
            (
                (f"sum(increase(sipgateway_agent_drift_repaired_total{{{_HERE}}}[1h]))", "on switches"),
                (f"sum(increase(sipgateway_drift_repaired_total{{{_HERE}}}[1h]))", "ConfigMaps"),
            ),
            "What somebody else changed and what was put back, per hour.",
        ),
    ),
    "Operator": (
        Panel(
            "From change to ConfigMap",
            (
                (_quantile(0.5, "sipgateway_reconcile_duration_seconds"), "p50"),
                (_quantile(0.99, "sipgateway_reconcile_duration_seconds"), "p99"),
            ),
            "From the hint that a SipGateway may have changed to its ConfigMap as it should be.",
            unit="s",
        ),
        Panel(
            "Writes",
            (
                (
                    f"sum by (kind, verb, result) (rate(sipgateway_writes_total{{{_HERE}}}[5m]))",
                    "{{kind}} {{verb}} {{result}}",
                ),
            ),
            "Writes to the API server. None at rest.",
            unit="ops",
        ),
        Panel(
            "Waiting",
            ((f"sum by (queue) (sipgateway_queue_depth{{{_HERE}}})", "{{queue}}"),),
            "SipGateways that wait to be looked at.",
        ),
        Panel(
            "Watches begun again",
            ((f"sum by (resource) (increase(sipgateway_watch_restarts_total{{{_HERE}}}[1h]))", "{{resource}}"),),
            "Per hour.",
        ),
        Panel(
            "Memory",
            (
                (
                    f"process_resident_memory_bytes{{{_HERE}}} and on (namespace, pod) sipgateway_build_info",
                    "{{pod}}",
                ),
            ),
            "Of the operator's processes.",
            unit="bytes",
        ),
        Panel(
            "Cannot be read",
            ((f"max(sipgateway_unreadable_collections{{{_HERE}}})", "collections"),),
            "Kinds of objects, in a namespace each, that the operator cannot read now.",
        ),
    ),
}


def queries() -> list[str]:
    """Every query of the dashboard, with its variable."""
    return [query for row in ROWS.values() for panel in row for query, _ in panel.queries]


def dashboard() -> str:
    """The dashboard as Grafana imports it."""
    panels: list[dict[str, Any]] = []
    y = 0
    for title, row in ROWS.items():
        panels.append(
            {"type": "row", "title": title, "collapsed": False, "panels": [], "gridPos": _place(0, y, _COLUMNS, 1)}
        )
        x, y = 0, y + 1
        height = 4 if row[0].kind == "stat" else _HEIGHT
        for panel in row:
            if x + panel.width > _COLUMNS:
                x, y = 0, y + height
            height = 4 if panel.kind == "stat" else _HEIGHT
            panels.append(_panel(panel) | {"gridPos": _place(x, y, panel.width, height)})
            x += panel.width
        y += height
    for number, one in enumerate(panels, 1):
        one["id"] = number
    out = {
        "title": "sipgateway",
        "uid": "sipgateway",
        "tags": ["sip", "freeswitch"],
        "schemaVersion": 39,
        "version": 1,
        "editable": True,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "templating": {"list": _variables()},
        "panels": panels,
    }
    return json.dumps(out, indent=2) + "\n"


def _variables() -> list[dict[str, Any]]:
    query = 'label_values({__name__=~"sipgateway_leader|sipgateway_agent_counts"}, namespace)'
    return [
        {"name": "datasource", "type": "datasource", "query": "prometheus", "label": "Data source"},
        {
            "name": "namespace",
            "type": "query",
            "label": "Namespace",
            "datasource": _SOURCE,
            "query": {"query": query, "refId": "namespaces"},
            "refresh": 2,
            "multi": True,
            "includeAll": True,
            "allValue": ".*",
            "current": {"text": "All", "value": "$__all"},
        },
    ]


def _panel(panel: Panel) -> dict[str, Any]:
    steps: list[dict[str, Any]] = [{"color": "green" if panel.alarm is not None else "text", "value": None}]
    if panel.alarm is not None:
        steps.append({"color": "red", "value": panel.alarm})
    defaults = {"unit": panel.unit, "min": 0, "thresholds": {"mode": "absolute", "steps": steps}}
    options: dict[str, Any] = {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}}
    if panel.kind == "stat":
        options = {"reduceOptions": {"calcs": ["lastNotNull"]}, "colorMode": "value", "graphMode": "area"}
    return {
        "type": panel.kind,
        "title": panel.title,
        "description": panel.text,
        "datasource": _SOURCE,
        "targets": [
            {"refId": chr(ord("A") + number), "datasource": _SOURCE, "expr": query, "legendFormat": legend}
            for number, (query, legend) in enumerate(panel.queries)
        ],
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "options": options,
    }


def _place(x: int, y: int, width: int, height: int) -> dict[str, int]:
    return {"x": x, "y": y, "w": width, "h": height}
