"""A blocking event socket client of the contract suite's own, so that the product's client is not its own judge."""

from __future__ import annotations

import socket
import time
import urllib.parse
from collections import deque


class Esl:
    """One connection. Events that come in between are kept in `events`, decoded."""

    def __init__(self, host: str, port: int, password: str) -> None:
        self.socket = socket.create_connection((host, port), timeout=30)
        self.events: deque[dict[str, str]] = deque()
        self.pending = b""
        self.greeting = self.frame()
        self.accepted = self.command(f"auth {password}")

    def command(self, text: str) -> dict[str, str]:
        self.send(text)
        return self.reply()

    def api(self, text: str) -> str:
        return self.command(f"api {text}")["_body"]

    def send(self, text: str) -> None:
        self.socket.sendall(text.encode() + b"\n\n")

    def reply(self) -> dict[str, str]:
        while True:
            frame = self.frame()
            if frame["Content-Type"] != "text/event-plain":
                return frame
            self._keep(frame)

    def wait_event(self, seconds: float) -> dict[str, str] | None:
        """The next event, or None when none comes in time."""
        if self.events:
            return self.events.popleft()
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            self.socket.settimeout(left)
            try:
                frame = self.frame()
            except TimeoutError:
                break
            finally:
                self.socket.settimeout(30)
            self._keep(frame)
            return self.events.popleft()
        return None

    def frame(self) -> dict[str, str]:
        while b"\n\n" not in self.pending:
            self._read()
        head, _, self.pending = self.pending.partition(b"\n\n")
        headers = _headers(head)
        length = int(headers.get("Content-Length", "0"))
        while len(self.pending) < length:
            self._read()
        body, self.pending = self.pending[:length], self.pending[length:]
        return headers | {"_body": body.decode("utf-8", "surrogateescape"), "_head": head.decode()}

    def close(self) -> None:
        self.socket.close()

    def _read(self) -> None:
        data = self.socket.recv(1 << 16)
        if not data:
            raise ConnectionError("the switch hung up")
        self.pending += data

    def _keep(self, frame: dict[str, str]) -> None:
        head, _, body = frame["_body"].partition("\n\n")
        decoded = {name: urllib.parse.unquote(value) for name, value in _headers(head.encode()).items()}
        self.events.append(decoded | {"_raw": frame["_body"], "_body": body})


def _headers(head: bytes) -> dict[str, str]:
    lines = head.decode("utf-8", "surrogateescape").strip("\n").split("\n")
    return dict(line.split(": ", 1) for line in lines if ": " in line)
