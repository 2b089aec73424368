"""The CustomResourceDefinition of SipGateway, made from the parameter table, the fields and the CEL rules.

In: nothing but the tables. Out: a plain mapping in the order of the file; tools/generate.py writes it.

No parameter has a default in the schema: what a manifest does not say is not in the XML, and FreeSWITCH's own default
holds (it is named in each description). A default written by the API server could not be told from a choice, and the
checks warn of choices that do nothing. Only fields of our own have defaults: switch, profile, placement, suspend.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeAlias

from sipgateway.api import cel, limits
from sipgateway.api.checks import lists
from sipgateway.api.fields import BY_PATH
from sipgateway.api.names import (
    CATEGORIES,
    DEFAULT_PROFILE,
    DEFAULT_SWITCH,
    GROUP,
    KIND,
    MAX_GATEWAY_NAME,
    PLURAL,
    SHORT_NAMES,
    SINGULAR,
    VERSION,
)
from sipgateway.api.params import Kind, Param
from sipgateway.api.parse import SPEC_PARAMS
from sipgateway.api.spec import PLACEMENTS

Schema: TypeAlias = dict[str, object]
#: Name, type, JSON path, description and priority of a column of `kubectl get`: priority 1 shows with `-o wide` only.
Column: TypeAlias = tuple[str, str, str, str, int]

_TYPES = {Kind.BOOL: "boolean", Kind.INT: "integer", Kind.TEXT: "string"}
_MAX_INT32 = 2_147_483_647
#: That of Kubernetes' own conditions: others may have theirs here, `example.com/Audited`.
_CONDITION_TYPE = (
    r"^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])$"
)


def crd() -> Schema:
    """The whole CustomResourceDefinition."""
    return definition(
        kind=KIND,
        plural=PLURAL,
        singular=SINGULAR,
        short_names=SHORT_NAMES,
        columns=_COLUMNS,
        schema=object_schema(),
    )


def definition(
    *, kind: str, plural: str, singular: str, short_names: Sequence[str], columns: Iterable[Column], schema: Schema
) -> Schema:
    """A CustomResourceDefinition of our group: namespaced, one version, `status` a subresource."""
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "names": {
                "kind": kind,
                "listKind": f"{kind}List",
                "plural": plural,
                "singular": singular,
                "shortNames": list(short_names),
                "categories": list(CATEGORIES),
            },
            "scope": "Namespaced",
            "versions": [
                {
                    "name": VERSION,
                    "served": True,
                    "storage": True,
                    "subresources": {"status": {}},
                    "additionalPrinterColumns": [_column(*column) for column in columns],
                    "schema": {"openAPIV3Schema": schema},
                }
            ],
        },
    }


def object_schema() -> Schema:
    """The schema of one SipGateway."""
    return {
        "type": "object",
        "description": "A SIP gateway (trunk) that every FreeSWITCH of a fleet loads: rendered as XML, loaded without "
        "a restart, and proved by reading it back.",
        "required": ["metadata", "spec"],
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {
                "type": "object",
                "properties": {"name": {"type": "string", "maxLength": limits.MAX_OBJECT_NAME}},
            },
            "spec": spec_schema(),
            "status": status_schema(),
        },
        "x-kubernetes-validations": _rules(cel.ON_OBJECT),
    }


def spec_schema() -> Schema:
    """The schema of `spec`: our own fields first, then every row of the parameter table, in its order."""
    properties: Schema = {
        "switch": _text("switch", DEFAULT_SWITCH),
        "profile": _text("profile", DEFAULT_PROFILE),
        "gatewayName": _text("gatewayName"),
        "placement": {
            "type": "string",
            "description": _description("placement"),
            "enum": list(PLACEMENTS),
            "default": "All",
        },
        "directory": _object("directory", {"domain": _text("directory.domain"), "user": _text("directory.user")}),
        "suspend": {"type": "boolean", "description": _description("suspend"), "default": False},
    }
    for param in SPEC_PARAMS:
        properties[param.field] = parameter_schema(param)
        if param.field == "username":
            properties["usernameFrom"] = _secret_source("usernameFrom")
        if param.field == "authUsername":
            properties["passwordFrom"] = _secret_source("passwordFrom")
    properties["variables"] = _list(
        "variables",
        limits.MAX_VARIABLES,
        {
            "name": _text("variables.name"),
            "value": _text("variables.value"),
            "direction": {**_text("variables.direction"), "enum": ["inbound", "outbound"]},
        },
        ["name", "value"],
    )
    properties["subscriptions"] = _list(
        "subscriptions",
        limits.MAX_SUBSCRIPTIONS,
        {
            "event": _text("subscriptions.event"),
            "expireSeconds": _seconds("subscriptions.expireSeconds", lists.SUBSCRIPTION_EXPIRE_MINIMUM),
            "retrySeconds": _seconds("subscriptions.retrySeconds", lists.SUBSCRIPTION_RETRY_MINIMUM),
            "contentType": _text("subscriptions.contentType"),
            "usernameInRequest": {"type": "boolean", "description": _description("subscriptions.usernameInRequest")},
        },
        ["event"],
    )
    properties["extraParams"] = _list(
        "extraParams",
        limits.MAX_EXTRA_PARAMS,
        {"name": _text("extraParams.name"), "value": {**_text("extraParams.value"), "minLength": 1}},
        ["name", "value"],
    )
    return {
        "type": "object",
        "description": "What the gateway shall be. Fields that are not set are not in the XML: FreeSWITCH's own "
        "defaults hold.",
        "properties": properties,
        "x-kubernetes-validations": _rules(cel.ON_SPEC),
    }


def parameter_schema(param: Param) -> Schema:
    """The schema of one row of the parameter table."""
    schema: Schema = {"type": _TYPES[param.kind], "description": parameter_description(param)}
    if param.kind is Kind.INT:
        schema["format"] = "int32"
        schema["minimum"] = param.minimum
        schema["maximum"] = param.maximum
    elif param.kind is Kind.TEXT:
        schema["maxLength"] = param.max_length
        if param.choices:
            schema["enum"] = list(param.choices)
        elif param.refused is None:
            schema["minLength"] = 1
    return _with_rules(schema, cel.of_parameter(param))


def parameter_description(param: Param) -> str:
    """What `kubectl explain` says of a parameter: what it does, its default, its hazard, its XML name."""
    parts = [param.doc]
    default = default_text(param)
    if default:
        parts.append(f"FreeSWITCH's default: {default}.")
    parts.append(param.hazard)
    if param.example:
        parts.append(f"Example: {param.example}.")
    parts.append(f"In the XML: {param.xml}.")
    return " ".join(parts)


def default_text(param: Param) -> str:
    """FreeSWITCH's own default in words, empty when there is none to tell."""
    if param.default_doc:
        return param.default_doc.replace("`", "")
    if isinstance(param.default, bool):
        return str(param.default).lower()
    return "" if param.default is None else str(param.default)


