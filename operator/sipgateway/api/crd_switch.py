"""The CustomResourceDefinition of SipSwitch: what the agent in one switch pod says of itself and its gateways.

In: nothing but the names and limits. Out: a plain mapping in the order of the file; tools/generate.py writes it.

There is no `spec`: nobody wants anything of a SipSwitch. There are no rules across fields: a status that was refused
for one odd word would be a pod that fell silent, and silence is worse news than any status. The lists are atomic, so
that `managedFields` does not repeat the name of every gateway. etcd takes 1.5 MiB in one object: 10,000 names of 128
characters fit; what an agent does when more are wrong than fit stands in docs/agent.md.
"""

from __future__ import annotations

from sipgateway.api import limits
from sipgateway.api.crd import Schema, count, definition
from sipgateway.api.names import (
    LABEL_SWITCH,
    MAX_GATEWAY_NAME,
    SWITCH_KIND,
    SWITCH_PLURAL,
    SWITCH_SHORT_NAMES,
    SWITCH_SINGULAR,
)

PHASES = ("Starting", "Running", "Draining")

#: Conditions that a problem speaks against.
ABOUT = ("Programmed", "Registered")

_REASON = "^[A-Z][A-Za-z0-9]*$"

_COUNTS = (
    ("wanted", "Gateways that the pod should have: the fleet's SipGateways that are accepted and not suspended."),
    ("loaded", "Gateways of which the wanted version is proved to be loaded, by reading it back from the switch."),
    ("registered", "Gateways that are registered with their registrar."),
    ("registering", "Gateways that should be registered and wait for an answer."),
    ("failed", "Gateways that should be registered and are not: refused, unreachable or down."),
    ("foreign", "Gateways on the switch that are not of sipgateway. They are left alone."),
    ("ghosts", "Gateways of sipgateway that are still on the switch though nobody wants them any more."),
)


def crd_switch() -> Schema:
    """The whole CustomResourceDefinition."""
    return definition(
        kind=SWITCH_KIND,
        plural=SWITCH_PLURAL,
        singular=SWITCH_SINGULAR,
        short_names=SWITCH_SHORT_NAMES,
        columns=_COLUMNS,
        schema=switch_schema(),
    )


def switch_schema() -> Schema:
    """The schema of one SipSwitch."""
    return {
        "type": "object",
        "description": "What one switch pod has, told by the agent in that pod: it has the pod's name, the pod "
        f"owns it, and the label {LABEL_SWITCH} names the fleet. Nobody else may write it, and it goes when the "
        "pod goes.",
        "required": ["metadata"],
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {
                "type": "object",
                "properties": {"name": {"type": "string", "maxLength": limits.MAX_POD_NAME}},
            },
            "status": switch_status_schema(),
        },
    }


def switch_status_schema() -> Schema:
    """The schema of `status`."""
    return {
        "type": "object",
        "description": "What the agent found. Where it is silent, nothing is known: the operator looks whether "
        "heartbeat changes, and after 90 seconds without a change the pod's gateways are Unknown, never well.",
        "required": ["heartbeat", "phase"],
        "properties": {
            "heartbeat": {
                "type": "string",
                "format": "date-time",
                "maxLength": 64,
                "description": "When the agent last wrote, by the clock of its pod. It changes every 30 seconds or "
                "sooner; that it changed is what counts, not what it says.",
            },
            "agentVersion": _text("Version of the agent (sipgw version).", limits.MAX_AGENT_VERSION),
            "switchVersion": _text(
                "FreeSWITCH's version, as it answers itself. Not set before it has answered.", limits.MAX_AGENT_VERSION
            ),
            "phase": {
                "type": "string",
                "enum": list(PHASES),
                "description": "Starting until the switch has been seen with its gateways; Running; Draining while the "
                "pod shuts down, and its gateways with it.",
            },
            "observedResourceVersion": {
                "type": "string",
                "maxLength": 32,
                "pattern": "^[0-9]+$",
                "description": "Every ConfigMap of the fleet up to this resourceVersion was handled: its gateway is "
                "proved to be loaded, or stands in problems.",
            },
            "sealKeys": {
                "type": "array",
                "description": "Ids of the keys with which the agent can open sealed credentials. A new key is used "
                "only when every agent has it here.",
                "maxItems": limits.MAX_SEAL_KEYS,
                "x-kubernetes-list-type": "atomic",
                "items": {"type": "string", "maxLength": 8, "pattern": "^[0-9a-f]{8}$"},
            },
            "switch": _switch(),
            "counts": {
                "type": "object",
                "description": "Gateways of the pod, counted.",
                "properties": {name: {**count(), "description": text} for name, text in _COUNTS},
            },
            "problems": _problems(),
        },
    }


