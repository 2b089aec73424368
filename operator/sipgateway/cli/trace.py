"""`sipgw trace NAME`: the path of one SipGateway from its manifest to each switch, and the first hop that is behind."""

from __future__ import annotations

import argparse
import asyncio
import json
from typing import TYPE_CHECKING

from sipgateway.cli.findings import write
from sipgateway.cli.status import add_cluster
from sipgateway.errors import ExitCode

if TYPE_CHECKING:
    from sipgateway.kube.trace import Hop

HELP = (
    "Follows one SipGateway: commit (if it was applied from git), object, acceptance, ConfigMap, each switch pod, "
    "status; says when each was written and names the first hop that is behind. Reads only. Ends with 0 when all are "
    "done, else with 1."
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    parser.add_argument("name", help="the SipGateway")
    parser.add_argument("--namespace", "-n", metavar="NAME", help="where it is (default: the kubeconfig's)")
    add_cluster(parser)
    parser.add_argument("--output", choices=("text", "json"), default="text")


def run(args: argparse.Namespace) -> int:
    """Does the work; returns an exit code."""
    return asyncio.run(_run(args))


async def _run(args: argparse.Namespace) -> int:
    from sipgateway.cluster import access  # noqa: PLC0415 - the API server's client is not wanted by other commands
    from sipgateway.cluster.client import Api  # noqa: PLC0415
    from sipgateway.kube import survey  # noqa: PLC0415
    from sipgateway.kube.records import Key  # noqa: PLC0415
    from sipgateway.kube.trace import first_behind, trace  # noqa: PLC0415

    found = await access.find(args.kubeconfig, args.context)
    async with Api(found) as api:
        gateway, published, seen = await survey.one(api, Key(args.namespace or found.namespace, args.name))
    hops = trace(gateway, published, seen)
    behind = first_behind(hops)
    if args.output == "json":
        write(_json(hops, behind))
    else:
        write(f"{gateway.key}: gateway {gateway.name} on switch {gateway.fleet.switch}, profile {gateway.profile}")
        for line in lines(hops):
            write(line)
        write("every hop is done" if behind is None else f"first hop behind: {behind.name}: {behind.text}")
    return ExitCode.OK if behind is None else ExitCode.FAILED


def lines(hops: tuple[Hop, ...]) -> list[str]:
    """One per hop: name, state, when, after how long, what."""
    width = max(len(hop.name) for hop in hops)
    return [f"  {hop.name:<{width}}  {hop.state:<6}  {_when(hop):<29} {hop.text}".rstrip() for hop in hops]


def _when(hop: Hop) -> str:
    if hop.at is None:
        return ""
    took = "" if hop.took is None else f" +{hop.took} s"
    return f"{hop.at:%Y-%m-%dT%H:%M:%SZ}{took}"


def _json(hops: tuple[Hop, ...], behind: Hop | None) -> str:
    entries = [
        {
            "hop": hop.name,
            "state": hop.state.value,
            "text": hop.text,
            "at": None if hop.at is None else hop.at.isoformat(),
            "tookSeconds": hop.took,
        }
        for hop in hops
    ]
    return json.dumps({"hops": entries, "firstBehind": behind and behind.name}, indent=2, ensure_ascii=False)
