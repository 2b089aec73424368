"""The Prometheus Operator's kinds, as far as our charts use them: a field that is not here is refused.

In: a folder. Out: CustomResourceDefinitions in it. `SIPGW_MONITORING_CRDS=FOLDER` takes the real ones.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

_TEXT = {"type": "string"}
_WORDS = {"type": "object", "additionalProperties": _TEXT}
_DURATION = {"type": "string", "pattern": "^[0-9]+(ms|s|m|h|d)$"}


def _list(items: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": items}


def _object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties}


_SELECTOR = _object(matchLabels=_WORDS, matchExpressions=_list(_object(key=_TEXT, operator=_TEXT, values=_list(_TEXT))))
_ENDPOINTS = _list(_object(port=_TEXT, path=_TEXT, interval=_DURATION))
_NAMESPACES = _object(any={"type": "boolean"}, matchNames=_list(_TEXT))
_RULE = _object(
    alert=_TEXT, expr={"x-kubernetes-int-or-string": True}, labels=_WORDS, annotations=_WORDS, **{"for": _DURATION}
)

KINDS = {
    "ServiceMonitor": _object(selector=_SELECTOR, endpoints=_ENDPOINTS, namespaceSelector=_NAMESPACES),
    "PodMonitor": _object(
        selector=_SELECTOR,
        podMetricsEndpoints=_ENDPOINTS,
        namespaceSelector=_NAMESPACES,
        podTargetLabels=_list(_TEXT),
    ),
    "PrometheusRule": _object(groups=_list(_object(name=_TEXT, rules=_list(_RULE)))),
}


def crds(folder: Path) -> Path:
    """The folder with the definitions."""
    if given := os.environ.get("SIPGW_MONITORING_CRDS"):
        return Path(given)
    for kind, spec in KINDS.items():
        (folder / f"{kind}.json").write_text(json.dumps(_crd(kind, spec)))
    return folder


def _crd(kind: str, spec: dict[str, Any]) -> dict[str, Any]:
    plural = f"{kind.lower()}s"
    version = {
        "name": "v1",
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": _object(spec=spec)},
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.monitoring.coreos.com"},
        "spec": {
            "group": "monitoring.coreos.com",
            "scope": "Namespaced",
            "names": {"kind": kind, "plural": plural, "singular": kind.lower(), "listKind": f"{kind}List"},
            "versions": [version],
        },
    }