def status_schema() -> Schema:
    """The schema of `status`: what the switches of the fleet say, told by conditions."""
    return {
        "type": "object",
        "description": "What became of it on the switches. Written by the operator only.",
        "properties": {
            "observedGeneration": {
                "type": "integer",
                "format": "int64",
                "minimum": 0,
                "description": "metadata.generation that the conditions speak of. While it is below "
                "metadata.generation, the last change has not been looked at.",
            },
            "gatewayName": {
                "type": "string",
                "maxLength": MAX_GATEWAY_NAME,
                "description": "The gateway's name on the switch, as dial strings have it.",
            },
            "registered": {
                "type": "string",
                "maxLength": 24,
                "description": "Pods on which the gateway is registered, of those that should: 2/2. A dash for a "
                "gateway that does not register.",
            },
            "pods": {
                "type": "object",
                "description": "Pods of the fleet, counted: those that run, by whether they have the gateway.",
                "properties": {
                    "wanted": {**count(), "description": "Pods that should have the gateway."},
                    "programmed": {**count(), "description": "Pods on which this generation is proved to be loaded."},
                    "registered": {**count(), "description": "Pods on which it is registered with the carrier."},
                },
            },
            "conditions": _conditions(),
        },
    }


def _conditions() -> Schema:
    return {
        "type": "array",
        "description": "Accepted, Programmed, Registered, Ready and Stalled, each with a reason and what to do.",
        "maxItems": 16,
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["type"],
        "items": {
            "type": "object",
            "required": ["type", "status", "lastTransitionTime", "reason", "message"],
            "properties": {
                "type": {
                    "type": "string",
                    "minLength": 1,
                    "maxLength": 316,
                    "pattern": _CONDITION_TYPE,
                    "description": "Which question it answers: Accepted, Programmed, Registered, Ready or Stalled.",
                },
                "status": {
                    "type": "string",
                    "enum": ["True", "False", "Unknown"],
                    "description": "The answer. What no switch has told is Unknown, never True.",
                },
                "reason": {
                    "type": "string",
                    "minLength": 1,
                    "maxLength": 1024,
                    "pattern": "^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$",
                    "description": "One stable word for why; docs/codes.md and docs/conditions.md list them.",
                },
                "message": {
                    "type": "string",
                    "maxLength": 32768,
                    "description": "Why, in words, and what to do next.",
                },
                "lastTransitionTime": {
                    "type": "string",
                    "format": "date-time",
                    "maxLength": 64,
                    "description": "When the status last changed from one answer to another.",
                },
                "observedGeneration": {
                    "type": "integer",
                    "format": "int64",
                    "minimum": 0,
                    "description": "metadata.generation that it speaks of; an older one's answer may have changed.",
                },
            },
        },
    }


