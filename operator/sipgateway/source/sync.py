"""Applies a commit to a cluster: checked whole before the first write, then forward until it is done.

In: a `Checked` commit, an `Api`. Out: a `Report`, and evidence of what became of it. The cluster is the only memory:
what is there says what is still to be done, so a process that was killed goes on where it was.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import logging
import re
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sipgateway import __version__
from sipgateway.api.environments import Environment
from sipgateway.api.names import ANNOTATION_COMMIT, ANNOTATION_PATH, API_VERSION, LABEL_SYNC, PLURAL, SYNC_MANAGER
from sipgateway.cluster.client import APPLY, Api, ApiError, Obj
from sipgateway.errors import Finding
from sipgateway.reconcile.evidence import MAX_NAMED, Evidence, NotReady, Verdict
from sipgateway.source import codes
from sipgateway.source.git import ANNOTATION_DIGEST, Checked, Wanted, placed

log = logging.getLogger("sipgateway.sync")

#: Requests at once.
_AT_ONCE = 8

#: Seconds between two tries of what the API server could not take just now.
_AGAIN = 1.0

_SIP = re.compile(r"\b[3-6]\d\d [A-Z][a-z]+(?: [A-Z][a-z]+)*")
_FIELD = re.compile(r"\b((?:spec|metadata)(?:\.[A-Za-z]\w*|\[\d+\])+):")

#: Seconds after which a watch is opened anew while gateways become Ready.
_WATCH = 60


@dataclass(slots=True)
class Report:
    """What was done.

    Attributes:
        applied, unchanged, pruned: names.
        refusals: why nothing was done.
        before: names that were applied from this very commit before it was refused.
    """

    applied: list[str] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    pruned: list[str] = field(default_factory=list)
    refusals: tuple[Finding, ...] = ()
    before: tuple[str, ...] = ()

    def __str__(self) -> str:
        if self.refusals:
            done = f"{len(self.before)} had been applied before" if self.before else "nothing was applied"
            return f"refused: {len(self.refusals)} findings; {done}"
        return f"{len(self.applied)} applied, {len(self.unchanged)} unchanged, {len(self.pruned)} pruned"


@dataclass(slots=True)
class Sync:
    """The applier of one environment.

    Attributes:
        max_prune: share of what it applied that one commit may remove.
        allow_prune: whether it may remove as much as it says.
        patience: seconds in which an API server that cannot take it just now is asked again; then the caller decides.
    """

    api: Api
    environment: Environment
    max_prune: float = 0.25
    allow_prune: bool = False
    patience: float = 60.0

    async def apply(self, checked: Checked) -> Report:
        """Applies a commit.

        Raises:
            ApiError: the API server cannot take it now; what was applied stays, and the next call goes on.
        """
        if checked.refusals:
            return Report(refusals=checked.refusals)
        live = await self.live()
        wanted = {one.name: one for one in checked.wanted}
        gone = sorted(live.keys() - wanted.keys())
        report = Report(unchanged=[name for name, one in wanted.items() if _is_applied(live.get(name), one)])
        todo = [one for name, one in wanted.items() if name not in report.unchanged]
        refusals = [*self._prune_refusals(gone, live, wanted)]
        refusals += [f for f in await self._each(todo, lambda one: self._dry_run(one, checked.commit)) if f is not None]
        if refusals:
            before = tuple(name for name, obj in live.items() if _commit_of(obj) == checked.commit)
            return Report(refusals=tuple(refusals), before=before)

        async def do(one: Wanted) -> None:
            await self._send(one, checked.commit, {})
            report.applied.append(one.name)

        try:
            await self._each(todo, do)
            for name in gone:
                await self._prune(live[name])
                report.pruned.append(name)
        except ApiError:
            left = len(todo) + len(gone) - len(report.applied) - len(report.pruned)
            log.warning("commit %s: so far %s; %d are left", checked.commit[:12], report, left)
            raise
        return report

    async def live(self) -> Mapping[str, Obj]:
        """What this environment's sync has applied and is still there."""
        return (await self._list())[0]

    def is_applied(self, checked: Checked, live: Mapping[str, Obj]) -> bool:
        """Whether everything that a commit wants is there."""
        return all(_is_applied(live.get(one.name), one) for one in checked.wanted)

    async def settle(self, checked: Checked, deadline: float) -> tuple[Mapping[str, Obj], int]:
        """Waits until every gateway of the commit is Ready, or has failed on its own account, or a deadline passes.

        Args:
            checked: an applied commit.
            deadline: seconds of the event loop's clock.

        Returns:
            The SipGateways as they are then.
        """
        wanted, loop = checked.wanted, asyncio.get_running_loop()
        found, version = await self._list()
        listed = loop.time()
        try:
            async with asyncio.timeout_at(deadline):
                while not all(_is_settled(found.get(one.name), one) for one in wanted):
                    try:
                        if not version:
                            found, version = await self._list()
                            continue
                        version = await self._follow(found, version, wanted)
                    except ApiError as error:
                        version = ""
                        if not (error.transient or error.expired):
                            raise
                        await asyncio.sleep(max(error.retry_after, _AGAIN))
        except TimeoutError:
            # A machine that stood still sees its clock before the events that came meanwhile: those count, too.
            if loop.time() > listed + _AGAIN:
                with contextlib.suppress(ApiError):
                    found, _ = await self._list()
        return found, int(time.time())

    def evidence(self, checked: Checked, live: Mapping[str, Obj], now: int, deleted: Sequence[str] = ()) -> Evidence:
        """What is to be said of a commit, from the SipGateways as they are."""
        states = {one.name: _state(live.get(one.name), one) for one in checked.wanted}
        bad = [replace(state, name=name) for name, state in states.items() if state is not None]
        since = [_ready_since(live[one.name]) for one in checked.wanted if states[one.name] is None]
        applied = max((_written(live[name]) for name in states if name in live), default=now)
        return Evidence(
            environment=self.environment.name,
            commit=checked.commit,
            tree=checked.tree,
            verdict=Verdict.BAD if bad else Verdict.GOOD,
            judged_at=now,
            applied_at=applied,
            ready_since=0 if bad else max([*since, applied]),
            gateways=len(states),
            ready=len(states) - len(bad),
            not_ready=tuple(bad[:MAX_NAMED]),
            deleted=tuple(deleted),
            version=__version__,
        )

    def refusal(self, checked: Checked, refusals: Sequence[Finding], now: int) -> Evidence:
        """Evidence of a commit that was not applied."""
        told = tuple(NotReady(str(f.location or ""), f.code, f.message) for f in refusals[:MAX_NAMED])
        return Evidence(
            environment=self.environment.name,
            commit=checked.commit,
            tree=checked.tree,
            verdict=Verdict.REFUSED,
            judged_at=now,
            gateways=len(checked.wanted),
            not_ready=told,
            version=__version__,
        )

    # The API server

    @property
    def _path(self) -> str:
        return f"/apis/{API_VERSION}/namespaces/{self.environment.namespace}/{PLURAL}"

    @property
    def _selector(self) -> str:
        return f"{LABEL_SYNC}={self.environment.name}"

    async def _list(self) -> tuple[dict[str, Obj], str]:
        found: dict[str, Obj] = {}
        version = ""
        async for page in self.api.pages(self._path, selector=self._selector):
            found |= {obj["metadata"]["name"]: obj for obj in page.items}
            version = page.version
        return found, version

    async def _follow(self, found: dict[str, Obj], version: str, wanted: Collection[Wanted]) -> str:
        """Takes events in until all is settled, or the server ends the watch; returns where to go on."""
        async for event in self.api.watch(self._path, version, selector=self._selector, seconds=_WATCH):
            name = event.object["metadata"].get("name", "")
            version = event.version
            if event.type in {"ADDED", "MODIFIED"}:
                found[name] = event.object
            elif event.type == "DELETED":
                found.pop(name, None)
            if all(_is_settled(found.get(one.name), one) for one in wanted):
                break
        return version

    async def _each(self, todo: Sequence[Wanted], do: Callable[[Wanted], Any]) -> list[Any]:
        """Several at once; the first error ends them all."""
        results: dict[str, Any] = {}
        rest = iter(todo)

        async def work() -> None:
            for one in rest:
                results[one.name] = await do(one)

        try:
            async with asyncio.TaskGroup() as tasks:
                for _ in range(min(_AT_ONCE, len(todo))):
                    tasks.create_task(work())
        except ExceptionGroup as group:
            raise group.exceptions[0] from None
        return [results[one.name] for one in todo]

    async def _dry_run(self, one: Wanted, commit: str) -> Finding | None:
        try:
            await self._send(one, commit, {"dryRun": "All"})
        except ApiError as error:
            if error.transient:
                raise
            return _finding(one, error)
        return None

    async def _send(self, one: Wanted, commit: str, params: Mapping[str, str]) -> None:
        deadline = asyncio.get_running_loop().time() + self.patience
        while True:
            try:
                await self.api.patch(
                    f"{self._path}/{one.name}",
                    one.applied(commit),
                    kind=APPLY,
                    params={"fieldManager": SYNC_MANAGER, **params},
                )
            except ApiError as error:
                if not error.transient or asyncio.get_running_loop().time() > deadline:
                    raise
                await asyncio.sleep(max(error.retry_after, _AGAIN))
            else:
                return

    async def _prune(self, live: Obj) -> None:
        meta = live["metadata"]
        try:
            await self.api.delete(f"{self._path}/{meta['name']}", uid=meta["uid"])
        except ApiError as error:
            if not (error.not_found or error.conflict):  # another one has its name by now: that one is not ours
                raise

    def _prune_refusals(
        self, gone: Sequence[str], live: Mapping[str, Obj], wanted: Mapping[str, Wanted]
    ) -> list[Finding]:
        if gone and not wanted:
            what = f"{self.environment.folder} has no SipGateway, and {len(gone)} were applied before."
            return [codes.EMPTY_TREE.because("", what)]
        if len(gone) <= 1 or self.allow_prune or len(gone) <= self.max_prune * len(live):
            return []
        what = f"{len(gone)} of {len(live)} would go: {', '.join(gone[:10])}."
        return [codes.PRUNE_TOO_MUCH.because("", what)]


