"""`sipgw agent`: keeps the switch of one pod: ConfigMaps to files, loaded and proved, and what became of it."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import os
import signal
from pathlib import Path

from sipgateway.agent.files import ConfFolder
from sipgateway.api.names import DEFAULT_SWITCH
from sipgateway.cli.operator import host_port
from sipgateway.cli.options import (
    DEFAULT_PASSWORD,
    add_conf,
    add_esl,
    add_register_rate,
    esl_of,
    layout_of,
    usage,
)

HELP = (
    "Runs beside a FreeSWITCH in its pod. Takes the fleet's ConfigMaps, writes the gateway files, has the switch load "
    "what changed, proves it by reading it back, and reports in the SipSwitch of the pod. No other gateway is touched. "
    "Ends on SIGTERM; the switch keeps what it has."
)

#: Flag -> (environment variable that the pod's manifest sets by the downward API, what it is).
_POD = {
    "--namespace": ("POD_NAMESPACE", "the pod's namespace"),
    "--pod-name": ("POD_NAME", "the pod's name"),
    "--pod-uid": ("POD_UID", "the pod's uid"),
}


def configure(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    parser.add_argument(
        "--switch", default=DEFAULT_SWITCH, metavar="NAME", help=f"name of the fleet (default: {DEFAULT_SWITCH})"
    )
    for flag, (variable, what) in _POD.items():
        parser.add_argument(
            flag, default=os.environ.get(variable, ""), metavar="TEXT", help=f"{what} (default: ${variable})"
        )
    add_conf(parser)
    add_esl(parser)
    parser.add_argument(
        "--listen",
        type=host_port,
        default=("0.0.0.0", 8081),  # noqa: S104 - the kubelet and Prometheus come from outside the pod
        metavar="HOST:PORT",
        help="where probes, /metrics and /drain are served (default: 0.0.0.0:8081)",
    )
    parser.add_argument(
        "--boot-timeout",
        type=float,
        default=60.0,
        metavar="SECONDS",
        help="start with what is on the disk when the API server does not answer for so long (default: 60)",
    )
    add_register_rate(parser)
    parser.add_argument("--kubeconfig", metavar="FILE", help="default: the pod's ServiceAccount")
    parser.add_argument(
        "--token-folder",
        type=Path,
        metavar="DIR",
        help="folder with token, ca.crt and namespace, where they are not in the usual place",
    )
    parser.add_argument(
        "--log-level", choices=("debug", "info", "warning", "error"), default="info", help="default: info"
    )


def run(args: argparse.Namespace) -> int:
    """Runs the agent."""
    for flag in _POD:
        if not getattr(args, flag[2:].replace("-", "_")):
            raise usage(flag, "it is not given, and neither is the variable that stands in for it")
    esl, layout = esl_of(args), layout_of(args)
    folder = ConfFolder(args.conf.absolute(), layout)
    with folder.locked():
        folder.sweep()
        return asyncio.run(_run(args, folder, esl.host, esl.port, esl.password))


async def _run(args: argparse.Namespace, folder: ConfFolder, host: str, port: int, password: str) -> int:
    from sipgateway.agent import heap  # noqa: PLC0415 - what `sipgw --help` need not load
    from sipgateway.agent.agent import Agent, Options  # noqa: PLC0415
    from sipgateway.cluster import access, logs  # noqa: PLC0415

    heap.one_arena()
    logs.set_up(args.log_level)
    if password == DEFAULT_PASSWORD:
        text = "the event socket has FreeSWITCH's default password: change it in event_socket.conf.xml"
        logging.getLogger("sipgateway.agent").warning(text)
    found = access.in_cluster(args.token_folder) if args.token_folder else None
    if found is None:
        found = await access.find(args.kubeconfig)
    options = Options(
        namespace=args.namespace,
        pod=args.pod_name,
        uid=args.pod_uid,
        switch=args.switch,
        esl_host=host,
        esl_port=port,
        esl_password=password,
        host=args.listen[0],
        port=args.listen[1],
        boot_timeout=args.boot_timeout,
        register_rate=args.register_rate,
        default_password=password == DEFAULT_PASSWORD,
    )
    loop = asyncio.get_running_loop()
    work = asyncio.create_task(Agent(found, options, folder).run())
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, work.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await work
    return 0
