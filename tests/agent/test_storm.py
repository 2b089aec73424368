"""Edits and other people's commands in any order end with what is wanted, though a pass looks at a few names only."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import pytest

from sipgateway.agent import resync
from sipgateway.api.gateway import Gateway
from sipgateway.render.layout import relative_path
from tests.agent.bench import Bench, asynchronous, bench

LABELS = "abcdef"


class Storm:
    """Random edits, and what others do to the switch meanwhile."""

    def __init__(self, one: Bench, seed: int) -> None:
        self.one = one
        self.chance = random.Random(seed)
        self.version = 0
        self.wanted: dict[str, Gateway] = {}

    def edit(self) -> None:
        self.version += 1
        for label in self.chance.sample(LABELS, self.chance.randrange(1, 4)):
            if self.chance.random() < 0.2:
                self.wanted.pop(label, None)
                continue
            self.wanted[label] = self.one.gateway(
                label,
                str(self.version),
                registers=self.chance.random() < 0.4,
                directory=self.chance.random() < 0.2,
                transport=self.chance.choice([None, None, None, "tls"]),
            )
        self.one.want(*self.wanted.values())

    def tls(self, name: str) -> bool:
        return any(g.name == name and g.get("register-transport") == "tls" for g in self.wanted.values())

    def at_rest(self, no_tls: set[str]) -> bool:
        keeper = self.one.keeper
        waits = keeper.settling or keeper._moves or keeper._aim.waiting
        return keeper._idle and not waits and keeper.failures.keys() == no_tls

    async def others(self) -> None:
        # No rescan of theirs: between our two looks it may load what was there before, and make a ghost (fact 11).
        if self.chance.random() < 0.8:
            await self.one.api(f"sofia profile external killgw {self.one.name(self.chance.choice(LABELS))}")
        else:
            before = self.one.connections
            self.one.tap.cut()
            await self.one.until(lambda: self.one.connections > before)


async def copies(one: Bench, label: str, count: int) -> None:
    """Until so many copies are listed: marked ones are until the next tick."""
    deadline = asyncio.get_running_loop().time() + 5
    while len(rows := await one.rows(label)) != count:
        assert asyncio.get_running_loop().time() < deadline, (label, rows)
        await asyncio.sleep(0.02)


@pytest.mark.parametrize("seed", range(8))
@asynchronous
async def test_whatever_happens_in_whatever_order_it_ends_as_it_is_wanted(
    tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resync, "RESYNC", 1e6)  # nothing is put right by a look at everything
    async with bench(tmp_path, speed=10.0) as one:
        one.only_simulated()
        await one.start()
        storm = Storm(one, seed)
        for _ in range(25):
            storm.edit()
            await asyncio.sleep(storm.chance.choice([0, 0.01, 0.1, 0.4]))
            if storm.chance.random() < 0.4:
                await storm.others()
        await asyncio.sleep(0.5)  # more than two ticks: what somebody killed is told of by then
        # `external` has no TLS: what asks for it falls back, or fails where it has nothing to fall back to.
        no_tls = {n for n, w in one.keeper.desired.wanted.items() if w.profile == "external" and storm.tls(n)}
        await one.until(lambda: storm.at_rest(no_tls), 20)
        refused = one.keeper.last_good.refusals
        assert refused.keys() <= no_tls
        for label, gateway in storm.wanted.items():
            loaded = gateway.name not in no_tls
            if loaded:
                assert await one.proves(gateway), label
            await copies(one, label, int(loaded or gateway.name in refused))
        paths = {relative_path(g, one.folder.layout) for g in storm.wanted.values() if g.name not in refused}
        good = {r.good.wanted.path for r in refused.values() if r.good is not None}
        assert set(one.files()) == paths | good
        for label in set(LABELS) - storm.wanted.keys():
            await copies(one, label, 0)
        assert one.keeper.problems == {}
        assert list((one.conf / ".sipgw").rglob("*.xml")) == []
