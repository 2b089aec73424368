"""Retries wait longer each time, up to a minute; passes keep their distance only while changes keep coming."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from sipgateway.reconcile.backoff import GAP_MAX, GAP_MIN, RETRY_FIRST, RETRY_MAX, Pace, Retry


def test_the_wait_doubles_up_to_a_minute() -> None:
    retry, waits = None, []
    for _ in range(9):
        retry = Retry.after(retry, 100.0)
        waits.append(retry.not_before - 100.0)
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    assert (waits[0], waits[-1]) == (RETRY_FIRST, RETRY_MAX)


def test_even_a_million_failures_do_not_overflow() -> None:
    assert Retry.after(Retry(10**6, 0.0), 5.0) == Retry(10**6 + 1, 5.0 + RETRY_MAX)


def test_the_first_hint_acts_at_once() -> None:
    assert Pace().start_at(7.0) == 7.0


def test_the_gap_doubles_while_changes_keep_coming() -> None:
    pace, now, gaps = Pace(), 10.0, []
    for _ in range(8):
        now = pace.start_at(now)
        pace = pace.passed(now)
        gaps.append(pace.gap)
    assert gaps == [0.025, 0.05, 0.1, 0.2, 0.4, 0.8, 1.0, 1.0]


def test_ten_seconds_of_changes_are_at_most_fifteen_passes() -> None:
    pace, now, passes = Pace(), 10.0, 0
    while (now := pace.start_at(now)) < 20.0:
        pace, passes = pace.passed(now), passes + 1
    assert passes <= 15


def test_the_gap_falls_back_after_a_quiet_second_or_after_two_gaps() -> None:
    assert Pace(GAP_MIN, 10.0).passed(11.01).gap == GAP_MIN
    assert Pace(GAP_MAX, 10.0).passed(11.01).gap == GAP_MAX
    assert Pace(GAP_MAX, 10.0).passed(10.0 + 2 * GAP_MAX + 0.01).gap == GAP_MIN


@given(st.lists(st.floats(0, 3, allow_nan=False), min_size=1, max_size=50))
def test_passes_are_never_more_than_a_second_late_nor_early(pauses: list[float]) -> None:
    pace = Pace()
    for now in itertools.accumulate(pauses):
        start = pace.start_at(max(now, pace.last))
        assert now <= start <= max(now, pace.last) + GAP_MAX
        pace = pace.passed(start)
