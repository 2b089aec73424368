"""Labs with an operator, namespaces without one, and switch pods in them: all processes end with the test."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.agent_kube.bare import Bare
from tests.agent_kube.pods import Place, SwitchPod
from tests.controlplane import plugin
from tests.controlplane.operators import Operators
from tests.controlplane.plane import ControlPlane
from tests.kube.lab import Lab


@pytest.fixture(scope="module")
def lab(
    control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Lab]:
    """The module's lab, its operator ready. Tests share it: each takes fleets and names of its own."""
    folder = tmp_path_factory.mktemp("lab")
    failed = request.session.testsfailed
    one = Lab(control_plane, Operators(folder))
    try:
        one.secret("acme")
        one.start()
        yield one
    finally:
        one.close()
    if request.session.testsfailed > failed:
        shutil.copytree(folder, plugin.KEPT / f"{request.module.__name__}", dirs_exist_ok=True)


@pytest.fixture(scope="session")
def open_plane(pytestconfig: pytest.Config) -> Iterator[ControlPlane]:
    """A control plane without the admission policies, so that tests can write what no user could."""
    plane = plugin._start(pytestconfig)
    yield plane
    plugin._close(pytestconfig, plane, failed=pytestconfig.stash[plugin._STATE].failed)


@pytest.fixture
def bare(open_plane: ControlPlane) -> Iterator[Bare]:
    """A fresh namespace in it, with the keys of a fleet and no operator."""
    one = Bare(open_plane)
    yield one
    open_plane.delete_namespace(one.namespace)


@pytest.fixture
def start_pod(tmp_path: Path) -> Iterator[Callable[..., SwitchPod]]:
    """`start_pod(place, name, start=True, **options)`: a switch pod that ends with the test."""
    pods: list[SwitchPod] = []

    def make(place: Place, name: str, *, start: bool = True, folder: str = "", **options: Any) -> SwitchPod:
        pods.append(SwitchPod(place, name, tmp_path / folder, **options))
        return pods[-1].start() if start else pods[-1]

    yield make
    for pod in pods:
        pod.close()
