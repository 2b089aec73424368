"""`/healthz`, `/readyz` and `/metrics` over HTTP, for the kubelet and Prometheus.

In: questions to answer. Out: an HTTP server in the same loop as the work, so that one that hangs does not answer.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from aiohttp import web


@dataclass(slots=True)
class Health:
    """The server.

    Attributes:
        ready: None when all is well, else why not.
        metrics: body and content type of `/metrics`.
    """

    host: str
    port: int
    ready: Callable[[], str | None]
    metrics: Callable[[], tuple[bytes, str]]
    _runner: web.AppRunner | None = None

    async def __aenter__(self) -> Health:  # noqa: PYI034
        app = web.Application()
        app.router.add_get("/healthz", self._healthz)
        app.router.add_get("/readyz", self._readyz)
        app.router.add_get("/metrics", self._metrics)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, self.host, self.port, reuse_address=True)
        await site.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _healthz(self, _: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def _readyz(self, _: web.Request) -> web.Response:
        why = self.ready()
        return web.Response(text="ok\n") if why is None else web.Response(status=503, text=f"{why}\n")

    async def _metrics(self, _: web.Request) -> web.Response:
        body, kind = self.metrics()
        return web.Response(body=body, headers={"Content-Type": kind})