def _is_applied(live: Obj | None, one: Wanted) -> bool:
    """Whether an object is what its manifest says: nothing is written then."""
    if live is None:
        return False
    meta = live["metadata"]
    notes = meta.get("annotations") or {}
    same = notes.get(ANNOTATION_DIGEST) == one.digest and notes.get(ANNOTATION_PATH) == one.path
    return (
        same
        and bool(notes.get(ANNOTATION_COMMIT))
        and _covers(
            {"spec": live.get("spec"), "labels": meta.get("labels"), "annotations": notes},
            {
                "spec": one.body["spec"],
                "labels": one.body["metadata"]["labels"],
                "annotations": one.body["metadata"]["annotations"],
            },
        )
    )


def _covers(there: Any, wanted: Any) -> bool:
    """Whether everything that is wanted is there; the API server adds defaults."""
    if isinstance(wanted, Mapping):
        return isinstance(there, Mapping) and all(_covers(there.get(k), v) for k, v in wanted.items())
    if isinstance(wanted, list):
        return (
            isinstance(there, list)
            and len(there) == len(wanted)
            and all(_covers(a, b) for a, b in zip(there, wanted, strict=True))
        )
    return bool(there == wanted)


def _finding(one: Wanted, error: ApiError) -> Finding:
    code = codes.FIELD_CONFLICT if error.conflict else codes.DRY_RUN_REFUSED
    at = _FIELD.search(error.message)
    field_path = at[1] if at and not error.conflict else ""
    return placed(code.because(field_path, f"SipGateway {one.name}: {error.message}."), one)


