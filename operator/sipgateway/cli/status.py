"""`sipgw status`: SipGateways and switch pods of a cluster as two tables, with what each pod says against a gateway."""

from __future__ import annotations

import argparse
import asyncio
import datetime as dt
import json
import sys
import time
from typing import TYPE_CHECKING, Any

from sipgateway.cli.findings import write
from sipgateway.errors import ExitCode

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sipgateway.kube.survey import Gateway, Pod, Survey

HELP = (
    "Shows the SipGateways of a namespace, what is against each in which switch pod, and what the pods are like. Reads "
    "only. Ends with 1 when a gateway that is wanted is not Ready, and with 0 otherwise."
)

#: Seconds between two looks with --watch, and the share of them that a look may take.
_EVERY, _SHARE = 2.0, 0.1


def configure(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    parser.add_argument("name", nargs="*", help="SipGateways to show (default: all)")
    add_cluster(parser)
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--namespace", "-n", metavar="NAME", help="where to look (default: the kubeconfig's)")
    where.add_argument("--all-namespaces", "-A", action="store_true", help="look at all namespaces")
    parser.add_argument("--watch", "-w", action="store_true", help="look again and again, until Ctrl-C")
    parser.add_argument("--output", choices=("table", "json"), default="table")


def add_cluster(parser: argparse.ArgumentParser) -> None:
    """`--kubeconfig` and `--context`."""
    parser.add_argument("--kubeconfig", metavar="FILE", help="default: the pod's ServiceAccount, then KUBECONFIG")
    parser.add_argument("--context", metavar="NAME", help="context of the kubeconfig")


def run(args: argparse.Namespace) -> int:
    """Does the work; returns an exit code."""
    return asyncio.run(_run(args))


async def _run(args: argparse.Namespace) -> int:
    from sipgateway.cluster import access  # noqa: PLC0415 - the API server's client is not wanted by other commands
    from sipgateway.cluster.client import Api  # noqa: PLC0415
    from sipgateway.kube.survey import survey  # noqa: PLC0415

    found = await access.find(args.kubeconfig, args.context)
    namespace = None if args.all_namespaces else args.namespace or found.namespace
    shown = ""
    async with Api(found) as api:
        while True:
            started = time.monotonic()
            seen = await survey(api, namespace)
            wanted = [g for g in seen.gateways if not args.name or g.key.name in args.name]
            text = (
                as_json(wanted, seen) if args.output == "json" else as_text(wanted, seen, everywhere=namespace is None)
            )
            if text != shown:
                clear = "\x1b[2J\x1b[H" if args.watch and sys.stdout.isatty() else ""
                write(f"{clear}{text}")
                sys.stdout.flush()
            shown = text
            if not args.watch:
                break
            await asyncio.sleep(max(_EVERY, (time.monotonic() - started) / _SHARE))
    for what in seen.unread:
        print(f"sipgw: cannot be read: {what}", file=sys.stderr)
    there = {g.key.name for g in seen.gateways}
    for name in args.name:
        if name not in there:
            print(f"sipgw: there is no SipGateway {name} in {namespace or 'any namespace'}.", file=sys.stderr)
    return ExitCode.OK if all(map(_fine, wanted)) and there.issuperset(args.name) else ExitCode.FAILED


def _fine(gateway: Gateway) -> bool:
    return gateway.suspend or gateway.condition("Ready")[0] == "True"


def as_text(gateways: Sequence[Gateway], seen: Survey, *, everywhere: bool) -> str:
    """The two tables."""
    now = dt.datetime.now(dt.UTC)
    rows: list[tuple[str, ...]] = [("NAMESPACE", "NAME", "SWITCH", "PROFILE", "READY", "REGISTERED", "REASON", "AGE")]
    for gateway in gateways:
        ready, reason, _ = gateway.condition("Ready")
        at = (gateway.key.namespace, gateway.key.name, gateway.fleet.switch, gateway.profile)
        rows.append((*at, ready, gateway.registered, reason or "-", age(gateway.created, now)))
        for pod, words in against(gateway, seen.pods.get(gateway.fleet, ())):
            rows.append(("", f"  {pod}: {words}"))
    lines = columns(rows if everywhere else [row[1:] for row in rows])
    if not gateways:
        lines = ["No SipGateways."]
    fleets = {g.fleet for g in gateways}
    pods = [pod for fleet, those in seen.pods.items() if fleet in fleets or not fleets for pod in those]
    table: list[tuple[str, ...]] = [
        ("NAMESPACE", "POD", "SWITCH", "STATE", "LOADED", "REGISTERED", "FAILED", "FOREIGN", "REPORTED")
    ]
    table += [_pod_row(pod, now) for pod in pods]
    if pods:
        lines += ["", *columns(table if everywhere else [row[1:] for row in table])]
    return "\n".join(lines)


def against(gateway: Gateway, pods: Iterable[Pod]) -> list[tuple[str, str]]:
    """Pod and words, for each pod that says something against a gateway."""
    found = []
    for pod in pods:
        problem = pod.state.programmed.get(gateway.name) or pod.state.registered.get(gateway.name)
        if problem is not None:
            words = f" {problem.words}" if problem.words else ""
            found.append((pod.state.name, f"{problem.cause.word}{words}"))
    return found


def _pod_row(pod: Pod, now: dt.datetime) -> tuple[str, ...]:
    trouble, counts = pod.state.trouble, {} if pod.report is None else pod.report.counts
    state = "Running" if trouble is None else f"{trouble.reason.word} {trouble.words}".rstrip()
    numbers = (str(counts.get(name, "-")) for name in ("loaded", "registered", "failed", "foreign"))
    seen = age(pod.reported, now)
    return (pod.fleet.namespace, pod.state.name, pod.fleet.switch, state, *numbers, seen)


def age(since: dt.datetime | None, now: dt.datetime) -> str:
    """As kubectl writes it: `5s`, `12m`, `3h`, `2d`."""
    if since is None:
        return "-"
    seconds = max(int((now - since).total_seconds()), 0)
    for size, unit, up_to in ((1, "s", 120), (60, "m", 120), (3600, "h", 48)):
        if seconds < size * up_to:
            return f"{seconds // size}{unit}"
    return f"{seconds // 86400}d"


def columns(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Columns as wide as they must be. A row with fewer cells than the first is a remark and asks for no width."""
    whole = [row for row in rows if len(row) == len(rows[0])]
    widths = [max(len(cell) for cell in column) for column in zip(*whole, strict=True)]
    return [
        "   ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=False)).rstrip()
        if len(row) == len(widths)
        else row[-1]
        for row in rows
    ]


def as_json(gateways: Sequence[Gateway], seen: Survey) -> str:
    """One JSON document: `{"gateways": [...], "pods": [...], "unread": [...]}`."""
    document: dict[str, Any] = {
        "gateways": [
            {
                "namespace": g.key.namespace,
                "name": g.key.name,
                "switch": g.fleet.switch,
                "profile": g.profile,
                "generation": g.generation,
                "suspended": g.suspend,
                "registered": g.registered,
                "conditions": {
                    kind: dict(zip(("status", "reason", "message"), g.condition(kind), strict=True))
                    for kind in ("Accepted", "Programmed", "Registered", "Ready")
                },
                "against": [{"pod": pod, "words": words} for pod, words in against(g, seen.pods.get(g.fleet, ()))],
            }
            for g in gateways
        ],
        "pods": [
            {
                "namespace": pod.fleet.namespace,
                "name": pod.state.name,
                "switch": pod.fleet.switch,
                "trouble": "" if pod.state.trouble is None else pod.state.trouble.reason.word,
                "counts": {} if pod.report is None else dict(pod.report.counts),
                "reported": None if pod.reported is None else pod.reported.isoformat(),
            }
            for pods in seen.pods.values()
            for pod in pods
        ],
        "unread": list(seen.unread),
    }
    return json.dumps(document, indent=2, ensure_ascii=False)
