"""`sipgw keys`: the keys of a fleet in a cluster: what there is, and the exchange of the seal key."""

from __future__ import annotations

import argparse
import asyncio
import sys
from typing import TYPE_CHECKING

from sipgateway.api.names import DEFAULT_SWITCH
from sipgateway.cli.options import usage
from sipgateway.errors import ExitCode

if TYPE_CHECKING:
    from sipgateway.kube.records import FleetId
    from sipgateway.kube.rotate import Seen

HELP = (
    "Shows the keys of a fleet, never their values, and exchanges the key that passwords are sealed with: a new one is "
    "announced to every agent before anything is sealed with it, and the old one goes when nothing is. No gateway is "
    "touched. An exchange that was cut short goes on with the next call. docs/security.md says when and why."
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    commands = parser.add_subparsers(dest="keys_command", metavar="status|rotate", required=True)
    status = commands.add_parser("status", help="say which keys there are and who holds and uses them")
    rotate = commands.add_parser("rotate", help="exchange the seal key, or go on with an exchange that was begun")
    for sub in (status, rotate):
        sub.add_argument("--namespace", metavar="NAME", help="namespace of the fleet (default: the kubeconfig's)")
        sub.add_argument(
            "--switch", default=DEFAULT_SWITCH, metavar="NAME", help="the fleet: spec.switch (default: %(default)s)"
        )
        sub.add_argument("--kubeconfig", metavar="FILE", help="default: the pod's ServiceAccount, then KUBECONFIG")
        sub.add_argument("--context", metavar="NAME", help="context of the kubeconfig")
    rotate.add_argument(
        "--timeout",
        type=float,
        default=300.0,
        metavar="SECONDS",
        help="give up after so long without progress (default: 300); the next call goes on",
    )


def run(args: argparse.Namespace) -> int:
    """Does it."""
    if args.keys_command == "rotate" and not args.timeout >= 0:
        raise usage("--timeout", f"{args.timeout} is no time")
    return asyncio.run(_run(args))


async def _run(args: argparse.Namespace) -> int:
    from sipgateway.cluster import access  # noqa: PLC0415 - the API server's client is not wanted by other commands
    from sipgateway.cluster.client import Api, ApiError  # noqa: PLC0415
    from sipgateway.kube import rotate  # noqa: PLC0415
    from sipgateway.kube.records import FleetId  # noqa: PLC0415

    found = await access.find(args.kubeconfig, args.context)
    fleet = FleetId(args.namespace or found.namespace, args.switch)
    async with Api(found) as api:
        try:
            if args.keys_command == "status":
                for line in lines(fleet, await rotate.look(api, fleet)):
                    print(line)
                return ExitCode.OK
            if await rotate.rotate(api, fleet, _tell, args.timeout):
                return ExitCode.OK
        except ApiError as error:
            raise rotate.refused(error) from None
    print(
        f"sipgw keys: no progress for {args.timeout:g} s; nothing is lost, and the next call goes on here. "
        "See `sipgw keys status`.",
        file=sys.stderr,
    )
    return ExitCode.FAILED


def _tell(text: str) -> None:
    print(text, flush=True)


def lines(fleet: FleetId, seen: Seen) -> list[str]:
    """What `status` prints."""
    from sipgateway.reconcile.rotation import Done, due  # noqa: PLC0415

    keys = seen.keys
    table = [f"fleet {fleet}", f"revision key  {keys.revision.key_id}"]
    for key_id in keys.ids:
        role = "active" if key_id == keys.active else "next" if key_id == keys.following else "old"
        used = sum(key_id in ids for ids in seen.sealed.values())
        held = sum(key_id in ids for ids in seen.agents.values())
        table.append(
            f"seal key      {key_id}  {role:<6}  needed by {used} of {_count(len(seen.sealed), 'ConfigMap')}, "
            f"held by {held} of {_count(len(seen.agents), 'agent')}"
        )
    step = due(keys, seen.sealed, seen.agents)
    table.append("No exchange is under way." if isinstance(step, Done) else f"An exchange is under way. {step}")
    return table


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
