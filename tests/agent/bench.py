"""A keeper on a switch: the simulator in this process, or the real one that SIPGW_SWITCH_ESL names.

In: effective gateways to keep. Out: reports, commands that went over the wire, what the switch has.
On a real switch the bench uses names and a revision key of its own and sees no files but its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import itertools
import os
import random
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import ParamSpec

import pytest

from sipgateway.agent.files import ConfFolder, Standing
from sipgateway.agent.keeper import Desired, Keeper
from sipgateway.agent.report import Report
from sipgateway.api.gateway import Gateway, Parameter, Target
from sipgateway.api.names import REVISION_VARIABLE
from sipgateway.api.spec import DirectoryUser, Variable
from sipgateway.errors import SwitchError
from sipgateway.esl import commands, replies
from sipgateway.esl.client import Client, connect
from sipgateway.reconcile.state import Wanted
from sipgateway.render.layout import Layout, file_name, relative_path
from sipgateway.render.revision import RevisionKey, key_id_of, revision
from sipgateway.render.xml import render
from sipgateway.simulator import RealClock, Simulator, SimulatorConfig
from tests.agent.tap import Tap

P = ParamSpec("P")

REGISTRAR = "127.0.0.1:15070"
DOMAIN, USER = "sipgw.example.com", "trunks"
_NUMBERS = itertools.count(1)


def asynchronous(test: Callable[P, Awaitable[None]]) -> Callable[P, None]:
    """Runs an async test in a loop of its own."""

    @functools.wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        async def main() -> None:
            await test(*args, **kwargs)

        asyncio.run(main())

    return run


class OwnFiles(ConfFolder):
    """The part of a folder whose files carry this bench's mark: on a shared switch the rest is somebody else's."""

    mark: str = ""

    def look(self, before: Standing | None = None) -> Standing:
        found = super().look(before)
        return Standing({path: data for path, data in found.files.items() if self.mark in path}, found.stamps)

    def asides(self) -> dict[str, bytes]:
        return {path: data for path, data in super().asides().items() if self.mark in path}


@dataclass
class Bench:
    """One test's hold on a switch and its keeper."""

    conf: Path
    address: tuple[str, int]
    password: str
    registrar: str
    simulator: Simulator | None
    mark: str
    folder: OwnFiles
    keeper: Keeper
    reports: list[Report]
    key: RevisionKey
    probe: Client
    tap: Tap
    gateways: dict[str, Gateway] = field(default_factory=dict)
    task: asyncio.Task[None] | None = None
    connections: int = 0

    # -- what is wanted ------------------------------------------------------------------------------------------

    def gateway(
        self,
        label: str,
        version: str = "1",
        *,
        registers: bool = False,
        profile: str = "external",
        directory: bool = False,
        user: str | None = None,
        password: str | None = None,
        proxy: str | None = None,
        expire: int = 600,
        transport: str | None = None,
    ) -> Gateway:
        name = self.name(label)
        user = user or name
        params = {
            "register": "true" if registers else "false",
            "username": user,
            "password": password or f"pw-{user}",
            "proxy": proxy or self.registrar,
            "expire-seconds": str(expire),
            "retry-seconds": "5",
        } | ({"register-transport": transport} if transport else {})
        target = Target("internal", DirectoryUser(DOMAIN, USER)) if directory else Target(profile)
        parameters = tuple(Parameter(n, v, n == "password") for n, v in params.items())
        return Gateway(name, target, parameters, (Variable("version", version),))

    def name(self, label: str) -> str:
        return f"{self.mark}-{label}"

    def want(self, *gateways: Gateway, complete: bool = True, held: Iterable[str] = ()) -> None:
        wanted, files = {}, {}
        for one in gateways:
            mark, path = revision(one, self.key), relative_path(one, self.folder.layout)
            wanted[one.name] = Wanted(one.name, one.target.profile, mark, one.registers, path)
            files[path] = render(one, mark)
        self.gateways = {g.name: g for g in gateways}
        names = frozenset(held)
        self.keeper.want(Desired(wanted, files, complete, names, frozenset(file_name(n) for n in names)))

    async def settle(self, *gateways: Gateway, seconds: float = 15.0) -> None:
        """Wants exactly these and waits until all of it is proved."""
        self.want(*gateways)
        await self.converged(seconds)

    async def converged(self, seconds: float = 15.0) -> None:
        await asyncio.sleep(0)
        await self.until(lambda: self.keeper.converged, seconds)

    async def until(self, what: Callable[[], bool], seconds: float = 10.0) -> None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        while not what():
            if self.task is not None and self.task.done():
                self.task.result()
            if loop.time() > deadline:
                state = (self.keeper.failures, self.keeper.settling, self.keeper.problems, self.keeper.storage)
                raise AssertionError(f"not within {seconds} s: {state}\n" + "\n".join(map(str, self.reports[-20:])))
            await asyncio.sleep(0.005)

    # -- what the switch has -------------------------------------------------------------------------------------

    async def api(self, text: str) -> str:
        """Somebody else's command."""
        return (await self.probe.pipeline([commands.Command(f"api {text}")]))[0]

    async def loaded(self, label: str) -> str | None:
        """The revision that the switch has of a gateway."""
        return replies.parse_variable(
            await self.probe.api(commands.gateway_variable(self.name(label), REVISION_VARIABLE))
        )

    async def proves(self, one: Gateway) -> bool:
        body = await self.probe.api(commands.gateway_variable(one.name, REVISION_VARIABLE))
        return replies.parse_variable(body) == revision(one, self.key)

    async def rows(self, label: str) -> list[tuple[str, str]]:
        """(profile, state) of each copy that is listed."""
        status = replies.parse_sofia_status(await self.probe.api(commands.status()))
        return [(r.profile, r.state) for r in status.gateways if r.name == self.name(label)]

    async def until_rows(self, label: str, rows: list[tuple[str, str]], seconds: float = 8.0) -> None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        while (seen := await self.rows(label)) != rows:
            assert loop.time() < deadline, f"{seen} is not {rows}"
            await asyncio.sleep(0.05)

    def wire(self, word: str = "", since: int = 0) -> list[str]:
        """What the keeper sent that holds this word and is about this bench."""
        return [text for text in self.tap.sent[since:] if f" {word}" in text]

    def told(self, event: str, label: str | None = None) -> list[Report]:
        return [r for r in self.reports if r.event == event and (label is None or r.gateway == self.name(label))]

    def path(self, one: Gateway) -> Path:
        return self.conf / relative_path(one, self.folder.layout)

    # -- life ----------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Keeps the switch from now on, over every lost connection."""
        self.task = asyncio.create_task(self._keep())
        await self.until(lambda: self.keeper.connected)

    async def stop(self) -> None:
        if self.task is not None:
            self.task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self.task
            self.task = None

    async def restart(self) -> None:
        """Another process takes over where this one was killed: it knows what stands in the folder, no more."""
        await self.stop()
        before = self.keeper
        self.keeper = Keeper(self.folder, before.ours, self.reports.append, adopt=before.adopt)
        self.keeper.want(before.desired)
        await self.start()

    def files(self) -> dict[str, bytes]:
        """Our files as they stand."""
        return self.folder.read_all()

    async def reconnect_probe(self) -> None:
        await self.probe.close()
        self.probe = await connect(*self.address, self.password)

    def only_simulated(self) -> Simulator:
        if self.simulator is None:
            pytest.skip("a real switch cannot be told to do this")
        return self.simulator

    async def _keep(self) -> None:
        while True:
            try:
                async with await connect(*self.tap.address, self.password) as client:
                    self.connections += 1
                    await self.keeper.keep(client)
            except SwitchError:
                await asyncio.sleep(0.05)


