"""`sipgw run`: the local pipeline. Keeps a FreeSWITCH in line with a folder of manifests."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import signal
import sys

from rich.console import Console

from sipgateway.agent.files import ConfFolder
from sipgateway.agent.gate import Gate
from sipgateway.agent.keeper import Keeper
from sipgateway.agent.report import Report
from sipgateway.cli.options import DEFAULT_PASSWORD, add_conf, add_esl, add_register_rate, add_source, esl_of, layout_of
from sipgateway.cli.owners import read_owners
from sipgateway.cli.pipeline import Pipeline
from sipgateway.cli.session import Session
from sipgateway.cli.show import Board, choose, write_table
from sipgateway.errors import ExitCode, SipgwError
from sipgateway.reconcile.registration import Verdict
from sipgateway.render.revision import RevisionKey, key_id_of

HELP = (
    "Watches a folder of SipGateway manifests, writes FreeSWITCH's gateway files, makes the switch load what changed, "
    "and proves it by reading it back. No other gateway is touched. Ends on SIGINT or SIGTERM; the switch keeps what "
    "it has."
)


#: Seconds for which a manifest must be gone before its trunk goes: a checkout takes files away and puts them back.
QUIET = 2.0


def configure(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    add_source(parser)
    add_conf(parser)
    add_esl(parser)
    add_register_rate(parser)
    parser.add_argument("--once", action="store_true", help="end when everything is proved, or --timeout has passed")
    parser.add_argument(
        "--timeout", type=float, default=30.0, metavar="SECONDS", help="how long --once tries (default: 30)"
    )
    parser.add_argument(
        "--adopt", action="store_true", help="take over loaded gateways of our names that sipgateway did not load"
    )
    parser.add_argument(
        "--output",
        choices=("auto", "table", "json", "text"),
        default="auto",
        help="auto: a live table in a terminal, JSON lines elsewhere",
    )


def run(args: argparse.Namespace) -> int:
    """Does the work; returns an exit code."""
    esl, layout = esl_of(args), layout_of(args)
    folder = ConfFolder(args.conf.absolute(), layout)
    mode = choose(args.output, sys.stdout)
    board = Board(mode)
    with folder.locked():
        folder.sweep()
        key = RevisionKey(folder.revision_key(remake=args.adopt))
        gate = Gate(args.register_rate)
        keeper = Keeper(folder, lambda r: key_id_of(r) == key.key_id, board.report, adopt=args.adopt, gate=gate)
        quiet, owners = 0.0 if args.once else QUIET, read_owners(folder)
        pipeline = Pipeline(args.source, key, args.switch, layout, args.allow_empty, quiet, owners)
        session = Session(pipeline, keeper, esl, board.report)
        if esl.password == DEFAULT_PASSWORD:
            text = "the event socket has FreeSWITCH's default password: change it in event_socket.conf.xml"
            board.report(Report("warning", "switch", "", text, "DefaultPassword"))
        session.start()
        if session.look is not None and session.look.elsewhere and not session.look.rendered:
            names = ", ".join(sorted(session.look.elsewhere))
            text = f"no SipGateway here is for switch {args.switch!r}; there are some for: {names} (see --switch)"
            board.report(Report("warning", "source", "", text, "OtherSwitch"))
        return asyncio.run(_main(args, session, board))


async def _main(args: argparse.Namespace, session: Session, board: Board) -> int:
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    work = asyncio.create_task(session.run())
    live = board.live(session.keeper) if board.mode == "table" and not args.once else contextlib.nullcontext()
    try:
        with live:
            if args.once:
                return await _once(args, session, board, work, stopped)
            waiting = asyncio.create_task(stopped.wait())
            await asyncio.wait({work, waiting}, return_when=asyncio.FIRST_COMPLETED)
            waiting.cancel()
            if work.done():
                _raise(work)
            return ExitCode.OK
    finally:
        work.cancel()
        with contextlib.suppress(asyncio.CancelledError, BaseExceptionGroup):
            await work


async def _once(
    args: argparse.Namespace, session: Session, board: Board, work: asyncio.Task[None], stopped: asyncio.Event
) -> int:
    keeper = session.keeper
    loop = asyncio.get_running_loop()
    deadline = loop.time() + args.timeout
    while loop.time() < deadline and not stopped.is_set():
        if work.done():
            _raise(work)
        if keeper.converged and _judged(session):
            break
        await asyncio.sleep(0.02)
    if board.mode in {"table", "text"}:
        write_table(board, keeper, Console(file=board.out))
    if stopped.is_set():
        return ExitCode.INTERRUPTED
    if not keeper.connected:
        print(f"sipgw: {session.unreachable}", file=sys.stderr)
        return ExitCode.SWITCH
    if keeper.storage is not None:
        return ExitCode.STORAGE
    refused = session.look is None or bool(session.look.errors)
    whole = keeper.converged and not keeper.problems and all(row.good for row in board.rows(keeper))
    return ExitCode.OK if whole and not refused else ExitCode.FAILED


def _judged(session: Session) -> bool:
    """Whether every registration came to an end, good or bad."""
    registrations = session.keeper.view.registrations
    pending = {Verdict.PENDING}
    return all(
        name in session.keeper.problems or (name in registrations and registrations[name].verdict not in pending)
        for name in session.keeper.desired.wanted
    )


def _raise(work: asyncio.Task[None]) -> None:
    try:
        work.result()
    except BaseExceptionGroup as group:
        known, other = group.split(SipgwError)
        if other is None and known is not None:
            raise next(_flat(known)) from None
        raise


def _flat(group: BaseExceptionGroup[SipgwError]):  # type: ignore[no-untyped-def]  # noqa: ANN202
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _flat(error)
        else:
            yield error
