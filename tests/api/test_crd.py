"""The CRD: its shape, and that an API server refuses what the Python checks refuse, and nothing else."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given
from ruamel.yaml import YAML

from sipgateway.api import accept, limits
from sipgateway.api.codes import CODES
from sipgateway.api.crd import crd
from sipgateway.api.fields import FIELDS
from sipgateway.api.parse import SPEC_FIELDS, parse_sipgateway
from sipgateway.errors import Severity
from tests.api import strategies
from tests.api.apiserver import ApiServer, nodes
from tests.api.builders import REGISTERING, changed, manifest
from tests.api.cases import CASES, Case
from tests.profiles import thorough

COMMITTED = Path(__file__).parents[2] / "crds" / "sipgateways.yaml"

CRD = cast("dict[str, Any]", crd())
VERSION = CRD["spec"]["versions"][0]
SCHEMA = VERSION["schema"]["openAPIV3Schema"]
SPEC = SCHEMA["properties"]["spec"]
SERVER = ApiServer(CRD)


def python_refusals(obj: Mapping[str, Any]) -> set[str]:
    """Codes that the parser and the checks refuse an object with."""
    gateway, findings = parse_sipgateway(obj)
    if gateway is not None:
        findings = accept.check(gateway)
    return {finding.code for finding in findings if finding.severity is Severity.ERROR}


#: Codes that the schema and the rules cannot tell apart as finely as Python: the same for the comparison.
_COARSER = {
    **dict.fromkeys(("Enum", "ChoiceUnknown", "VariableDirection", "PlacementUnknown"), "a word of a list"),
    **dict.fromkeys(("UnknownField", "LiteralPassword"), "an unknown field"),
}


def coarse(codes: set[str]) -> set[str]:
    """Codes in the words of both sides. A minimum of the schema always has a CEL rule beside it that says why."""
    return {_COARSER.get(code, code) for code in codes - {"Minimum"}}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_the_api_server_refuses_a_manifest_for_the_reason_that_the_checks_give(case: Case) -> None:
    obj = manifest(case.spec, name=case.name)
    server, python = SERVER.refusals(obj), {code for code, _ in case.refusals}
    assert bool(server) == bool(python), (server, python)
    assert coarse(server) == coarse(python)


@thorough
@given(strategies.specs())
def test_the_api_server_accepts_exactly_what_the_checks_accept(spec: dict[str, Any]) -> None:
    obj = manifest(spec)
    server, python = SERVER.refusals(obj), python_refusals(obj)
    assert bool(server) == bool(python), (spec, server, python)


def test_a_manifest_that_was_accepted_is_what_the_parser_takes_it_for() -> None:
    gateway, findings = parse_sipgateway(manifest(changed(REGISTERING)))
    assert not findings
    assert gateway is not None
    defaults = {field: schema["default"] for field, schema in SPEC["properties"].items() if "default" in schema}
    spec = gateway.spec
    assert defaults == {
        "switch": spec.switch,
        "profile": spec.profile,
        "placement": spec.placement,
        "suspend": spec.suspend,
    }


def test_the_schema_has_exactly_the_fields_that_the_parser_reads() -> None:
    assert set(SPEC["properties"]) == set(SPEC_FIELDS)


def test_every_field_outside_the_table_is_documented_once() -> None:
    assert len({field.path for field in FIELDS}) == len(FIELDS)
    assert {f.path for f in FIELDS if "." not in f.path} - {"secretKeyRef"} == set(SPEC["properties"]) - set(
        SPEC_FIELDS[len([f for f in FIELDS if "." not in f.path]) - 1 :]
    )


def test_every_text_has_a_longest_length_and_every_list_a_longest_size() -> None:
    for node in nodes(SCHEMA):
        if node.get("type") == "string" and "enum" not in node and node not in _kinds():
            assert node["maxLength"] > 0, node
        if node.get("type") == "array":
            assert node["maxItems"] > 0, node
        if node.get("type") == "integer" and node.get("format") == "int32":
            assert node["minimum"] >= 0, node
            assert node["maximum"] <= 2**31 - 1, node


def _kinds() -> list[Any]:
    return [SCHEMA["properties"]["apiVersion"], SCHEMA["properties"]["kind"]]


def test_the_schema_is_structural() -> None:
    for node in nodes(SCHEMA):
        assert node["type"] in {"object", "array", "string", "integer", "boolean"}
        assert not {"$ref", "additionalProperties", "anyOf", "oneOf", "allOf", "not", "nullable"} & set(node)
        assert ("items" in node) == (node["type"] == "array")
        assert set(node.get("required", ())) <= set(node.get("properties", {}))
        for entry in node.get("x-kubernetes-validations", ()):
            assert set(entry) <= {"rule", "message", "fieldPath"}
            assert "\n" not in entry["message"]
            assert len(entry["message"]) <= 2048


def test_every_field_has_a_description_worth_reading() -> None:
    for path, node in _described(SPEC, "spec"):
        words = node.get("description", "").split()
        assert len(words) >= 3, path
        assert node["description"].endswith((".", ")")), path


def _described(node: Mapping[str, Any], path: str) -> list[tuple[str, Mapping[str, Any]]]:
    inner = node["items"].get("properties", {}) if node["type"] == "array" else node.get("properties", {})
    return [(path, node), *(pair for name, child in inner.items() for pair in _described(child, f"{path}.{name}"))]


def test_field_names_are_identifiers_of_cel() -> None:
    for node in nodes(SCHEMA):
        for name in node.get("properties", {}):
            assert re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name)


def test_every_rule_names_a_code_that_is_documented() -> None:
    known = {code.name for code in CODES}
    rules = [rule for node in nodes(SCHEMA) for rule in node.get("x-kubernetes-validations", ())]
    assert len(rules) > 60
    assert {rule["message"].split(":")[0] for rule in rules} <= known


def test_no_rule_needs_what_re2_does_not_have() -> None:
    for expression in SERVER.expressions():
        assert not re.search(r"\(\?[=!<]|\\[1-9]", expression), expression


def test_printer_columns_show_what_an_operator_asks_first() -> None:
    shown = [c["name"] for c in VERSION["additionalPrinterColumns"] if not c.get("priority")]
    assert shown == ["Switch", "Profile", "Ready", "Registered", "Reason", "Age"]


def test_status_is_a_subresource_with_bounded_conditions() -> None:
    assert VERSION["subresources"] == {"status": {}}
    conditions = SCHEMA["properties"]["status"]["properties"]["conditions"]
    assert conditions["x-kubernetes-list-map-keys"] == ["type"]
    assert conditions["maxItems"] == 16


def test_the_committed_file_is_yaml_of_the_same_definition() -> None:
    assert YAML(typ="safe").load(COMMITTED) == CRD


def test_a_name_that_leaves_no_room_for_the_configmap_is_refused() -> None:
    spec = changed(REGISTERING)
    longest = "a" * limits.MAX_OBJECT_NAME
    assert not SERVER.refusals(manifest(spec, name=longest))
    assert not python_refusals(manifest(spec, name=longest))
    assert SERVER.refusals(manifest(spec, name=longest + "a")) == {"TooLong"}
    assert python_refusals(manifest(spec, name=longest + "a")) == {"TooLong"}
