"""What a sync judges by when the deadline comes: what is there then, not what it had heard of."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from sipgateway.source import sync
from sipgateway.source.sync import Sync


@pytest.mark.parametrize("late", [True, False])
def test_at_the_deadline_what_no_event_has_told_of_yet_counts(monkeypatch: pytest.MonkeyPatch, late: bool) -> None:
    lists: list[dict[str, Any]] = [{"acme": "pending"}, {"acme": "ready"}]

    async def _list(_: Sync) -> tuple[dict[str, Any], str]:
        return lists.pop(0), "1"

    async def _follow(*_: object) -> str:
        await asyncio.sleep(60)  # the event does not come in time
        return "2"

    monkeypatch.setattr(Sync, "_list", _list)
    monkeypatch.setattr(Sync, "_follow", _follow)
    monkeypatch.setattr(sync, "_is_settled", lambda live, _: live == "ready")
    monkeypatch.setattr(sync, "_AGAIN", 0.0 if late else 60.0)  # a look that is fresh is not taken twice
    wanted: Any = SimpleNamespace(wanted=[SimpleNamespace(name="acme")])

    async def settled() -> dict[str, Any]:
        one = Sync.__new__(Sync)
        found, _ = await one.settle(wanted, asyncio.get_running_loop().time() + 0.05)
        return dict(found)

    assert asyncio.run(settled()) == {"acme": "ready" if late else "pending"}
