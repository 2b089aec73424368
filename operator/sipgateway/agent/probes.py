"""A small HTTP server for the kubelet, Prometheus and the switch container's preStop: a few paths, nothing else.

In: functions that answer. Out: an HTTP/1.1 server in the same loop as the work, so that one that hangs does not answer.
Ours, because a web framework takes 3 to 12 MB and there is one agent per pod.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from sipgateway.cluster.codes import CANNOT_LISTEN
from sipgateway.errors import SipgwError

#: Bytes of a request's head, and seconds that it may take to come.
_HEAD = 8192
_PATIENCE = 10.0

#: Connections at once: a kubelet, a Prometheus, a preStop, and some to spare.
_CONNECTIONS = 64

_WORDS = {200: "OK", 404: "Not Found", 405: "Method Not Allowed", 409: "Conflict", 503: "Service Unavailable"}


@dataclass(frozen=True, slots=True)
class Answer:
    """What a path answers."""

    status: int = 200
    body: bytes = b"ok\n"
    kind: str = "text/plain; charset=utf-8"

    @staticmethod
    def of(why_not: str | None) -> Answer:
        """200 when there is nothing against it, else 503 with why not."""
        return Answer() if why_not is None else Answer(503, f"{why_not}\n".encode())


@dataclass(slots=True)
class Probes:
    """The server. Use as an async context manager.

    Attributes:
        paths: what each path answers.
        port: 0 takes a free one; the real one once it listens.
    """

    host: str
    port: int
    paths: Mapping[str, Callable[[], Awaitable[Answer]]]
    _server: asyncio.Server | None = None
    _open: set[asyncio.StreamWriter] = field(default_factory=set)

    async def __aenter__(self) -> Probes:  # noqa: PYI034
        try:
            self._server = await asyncio.start_server(self._serve, self.host, self.port, limit=_HEAD)
        except OSError as error:
            where = f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"
            what = f"Nothing can be served on {where}: {error.strerror or error}."
            raise SipgwError(CANNOT_LISTEN.because("", what)) from None
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._server is not None:
            self._server.close()
            for writer in tuple(self._open):
                writer.transport.abort()
            await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._open) >= _CONNECTIONS:
            writer.transport.abort()
            return
        self._open.add(writer)
        try:
            with contextlib.suppress(OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
                async with asyncio.timeout(_PATIENCE):
                    head = await reader.readuntil(b"\r\n\r\n")
                await self._answer(head, writer)
        finally:
            self._open.discard(writer)
            writer.close()

    async def _answer(self, head: bytes, writer: asyncio.StreamWriter) -> None:
        method, _, rest = head.partition(b"\r\n")[0].decode("latin-1").partition(" ")
        handler = self.paths.get(rest.partition(" ")[0].partition("?")[0])
        if handler is None:
            answer = Answer(404, b"no such path\n")
        elif method not in {"GET", "HEAD", "POST"}:
            answer = Answer(405, b"GET or POST\n")
        else:
            answer = await handler()
        lines = (
            f"HTTP/1.1 {answer.status} {_WORDS.get(answer.status, 'Answer')}",
            f"Content-Type: {answer.kind}",
            f"Content-Length: {len(answer.body)}",
            "Connection: close",
        )
        writer.write("\r\n".join([*lines, "", ""]).encode() + (b"" if method == "HEAD" else answer.body))
        async with asyncio.timeout(_PATIENCE):
            await writer.drain()
