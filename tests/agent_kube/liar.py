"""An API server that lies in its LISTs: a proxy before the real one, on loopback, without TLS.

In: a control plane, and what to do with the answer to a LIST. Out: an address. Everything else passes as it is.
"""

from __future__ import annotations

import contextlib
import http.server
import json
import threading
from collections.abc import Callable, Iterator
from http.client import HTTPSConnection
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.controlplane.plane import ControlPlane

Change = Callable[[dict[str, Any]], dict[str, Any]]


@contextlib.contextmanager
def liar(plane: ControlPlane, change: Change) -> Iterator[str]:
    """The proxy's `http://HOST:PORT`; `change` is asked for each answer to a LIST of ConfigMaps."""
    upstream = urlsplit(plane.admin.server)
    tls = plane.admin.ssl_context()

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._pass()

        def do_POST(self) -> None:
            self._pass()

        def do_PATCH(self) -> None:
            self._pass()

        def log_message(self, *_: object) -> None:
            pass

        def _pass(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = self.rfile.read(length) if length else None
            connection = HTTPSConnection(str(upstream.hostname), upstream.port, context=tls, timeout=600)
            headers = {
                k: v for k, v in self.headers.items() if k.lower() in {"authorization", "content-type", "accept"}
            }
            try:
                connection.request(self.command, self.path, body, headers)
                answer = connection.getresponse()
                query = parse_qs(urlsplit(self.path).query)
                self.send_response(answer.status)
                self.send_header("Content-Type", answer.getheader("Content-Type", ""))
                self.send_header("Connection", "close")
                self.end_headers()
                if "watch" in query:
                    while chunk := answer.read1(65536):
                        self.wfile.write(chunk)
                        self.wfile.flush()
                else:
                    text = answer.read()
                    if self.command == "GET" and "/configmaps?" in self.path and answer.status == 200:
                        text = json.dumps(change(json.loads(text))).encode()
                    self.wfile.write(text)
            except OSError:
                pass
            finally:
                connection.close()
                self.close_connection = True

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    work = threading.Thread(target=server.serve_forever, daemon=True)
    work.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        work.join(5)
