"""Follows a branch: each commit checked, applied, judged, and what became of it written into a note and pushed.

In: a mirror, an environment's name, an `Api`, a wish to look now. Out: the cluster as the branch says, evidence, a log.
A commit that is refused changes nothing; the last one that was good stays. Nothing ever goes back by itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from prometheus_client import CollectorRegistry, Counter, Gauge, exposition

from sipgateway.api.environments import Environment
from sipgateway.cluster.client import Api, ApiError, Obj
from sipgateway.errors import InputError, SipgwError
from sipgateway.git import notes
from sipgateway.git.mirror import Mirror
from sipgateway.git.repository import Repository
from sipgateway.reconcile.evidence import Evidence, Verdict, is_signed_by, parse, signed
from sipgateway.source import codes
from sipgateway.source.git import Checked, check, read_environments
from sipgateway.source.sync import Report, Sync, commits_of

log = logging.getLogger("sipgateway.sync")

_Live: TypeAlias = tuple[Mapping[str, Obj], int]

#: Seconds between looks at an environment whose commit is applied, and for which it must be bad before that is noted.
_JUDGE, _BAD_FOR = 15.0, 60.0

#: Commits before a refused one among which the one is looked for that was applied last.
_LOOK_BACK = 100

#: Seconds after which a look that failed is taken again, at first; doubled up to the time between looks.
_AGAIN = 1.0


@dataclass(slots=True)
class Metrics:
    """What `/metrics` of a sync answers."""

    registry: CollectorRegistry = field(default_factory=CollectorRegistry)
    commits: Counter = field(init=False)
    failures: Counter = field(init=False)
    good: Gauge = field(init=False)
    last_success: Gauge = field(init=False)
    not_ready: Gauge = field(init=False)

    def __post_init__(self) -> None:
        own = self.registry
        self.commits = Counter("sipgateway_sync_commits", "Commits by what became of them.", ["verdict"], registry=own)
        self.failures = Counter("sipgateway_sync_failures", "Looks at the branch that failed.", registry=own)
        self.good = Gauge(
            "sipgateway_sync_good", "1 while the applied commit's evidence is good, else 0.", registry=own
        )
        self.not_ready = Gauge(
            "sipgateway_sync_not_ready", "SipGateways of the commit that are not Ready.", registry=own
        )
        self.last_success = Gauge(
            "sipgateway_sync_last_success_timestamp_seconds",
            "Unix time of the last look at the branch that ended as it should.",
            registry=own,
        )

    def exposition(self, accept: str) -> tuple[bytes, str]:
        """What `/metrics` answers, and its content type."""
        encode, kind = exposition.choose_encoder(accept)
        body: bytes = encode(self.registry)
        return body, kind


@dataclass(slots=True)
class Options:
    """What a follower is told.

    Attributes:
        environment: its name.
        namespace: without an environments.yaml: where everything goes.
        path: folder in the repository; empty for the environment's.
        deadline: seconds in which all gateways of a commit must become Ready.
        evidence_remote: where notes are pushed; empty for the repository itself, `-` for nowhere.
        evidence_access: credentials for that; None for those of the repository.
        key: that signs evidence.
        max_prune, allow_prune: as in `Sync`.
    """

    environment: str
    namespace: str = ""
    path: str = ""
    deadline: float = 120.0
    evidence_remote: str = ""
    evidence_access: Mapping[str, str] | None = field(default=None, repr=False)
    key: Ed25519PrivateKey | None = None
    max_prune: float = 0.25
    allow_prune: bool = False


@dataclass(slots=True)
class Follower:
    """One branch, one environment."""

    api: Api
    mirror: Mirror
    options: Options
    metrics: Metrics = field(default_factory=Metrics)
    _wake: asyncio.Event = field(default_factory=asyncio.Event)
    _done: str = ""
    _checked: Checked | None = None
    _failed: int = 0
    _last: Evidence | None = None
    _bad_since: float | None = None
    _problem: str | None = "no commit was looked at yet"

    def wake(self) -> None:
        """Somebody says that the branch has moved."""
        self._wake.set()

    def ready(self) -> str | None:
        """None when the branch was looked at and nothing is in the way, else what is."""
        return self._problem

    async def run(self, every: float) -> None:
        """Follows until it is cancelled; looks at the branch every so many seconds, and when it is woken."""
        next_look = 0.0
        while True:
            now = time.monotonic()
            try:
                if self._wake.is_set() or now >= next_look or self._failed:
                    self._wake.clear()
                    next_look = now + every * random.uniform(0.8, 1.2)  # noqa: S311 - not all at the same moment
                    await self.once(may_wait_for_news=False)
                else:
                    await self._judge_again()
            except (SipgwError, ApiError) as error:
                self._failed += 1
                self.metrics.failures.inc()
                if self._problem != str(error):
                    log.error("%s", error)  # noqa: TRY400 - its words are for people
                self._problem = str(error)
                wait = min(_AGAIN * 2 ** min(self._failed - 1, 10), every) * random.uniform(0.8, 1.2)  # noqa: S311
            else:
                self._failed = 0
                self.metrics.last_success.set(time.time())
                wait = min(max(next_look - time.monotonic(), 0.0), _JUDGE)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._wake.wait()

    async def once(self, *, may_wait_for_news: bool = True) -> Evidence | None:
        """One look: the branch as it is now, applied and judged.

        Args:
            may_wait_for_news: else somebody who wakes it ends the wait for gateways, and there is no evidence.

        Raises:
            SipgwError: the branch or the environment cannot be read, or evidence cannot be pushed.
            ApiError: the API server is in the way.
        """
        commit = await asyncio.to_thread(self.mirror.fetch)
        environment, folder = await asyncio.to_thread(self._place, commit)
        checked = self._checked
        if checked is None or checked.commit != commit:
            checked = await asyncio.to_thread(check, self.mirror.repository, commit, environment, folder)
        sync = Sync(self.api, environment, self.options.max_prune, self.options.allow_prune)
        report = await sync.apply(checked)
        self._problem = f"commit {commit[:12]} is refused" if report.refusals else None
        news = commit != self._done
        if news or report.applied or report.pruned:
            self._tell(commit, report)
        if report.refusals:
            evidence = sync.refusal(checked, report.refusals, int(time.time()))
        else:
            wait = self.options.deadline if news or report.applied else 0.0
            settled = sync.settle(checked, asyncio.get_running_loop().time() + wait)
            found = await (settled if may_wait_for_news else self._unless_woken(settled))
            if found is None:
                return None
            evidence = sync.evidence(checked, *found, report.pruned)
        await self._note(environment, evidence, news=news)
        self._done, self._checked = commit, checked
        if report.refusals and news:
            await self._finish(sync, environment, folder, commit)
        return evidence

    async def _finish(self, sync: Sync, environment: Environment, folder: str, refused: str) -> None:
        """Brings to its end what a process before this one had begun when it was killed: the last good commit stays.

        That commit is the youngest before the refused one which has left its name on an object, or of which everything
        is there already: it may have done nothing but remove some.
        """
        repository, seen = self.mirror.repository, set[str]()
        live = await sync.live()
        for one in await asyncio.to_thread(repository.history, refused, limit=_LOOK_BACK):
            tree = await asyncio.to_thread(repository.tree_id, one.id, folder)
            if not live or one.id == refused or (tree in seen and one.id not in commits_of(live)):
                continue
            seen.add(tree)
            earlier = await asyncio.to_thread(check, repository, one.id, environment, folder)
            if earlier.refusals or not (one.id in commits_of(live) or sync.is_applied(earlier, live)):
                continue
            report = await sync.apply(earlier)
            if report.applied or report.pruned:
                self._tell(one.id, report)
            if not report.refusals and await asyncio.to_thread(self._noted, environment, one.id) is None:
                found = await sync.settle(earlier, asyncio.get_running_loop().time() + self.options.deadline)
                evidence = sync.evidence(earlier, *found, report.pruned)
                await asyncio.to_thread(self._write, environment, one.id, self._line(evidence))
                self._say(evidence)
            return

    async def _unless_woken(self, settled: Coroutine[Any, Any, _Live]) -> _Live | None:
        """What becomes of gateways, or None when somebody says first that the branch has moved."""
        work, news = asyncio.create_task(settled), asyncio.create_task(self._wake.wait())
        try:
            await asyncio.wait((work, news), return_when=asyncio.FIRST_COMPLETED)
            return work.result() if work.done() else None
        finally:
            work.cancel()
            news.cancel()
            await asyncio.gather(work, news, return_exceptions=True)

    async def _judge_again(self) -> None:
        """Whether what was good is still good, and the other way round; what becomes of an outage is evidence too."""
        checked = self._checked
        if checked is None or self._last is None or self._last.verdict is Verdict.REFUSED:
            return
        environment, _ = await asyncio.to_thread(self._place, checked.commit)
        sync = Sync(self.api, environment)
        live, now = await sync.settle(checked, asyncio.get_running_loop().time())
        evidence = sync.evidence(checked, live, now)
        if evidence.verdict is Verdict.BAD and self._last.verdict is Verdict.GOOD:
            self._bad_since = self._bad_since or time.monotonic()
            if time.monotonic() - self._bad_since < _BAD_FOR:
                return
        else:
            self._bad_since = None
        await self._note(environment, evidence, news=False)

    def _place(self, commit: str) -> tuple[Environment, str]:
        options = self.options
        if options.path:
            return Environment(options.environment, options.namespace), options.path
        found = read_environments(self.mirror.repository, commit).find(options.environment)
        if found is None:
            what = f"Commit {commit[:12]} has no environment {options.environment}."
            raise InputError(codes.NO_ENVIRONMENTS.because("", what))
        if options.namespace and options.namespace != found.namespace:
            what = f"{found.name} is for namespace {found.namespace}, this sync for {options.namespace}."
            raise InputError(codes.FOREIGN_NAMESPACE.because("--namespace", what))
        return found, found.folder

    async def _note(self, environment: Environment, evidence: Evidence, *, news: bool) -> None:
        last = self._last or await asyncio.to_thread(self._noted, environment, evidence.commit)
        if last is not None and not news and _says_the_same(last, evidence):
            self._last = last
            return
        self.metrics.commits.labels(evidence.verdict.value).inc()
        self.metrics.good.set(evidence.verdict is Verdict.GOOD)
        self.metrics.not_ready.set(evidence.gateways - evidence.ready)
        if last is None or not _says_the_same(last, evidence):
            await asyncio.to_thread(self._write, environment, evidence.commit, self._line(evidence))
            self._say(evidence)
        self._last = evidence

    def _line(self, evidence: Evidence) -> str:
        return (evidence if self.options.key is None else signed(evidence, self.options.key)).line

    def _noted(self, environment: Environment, commit: str) -> Evidence | None:
        """What was noted last of this commit, perhaps by a process before this one."""
        found = parse(notes.read(self.mirror.repository, environment.name, commit))
        key = self.options.key
        if key is not None:  # what somebody else wrote must not stand for ours
            found = tuple(one for one in found if is_signed_by(one, [key.public_key()]))
        return found[-1] if found else None

    def _write(self, environment: Environment, commit: str, line: str) -> None:
        repository, remote = self.mirror.repository, self.options.evidence_remote or self.mirror.url
        if self.options.evidence_access is not None:
            repository = Repository(repository.folder, self.options.evidence_access)
        if remote == "-":
            notes.add(repository, environment.name, commit, line)
            return
        notes.fetch(repository, environment.name, remote)
        notes.add(repository, environment.name, commit, line)
        notes.publish(repository, environment.name, remote)

    def _tell(self, commit: str, report: Report) -> None:
        log.info("commit %s: %s", commit[:12], report, extra={"commit": commit})
        for finding in report.refusals:
            log.error("%s", finding, extra={"commit": commit, "code": finding.code})

    def _say(self, evidence: Evidence) -> None:
        bad = "; ".join(f"{one.name}: {one.reason} {one.message}".rstrip() for one in evidence.not_ready[:10])
        what = f"{evidence.verdict}: {evidence.ready} of {evidence.gateways} Ready{'; ' if bad else ''}{bad}"
        log.info("commit %s in %s: %s", evidence.commit[:12], evidence.environment, what)
        if evidence.verdict is Verdict.BAD:
            log.warning("to go back, in a clone: sipgw rollback %s --last-good --push", evidence.environment)


def _says_the_same(one: Evidence, other: Evidence) -> bool:
    return (one.commit, one.tree, one.verdict, one.ready, one.gateways, one.not_ready) == (
        other.commit,
        other.tree,
        other.verdict,
        other.ready,
        other.gateways,
        other.not_ready,
    ) and abs(one.ready_since - other.ready_since) <= 1
