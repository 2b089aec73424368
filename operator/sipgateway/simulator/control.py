"""The simulator's own door, apart from ESL: what no real switch has. One JSON object per line in, one per line out.

In: `{"do": "journal", ...}` on a unix socket or a local port. Out: `{"ok": true, "result": ...}` or
`{"ok": false, "error": "..."}`. docs/simulator.md lists the words.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sipgateway.simulator.simulator import Simulator

_LINE = 1 << 20
Request = Mapping[str, Any]


class Control:
    """Answers requests about one simulator.

    Args:
        simulator: that they are about.
    """

    def __init__(self, simulator: Simulator) -> None:
        self._simulator = simulator
        self._server: asyncio.AbstractServer | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self, where: str) -> str:
        """Listens.

        Args:
            where: path of a unix socket, or `HOST:PORT` (port 0 for any).

        Returns:
            Where it listens, in the same form.

        Raises:
            OSError: it cannot listen there.
        """
        host, _, port = where.rpartition(":")
        if "/" in where or not port.isdigit():
            self._server = await asyncio.start_unix_server(self._accept, where, limit=_LINE)
            return where
        server = await asyncio.start_server(self._accept, host, int(port), limit=_LINE)
        self._server = server
        name = server.sockets[0].getsockname()
        return f"{name[0]}:{name[1]}"

    async def stop(self) -> None:
        """Ends."""
        if self._server is not None:
            self._server.close()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def answer(self, request: Request) -> dict[str, Any]:
        """Answers one request."""
        word = str(request.get("do", ""))
        action = _ACTIONS.get(word)
        if action is None:
            return {"ok": False, "error": f"unknown request {word!r}; known: {', '.join(sorted(_ACTIONS))}"}
        self._simulator.heart.catch_up()
        try:
            result = await action(self._simulator, request)
        except (KeyError, TypeError, ValueError) as error:
            return {"ok": False, "error": f"{type(error).__name__}: {error}"}
        self._simulator.heart.nudge()
        return {"ok": True, "result": result}

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._tasks.add(task)
        try:
            while line := await reader.readline():
                writer.write(json.dumps(await self._line(line)).encode() + b"\n")
                await writer.drain()
        except (ConnectionError, asyncio.CancelledError, ValueError):
            pass
        finally:
            if task is not None:
                self._tasks.discard(task)
            writer.close()
            with contextlib.suppress(ConnectionError, asyncio.CancelledError):
                await writer.wait_closed()

    async def _line(self, line: bytes) -> dict[str, Any]:
        try:
            request = json.loads(line)
        except ValueError as error:
            return {"ok": False, "error": f"no JSON: {error}"}
        if not isinstance(request, dict):
            return {"ok": False, "error": "a JSON object is needed"}
        return await self.answer(request)


async def _journal(simulator: Simulator, request: Request) -> Any:
    """SIP messages since an index, of one gateway or of all."""
    since, gateway = int(request.get("since", 0)), request.get("gateway")
    messages = simulator.switch.network.journal[since:]
    return [message.as_json() for message in messages if gateway in {None, message.gateway}]


async def _bindings(simulator: Simulator, request: Request) -> Any:
    del request
    now = simulator.switch.now()
    return [
        {"registrar": address, **asdict(binding)}
        for address, registrar in simulator.switch.network.registrars.items()
        for binding in registrar.bindings(now)
    ]


async def _availability(simulator: Simulator, request: Request) -> Any:
    """History and gaps of a gateway, in seconds since the epoch; a gap is a time in which calls would fail."""
    name, switch = str(request["gateway"]), simulator.switch
    gaps = switch.availability.gaps(name, switch.now())
    return {
        "changes": switch.availability.changes.get(name, []),
        "gaps": gaps,
        "gap_ms": [round((end - start) * 1000, 3) for start, end in gaps],
    }


async def _commands(simulator: Simulator, request: Request) -> Any:
    return [asdict(command) for command in simulator.switch.commands[int(request.get("since", 0)) :]]


async def _calls(simulator: Simulator, request: Request) -> Any:
    del request
    return [
        {
            "uuid": call.uuid,
            "gateway": call.gateway.name,
            "number": call.number,
            "since": call.since,
            "until": call.until,
            "bye": call.bye,
        }
        for call in simulator.switch.calls.values()
    ]


async def _call(simulator: Simulator, request: Request) -> Any:
    """Places a call (`gateway`) or hangs up (`uuid`)."""
    if "uuid" in request:
        return await simulator.api(f"uuid_kill {request['uuid']}")
    return await simulator.api(f"originate sofia/gateway/{request['gateway']}/{request.get('number', '1000')} &park()")


async def _registrar(simulator: Simulator, request: Request) -> Any:
    """Changes how a registrar behaves, e.g. `{"address": "192.0.2.9:5060", "set": {"passwords": {"bob": "new"}}}`."""
    registrar = simulator.registrar(str(request["address"]))
    registrar.behaviour = registrar.behaviour.changed(request.get("set", {}))
    if request.get("forget"):
        registrar.forget()
    return asdict(registrar.behaviour)


async def _profiles(simulator: Simulator, request: Request) -> Any:
    """Profiles with what no command shows: memory (fact 19) and leaked locks (fact 28)."""
    del request
    return {
        profile.name: {
            "running": profile.running,
            "memory": profile.memory,
            "leaked_locks": profile.leaked_locks,
            "gateways": len(profile.gateways),
            "started": profile.started,
        }
        for profile in simulator.switch.profiles.values()
    }


async def _time(simulator: Simulator, request: Request) -> Any:
    del request
    return {"now": simulator.switch.now(), "speed": simulator.clock.speed}


async def _advance(simulator: Simulator, request: Request) -> Any:
    """Moves a driven clock."""
    return await simulator.advance(float(request["seconds"]))


async def _drop(simulator: Simulator, request: Request) -> Any:
    """Cuts the ESL connections; `refuse` says whether new ones are refused from now on."""
    simulator.esl.refusing = bool(request.get("refuse", False))
    return simulator.esl.drop()


async def _freeze(simulator: Simulator, request: Request) -> Any:
    """Stops (`on` true) or goes on: nothing is answered and no time passes for the switch meanwhile."""
    if request.get("on", True):
        simulator.heart.thawed.clear()
    else:
        simulator.heart.thawed.set()
    return simulator.heart.frozen


async def _delay(simulator: Simulator, request: Request) -> Any:
    """Real seconds that each command takes longer."""
    simulator.esl.delay = float(request["seconds"])
    return simulator.esl.delay


async def _restart(simulator: Simulator, request: Request) -> Any:
    """Kills the switch and starts it again (fact 24)."""
    del request
    simulator.esl.drop()
    simulator.switch.restart()
    return True


_ACTIONS: dict[str, Callable[[Simulator, Request], Awaitable[Any]]] = {
    "journal": _journal,
    "bindings": _bindings,
    "availability": _availability,
    "commands": _commands,
    "calls": _calls,
    "call": _call,
    "registrar": _registrar,
    "profiles": _profiles,
    "time": _time,
    "advance": _advance,
    "drop": _drop,
    "freeze": _freeze,
    "delay": _delay,
    "restart": _restart,
}