def count() -> Schema:
    """The schema of a number of things."""
    return {"type": "integer", "format": "int32", "minimum": 0, "maximum": _MAX_INT32}


def _column(name: str, type_: str, path: str, description: str, priority: int) -> Schema:
    column: Schema = {"name": name, "type": type_, "jsonPath": path}
    if description:
        column["description"] = description
    if priority:
        column["priority"] = priority
    return column


_READY = '.status.conditions[?(@.type=="Ready")]'
_COLUMNS: tuple[Column, ...] = (
    ("Switch", "string", ".spec.switch", "Fleet of switches that loads the gateway.", 0),
    ("Profile", "string", ".spec.profile", "Sofia profile.", 0),
    ("Ready", "string", f"{_READY}.status", "Whether it does what it should on every pod.", 0),
    ("Registered", "string", ".status.registered", "Pods on which it is registered, of those that should.", 0),
    ("Reason", "string", f"{_READY}.reason", "Why it is, or is not, ready.", 0),
    ("Age", "date", ".metadata.creationTimestamp", "", 0),
    ("Gateway", "string", ".status.gatewayName", "Name on the switch.", 1),
    ("Proxy", "string", ".spec.proxy", "Registrar and destination.", 1),
    ("Message", "string", f"{_READY}.message", "Why, in words.", 1),
)


def _description(path: str) -> str:
    field = BY_PATH[path]
    parts = [field.doc]
    if field.default:
        parts.append(f"Default: {field.default}.")
    elif field.default_doc:
        parts.append(f"When not set: {field.default_doc}.")
    if field.bad:
        parts.append(field.bad)
    if field.example:
        parts.append(f"Example: {field.example}.")
    return " ".join(parts)


def _text(path: str, default: str | None = None) -> Schema:
    schema: Schema = {"type": "string", "description": _description(path)}
    if BY_PATH[path].maximum is not None:
        schema["maxLength"] = BY_PATH[path].maximum
    if default is not None:
        schema["default"] = default
    return _with_rules(schema, cel.ON_FIELD.get(path, ()))


def _seconds(path: str, minimum: int) -> Schema:
    schema: Schema = {
        "type": "integer",
        "description": _description(path),
        "format": "int32",
        "minimum": minimum,
        "maximum": lists.SUBSCRIPTION_MAXIMUM,
    }
    return _with_rules(schema, cel.ON_FIELD.get(path, ()))


def _object(path: str, properties: Schema) -> Schema:
    return {
        "type": "object",
        "description": _description(path),
        "required": list(properties),
        "properties": properties,
    }


def _secret_source(path: str) -> Schema:
    reference = _object("secretKeyRef", {"name": _text("secretKeyRef.name"), "key": _text("secretKeyRef.key")})
    return _object(path, {"secretKeyRef": reference})


def _list(path: str, most: int, properties: Schema, required: list[str]) -> Schema:
    item: Schema = {"type": "object", "required": required, "properties": properties}
    schema: Schema = {
        "type": "array",
        "description": _description(path),
        "maxItems": most,
        "x-kubernetes-list-type": "atomic",
        "items": _with_rules(item, cel.ON_FIELD.get(f"{path}.", ())),
    }
    return _with_rules(schema, cel.ON_FIELD.get(path, ()))


def _with_rules(schema: Schema, rules: Iterable[cel.Rule]) -> Schema:
    entries = _rules(rules)
    return {**schema, "x-kubernetes-validations": entries} if entries else schema


def _rules(rules: Iterable[cel.Rule]) -> list[Schema]:
    entries: list[Schema] = []
    for rule in rules:
        entry: Schema = {"rule": rule.expression, "message": rule.text()}
        if rule.field is not None:
            entry["fieldPath"] = rule.field
        entries.append(entry)
    return entries
