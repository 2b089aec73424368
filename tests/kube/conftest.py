"""Labs: a namespace with the shipped rights in it and an operator at work, one for all tests of a module."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator

import pytest

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
        kept = plugin.KEPT / f"{request.module.__name__}"
        shutil.copytree(folder, kept, dirs_exist_ok=True)


@pytest.fixture
def start_lab(control_plane: ControlPlane, start_operator: Operators) -> Iterator[Callable[..., Lab]]:
    """`start_lab(plane=..., namespace=...)`: a lab of the test's own; no operator runs in it yet."""
    labs: list[Lab] = []

    def make(plane: ControlPlane = control_plane, namespace: str | None = None) -> Lab:
        labs.append(Lab(plane, start_operator, namespace))
        return labs[-1]

    yield make
    for one in labs:
        one.close()
