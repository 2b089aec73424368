"""A thin asyncio client of the event socket: calls with time limits, pipelines, events.

In: `commands.Command`s. Out: bodies of replies, and events in the order in which the switch sent them. A reply that is
late ends the connection: it could be taken for the answer to a later command. A call that is cancelled does not; its
reply is awaited and dropped.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
from collections import deque
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Self

from sipgateway.api.codes import Code
from sipgateway.errors import SwitchError
from sipgateway.esl.codes import (
    COMMAND_REFUSED,
    SWITCH_CONFUSED,
    SWITCH_DISCONNECTED,
    SWITCH_REFUSED_PASSWORD,
    SWITCH_SILENT,
    SWITCH_UNREACHABLE,
)
from sipgateway.esl.commands import Command
from sipgateway.esl.protocol import (
    ApiResponse,
    AuthRequest,
    CommandReply,
    Disconnect,
    Event,
    Message,
    Protocol,
)

#: Seconds that one reply may take: a rescan of 10,000 gateways takes one (fact 10); a switch under load takes more.
REPLY_TIMEOUT = 30.0

#: Commands in flight: enough to keep the switch busy, few enough that neither side's buffers fill up.
WINDOW = 256

#: Events kept for a reader that is behind (about 2 kB each); more are dropped, and the reader is told.
MAX_EVENTS = 20_000

_CHUNK = 256 * 1024  # bytes read at once
_KEEPALIVE = (("TCP_KEEPIDLE", 20), ("TCP_KEEPINTVL", 5), ("TCP_KEEPCNT", 4))  # seconds, seconds, times

_Reply = ApiResponse | CommandReply


@dataclass(frozen=True, slots=True)
class EventsLost:
    """Stands in the stream of events where some were dropped: read the state anew.

    Attributes:
        count: how many.
    """

    count: int


class Client:
    """One logged-in connection, made by `connect`. To be used from one event loop.

    Calls of several tasks are carried out one after the other, each pipeline as a whole.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, max_events: int) -> None:
        self._reader = reader
        self._writer = writer
        self._max_events = max_events
        self._protocol = Protocol()
        self._waiting: deque[asyncio.Future[_Reply]] = deque()
        self._events: deque[Event] = deque()
        self._lost = 0
        self._news = asyncio.Event()
        self._failure: SwitchError | None = None
        self._sending = asyncio.Lock()
        self._greeting: asyncio.Future[_Reply] = asyncio.get_running_loop().create_future()
        self._reading = asyncio.create_task(self._read(), name="esl-reader")

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def api(self, command: Command, *, timeout: float = REPLY_TIMEOUT) -> str:  # noqa: ASYNC109
        """Sends one command and gives the body of its reply.

        Args:
            command: what to do.
            timeout: seconds that the reply may take once the command is sent.

        Raises:
            SwitchError: no reply in time, or the connection is gone.
        """
        return (await self.pipeline((command,), timeout=timeout))[0]

    async def pipeline(
        self,
        commands: Sequence[Command],
        *,
        timeout: float = REPLY_TIMEOUT,  # noqa: ASYNC109
    ) -> list[str]:
        """Sends commands without waiting in between; gives the bodies in the same order.

        Up to WINDOW commands go out in one write, so nothing else comes between them on this connection.

        Args:
            commands: carried out by the switch one after the other.
            timeout: seconds that each reply may take after the one before it.

        Raises:
            SwitchError: a reply is late, or the connection is gone. What the switch did is then unknown: read it.
        """
        bodies: list[str] = []
        async with self._sending:
            pending: deque[asyncio.Future[_Reply]] = deque()
            sent = 0
            while sent < len(commands) or pending:
                if sent < len(commands) and len(pending) <= WINDOW // 2:
                    batch = commands[sent : sent + WINDOW - len(pending)]
                    sent += len(batch)
                    data = b"".join([self._protocol.send_command(c.text) for c in batch])
                    pending.extend(self._send(data, len(batch)))
                reply = await self._answer(pending.popleft(), timeout)
                if not isinstance(reply, ApiResponse):
                    raise self._give_up(SWITCH_CONFUSED, f"answered a command with {reply.text[:60]!a}")
                bodies.append(reply.text)
        return bodies

    async def subscribe(self, subclasses: Sequence[str]) -> None:
        """Asks for CUSTOM events of these subclasses (fact 22), in addition to those that were asked for before.

        Raises:
            SwitchError: the switch refused, or the connection is gone.
        """
        reply = await self._command(self._protocol.send_subscribe(subclasses), REPLY_TIMEOUT)
        if not reply.ok:
            raise _error(COMMAND_REFUSED, f"refused to send events: {reply.text[:60]!a}", "Ask for fewer events.")

    @property
    def events(self) -> AsyncIterator[Event | EventsLost]:
        """Events as they come, for one reader; ends when the connection does, after the last event.

        A reader that is too far behind gets `EventsLost` in place of what was dropped, then what came after it.
        """
        return self._iterate()

    @property
    def failure(self) -> SwitchError | None:
        """Why the connection ended; None while it stands."""
        return self._failure

    async def close(self) -> None:
        """Ends the connection. Waiting calls fail. May be called again."""
        self._end(_error(SWITCH_DISCONNECTED, "was left by us"))
        await asyncio.wait((self._reading,))
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()

    async def login(self, password: str, timeout: float) -> None:  # noqa: ASYNC109
        """Waits for the greeting and logs in; `connect` does it.

        Args:
            password: goes to the switch and nowhere else.
            timeout: seconds for the greeting, and again for the answer.

        Raises:
            SwitchError: PasswordUnusable, SwitchRefusedPassword, SwitchRefusedAddress, SwitchSilent, NotAnEventSocket.
        """
        data = self._protocol.send_auth(password)
        await self._answer(self._greeting, timeout)
        reply = await self._command(data, timeout)
        if not reply.ok:
            raise self._give_up(SWITCH_REFUSED_PASSWORD, f"refused the password: {reply.text[:60]!a}")

    async def _iterate(self) -> AsyncIterator[Event | EventsLost]:
        while True:
            while self._lost or self._events:
                if self._lost:
                    lost, self._lost = self._lost, 0
                    yield EventsLost(lost)
                else:
                    yield self._events.popleft()
            if self._failure is not None:
                return
            self._news.clear()
            await self._news.wait()

    async def _command(self, data: bytes, limit: float) -> CommandReply:
        async with self._sending:
            (future,) = self._send(data, 1)
            reply = await self._answer(future, limit)
        if not isinstance(reply, CommandReply):
            raise self._give_up(SWITCH_CONFUSED, "answered out of order")
        return reply

    def _send(self, data: bytes, replies: int) -> list[asyncio.Future[_Reply]]:
        if self._failure is not None:
            raise _again(self._failure)
        loop = asyncio.get_running_loop()
        futures: list[asyncio.Future[_Reply]] = [loop.create_future() for _ in range(replies)]
        self._waiting.extend(futures)
        self._writer.write(data)
        return futures

    async def _answer(self, future: asyncio.Future[_Reply], limit: float) -> _Reply:
        if not future.done():
            await asyncio.wait((future,), timeout=limit)  # leaves the future alone when we are cancelled
        if not future.done():
            raise self._give_up(SWITCH_SILENT, f"did not answer within {limit:g} s")
        return future.result()

    async def _read(self) -> None:
        """Reads until the connection ends, and tells everybody who waits."""
        end = _error(SWITCH_DISCONNECTED, "is no longer read")  # when we are cancelled, or by a defect
        try:
            while data := await self._reader.read(_CHUNK):
                for message in self._protocol.receive(data):
                    self._deliver(message)
                if self._protocol.failure is not None:
                    raise self._protocol.failure
            end = _error(SWITCH_DISCONNECTED, "closed the connection")
        except SwitchError as error:
            end = error
        except OSError as error:
            end = _error(SWITCH_DISCONNECTED, f"is gone ({error.strerror or error})")
        finally:
            self._end(end)

    def _deliver(self, message: Message) -> None:
        match message:
            case ApiResponse() | CommandReply():
                if not self._waiting:
                    raise _error(SWITCH_CONFUSED, "answered what was not asked")
                _resolve(self._waiting.popleft(), message)
            case Event():
                if len(self._events) >= self._max_events:
                    self._lost += len(self._events)
                    self._events.clear()
                self._events.append(message)
                self._news.set()
            case AuthRequest():
                _resolve(self._greeting, CommandReply("+OK"))
            case Disconnect():
                raise _error(SWITCH_DISCONNECTED, f"ended the connection: {message.text[:60]!a}")

    def _give_up(self, code: Code, what: str) -> SwitchError:
        """Ends the connection; gives the error to raise."""
        error = _error(code, what)
        self._end(error)
        return error

    def _end(self, error: SwitchError) -> None:
        if self._failure is not None:
            return
        self._failure = error
        for future in (self._greeting, *self._waiting):
            if not future.done():
                future.set_exception(_again(error))
                future.exception()  # a caller that was cancelled does not fetch it
        self._waiting.clear()
        self._news.set()
        self._writer.transport.abort()  # what is still unsent must not be carried out by a switch that we gave up
        if self._reading is not asyncio.current_task():
            self._reading.cancel()


