"""An event socket that does what a test tells it: answers, keeps quiet, breaks off. It holds no model of a switch.

async with ScriptedSwitch(serve) as switch:
    async with await switch.connect() as client: ...
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Self

from sipgateway.esl.client import MAX_EVENTS, Client, connect
from tests.esl import transcripts

PASSWORD = "ClueCon"
GREETING = b"Content-Type: auth/request\n\n"
GOODBYE = b"Content-Type: text/disconnect-notice\nContent-Length: 13\n\nDisconnected\n"


def reply(text: str) -> bytes:
    return f"Content-Type: command/reply\nReply-Text: {text}\n\n".encode()


def response(body: str) -> bytes:
    data = body.encode()
    return b"Content-Type: api/response\nContent-Length: %d\n\n%s" % (len(data), data)


def event(number: int) -> bytes:
    inner = f"Event-Name: CUSTOM\nEvent-Subclass: sofia%3A%3Agateway_state\nGateway: gw-{number}\n\n".encode()
    return b"Content-Length: %d\nContent-Type: text/event-plain\n\n%s" % (len(inner), inner)


class Peer:
    """The switch's end of one connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def command(self) -> str:
        """The next command; raises EOFError when the client has gone."""
        try:
            return (await self.reader.readuntil(b"\n\n")).decode().removesuffix("\n\n")
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            raise EOFError from error

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def login(self) -> None:
        """Lets the client in."""
        await self.send(GREETING)
        assert await self.command() == f"auth {PASSWORD}"
        await self.send(reply("+OK accepted"))

    async def gone(self) -> None:
        """Waits until the client has left; what it still says does not matter."""
        with contextlib.suppress(ConnectionError):
            while await self.reader.read(65536):
                pass


Script = Callable[[Peer], Awaitable[None]]


class ScriptedSwitch:
    """Serves one script to each connection. What goes wrong in a script fails the test."""

    def __init__(self, script: Script) -> None:
        self._script = script
        self._scripts: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self.port = 0

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        async with asyncio.timeout(5):
            results = await asyncio.gather(*self._scripts, return_exceptions=True)
        errors = [r for r in results if isinstance(r, BaseException) and not isinstance(r, EOFError | ConnectionError)]
        if errors and kind is None:
            raise errors[0]

    async def connect(self, *, timeout: float = 5.0, max_events: int = MAX_EVENTS) -> Client:  # noqa: ASYNC109
        return await connect("127.0.0.1", self.port, PASSWORD, timeout=timeout, max_events=max_events)

    def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(self._run(Peer(reader, writer)))
        self._scripts.add(task)

    async def _run(self, peer: Peer) -> None:
        try:
            await self._script(peer)
        finally:
            peer.writer.close()
            with contextlib.suppress(ConnectionError):
                await peer.writer.wait_closed()


async def echo(peer: Peer) -> None:
    """Answers every `api X` with X until the client goes."""
    await peer.login()
    with contextlib.suppress(EOFError):
        while True:
            await peer.send(response((await peer.command()).removeprefix("api ")))
    await peer.gone()


def replay(name: str) -> Script:
    """Says what the switch said in a transcript, and insists that the client says what its client said."""

    async def script(peer: Peer) -> None:
        for turn in transcripts.turns(name):
            for message in turn.messages:
                if turn.ours:
                    assert (await peer.command()).encode() + b"\n\n" == message
                else:
                    await peer.send(message)
        await peer.gone()

    return script
