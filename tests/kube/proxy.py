"""A TLS proxy before the API server that sees every request of one client, and spoils those that a test wants spoiled.

In: a control plane, a kubeconfig. Out: a kubeconfig that leads through the proxy; the requests, in order; and faults:
refusals, answers cut short, connections that break before or after the API server has done what was asked.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Self
from urllib.parse import parse_qsl, urlsplit

from tests.controlplane.api import Access
from tests.controlplane.certificates import Authority

_GONE = (asyncio.IncompleteReadError, OSError, EOFError)
_WORDS = {
    401: "Unauthorized",
    403: "Forbidden",
    429: "TooManyRequests",
    500: "InternalError",
    503: "ServiceUnavailable",
}


@dataclass(slots=True)
class Seen:
    """A request; `status` is 0 until the API server's answer passed, and for one that it never got."""

    method: str
    path: str
    query: dict[str, str]
    at: float
    agent: str = ""
    status: int = 0

    @property
    def writes(self) -> bool:
        """Whether it changes something."""
        return self.method != "GET"

    @property
    def about_lease(self) -> bool:
        """Whether it is the Lease's."""
        return "/leases" in self.path

    @property
    def watches(self) -> bool:
        """Whether it is a watch."""
        return "watch" in self.query


@dataclass(frozen=True, slots=True)
class Fault:
    """What becomes of a request.

    Attributes:
        status: answered instead of the API server, as a Status object; 0 lets it through.
        retry_after: header of that answer.
        body: answered with 200 instead of the API server.
        cut: bytes of the answer's body that pass before the connection breaks; -1 for all.
        reset: breaks the connection: "before" the API server hears of it, or "after" it did what was asked.
        hang: for ever without an answer.
    """

    status: int = 0
    retry_after: str = ""
    body: bytes | None = None
    cut: int = -1
    reset: str = ""
    hang: bool = False


class Proxy:
    """The proxy, in a thread of its own. Use as a context."""

    def __init__(self, server: Access, folder: Path) -> None:
        self.requests: list[Seen] = []
        #: Asked for each request; may be replaced at any time.
        self.fault: Callable[[Seen], Fault | None] = lambda _: None
        self._upstream = server
        self._folder = folder
        authority = Authority(folder, "proxy CA")
        pair = authority.sign("proxy", "proxy", hosts=("127.0.0.1",))
        self._tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._tls.load_cert_chain(pair.certificate, pair.key)
        self._authority = authority.certificate
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="proxy")
        self._started = threading.Event()
        self._end: asyncio.Event | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self.port = 0

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._started.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        assert self._end is not None
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join(10)
        self._loop.close()

    def kubeconfig(self, of: Path) -> Path:
        """A kubeconfig like the given one, through the proxy."""
        who = Access.of(of)
        access = dataclasses.replace(who, server=f"https://127.0.0.1:{self.port}", authority=self._authority)
        path = self._folder / f"proxy-{of.name}"
        path.touch(mode=0o600)
        path.write_text(access.kubeconfig())
        return path

    def since(self, moment: float) -> list[Seen]:
        """The requests since a moment of `time.monotonic()`."""
        return [seen for seen in list(self.requests) if seen.at >= moment]

    def break_all(self) -> None:
        """Breaks all connections that there are."""

        def abort() -> None:
            for writer in list(self._writers):
                _abort(writer)

        self._loop.call_soon_threadsafe(abort)

    # In its thread

    def _run(self) -> None:
        self._loop.run_until_complete(self._serve())

    async def _serve(self) -> None:
        self._end = asyncio.Event()
        tasks: set[asyncio.Task[None]] = set()

        async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            tasks.add(task)
            self._writers.add(writer)
            with contextlib.suppress(*_GONE, asyncio.CancelledError):
                await self._talk(reader, writer)
            self._writers.discard(writer)
            _abort(writer)
            tasks.discard(task)

        server = await asyncio.start_server(accept, "127.0.0.1", 0, ssl=self._tls, limit=2**22)
        self.port = server.sockets[0].getsockname()[1]
        self._started.set()
        await self._end.wait()
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await server.wait_closed()
        await asyncio.sleep(0.05)  # sockets close in the next rounds of the loop

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        place = urlsplit(self._upstream.server)
        upstream: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        tls = ssl.create_default_context(cafile=str(self._upstream.authority))
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                body = await reader.readexactly(_length(head))
                seen = _seen(head)
                self.requests.append(seen)
                fault = self.fault(seen) or Fault()
                if fault.reset == "before":
                    return
                if fault.hang:
                    await asyncio.Event().wait()
                if fault.status or fault.body is not None:
                    await _say(writer, fault)
                    continue
                if upstream is None:
                    upstream = await asyncio.open_connection(place.hostname, place.port, ssl=tls, limit=2**22)
                upstream[1].write(head + body)
                await upstream[1].drain()
                if not await _relay(upstream[0], writer, seen, fault):
                    return
        finally:
            if upstream is not None:
                _abort(upstream[1])


async def _relay(source: asyncio.StreamReader, sink: asyncio.StreamWriter, seen: Seen, fault: Fault) -> bool:
    """Passes one answer on. Returns whether the connection may go on."""
    head = await source.readuntil(b"\r\n\r\n")
    seen.status = int(head.split(b" ", 2)[1])
    chunked = b"transfer-encoding: chunked" in head.lower()
    if fault.reset == "after":
        if not chunked:
            await source.readexactly(_length(head))
        return False
    sink.write(head)
    left = fault.cut
    if not chunked:
        data = await source.readexactly(_length(head))
        sink.write(data if left < 0 else data[:left])
        await sink.drain()
        return left < 0
    while True:
        size = await source.readuntil(b"\r\n")
        data = await source.readexactly(int(size, 16) + 2)
        if 0 <= left < len(data):
            sink.write(size + data[:left])
            await sink.drain()
            return False
        left = left - len(data) if left >= 0 else left
        sink.write(size + data)
        await sink.drain()
        if int(size, 16) == 0:
            return True


async def _say(writer: asyncio.StreamWriter, fault: Fault) -> None:
    status = fault.status or 200
    reason = _WORDS.get(status, "Error")
    said = {"kind": "Status", "apiVersion": "v1", "code": status, "reason": reason, "message": "by the proxy"}
    body = fault.body if fault.body is not None else json.dumps(said).encode()
    head = f"HTTP/1.1 {status} {reason}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    if fault.retry_after:
        head += f"Retry-After: {fault.retry_after}\r\n"
    writer.write(head.encode() + b"\r\n" + body)
    await writer.drain()


def _seen(head: bytes) -> Seen:
    method, target, _ = head.split(b"\r\n", 1)[0].decode().split()
    url = urlsplit(target)
    return Seen(method, url.path, dict(parse_qsl(url.query)), time.monotonic(), _header(head, b"user-agent").decode())


def _length(head: bytes) -> int:
    return int(_header(head, b"content-length") or 0)


def _header(head: bytes, wanted: bytes) -> bytes:
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == wanted:
            return value.strip()
    return b""


def _abort(writer: asyncio.StreamWriter) -> None:
    """Breaks a connection off as a crash does."""
    raw = writer.get_extra_info("socket")
    if raw is not None and raw.fileno() >= 0:
        with contextlib.suppress(OSError):
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
