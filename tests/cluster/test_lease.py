"""The Lease: one leads, another takes over when the first is gone, and no clock on a wall has a say in it.

Against an API server of twenty lines that keeps one Lease as Kubernetes does: resourceVersions, conflicts, merges.
tests/kube/test_lease.py does it with whole operators and the real one.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from sipgateway.cluster import lease as module
from sipgateway.cluster.client import Api, ApiError
from sipgateway.cluster.lease import DeposedError, Lease
from tests.cluster.scripted import Obj, Peer, Request, ScriptedServer, run

LEASES = "/apis/coordination.k8s.io/v1/namespaces/voice/leases"


@dataclass
class Store:
    """Keeps one Lease; `trouble` answers instead when it says so."""

    lease: Obj | None = None
    version: int = 100
    trouble: Callable[[Request, Peer], Awaitable[bool]] | None = None
    holders: list[str] = field(default_factory=list)

    async def __call__(self, request: Request, peer: Peer) -> None:
        if self.trouble is not None and await self.trouble(request, peer):
            return
        if request.method == "POST":
            if self.lease is not None:
                await peer.refuse(409, "AlreadyExists")
                return
            self.put(request.object["spec"], request.object["metadata"].get("labels"))
        elif self.lease is None:
            await peer.refuse(404, "NotFound")
            return
        elif request.method == "PATCH":
            if request.object["metadata"]["resourceVersion"] != self.lease["metadata"]["resourceVersion"]:
                await peer.refuse(409, "Conflict")
                return
            self.put(self.lease["spec"] | request.object["spec"], self.lease["metadata"].get("labels"))
        await peer.answer(200, self.lease)

    def put(self, spec: Obj, labels: Any = None) -> None:
        """Somebody writes it."""
        self.version += 1
        meta = {"name": "op", "resourceVersion": str(self.version), "labels": labels or {}}
        self.lease = {"metadata": meta, "spec": spec}
        self.holders.append(str(spec.get("holderIdentity") or ""))

    @property
    def spec(self) -> Obj:
        """What it says now."""
        assert self.lease is not None
        spec: Obj = self.lease["spec"]
        return spec

    def held_by(self, holder: str, **spec: Any) -> None:
        """Another one has it."""
        self.put({"holderIdentity": holder, "leaseDurationSeconds": 1} | spec)


def against(store: Store, test: Callable[[Callable[..., Lease]], Awaitable[None]]) -> None:
    async def both() -> None:
        async with ScriptedServer(store) as server, Api(server.access()) as api:

            def candidate(identity: str = "we", duration: float = 1.0, **options: Any) -> Lease:
                quick = {"renew_within": duration * 2 / 3, "period": duration / 8, "look": 0.02} | options
                return Lease(api, LEASES, "op", identity, duration=duration, **quick)

            await test(candidate)

    run(both())


@contextlib.asynccontextmanager
async def keeping(lease: Lease) -> Any:
    """Renews in the background."""
    task = asyncio.create_task(lease.keep())
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def soon(true: Callable[[], bool], seconds: float = 5.0) -> None:
    async with asyncio.timeout(seconds):
        while not true():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


def test_who_comes_first_makes_it_and_leads() -> None:
    store = Store()

    async def test(candidate: Callable[..., Lease]) -> None:
        ours = candidate()
        with pytest.raises(DeposedError):
            ours.check()
        await ours.acquire()
        ours.check()
        assert store.spec["holderIdentity"] == "we"
        assert store.spec["leaseDurationSeconds"] == 1
        assert store.spec["leaseTransitions"] == 0
        assert store.spec["acquireTime"] == store.spec["renewTime"]

    against(store, test)


def test_of_two_that_come_at_once_one_leads() -> None:
    async def test(candidate: Callable[..., Lease]) -> None:
        both = [candidate("one"), candidate("two")]
        waiting = [asyncio.create_task(lease.acquire()) for lease in both]
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        await asyncio.sleep(0.1)
        assert [lease.held for lease in both].count(True) == 1
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)

    against(Store(), test)


def test_while_it_is_renewed_nobody_else_leads_and_when_it_is_not_another_one_does() -> None:
    store = Store()

    async def test(candidate: Callable[..., Lease]) -> None:
        one, two = candidate("one"), candidate("two")
        await one.acquire()
        waiting = asyncio.create_task(two.acquire())
        async with keeping(one):
            await asyncio.sleep(1.5)  # longer than its duration
            one.check()
            assert not waiting.done()
            stopped = time.monotonic()
        await waiting
        assert time.monotonic() - stopped >= 0.85  # the last renewal may have been a period ago
        assert not one.held  # its deadline passed before
        assert store.spec["leaseTransitions"] == 1

    against(store, test)


@pytest.mark.parametrize(
    "times",
    [
        {"renewTime": "2999-01-01T00:00:00.000000Z"},
        {"renewTime": "1970-01-01T00:00:00.000000Z"},
        {"renewTime": "nonsense", "acquireTime": None},
        {},
    ],
)
def test_the_times_that_a_holder_wrote_mean_nothing(times: Obj) -> None:
    """A clock that was set makes neither two leaders nor none: only whether the Lease changes counts."""
    store = Store()
    store.held_by("other", **times)

    async def test(candidate: Callable[..., Lease]) -> None:
        began = time.monotonic()
        ours = candidate()
        await ours.acquire()
        assert 1.0 <= time.monotonic() - began < 3.0
        assert ours.held

    against(store, test)


def test_a_holder_whose_clock_stands_still_is_alive_as_long_as_the_lease_changes() -> None:
    store = Store()
    store.held_by("other", renewTime="1970-01-01T00:00:00.000000Z")

    async def test(candidate: Callable[..., Lease]) -> None:
        ours = candidate()
        waiting = asyncio.create_task(ours.acquire())
        for _ in range(8):
            await asyncio.sleep(0.25)
            store.held_by("other", renewTime="1970-01-01T00:00:00.000000Z")
        assert not waiting.done()
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)

    against(store, test)


def test_an_absurd_duration_does_not_keep_everybody_waiting_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LONGEST", 0.3)
    store = Store()
    store.held_by("other", leaseDurationSeconds=2**31 - 1, leaseTransitions=2**31 - 1)

    async def test(candidate: Callable[..., Lease]) -> None:
        await candidate().acquire()
        assert store.spec["leaseTransitions"] == 2**31 - 1  # one more is no number of the API

    against(store, test)


def test_the_duration_that_the_holder_promised_counts_not_ours() -> None:
    store = Store()
    store.held_by("other", leaseDurationSeconds=1)

    async def test(candidate: Callable[..., Lease]) -> None:
        began = time.monotonic()
        await candidate(duration=60.0).acquire()
        assert time.monotonic() - began < 10

    against(store, test)


def test_what_somebody_else_wrote_into_it_stays() -> None:
    store = Store()
    store.put({"preferredHolder": "someone", "strategy": "x"}, {"team": "voice"})

    async def test(candidate: Callable[..., Lease]) -> None:
        await candidate().acquire()
        assert store.spec["preferredHolder"] == "someone"
        assert store.lease is not None
        assert store.lease["metadata"]["labels"] == {"team": "voice"}

    against(store, test)


def test_somebody_who_touches_it_deposes_nobody() -> None:
    store = Store()

    async def test(candidate: Callable[..., Lease]) -> None:
        ours = candidate()
        await ours.acquire()
        async with keeping(ours) as task:
            for _ in range(10):
                store.put(dict(store.spec), {"touched": "yes"})
                await asyncio.sleep(0.1)
            assert ours.held
            assert not task.done()

    against(store, test)


def test_who_sees_another_holder_leads_no_more_at_once() -> None:
    store = Store()

    async def test(candidate: Callable[..., Lease]) -> None:
        ours = candidate(duration=30.0, period=0.05)
        await ours.acquire()
        async with keeping(ours) as task:
            store.held_by("other")
            async with asyncio.timeout(5):
                await task
            with pytest.raises(DeposedError):
                ours.check()
            assert store.holders[-1] == "other"

    against(store, test)


def test_a_lease_that_somebody_deletes_is_made_again_by_its_holder_and_by_nobody_before() -> None:
    store = Store()

    async def test(candidate: Callable[..., Lease]) -> None:
        one, two = candidate("one", duration=2.0, period=0.5), candidate("two", duration=2.0)
        await one.acquire()
        waiting = asyncio.create_task(two.acquire())
        async with keeping(one):
            await asyncio.sleep(0.1)  # the other one has seen it
            store.lease = None
            await soon(lambda: store.lease is not None)
            assert store.spec["holderIdentity"] == "one"
            assert one.held
            assert not two.held
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)

    against(store, test)


def test_given_back_it_is_anothers_at_the_next_look() -> None:
    async def test(candidate: Callable[..., Lease]) -> None:
        one, two = candidate("one", duration=30.0), candidate("two", duration=30.0)
        await one.acquire()
        waiting = asyncio.create_task(two.acquire())
        await asyncio.sleep(0.1)
        assert not waiting.done()
        await one.release()
        assert not one.held
        async with asyncio.timeout(2):
            await waiting

    against(Store(), test)


def test_who_does_not_have_it_gives_nothing_back() -> None:
    store = Store()
    store.held_by("other")

    async def test(candidate: Callable[..., Lease]) -> None:
        await candidate().release()
        assert store.holders == ["other"]

    against(store, test)


def test_what_was_taken_without_hearing_the_answer_is_given_back() -> None:
    store = Store()

    async def swallow(request: Request, _: Peer) -> bool:
        if request.method == "POST":
            store.put(request.object["spec"])
            await asyncio.Event().wait()
        return False

    store.trouble = swallow

    async def test(candidate: Callable[..., Lease]) -> None:
        ours = candidate()
        waiting = asyncio.create_task(ours.acquire())
        await soon(lambda: bool(store.holders))
        waiting.cancel()  # as a signal does to who waits
        await asyncio.gather(waiting, return_exceptions=True)
        await ours.release()
        assert store.holders == ["we", ""]

    against(store, test)


def test_giving_it_back_does_not_wait_for_a_server_that_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_RELEASE", 0.2)
    store = Store()

    async def hang(_request: Request, _peer: Peer) -> bool:
        await asyncio.Event().wait()
        return True

    async def test(candidate: Callable[..., Lease]) -> None:
        ours = candidate(duration=30.0)
        await ours.acquire()
        store.trouble = hang
        began = time.monotonic()
        await ours.release()
        assert time.monotonic() - began < 2
        assert not ours.held

    against(store, test)


def test_when_renewals_fail_it_leads_until_its_deadline_and_not_longer() -> None:
    store = Store()

    async def fail(_: Request, peer: Peer) -> bool:
        await peer.refuse(503, "ServiceUnavailable")
        return True

    async def test(candidate: Callable[..., Lease]) -> None:
        told: list[ApiError | None] = []
        ours = candidate(duration=1.5, told=told.append)
        await ours.acquire()
        async with keeping(ours) as task:
            store.trouble = fail
            began = time.monotonic()
            async with asyncio.timeout(5):
                await task
            assert 0.5 < time.monotonic() - began < 1.5  # another one may begin at 1.5
            assert not ours.held
        assert any(e is not None and e.status == 503 for e in told)

    against(store, test)


def test_a_renewal_counts_from_when_it_was_sent_not_from_its_answer() -> None:
    store = Store()

    async def test(candidate: Callable[..., Lease]) -> None:
        ours = candidate(duration=1.5)

        async def slow(_request: Request, _peer: Peer) -> bool:
            await asyncio.sleep(0.5)
            return False

        store.trouble = slow  # a GET and a POST: 1 s, which is the deadline
        await ours.acquire()
        assert not ours.held

    against(store, test)


def test_a_process_that_was_stopped_knows_it_by_the_clock_alone() -> None:
    """Nothing else has run since: neither a timer nor the keeper. `check` alone must say it."""

    async def test(candidate: Callable[..., Lease]) -> None:
        ours = candidate(duration=0.3)
        await ours.acquire()
        ours.check()
        time.sleep(0.25)  # noqa: ASYNC251 - stopped
        with pytest.raises(DeposedError):
            ours.check()

    against(Store(), test)


def test_a_clock_on_the_wall_that_jumps_about_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    jumps = itertools.cycle((0.0, 4e9, 1.7e9))

    async def test(candidate: Callable[..., Lease]) -> None:
        monkeypatch.setattr(time, "time", lambda: next(jumps))
        one, two = candidate("one"), candidate("two")
        await one.acquire()
        waiting = asyncio.create_task(two.acquire())
        async with keeping(one):
            for _ in range(15):
                await asyncio.sleep(0.1)
                one.check()
                assert not two.held
        began = time.monotonic()
        await waiting
        assert time.monotonic() - began >= 0.8

    against(Store(), test)


def _refusing(status: int, reason: str) -> Callable[[Request, Peer], Awaitable[bool]]:
    async def refuse(_: Request, peer: Peer) -> bool:
        await peer.refuse(status, reason, "no right to leases")
        return True

    return refuse


@pytest.mark.parametrize(("status", "reason"), [(403, "Forbidden"), (401, "Unauthorized"), (422, "Invalid")])
def test_a_refusal_that_lasts_is_told(status: int, reason: str) -> None:
    async def test(candidate: Callable[..., Lease]) -> None:
        told: list[ApiError | None] = []
        began = time.monotonic()
        with pytest.raises(ApiError, match="no right to leases"):
            await candidate(duration=0.3, told=told.append).acquire()
        assert 0.3 <= time.monotonic() - began < 3
        assert told

    against(Store(trouble=_refusing(status, reason)), test)


@pytest.mark.parametrize(("status", "reason"), [(403, "Forbidden"), (401, "Unauthorized")])
def test_a_refusal_while_the_api_server_starts_is_none(status: int, reason: str) -> None:
    store = Store(trouble=_refusing(status, reason))

    async def test(candidate: Callable[..., Lease]) -> None:
        ours = candidate(duration=5.0)
        waiting = asyncio.create_task(ours.acquire())
        await asyncio.sleep(0.3)
        store.trouble = None
        async with asyncio.timeout(5):
            await waiting
        assert ours.held

    against(store, test)


def test_while_the_api_server_is_gone_it_waits() -> None:
    store = Store(trouble=_refusing(503, "ServiceUnavailable"))

    async def test(candidate: Callable[..., Lease]) -> None:
        ours = candidate(duration=0.2)
        waiting = asyncio.create_task(ours.acquire())
        await asyncio.sleep(1.0)  # far longer than a refusal would be borne
        assert not waiting.done()
        store.trouble = None
        async with asyncio.timeout(5):
            await waiting

    against(store, test)


def test_what_is_written_is_small_and_on_the_version_that_was_seen() -> None:
    async def both() -> None:
        store = Store()
        async with ScriptedServer(store) as server, Api(server.access()) as api:
            ours = Lease(api, LEASES, "op", "we", duration=1.0, renew_within=0.6, period=0.05, look=0.02)
            await ours.acquire()
            async with keeping(ours):
                await server.wait_for(3, "PATCH")
            patches = [json.loads(r.body) for r in server.made("PATCH")]
            assert len({p["metadata"]["resourceVersion"] for p in patches}) == len(patches)
            assert {tuple(sorted(p)) for p in patches} == {("metadata", "spec")}
            assert len(server.made("GET")) == 1  # a renewal is one request

    run(both())
