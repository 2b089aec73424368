"""Helm on our charts. In: a chart, values. Out: the text that it renders, its documents, what it said when it refused.

Nothing here reaches a cluster: for that there is `ControlPlane.helm`.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

import yaml

from tests.controlplane import clients, programs

ROOT = Path(__file__).parents[2]
CHARTS = ROOT / "charts"
OPERATOR = CHARTS / "sipgateway-operator"
LIBRARY = CHARTS / "sipgateway-switch"
EXAMPLE = CHARTS / "freeswitch-example"
VERSION = (ROOT / "VERSION").read_text().strip()

#: Values files: each turns at least one switch.
VALUES = Path(__file__).with_name("values")
OPERATOR_VALUES = sorted((VALUES / "operator").glob("*.yaml"))
EXAMPLE_VALUES = sorted((VALUES / "example").glob("*.yaml"))

#: Where the releases of these tests live.
RELEASE = "sipgateway"
NAMESPACE = "sipgateway-system"
FLEET = "fleet"
VOICE = "voice"

Manifest: TypeAlias = dict[str, Any]


def helm(*arguments: str | Path, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Runs Helm without a cluster.

    Raises:
        AssertionError: it failed, and `check` is set.
    """
    with tempfile.TemporaryDirectory(prefix="sipgw-helm-") as home:
        return clients.run(
            programs.find("helm"),
            [str(argument) for argument in arguments],
            kubeconfig=Path(home) / "none",
            home=Path(home),
            stdin=None,
            check=check,
            seconds=60,
        )


def template(
    chart: Path, values: Path | Mapping[str, Any] | None = None, *, check: bool = True
) -> subprocess.CompletedProcess[str]:
    """Renders a chart under the names of these tests, with values from a file or as they are."""
    release, namespace = (FLEET, VOICE) if chart.name == EXAMPLE.name else (RELEASE, NAMESPACE)
    given: list[str | Path] = ["--values", values] if isinstance(values, Path) else []
    if values is not None and not isinstance(values, Path):
        given = [f"--set-json={key}={json.dumps(value)}" for key, value in values.items()]
    return helm("template", release, chart, "--namespace", namespace, *given, check=check)


def render(chart: Path, values: Path | Mapping[str, Any] | None = None) -> list[Manifest]:
    """The objects that a chart gives."""
    return documents(template(chart, values).stdout)


def documents(text: str) -> list[Manifest]:
    """The objects in a YAML text."""
    return [document for document in yaml.safe_load_all(text) if document]


def only(manifests: list[Manifest], kind: str, name: str | None = None) -> Manifest:
    """The one object of a kind, and of a name if there are several."""
    found = [m for m in manifests if m["kind"] == kind and name in {None, m["metadata"]["name"]}]
    assert len(found) == 1, f"{len(found)} objects of kind {kind}"
    return found[0]


def refusal(chart: Path, values: Path | Mapping[str, Any]) -> str:
    """What Helm says to values that it refuses."""
    done = template(chart, values, check=False)
    assert done.returncode != 0, "the values were taken"
    return done.stderr


def deep(path: str, value: Any) -> dict[str, Any]:
    """`deep("a.b", 1)` is `{"a": {"b": 1}}`."""
    for key in reversed(path.split(".")):
        value = {key: value}
    result: dict[str, Any] = value
    return result


def pod_specs(manifests: list[Manifest]) -> list[Manifest]:
    """The pod templates of all workloads."""
    found = [m["spec"]["template"] for m in manifests if m["kind"] in {"Deployment", "StatefulSet"}]
    return found + [m["spec"]["jobTemplate"]["spec"]["template"] for m in manifests if m["kind"] == "CronJob"]
