"""A control plane on which all that is shipped is installed: the admission policies too, which bind everybody on it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.controlplane import plugin
from tests.controlplane.plane import ControlPlane
from tests.crd import install


@pytest.fixture(scope="session")
def guarded(request: pytest.FixtureRequest) -> Iterator[ControlPlane]:
    """The control plane of these tests: CRDs, policies, the people's roles, and an operator that watches everything."""
    plane = plugin._start(request.config)
    install.apply(plane, install.shipped(install.INSTALL / "rbac-users.yaml"))
    install.install_rbac(plane, cluster=True)
    install.install_policies(plane)
    yield plane
    plugin._close(request.config, plane, failed=request.session.testsfailed > 0)


@pytest.fixture
def voice(guarded: ControlPlane) -> Iterator[str]:
    """A fresh namespace of the guarded control plane."""
    name = guarded.create_namespace()
    yield name
    guarded.delete_namespace(name)
