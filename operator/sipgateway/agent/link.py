"""The connection to the switch: made, kept, and made again with jitter; the keeper works on it while it stands.

In: the event socket's address. Out: a keeper at work, and why there is no connection when there is none.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import re
from collections.abc import Callable
from dataclasses import dataclass, field

from sipgateway.agent.codes import SWITCH_NOT_ASKED
from sipgateway.agent.keeper import Keeper
from sipgateway.agent.report import Report
from sipgateway.errors import Finding, SwitchError
from sipgateway.esl import commands, replies
from sipgateway.esl.client import Client, backoff, connect
from sipgateway.esl.codes import SWITCH_UNREACHABLE

#: Seconds that a connection must hold before the next failure counts as the first again.
_HELD = 5.0

#: The longest wait between tries: a switch that starts is found soon.
_MOST = 2.0


@dataclass(slots=True)
class Link:
    """Runs until it is cancelled.

    Attributes:
        unreachable: why there is no connection, None while there is one.
        version: of the switch, as it answered last.
    """

    keeper: Keeper
    host: str
    port: int
    password: str = field(repr=False)
    report: Callable[[Report], None]
    unreachable: Finding | None = field(
        default_factory=lambda: SWITCH_NOT_ASKED.finding("", "The switch was not asked yet.")
    )
    version: str = ""
    connects: int = 0
    _jitter: random.Random = field(default_factory=random.SystemRandom)

    @property
    def down(self) -> bool:
        """Whether nobody listens there: then nobody reads files half of which are new."""
        return self.unreachable is not None and self.unreachable.code == SWITCH_UNREACHABLE.name

    async def run(self) -> None:
        """Connects, and lets the keeper work; for ever."""
        attempt = 0
        while True:
            began = float("inf")
            try:
                async with await connect(self.host, self.port, self.password) as client:
                    began = _now()
                    self.version = await _version(client)
                    self.connects += 1
                    self.unreachable = None
                    self.report(Report("info", "switch", "", f"connected to {self.host}:{self.port}"))
                    await self.keeper.keep(client)
            except SwitchError as error:
                if _now() - began > _HELD:
                    attempt = 0
                if self.unreachable is None or self.unreachable != error.finding:
                    self.unreachable = error.finding
                    self.report(Report("error", "switch", "", str(error), error.finding.code))
            if self.down:
                await self.keeper.write_files()  # a switch that starts shall start with everything
            attempt += 1
            await asyncio.sleep(backoff(attempt, self._jitter, most=_MOST))


async def _version(client: Client) -> str:
    """`1.10.12` of `1.10.12-release+git~...`; empty when the switch says something else."""
    with contextlib.suppress(SwitchError):
        return re.split(r"[-~+ ]", replies.parse_version(await client.api(commands.version())))[0]
    return ""


def _now() -> float:
    return asyncio.get_running_loop().time()
