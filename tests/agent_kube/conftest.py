"""Namespaces without an operator, and switch pods in them: all processes end with the test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.agent_kube.bare import Bare
from tests.agent_kube.pods import Place, SwitchPod
from tests.controlplane import plugin
from tests.controlplane.plane import ControlPlane


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
