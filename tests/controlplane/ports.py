"""Loopback ports that stay ours. Out: a port that nobody listens on and that no outgoing connection will be given.

Linux gives outgoing connections ports from a range of its own (`ip_local_port_range`). A port below it is free again
when a server comes back to it after a restart, and a client that calls meanwhile cannot connect to itself.

Test runs stand side by side. Each process takes a slice of the ports below that range for as long as it lives, by a
lock on a file that ends with the process; within the slice each port is given out in turn, so that one that was just
given comes last.
"""

from __future__ import annotations

import fcntl
import itertools
import os
import random
import socket
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path

LOWEST = 15000
SLICE = 256
_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")


def free_port() -> int:
    """A port that is free, and that no other process of our tests will be given.

    Raises:
        OSError: every port of this process' slice is taken, or every slice.
    """
    for port in itertools.islice(_turn(os.getpid()), SLICE):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise OSError(f"none of {SLICE} ports on 127.0.0.1 is free")


@cache
def _turn(process: int) -> Iterator[int]:
    """The ports of the slice of one process, again and again; a fork gets a slice of its own."""
    del process
    ceiling = int(_RANGE.read_text().split()[0]) if _RANGE.exists() else 32768
    lowest, highest = (LOWEST, ceiling) if ceiling - LOWEST > 16 * SLICE else (20000, 32000)
    slices = list(range(lowest, highest - SLICE + 1, SLICE))
    random.shuffle(slices)
    for start in slices:
        if _take(start):
            return itertools.cycle(range(start, start + SLICE))
    raise OSError(f"every slice of {SLICE} ports between {lowest} and {highest} belongs to a test run")


_held: list[int] = []


def _take(start: int) -> bool:
    """Whether this slice is ours from now on, until the process ends."""
    path = Path(tempfile.gettempdir()) / f"sipgateway-ports-{os.getuid()}-{start}.lock"
    lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        return False
    _held.append(lock)
    return True
