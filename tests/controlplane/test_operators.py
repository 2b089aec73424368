"""Operators run as processes: what one hears of them, and how they end. What they do is tested elsewhere."""

from __future__ import annotations

import signal
import socket
import threading
from pathlib import Path

import pytest

from tests.controlplane.operators import Operator, Operators
from tests.controlplane.plane import ControlPlane
from tests.controlplane.ports import free_port
from tests.controlplane.process import NotReadyError


@pytest.fixture
def operator(control_plane: ControlPlane, namespace: str, start_operator: Operators) -> Operator:
    return start_operator(control_plane.kubeconfig, f"--namespace={namespace}", f"--lease-namespace={namespace}")


def test_it_is_ready_logs_json_and_counts(operator: Operator) -> None:
    assert operator.get("/healthz")[0] == 200
    operator.wait_ready(10)  # once more: one that comes to lead is not ready for a moment
    assert operator.get("/nonsense")[0] == 404
    assert operator.wait_for_log(lambda entry: "message" in entry)
    assert operator.noise() == []
    assert all(name.startswith(("sipgateway_", "process_", "python_")) for name in operator.metrics())
    assert operator.metrics()
    assert operator.memory_peak() >= operator.memory() > 10_000_000


def test_it_stops_in_good_order(operator: Operator) -> None:
    assert operator.stop() == 0
    with pytest.raises(OSError, match="refused"):
        operator.get("/healthz")


def test_it_is_killed_and_started_again_with_the_same_address(operator: Operator) -> None:
    before = operator.listen
    assert operator.kill() == -signal.SIGKILL
    operator.start()
    assert operator.get("/healthz")[0] == 200
    assert operator.listen == before


def test_it_answers_nothing_while_it_is_paused(operator: Operator) -> None:
    operator.pause()
    with pytest.raises(TimeoutError):
        operator.get("/healthz", seconds=0.3)
    assert not operator.is_ready()
    operator.resume()
    operator.wait_ready(10)


def test_one_that_ends_at_once_says_why(control_plane: ControlPlane, start_operator: Operators) -> None:
    with pytest.raises(NotReadyError, match=r"(?s)operator-1 ended with 2.*unrecognized arguments: --nonsense"):
        start_operator(control_plane.kubeconfig, "--nonsense")
    assert any("--nonsense" in line for line in start_operator.started[0].noise())


def test_one_whose_port_was_taken_starts_on_another(
    control_plane: ControlPlane, namespace: str, start_operator: Operators, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        ports = iter([taken.getsockname()[1]])
        monkeypatch.setattr("tests.controlplane.operators.free_port", lambda: next(ports, None) or free_port())
        where = (f"--namespace={namespace}", f"--lease-namespace={namespace}")
        assert start_operator(control_plane.kubeconfig, *where).get("/healthz")[0] == 200
    assert len(start_operator.started) == 2


def test_no_program_is_started_by_a_thread_that_may_end_before_it(tmp_path: Path) -> None:
    operator = Operator("x", tmp_path / "log", 1, tmp_path / "none", [], ["/bin/true"], {})
    caught: list[Exception] = []

    def start() -> None:
        try:
            operator.launch()
        except RuntimeError as error:
            caught.append(error)

    thread = threading.Thread(target=start)
    thread.start()
    thread.join()
    assert "main thread" in str(caught[0])
