"""`sipgw demo`: the main job on the simulator, told step by step, with proof of what was touched and what was not.

In: the example manifests, or a folder of one's own. Out: a story on stdout; exit 0 when every step went as promised.
Everything happens in a temporary folder and in this process; nothing is left behind.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import shutil
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console

from sipgateway.agent.files import ConfFolder
from sipgateway.agent.keeper import Keeper
from sipgateway.agent.report import Report
from sipgateway.api.names import DEFAULT_SWITCH
from sipgateway.cli.options import DEFAULT_PASSWORD, Esl
from sipgateway.cli.pipeline import Pipeline
from sipgateway.cli.session import Session
from sipgateway.cli.show import Board
from sipgateway.errors import ExitCode, Finding, InputError
from sipgateway.render.revision import RevisionKey, key_id_of
from sipgateway.simulator import Simulator, SimulatorConfig

HELP = (
    "Starts the simulator (a stand-in for FreeSWITCH), loads the example trunks, then edits one, breaks one, rotates a "
    "password and removes one, and shows after each step what was touched. Takes under a minute and leaves nothing "
    "behind."
)

#: The longest that any step may take, in seconds.
_PATIENCE = 30.0


def configure(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    parser.add_argument("--plain", action="store_true", help="no colours, whatever the terminal is")


def run(args: argparse.Namespace) -> int:
    """Does the work; returns an exit code."""
    wide = None if sys.stdout.isatty() else 120
    console = Console(no_color=args.plain or None, highlight=False, width=wide)
    with tempfile.TemporaryDirectory(prefix="sipgw-demo-") as folder:
        return asyncio.run(_Demo(console, Path(folder)).play())


def examples() -> Path:
    """Where the example manifests are: in the package when it is installed, else in the source tree.

    Raises:
        InputError: they are in neither place.
    """
    here = Path(__file__).resolve()
    for folder in (here.parents[1] / "examples", here.parents[3] / "manifests" / "examples"):
        if folder.is_dir():
            return folder
    raise InputError(Finding("NoExamples", "", "The example manifests are not installed.", "Install the package anew."))


@dataclass(slots=True)
class _Demo:
    console: Console
    folder: Path
    reports: list[Report] = field(default_factory=list)
    proved: list[tuple[float, Report]] = field(default_factory=list)
    good: bool = True
    board: Board = field(default_factory=lambda: Board("none"))

    async def play(self) -> int:
        source, conf = self.folder / "trunks", self.folder / "freeswitch"
        shutil.copytree(examples(), source)
        config = SimulatorConfig(conf=conf, init=True, registrars=("*=accept",))
        started = time.perf_counter()
        async with Simulator(config) as switch:
            self.say(
                "[bold]A switch[/]: the simulator stands in for FreeSWITCH (no SIP leaves this machine). "
                f"Its gateway folder is empty. {len(list(source.rglob('*.yaml')))} manifests wait in trunks/."
            )
            keeping = ConfFolder(conf)
            key = RevisionKey(keeping.revision_key())
            keeper = Keeper(keeping, lambda r: key_id_of(r) == key.key_id, self.hear)
            host, port = switch.esl_address
            session = Session(
                Pipeline(source, key, DEFAULT_SWITCH), keeper, Esl(host, port, DEFAULT_PASSWORD), self.hear
            )
            session.start()
            async with _running(session):
                await self.first(keeper, started)
                await self.edit(switch, keeper, source)
                await self.breakage(switch, keeper, source)
                await self.rotate(switch, keeper, source)
                await self.remove(switch, keeper, source)
        self.say("")
        if self.good:
            self.say("[bold green]Every step did what it promised.[/] Next: `sipgw run --help`, and README.md.")
            return ExitCode.OK
        self.say("[bold red]A step did not do what it promised; see above.[/]")
        return ExitCode.FAILED

    def hear(self, report: Report) -> None:
        self.board.report(report)
        self.reports.append(report)
        if report.event == "proved":
            self.proved.append((time.perf_counter(), report))

    def say(self, text: str) -> None:
        self.console.print(text, soft_wrap=True)

    def title(self, number: int, text: str) -> None:
        self.say(f"\n[bold cyan]{number}. {text}[/]")

    async def first(self, keeper: Keeper, started: float) -> None:
        self.title(1, "All trunks at once: one rescan per profile, then proof by read-back")
        await self.until(lambda: keeper.converged and all(r.good for r in self.board.rows(keeper)), "all gateways up")
        last = max((at for at, _ in self.proved), default=started)
        self.console.print(self.board.table(keeper))
        self.check(
            bool(self.proved), f"{len(self.proved)} gateways loaded and proved in {1000 * (last - started):.0f} ms"
        )

    async def edit(self, switch: Simulator, keeper: Keeper, source: Path) -> None:
        name, file = _find(keeper, source, registers=False)
        self.title(2, f"Edit one: {file.name} gets another channel variable")
        text = file.read_text("utf-8")
        if "  variables:\n" in text:
            text = text.replace("  variables:\n", '  variables:\n    - name: demo_edit\n      value: "1"\n', 1)
        else:
            text = text.replace("\nspec:\n", '\nspec:\n  variables:\n    - name: demo_edit\n      value: "1"\n', 1)
        await self.step(switch, keeper, {name}, lambda: _save(file, text))

    async def breakage(self, switch: Simulator, keeper: Keeper, source: Path) -> None:
        name, file = _find(keeper, source, registers=True)
        self.title(3, f"Break one: {file.name} asks for retrySeconds: 3, which FreeSWITCH would silently make 30")
        good = file.read_text("utf-8")
        kept = "\n".join(line for line in good.split("\n") if not line.startswith("  retrySeconds:"))
        before, heard = len(switch.switch.commands), len(self.reports)
        _save(file, kept.replace("\nspec:\n", "\nspec:\n  retrySeconds: 3\n", 1))
        await self.until(lambda: any(r.event == "refused" for r in self.reports[heard:]), "a refusal")
        for report in self.reports[heard:]:
            if report.event == "refused" and report.level == "error":
                self.say("   " + report.text.replace(str(source) + "/", "").replace("[", "\\["))
        await self.until(lambda: keeper.converged, "rest")
        touched = _touched(switch, before)
        self.check(not touched, f"refused with file and line; {name} keeps its last good version, nothing was touched")
        _save(file, good)
        await self.until(lambda: keeper.converged, "rest")

    async def rotate(self, switch: Simulator, keeper: Keeper, source: Path) -> None:
        name, file = _find(keeper, source, registers=True)
        self.title(4, f"Rotate a password: the Secret of {name} changes")
        lines = file.read_text("utf-8").split("\n")
        at = next(n for n, line in enumerate(lines) if line.strip().startswith("password:"))
        lines[at] = lines[at].partition("password:")[0] + "password: rotated-in-the-demo"
        await self.step(switch, keeper, {name}, lambda: _save(file, "\n".join(lines)))
        gaps = switch.switch.availability.gaps(name, switch.switch.now())
        if gaps:
            self.say(
                f"   new outbound calls failed for {gaps[-1][1] - gaps[-1][0]:.2f} s "
                "(up to 2 s when not timed to the switch's tick); calls in progress survive"
            )

    async def remove(self, switch: Simulator, keeper: Keeper, source: Path) -> None:
        name, file = _find(keeper, source, registers=True)
        self.title(5, f"Remove one: {file.name} is deleted")
        await self.step(switch, keeper, {name}, file.unlink)

    async def step(self, switch: Simulator, keeper: Keeper, names: set[str], change: Callable[[], object]) -> None:
        before, proved = len(switch.switch.commands), len(self.proved)
        others = {n: w.revision for n, w in keeper.desired.wanted.items() if n not in names}
        started = time.perf_counter()
        change()
        await self.until(lambda: len(self.proved) > proved, "proof")
        took = self.proved[proved][0] - started
        await self.until(lambda: keeper.converged and all(r.good for r in self.board.rows(keeper)), "all gateways up")
        for _, report in self.proved[proved:]:
            self.say(f"   {report.gateway}: {report.text}, revision {report.revision[-8:] or 'gone'}")
        touched = _touched(switch, before)
        for command in touched:
            self.say(f"   [dim]sent to the switch:[/] {command}")
        untouched = not any(word in others for command in touched for word in command.split())
        self.check(untouched, f"from save to proof {1000 * took:.0f} ms; the other {len(others)} gateways not touched")

    def check(self, held: bool, text: str) -> None:
        self.good = self.good and held
        self.say(f"   {'[green]ok[/]' if held else '[red]NOT SO[/]'}: {text}")

    async def until(self, condition: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + _PATIENCE
        while not condition():
            if time.monotonic() > deadline:
                self.check(held=False, text=f"waited {_PATIENCE:.0f} s for {what}")
                return
            await asyncio.sleep(0.005)


def _touched(switch: Simulator, since: int) -> list[str]:
    """Commands that change something, since a moment of the command history."""
    verbs = (" killgw ", " rescan", " register ", " unregister ", " startgw ", " restart", "reloadxml")
    commands = [c.text.removeprefix("api ") for c in switch.switch.commands[since:]]
    return [c for c in commands if any(verb in c for verb in verbs)]


def _find(keeper: Keeper, source: Path, *, registers: bool) -> tuple[str, Path]:
    """A gateway of the examples and its file: one that stands alone with its Secret."""
    for name, wanted in sorted(keeper.desired.wanted.items()):
        file = source / f"{name}.yaml"
        if wanted.registers is registers and file.is_file():
            return name, file
    raise InputError(Finding("NoExamples", "", "No example fits the demo.", "Install the package anew."))


def _save(file: Path, text: str) -> None:
    """Saves as an editor does: whole, under another name, then renamed."""
    new = file.with_name(f".{file.name}.new")
    new.write_text(text, "utf-8")
    new.replace(file)


@contextlib.asynccontextmanager
async def _running(session: Session) -> AsyncIterator[None]:
    work = asyncio.create_task(session.run())
    try:
        yield
    finally:
        work.cancel()
        with contextlib.suppress(asyncio.CancelledError, BaseExceptionGroup):
            await work
