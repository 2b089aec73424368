"""A thin asyncio client of the event socket: calls with time limits, pipelines, events.

In: `commands.Command`s. Out: bodies of replies, and events in the order in which the switch sent them. A reply that is
late ends the connection: it could be taken for the answer to a later command.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import deque
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

from sipgateway.errors import Finding, SwitchError
from sipgateway.esl.commands import Command
from sipgateway.esl.protocol import ApiResponse, AuthRequest, CommandReply, Disconnect, Event, Message, Protocol, encode

#: Seconds that one reply may take: a rescan of 10,000 gateways takes one (fact 10); a switch under load takes more.
REPLY_TIMEOUT = 30.0

#: Commands in flight: enough to keep the switch busy, few enough that neither side's buffers fill up.
WINDOW = 256

#: Events kept for a reader that is behind; more are dropped, and the reader is told.
MAX_EVENTS = 50_000

_CHUNK = 256 * 1024


@dataclass(frozen=True, slots=True)
class EventsLost:
    """Stands in the stream of events where some were dropped: read the state anew."""

    count: int


@dataclass(slots=True)
class Client:
    """One logged-in connection. Use `connect`."""

    _reader: asyncio.StreamReader
    _writer: asyncio.StreamWriter
    _protocol: Protocol = field(default_factory=Protocol)
    _waiting: deque[asyncio.Future[ApiResponse | CommandReply]] = field(default_factory=deque)
    _events: deque[Event] = field(default_factory=deque)
    _lost: int = 0
    _news: asyncio.Event = field(default_factory=asyncio.Event)
    _failure: SwitchError | None = None
    _reading: asyncio.Task[None] | None = None
    _sending: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def api(self, command: Command, *, timeout: float = REPLY_TIMEOUT) -> str:  # noqa: ASYNC109
        """Sends one command and gives the body of its reply.

        Raises:
            SwitchError: no reply in `timeout` seconds, or the connection is gone.
        """
        return (await self.pipeline([command], timeout=timeout))[0]

    async def pipeline(
        self,
        commands: Sequence[Command],
        *,
        timeout: float = REPLY_TIMEOUT,  # noqa: ASYNC109
    ) -> list[str]:
        """Sends commands without waiting in between; gives the bodies in the same order.

        Args:
            commands: carried out by the switch one after the other.
            timeout: seconds that each reply may take after the one before it.

        Raises:
            SwitchError: a reply is late, or the connection is gone.
        """
        async with self._sending:
            bodies: list[str] = []
            pending: deque[asyncio.Future[ApiResponse | CommandReply]] = deque()
            position = 0
            while position < len(commands) or pending:
                if position < len(commands) and len(pending) <= WINDOW // 2:
                    batch = commands[position : position + WINDOW - len(pending)]
                    position += len(batch)
                    pending.extend(self._send(b"".join(encode(c.text) for c in batch), len(batch)))
                reply = await self._answer(pending.popleft(), timeout)
                if not isinstance(reply, ApiResponse):
                    raise await self._fail("SwitchConfused", f"answered a command with {reply.text[:60]!r}")
                bodies.append(reply.text)
            return bodies

    async def subscribe(self, subclasses: Sequence[str]) -> None:
        """Asks for CUSTOM events of these subclasses (fact 22).

        Raises:
            SwitchError: the switch refused, or the connection is gone.
        """
        reply = await self._command("event plain CUSTOM " + " ".join(subclasses))
        if not reply.ok:
            raise await self._fail("SwitchConfused", f"refused to send events: {reply.text[:60]!r}")

    @property
    def events(self) -> AsyncIterator[Event | EventsLost]:
        """Events as they come; ends when the connection does."""
        return self._iterate()

    async def close(self) -> None:
        """Ends the connection. Waiting calls fail."""
        await self._fail("SwitchDisconnected", "was left by us")

    async def __aenter__(self) -> Client:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def login(self, password: str, limit: float) -> None:
        """Waits for the greeting and logs in; `connect` does it.

        Raises:
            SwitchError: wrong password, no greeting in `limit` seconds, or not an event socket.
        """
        future: asyncio.Future[ApiResponse | CommandReply] = asyncio.get_running_loop().create_future()
        self._waiting.append(future)  # the greeting is taken for the first reply
        self._reading = asyncio.create_task(self._read())
        await self._answer(future, limit)
        reply = await self._command(f"auth {password}", limit)
        if not reply.ok:
            raise await self._fail(
                "SwitchRefusedPassword", "refused the password", "Check the event socket's password."
            )

    async def _iterate(self) -> AsyncIterator[Event | EventsLost]:
        while True:
            while self._events or self._lost:
                if self._lost:
                    lost, self._lost = self._lost, 0
                    self._events.clear()
                    yield EventsLost(lost)
                else:
                    yield self._events.popleft()
            if self._failure is not None:
                return
            self._news.clear()
            await self._news.wait()

    async def _command(self, text: str, limit: float = REPLY_TIMEOUT) -> CommandReply:
        async with self._sending:
            (future,) = self._send(encode(text), 1)
            reply = await self._answer(future, limit)
        if not isinstance(reply, CommandReply):
            raise await self._fail("SwitchConfused", "answered out of order")
        return reply

    def _send(self, data: bytes, replies: int) -> list[asyncio.Future[ApiResponse | CommandReply]]:
        if self._failure is not None:
            raise self._failure
        loop = asyncio.get_running_loop()
        futures: list[asyncio.Future[ApiResponse | CommandReply]] = [loop.create_future() for _ in range(replies)]
        self._waiting.extend(futures)
        self._writer.write(data)
        return futures

    async def _answer(
        self, future: asyncio.Future[ApiResponse | CommandReply], limit: float
    ) -> ApiResponse | CommandReply:
        try:
            if future.done():
                return future.result()
            return await asyncio.wait_for(asyncio.shield(future), limit)
        except TimeoutError:
            raise await self._fail("SwitchSilent", f"did not answer within {limit:g} s") from None

    async def _read(self) -> None:
        try:
            while data := await self._reader.read(_CHUNK):
                for message in self._protocol.receive(data):
                    self._deliver(message)
            self._end(_error("SwitchDisconnected", "closed the connection"))
        except SwitchError as error:
            self._end(error)
        except OSError as error:
            self._end(_error("SwitchDisconnected", f"is gone ({error.strerror or error})"))

    def _deliver(self, message: Message) -> None:
        match message:
            case AuthRequest():
                self._resolve(CommandReply("+OK"))
            case ApiResponse() | CommandReply():
                self._resolve(message)
            case Event():
                if len(self._events) >= MAX_EVENTS:
                    self._lost += 1
                else:
                    self._events.append(message)
                self._news.set()
            case Disconnect():
                self._end(_error("SwitchDisconnected", "said goodbye"))

    def _resolve(self, reply: ApiResponse | CommandReply) -> None:
        if not self._waiting:
            raise _error("SwitchConfused", "answered what was not asked")
        future = self._waiting.popleft()
        if not future.done():
            future.set_result(reply)

    def _end(self, error: SwitchError) -> None:
        if self._failure is None:
            self._failure = error
        while self._waiting:
            future = self._waiting.popleft()
            if not future.done():
                future.set_exception(self._failure)
                future.exception()  # a caller that was cancelled does not fetch it
        self._news.set()
        self._writer.close()

    async def _fail(self, code: str, what: str, action: str = "") -> SwitchError:
        error = _error(code, what, action)
        self._end(error)
        if self._reading is not None and self._reading is not asyncio.current_task():
            self._reading.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._reading
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()
        return error


async def connect(host: str, port: int, password: str, *, timeout: float = 5.0) -> Client:  # noqa: ASYNC109
    """Connects and logs in.

    Args:
        host, port: where the event socket listens.
        password: never shown in any error.
        timeout: seconds for the connection, and again for the login.

    Raises:
        SwitchError: unreachable, wrong password, or not an event socket.
    """
    try:
        async with asyncio.timeout(timeout):
            reader, writer = await asyncio.open_connection(host, port, limit=2 * _CHUNK)
    except (OSError, TimeoutError) as error:
        why = "no answer" if isinstance(error, TimeoutError) else (error.strerror or str(error))
        raise SwitchError(
            Finding(
                "SwitchUnreachable",
                "",
                f"Cannot connect to the switch's event socket at {host}:{port}: {why}.",
                "Check that FreeSWITCH runs, that mod_event_socket is loaded, and the address given with --esl.",
            )
        ) from None
    client = Client(reader, writer)
    try:
        await client.login(password, timeout)
    except BaseException:
        await client.close()
        raise
    return client


def backoff(attempt: int, source: random.Random, *, first: float = 0.1, most: float = 5.0) -> float:
    """Seconds to wait before the `attempt`-th reconnect (from 1): exponential, with full jitter."""
    return source.uniform(first / 2, max(first, min(first * 2.0 ** min(attempt, 20), most)))


def _error(code: str, what: str, action: str = "") -> SwitchError:
    return SwitchError(Finding(code, "", f"The switch {what}.", action or "It is tried again by itself."))
