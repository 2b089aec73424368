"""Ports of test runs that stand side by side."""

from __future__ import annotations

import socket
import subprocess
import sys

from tests.controlplane.ports import SLICE, free_port


def test_two_processes_are_given_no_common_port() -> None:
    program = (
        "from tests.controlplane.ports import free_port\n"
        f"print(*(free_port() for _ in range({SLICE})), flush=True)\ninput()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        theirs = {int(word) for word in other.stdout.readline().split()}
        ours = {free_port() for _ in range(SLICE)}
        other.communicate("\n", timeout=30)
    assert theirs
    assert ours
    assert not theirs & ours


def test_a_port_that_was_given_comes_last_and_one_that_is_taken_is_passed_over() -> None:
    first = free_port()
    assert first not in {free_port() for _ in range(SLICE // 4)}
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", free_port()))
        taken.listen()
        assert taken.getsockname()[1] not in {free_port() for _ in range(SLICE)}
