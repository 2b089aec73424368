"""A row of the table that the benchmarks print, and how numbers are written in it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Line:
    """A row of the table."""

    what: str
    floor: str
    ours: str
    ratio: str
    goal: str
    met: bool


def ratio_line(what: str, floor: float, ours: float, goal: float | None) -> Line:
    """A row of two durations in seconds and the most that their ratio may be; None when it is only shown."""
    ratio = ours / floor
    aim = "-" if goal is None else f"<= {goal:g}"
    return Line(what, duration(floor), duration(ours), f"{ratio:.2f}", aim, goal is None or ratio <= goal)


def duration(seconds: float) -> str:
    """Seconds for people."""
    return f"{seconds * 1000:.1f} ms" if seconds < 1 else f"{seconds:.2f} s"
