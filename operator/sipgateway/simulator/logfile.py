"""The switch's log. In: level and text. Out: lines like FreeSWITCH's in freeswitch.log.

A log that cannot be written is dropped, as the switch goes on without it too.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import IO


class Log:
    """Appends lines to a file, opened at the first line.

    Args:
        path: of the file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: IO[str] | None = None
        self._failed = False
        self._second = (0, "")

    def write(self, at: float, level: str, text: str) -> None:
        """Writes one line.

        Args:
            at: seconds since the epoch.
            level: FreeSWITCH's word: NOTICE, WARNING, ERR, ...
            text: the rest.
        """
        if self._file is None:
            if self._failed:
                return
            try:
                self._file = self._path.open("a", encoding="utf-8", errors="backslashreplace", buffering=1 << 16)
            except OSError:
                self._failed = True
                return
        if self._second[0] != int(at):
            self._second = int(at), time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at))
        self._file.write(f"{self._second[1]}.{round(at % 1 * 1e6):06d} 99.00% [{level}] {text}\n")

    def flush(self) -> None:
        """Brings what was written to the file."""
        if self._file is not None:
            self._file.flush()

    def close(self) -> None:
        """Ends the log."""
        if self._file is not None:
            self._file.close()
            self._file = None
