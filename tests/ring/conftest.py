"""A lab with an operator, and a fleet of three pods in it: one for all tests of a module."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest

from tests.agent_kube.conftest import lab
from tests.controlplane.plugin import KEPT
from tests.kube.lab import Lab
from tests.ring.fleet import Fleet

__all__ = ["fleet", "lab"]


@pytest.fixture(scope="module")
def fleet(lab: Lab, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Fleet]:
    """Three pods with a simulator and an agent each. Tests share them: each takes gateway names of its own."""
    folder, failed = tmp_path_factory.mktemp("pods"), request.session.testsfailed
    one = Fleet(lab, folder)
    yield one
    one.close()
    if request.session.testsfailed > failed:
        shutil.copytree(folder, KEPT / f"{request.module.__name__}-pods", symlinks=True, dirs_exist_ok=True)
