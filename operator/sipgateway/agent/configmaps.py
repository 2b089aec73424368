"""One ConfigMap as the API server gives it: a claim when everything in it is proved, else a refusal.

In: the object as JSON, and the fleet's keys. Out: `Claim` or `Refusal`. No I/O. The MAC is verified before anything
else is looked at; what comes is taken for hostile until then.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from sipgateway.agent.codes import FLEET_KEYS_NOT_READ
from sipgateway.agent.desired import Claim, Refusal
from sipgateway.reconcile.registrar import registrar_of
from sipgateway.reconcile.state import Wanted
from sipgateway.render import configmap
from sipgateway.render.keys import FleetKeys
from sipgateway.render.layout import Layout, relative_path
from sipgateway.render.xml import RenderError


def read(
    obj: Mapping[str, Any], *, namespace: str, switch: str, layout: Layout, keys: FleetKeys | None
) -> Claim | Refusal:
    """What a ConfigMap with our labels comes to. Never raises for what stands in it."""
    meta = obj["metadata"]
    data: Mapping[str, str] = obj.get("data") or {}
    if keys is None:
        return Refusal(FLEET_KEYS_NOT_READ.finding("", FLEET_KEYS_NOT_READ.meaning), _said(data))
    try:
        found = configmap.verify(
            data, meta.get("labels") or {}, namespace=namespace, name=meta["name"], switch=switch, keys=keys
        )
        path = relative_path(found.gateway, layout)
    except configmap.PublishedError as error:
        return Refusal(error.finding, _said(data), error.unknown_key)
    except RenderError as error:
        return Refusal(error.finding, _said(data))
    registrar = sys.intern(registrar_of(found.gateway))  # 10,000 gateways have a few registrars
    revision, path = sys.intern(found.revision), sys.intern(path)  # the switch and the folder name them too
    wanted = Wanted(found.name, sys.intern(found.profile), revision, found.registers, path, registrar)
    return Claim(meta["name"], str(meta.get("creationTimestamp") or ""), wanted, found.file)


def _said(data: Mapping[str, str]) -> str:
    """The gateway that it says it is about. Nothing proves that: it only makes the report one about that gateway."""
    try:
        return configmap.peek(data).gateway
    except configmap.PublishedError:
        return ""
