"""Labs with an operator, and switch pods in them: all processes end with the test."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.agent_kube.pods import SwitchPod
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


@pytest.fixture
def start_pod(lab: Lab, tmp_path: Path) -> Iterator[Callable[..., SwitchPod]]:
    """`start_pod(name, switch=..., start=True, **options)`: a switch pod that ends with the test."""
    pods: list[SwitchPod] = []

    def make(name: str, *, start: bool = True, lab: Lab = lab, **options: Any) -> SwitchPod:
        pods.append(SwitchPod(lab, name, tmp_path, **options))
        return pods[-1].start() if start else pods[-1]

    yield make
    for pod in pods:
        pod.close()
