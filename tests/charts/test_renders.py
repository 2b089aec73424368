"""What the charts render: a golden file of what each values file changes, and a values file for each value there is."""

from __future__ import annotations

import difflib
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.charts import helm
from tests.golden import Golden
from tools.chart_values import Value, described

pytestmark = pytest.mark.controlplane

CASES = [
    (chart, path)
    for chart, paths in ((helm.OPERATOR, helm.OPERATOR_VALUES), (helm.EXAMPLE, helm.EXAMPLE_VALUES))
    for path in paths
]


def readable(text: str) -> str:
    """A render without what is long, random, or new with each version."""
    parts = [
        part for part in re.split(r"^---\n", text, flags=re.MULTILINE) if "kind: CustomResourceDefinition" not in part
    ]
    text = "---\n".join(part.rstrip("\n") + "\n" for part in parts if part.strip())
    text = re.sub(r"^(  password: ).{20,}$", r"\1RANDOM", text, flags=re.MULTILINE)
    text = re.sub(r"(?<=  sipgateway\.json: \|\n)(?:    .*\n)+", "    (the dashboard)\n", text)
    return text.replace(helm.VERSION, "VERSION")


@pytest.mark.parametrize("chart", [helm.OPERATOR, helm.EXAMPLE], ids=lambda path: path.name)
def test_without_values_each_gives_what_it_gave(chart: Path, golden: Golden) -> None:
    golden(f"{chart.name}.out.yaml", readable(helm.template(chart).stdout))


@pytest.mark.parametrize(("chart", "values"), CASES, ids=lambda path: path.stem)
def test_each_values_file_changes_what_it_changed(chart: Path, values: Path, golden: Golden) -> None:
    before, after = (readable(helm.template(chart, given).stdout).splitlines(keepends=True) for given in (None, values))
    changes = list(difflib.unified_diff(before, after, "without values", values.name, n=1))
    golden(
        f"{values.parent.name}-{values.stem}.out.diff", re.sub(r"^@@ .*$", "@@", "".join(changes), flags=re.MULTILINE)
    )


def test_no_two_values_files_give_the_same() -> None:
    rendered = [readable(helm.template(chart, values).stdout) for chart, values in CASES]
    rendered += [readable(helm.template(chart).stdout) for chart in (helm.OPERATOR, helm.EXAMPLE)]
    assert len(set(rendered)) == len(rendered)


def _settable() -> dict[str, list[Value]]:
    found = {}
    for chart, dependencies in (
        (helm.OPERATOR, [helm.LIBRARY.name]),
        (helm.LIBRARY, []),
        (helm.EXAMPLE, [helm.LIBRARY.name]),
    ):
        values = described((chart / "values.yaml").read_text(), dependencies)
        found[chart.name] = [value for value in values if value.path[0] not in dependencies]
    return found


def _set_in(paths: list[Path], *below: str) -> list[dict[str, Any]]:
    found = []
    for path in paths:
        values = yaml.safe_load(path.read_text())
        for key in below:
            values = values.get(key, {})
        found.append(values)
    return found


FILES = {
    helm.OPERATOR.name: _set_in(helm.OPERATOR_VALUES),
    helm.EXAMPLE.name: _set_in(helm.EXAMPLE_VALUES),
    helm.LIBRARY.name: _set_in([*helm.EXAMPLE_VALUES, *helm.OPERATOR_VALUES], helm.LIBRARY.name),
}


@pytest.mark.parametrize(
    ("chart", "value"),
    [(chart, value) for chart, values in _settable().items() for value in values],
    ids=lambda one: getattr(one, "name", one),
)
def test_each_value_is_set_to_something_else_in_one_of_them(chart: str, value: Value) -> None:
    def there(values: Any) -> Any:
        for key in value.path:
            values = values.get(key, {}) if isinstance(values, dict) else {}
        return values

    found = [there(values) for values in FILES[chart]]
    if chart == helm.LIBRARY.name and value.name == "switchContainer":
        assert "" in found  # the example sets it; the default has to be tried
    else:
        assert [one for one in found if one not in ({}, value.default) or (one == {} != value.default)]
