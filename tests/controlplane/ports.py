"""Loopback ports that stay ours. Out: a port that nobody listens on and that no outgoing connection will be given.

Linux gives outgoing connections ports from a range of its own (`ip_local_port_range`). A port below it is free again
when a server comes back to it after a restart, and a client that calls meanwhile cannot connect to itself.
"""

from __future__ import annotations

import random
import socket
from pathlib import Path

LOWEST = 15000
_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")


def free_port() -> int:
    """A port that was free a moment ago. Two callers may get the same one: who loses starts again with another."""
    ceiling = int(_RANGE.read_text().split()[0]) if _RANGE.exists() else 32768
    candidates = range(LOWEST, ceiling) if ceiling - LOWEST > 1000 else range(20000, 32000)
    for _ in range(1000):
        port = random.choice(candidates)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise OSError("no free port on 127.0.0.1 was found in 1000 tries")
