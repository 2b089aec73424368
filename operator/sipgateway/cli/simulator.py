"""`sipgw simulator`: runs the stand-in for FreeSWITCH as a process.

In: flags. Out: one line of JSON with the addresses when it is ready; it ends at SIGINT or SIGTERM.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import errno
import json
import signal
import sys
from pathlib import Path

from sipgateway.errors import ExitCode, Finding, InputError, SipgwError, StorageError
from sipgateway.simulator import RealClock, Simulator, SimulatorConfig

HELP = "A stand-in for FreeSWITCH's mod_sofia and event socket, for trying things out and for tests. It is no switch."


def configure(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    parser.add_argument("--conf", type=Path, required=True, metavar="DIR", help="configuration folder")
    parser.add_argument("--esl", default="127.0.0.1:8021", metavar="HOST:PORT", help="event socket; port 0 for any")
    parser.add_argument(
        "--password-file", type=Path, metavar="FILE", help="event socket password; else the configuration's"
    )
    parser.add_argument("--control", metavar="PATH|HOST:PORT", help="control door (JSON lines)")
    parser.add_argument("--log", type=Path, metavar="DIR", help="folder of freeswitch.log and freeswitch.xml.fsxml")
    parser.add_argument(
        "--registrar",
        action="append",
        default=[],
        metavar="HOST:PORT=MODE[,...]",
        help="accept, silent, unreachable, dns-error or a status; `*` for all other addresses; may be repeated",
    )
    parser.add_argument("--init", action="store_true", help="write a configuration tree where there is none")
    parser.add_argument("--seed", type=int, default=1, help="of every chance")
    parser.add_argument("--speed", type=float, default=1.0, help="simulated seconds per second")
    parser.add_argument("--tick", type=float, default=1.0, metavar="SECONDS", help="time between a profile's ticks")


def run(args: argparse.Namespace) -> int:
    """Runs until it is told to stop."""
    try:
        config = _config(args)
        simulator = Simulator(config)
    except ValueError as error:
        raise InputError(Finding("SimulatorArguments", "", str(error), "Correct the argument.")) from error
    except OSError as error:
        raise StorageError(Finding("SimulatorFiles", "", str(error), "Check the folders.")) from error
    try:
        with contextlib.suppress(KeyboardInterrupt):
            asyncio.run(_serve(simulator))
    except OSError as error:
        if error.errno not in {errno.EADDRINUSE, errno.EADDRNOTAVAIL, errno.EACCES}:
            raise
        what = f"Cannot listen on {args.esl}: {error.strerror}."
        raise SipgwError(
            Finding("AddressNotFree", "--esl", what, "Choose another address, or port 0 for any."), ExitCode.USAGE
        ) from None
    return int(ExitCode.OK)


def _config(args: argparse.Namespace) -> SimulatorConfig:
    host, _, port = args.esl.rpartition(":")
    if not host or not port.isdigit():
        raise ValueError(f"--esl {args.esl!r}: HOST:PORT is needed")
    password = None
    if args.password_file is not None:
        password = args.password_file.read_text(encoding="utf-8").strip("\r\n")
    return SimulatorConfig(
        conf=args.conf,
        esl_host=host.strip("[]"),
        esl_port=int(port),
        password=password,
        control=args.control,
        log_folder=args.log,
        registrars=tuple(args.registrar),
        init=args.init,
        clock=RealClock(args.speed),
        tick=args.tick,
        seed=args.seed,
    )


async def _serve(simulator: Simulator) -> None:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    async with simulator:
        host, port = simulator.esl_address
        ready = {"esl": f"{host}:{port}", "control": simulator.control_address, "conf": str(simulator.config.conf)}
        print(json.dumps(ready), flush=True)
        await stopped.wait()
    sys.stdout.flush()
