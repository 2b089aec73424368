"""One run of the local pipeline: watches the source, keeps the connection, hands what is wanted to the keeper.

In: a pipeline, a keeper and the switch's address. Out: reports. Shared by `sipgw run` and the demo.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from watchfiles import awatch

from sipgateway.agent.keeper import Keeper
from sipgateway.agent.report import Report
from sipgateway.cli.options import Esl
from sipgateway.cli.owners import write_owners
from sipgateway.cli.pipeline import Look, Pipeline
from sipgateway.errors import Finding, InputError, StorageError, SwitchError
from sipgateway.esl.client import backoff, connect

#: Milliseconds of quiet after which a save counts as done, and the most that a storm of saves is collected.
_QUIET_MS = 2
_COLLECT_MS = 50

#: Seconds that a connection must hold before the next failure counts as the first again.
_HELD = 5.0

#: Milliseconds between looks at all files: an event is a hint at some of them, and hints get lost.
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
    _told: tuple[Finding, ...] = ()
    _looked_at_all: float = float("-inf")
    _owners: asyncio.Event = field(default_factory=asyncio.Event)
    _jitter: random.Random = field(default_factory=random.SystemRandom)

    def start(self) -> None:
        """The first look.

        Raises:
            InputError: the source is not there.
        """
        self._take(self.pipeline.look())

    async def run(self) -> None:
        """Watches the source and keeps the switch, for ever."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._watch())
            tasks.create_task(self._look_again())
            tasks.create_task(self._remember())
            tasks.create_task(self._keep())

    async def _watch(self) -> None:
        told = ""
        while True:
            try:
                async for changes in awatch(
                    self.pipeline.source,
                    debounce=_COLLECT_MS,
                    step=_QUIET_MS,
                    rust_timeout=_LOOK_MS,
                    yield_on_timeout=True,
                    watch_filter=None,
                    recursive=True,
                ):
                    self.refresh({path for _, path in changes} or None)
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

    def refresh(self, touched: Collection[str] | None = None) -> None:
        """Looks at the source again; a source that cannot be read changes nothing.

        Args:
            touched: paths at which something happened, if that is why. Now and then all is looked at nevertheless.
        """
        now = asyncio.get_running_loop().time()
        if touched is None or now - self._looked_at_all > _LOOK_MS / 1000:
            touched, self._looked_at_all = None, now
        try:
            look = self.pipeline.look(touched=touched)
        except InputError as error:
            self._tell((error.finding,))
            return
        except OSError as error:
            self._tell((Finding("NoSource", "", f"{self.pipeline.source}: {error}.", "Nothing was changed."),))
            return
        self._take(look)

    def _take(self, look: Look) -> None:
        before = self.look
        self.look = look
        if before is None or before.desired != look.desired:
            self.keeper.want(look.desired)
        if before is None or before.owners != look.owners:
            self._owners.set()
        self._tell(look.findings)

    def _tell(self, findings: tuple[Finding, ...]) -> None:
        if findings == self._told:
            return
        told = frozenset(self._told)
        for finding in findings:
            if finding not in told:
                self.report(Report.found(finding))
        self._told = findings

    async def _remember(self) -> None:
        """Keeps across restarts whose each gateway is. One that could not be kept is kept with the next change."""
        while True:
            await self._owners.wait()
            self._owners.clear()
            owners = {} if self.look is None else self.look.owners
            with contextlib.suppress(StorageError):
                await asyncio.to_thread(write_owners, self.keeper.folder, owners)

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
                await self.keeper.write_files()  # a switch that starts later starts with everything
            attempt, began = attempt + 1, float("inf")
            await asyncio.sleep(backoff(attempt, self._jitter))
