"""What the commands about environments share: the repository, keys of evidence, waiting for what comes of a commit."""

from __future__ import annotations

import argparse
import contextlib
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from sipgateway.cli.options import usage
from sipgateway.errors import ExitCode, InputError, SipgwError
from sipgateway.git import clone, credentials, names, notes, tags
from sipgateway.git.mirror import Mirror
from sipgateway.git.repository import Repository
from sipgateway.promote import codes
from sipgateway.promote.project import Project
from sipgateway.reconcile.evidence import Evidence, Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sipgateway.api.environments import Environment

#: Seconds between two looks for evidence.
_EVERY = 2.0


def add_project(parser: argparse.ArgumentParser) -> None:
    """Where the repository is, and whom its gates trust."""
    parser.add_argument(
        "--repository",
        default=".",
        metavar="DIR|URL",
        help="the clone with environments/ (default: the one that the current folder is in), or https://, ssh:// or "
        "user@host:path: it is fetched, and commits are pushed",
    )
    parser.add_argument("--base", metavar="BRANCH", help="with a URL: the branch (default: main)")
    parser.add_argument(
        "--credentials",
        type=Path,
        metavar="DIR",
        help="with a URL: username and password, or ssh-privatekey and known_hosts",
    )
    parser.add_argument(
        "--folder",
        type=Path,
        metavar="DIR",
        help="with a URL: where the copy of the repository is kept (default: a temporary folder)",
    )
    parser.add_argument(
        "--approvers",
        type=Path,
        metavar="FILE",
        help="ssh keys (ssh-keygen(1), allowed signers) and OpenPGP keys of those who may approve with a signed tag",
    )
    parser.add_argument(
        "--trusted-evidence",
        type=Path,
        metavar="FILE",
        help="public keys (PEM, Ed25519), one of which must have signed evidence; without it notes are believed",
    )
    parser.add_argument(
        "--evidence-remote",
        metavar="URL",
        help="where to fetch evidence from first (default: the URL of the remote `origin`, if there is one)",
    )


def add_commit(parser: argparse.ArgumentParser) -> None:
    """`--dry-run`, `--push` and `--wait`."""
    parser.add_argument("--dry-run", action="store_true", help="show what would be done, commit nothing")
    parser.add_argument(
        "--push",
        nargs="?",
        const="origin",
        default="",
        metavar="REMOTE",
        help="push the commit (default: to origin); when the remote does not take it, nothing is committed",
    )
    parser.add_argument(
        "--wait", type=float, metavar="SECONDS", help="wait for the evidence; it decides the exit code; needs --push"
    )


def check_commit(args: argparse.Namespace) -> None:
    """Whether these arguments go together.

    Raises:
        SipgwError: they do not (exit code 2).
    """
    if is_url(args.repository) and not args.dry_run and not args.push:
        args.push = "origin"  # what is not pushed from a copy is nowhere
    if args.wait is not None and not (args.wait >= 0 and args.push):
        raise usage("--wait", "it needs --push, and a time: nobody applies what is not pushed")
    if args.push:
        names.branch(args.push)


@contextlib.contextmanager
def opened(args: argparse.Namespace) -> Iterator[Callable[[], Project]]:
    """The repository that the arguments name: each call of what this gives looks at it anew.

    Raises:
        SipgwError: arguments that do not go together (exit code 2), or files of keys that cannot be read.
    """
    if args.evidence_remote:
        names.url(args.evidence_remote)
    keys = trusted_keys(args.trusted_evidence)
    if args.approvers is not None and not args.approvers.is_file():
        raise InputError(codes.KEYS_FILE.because("--approvers", f"{args.approvers} is no file."))
    if not is_url(args.repository):
        for flag in ("base", "credentials", "folder"):
            if getattr(args, flag) is not None:
                raise usage(f"--{flag}", "it goes with --repository URL; a clone has its own")

        def here() -> Project:
            project = Project(Repository.find(Path(args.repository)), keys, args.approvers)
            if project.catch_up():
                print("sipgw: the files of the last commit were not all written; they are now.", file=sys.stderr)
            return project

        yield here
        return
    with contextlib.ExitStack() as stack:
        folder = args.folder or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sipgw-clone-")))
        mirror = Mirror(args.repository, args.base or "main", folder, credentials.environment(args.credentials))
        stack.enter_context(mirror.held())
        yield lambda: Project(clone.look(mirror), keys, args.approvers)


