"""How reports and states are shown: a live table in a terminal, JSON lines or plain lines elsewhere. No secrets."""

from __future__ import annotations

import datetime as dt
import json
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TextIO

from rich.console import Console
from rich.live import Live
from rich.table import Table

from sipgateway.agent.keeper import Keeper
from sipgateway.agent.report import Report
from sipgateway.reconcile.registration import Registration, Verdict

_STYLES = {"error": "red", "warning": "yellow", "info": "green"}


def json_line(report: Report) -> str:
    """A report as one JSON object."""
    stamp = dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds")
    entry: dict[str, object] = {"time": stamp, "level": report.level, "event": report.event}
    for key in ("gateway", "reason", "kind", "profile", "revision", "file", "line", "field", "text"):
        value = getattr(report, key)
        if value:
            entry[key] = value if key == "line" else str(value)
    if report.seconds is not None:
        entry["milliseconds"] = round(report.seconds * 1000, 1)
    return json.dumps(entry, ensure_ascii=False)


def text_line(report: Report) -> str:
    """A report as a line for people."""
    took = f" ({report.seconds * 1000:.0f} ms)" if report.seconds is not None else ""
    subject = f"{report.gateway}: " if report.gateway else ""
    return f"{report.level:<7} {report.event:<12} {subject}{report.text}{took}"


@dataclass(frozen=True, slots=True)
class Row:
    """One gateway in a table."""

    name: str
    profile: str
    proved: str
    registration: str
    revision: str
    change: str
    good: bool


@dataclass(slots=True)
class Board:
    """Remembers the last thing that happened to each gateway, and shows all of them.

    Attributes:
        mode: `table`, `json` or `text`.
    """

    mode: str
    out: TextIO = field(default_factory=lambda: sys.stdout)
    last: dict[str, tuple[float, Report]] = field(default_factory=dict)

    def report(self, report: Report) -> None:
        """Takes a report in and writes its line, if this mode has lines."""
        if report.gateway and report.event in {"proved", "failed", "problem"}:
            self.last[report.gateway] = (time.time(), report)
        if self.mode == "json":
            print(json_line(report), file=self.out, flush=True)
        elif self.mode == "text":
            print(text_line(report), file=self.out, flush=True)

    def rows(self, keeper: Keeper) -> list[Row]:
        """The gateways as they are."""
        found: list[Row] = []
        loaded = keeper.view.loaded() if keeper.connected else {}
        wanted_or_held = keeper.desired.wanted.keys() | keeper.desired.held
        for name in sorted(wanted_or_held):
            wanted, have = keeper.desired.wanted.get(name), loaded.get(name)
            registration = keeper.view.registrations.get(name, Registration())
            if not keeper.connected:
                proved = "no connection"
            elif name in keeper.failures:
                proved = str(keeper.failures[name].code)
            elif name in keeper.problems:
                proved = str(keeper.problems[name].kind)
            elif have is not None and wanted is not None and have.revision == wanted.revision:
                proved = "proved"
            elif wanted is None:
                proved = "refused" if have is None else "refused; kept as it was"
            else:
                proved = "waiting"
            said = f" {registration.status} {registration.phrase}".rstrip() if _telling(registration) else ""
            state = f"{registration.verdict}{said}" if have is not None else "-"
            good = proved == "proved" and registration.verdict in {Verdict.REGISTERED, Verdict.NOT_WANTED}
            profile = wanted.profile if wanted else have.profiles[0] if have else "-"
            revision = (wanted.revision if wanted else (have and have.revision) or "-")[-8:]
            found.append(Row(name, profile, proved, state, revision, self._change(name), good=good))
        return found

    def table(self, keeper: Keeper) -> Table:
        """The gateways as a table of rich."""
        table = Table(box=None, pad_edge=False, header_style="bold")
        for column in ("GATEWAY", "PROFILE", "LOADED", "REGISTRATION", "REVISION", "LAST CHANGE"):
            table.add_column(column, overflow="fold")
        for row in self.rows(keeper):
            style = "green" if row.good else "yellow"
            table.add_row(
                row.name, row.profile, row.proved, f"[{style}]{row.registration}[/]", row.revision, row.change
            )
        return table

    def live(self, keeper: Keeper) -> Live:
        """A live table; use it as a context."""
        console = Console(file=self.out)
        return Live(console=console, get_renderable=lambda: self.table(keeper), refresh_per_second=4)

    def _change(self, name: str) -> str:
        if name not in self.last:
            return ""
        at, report = self.last[name]
        clock = dt.datetime.fromtimestamp(at).strftime("%H:%M:%S")  # noqa: DTZ006 - local time for people
        took = f", {report.seconds * 1000:.0f} ms" if report.seconds is not None else ""
        return f"{clock} {report.text}{took}"


def _telling(registration: Registration) -> bool:
    return registration.status is not None and registration.status != 200


def choose(output: str, stream: TextIO) -> str:
    """The mode for `--output auto`: a table in a terminal, JSON lines elsewhere."""
    if output != "auto":
        return output
    return "table" if stream.isatty() else "json"


def write_table(board: Board, keeper: Keeper, console: Console) -> None:
    """Writes the table once."""
    console.print(board.table(keeper))


def lines(reports: Iterable[Report], write: Callable[[str], None]) -> None:
    """Writes reports as plain lines."""
    for report in reports:
        write(text_line(report))
