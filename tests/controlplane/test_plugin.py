"""What pytest makes of the control plane: who needs it, what stays when a test fails, what goes with pytest."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.controlplane.plane import ControlPlane, sweep
from tests.controlplane.process import wait_until
from tests.controlplane.programs import ROOT


def command(folder: Path, source: str, *options: str) -> list[str]:
    (folder / "test_inner.py").write_text(f"import os, signal, time\n{source}")
    alone = ["-c", os.devnull, "--rootdir", str(folder), "-p", "tests.conftest", "-p", "no:cacheprovider"]
    return [sys.executable, "-m", "pytest", "-q", *alone, *options, str(folder / "test_inner.py")]


def environment(folder: Path, **more: str) -> dict[str, str]:
    inherited = {k: v for k, v in os.environ.items() if k not in {"CI", "KUBEBUILDER_ASSETS"}}
    own = {"PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "SIPGW_TEST_LOGS": str(folder / "logs")}
    return inherited | own | more


def pytest_in(folder: Path, source: str, *options: str, **more: str) -> tuple[int, str]:
    done = subprocess.run(
        command(folder, source, *options),
        env=environment(folder, **more),
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


NEEDS_IT = "def test_a(namespace): pass\ndef test_b(): pass"


def test_without_the_programs_a_person_is_told_what_to_run(tmp_path: Path) -> None:
    code, output = pytest_in(tmp_path, NEEDS_IT, "-rs", XDG_CACHE_HOME=str(tmp_path / "none"))
    assert code == 0, output
    assert "1 passed, 1 skipped" in output
    assert "lacks etcd, kube-apiserver, kube-controller-manager, kubectl, helm" in output
    assert "run `make controlplane`" in output


def test_without_the_programs_a_build_machine_fails(tmp_path: Path) -> None:
    code, output = pytest_in(tmp_path, NEEDS_IT, XDG_CACHE_HOME=str(tmp_path / "none"), CI="true")
    assert code == 1
    assert "1 error in" in output
    assert "run `make controlplane`" in output


def test_who_uses_its_fixtures_is_marked(tmp_path: Path) -> None:
    code, output = pytest_in(tmp_path, NEEDS_IT, "-m", "not controlplane")
    assert code == 0, output
    assert "1 passed, 1 deselected" in output


@pytest.mark.slow
@pytest.mark.parametrize("options", [[], ["-x"]])
def test_logs_stay_when_a_test_fails(tmp_path: Path, options: list[str]) -> None:
    source = """
def test_a(control_plane, start_operator):
    start_operator(control_plane.kubeconfig, '--nonsense', wait=False).wait_ready()
def test_b(control_plane): pass"""
    code, output = pytest_in(tmp_path, source, *options)
    assert code == 1, output
    assert "operator-1 ended with 2" in output
    assert "unrecognized arguments: --nonsense" in output
    assert "left behind by tests" not in output
    kept = [Path(line.rpartition(" ")[2]) for line in output.splitlines() if line.startswith("logs of")]
    assert {path.name for folder in kept for path in folder.iterdir()} == {
        "audit.jsonl",
        "etcd.log",
        "kube-apiserver.log",
        "kube-controller-manager.log",
        "operator-1.log",
    }


@pytest.mark.slow
def test_logs_go_when_all_is_well(tmp_path: Path) -> None:
    code, output = pytest_in(tmp_path, "def test_a(control_plane): pass")
    assert code == 0, output
    assert not (tmp_path / "logs").exists()


@pytest.fixture
def killed(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A pytest that holds a control plane and two operators, one of them paused; it printed their ids, and waits."""
    source = """
def test_a(control_plane, start_operator):
    one, two = (start_operator(control_plane.kubeconfig, '--namespace=default', wait=False) for _ in range(2))
    two.pause()
    plane = control_plane
    print('folder', plane.folder)
    print('pids', *(p.pid for p in (plane.etcd, plane.api_server, plane.controller_manager, one, two)), flush=True)
    time.sleep(100)"""
    arguments = command(tmp_path, source, "-s")
    with subprocess.Popen(arguments, env=environment(tmp_path), stdout=subprocess.PIPE, text=True) as process:
        yield process
        process.kill()


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_nothing_outlives_a_pytest_that_is_killed(killed: subprocess.Popen[str], how: signal.Signals) -> None:
    assert killed.stdout is not None
    said: list[str] = []
    while not said or not said[-1].startswith("pids"):
        said.append(killed.stdout.readline())
        assert said[-1], "".join(said)  # the end of its output: it failed
    folder = Path(said[-2].split()[1])
    pids = [int(word) for word in said[-1].split()[1:]]
    assert not any(map(gone, pids))
    killed.send_signal(how)
    wait_until(
        lambda: all(map(gone, pids)), 60, lambda: f"of {pids} there are still {[p for p in pids if not gone(p)]}"
    )
    killed.wait(30)
    sweep()
    assert not folder.exists()


def test_the_folder_of_a_living_owner_is_not_swept(control_plane: ControlPlane) -> None:
    sweep()
    assert control_plane.folder.exists()
