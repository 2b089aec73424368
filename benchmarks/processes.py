"""What processes take: memory and CPU, as the kernel counts it."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Sequence
from pathlib import Path


def resident(pid: int, *, peak: bool = False) -> float:
    """Resident memory, shared libraries included, in MB; the most that it ever was with `peak`."""
    word = "VmHWM:" if peak else "VmRSS:"
    lines = Path(f"/proc/{pid}/status").read_text("utf-8").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(word)) / 1024


async def idle_cpu(pids: Sequence[int], seconds: float) -> list[float]:
    """The share of one core that each process takes while nothing happens."""
    before, began = [_used(pid) for pid in pids], time.monotonic()
    await asyncio.sleep(seconds)
    passed = time.monotonic() - began
    return [(_used(pid) - used) / passed for pid, used in zip(pids, before, strict=True)]


def _used(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
