"""Helm's own linter finds nothing, and the archives that are published hold all that they need and nothing else."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest

from tests.charts import helm

pytestmark = pytest.mark.controlplane


@pytest.mark.parametrize("chart", [helm.OPERATOR, helm.LIBRARY, helm.EXAMPLE], ids=lambda path: path.name)
def test_helm_lint_finds_nothing(chart: Path) -> None:
    said = helm.helm("lint", "--strict", chart).stdout
    assert "0 chart(s) failed" in said
    assert "[WARNING]" not in said


@pytest.mark.parametrize(
    ("chart", "values"),
    [(c, v) for c, vs in ((helm.OPERATOR, helm.OPERATOR_VALUES), (helm.EXAMPLE, helm.EXAMPLE_VALUES)) for v in vs],
    ids=lambda path: path.stem,
)
def test_nor_does_it_with_any_values(chart: Path, values: Path) -> None:
    assert "[WARNING]" not in helm.helm("lint", "--strict", "--values", values, chart).stdout


def test_an_archive_renders_what_the_folder_renders(packaged: dict[str, Path]) -> None:
    for chart, values in (
        (helm.OPERATOR, helm.VALUES / "operator" / "injection.yaml"),
        (helm.EXAMPLE, helm.VALUES / "example" / "simulator.yaml"),
    ):
        archive = packaged[chart.name]
        release, namespace = (helm.FLEET, helm.VOICE) if chart == helm.EXAMPLE else (helm.RELEASE, helm.NAMESPACE)
        done = helm.helm("template", release, archive, "--namespace", namespace, "--values", values)
        assert done.stdout == helm.template(chart, values).stdout
        assert "symbolic link" not in done.stderr


def test_an_archive_holds_the_kinds_the_library_and_nothing_of_the_machine(packaged: dict[str, Path]) -> None:
    with tarfile.open(packaged[helm.OPERATOR.name]) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
        sipgateways = archive.extractfile("sipgateway-operator/files/crds/sipgateways.yaml")
        assert sipgateways
        assert sipgateways.read() == (helm.ROOT / "crds" / "sipgateways.yaml").read_bytes()
    assert "charts/sipgateway-switch/templates/_pod.tpl" in names
    assert {Path(name).suffix for name in names} <= {".yaml", ".tpl", ".txt", ".md", ".json"}


def test_the_notes_tell_the_next_command_and_warn_of_the_placeholder() -> None:
    def notes(*arguments: str) -> str:
        command: tuple[str | Path, ...] = (
            "install",
            helm.RELEASE,
            helm.OPERATOR,
            "--namespace",
            "trunks",
            "--dry-run=client",
            *arguments,
        )
        return helm.helm(*command).stdout.partition("NOTES:\n")[2]

    plain = notes()
    assert "kubectl --namespace trunks rollout status deployment/sipgateway-operator" in plain
    assert "kubectl --namespace trunks get sipgateways" in plain
    assert "is a placeholder" in plain
    assert "policies.create is off" not in plain
    assert "is a placeholder" not in notes("--set=image.repository=registry.test/sipgateway")
    assert "kubectl --namespace voice get" in notes("--set=watch.namespaces={voice,carriers}")
    assert "looks at all namespaces" in notes("--set=watch.allNamespaces=true")
    assert "trunks/sipgateway-operator among" in notes("--set=policies.create=false")
