"""An API server that does what a test tells it: answers, keeps quiet, breaks off. It holds no model of Kubernetes.

async with ScriptedServer(answer) as server:
    async with Api(server.access()) as api: ...
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import ssl
import struct
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

from sipgateway.cluster.access import Access, Token

Obj = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Request:
    """A request as it came; its connection's number shows which ones share one."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes
    connection: int

    @property
    def token(self) -> str:
        """The bearer token."""
        return self.headers.get("authorization", "").removeprefix("Bearer ")

    @property
    def object(self) -> Any:
        """The body, decoded."""
        return json.loads(self.body)


class Peer:
    """The server's end of one request."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self._writer = writer

    async def send(self, data: bytes) -> None:
        """Bytes as they are."""
        with contextlib.suppress(ConnectionError):
            self._writer.write(data)
            await self._writer.drain()

    async def answer(self, status: int, body: Any = None, **headers: str) -> None:
        """A whole answer; `body` becomes JSON unless it is bytes."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        more = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
        head = f"HTTP/1.1 {status} Word\r\nContent-Type: application/json\r\nContent-Length: {len(data)}\r\n{more}\r\n"
        await self.send(head.encode() + data)

    async def refuse(self, status: int, reason: str, message: str = "so it is", **details: Any) -> None:
        """A Status object."""
        body = {"kind": "Status", "code": status, "reason": reason, "message": message, "details": details}
        await self.answer(status, body)

    async def stream(self) -> None:
        """The head of a watch's answer."""
        await self.send(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n")

    async def chunk(self, data: bytes) -> None:
        """A piece of a watch's answer; an empty one is its end."""
        await self.send(b"%x\r\n%s\r\n" % (len(data), data))

    async def event(self, kind: str, obj: Obj) -> None:
        """One event of a watch."""
        await self.chunk(json.dumps({"type": kind, "object": obj}).encode() + b"\n")

    def reset(self) -> None:
        """Breaks the connection off as a crash does."""
        raw = self._writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()

    def close(self) -> None:
        """Ends the connection in the middle of whatever is being said."""
        self._writer.close()


#: What a test says to a request.
Script = Callable[[Request, Peer], Awaitable[None]]


@dataclass
class ScriptedServer:
    """The server, on a free port."""

    script: Script
    tls: ssl.SSLContext | None = None
    requests: list[Request] = field(default_factory=list)
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    async def __aenter__(self) -> Self:
        self._tasks: set[asyncio.Task[None]] = set()
        self._connections = 0
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, ssl=self.tls)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    @property
    def url(self) -> str:
        """Where it is."""
        return f"{'http' if self.tls is None else 'https'}://127.0.0.1:{self.port}"

    def access(self, token: Token | None = None) -> Access:
        """The way to it."""
        return Access(self.url, token=token)

    def made(self, method: str, path: str = "") -> list[Request]:
        """The requests of that kind so far."""
        return [r for r in self.requests if r.method == method and path in r.path]

    async def wait_for(self, number: int, method: str, path: str = "") -> list[Request]:
        """The requests of that kind, as soon as there are so many."""
        while len(found := self.made(method, path)) < number:
            self._news.clear()
            await self._news.wait()
        return found

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._connections += 1
        gone = (asyncio.IncompleteReadError, ConnectionError, ssl.SSLError, asyncio.CancelledError)
        with contextlib.suppress(*gone), contextlib.closing(writer):
            while True:
                await self._serve(reader, writer, self._connections)
        with contextlib.suppress(*gone):
            await writer.wait_closed()
        self._tasks.discard(task)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, connection: int) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        first, *lines = head.strip().split("\r\n")
        method, target, _ = first.split()
        headers = {n.lower(): v.strip() for n, _, v in (line.partition(":") for line in lines)}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        url = urlsplit(target)
        request = Request(method, url.path, dict(parse_qsl(url.query)), headers, body, connection)
        self.requests.append(request)
        self._news.set()
        await self.script(request, Peer(writer))


def run(test: Coroutine[Any, Any, None]) -> None:
    """Runs a test in a loop of its own, and fails when it takes long or leaves tasks behind."""

    async def bounded() -> None:
        async with asyncio.timeout(30):
            await test
            for _ in range(3):  # a connection's beginning may be about to end
                await asyncio.sleep(0)
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(bounded())


def config_map(name: str, version: int, **data: str) -> Obj:
    """An object of a collection."""
    meta = {"name": name, "namespace": "voice", "uid": f"uid-{name}", "resourceVersion": str(version)}
    return {"kind": "ConfigMap", "metadata": meta, "data": data}


def listed(version: int, *items: Obj, more: str = "") -> Obj:
    """A LIST, or a page of one."""
    meta = {"resourceVersion": str(version)} | ({"continue": more} if more else {})
    return {"kind": "List", "metadata": meta, "items": list(items)}
