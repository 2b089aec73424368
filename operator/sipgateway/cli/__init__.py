"""The command line: `sipgw COMMAND`. One module per command; each is imported only when it is asked for.

In: process arguments. Out: text on stdout, findings on stderr, an exit code of `errors.ExitCode`.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence
from typing import Protocol, cast

from sipgateway import __version__
from sipgateway.errors import ExitCode, SipgwError

#: Command -> (module, one line for `sipgw --help`).
COMMANDS: dict[str, tuple[str, str]] = {
    "render": ("sipgateway.cli.render", "print the FreeSWITCH XML of SipGateway manifests"),
    "lint": ("sipgateway.cli.lint", "check manifests and FreeSWITCH XML, with file and line"),
    "import": ("sipgateway.cli.import_", "turn existing FreeSWITCH gateways into manifests"),
    "run": ("sipgateway.cli.run", "keep a FreeSWITCH in line with a folder of manifests"),
    "diff": ("sipgateway.cli.diff", "say what would change on the switch, and whether it would be noticed"),
    "operator": ("sipgateway.cli.operator", "the Kubernetes operator: SipGateways to ConfigMaps, and true statuses"),
    "agent": ("sipgateway.cli.agent", "the process in each switch pod: ConfigMaps to a switch, proved and reported"),
    "status": ("sipgateway.cli.status", "SipGateways and switch pods of a cluster, and what is against which"),
    "trace": ("sipgateway.cli.trace", "the path of one SipGateway, hop by hop, to each switch"),
    "env": ("sipgateway.cli.env", "environments of a repository: a first layout, and what stands where"),
    "sync": ("sipgateway.cli.sync", "a branch of a git repository to a cluster, with evidence"),
    "promote": ("sipgateway.cli.promote", "what works in one environment to the next, as a commit"),
    "rollback": ("sipgateway.cli.rollback", "one environment as it was before, as a commit"),
    "doctor": ("sipgateway.cli.doctor", "what is wrong with an install in a cluster, and what to do"),
    "keys": ("sipgateway.cli.keys", "the keys of a fleet: what there is, and the exchange of the seal key"),
    "simulator": ("sipgateway.cli.simulator", "a stand-in for FreeSWITCH, for trying things out and for tests"),
    "demo": ("sipgateway.cli.demo", "the whole product in one minute, on the simulator"),
}


class Command(Protocol):
    """What each module of COMMANDS offers."""

    HELP: str

    def configure(self, parser: argparse.ArgumentParser) -> None:
        """Declares the command's arguments."""

    def run(self, args: argparse.Namespace) -> int:
        """Does the work; returns an exit code."""


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of `sipgw`.

    Args:
        argv: arguments without the program's name; None takes the process's.

    Returns:
        An exit code of `errors.ExitCode`.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    parser = argparse.ArgumentParser(prog="sipgw", description="SIP trunks on FreeSWITCH, declared, loaded and proved.")
    parser.add_argument("--version", action="version", version=f"sipgw {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    if not arguments:
        arguments = ["--help"]
    wanted = next((a for a in arguments if not a.startswith("-")), None)
    for name, (module, summary) in COMMANDS.items():
        sub = commands.add_parser(name, help=summary, description=summary)
        if name == wanted:
            command = cast("Command", importlib.import_module(module))
            sub.description = command.HELP
            command.configure(sub)
            sub.set_defaults(run=command.run)
    args = parser.parse_args(arguments)
    try:
        return int(args.run(args))
    except SipgwError as error:
        print(f"sipgw: {error}", file=sys.stderr)
        return int(error.exit_code)
    except KeyboardInterrupt:
        return int(ExitCode.INTERRUPTED)
    except BrokenPipeError:
        sys.stderr.close()
        return int(ExitCode.OK)
