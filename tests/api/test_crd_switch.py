"""The CRD of SipSwitch: bounded, structural, without rules, and wide enough for a whole fleet."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

from ruamel.yaml import YAML

from sipgateway.api import limits
from sipgateway.api.crd_switch import crd_switch
from sipgateway.reconcile.registration import Verdict
from tests.api.apiserver import nodes

COMMITTED = Path(__file__).parents[2] / "crds" / "sipswitches.yaml"

CRD = cast("dict[str, Any]", crd_switch())
VERSION = CRD["spec"]["versions"][0]
SCHEMA = VERSION["schema"]["openAPIV3Schema"]
STATUS = SCHEMA["properties"]["status"]["properties"]
PROBLEM = STATUS["problems"]["items"]["properties"]


def test_the_committed_file_is_yaml_of_the_same_definition() -> None:
    assert YAML(typ="safe").load(COMMITTED) == CRD


def test_there_is_a_status_and_nothing_to_want() -> None:
    assert set(SCHEMA["properties"]) == {"apiVersion", "kind", "metadata", "status"}
    assert VERSION["subresources"] == {"status": {}}


def test_every_text_and_list_and_number_is_bounded_and_every_list_atomic() -> None:
    kinds = [SCHEMA["properties"]["apiVersion"], SCHEMA["properties"]["kind"]]
    for node in nodes(SCHEMA):
        assert node["type"] in {"object", "array", "string", "integer", "boolean"}
        if node["type"] == "string" and "enum" not in node and node not in kinds:
            assert node["maxLength"] > 0, node
        if node["type"] == "array":
            assert node["maxItems"] > 0, node
            assert node["x-kubernetes-list-type"] == "atomic", "else managedFields repeats every name"
        if node["type"] == "integer":
            assert node["format"] == "int32", node
            assert node["minimum"] == 0, node
            assert node["maximum"] <= 2**31 - 1, node


def test_one_odd_word_silences_no_pod() -> None:
    for node in nodes(SCHEMA):
        assert "x-kubernetes-validations" not in node
    assert set(PROBLEM["message"]) == {"type", "description", "maxLength"}
    assert set(PROBLEM["gateways"]["items"]) == {"type", "maxLength"}


def test_what_a_registration_amounts_to_fits_as_a_reason() -> None:
    assert all(len(verdict) <= limits.MAX_REASON for verdict in Verdict)


def test_every_field_of_the_status_is_described_in_sentences() -> None:
    for node in nodes(SCHEMA["properties"]["status"]):
        for name, child in node.get("properties", {}).items():
            assert child["description"].endswith((".", ")")), name


def test_printer_columns_show_what_an_operator_asks_first() -> None:
    shown = [c["name"] for c in VERSION["additionalPrinterColumns"] if not c.get("priority")]
    assert shown == ["Switch", "Phase", "Wanted", "Loaded", "Registered", "Failed", "Seen", "Age"]
