"""The agent's small HTTP server: a few paths for the kubelet, Prometheus and preStop, and nothing for anybody else."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from sipgateway.agent.metrics import Metrics
from sipgateway.agent.probes import Answer, Probes
from sipgateway.agent.report import Report
from sipgateway.errors import SipgwError
from tests.agent.bench import asynchronous


async def well() -> Answer:
    return Answer()


async def unwell() -> Answer:
    return Answer.of("not yet")


def probes() -> Probes:
    return Probes("127.0.0.1", 0, {"/healthz": well, "/readyz": unwell})


async def ask(port: int, data: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(data)
    async with asyncio.timeout(5):
        answer = await reader.read()
    writer.close()
    return answer


@pytest.mark.parametrize(
    ("request_line", "status", "body"),
    [
        (b"GET /healthz HTTP/1.1", b"200 OK", b"ok\n"),
        (b"GET /healthz?verbose=1 HTTP/1.1", b"200 OK", b"ok\n"),
        (b"POST /healthz HTTP/1.1", b"200 OK", b"ok\n"),
        (b"HEAD /healthz HTTP/1.1", b"200 OK", b""),
        (b"GET /readyz HTTP/1.1", b"503 Service Unavailable", b"not yet\n"),
        (b"GET / HTTP/1.1", b"404 Not Found", b"no such path\n"),
        (b"GET /../../etc/passwd HTTP/1.1", b"404 Not Found", b"no such path\n"),
        (b"DELETE /healthz HTTP/1.1", b"405 Method Not Allowed", b"GET or POST\n"),
        (b"nonsense", b"404 Not Found", b"no such path\n"),
        (b"\xff\xfe\x00 \x80", b"404 Not Found", b"no such path\n"),
    ],
)
@asynchronous
async def test_it_answers_what_is_asked(tmp_path: Path, request_line: bytes, status: bytes, body: bytes) -> None:
    async with probes() as server:
        answer = await ask(server.port, request_line + b"\r\nHost: x\r\n\r\n")
    head, _, rest = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 " + status)
    assert rest == body


@asynchronous
async def test_a_head_without_an_end_and_one_that_is_too_long_are_hung_up_on(tmp_path: Path) -> None:
    async with probes() as server:
        assert await ask(server.port, b"GET /healthz HTTP/1.1\r\nX: " + b"x" * 20_000) == b""
        _, idle = await asyncio.open_connection("127.0.0.1", server.port)
        assert (await ask(server.port, b"GET /healthz HTTP/1.1\r\n\r\n")).startswith(b"HTTP/1.1 200")
        idle.close()


@asynchronous
async def test_too_many_connections_are_hung_up_on_and_the_next_is_answered(tmp_path: Path) -> None:
    async with probes() as server:
        many = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(80)]
        for _, writer in many:
            writer.close()
        answer = b""
        for _ in range(100):
            try:
                answer = await ask(server.port, b"GET /healthz HTTP/1.1\r\n\r\n")
            except ConnectionError:
                answer = b""
            if answer:
                break
            await asyncio.sleep(0.02)
        assert answer.startswith(b"HTTP/1.1 200")


@asynchronous
async def test_an_address_that_is_taken_is_an_error_that_says_so(tmp_path: Path) -> None:
    async with probes() as server:
        with pytest.raises(SipgwError, match="Nothing can be served"):
            async with Probes("127.0.0.1", server.port, {}):
                pass


def proved(name: str, kind: str, revision: str) -> Report:
    return Report("info", "proved", name, "text", "", "external", revision, kind, 0.02)


def test_metrics_tell_drift_from_changes() -> None:
    metrics = Metrics()
    assert not metrics.heard(proved("a", "add", "1"))
    assert not metrics.heard(proved("a", "replace", "2"))
    assert metrics.heard(proved("a", "replace", "2"))
    assert metrics.heard(proved("a", "repair", "2"))
    assert not metrics.heard(Report("error", "failed", "a", "text", "NotLoaded"))
    text = metrics.exposition(
        states={"REGED": 2}, counts={"wanted": 3}, answers={"4xx": 4}, gauges={"up": ("Up.", 1)}, totals={}
    )
    lines = text.splitlines()
    for line in (
        'sipgateway_agent_steps_total{kind="replace",result="proved"} 2',
        'sipgateway_agent_steps_total{kind="any",result="failed"} 1',
        "sipgateway_agent_drift_repaired_total 2",
        'sipgateway_agent_step_duration_seconds_bucket{le="0.025"} 4',
        "sipgateway_agent_step_duration_seconds_count 4",
        'sipgateway_agent_gateways{state="REGED"} 2',
        'sipgateway_agent_register_answers_total{class="4xx"} 4',
        "sipgateway_agent_up 1",
    ):
        assert line in lines
    assert all(line.startswith(("# HELP ", "# TYPE ", "sipgateway_agent_")) for line in lines)
    assert text.endswith("\n")
