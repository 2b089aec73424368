"""kopf, run embedded: watches SipGateways and SipSwitches and passes each event on as a hint.

In: an `Access`, namespaces. Out: calls on the operator's own loop. kopf runs in a thread with a loop of its own,
because it cancels every task that it did not find there, and takes signals, when it runs in the main one. Only
`on.event` handlers that return None are used: anything else would write into every object. No indexes, no peering,
no scanning.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any

import kopf

from sipgateway.api.names import GROUP, PLURAL, SWITCH_PLURAL, VERSION
from sipgateway.cluster.access import Access
from sipgateway.cluster.client import Obj

#: Told of each event: the plural of its kind, the type (None for listed), the object.
OnEvent = Callable[[str, str | None, Obj], None]

#: Seconds for which kopf keeps the task of an object that nothing happens to: ten thousand of them take 60 MB.
_IDLE = 0.05

#: Seconds after which the server ends a watch and kopf opens the next.
_WATCH = 240


@dataclass(slots=True)
class KopfWatch:
    """One run of kopf.

    Attributes:
        namespaces: where to watch; empty for everywhere.
        on_event: called in the loop that started the watch.
    """

    access: Access
    namespaces: Collection[str]
    on_event: OnEvent
    _loop: asyncio.AbstractEventLoop | None = None
    _thread: threading.Thread | None = None
    _stop: threading.Event = field(default_factory=threading.Event)
    _ended: asyncio.Event = field(default_factory=asyncio.Event)
    _error: BaseException | None = None

    async def __aenter__(self) -> KopfWatch:  # noqa: PYI034
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._run, name="kopf", daemon=True)
        self._thread.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._stop.set()
        await self._ended.wait()
        if self._thread is not None:
            await asyncio.to_thread(self._thread.join)

    async def ended(self) -> None:
        """Returns when kopf has ended, which it does not unless something broke.

        Raises:
            RuntimeError: what it ended with.
        """
        await self._ended.wait()
        raise RuntimeError(f"kopf ended: {self._error or 'without an error'}")

    def _run(self) -> None:
        try:
            asyncio.run(self._operate())
        except Exception as error:  # noqa: BLE001 - whatever it is, the supervisor starts it again and says so
            self._error = error
        finally:
            if self._loop is not None:
                with contextlib.suppress(RuntimeError):  # the loop is closed: nobody is left to be told
                    self._loop.call_soon_threadsafe(self._ended.set)

    async def _operate(self) -> None:
        registry = kopf.OperatorRegistry()
        own = asyncio.get_running_loop()
        tokens = self.access.token

        async def login(**_: Any) -> kopf.ConnectionInfo:
            certificate, key = self.access.client_certificate or (None, None)
            token = None if tokens is None else await asyncio.wrap_future(self._fetch_token(), loop=own)
            return kopf.ConnectionInfo(
                server=self.access.server,
                ca_path=self.access.ca_file,
                token=token,
                certificate_path=certificate,
                private_key_path=key,
            )

        # `async`, though they await nothing: kopf sends any other handler through a pool of threads.
        async def gateway(event: Any, **_: Any) -> None:
            self._pass_on(PLURAL, event)

        async def switch(event: Any, **_: Any) -> None:
            self._pass_on(SWITCH_PLURAL, event)

        kopf.on.login(registry=registry, id="login")(login)
        kopf.on.event(GROUP, VERSION, PLURAL, registry=registry, id="gateway")(gateway)
        kopf.on.event(GROUP, VERSION, SWITCH_PLURAL, registry=registry, id="switch")(switch)
        await kopf.operator(
            registry=registry,
            settings=settings(),
            standalone=True,
            clusterwide=not self.namespaces,
            namespaces=sorted(self.namespaces),
            stop_flag=self._stop,
        )

    def _fetch_token(self) -> Any:
        if self._loop is None or self.access.token is None:
            raise RuntimeError("not started")
        return asyncio.run_coroutine_threadsafe(self.access.token.get(fresh=True), self._loop)

    def _pass_on(self, plural: str, event: Any) -> None:
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self.on_event, plural, event["type"], event["object"])


class _NoMemory(kopf.DiffBaseStorage):
    """kopf computes what it would store in each object's annotations; we store nothing, so there is nothing to do."""

    def build(self, **_: Any) -> kopf.BodyEssence:
        return kopf.BodyEssence({})

    def fetch(self, **_: Any) -> kopf.BodyEssence | None:
        return None

    def store(self, **_: Any) -> None:
        return


def settings() -> kopf.OperatorSettings:
    """Kopf's settings: it only watches."""
    made = kopf.OperatorSettings()
    made.scanning.disabled = True
    made.posting.enabled = False
    made.batching.batch_window = 0
    made.queueing.idle_timeout = _IDLE
    made.watching.chunk_size = 500
    made.watching.server_timeout = _WATCH
    made.persistence.diffbase_storage = _NoMemory()
    return made


def quiet_logs() -> None:
    """Kopf tells of each object and each login; only what is wrong is of interest."""
    for name in ("kopf.objects", "kopf.activities", "kopf._core", "kopf._cogs", "kopf"):
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.getLogger("kopf._core.reactor.running").setLevel(logging.ERROR)  # that it takes no signals here is meant
