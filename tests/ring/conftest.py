"""A lab with an operator, and a fleet of three pods in it: one for all tests of a module."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.agent_kube.conftest import lab
from tests.kube.lab import Lab
from tests.ring.fleet import Fleet

__all__ = ["fleet", "lab"]


@pytest.fixture(scope="module")
def fleet(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """Three pods with a simulator and an agent each. Tests share them: each takes gateway names of its own."""
    one = Fleet(lab, tmp_path_factory.mktemp("pods"))
    yield one
    one.close()