def _condition(obj: Obj, kind: str) -> Obj:
    generation = obj["metadata"].get("generation")
    for one in (obj.get("status") or {}).get("conditions") or ():
        if one.get("type") == kind and one.get("observedGeneration") == generation:
            return dict(one)
    return {}


def _state(obj: Obj | None, one: Wanted) -> NotReady | None:
    """Why a SipGateway is not Ready as its manifest has it; None when it is, or is suspended."""
    if obj is None:
        return NotReady("", "Missing", "it is not in the cluster")
    if not _is_applied(obj, one):
        return NotReady("", "Changed", "it is not as its manifest says")
    if (obj.get("spec") or {}).get("suspend") is True:
        return None
    ready = _condition(obj, "Ready")
    if ready.get("status") == "True":
        return None
    return NotReady("", str(ready.get("reason") or "NotJudged"), _sip(str(ready.get("message") or "")))


def _sip(text: str) -> str:
    """Of a message only what the carrier answered: names of pods and addresses stay in the cluster."""
    found = _SIP.search(text)
    return found[0] if found else ""


def _is_settled(obj: Obj | None, one: Wanted) -> bool:
    if obj is None or not _is_applied(obj, one):
        return False
    return _state(obj, one) is None or _condition(obj, "Stalled").get("status") == "True"


def commits_of(live: Mapping[str, Obj]) -> frozenset[str]:
    """The commits that changed these objects last."""
    return frozenset(_commit_of(obj) for obj in live.values())


def _commit_of(obj: Obj) -> str:
    return str((obj["metadata"].get("annotations") or {}).get(ANNOTATION_COMMIT) or "")


def _ready_since(obj: Obj) -> int:
    return _seconds(_condition(obj, "Ready").get("lastTransitionTime"))


def _written(obj: Obj) -> int:
    """When its fields were last applied by us."""
    times = [
        _seconds(entry.get("time"))
        for entry in obj["metadata"].get("managedFields") or ()
        if entry.get("manager") == SYNC_MANAGER
    ]
    return max(times, default=0)


def _seconds(text: object) -> int:
    try:
        return int(dt.datetime.fromisoformat(str(text)).timestamp())
    except ValueError:
        return 0