@contextlib.asynccontextmanager
async def bench(folder: Path, *, speed: float = 5.0, adopt: bool = False, **config: object) -> AsyncIterator[Bench]:
    """A bench that is connected; the keeper's work begins with `start`."""
    mark = f"t{os.getpid()}-{next(_NUMBERS)}"
    real = os.environ.get("SIPGW_SWITCH_ESL")
    async with contextlib.AsyncExitStack() as stack:
        simulator: Simulator | None = None
        layout = Layout()
        if real:
            host, _, port = real.rpartition(":")
            address, password = (host, int(port)), os.environ.get("SIPGW_SWITCH_PASSWORD", "ClueCon")
            conf, registrar = Path(os.environ["SIPGW_SWITCH_CONF"]), os.environ["SIPGW_REGISTRAR"]
            layout = Layout(directory="directory_gateways")
        else:
            conf, password, registrar = folder / "conf", "ClueCon", REGISTRAR
            words = {"registrars": (f"{REGISTRAR}=accept", "*=silent"), "phase": random.random() / speed, **config}
            made = SimulatorConfig(conf=conf, init=True, clock=RealClock(speed), **words)  # type: ignore[arg-type]
            simulator = await stack.enter_async_context(Simulator(made))
            address = simulator.esl_address
        key = RevisionKey(secrets.token_bytes(32))
        files = OwnFiles(conf, layout)
        files.mark = mark
        reports: list[Report] = []
        keeper = Keeper(files, lambda r: key_id_of(r) == key.key_id, reports.append, adopt=adopt)
        probe = await connect(*address, password)
        tap = await stack.enter_async_context(Tap(address))
        one = Bench(conf, address, password, registrar, simulator, mark, files, keeper, reports, key, probe, tap)
        try:
            yield one
        finally:
            await one.stop()
            if real:
                await _clean(one)
            await one.probe.close()


async def _clean(one: Bench) -> None:
    for path in one.conf.rglob(f"*{one.mark}*"):
        path.unlink()
    await one.api("reloadxml")
    status = replies.parse_sofia_status(await one.probe.api(commands.status()))
    for row in status.gateways:
        if row.name.startswith(f"{one.mark}-"):
            await one.api(f"sofia profile {row.profile} killgw {row.name}")
