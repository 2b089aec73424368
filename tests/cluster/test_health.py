"""What the kubelet and Prometheus ask, and what they are told."""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable

import aiohttp
import pytest

from sipgateway.cluster.health import Health
from sipgateway.errors import SipgwError
from tests.cluster.scripted import run
from tests.controlplane.ports import free_port


def asked(test: Callable[[aiohttp.ClientSession, list[str | None]], Awaitable[None]]) -> None:
    async def both() -> None:
        port = free_port()
        state: list[str | None] = [None]
        health = Health("127.0.0.1", port, lambda: state[0], lambda accept: (b"for " + accept.encode(), "text/x"))
        async with health, aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session:
            await test(session, state)

    run(both())


def test_it_is_ready_or_says_why_not() -> None:
    async def test(session: aiohttp.ClientSession, state: list[str | None]) -> None:
        async with session.get("/readyz") as answer:
            assert (answer.status, await answer.text()) == (200, "ok\n")
        state[0] = "reading what is there"
        async with session.get("/readyz") as answer:
            assert (answer.status, await answer.text()) == (503, "reading what is there\n")
        async with session.get("/healthz") as answer:
            assert answer.status == 200

    asked(test)


def test_metrics_come_in_the_form_that_is_asked_for() -> None:
    async def test(session: aiohttp.ClientSession, _: list[str | None]) -> None:
        async with session.get("/metrics", headers={"Accept": "application/openmetrics-text"}) as answer:
            assert await answer.read() == b"for application/openmetrics-text"
            assert answer.headers["Content-Type"] == "text/x"

    asked(test)


@pytest.mark.parametrize(("host", "family"), [("127.0.0.1", socket.AF_INET), ("::1", socket.AF_INET6)])
def test_a_port_in_use_is_an_error_that_names_it(host: str, family: int) -> None:
    async def test(port: int) -> None:
        with pytest.raises(SipgwError, match="in use") as caught:
            await Health(host, port, lambda: None, lambda _: (b"", "")).__aenter__()
        assert caught.value.finding.code == "CannotListen"
        assert str(port) in caught.value.finding.message
        assert "--listen" in caught.value.finding.action

    with socket.socket(family) as other:
        other.bind((host, 0))
        other.listen()
        run(test(other.getsockname()[1]))


def test_an_address_of_another_machine_is_an_error() -> None:
    async def test() -> None:
        with pytest.raises(SipgwError, match="192\\.0\\.2\\.1"):
            await Health("192.0.2.1", 8080, lambda: None, lambda _: (b"", "")).__aenter__()

    run(test())
