"""`sipgw sync`: a branch of a git repository to a cluster, with evidence of what became of each commit."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import signal
import tempfile
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from sipgateway.cli.operator import host_port
from sipgateway.cli.options import usage
from sipgateway.cli.status import add_cluster
from sipgateway.errors import ExitCode, InputError, SipgwError
from sipgateway.promote.codes import KEYS_FILE

HELP = (
    "Follows a branch and applies the SipGateways of one environment. A commit is checked whole before the first "
    "write: one bad manifest stops it, and the last good commit stays. Removes only what it applied itself. What "
    "became of each commit is written into a git note under refs/notes/sipgateway/ENVIRONMENT and pushed."
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    parser.add_argument("--repository", required=True, metavar="URL", help="https://, ssh://, user@host:path or a path")
    parser.add_argument("--branch", default="main", metavar="NAME", help="default: main")
    parser.add_argument("--environment", required=True, metavar="NAME", help="of environments/environments.yaml")
    parser.add_argument(
        "--namespace", metavar="NAME", help="refuse an environment of another namespace; needed with --path"
    )
    parser.add_argument(
        "--path", default="", metavar="DIR", help="folder of manifests in a repository without environments/"
    )
    parser.add_argument(
        "--folder",
        type=Path,
        metavar="DIR",
        help="where the copy of the repository is kept (default: a temporary folder)",
    )
    parser.add_argument(
        "--credentials", type=Path, metavar="DIR", help="username and password, or ssh-privatekey and known_hosts"
    )
    parser.add_argument(
        "--allowed-signers",
        type=Path,
        metavar="FILE",
        help="ssh keys (ssh-keygen(1), allowed signers) and OpenPGP keys, one of which must have signed the commit",
    )
    parser.add_argument("--every", type=float, default=60.0, metavar="SECONDS", help="between looks (default: 60)")
    parser.add_argument(
        "--deadline", type=float, default=120.0, metavar="SECONDS", help="to become Ready (default: 120)"
    )
    parser.add_argument(
        "--evidence-remote",
        default="",
        metavar="URL",
        help="where notes are pushed (default: the repository; `-`: nowhere)",
    )
    parser.add_argument(
        "--evidence-credentials", type=Path, metavar="DIR", help="for that (default: those of --credentials)"
    )
    parser.add_argument(
        "--evidence-key", type=Path, metavar="FILE", help="private key (PEM, Ed25519) that signs evidence"
    )
    parser.add_argument(
        "--max-prune",
        type=float,
        default=0.25,
        metavar="SHARE",
        help="of its SipGateways that one commit may remove (default: 0.25)",
    )
    parser.add_argument("--allow-prune", action="store_true", help="let it remove as many as it says")
    parser.add_argument("--once", action="store_true", help="one look, then end: 0 when the evidence is good, else 1")
    parser.add_argument(
        "--webhook-listen", type=host_port, metavar="HOST:PORT", help="where pushes are told: POST /webhook"
    )
    parser.add_argument(
        "--webhook-secret", type=Path, metavar="FILE", help="file with the secret that they are signed with"
    )
    parser.add_argument(
        "--listen", type=host_port, metavar="HOST:PORT", help="where /healthz, /readyz and /metrics are served"
    )
    parser.add_argument(
        "--log-level", choices=("debug", "info", "warning", "error"), default="info", help="default: info"
    )
    add_cluster(parser)


def run(args: argparse.Namespace) -> int:
    """Follows."""
    if args.path and not args.namespace:
        raise usage("--path", "without environments.yaml it needs --namespace")
    if not 0 <= args.max_prune <= 1:
        raise usage("--max-prune", f"{args.max_prune} is no share: 0 to 1")
    if not args.every >= 1 or not args.deadline >= 0:
        raise usage("--every", "at least a second; --deadline is not negative")
    if bool(args.webhook_listen) != bool(args.webhook_secret):
        raise usage("--webhook-listen", "it needs --webhook-secret, and the other way round")
    from sipgateway.cluster import logs  # noqa: PLC0415

    logs.set_up(args.log_level)
    try:
        with contextlib.ExitStack() as stack:
            folder = args.folder or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sipgw-sync-")))
            return asyncio.run(_run(args, folder))
    except SipgwError as error:
        logging.getLogger("sipgateway.sync").critical("%s", error, extra={"code": error.finding.code})
        return int(error.exit_code)


async def _run(args: argparse.Namespace, folder: Path) -> int:
    from sipgateway.cluster import access  # noqa: PLC0415 - the API server's client is not wanted by other commands
    from sipgateway.cluster.client import Api, ApiError  # noqa: PLC0415
    from sipgateway.cluster.health import Health  # noqa: PLC0415
    from sipgateway.git import credentials  # noqa: PLC0415
    from sipgateway.git.mirror import Mirror  # noqa: PLC0415
    from sipgateway.kube.rotate import refused  # noqa: PLC0415
    from sipgateway.reconcile.evidence import Verdict  # noqa: PLC0415
    from sipgateway.source.follow import Follower, Options  # noqa: PLC0415
    from sipgateway.source.webhook import Webhook  # noqa: PLC0415

    environment = credentials.environment(args.credentials)
    mirror = Mirror(args.repository, args.branch, folder, environment, args.allowed_signers)
    options = Options(
        environment=args.environment,
        namespace=args.namespace or "",
        path=args.path,
        deadline=args.deadline,
        evidence_remote=args.evidence_remote,
        evidence_access=credentials.environment(args.evidence_credentials) if args.evidence_credentials else None,
        key=_key(args.evidence_key),
        max_prune=args.max_prune,
        allow_prune=args.allow_prune,
    )
    found = await access.find(args.kubeconfig, args.context)
    async with contextlib.AsyncExitStack() as stack:
        stack.enter_context(mirror.held())
        api = await stack.enter_async_context(Api(found))
        follower = Follower(api, mirror, options)
        if args.once:
            try:
                evidence = await follower.once()
            except ApiError as error:
                raise refused(error) from None
            return ExitCode.OK if evidence and evidence.verdict is Verdict.GOOD else ExitCode.FAILED
        if args.listen:
            host, port = args.listen
            await stack.enter_async_context(Health(host, port, follower.ready, follower.metrics.exposition))
        if args.webhook_listen:
            host, port = args.webhook_listen
            await stack.enter_async_context(Webhook(host, port, _secret(args.webhook_secret), follower.wake))
        work = asyncio.create_task(follower.run(args.every))
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, work.cancel)
        with contextlib.suppress(asyncio.CancelledError):
            await work
    return ExitCode.OK


def _key(path: Path | None) -> Ed25519PrivateKey | None:
    if path is None:
        return None
    try:
        key = load_pem_private_key(path.read_bytes(), None)
    except (OSError, ValueError, TypeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no PEM file of a private key"
        raise InputError(KEYS_FILE.because("--evidence-key", f"{path}: {reason}.")) from None
    if not isinstance(key, Ed25519PrivateKey):
        raise InputError(KEYS_FILE.because("--evidence-key", f"{path} holds no Ed25519 key."))
    return key


def _secret(path: Path) -> bytes:
    try:
        secret = path.read_bytes().strip()
    except OSError as error:
        raise InputError(usage("--webhook-secret", f"{path} cannot be read: {error.strerror}").finding) from None
    if len(secret) < 16:
        raise usage("--webhook-secret", "a secret has 16 characters at least")
    return secret
