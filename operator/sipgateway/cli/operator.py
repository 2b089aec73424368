"""`sipgw operator`: the Kubernetes operator. SipGateways to ConfigMaps, and what agents report to statuses."""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys

from sipgateway.cluster import access, logs
from sipgateway.cluster.lease import LONGEST
from sipgateway.errors import ExitCode, SipgwError

HELP = (
    "Watches SipGateways, writes one ConfigMap for each with the gateway's XML and sealed credentials, and keeps their "
    "status true. Runs in a pod with its ServiceAccount, or outside with a kubeconfig. Of several replicas one acts. "
    "Ends on SIGTERM after the writes in hand; trunks are not touched by that."
)


#: Seconds for which kopf's thread may keep the interpreter from the operator's: Python's 5 ms are our whole latency.
_SWITCH = 0.0005

_SHORTEST = 3.0


def configure(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    where = parser.add_mutually_exclusive_group()
    where.add_argument(
        "--namespace",
        action="append",
        default=[],
        metavar="NAME",
        help="namespace to look at; may be given several times (default: the operator's own)",
    )
    where.add_argument("--all-namespaces", action="store_true", help="look at all namespaces (needs a ClusterRole)")
    parser.add_argument("--kubeconfig", metavar="FILE", help="default: the pod's ServiceAccount, then KUBECONFIG")
    parser.add_argument("--context", metavar="NAME", help="context of the kubeconfig")
    parser.add_argument(
        "--lease-namespace", metavar="NAME", help="namespace of the Lease (default: the operator's own)"
    )
    parser.add_argument(
        "--lease-name", default="sipgateway-operator", metavar="NAME", help="name of the Lease (default: %(default)s)"
    )
    parser.add_argument(
        "--lease-seconds",
        type=float,
        default=15.0,
        metavar="SECONDS",
        help="another replica takes over after so long (default: 15; 3 to 600)",
    )
    parser.add_argument(
        "--identity",
        default="",
        metavar="TEXT",
        help="of this replica, for the Lease; a random part is added (default: host and process)",
    )
    parser.add_argument(
        "--listen",
        type=host_port,
        default=("0.0.0.0", 8080),  # noqa: S104 - the kubelet and Prometheus come from outside the pod
        metavar="HOST:PORT",
        help="where /healthz, /readyz and /metrics are served (default: 0.0.0.0:8080)",
    )
    parser.add_argument(
        "--log-level", choices=("debug", "info", "warning", "error"), default="info", help="default: info"
    )


def host_port(text: str) -> tuple[str, int]:
    """`HOST:PORT`, `:PORT` or `[IPv6]:PORT` for argparse."""
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdigit() or int(port) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is no HOST:PORT")
    return host.strip("[]") or "0.0.0.0", int(port)  # noqa: S104


def run(args: argparse.Namespace) -> int:
    """Runs the operator."""
    if not _SHORTEST <= args.lease_seconds <= LONGEST:
        print(f"sipgw operator: --lease-seconds is {_SHORTEST:g} to {LONGEST:g}", file=sys.stderr)
        return int(ExitCode.USAGE)
    sys.setswitchinterval(_SWITCH)
    logs.set_up(args.log_level, one_line=("kopf",))
    try:
        return asyncio.run(_run(args))
    except SipgwError as error:
        logging.getLogger("sipgateway.operator").critical("%s", error, extra={"code": error.finding.code})
        return int(error.exit_code)


async def _run(args: argparse.Namespace) -> int:
    from sipgateway.kube import kopfwatch, operator  # noqa: PLC0415 - kopf takes a second to import

    kopfwatch.quiet_logs()
    found = await access.find(args.kubeconfig, args.context)
    host, port = args.listen
    namespaces = () if args.all_namespaces else tuple(sorted(set(args.namespace or [found.namespace])))
    options = operator.Options(
        namespaces=namespaces,
        lease_namespace=args.lease_namespace or found.namespace,
        lease_name=args.lease_name,
        lease_seconds=args.lease_seconds,
        identity=args.identity,
        host=host,
        port=port,
    )
    return await operator.Operator(found, options).run()
