"""Logs as JSON, one object a line: time, level, what happened, and the gateway and generation that it is about.

In: records of the standard `logging`, warnings, exceptions that nobody caught. Out: lines on stderr, nothing else. A
message never holds a secret: none is ever given to it.
"""

from __future__ import annotations

import datetime as dt
import json
import logging
import sys
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from types import TracebackType

_FIELDS = ("gateway", "generation", "fleet", "namespace", "code")

log = logging.getLogger("sipgateway")


class JsonFormatter(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        entry: dict[str, object] = {
            "time": dt.datetime.fromtimestamp(record.created, dt.UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        for name in _FIELDS:
            value = record.__dict__.get(name)
            if value is not None and value != "":
                entry[name] = value if isinstance(value, int) else str(value)
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        return json.dumps(entry, ensure_ascii=False)


@dataclass(frozen=True, slots=True)
class OneLine:
    """Takes the traceback off a library's records and leaves the exception's own words: for what is expected to fail.

    Attributes:
        libraries: first parts of the loggers' names.
    """

    libraries: frozenset[str]

    def filter(self, record: logging.LogRecord) -> bool:
        """Lets every record pass."""
        if record.name.partition(".")[0] in self.libraries:
            error = record.exc_info[1] if record.exc_info else None
            message = record.getMessage()
            said = "" if error is None else str(error) or type(error).__name__
            record.msg, record.args = (message if said in message else f"{message}: {said}"), ()
            record.exc_info = record.exc_text = None
        return True


def set_up(level: str, *, one_line: Iterable[str] = ()) -> None:
    """Sends all logs to stderr as JSON, and with them what Python would print there itself.

    Args:
        level: debug, info, warning or error.
        one_line: libraries whose tracebacks nobody wants to see.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    handler.addFilter(OneLine(frozenset(one_line)))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    log.setLevel(level.upper())
    logging.captureWarnings(capture=True)
    sys.excepthook = _uncaught
    threading.excepthook = _uncaught_in_thread
    sys.unraisablehook = _unraisable


def _unraisable(what: sys.UnraisableHookArgs) -> None:
    """Something broke while it was thrown away, such as a task of kopf's at its end: nobody can act on that."""
    log.debug("thrown away: %s: %r", what.err_msg or "an error", what.exc_value)


def _uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if not issubclass(kind, KeyboardInterrupt):
        log.critical("nobody caught this", exc_info=(kind, error, trace))


def _uncaught_in_thread(args: threading.ExceptHookArgs) -> None:
    if args.exc_value is not None:
        _uncaught(args.exc_type, args.exc_value, args.exc_traceback)
