"""Values that cannot be meant are refused, with the place and what may stand there."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from tests.charts import helm
from tests.golden import Golden
from tools import chart_values

pytestmark = pytest.mark.controlplane

CHARTS = (helm.OPERATOR, helm.EXAMPLE, helm.LIBRARY)


def objects(chart: Path) -> Iterator[str]:
    """The path of each object in a chart's values whose keys we name; "" for the top."""

    def walk(schema: dict[str, Any], path: str) -> Iterator[str]:
        if schema.get("additionalProperties") is False:
            yield path
            for key, one in schema["properties"].items():
                yield from walk(one, f"{path}.{key}" if path else key)

    yield from walk(json.loads((chart / "values.schema.json").read_text()), "")


def through(chart: Path, path: str, value: Any) -> tuple[Path, dict[str, Any]]:
    """A chart that can be rendered, and a value of this chart in it: a library's stand below its name."""
    if chart == helm.LIBRARY:
        return helm.EXAMPLE, helm.deep(f"{helm.LIBRARY.name}.{path}", value)
    return chart, helm.deep(path, value)


@pytest.mark.parametrize(
    ("chart", "path"), [(c, p) for c in CHARTS for p in objects(c)], ids=lambda one: getattr(one, "name", one) or "top"
)
def test_a_key_that_is_no_value_is_refused_wherever_it_stands(chart: Path, path: str) -> None:
    told = helm.refusal(*through(chart, f"{path}.enabeld" if path else "enabeld", True))
    assert f"at '/{path.replace('.', '/')}'" in told or not path
    assert "additional properties 'enabeld' not allowed" in told


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("replicas", 4),
        ("replicas", 0),
        ("replicas", "2"),
        ("logLevel", "verbose"),
        ("port", 80),
        ("image.repository", ""),
        ("image.digest", "sha256:abc"),
        ("image.pullPolicy", "Sometimes"),
        ("watch.namespaces", "voice"),
        ("watch.namespaces", ["Voice"]),
        ("watch.namespaces", ["voice", "voice"]),
        ("lease.seconds", 2),
        ("policies.otherOperators", [{"namespace": "carriers"}]),
        ("policies.otherOperators", [{"namespace": "carriers", "serviceAccount": "trunks", "name": "x"}]),
        ("imagePullSecrets", ["registry"]),
        ("networkPolicy.apiServerPorts", []),
        ("networkPolicy.apiServerPorts", [70000]),
        ("commonLabels", {"example.com/team": 7}),
    ],
    ids=str,
)
def test_a_value_of_the_operator_that_cannot_work_is_refused_at_its_place(
    path: str, value: Any, golden: Golden
) -> None:
    told = helm.refusal(helm.OPERATOR, helm.deep(path, value))
    assert f"at '/{path.replace('.', '/')}" in told


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("switch", "Default"),
        ("switch", ""),
        ("esl.address", "192.0.2.1:8021"),
        ("esl.address", "127.0.0.1"),
        ("conf.path", "etc/freeswitch"),
        ("tokenSeconds", 60),
        ("port", 0),
        ("registerRate", -1),
        ("fsGroup", 0),
    ],
    ids=str,
)
def test_a_value_of_the_library_that_cannot_work_is_refused_at_its_place(path: str, value: Any) -> None:
    told = helm.refusal(*through(helm.LIBRARY, path, value))
    assert f"at '/{path.replace('.', '/')}'" in told
    assert helm.LIBRARY.name in told


def test_what_helm_says_to_a_typo_names_chart_place_and_word(golden: Golden) -> None:
    values = {"replica": 3, "watch": {"namespace": ["voice"]}, "metrics": {"serviceMonitor": {"enabled": True}}}
    told = helm.refusal(helm.OPERATOR, values)
    head, *places = told[told.index("Error: ") :].strip().splitlines()
    golden("typos.out.txt", "\n".join([head, *sorted(places)]) + "\n")


def test_what_two_values_together_cannot_do_is_said_in_words() -> None:
    both = {"metrics": {"serviceMonitor": {"create": True}}, "service": {"create": False}}
    assert "metrics.serviceMonitor.create needs service.create" in helm.refusal(helm.OPERATOR, both)
    assert "name the one to use" in helm.refusal(helm.OPERATOR, {"serviceAccount": {"create": False}})


@pytest.mark.parametrize("chart", CHARTS, ids=lambda path: path.name)
def test_a_charts_own_values_are_taken_by_its_schema(chart: Path) -> None:
    schema = json.loads((chart / "values.schema.json").read_text())
    jsonschema.Draft7Validator.check_schema(schema)
    jsonschema.validate(yaml.safe_load((chart / "values.yaml").read_text()), schema)


# What the tables and schemas are made of


def test_a_value_without_a_comment_cannot_go_unnoticed() -> None:
    with pytest.raises(chart_values.ValuesError, match=r"^a\.b: no comment"):
        chart_values.described("a:\n  # about b\n  b: 1\n")


def test_an_object_must_say_what_may_stand_in_it() -> None:
    with pytest.raises(chart_values.ValuesError, match=r"^labels: say in @schema"):
        chart_values.described("# -- Labels.\nlabels: {}\n")


def test_a_schema_without_a_description_or_that_is_no_json_is_a_mistake() -> None:
    with pytest.raises(chart_values.ValuesError, match=r"^a: @schema without a description"):
        chart_values.described('# @schema {"minimum": 1}\na: 1\n')
    with pytest.raises(chart_values.ValuesError, match=r"^a: @schema is no JSON"):
        chart_values.described("# -- Number.\n# @schema minimum: 1\na: 1\n")


def test_a_description_may_take_several_lines_and_stands_in_table_and_schema(golden: Golden) -> None:
    text = (
        '# Head of the file.\n\n# -- How many | or few.\n# @schema {"minimum": 1}\nreplicas: 2\n'
        "a:\n  # -- First\n  # and second line.\n  b: [x]\n  # -- Words.\n"
        '  # @schema {"additionalProperties": {"type": "string"}}\n  c: {d: "1"}\nother:\n  thing: 1\n'
    )
    values = chart_values.described(text, ["other"])
    assert [value.name for value in values] == ["replicas", "a.b", "a.c"]
    golden("table.out.md", chart_values.table(values))
    golden("schema.out.json", chart_values.schema(values, ["other"]))