async def connect(
    host: str,
    port: int,
    password: str,
    *,
    timeout: float = 5.0,  # noqa: ASYNC109
    max_events: int = MAX_EVENTS,
) -> Client:
    """Connects and logs in. Use the result with `async with`.

    Args:
        host: where the event socket listens.
        port: its TCP port, 8021 by default.
        password: never shown in any error.
        timeout: seconds for the connection, for the greeting, and for the login.
        max_events: how many events are kept for a reader that is behind.

    Raises:
        SwitchError: unreachable, wrong password, refused address, silent, or not an event socket.
    """
    try:
        async with asyncio.timeout(timeout):
            reader, writer = await asyncio.open_connection(host, port, limit=_CHUNK)
    except (OSError, OverflowError, UnicodeError) as error:
        why = "no answer" if isinstance(error, TimeoutError) else getattr(error, "strerror", None) or str(error)
        raise SwitchError(
            SWITCH_UNREACHABLE.finding("", f"Cannot connect to the switch's event socket at {host}:{port}: {why}.")
        ) from None
    _keep_alive(writer)
    client = Client(reader, writer, max_events=max_events)
    try:
        await client.login(password, timeout)
    except BaseException:
        await client.close()
        raise
    return client


def backoff(attempt: int, source: random.Random, *, first: float = 0.1, most: float = 5.0) -> float:
    """Seconds to wait before a reconnect: exponential, with full jitter.

    Args:
        attempt: which try in a row, from 1.
        source: of the jitter, so that many clients do not come back at once.
        first: seconds that the first wait is at most; half of it is the least of every wait.
        most: seconds that every wait is at most.
    """
    return source.uniform(first / 2, max(first, min(first * 2.0 ** min(attempt - 1, 30), most)))


def _keep_alive(writer: asyncio.StreamWriter) -> None:
    """Lets the kernel find a peer that vanished without a word."""
    sock: socket.socket | None = writer.get_extra_info("socket")
    if sock is None:
        return
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in _KEEPALIVE:
            if hasattr(socket, name):
                sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def _resolve(future: asyncio.Future[_Reply], reply: _Reply) -> None:
    if not future.done():
        future.set_result(reply)


def _error(code: Code, what: str, action: str | None = None) -> SwitchError:
    return SwitchError(code.finding("", f"The switch {what}.", action))


def _again(error: SwitchError) -> SwitchError:
    """The same error for one more caller: an exception that is raised twice collects the tracebacks of both."""
    return SwitchError(error.finding)
