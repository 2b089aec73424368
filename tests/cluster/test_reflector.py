"""A view of a collection that stays true, whatever the API server does to the watch."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from sipgateway.cluster.client import Api, ApiError
from sipgateway.cluster.reflector import Reflector
from tests.cluster.scripted import Obj, Peer, Request, Script, ScriptedServer, config_map, listed, run

MAPS = "/api/v1/namespaces/voice/configmaps"


@dataclass
class View:
    """What was told."""

    there: dict[str, Obj] = field(default_factory=dict)
    lists: list[tuple[frozenset[str], str]] = field(default_factory=list)
    troubles: list[ApiError] = field(default_factory=list)
    well: int = 0
    poison: list[str] = field(default_factory=list)
    news: asyncio.Event = field(default_factory=asyncio.Event)

    def reflector(self, api: Api, **options: Any) -> Reflector:
        return Reflector(
            api,
            "ConfigMaps",
            MAPS,
            on_object=self._told(lambda obj: self.there.__setitem__(obj["metadata"]["name"], obj)),
            on_gone=self._told(lambda obj: self.there.pop(obj["metadata"]["name"], None)),
            on_listed=self._told(lambda uids, version: self.lists.append((uids, version))),
            on_trouble=self._told(lambda _, error: self.troubles.append(error)),
            on_well=self._told(lambda _: setattr(self, "well", self.well + 1)),
            **options,
        )

    def _told(self, what: Callable[..., object]) -> Callable[..., None]:
        def tell(*about: Any) -> None:
            what(*about)
            self.news.set()

        return tell

    async def until(self, true: Callable[[], bool]) -> None:
        """Until what was told is so."""
        async with asyncio.timeout(10):
            while not true():
                self.news.clear()
                await self.news.wait()


@contextlib.asynccontextmanager
async def reflecting(script: Script, **options: Any) -> AsyncIterator[tuple[View, ScriptedServer, Reflector]]:
    view = View()
    async with ScriptedServer(script) as server, Api(server.access()) as api:
        reflector = view.reflector(api, **options)
        task = asyncio.create_task(reflector.run())
        try:
            yield view, server, reflector
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


def scripted(*watches: Script, lists: tuple[Obj, ...] = (listed(1),)) -> Script:
    """LISTs and watches, each answered in turn; the last of each for ever, a watch that has none stays silent."""
    counts = {"list": 0, "watch": 0}

    async def answer(request: Request, peer: Peer) -> None:
        kind = "watch" if "watch" in request.query else "list"
        number = counts[kind]
        counts[kind] += 1
        if kind == "list":
            await peer.answer(200, lists[min(number, len(lists) - 1)])
        elif number < len(watches):
            await watches[number](request, peer)
        else:
            await peer.stream()
            await asyncio.Event().wait()

    return answer


def events(*what: tuple[str, Obj], then: Callable[[Peer], Awaitable[None]] | None = None) -> Script:
    async def watch(_: Request, peer: Peer) -> None:
        await peer.stream()
        for kind, obj in what:
            await peer.event(kind, obj)
        if then is None:
            await asyncio.Event().wait()
        else:
            await then(peer)

    return watch


async def end(peer: Peer) -> None:
    await peer.chunk(b"")


async def cut(peer: Peer) -> None:
    peer.reset()


def test_it_lists_then_watches_from_there() -> None:
    script = scripted(
        events(
            ("ADDED", config_map("b", 11)), ("MODIFIED", config_map("a", 12, k="v")), ("DELETED", config_map("b", 13))
        ),
        lists=(listed(10, config_map("a", 5)),),
    )

    async def test() -> None:
        async with reflecting(script, selector="x=y") as (view, server, reflector):
            await reflector.synced.wait()
            await view.until(lambda: list(view.there) == ["a"] and bool(view.there["a"]["data"]))
            assert view.lists == [(frozenset({"uid-a"}), "10")]
            assert [r.query.get("resourceVersion") for r in server.requests] == [None, "10"]
            assert {r.query["labelSelector"] for r in server.requests} == {"x=y"}
            assert view.well == 1
            assert not view.troubles

    run(test())


@pytest.mark.parametrize("how", [end, cut])
def test_it_goes_on_where_a_watch_ended(how: Callable[[Peer], Awaitable[None]]) -> None:
    script = scripted(
        events(("ADDED", config_map("a", 11)), ("BOOKMARK", {"metadata": {"resourceVersion": "17"}}), then=how),
        events(("ADDED", config_map("b", 18))),
    )

    async def test() -> None:
        async with reflecting(script) as (view, server, _):
            await view.until(lambda: set(view.there) == {"a", "b"})
            assert [r.query.get("resourceVersion") for r in server.requests] == [None, "1", "17"]
            assert len(view.lists) == 1

    run(test())


async def _too_old(_: Request, peer: Peer) -> None:
    await peer.stream()
    await peer.event("ERROR", {"kind": "Status", "code": 410, "reason": "Expired"})


def test_a_watch_that_lost_its_place_lists_again_and_says_what_is_left() -> None:
    script = scripted(
        _too_old, lists=(listed(1, config_map("a", 1), config_map("b", 1)), listed(9, config_map("b", 1)))
    )

    async def test() -> None:
        async with reflecting(script) as (view, server, reflector):
            await view.until(lambda: view.well == 2)
            assert [uids for uids, _ in view.lists] == [frozenset({"uid-a", "uid-b"}), frozenset({"uid-b"})]
            assert server.requests[-1].query["resourceVersion"] == "9"
            assert reflector.restarts == 1

    run(test())


def test_a_list_that_breaks_off_says_nothing_of_what_is_gone() -> None:
    pages = iter(
        [
            (200, listed(5, config_map("a", 1), more="t")),
            (410, None),
            (200, listed(6, config_map("a", 1), more="t")),
            (200, listed(6, config_map("b", 2))),
        ]
    )

    async def answer(request: Request, peer: Peer) -> None:
        if "watch" in request.query:
            await peer.stream()
            await asyncio.Event().wait()
        status, body = next(pages)
        if body is None:
            await peer.refuse(status, "Expired")
        else:
            await peer.answer(status, body)

    async def test() -> None:
        async with reflecting(answer) as (view, _, __):
            await view.until(lambda: view.well == 1)
            assert view.lists == [(frozenset({"uid-a", "uid-b"}), "6")]

    run(test())


async def _forbidden(_: Request, peer: Peer) -> None:
    await peer.refuse(403, "Forbidden")


async def _ends_at_once(_: Request, peer: Peer) -> None:
    await peer.stream()
    await peer.chunk(b"")


async def _broken(_: Request, peer: Peer) -> None:
    peer.reset()


@pytest.mark.parametrize("watch", [_forbidden, _ends_at_once, _broken, _too_old])
def test_what_fails_at_once_again_and_again_is_tried_less_and_less_often(watch: Script) -> None:
    async def test() -> None:
        async with reflecting(scripted(*[watch] * 1000)) as (_, server, __):
            await asyncio.sleep(1.5)
            # aiohttp sends what met a dead connection once more, at once.
            assert 3 <= len([r for r in server.requests if "watch" in r.query]) <= 14

    run(test())


def test_it_does_as_long_as_the_server_asks_to_be_left_alone() -> None:
    async def busy(_: Request, peer: Peer) -> None:
        await peer.answer(429, {"kind": "Status", "reason": "TooManyRequests"}, Retry_After="1")

    async def test() -> None:
        times: list[float] = []

        async def noted(request: Request, peer: Peer) -> None:
            if "watch" in request.query:
                times.append(asyncio.get_running_loop().time())
            await scripted(*[busy] * 2)(request, peer)

        async with reflecting(noted) as (view, server, _):
            await view.until(lambda: len(view.troubles) == 2)
            assert times[1] - times[0] >= 1
            assert len(server.made("GET")) >= 3

    run(test())


def test_one_object_that_cannot_be_borne_costs_nothing_but_itself() -> None:
    script = scripted(
        events(("ADDED", config_map("bad", 3)), ("ADDED", config_map("c", 4)), ("DELETED", config_map("bad", 5))),
        lists=(listed(2, config_map("a", 1), config_map("bad", 1), config_map("b", 1)),),
    )

    async def test() -> None:
        view = View()
        async with ScriptedServer(script) as server, Api(server.access()) as api:

            def take(obj: Obj) -> None:
                if obj["metadata"]["name"] == "bad":
                    raise ValueError("poison")
                view.there[obj["metadata"]["name"]] = obj
                view.news.set()

            def poison(_: str, obj: Obj) -> None:
                view.poison.append(obj["metadata"]["resourceVersion"])
                view.news.set()

            reflector = Reflector(api, "x", MAPS, take, take, lambda *_: None, on_poison=poison)
            task = asyncio.create_task(reflector.run())
            await view.until(lambda: set(view.there) == {"a", "b", "c"} and len(view.poison) == 3)
            assert view.poison == ["1", "3", "5"]
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    run(test())


def test_now_and_then_it_lists_though_nothing_asked_for_it() -> None:
    script = scripted(*[events(then=end)] * 1000)

    async def test() -> None:
        async with reflecting(script, resync=0.3) as (view, _, __):
            await view.until(lambda: len(view.lists) >= 2)

    run(test())
