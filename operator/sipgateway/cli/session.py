"""One run of the local pipeline: watches the source, keeps the connection, hands what is wanted to the keeper.

In: a pipeline, a keeper and the switch's address. Out: reports. Shared by `sipgw run` and the demo.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field

from watchfiles import awatch

from sipgateway.agent.keeper import Keeper
from sipgateway.agent.report import Report
from sipgateway.cli.options import Esl
from sipgateway.cli.pipeline import Look, Pipeline
from sipgateway.errors import Finding, InputError, Severity, SwitchError
from sipgateway.esl.client import backoff, connect

#: Milliseconds of quiet after which a save counts as done, and the most that a storm of saves is collected.
_QUIET_MS = 5
_COLLECT_MS = 50

#: Milliseconds between looks that no event asked for: an event is a hint, and hints get lost.
_LOOK_MS = 10_000


@dataclass(slots=True)
class Session:
    """Runs until it is cancelled.

    Attributes:
        look: what the newest look at the source gave.
        unreachable: why there is no connection, None while there is one.
    """

    pipeline: Pipeline
    keeper: Keeper
    esl: Esl
    report: Callable[[Report], None]
    look: Look | None = None
    unreachable: SwitchError | None = None
    _told: frozenset[Finding] = frozenset()
    _jitter: random.Random = field(default_factory=random.SystemRandom)

    def start(self) -> None:
        """The first look.

        Raises:
            InputError: the source is not there.
        """
        self._take(self.pipeline.look())

    async def run(self) -> None:
        """Watches the source and keeps the switch, for ever."""
        await self.keeper.write_files()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._watch())
            tasks.create_task(self._keep())

    async def _watch(self) -> None:
        async for _ in awatch(
            self.pipeline.source,
            debounce=_COLLECT_MS,
            step=_QUIET_MS,
            rust_timeout=_LOOK_MS,
            yield_on_timeout=True,
            watch_filter=None,
            recursive=True,
        ):
            self.refresh()

    def refresh(self) -> None:
        """Looks at the source again; a source that cannot be read changes nothing."""
        try:
            look = self.pipeline.look()
        except InputError as error:
            self._tell((error.finding,))
            return
        self._take(look)

    def _take(self, look: Look) -> None:
        self._tell(look.findings)
        before = self.look
        self.look = look
        if before is None or before.desired != look.desired:
            self.keeper.want(look.desired)

    def _tell(self, findings: tuple[Finding, ...]) -> None:
        for finding in findings:
            if finding not in self._told:
                event = "refused" if finding.severity is Severity.ERROR else "warned"
                self.report(Report(finding.severity, event, "", str(finding), finding.code))
        self._told = frozenset(findings)

    async def _keep(self) -> None:
        attempt = 0
        while True:
            try:
                client = await connect(self.esl.host, self.esl.port, self.esl.password)
                async with client:
                    attempt = 0
                    self.unreachable = None
                    self.report(Report("info", "switch", "", f"connected to {self.esl.host}:{self.esl.port}"))
                    await self.keeper.keep(client)
            except SwitchError as error:
                if self.unreachable is None or self.unreachable.finding != error.finding:
                    self.report(Report("error", "switch", "", str(error), error.finding.code))
                self.unreachable = error
            attempt += 1
            await asyncio.sleep(backoff(attempt, self._jitter))
