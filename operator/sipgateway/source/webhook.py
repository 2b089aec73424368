"""A door for pushes: whoever knows the secret may say that the branch has moved, and nothing else.

In: HTTP requests signed as GitHub, Gitea and Forgejo sign them (`X-Hub-Signature-256`). Out: a call, an answer. What a
request says is not believed: the branch is fetched and looked at.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass

from aiohttp import web

from sipgateway.cluster.codes import CANNOT_LISTEN
from sipgateway.errors import SipgwError

#: Bytes of a request's body.
MAX_BODY = 1024 * 1024

_LAST_ANSWERS = 1.0


@dataclass(slots=True)
class Webhook:
    """The server; use as an async context manager.

    Attributes:
        secret: that requests are signed with.
        pushed: called for each request that is.
    """

    host: str
    port: int
    secret: bytes
    pushed: Callable[[], None]
    _runner: web.AppRunner | None = None

    async def __aenter__(self) -> Webhook:  # noqa: PYI034
        app = web.Application(client_max_size=MAX_BODY)
        app.router.add_post("/webhook", self._webhook)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=_LAST_ANSWERS)
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, self.host, self.port, reuse_address=True).start()
        except OSError as error:
            await self._runner.cleanup()
            what = f"Nothing can be served on {self.host}:{self.port}: {error.strerror or error}."
            raise SipgwError(CANNOT_LISTEN.because("--webhook-listen", what)) from None
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _webhook(self, request: web.Request) -> web.Response:
        body = await request.read()
        wanted = "sha256=" + hmac.new(self.secret, body, hashlib.sha256).hexdigest()
        given = request.headers.get("X-Hub-Signature-256", "")
        if not hmac.compare_digest(wanted.encode(), given.encode("utf-8", "replace")):
            return web.Response(status=401, text="the signature is missing or wrong\n")
        self.pushed()
        return web.Response(status=202, text="the branch is looked at\n")
