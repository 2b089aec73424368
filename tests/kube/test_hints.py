"""Whose turn it is: news, routine, rivals, and fleets that are named once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from sipgateway.kube.decide import Decision
from sipgateway.kube.hints import HintQueue
from sipgateway.kube.metrics import Metrics
from sipgateway.kube.publish import Outcome
from sipgateway.kube.records import FleetId, Key, Name
from sipgateway.kube.workers import Workers
from sipgateway.kube.world import World
from tests.kube.objects import sipgateway


def run(test: Callable[[], Awaitable[None]]) -> None:
    async def limited() -> None:
        async with asyncio.timeout(20):
            await test()

    asyncio.run(limited())


def test_news_go_before_routine_and_every_fourth_turn_is_routines() -> None:
    async def test() -> None:
        queue: HintQueue[str] = HintQueue()
        for number in range(6):
            queue.put(f"routine {number}", routine=True)
        taken = []
        for number in range(12):
            queue.put(f"news {number}")
            queue.put(f"more news {number}")
            found = queue.take()
            assert found is not None
            taken.append(found[0])
            queue.done(found[0])
        assert sum(one.startswith("routine") for one in taken) == 3
        assert not taken[0].startswith("routine")

    run(test)


def test_a_key_waits_once_and_is_worked_on_once_at_a_time() -> None:
    async def test() -> None:
        queue: HintQueue[str] = HintQueue()
        queue.put("a")
        queue.put("a", routine=True)
        assert queue.depth == 1
        assert queue.take() is not None
        queue.put("a")
        assert queue.take() is None
        queue.done("a")
        found = queue.take()
        assert found is not None
        assert found[0] == "a"

    run(test)


def test_the_oldest_is_told_over_news_and_routine() -> None:
    async def test() -> None:
        queue: HintQueue[str] = HintQueue()
        assert queue.oldest is None
        queue.put("old", routine=True)
        first = queue.oldest
        await asyncio.sleep(0.01)
        queue.put("young")
        assert queue.oldest == first

    run(test)


class _Publisher:
    """Carries nothing out."""

    async def carry_out(self, _key: Key, _decision: Decision) -> Outcome:
        await asyncio.sleep(0)
        return Outcome()


def test_fleets_that_are_named_once_leave_nothing_behind() -> None:
    async def test() -> None:
        world = World(lambda _key, _content: None)
        judged: list[Key] = []
        workers = Workers(
            world,
            _Publisher(),  # type: ignore[arg-type]
            Metrics(),
            judged.append,
            lambda _: None,
            lambda _: None,
        )
        key = Key("voice", "acme")
        for number in range(200):
            world.take_gateway(sipgateway("acme", version=number + 1, generation=number + 1, switch=f"s{number}"))
            workers.hint(key)
            while workers._tasks:  # noqa: ASYNC110 - they end by themselves, and the test has a deadline
                await asyncio.sleep(0)
        assert len(judged) == 200
        assert not workers._queues
        assert not workers._tasks
        assert len(world.members) == 1
        await workers.stop(1)

    run(test)


def test_an_edit_that_leaves_the_standing_alone_hints_no_rival() -> None:
    hinted: list[Key] = []
    world = World(lambda key, _content: hinted.append(key), hinted.append)
    for number in range(50):
        world.take_gateway(sipgateway(f"g{number}", version=number + 1, gatewayName="x"))
    hinted.clear()
    world.take_gateway(sipgateway("g0", version=100, generation=2, gatewayName="x", proxy="other.example.com"))
    assert hinted == [Key("voice", "g0")]
    world.take_gateway(sipgateway("g0", version=101, generation=3, gatewayName="y"))
    assert len(hinted) == 51
    assert world.concerned(Name(FleetId("voice", "default"), "y")) == {Key("voice", "g0")}
