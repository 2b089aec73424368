"""A door to the API server that misbehaves on order. In: troubles. Out: a kubeconfig that leads through, what it saw.

    with plane.storm() as storm:
        operator = start_operator(storm.kubeconfig(plane.kubeconfig_for("default", "operator")))
        storm.raise_(Trouble(429, share=0.5))

TLS is verified on both sides of it, and who one is goes through: the token of a kubeconfig (no client certificate).
"""

from __future__ import annotations

import contextlib
import http.client
import json
import random
import socket
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from tests.controlplane.api import Access
from tests.controlplane.certificates import Pair

REASONS = {
    401: "Unauthorized",
    403: "Forbidden",
    404: "NotFound",
    409: "Conflict",
    410: "Expired",
    429: "TooManyRequests",
    500: "InternalError",
    503: "ServiceUnavailable",
    504: "Timeout",
}
#: Of one connection to the next one only; the body's own headers are made anew.
_HOP = {"connection", "transfer-encoding", "content-length", "keep-alive", "host"}


@dataclass(frozen=True, slots=True)
class Trouble:
    """What goes wrong, and with which requests.

    Attributes:
        code: The HTTP status of the answer; None closes the connection without one.
        method: Only this method.
        path: Only requests with this in their path or query: `/configmaps`, `watch=true`.
        share: Only this share of them, by chance.
        times: Only so often; None for as long as the storm lasts.
        delay: Seconds that pass before.
        after: The request is done first: its answer is what gets lost.
        in_stream: A watch begins well and then says it as its first event, as the API server's cache does with 410.
        retry_after: Seconds in the answer's Retry-After.
    """

    code: int | None
    method: str = ""
    path: str = ""
    share: float = 1.0
    times: int | None = None
    delay: float = 0.0
    after: bool = False
    in_stream: bool = False
    retry_after: int | None = None

    def status(self) -> bytes:
        """The Status object of the answer."""
        code = self.code or 0
        words = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": "a storm"}
        return json.dumps({**words, "reason": REASONS.get(code, "Unknown"), "code": code}).encode()


@dataclass(frozen=True, slots=True)
class Seen:
    """A request that came through the door. `code` is what its sender was told, None when that was nothing."""

    method: str
    uri: str
    code: int | None
    trouble: Trouble | None
    at: float


