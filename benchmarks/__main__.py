"""`make bench`: runs every benchmark and prints one table: what, the floor, ours, the ratio, the goal."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from lxml import etree
from rich.console import Console
from rich.table import Table

from benchmarks.fleet import SwitchProcess, gateway, manifest, quantile, running, simulator, write_manifests
from benchmarks.operator import bench_operator
from benchmarks.push import bench_push
from benchmarks.ring import Plan, bench_ring
from benchmarks.sync import bench_sync
from benchmarks.table import Line
from sipgateway.esl import commands
from sipgateway.esl.client import connect
from sipgateway.render.proof import prove
from sipgateway.render.revision import RevisionKey, revision
from sipgateway.render.xml import render

_PASSWORD = "ClueCon"

#: What `--only` knows, in the order in which it runs.
NAMES = ("render", "change", "memory", "operator", "sync", "push", "ring")

#: Seconds within which `sipgw run` looks at all manifests, all files and the whole switch once more.
_FULL_LOOK = 15.0


def bench_render(count: int) -> list[Line]:
    """Rendering with revision and proof, against lxml parsing the same bytes. Best of three, alternating."""
    key = RevisionKey(b"k" * 32)
    gateways = [gateway(n) for n in range(count)]
    ours, floor = [], []
    for _ in range(3):
        started = time.perf_counter()
        documents = []
        for one in gateways:
            mark = revision(one, key)
            data = render(one, mark)
            prove(one, mark, data)
            documents.append(data)
        ours.append(time.perf_counter() - started)
        started = time.perf_counter()
        for data in documents:
            etree.fromstring(data)
        floor.append(time.perf_counter() - started)
    ratio = min(ours) / min(floor)
    what = f"render, revision and proof of {count:,} gateways / lxml parsing them"
    return [Line(what, f"{min(floor):.3f} s", f"{min(ours):.3f} s", f"{ratio:.2f}", "<= 6", ratio <= 6)]


def bench_change(loaded: int, changes: int) -> list[Line]:
    """From a save to the proof, against one file write and a bare rescan on the same simulator."""
    with tempfile.TemporaryDirectory(prefix="sipgw-bench-") as folder:
        source = Path(folder, "source")
        write_manifests(source, loaded)
        with simulator(Path(folder)) as switch, running(source, switch) as process:
            _wait_proved(process, loaded)
            ours, floor = [], []
            for number in range(changes):
                floor.append(asyncio.run(_bare(switch, Path(folder, "bare.xml"))))
                ours.append(_save(process, source, number % loaded, str(number + 2)))
                time.sleep(1.2)  # idle again: what is measured is one change, not a storm
    lines = []
    for share, goal in ((0.5, 2.0), (0.99, 4.0)):
        ratio = quantile(ours, share) / quantile(floor, share)
        lines.append(
            Line(
                f"save to proof, register: false, {loaded:,} loaded, p{share * 100:.0f} / file write + bare rescan",
                f"{quantile(floor, share) * 1000:.1f} ms",
                f"{quantile(ours, share) * 1000:.1f} ms",
                f"{ratio:.2f}",
                f"<= {goal:.0f}",
                ratio <= goal,
            )
        )
    return lines


def bench_memory(count: int) -> list[Line]:
    """Peak memory of `sipgw run` with many gateways, all proved, after a look at everything and a change."""
    with tempfile.TemporaryDirectory(prefix="sipgw-bench-") as folder:
        source = Path(folder, "source")
        write_manifests(source, count)
        with simulator(Path(folder)) as switch, running(source, switch) as process:
            started = time.perf_counter()
            _wait_proved(process, count)
            took = time.perf_counter() - started
            time.sleep(_FULL_LOOK)
            _save(process, source, 0, "2")
            status = Path(f"/proc/{process.pid}/status").read_text("utf-8")
            peak = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) / 1024
    what = f"sipgw run with {count:,} gateways: peak memory (all proved after {took:.0f} s)"
    return [Line(what, "-", f"{peak:.0f} MB", "-", "<= 200 MB", peak <= 200)]


async def _bare(switch: SwitchProcess, file: Path) -> float:
    async with await connect(switch.host, switch.port, _PASSWORD) as client:
        started = time.perf_counter()
        with file.open("wb") as handle:
            handle.write(b"x" * 900)
            handle.flush()
            os.fsync(handle.fileno())
        await client.api(commands.rescan("external"))
        return time.perf_counter() - started


def _save(process: subprocess.Popen[str], source: Path, number: int, value: str) -> float:
    new = source / ".new"
    new.write_text(manifest(number, value=value), "utf-8")
    started = time.perf_counter()
    new.replace(source / f"trunk-{number}.yaml")
    _next(process, f"trunk-{number}", 30)
    return time.perf_counter() - started


def _wait_proved(process: subprocess.Popen[str], count: int) -> None:
    for _ in range(count):
        _next(process, "", 300)


def _next(process: subprocess.Popen[str], name: str, limit: float) -> None:
    """Waits for the next `proved` line, of this gateway if one is named."""
    assert process.stdout is not None
    deadline = time.monotonic() + limit
    while time.monotonic() < deadline:
        select.select([process.stdout], [], [], 0)
        line = process.stdout.readline()
        if not line:
            raise RuntimeError("sipgw run ended")
        report = json.loads(line)
        if report["event"] == "proved" and (not name or report["gateway"] == name):
            return
    raise TimeoutError(f"no proof of {name or 'a gateway'} in {limit} s")


def main() -> int:
    """Prints the table; returns 1 when a goal was missed and --strict was given."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of everything")
    parser.add_argument("--strict", action="store_true", help="end with 1 when a goal was missed")
    parser.add_argument("--large", action="store_true", help="operator and ring with 10,000 gateways too (20 minutes)")
    parser.add_argument("--only", nargs="+", choices=NAMES, default=NAMES, metavar="NAME", help=", ".join(NAMES))
    args = parser.parse_args()
    part = 10 if args.quick else 1
    table = Table(title=f"{os.cpu_count()} cores, Python {sys.version.split()[0]}")
    for column in ("what", "floor", "ours", "ratio", "goal", ""):
        table.add_column(column, justify="left" if column == "what" else "right")
    lines: list[Line] = []

    def tell(line: Line) -> None:
        lines.append(line)
        print(f"{line.what}: {line.floor} {line.ours} {line.ratio} {line.goal}", file=sys.stderr, flush=True)

    def told(found: list[Line]) -> None:
        for line in found:
            tell(line)

    sizes = (10, 1000 // part, *((10_000 // part,) if args.large else ()))
    benches: dict[str, Callable[[], None]] = {
        "render": lambda: told(bench_render(10_000 // part)),
        "change": lambda: told(bench_change(1000 // part, 100 // part)),
        "memory": lambda: told(bench_memory(10_000 // part)),
        "operator": lambda: bench_operator(sizes, 200 // part, 1000 // part, tell),
        "sync": lambda: bench_sync(1000 // part, tell),
        "push": lambda: bench_push(max(20 // part, 4), tell),
        "ring": lambda: bench_ring(
            Plan(sizes, changes=40 // part, registering=12 // part, burst=1000 // part, idle=60 / part), tell
        ),
    }
    for name in args.only:
        print(f"bench: {name} ...", file=sys.stderr, flush=True)
        benches[name]()
    for line in lines:
        table.add_row(line.what, line.floor, line.ours, line.ratio, line.goal, "met" if line.met else "MISSED")
    Console().print(table)
    return int(args.strict and not all(line.met for line in lines))


if __name__ == "__main__":
    sys.exit(main())
