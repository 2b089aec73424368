"""What an API server does with an object of the CRD: defaults, unknown fields, schema, CEL. A judge for the tests.

The order and the rules are those of Kubernetes: nulls are dropped, unknown fields are refused (as kubectl asks for),
the schema comes first, and CEL rules run only when no error of the schema makes them unsafe to run. Regular
expressions are RE2's, as in Kubernetes.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Mapping
from typing import Any

import cel
import jsonschema
import re2  # type: ignore[import-untyped]

#: ASCII only, as Kubernetes has it.
_LOWER = {ord(upper): upper.lower() for upper in "ABCDEFGHIJKLMNOPQRSTUVWXYZ"}

#: 60.0 passes Kubernetes' schema as an integer, but the first CEL rule on it fails with "expected int, got float64".
_Validator = jsonschema.validators.extend(  # type: ignore[no-untyped-call]
    jsonschema.Draft202012Validator,
    type_checker=jsonschema.Draft202012Validator.TYPE_CHECKER.redefine(
        "integer", lambda _, value: isinstance(value, int) and not isinstance(value, bool)
    ),
)

#: Keywords whose errors keep Kubernetes from running CEL rules.
_BLOCKING = {"type", "required", "maxLength", "maxItems", "additionalProperties"}

_CODES = {
    "type": "WrongType",
    "required": "MissingField",
    "maxLength": "TooLong",
    "maxItems": "TooMany",
    "additionalProperties": "UnknownField",
    "minLength": "EmptyValue",
    "maximum": "NumberTooLarge",
    "minimum": "Minimum",
    "enum": "Enum",
}

_DNS_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")


class ApiServer:
    """Judges objects by one CRD.

    Args:
        crd: the CustomResourceDefinition as a mapping.
    """

    def __init__(self, crd: Mapping[str, Any]) -> None:
        self._schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
        self._json_schema = _Validator(_closed(self._schema))
        self._programs: dict[str, cel.Program] = {}
        self._patterns: dict[str, Any] = {}

    def refusals(self, obj: Mapping[str, Any]) -> set[str]:
        """Codes of all that is wrong with an object; empty when it is accepted.

        An error of the schema has the code of the Python check that says the same; a CEL rule begins with its code.
        """
        admitted = _without_nulls(copy.deepcopy(dict(obj)), self._schema)
        _default(admitted, self._schema)
        found: set[str] = set()
        blocked = False
        name = admitted["metadata"]["name"]
        if not (_DNS_SUBDOMAIN.fullmatch(name) and len(name) <= 253):
            found.add("ObjectNameInvalid")
        for error in self._json_schema.iter_errors(admitted):
            keyword = str(error.validator)
            found.add(_CODES[keyword])
            blocked = blocked or keyword in _BLOCKING
        if not blocked:
            found |= {message.split(":")[0] for message in self._cel(admitted, self._schema)}
        return found

    def expressions(self) -> Iterator[str]:
        """Every rule of the schema."""
        for node in nodes(self._schema):
            for rule in node.get("x-kubernetes-validations", ()):
                yield rule["rule"]

    def _cel(self, value: Any, schema: Mapping[str, Any]) -> Iterator[str]:
        for rule in schema.get("x-kubernetes-validations", ()):
            if not self._holds(rule["rule"], value):
                yield rule["message"]
        if isinstance(value, dict):
            for field, child in schema.get("properties", {}).items():
                if field in value:
                    yield from self._cel(value[field], child)
        elif isinstance(value, list):
            for item in value:
                yield from self._cel(item, schema["items"])

    def _holds(self, expression: str, value: Any) -> bool:
        program = self._programs.get(expression)
        if program is None:
            # The evaluator's own `matches` compiles the pattern anew for each value; it cannot be replaced by name.
            program = self._programs[expression] = cel.compile(expression.replace(".matches(", ".re2Matches("))
        context = cel.Context()
        context.add_function("re2Matches", self._matches)
        context.add_function("lowerAscii", lambda text: text.translate(_LOWER))
        context.add_variable("self", value)
        result = program.execute(context)
        assert isinstance(result, bool), (expression, result)
        return result

    def _matches(self, text: str, pattern: str) -> bool:
        compiled = self._patterns.get(pattern)
        if compiled is None:
            compiled = self._patterns[pattern] = re2.compile(pattern)
        return compiled.search(text) is not None


def nodes(schema: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """A schema and all schemas in it."""
    yield schema
    for child in schema.get("properties", {}).values():
        yield from nodes(child)
    if "items" in schema:
        yield from nodes(schema["items"])


def _closed(schema: Any) -> Any:
    """The schema with unknown fields refused, and without what only Kubernetes reads."""
    if isinstance(schema, list):
        return [_closed(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    out = {key: _closed(value) for key, value in schema.items() if not key.startswith("x-") and key != "format"}
    if isinstance(schema.get("properties"), dict) and schema.get("type") == "object":
        is_metadata = set(schema["properties"]) == {"name"} and "required" not in schema
        out["additionalProperties"] = is_metadata
    return out


def _without_nulls(value: Any, schema: Mapping[str, Any]) -> Any:
    """As PruneNonNullableNullsWithoutDefaults: a null of a field counts as not set; one in a list stays."""
    if isinstance(value, dict):
        properties = schema.get("properties", {})
        return {
            key: _without_nulls(child, properties.get(key, {}))
            for key, child in value.items()
            if child is not None or key not in properties
        }
    if isinstance(value, list):
        return [_without_nulls(item, schema.get("items", {})) for item in value]
    return value


def _default(value: Any, schema: Mapping[str, Any]) -> None:
    if isinstance(value, dict):
        for field, child in schema.get("properties", {}).items():
            if field not in value and "default" in child:
                value[field] = copy.deepcopy(child["default"])
            if field in value:
                _default(value[field], child)
    elif isinstance(value, list):
        for item in value:
            _default(item, schema.get("items", {}))
