"""What the tests of the charts have: Helm, and a control plane of their own, which the policies of the charts bind."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.charts import helm, monitoring
from tests.controlplane import plugin, programs
from tests.controlplane.plane import ControlPlane


@pytest.fixture(scope="session", autouse=True)
def _needs_helm() -> None:
    """Without the programs of the control plane there is no Helm either: skipped here, a failure on a build machine."""
    try:
        programs.find("helm")
    except programs.MissingProgramsError as error:
        if os.environ.get("CI"):
            pytest.fail(str(error), pytrace=False)
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def cluster(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A control plane with the kinds of the Prometheus Operator and the namespaces that the values files name."""
    plane = plugin._start(request.config, crds=[monitoring.crds(tmp_path_factory.mktemp("monitoring"))])
    for name in (helm.NAMESPACE, helm.VOICE, "carriers"):
        plane.create_namespace(name, **{"pod-security.kubernetes.io/enforce": "restricted"})
    yield plane
    plugin._close(request.config, plane, failed=request.session.testsfailed > 0)


@pytest.fixture(scope="module")
def fresh(request: pytest.FixtureRequest) -> Iterator[ControlPlane]:
    """An empty control plane for the tests of a module that install releases one after the other."""
    failed = request.session.testsfailed
    plane = plugin._start(request.config, crds=[])
    yield plane
    plugin._close(request.config, plane, failed=request.session.testsfailed > failed)


@pytest.fixture(scope="session")
def packaged(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The charts as they are published: name -> archive."""
    folder = tmp_path_factory.mktemp("packages")
    return {
        chart.name: (helm.helm("package", chart, "--destination", folder), folder / f"{chart.name}-{helm.VERSION}.tgz")[
            1
        ]
        for chart in (helm.OPERATOR, helm.LIBRARY, helm.EXAMPLE)
    }
