"""Ties a program to the process that starts it: `python leash.py PARENT PIPE PROGRAM ARGUMENT...` becomes the program.

In: the process id of who starts it, and the end of a pipe, which is closed when the leash is on. Out: the program, in
the same process, with word from Linux that it gets SIGKILL as soon as the thread that started it ends, however that
ends. A Python of its own instead of a `preexec_fn`: that is not safe where there are threads. Nothing but the standard
library, for it is run with `-I -S`, which starts in 15 ms.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main(parent: int, pipe: int, command: list[str]) -> None:
    """Does not return."""
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL)) != 0:
        sys.exit(f"leash: prctl: {os.strerror(ctypes.get_errno())}")
    if os.getppid() != parent:  # it ended before we could ask
        sys.exit("leash: the parent is gone")
    os.close(pipe)
    os.execv(command[0], command)  # noqa: S606 - a leash becomes what it is for


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])
