"""kopf, run embedded: watches SipGateways and SipSwitches and passes each event on as a hint.

In: an `Access`, namespaces. Out: calls on the operator's own loop. kopf runs in a thread with a loop of its own,
because it cancels every task that it did not find there, and takes signals, when it runs in the main one. Only
`on.event` handlers that return None are used: anything else would write into every object. No indexes, no peering,
no scanning.

kopf's requests go through a session of ours: the token is read anew when it was refused, dead connections are noticed,
and it shows when a watch began anew, since kopf tells nobody what went meanwhile. A namespace that it may not read, or
an API server that does not answer, it tries again for ever, each watch by itself; what ends it is told to who waits.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import threading
from collections.abc import Callable, Collection, Coroutine, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeVar

import aiohttp
import kopf

from sipgateway import __version__
from sipgateway.api.names import API_VERSION, GROUP, PLURAL, SWITCH_PLURAL, VERSION
from sipgateway.cluster.access import Access
from sipgateway.cluster.client import Obj
from sipgateway.cluster.connections import connector

log = logging.getLogger("sipgateway.watch")

_T = TypeVar("_T")

#: Told of each event: the plural of its kind, the type (None for listed), the object.
OnEvent = Callable[[str, str | None, Obj], None]

#: Told of each watch that began after a LIST: the namespace, None for all.
OnWatch = Callable[[str | None], None]

#: Told how each LIST and watch was answered: the namespace, the plural, the HTTP status and its word.
OnAnswer = Callable[[str | None, str, int, str], None]

#: Seconds for which kopf keeps the task of an object that nothing happens to: ten thousand of them take 60 MB.
_IDLE = 0.05

#: Seconds after which the server ends a watch and kopf opens the next.
_WATCH = 240

#: Seconds that a request of kopf's may take, and a connection's beginning.
_REQUEST, _CONNECT = 30.0, 10.0

#: Seconds between kopf's tries; the last for ever.
_PAUSES = (0.2, 0.5, 1.0, 2.0, 5.0)

#: Seconds between log-ins, when the API server refuses the token that there is.
_LOGIN_FIRST, _LOGIN_MAX = 1.0, 30.0

#: Seconds after which kopf has to have tried to list all that it is to watch. It asks once what there is, and when
#: that answer was wrong, it sleeps for ever.
_BEGIN = 10.0

#: Seconds that kopf's tasks get to end, and that its thread's end is waited for.
_END = 1.0

_OURS = f"/apis/{API_VERSION}/"


@dataclass(slots=True)
class KopfWatch:
    """One run of kopf.

    Attributes:
        namespaces: where to watch; empty for everywhere.
        on_event, on_watch, on_answer: called in the loop that started the watch.
    """

    access: Access
    namespaces: Collection[str]
    on_event: OnEvent
    on_watch: OnWatch
    on_answer: OnAnswer
    _loop: asyncio.AbstractEventLoop = field(init=False)
    _thread: threading.Thread = field(init=False)
    _own: asyncio.AbstractEventLoop | None = None
    _stop: asyncio.Event | None = None
    _stopping: bool = False
    _ended: asyncio.Event = field(default_factory=asyncio.Event)
    _error: BaseException | None = None
    _sessions: list[aiohttp.ClientSession] = field(default_factory=list)
    _tried: set[str] = field(default_factory=set)
    _listed: set[str] = field(default_factory=set)

    async def __aenter__(self) -> KopfWatch:  # noqa: PYI034
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._run, name="kopf", daemon=True)
        self._thread.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._stopping = True
        own, stop = self._own, self._stop
        if own is not None and stop is not None:
            with contextlib.suppress(RuntimeError):  # its loop is closed: it has ended by itself
                own.call_soon_threadsafe(stop.set)
        with contextlib.suppress(TimeoutError):  # nothing depends on it any more, and it ends with the process
            async with asyncio.timeout(_END):
                await self._ended.wait()
                await asyncio.to_thread(self._thread.join)

    async def ended(self) -> str:
        """Returns when kopf has ended, which it does not unless something broke; says what."""
        await self._ended.wait()
        error = self._error
        return "without an error" if error is None else f"{type(error).__name__}: {error}"

    # In kopf's thread

    def _run(self) -> None:
        loop = asyncio.new_event_loop()
        try:
            loop.run_until_complete(self._operate())
        except BaseException as error:  # noqa: BLE001 - whatever it is, who waits starts kopf again and says so
            self._error = error
        self._tell(self._ended.set)
        # Not asyncio.run: it would wait for ever for a task of kopf's that takes no cancellation.
        left = asyncio.all_tasks(loop)
        for task in left:
            task.cancel()
        if left:
            loop.run_until_complete(asyncio.wait(left, timeout=_END))
        loop.close()

    async def _operate(self) -> None:
        self._stop = asyncio.Event()
        self._own = asyncio.get_running_loop()
        self._own.set_exception_handler(_unheard)
        if self._stopping:
            return
        registry = kopf.OperatorRegistry()

        # `async`, though they await nothing: kopf sends any other handler through a pool of threads.
        async def gateway(event: Any, **_: Any) -> None:
            self._tell(self.on_event, PLURAL, event["type"], event["object"])

        async def switch(event: Any, **_: Any) -> None:
            self._tell(self.on_event, SWITCH_PLURAL, event["type"], event["object"])

        kopf.on.login(registry=registry, id="login")(self._login)
        kopf.on.event(GROUP, VERSION, PLURAL, registry=registry, id="gateway")(gateway)
        kopf.on.event(GROUP, VERSION, SWITCH_PLURAL, registry=registry, id="switch")(switch)
        tasks = await kopf.spawn_tasks(
            registry=registry,
            settings=settings(),
            standalone=True,
            clusterwide=not self.namespaces,
            namespaces=sorted(self.namespaces),
            # Not used without peering; but its default asks for the user's name, and in a container there is none.
            identity="sipgateway-operator",  # type: ignore[arg-type] # a str of a type that kopf keeps to itself
        )
        try:
            await self._until_one_ends(tasks)
        finally:
            for session in self._sessions:
                await session.close()

    async def _until_one_ends(self, tasks: Collection[asyncio.Task[None]]) -> None:
        """Until somebody stops it, or the first of kopf's tasks ends; the others then end with it, and soon.

        `kopf.operator` would do that too, but waits five seconds and more for what hangs, and raises any one's error.
        """
        if self._stop is None:
            raise RuntimeError("not started")
        stopped: asyncio.Task[Any] = asyncio.create_task(self._stop.wait())
        every = {*tasks, stopped}
        done, _ = await asyncio.wait(every, return_when=asyncio.FIRST_COMPLETED, timeout=_BEGIN)
        blind = not done and not self._expected() <= self._tried
        if not done and not blind:
            done, _ = await asyncio.wait(every, return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks, timeout=_END)
        if blind:
            raise RuntimeError("it watches nothing")
        for task in done - {stopped}:
            task.result()

    def _expected(self) -> set[str]:
        """The collections that it has to watch."""
        where = [f"namespaces/{name}/" for name in self.namespaces] or [""]
        return {f"{_OURS}{place}{plural}" for place in where for plural in (PLURAL, SWITCH_PLURAL)}

    async def _login(self, **_: Any) -> kopf.AiohttpSession:
        """A session; kopf asks for another one when one was answered 401 though the token was read anew."""
        if self._sessions:
            await asyncio.sleep(min(_LOGIN_FIRST * 2 ** (len(self._sessions) - 1), _LOGIN_MAX))
        session = aiohttp.ClientSession(
            connector=connector(self.access, 0),
            headers={"User-Agent": f"sipgateway/{__version__} kopf"},
            middlewares=(self._send,),
        )
        self._sessions = [*self._sessions[-8:], session]
        return kopf.AiohttpSession(server=self.access.server, aiohttp_session=session)

    async def _send(self, request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
        used = await self._authorize(request, refused=None)
        response = await handler(request)
        if response.status == 401 and used is not None:
            response.close()
            await self._authorize(request, refused=used)
            response = await handler(request)
        self._watched(request, response)
        return response

    async def _authorize(self, request: aiohttp.ClientRequest, refused: str | None) -> str | None:
        tokens = self.access.token
        if tokens is None:
            return None
        token = await self._in_main_loop(tokens.get(refused=refused))
        request.headers["Authorization"] = f"Bearer {token}"
        if all(session.closed for session in self._sessions):
            raise RuntimeError("Session is closed")  # aiohttp's words, on which kopf acts; it looked before we waited
        return token

    def _watched(self, request: aiohttp.ClientRequest, response: aiohttp.ClientResponse) -> None:
        """Tells how it went, and of a watch that was accepted, when it is the first after a LIST."""
        path = request.url.path
        if not path.startswith(_OURS):
            return
        self._tried.add(path)
        *place, plural = path.removeprefix(_OURS).split("/")
        namespace = place[1] if place else None
        self._tell(self.on_answer, namespace, plural, response.status, response.reason or "")
        if response.status != 200:
            return
        if "watch" not in request.url.query:
            self._listed.add(path)
        elif path in self._listed:
            self._listed.discard(path)
            self._tell(self.on_watch, namespace)

    async def _in_main_loop(self, what: Coroutine[Any, Any, _T]) -> _T:
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(what, self._loop))

    def _tell(self, what: Callable[..., object], *about: Any) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody is left to be told
            self._loop.call_soon_threadsafe(what, *about)


class _Pauses:
    """Seconds between tries, without an end: one watch that fails shall not end the others."""

    def __iter__(self) -> Iterator[float]:
        yield from _PAUSES
        while True:
            yield _PAUSES[-1]


class _NoMemory(kopf.DiffBaseStorage):
    """kopf would compute what it stores in annotations, and stumble over what it finds there; we store nothing."""

    def build(self, **_: Any) -> kopf.BodyEssence:
        return kopf.BodyEssence({})

    def fetch(self, **_: Any) -> kopf.BodyEssence | None:
        return None

    def store(self, **_: Any) -> None:
        return


class _NoProgress(kopf.ProgressStorage):
    """The same for the progress of handlers."""

    def fetch(self, **_: Any) -> Any:
        return None

    def store(self, **_: Any) -> None:
        return

    def purge(self, **_: Any) -> None:
        return

    def touch(self, **_: Any) -> None:
        return

    def clear(self, *, essence: kopf.BodyEssence) -> kopf.BodyEssence:
        return essence


def settings() -> kopf.OperatorSettings:
    """Settings of kopf: it only watches."""
    made = kopf.OperatorSettings()
    made.scanning.disabled = True
    made.posting.enabled = False
    made.batching.batch_window = 0
    made.queueing.idle_timeout = _IDLE
    made.queueing.exit_timeout = 0.5
    made.watching.chunk_size = 500
    made.watching.server_timeout = _WATCH
    made.networking.request_timeout = _REQUEST
    made.networking.connect_timeout = _CONNECT
    made.networking.error_backoffs = _Pauses()
    made.persistence.diffbase_storage = _NoMemory()
    made.persistence.progress_storage = _NoProgress()
    # kopf takes its finalizer off whatever has it. Nobody can name this one.
    made.persistence.finalizer = f"{GROUP}/{secrets.token_hex(16)}"
    made.process.ultimate_exiting_timeout = None  # it would kill the process
    return made


def quiet_logs() -> None:
    """Leaves out what kopf says of failed tries, which it repeats, and that it takes no signals, which is meant."""
    for handler in logging.getLogger().handlers:
        handler.addFilter(_is_news)
    logging.getLogger("kopf._core.reactor.running").setLevel(logging.ERROR)


def _unheard(_loop: object, context: dict[str, Any]) -> None:
    """What became of tasks that kopf left behind: one broke, all end, and which one it was is told by `ended`."""
    log.debug("kopf: %s %s", context.get("message", ""), context.get("exception") or "")


def _is_news(record: logging.LogRecord) -> bool:
    # Whoever calls kopf's client gives it a logger, so that their names do not tell these.
    return not (record.name.startswith("kopf") and str(record.msg).startswith("Request attempt"))
