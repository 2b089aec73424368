"""The tick is aimed at with room for the work, never in the past, and its period is learnt from noisy sightings."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sipgateway.reconcile.tick import MARGIN, MAX_AGE, PERIOD, Delay, Tick

SECONDS = st.floats(0, 1e6, allow_nan=False)


@given(
    last=SECONDS,
    later=st.floats(0, MAX_AGE, allow_nan=False),
    period=st.floats(0.98, 1.05, allow_nan=False),
    work=st.floats(0, 3, allow_nan=False),
)
def test_acting_leaves_the_work_and_a_margin_before_a_tick_and_is_never_in_the_past(
    last: float, later: float, period: float, work: float
) -> None:
    tick, now = Tick(last, period), last + later
    at = tick.act_at(now, work)
    assert at >= now - 1e-6
    assert at - now <= period + 1e-6
    phase = (at + work + MARGIN - last) / period
    assert phase == pytest.approx(round(phase), abs=1e-4)


@given(last=SECONDS, later=st.floats(0, 1000, allow_nan=False))
def test_the_next_tick_is_the_first_that_is_not_past(last: float, later: float) -> None:
    tick, now = Tick(last), last + later
    following = tick.next(now)
    assert now - 1e-4 <= following <= now + PERIOD


@pytest.mark.parametrize("period", [0.995, 1.0, 1.0025, 1.01])
@pytest.mark.parametrize("every", [1, 2, 7])
def test_the_phase_is_right_after_a_minute_of_noisy_sightings(period: float, every: int) -> None:
    chance = random.Random(every)
    start = 1234.5
    tick = Tick(start + chance.uniform(0, 0.01))
    for number in range(every, 61, every):
        tick = tick.seen(start + number * period + chance.uniform(0, 0.01))
    assert tick.period == pytest.approx(period, abs=0.002)
    real = start + 70 * period
    assert tick.next(real - 0.3) == pytest.approx(real, abs=0.03)


def test_the_same_tick_seen_twice_changes_nothing() -> None:
    tick = Tick(100.0).seen(101.0025)
    assert tick.seen(101.0025) == tick
    assert tick.seen(50.0) == tick


def test_a_sighting_that_is_out_of_step_moves_the_phase_and_not_the_period() -> None:
    tick = Tick(100.0)
    for number in range(1, 11):
        tick = tick.seen(100 + number * 1.0)
    steady = tick.period
    moved = tick.seen(120.45)
    assert moved.last == 120.45
    assert moved.period == steady


def test_an_old_phase_is_not_trusted() -> None:
    assert Tick(100.0).trusted(100.0 + MAX_AGE)
    assert not Tick(100.0).trusted(100.1 + MAX_AGE)


def test_the_least_delay_maps_the_switchs_clock_to_ours() -> None:
    delay = Delay()
    for number, late in enumerate((0.03, 0.001, 0.2)):
        delay = delay.seen(1000 + late, float(number))
    assert delay.value == pytest.approx(1000.001)


@pytest.mark.parametrize("step", [0.2, 3.0, 3600.0])
def test_a_clock_that_was_set_back_is_followed_within_two_minutes(step: float) -> None:
    delay = Delay()
    for second in range(100):
        delay = delay.seen(1000 + 0.001 * (second % 7), float(second))
    for second in range(100, 230):
        delay = delay.seen(1000 + step + 0.001 * (second % 7), float(second))
    assert delay.value == pytest.approx(1000 + step, abs=0.01)


def test_a_clock_that_was_set_forward_or_far_back_is_followed_at_once() -> None:
    assert Delay().seen(1000.0, 0.0).seen(400.0, 1.0).value == 400.0
    assert Delay().seen(1000.0, 0.0).seen(4600.0, 1.0).value == 4600.0


def test_one_piece_of_late_news_moves_nothing_for_good() -> None:
    assert Delay().seen(1000.0, 0.0).seen(1030.0, 1.0).seen(1000.0, 2.0).value == 1000.0
