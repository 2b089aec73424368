"""The event socket: asyncio around listener.py. In: connections. Out: bytes; the switch's time passes meanwhile."""

from __future__ import annotations

import asyncio
import contextlib

from sipgateway.simulator.clock import Clock
from sipgateway.simulator.listener import Listener
from sipgateway.simulator.switch import Switch

_CHUNK = 1 << 16
#: Longest sleep of the heart, real seconds: a timer that a command sets wakes it anyway.
_LONGEST_SLEEP = 1.0


class Heart:
    """Lets the switch's time pass by a clock.

    Args:
        switch: whose time passes.
        clock: that says how late it is.
    """

    def __init__(self, switch: Switch, clock: Clock) -> None:
        self.thawed = asyncio.Event()
        self.thawed.set()
        self._switch = switch
        self._clock = clock
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def catch_up(self) -> None:
        """Brings the switch to the present."""
        if not self.frozen:
            self._switch.advance(self._clock.now())

    @property
    def frozen(self) -> bool:
        """Whether the switch stands still: nothing is answered and no time passes."""
        return not self.thawed.is_set()

    def nudge(self) -> None:
        """Something new may be due: look again."""
        self._wake.set()

    async def start(self) -> None:
        """Begins to beat."""
        self._task = asyncio.create_task(self._beat())

    async def stop(self) -> None:
        """Ends."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    async def _beat(self) -> None:
        while True:
            self.catch_up()
            self._switch.log_file.flush()
            self._wake.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._until_next()):
                    await self._wake.wait()

    def _until_next(self) -> float | None:
        due = self._switch.next_due()
        if self._clock.speed == 0:
            return None
        if due is None or self.frozen:
            return _LONGEST_SLEEP
        return min(max((due - self._clock.now()) / self._clock.speed, 0.0), _LONGEST_SLEEP)


class EslServer:
    """Listens for event socket clients.

    Args:
        switch: that they talk to.
        heart: of the switch.
        password: of the event socket.
        delay: real seconds that a command takes longer than it does.
    """

    def __init__(self, switch: Switch, heart: Heart, password: str, delay: float = 0.0) -> None:
        self.refusing = False
        self.delay = delay
        self._switch = switch
        self._heart = heart
        self._password = password
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()

    @property
    def connections(self) -> int:
        """How many clients are connected."""
        return len(self._connections)

    async def start(self, host: str, port: int) -> tuple[str, int]:
        """Listens.

        Args:
            host: address.
            port: number, 0 for any.

        Returns:
            Where it listens.

        Raises:
            OSError: the address is taken or not ours.
        """
        self._server = await asyncio.start_server(self._accept, host, port)
        name = self._server.sockets[0].getsockname()
        return str(name[0]), int(name[1])

    async def stop(self) -> None:
        """Ends every connection."""
        if self._server is not None:
            self._server.close()
        for task in tuple(self._connections):
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        if self._server is not None:
            await self._server.wait_closed()
            self._server = None

    def drop(self) -> int:
        """Cuts every connection without a word, as a switch that died. Returns how many."""
        count = len(self._writers)
        for writer in tuple(self._writers):
            writer.transport.abort()
        return count

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.refusing:
            writer.transport.abort()
            return
        task = asyncio.current_task()
        if task is not None:
            self._connections.add(task)
        self._writers.add(writer)
        try:
            await self._serve(reader, writer)
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            self._writers.discard(writer)
            if task is not None:
                self._connections.discard(task)
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        news = asyncio.Event()
        listener = Listener(self._switch, self._password, news.set)
        speaker = asyncio.create_task(self._speak(listener, writer, news))
        try:
            news.set()
            while not listener.closing:
                data = await reader.read(_CHUNK)
                if not data:
                    break
                listener.feed(data)
                while listener.pending():
                    await self._thaw()
                    if self.delay:
                        await asyncio.sleep(self.delay)
                    self._heart.catch_up()
                    listener.step()
                    self._heart.nudge()
                    writer.write(listener.output())
                    await writer.drain()
            writer.write(listener.output())
            await writer.drain()
        finally:
            listener.close()
            speaker.cancel()
            await asyncio.gather(speaker, return_exceptions=True)

    async def _speak(self, listener: Listener, writer: asyncio.StreamWriter, news: asyncio.Event) -> None:
        while True:
            await news.wait()
            news.clear()
            await self._thaw()
            writer.write(listener.output())
            await writer.drain()

    async def _thaw(self) -> None:
        await self._heart.thawed.wait()
