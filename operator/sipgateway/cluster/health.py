"""`/healthz`, `/readyz` and `/metrics` over HTTP, for the kubelet and Prometheus.

In: questions to answer. Out: an HTTP server in the same loop as the work, so that one that hangs does not answer.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from aiohttp import web

from sipgateway.cluster.codes import CANNOT_LISTEN
from sipgateway.errors import SipgwError

#: Seconds that answers in hand get at the end.
_LAST_ANSWERS = 1.0


@dataclass(slots=True)
class Health:
    """The server.

    Attributes:
        ready: None when all is well, else why not.
        metrics: body and content type of `/metrics`, for what the asker accepts.
    """

    host: str
    port: int
    ready: Callable[[], str | None]
    metrics: Callable[[str], tuple[bytes, str]]
    _runner: web.AppRunner | None = None

    async def __aenter__(self) -> Health:  # noqa: PYI034
        app = web.Application()
        app.router.add_get("/healthz", self._healthz)
        app.router.add_get("/readyz", self._readyz)
        app.router.add_get("/metrics", self._metrics)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=_LAST_ANSWERS)
        await self._runner.setup()
        site = web.TCPSite(self._runner, self.host, self.port, reuse_address=True)
        try:
            await site.start()
        except OSError as error:
            await self._runner.cleanup()
            where = f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"
            what = f"Nothing can be served on {where}: {error.strerror or error}."
            raise SipgwError(CANNOT_LISTEN.because("", what)) from None
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _healthz(self, _: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def _readyz(self, _: web.Request) -> web.Response:
        why = self.ready()
        return web.Response(text="ok\n") if why is None else web.Response(status=503, text=f"{why}\n")

    async def _metrics(self, request: web.Request) -> web.Response:
        body, kind = self.metrics(request.headers.get("Accept", ""))
        return web.Response(body=body, headers={"Content-Type": kind})
