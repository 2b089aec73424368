"""A tap on the wire to the event socket. In: connections. Out: the same bytes, and what was sent over them."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Self


class Tap:
    """Listens, passes on to a switch, and keeps every command (no password).

    Attributes:
        sent: commands in the order in which they went to the switch.
    """

    def __init__(self, switch: tuple[str, int]) -> None:
        self.switch = switch
        self.sent: list[str] = []
        self.address = ("", 0)
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        host, port = self._server.sockets[0].getsockname()[:2]
        self.address = (host, port)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        self.cut()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def cut(self) -> None:
        """Ends every connection without a word."""
        for writer in tuple(self._writers):
            writer.transport.abort()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            there, back = await asyncio.open_connection(*self.switch)
        except OSError:
            writer.transport.abort()
            self._tasks.discard(task)
            return
        self._writers |= {writer, back}
        try:
            await asyncio.gather(self._pass(reader, back, note=True), self._pass(there, writer, note=False))
        finally:
            self._writers -= {writer, back}
            self._tasks.discard(task)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, note: bool) -> None:
        rest = b""
        with contextlib.suppress(ConnectionError, asyncio.CancelledError):
            while data := await reader.read(1 << 16):
                if note:
                    *whole, rest = (rest + data).split(b"\n\n")
                    self.sent += [c.decode() for c in whole if not c.startswith(b"auth ")]
                writer.write(data)
                await writer.drain()
        writer.transport.abort() if note else writer.close()
