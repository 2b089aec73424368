"""Runs command lines side by side: `python tools/side_by_side.py "make a" "make b"`.

In: command lines for the shell. Out: what the first prints, as it comes; what each other prints, in one piece once it
and the first have ended; a line per minute for who still waits. Ends with the first exit code that is not 0; ends all
of them when it is ended itself.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from typing import IO

EVERY = 60.0  # seconds between two lines for who waits
LOOK = 0.2


def say(text: str) -> None:
    """One line for who waits."""
    print(f"side by side: {text}", flush=True)


def end(running: list[subprocess.Popen[bytes]]) -> None:
    """Ends what still runs, with all that it started."""
    for process in running:
        if process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
    for process in running:
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)


def main(commands: list[str]) -> int:
    """The first exit code that is not 0, in the order of the commands; 0 when all ended well."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    started = time.monotonic()
    outputs: list[IO[bytes] | None] = [None, *(tempfile.TemporaryFile() for _ in commands[1:])]  # noqa: SIM115 - go with us
    running = [
        subprocess.Popen(command, shell=True, stdout=output, stderr=output, start_new_session=True)  # noqa: S602 - ours
        for command, output in zip(commands, outputs, strict=True)
    ]
    try:
        shown: set[int] = set()
        told = started
        while len(shown) < len(running):
            for at, (process, output) in enumerate(zip(running, outputs, strict=True)):
                if at in shown or process.poll() is None or (output and 0 not in shown):
                    continue
                shown.add(at)
                if output:
                    say(f"what `{commands[at]}` printed")
                    output.seek(0)
                    sys.stdout.buffer.write(output.read())
                say(f"`{commands[at]}` ended with {process.returncode} (after {time.monotonic() - started:.0f} s)")
            if 0 in shown and len(shown) < len(running) and time.monotonic() > told + EVERY:
                told = time.monotonic()
                left = ", ".join(f"`{commands[at]}`" for at in range(len(running)) if at not in shown)
                say(f"still running: {left} ({told - started:.0f} s)")
            time.sleep(LOOK)
    finally:
        end(running)
    return next((process.returncode for process in running if process.returncode), 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
