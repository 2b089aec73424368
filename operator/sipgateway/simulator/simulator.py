"""A whole simulated switch: model, event socket and control door in one. In: `SimulatorConfig`. Out: an async context.

async with Simulator(SimulatorConfig(conf=folder)) as simulator:
    print(simulator.esl_address)
"""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from sipgateway.simulator.clock import Clock, DrivenClock, RealClock
from sipgateway.simulator.commands import execute
from sipgateway.simulator.control import Control
from sipgateway.simulator.journal import Command
from sipgateway.simulator.registrar import Behaviour, Registrar, parse_registrar
from sipgateway.simulator.server import EslServer, Heart
from sipgateway.simulator.skeleton import write_skeleton
from sipgateway.simulator.switch import Switch, SwitchConfig


@dataclass(frozen=True, slots=True)
class SimulatorConfig:
    """How a simulator is made.

    Attributes:
        conf: configuration folder.
        esl_host, esl_port: of the event socket; port 0 takes any free one.
        password: of the event socket; None takes the configuration's (event_socket.conf), else `ClueCon`.
        control: unix socket path or `HOST:PORT` of the control door; None for none.
        log_folder: for the log and the expanded XML; None takes a temporary one that goes with the simulator.
        registrars: texts for `parse_registrar`; `*=...` is the default for unknown addresses.
        init: write a configuration tree where there is none.
        clock: None takes the machine's.
        tick: seconds between ticks (fact 15).
        phase: first tick after a profile's start, seconds.
        command_delay: real seconds that each command takes longer.
        seed: of every chance.
        variables: global variables of the switch.
        hostname: in events.
    """

    conf: Path
    esl_host: str = "127.0.0.1"
    esl_port: int = 0
    password: str | None = field(default=None, repr=False)
    control: str | None = None
    log_folder: Path | None = None
    registrars: tuple[str, ...] = ()
    init: bool = False
    clock: Clock | None = None
    tick: float = 1.0
    phase: float = 1.0
    command_delay: float = 0.0
    seed: int = 1
    variables: tuple[tuple[str, str], ...] = ()
    hostname: str = "sipgw-simulator"


class Simulator:
    """The simulator, usable in process.

    Args:
        config: how it is made.

    Attributes:
        switch: the model.
        esl_address: host and port of the event socket, once started.
        control_address: where the control door is, or None.
    """

    def __init__(self, config: SimulatorConfig) -> None:
        self.config = config
        self.clock: Clock = config.clock or RealClock()
        self.esl_address = (config.esl_host, config.esl_port)
        self.control_address: str | None = None
        self._temporary: tempfile.TemporaryDirectory[str] | None = None
        if config.init:
            write_skeleton(config.conf)
        log_folder = config.log_folder
        if log_folder is None:
            self._temporary = tempfile.TemporaryDirectory(prefix="sipgw-simulator-")
            log_folder = Path(self._temporary.name)
        named = dict(parse_registrar(text, config.seed) for text in config.registrars)
        default = named.pop("*", None)
        self.switch = Switch(
            SwitchConfig(
                folder=config.conf.absolute(),
                log_folder=log_folder,
                tick=config.tick,
                phase=config.phase,
                default_registrar=Behaviour(password="") if default is None else default.behaviour,
                seed=config.seed,
                variables=config.variables,
                hostname=config.hostname,
            ),
            self.clock.now(),
        )
        self.switch.network.registrars.update(named)
        password = config.password
        if password is None:
            password = self.switch.tree.configuration.event_socket.get("password", "ClueCon")
        self.heart = Heart(self.switch, self.clock)
        self.esl = EslServer(self.switch, self.heart, password, config.command_delay)
        self.control = Control(self)

    async def __aenter__(self) -> Self:
        self.esl_address = await self.esl.start(self.config.esl_host, self.config.esl_port)
        if self.config.control is not None:
            self.control_address = await self.control.start(self.config.control)
        await self.heart.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.control.stop()
        await self.esl.stop()
        await self.heart.stop()
        self.switch.log_file.close()
        if self._temporary is not None:
            self._temporary.cleanup()

    def registrar(self, address: str) -> Registrar:
        """The registrar at `HOST:PORT`; one that accepts `pw-NAME` is made when there is none."""
        found = self.switch.network.registrars.get(address)
        if found is None:
            _, found = parse_registrar(f"{address}=accept", self.config.seed)
            self.switch.network.registrars[address] = found
        return found

    async def api(self, line: str) -> str:
        """Runs an API command without a connection, as `api LINE` would. It counts in the command history."""
        self.heart.catch_up()
        spent = time.process_time()
        reply = execute(self.switch, line)
        self.switch.commands.append(Command(self.switch.now(), f"api {line}", reply.partition("\n")[0], spent))
        self.heart.nudge()
        return reply

    async def advance(self, seconds: float) -> float:
        """Moves a driven clock.

        Args:
            seconds: how far.

        Returns:
            The new time, seconds since the epoch.

        Raises:
            TypeError: the simulator's clock runs by itself.
        """
        if not isinstance(self.clock, DrivenClock):
            raise TypeError("only a DrivenClock can be moved")
        now = self.clock.move(seconds)
        self.heart.catch_up()
        self.heart.nudge()
        return now
