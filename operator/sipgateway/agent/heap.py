"""Keeps the process small: there is one in each switch pod. Does nothing where the C library is not glibc.

glibc gives each thread a heap of its own and keeps what was freed; a boot that writes thousands of files with some
threads would leave 5 MB that nobody uses.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc

_M_ARENA_MAX = -8  # malloc.h


def one_arena() -> None:
    """All threads share one heap. To be called before the first thread begins."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 1)


def give_back() -> None:
    """Gives freed memory back to the system, as after a boot."""
    gc.collect()
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