def is_url(repository: str) -> bool:
    """Whether it names a repository somewhere else: a URL, or `user@host:path` that is no existing path."""
    return "://" in repository or ("@" in repository and ":" in repository and not Path(repository).exists())


def trusted_keys(path: Path | None) -> tuple[Ed25519PublicKey, ...] | None:
    """The public keys in a file; None without one.

    Raises:
        InputError: it cannot be read, or holds no such key.
    """
    if path is None:
        return None
    end = b"-----END PUBLIC KEY-----"
    try:
        blocks = [block + end for block in path.read_bytes().split(end)[:-1]]
        keys = [load_pem_public_key(block.strip()) for block in blocks]
    except (OSError, ValueError, UnsupportedAlgorithm) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no PEM file of public keys"
        raise InputError(codes.KEYS_FILE.because("--trusted-evidence", f"{path}: {reason}.")) from None
    found = tuple(key for key in keys if isinstance(key, Ed25519PublicKey))
    if not found or len(found) != len(keys):
        raise InputError(codes.KEYS_FILE.because("--trusted-evidence", f"{path} holds no Ed25519 key, or others too."))
    return found


def remote_of(args: argparse.Namespace, project: Project) -> str:
    """Where evidence comes from; empty when nowhere."""
    if args.evidence_remote:
        return str(args.evidence_remote)
    return _origin(project)


def _origin(project: Project) -> str:
    """The URL of the remote `origin`; empty when there is none that is taken."""
    try:
        return names.url(project.repository.text("remote", "get-url", "origin"))
    except SipgwError:
        return ""


def fetch_evidence(args: argparse.Namespace, project: Project, environments: Sequence[Environment]) -> None:
    """Takes in the notes of these environments. Says so when it cannot: what is known already may be enough."""
    remote = remote_of(args, project)
    for environment in environments if remote else ():
        try:
            notes.fetch(project.repository, environment.name, remote)
        except SipgwError as error:
            print(f"sipgw: evidence of {environment.name} is not fetched: {error.finding.message}", file=sys.stderr)


def fetch_approvals(args: argparse.Namespace, project: Project, environments: Sequence[Environment]) -> None:
    """Takes in the signed tags of those environments that ask for some. Says so when it cannot."""
    origin = _origin(project)
    for environment in environments if origin and args.approvers else ():
        if environment.gates.approval_tag:
            try:
                tags.fetch(project.repository, environment.gates.approval_tag, environment.name, origin)
            except SipgwError as error:
                print(
                    f"sipgw: approvals of {environment.name} are not fetched: {error.finding.message}", file=sys.stderr
                )


def wait(args: argparse.Namespace, project: Project, commit: str, environment: Environment, seconds: float) -> int:
    """Waits for evidence about an environment as a commit has it; says which way it went."""
    deadline = time.monotonic() + seconds
    started = int(time.time())
    print(f"waiting up to {seconds:g} s for evidence from {environment.name} ...", flush=True)
    while True:
        fetch_evidence(args, project, [environment])
        known = _about(project, commit, environment, started)
        if known is not None:
            print(told(known))
            return ExitCode.OK if known.verdict is Verdict.GOOD else ExitCode.FAILED
        if time.monotonic() > deadline:
            print(f"sipgw: no evidence from {environment.name} within {seconds:g} s.", file=sys.stderr)
            return ExitCode.FAILED
        time.sleep(_EVERY)


def _about(project: Project, commit: str, environment: Environment, since: int) -> Evidence | None:
    """Evidence of this very commit: that of an earlier one with the same content says nothing of today."""
    known = project.evidence(commit, environment)
    return known if known is not None and (known.commit == commit or known.judged_at >= since) else None


def told(known: Evidence) -> str:
    """Evidence in one line."""
    bad = "".join(f"; {one.name}: {one.reason} {one.message}".rstrip() for one in known.not_ready[:10])
    return f"{known.environment} at {known.commit[:12]}: {known.verdict}, {known.ready} of {known.gateways} Ready{bad}"


def as_json(known: Evidence | None) -> Mapping[str, object] | None:
    """The same for machines."""
    if known is None:
        return None
    return {
        "commit": known.commit,
        "verdict": known.verdict.value,
        "ready": known.ready,
        "gateways": known.gateways,
        "readySince": known.ready_since,
        "judgedAt": known.judged_at,
    }
