"""Labs without an operator: a sync writes SipGateways, and suspended ones are Ready without anybody."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.controlplane.operators import Operators
from tests.controlplane.plane import ControlPlane
from tests.kube.lab import Lab
from tests.sync.commits import Commits
from tests.sync.rights import sync_kubeconfig


@pytest.fixture(scope="module")
def lab(control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    one = Lab(control_plane, Operators(tmp_path_factory.mktemp("lab")))
    yield one
    one.close()


@pytest.fixture(scope="module")
def account(lab: Lab) -> Path:
    """A kubeconfig of a sync's account."""
    return sync_kubeconfig(lab)


@pytest.fixture
def empty(lab: Lab) -> Iterator[Lab]:
    """The module's lab; what the test leaves there goes."""
    yield lab
    for one in lab.all("sipgateways"):
        lab.delete(one["metadata"]["name"])


@pytest.fixture
def commits(empty: Lab, account: Path, tmp_path: Path) -> Commits:
    """A repository of the test's own, for the lab's namespace."""
    return Commits(tmp_path / "repository", empty.namespace, account)