def _switch() -> Schema:
    return {
        "type": "object",
        "description": "Whether the agent reaches the switch over the event socket of its pod.",
        "required": ["reachable"],
        "properties": {
            "reachable": {
                "type": "boolean",
                "description": "Whether it does. When it does not, what is said of gateways is what was last known.",
            },
            "reason": _text(
                "One stable word for why not, or for what is wrong with the way though it does (DefaultPassword); "
                "empty when all is well.",
                limits.MAX_REASON,
            ),
            "message": _text("The same in words, and what to do.", limits.MAX_MESSAGE),
        },
    }


def _problems() -> Schema:
    item: Schema = {
        "type": "object",
        "required": ["about", "reason", "gateways"],
        "properties": {
            "about": {
                "type": "string",
                "enum": list(ABOUT),
                "description": "Condition of the SipGateways that it speaks against: Programmed when the wanted "
                "version is not proved to be loaded, Registered when it is not registered.",
            },
            "reason": {
                **_text("One stable word for why; docs/codes.md and docs/conditions.md list them.", limits.MAX_REASON),
                "pattern": _REASON,
            },
            "code": {
                "type": "integer",
                "format": "int32",
                "minimum": 0,
                "maximum": 999,
                "description": "SIP status of the answer, such as 403; 0 or not set when there was none.",
            },
            "message": _text("The switch's or the registrar's own words. They may be cut.", limits.MAX_MESSAGE),
            "gateways": {
                "type": "array",
                "description": "Names on the switch of all gateways that it is so with. Never cut off.",
                "maxItems": limits.MAX_PROBLEM_GATEWAYS,
                "x-kubernetes-list-type": "atomic",
                "items": {"type": "string", "maxLength": MAX_GATEWAY_NAME},
            },
        },
    }
    return {
        "type": "array",
        "description": "Only the gateways that are NOT as they should be, grouped by reason and words. A gateway "
        "that stands nowhere here is well.",
        "maxItems": limits.MAX_PROBLEMS,
        "x-kubernetes-list-type": "atomic",
        "items": item,
    }


def _text(description: str, longest: int) -> Schema:
    return {"type": "string", "description": description, "maxLength": longest}


_COLUMNS = (
    ("Switch", "string", f".metadata.labels.{LABEL_SWITCH.replace('.', chr(92) + '.')}", "Fleet of the pod.", 0),
    ("Phase", "string", ".status.phase", "What the pod is at.", 0),
    ("Wanted", "integer", ".status.counts.wanted", "Gateways that it should have.", 0),
    ("Loaded", "integer", ".status.counts.loaded", "Gateways that are proved to be loaded as wanted.", 0),
    ("Registered", "integer", ".status.counts.registered", "Gateways that are registered.", 0),
    ("Failed", "integer", ".status.counts.failed", "Gateways that should be registered and are not.", 0),
    ("Seen", "date", ".status.heartbeat", "Time since the agent last wrote, by the clock of its pod.", 0),
    ("Age", "date", ".metadata.creationTimestamp", "", 0),
    ("Reachable", "boolean", ".status.switch.reachable", "Whether the agent reaches the switch.", 1),
    ("Agent", "string", ".status.agentVersion", "Version of the agent.", 1),
    ("FreeSWITCH", "string", ".status.switchVersion", "Version of the switch.", 1),
    ("Message", "string", ".status.switch.message", "Why the switch is not reached.", 1),
)
