"""The parser: shapes, types, limits, "did you mean", and that nothing makes it raise."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given
from ruamel.yaml import YAML

from sipgateway.api import accept, limits
from sipgateway.api.crd import crd
from sipgateway.api.params import PARAMS, Kind
from sipgateway.api.parse import SPEC_FIELDS, parse_sipgateway
from sipgateway.api.spec import DirectoryUser, ExtraParam, SecretKeyRef, Subscription, Variable
from tests.api import strategies
from tests.api.builders import CALLS, REGISTERING, changed, gateway, manifest
from tests.api.cases import CASES
from tests.profiles import thorough


def found(obj: Any) -> set[tuple[str, str]]:
    """Codes and fields of the findings of an object that cannot be parsed."""
    parsed, findings = parse_sipgateway(obj)
    assert parsed is None
    return {(finding.code, finding.field) for finding in findings}


def test_a_manifest_becomes_the_spec_that_it_says() -> None:
    case = next(case for case in CASES if case.id == "everything at once")
    spec = gateway(case.spec).spec
    assert (spec.switch, spec.profile, spec.gateway_name, spec.placement, spec.suspend) == (
        "frankfurt",
        "carriers",
        "acme_main",
        "All",
        False,
    )
    assert spec.directory == DirectoryUser("pbx.example.com", "1000")
    assert spec.password_from == SecretKeyRef("acme", "password")
    assert spec.username_from is None
    assert spec.variables == (Variable("a", "1"), Variable("sip_h_X-Acme", "yes", "outbound"))
    assert spec.subscriptions == (Subscription("message-summary", 600, 60, "application/simple-message-summary", True),)
    assert spec.extra_params == (ExtraParam("x-mode", "strict"),)
    fields = {param.field for param in PARAMS if not param.secret and param.refused is None}
    assert set(spec.params) == fields
    assert all(spec.params[field] == case.spec[field] for field in fields)


def test_what_a_manifest_does_not_say_is_not_in_the_spec() -> None:
    spec = gateway(CALLS).spec
    assert dict(spec.params) == dict(CALLS)
    assert (spec.switch, spec.profile, spec.gateway_name, spec.suspend) == ("default", "external", None, False)


def test_the_gateway_has_the_objects_name_when_it_has_none_of_its_own() -> None:
    assert gateway(CALLS, name="acme").gateway_name == "acme"
    assert gateway(changed(CALLS, gatewayName="Acme_1"), name="acme").gateway_name == "Acme_1"


def test_identity_comes_from_the_metadata() -> None:
    parsed = gateway(CALLS, uid="u-1", generation=3, creationTimestamp="2026-01-02T03:04:05Z", labels={"a": "b"})
    assert (parsed.namespace, parsed.name, parsed.uid, parsed.generation, parsed.created) == (
        "voice",
        "acme",
        "u-1",
        3,
        "2026-01-02T03:04:05Z",
    )


def test_a_namespace_that_is_not_said_is_default() -> None:
    obj = manifest(CALLS)
    del obj["metadata"]["namespace"]
    parsed, _ = parse_sipgateway(obj)
    assert parsed is not None
    assert parsed.namespace == "default"


def test_a_timestamp_that_yaml_made_a_date_of_is_text_again() -> None:
    text = "2026-01-02T03:04:05Z"
    obj = manifest(CALLS, creationTimestamp=YAML(typ="safe").load(text))
    parsed, _ = parse_sipgateway(obj)
    assert parsed is not None
    assert parsed.created.startswith("2026-01-02T03:04:05")


@pytest.mark.parametrize(
    ("obj", "expected"),
    [
        (None, {("WrongType", "")}),
        ([], {("WrongType", "")}),
        ("text", {("WrongType", "")}),
        (
            {},
            {
                ("WrongApiVersion", "apiVersion"),
                ("WrongApiVersion", "kind"),
                ("MissingField", "metadata"),
                ("MissingField", "spec"),
            },
        ),
        (manifest(None), {("MissingField", "spec")}),
        (manifest([]), {("WrongType", "spec")}),
        (manifest("x"), {("WrongType", "spec")}),
        ({**manifest(dict(CALLS)), "metadata": "x"}, {("WrongType", "metadata")}),
        ({**manifest(dict(CALLS)), "metadata": {}}, {("MissingField", "metadata.name")}),
        ({**manifest(dict(CALLS)), "metadata": {"name": 5}}, {("WrongType", "metadata.name")}),
        ({**manifest(dict(CALLS)), "kind": "Gateway"}, {("WrongApiVersion", "kind")}),
        ({**manifest(dict(CALLS)), "apiVersion": "sipgateway.dev/v1"}, {("WrongApiVersion", "apiVersion")}),
        ({**manifest(dict(CALLS)), "data": {}}, {("UnknownField", "data")}),
        (manifest(dict(CALLS), namesapce="x"), {("UnknownField", "metadata.namesapce")}),
        (manifest({1: 2}), {("UnknownField", "spec.1")}),
        (manifest(changed(CALLS, variables=[None, 1, "x", []])), {
            ("WrongType", "spec.variables[0]"),
            ("WrongType", "spec.variables[1]"),
            ("WrongType", "spec.variables[2]"),
            ("WrongType", "spec.variables[3]"),
        }),
        (manifest(changed(CALLS, variables="a=b")), {("WrongType", "spec.variables")}),
        (manifest(changed(CALLS, variables=b"ab")), {("WrongType", "spec.variables")}),
        (manifest(changed(CALLS, directory={})), {
            ("MissingField", "spec.directory.domain"),
            ("MissingField", "spec.directory.user"),
        }),
    ],
    ids=repr,
)  # fmt: skip
def test_a_shape_that_is_not_a_sipgateways_is_refused_with_its_place(obj: Any, expected: set[tuple[str, str]]) -> None:
    assert found(obj) == expected


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("expire-seconds", "expireSeconds"),
        ("retry_seconds", "retrySeconds"),
        ("908-retry-seconds", "retrySeconds908"),
        ("rfc-5626", "rfc5626"),
        ("Username", "username"),
        ("usernme", "username"),
        ("registerproxy", "registerProxy"),
        ("variable", "variables"),
        ("caller-id-in-from", "callerIdInFrom"),
        ("passwordSecretRef", "passwordFrom"),
        ("extraparams", "extraParams"),
        ("gateway_name", "gatewayName"),
    ],
)
def test_an_unknown_field_is_answered_with_the_one_that_was_meant(given: str, meant: str) -> None:
    _, findings = parse_sipgateway(manifest(changed(CALLS, **{given: "x"})))
    assert [(f.code, f.field, f.action) for f in findings] == [("UnknownField", f"spec.{given}", f"Write {meant}.")]
    assert meant in findings[0].message


def test_every_name_of_mod_sofia_leads_to_its_field() -> None:
    for param in PARAMS:
        for name in (param.xml, *param.aliases):
            if name in SPEC_FIELDS or param.secret:
                continue
            _, findings = parse_sipgateway(manifest(changed(CALLS, **{name: "x"})))
            assert findings[0].action == f"Write {param.field}."


def test_a_field_that_resembles_none_is_not_answered_with_a_guess() -> None:
    _, findings = parse_sipgateway(manifest(changed(CALLS, zzz="x")))
    assert "did you mean" not in findings[0].message


def test_cid_type_is_said_to_do_nothing() -> None:
    _, findings = parse_sipgateway(manifest({**CALLS, "cid-type": "rpid"}))
    assert "nothing reads it" in findings[0].message


@pytest.mark.parametrize("field", ["password", "passwd", "Password", "pass-word"])
def test_a_password_in_the_manifest_is_refused_and_not_repeated(field: str) -> None:
    _, findings = parse_sipgateway(manifest({**REGISTERING, field: "hunter2-canary"}))
    assert findings[0].code in {"LiteralPassword", "UnknownField"}
    assert "hunter2-canary" not in str(findings)


def test_direction_both_says_that_none_is_meant() -> None:
    _, findings = parse_sipgateway(
        manifest(changed(CALLS, variables=[{"name": "a", "value": "1", "direction": "both"}]))
    )
    assert "neither leg" in findings[0].message
    assert findings[0].action == "Remove direction: without one the variable is set on both legs."


def test_the_parsers_limits_are_the_schemas() -> None:
    schema: Any = crd()
    spec = schema["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]
    for field, node in spec.items():
        if node["type"] == "string" and "maxLength" in node:
            assert found(manifest(changed(CALLS, **{field: "x" * (node["maxLength"] + 1)}))) == {
                ("TooLong", f"spec.{field}")
            }
            parse_sipgateway(manifest(changed(CALLS, **{field: "x" * node["maxLength"]})))
    entries = {
        "variables": {"name": "a", "value": "b"},
        "subscriptions": {"event": "presence"},
        "extraParams": {"name": "a", "value": "b"},
    }
    for field, entry in entries.items():
        most = spec[field]["maxItems"]
        gateway(changed(CALLS, **{field: [entry] * most}))
        assert found(manifest(changed(CALLS, **{field: [entry] * (most + 1)}))) == {("TooMany", f"spec.{field}")}
        for name, node in spec[field]["items"]["properties"].items():
            if node["type"] == "string" and "enum" not in node:
                long = {**entry, name: "x" * (node["maxLength"] + 1)}
                assert found(manifest(changed(CALLS, **{field: [long]}))) == {("TooLong", f"spec.{field}[0].{name}")}
    assert len({limits.MAX_VARIABLES, limits.MAX_EXTRA_PARAMS, limits.MAX_SUBSCRIPTIONS}) == 3


def test_a_value_of_every_other_type_is_refused_for_every_parameter() -> None:
    wrong: dict[Kind, tuple[object, ...]] = {
        Kind.BOOL: ("true", 1, 0, 1.5, [], {}),
        Kind.INT: ("60", True, 60.5, 60.0, float("inf"), [], {}),
        Kind.TEXT: (5, True, 1.5, [], {}, b"x"),
    }
    for param in PARAMS:
        if param.secret:
            continue
        for value in wrong[param.kind]:
            assert found(manifest(changed(CALLS, **{param.field: value}))) == {("WrongType", f"spec.{param.field}")}


@thorough
@given(strategies.json_values)
@example({"spec": {"\ud800": None}})
def test_no_json_makes_the_parser_or_the_checks_raise(value: Any) -> None:
    for obj in (value, manifest(value), manifest({**CALLS, "variables": value, "directory": value, "username": value})):
        parsed, findings = parse_sipgateway(obj)
        assert (parsed is None) == bool(findings)
        for finding in findings:
            assert finding.code
            assert finding.action
            str(finding)
        if parsed is not None:
            accept.check(parsed)
            accept.accept(parsed, {})


@given(strategies.specs())
def test_the_parser_gives_the_same_for_the_same_manifest_and_keeps_every_value(spec: dict[str, Any]) -> None:
    obj = manifest(spec)
    before = json.dumps(obj)
    parsed, findings = parse_sipgateway(obj)
    assert json.dumps(obj) == before
    assert (parsed, findings) == parse_sipgateway(json.loads(before))
    if parsed is not None:
        assert all(parsed.spec.params[field] == value for field, value in spec.items() if field in parsed.spec.params)
        assert len(parsed.spec.variables) == len(spec.get("variables", ()))
