"""pytest's door to the control plane: fixtures, the marker `controlplane`, logs that stay when a test fails.

In: the programs that `make controlplane` builds. Without them a build machine's run fails, anybody else's skips.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.controlplane import programs
from tests.controlplane.operators import Operators
from tests.controlplane.plane import ControlPlane

ROOT = Path(__file__).resolve().parents[2]
CRDS = ROOT / "crds"
KEPT = Path(os.environ.get("SIPGW_TEST_LOGS", ROOT / ".cache" / "logs"))
#: Who uses one of these, directly or not, needs the programs.
FIXTURES = {"control_plane", "guarded", "module_control_plane", "start_control_plane", "start_operator"}


@dataclass
class _State:
    """What failed and where its logs are."""

    failed: bool = False  # a test that used the shared control plane
    kept: list[Path] = field(default_factory=list)
    operators: dict[str, Operators] = field(default_factory=dict)


_STATE = pytest.StashKey[_State]()
_FAILED = pytest.StashKey[bool]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_STATE] = _State()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if FIXTURES & set(getattr(item, "fixturenames", ())):
            item.add_marker("controlplane")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Function) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed and item.get_closest_marker("controlplane"):
        state = item.config.stash[_STATE]
        item.stash[_FAILED] = True
        state.failed |= "control_plane" in item.fixturenames
        for operator in state.operators[item.nodeid].started if item.nodeid in state.operators else ():
            report.sections.append((f"log of {operator.name}", operator.tail()))
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    for folder in config.stash[_STATE].kept:
        terminalreporter.write_line(f"logs of the control plane and its operators: {folder}")


def _start(config: pytest.Config, **options: Any) -> ControlPlane:
    if absent := programs.missing():
        if os.environ.get("CI"):
            pytest.fail(programs.advice(absent), pytrace=False)
        pytest.skip(programs.advice(absent))
    plane = ControlPlane(**{"crds": [CRDS], "keep_in": KEPT, **options})
    try:
        plane.start()
    except BaseException:
        _close(config, plane, failed=True)
        raise
    return plane


def _close(config: pytest.Config, plane: ControlPlane, *, failed: bool) -> None:
    if kept := plane.close(keep=failed):
        config.stash[_STATE].kept.append(kept)


@pytest.fixture(scope="session")
def control_plane(pytestconfig: pytest.Config) -> Iterator[ControlPlane]:
    """The control plane that all tests share, with our CRDs. Do not stop or pause it; others use it too."""
    plane = _start(pytestconfig)
    yield plane
    _close(pytestconfig, plane, failed=pytestconfig.stash[_STATE].failed)


@pytest.fixture(scope="module")
def module_control_plane(request: pytest.FixtureRequest) -> Iterator[ControlPlane]:
    """One that the tests of a module share, to be stopped, paused and killed; who breaks it mends it."""
    failed = request.session.testsfailed
    plane = _start(request.config)
    yield plane
    _close(request.config, plane, failed=request.session.testsfailed > failed)


@pytest.fixture
def start_control_plane(request: pytest.FixtureRequest) -> Iterator[Callable[..., ControlPlane]]:
    """`start_control_plane(**options of ControlPlane)`: one of the test's own, to be stopped, paused and killed."""
    planes: list[ControlPlane] = []

    def start(**options: Any) -> ControlPlane:
        planes.append(_start(request.config, **options))
        return planes[-1]

    yield start
    for plane in planes:
        _close(request.config, plane, failed=request.node.stash.get(_FAILED, False))


@pytest.fixture
def private_control_plane(start_control_plane: Callable[..., ControlPlane]) -> ControlPlane:
    """A control plane of the test's own, with our CRDs; takes about four seconds."""
    return start_control_plane()


@pytest.fixture
def namespace(control_plane: ControlPlane) -> Iterator[str]:
    """The name of a fresh namespace in the shared control plane."""
    name = control_plane.create_namespace()
    yield name
    control_plane.delete_namespace(name)


@pytest.fixture
def start_operator(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Operators]:
    """`start_operator(kubeconfig, *flags, env=..., wait=...)`: a process that runs until the test ends."""
    operators = request.config.stash[_STATE].operators[request.node.nodeid] = Operators(tmp_path)
    yield operators
    operators.close()
    if request.node.stash.get(_FAILED, False):
        folder = KEPT / re.sub(r"\W+", "-", request.node.nodeid)[-80:]
        folder.mkdir(parents=True, exist_ok=True)
        for operator in operators.started:
            (folder / operator.log.name).write_bytes(operator.log.read_bytes())
        request.config.stash[_STATE].kept.append(folder)
