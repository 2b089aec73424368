"""Chaos in short; `make chaos ROUNDS=20 SEED=7` plays more of it, and a seed that failed again."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.controlplane.plane import ControlPlane
from tests.ring.chaos import Chaos
from tests.ring.histories import Life
from tests.ring.judge import Judge
from tests.ring.plan import THEMES, first_world, plan

ROUNDS = int(os.environ.get("SIPGW_CHAOS_ROUNDS", "2"))
SEED = int(os.environ.get("SIPGW_CHAOS_SEED", "1"))
PODS = int(os.environ.get("SIPGW_CHAOS_PODS", "2"))
WITHOUT = frozenset(os.environ.get("SIPGW_CHAOS_WITHOUT", "").split(","))


@pytest.mark.slow
@pytest.mark.timeout(120 + 240 * ROUNDS)
def test_after_every_round_all_is_as_wanted_and_nothing_happened_that_must_never(
    start_control_plane: Callable[..., ControlPlane], tmp_path: Path
) -> None:
    # Else the API server makes etcd forget what the histories are made of.
    plane = start_control_plane(api_server_flags=("--etcd-compaction-interval=0",))
    with Chaos(plane, tmp_path, SEED, PODS, WITHOUT) as chaos:
        for number in range(ROUNDS):
            chaos.round(number)


def test_a_round_is_the_same_for_the_same_seed() -> None:
    world = first_world()
    assert plan(7, 3, world, 3) == plan(7, 3, world, 3)
    assert len({plan(seed, 3, world, 3).steps for seed in range(20)}) == 20


def test_every_theme_has_its_turn_and_rounds_follow_from_each_other() -> None:
    world, did = first_world(), set()
    for number in range(len(THEMES)):
        planned = plan(1, number, world, 3)
        did |= {step.do for step in planned.steps}
        world = planned.world
    assert {t for t in THEMES if t != "disk"} | {"disk-fill", "disk-free"} <= did


def test_a_judge_finds_what_must_never_be() -> None:
    """So that the rounds could fail."""
    quiet = Life(False, [], [], {"a": []})
    judge = Judge({"b"}, set())
    assert list(judge.life(quiet)) == []

    def told(text: str, reply: str = "+OK") -> Life:
        return Life(False, [{"text": text, "reply": reply}], [], {})

    assert list(judge.life(told("api sofia profile external killgw b"))) == []
    assert list(judge.life(told("api sofia profile external killgw a"))) != []
    assert list(judge.life(told("api sofia profile external register b", "-ERR NOREG gateway [b]"))) != []
    assert list(judge.life(told("api sofia profile external restart"))) != []
    assert list(judge.life(Life(False, [], [], {"a": [(1.0, "DOWN"), (2.0, "UP")]}))) != []
    assert list(judge.life(Life(True, [], [], {"a": [(1.0, "DOWN"), (2.0, "UP")]}))) == []
    assert list(judge.life(Life(True, [], [], {"a": [(1.0, "UP"), (2.0, "GONE"), (3.0, "UP")]}))) != []
    assert list(judge.life(Life(False, [], [{"method": "REGISTER", "expires": 0, "gateway": "a"}], {}))) != []
    assert list(judge.life(Life(False, [], [], {}, leaked=1))) != []
    assert list(judge.life(Life(False, [], [], {}, ghosts={"b": 2}))) != []
