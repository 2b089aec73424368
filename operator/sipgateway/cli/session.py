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

#: Seconds that a connection must hold before the next failure counts as the first again.
_HELD = 5.0

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
            tasks.create_task(self._look_again())
            tasks.create_task(self._keep())

    async def _watch(self) -> None:
        told = ""
        while True:
            try:
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
            except OSError as error:  # a folder below it that may not be read, or no watches left
                if told != str(error):
                    told = str(error)
                    text = f"cannot watch {self.pipeline.source} ({error}); it is looked at every few seconds instead"
                    self.report(Report("warning", "source", "", text, "NotWatched"))
            await asyncio.sleep(_LOOK_MS / 5000)
            self.refresh()

    async def _look_again(self) -> None:
        """Looks again when a gateway that was gone in the last look may count as gone for good."""
        while True:
            until = None if self.look is None else self.look.look_again
            now = asyncio.get_running_loop().time()
            if until is not None and until <= now:
                self.refresh()
            await asyncio.sleep(0.1 if until is None else min(max(until - now, 0.02), 0.1))

    def refresh(self) -> None:
        """Looks at the source again; a source that cannot be read changes nothing."""
        try:
            look = self.pipeline.look()
        except InputError as error:
            self._tell((error.finding,))
            return
        except OSError as error:
            self._tell((Finding("NoSource", "", f"{self.pipeline.source}: {error}.", "Nothing was changed."),))
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
        began = float("inf")
        while True:
            try:
                client = await connect(self.esl.host, self.esl.port, self.esl.password)
                async with client:
                    began = asyncio.get_running_loop().time()
                    self.report(Report("info", "switch", "", f"connected to {self.esl.host}:{self.esl.port}"))
                    await self.keeper.keep(client)
            except SwitchError as error:
                if asyncio.get_running_loop().time() - began > _HELD:
                    attempt, self.unreachable = 0, None  # it worked, and is gone now: that is news
                if self.unreachable is None or self.unreachable.finding != error.finding:
                    self.report(Report("error", "switch", "", str(error), error.finding.code))
                self.unreachable = error
            attempt, began = attempt + 1, float("inf")
            await asyncio.sleep(backoff(attempt, self._jitter))