class Storm:
    """The door; a context, calm at first."""

    def __init__(self, access: Access, pair: Pair, folder: Path, seed: int = 1) -> None:
        self._access = access
        self._folder = folder
        self._lock = threading.Lock()
        self._troubles: list[tuple[Trouble, int]] = []
        self._random = random.Random(seed)
        self._sockets: set[socket.socket] = set()
        self._watches: set[socket.socket] = set()
        self.seen: list[Seen] = []
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(*pair.files)
        self._server = _Server(tls, self._serve, self._sockets)
        self.url = f"https://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=[0.05], name="storm")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._end(self._sockets)
        self._server.server_close()  # waits for the threads of connections
        self._thread.join()

    def kubeconfig(self, of: Path) -> Path:
        """That kubeconfig, through the door."""
        through = replace(Access.of(of), server=self.url)
        path = self._folder / f"storm-{of.name}"
        path.touch(mode=0o600)
        path.write_text(through.kubeconfig())
        return path

    def raise_(self, *troubles: Trouble) -> None:
        """Adds troubles; the first that fits a request is what befalls it."""
        with self._lock:
            self._troubles += [(trouble, 0) for trouble in troubles]

    def calm(self) -> None:
        """Ends all troubles."""
        with self._lock:
            self._troubles.clear()

    def end_watches(self) -> None:
        """Closes the connection of every running watch, as a load balancer does that was restarted."""
        self._end(self._watches)

    def _end(self, sockets: set[socket.socket]) -> None:
        with self._lock:
            ending = list(sockets)
        for each in ending:
            with contextlib.suppress(OSError):
                socket.socket.shutdown(each, socket.SHUT_RDWR)  # beneath TLS, which another thread may be using

    def _trouble(self, method: str, uri: str) -> Trouble | None:
        with self._lock:
            for n, (trouble, used) in enumerate(self._troubles):
                fits = trouble.method in {"", method} and trouble.path in uri
                if fits and (trouble.times is None or used < trouble.times) and self._random.random() < trouble.share:
                    self._troubles[n] = (trouble, used + 1)
                    return trouble
        return None

    def _serve(self, asked: _Connection) -> None:
        """One request."""
        trouble = self._trouble(asked.command, asked.path)
        if trouble:
            time.sleep(trouble.delay)
        code: int | None = None
        try:
            if trouble is None:
                code = self._forward(asked, lose=False)
            else:
                if trouble.after:
                    self._forward(asked, lose=True)
                code = asked.answer(trouble)
        except OSError:
            asked.close_connection = True  # one of both sides went away
        finally:
            self.seen.append(Seen(asked.command, asked.path, code, trouble, time.monotonic()))

    def _forward(self, asked: _Connection, *, lose: bool) -> int:
        place = urlsplit(self._access.server)
        tls = ssl.create_default_context(cafile=str(self._access.authority))
        server = http.client.HTTPSConnection(place.hostname or "", place.port, timeout=600, context=tls)
        streams = "watch=true" in asked.path
        try:
            headers = {k: v for k, v in asked.headers.items() if k.lower() not in _HOP}
            server.request(asked.command, asked.path, asked.body, headers)
            with self._lock:
                self._sockets.add(server.sock)
                if streams:
                    self._watches.add(asked.connection)
            answer = server.getresponse()
            if lose:
                answer.read()
            else:
                asked.pass_on(answer)
        except http.client.HTTPException as error:
            raise ConnectionError(repr(error)) from error
        else:
            return answer.status
        finally:
            with self._lock:
                self._sockets.discard(server.sock)
                self._watches.discard(asked.connection)
            server.close()


class _Server(ThreadingHTTPServer):
    daemon_threads = False
    request_queue_size = 128

    def __init__(self, tls: ssl.SSLContext, serve: Callable[[_Connection], None], sockets: set[socket.socket]) -> None:
        self.tls, self.serve, self.sockets = tls, serve, sockets
        super().__init__(("127.0.0.1", 0), _Connection)

    def get_request(self) -> tuple[socket.socket, Any]:
        plain, address = super().get_request()
        # The handshake comes with the first read, in the connection's own thread.
        wrapped = self.tls.wrap_socket(plain, server_side=True, do_handshake_on_connect=False)
        self.sockets.add(wrapped)
        return wrapped, address

    def shutdown_request(self, request: Any) -> None:
        self.sockets.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is none of our business."""


class _Connection(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server
    body: bytes | None

    def serve(self) -> None:
        length = self.headers.get("Content-Length")
        self.body = self.rfile.read(int(length)) if length else None
        self.server.serve(self)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = serve  # noqa: N815 - the names that the base class looks for

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class' name
        pass

    def pass_on(self, answer: http.client.HTTPResponse) -> None:
        """The server's answer, piece by piece as it comes."""
        self.send_response_only(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in _HOP:
                self.send_header(name, value)
        length = answer.getheader("Content-Length")
        self.send_header(*(("Content-Length", length) if length is not None else ("Transfer-Encoding", "chunked")))
        self.end_headers()
        while piece := answer.read1(65536):
            self.wfile.write(piece if length is not None else b"%x\r\n%s\r\n" % (len(piece), piece))
        if length is None:
            self.wfile.write(b"0\r\n\r\n")

    def answer(self, trouble: Trouble) -> int | None:
        """What befalls the request instead of the server's answer."""
        if trouble.code is None:
            self.close_connection = True
            return None
        body = trouble.status()
        if trouble.in_stream:
            body = b'{"type":"ERROR","object":%s}\n' % body
        self.send_response_only(200 if trouble.in_stream else trouble.code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        if trouble.retry_after is not None:
            self.send_header("Retry-After", str(trouble.retry_after))
        self.end_headers()
        self.wfile.write(body)
        return trouble.code
