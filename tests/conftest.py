"""What tests have: hypothesis profiles, golden files, the canary password, a watch over leftovers, a control plane."""

from __future__ import annotations

import signal

import pytest

from tests import profiles
from tests.canary import Canary
from tests.controlplane import plugin as controlplane
from tests.golden import Golden, GoldenFiles
from tests.leftovers import Leftovers

_GOLDEN_FILES = pytest.StashKey[GoldenFiles]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--regold", action="store_true", help="rewrite the golden files instead of comparing with them")


def pytest_configure(config: pytest.Config) -> None:
    profiles.load()
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # in the background; what tests start shall be interruptible
        signal.signal(signal.SIGINT, signal.default_int_handler)
    golden_files = config.stash[_GOLDEN_FILES] = GoldenFiles(config)
    config.pluginmanager.register(golden_files)
    config.pluginmanager.register(controlplane)
    config.pluginmanager.register(Leftovers())


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if getattr(getattr(item, "obj", None), "is_hypothesis_test", False) and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(profiles.TIMEOUT[profiles.selected()]))


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Golden:
    """`golden("name.out.xml", actual)`: compares with the golden file, or rewrites it with --regold."""
    return request.config.stash[_GOLDEN_FILES].for_module(request.path)


@pytest.fixture
def canary() -> Canary:
    """A password that must turn up nowhere, and the ways to look for it."""
    return Canary()
