"""Connections to the API server that notice when nobody is at their other end, and a question before each write.

In: an `Access`. Out: what aiohttp's sessions are made of, ours and kopf's.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, Final

import aiohttp

from sipgateway.cluster.access import Access

#: TCP asks an idle peer after 20 s, gives it up after 3 questions 10 s apart; and what was sent, after 30 s.
_TCP: Final = (("TCP_KEEPIDLE", 20), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 3), ("TCP_USER_TIMEOUT", 30_000))


def connector(access: Access, limit: int) -> aiohttp.TCPConnector:
    """A pool of connections.

    Args:
        access: the server's certificate is verified against it.
        limit: how many at once; 0 for any number.
    """
    return aiohttp.TCPConnector(limit=limit, ssl=access.ssl_context(), keepalive_timeout=60, socket_factory=_socket)


def asks_before_sending() -> aiohttp.TraceConfig:
    """Lets a request's `trace_request_ctx`, a callable, forbid it by raising once it has its connection.

    aiohttp tells of a request's headers right before it sends them, and again when it sends them anew; what is raised
    then closes the connection.
    """
    traces = aiohttp.TraceConfig()
    traces.on_request_headers_sent.append(_ask)
    return traces


async def _ask(_session: object, context: SimpleNamespace, _params: object) -> None:
    guard: Callable[[], None] | None = context.trace_request_ctx
    if guard is not None:
        guard()


def _socket(info: tuple[Any, ...]) -> socket.socket:
    made = socket.socket(info[0], info[1], info[2])
    made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _TCP:
        if hasattr(socket, name):  # Linux has all of them
            made.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
    return made
