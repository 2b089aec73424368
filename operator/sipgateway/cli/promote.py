"""`sipgw promote SRC DST`: what works in one environment to the next, as one commit, behind gates."""

from __future__ import annotations

import argparse
import contextlib
import io
import sys
import time
from typing import TYPE_CHECKING

from sipgateway.cli import projects
from sipgateway.cli.findings import counted, write
from sipgateway.cli.options import usage
from sipgateway.errors import ExitCode, InputError, SipgwError
from sipgateway.git import names
from sipgateway.promote import codes
from sipgateway.promote.project import APPROVAL, COMMIT, EVIDENCE, FROM, Project, message

if TYPE_CHECKING:
    from collections.abc import Callable

    from sipgateway.api.environments import Environment
    from sipgateway.promote.threeway import Promotion

HELP = (
    "Takes what has changed in environment SRC since the last promotion to DST, the next in environments.yaml, and "
    "commits it. What belongs to DST stays, as do comments, order and everything else in its files. First the gates of "
    "SRC must be met. Shows what changes for each gateway; --dry-run shows only. Nothing is applied to a cluster."
)

#: Seconds between two tries with --auto.
_AUTO = 30.0


def configure(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    parser.add_argument("source", metavar="SRC", help="environment that works")
    parser.add_argument("destination", metavar="DST", help="the next one")
    parser.add_argument("name", nargs="*", metavar="NAME", help="SipGateways (default: all)")
    projects.add_project(parser)
    projects.add_commit(parser)
    parser.add_argument("--commit", default="HEAD", metavar="COMMIT", help="promote SRC as it is there (default: HEAD)")
    parser.add_argument("--branch", metavar="NAME", help="commit to a new branch, for a pull request")
    parser.add_argument("--take-source", action="store_true", help="where both have changed a field, take SRC's")
    parser.add_argument(
        "--unmet-ok", action="store_true", help="end with 0 though a gate is not met: for a job that comes again"
    )
    parser.add_argument("--auto", action="store_true", help="again and again, whenever the gates are met; until Ctrl-C")


def run(args: argparse.Namespace) -> int:
    """Does the work; returns an exit code."""
    projects.check_commit(args)
    if args.auto and args.branch:
        raise usage("--auto", "it commits again and again, --branch makes one branch")
    with projects.opened(args) as look:
        if not args.auto:
            return _once(args, look())
        return _for_ever(args, look)


def _for_ever(args: argparse.Namespace, look: Callable[[], Project]) -> int:
    """What is said is said again when it is something else."""
    before = ""
    while True:
        said = io.StringIO()
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            try:
                _once(args, look())
            except SipgwError as error:  # a remote that is away comes back, and what is wrong is mended by a commit
                if error.exit_code is ExitCode.USAGE:
                    raise
                print(f"sipgw: {error.finding}")
        if said.getvalue() != before:
            before = said.getvalue()
            write(before.rstrip("\n"))
            sys.stdout.flush()
        time.sleep(_AUTO)


def _once(args: argparse.Namespace, project: Project) -> int:
    repository = project.repository
    branch = repository.head_branch()
    if not branch:
        raise InputError(codes.NO_BRANCH.because("", f"In {repository.folder} no branch is checked out."))
    head = repository.commit_id("HEAD")
    of = repository.commit_id(args.commit)
    source, destination = _pair(project, head, args.source, args.destination)
    projects.fetch_evidence(args, project, [source, destination])
    projects.fetch_approvals(args, project, [source])
    unmet = project.gates(of, source, int(time.time()))
    found = project.promotion(head, source, destination, args.name, take_source=args.take_source, of=of)
    show(found)
    for finding in found.refusals:
        print(f"sipgw: {finding}", file=sys.stderr)
    for one in unmet:
        print(f"sipgw: {codes.GATE.name}: {one}", file=sys.stderr)
    if found.refusals or unmet:
        unmet_code = ExitCode.OK if args.unmet_ok else ExitCode.FAILED
        return ExitCode.INPUT if found.refusals else unmet_code
    if not found.files or args.dry_run:
        return ExitCode.OK
    target = names.branch(args.branch) if args.branch else branch
    if args.branch and repository.has_branch(target):
        raise usage("--branch", f"there is a branch {target} already")
    text = _message(project, found, source, destination, of)
    made = project.commit(target, head, found.files, text, push=args.push)
    write(f"committed {made[:12]} on {target}")
    return ExitCode.OK if args.wait is None else projects.wait(args, project, made, destination, args.wait)


def _pair(project: Project, commit: str, source: str, destination: str) -> tuple[Environment, Environment]:
    to = project.environment(commit, destination)
    origin = project.environment(commit, source)
    before = project.environments(commit).before(to)
    if before != origin:
        way = " -> ".join(one.name for one in project.environments(commit).all)
        what = f"Nothing goes from {source} to {destination}; the way is {way}."
        raise InputError(codes.NO_ENVIRONMENT.because("", what))
    return origin, to


def show(found: Promotion) -> None:
    """What changes, gateway by gateway."""
    for change in found.changes:
        write(f"{change.kind} {change.name} ({change.file}): {change.effect}")
        for path, before, after in change.fields:
            write(f"    {path}: {after}" if change.kind == "add" else f"    {path}: {before} -> {after}")
    if not found.refusals:
        write(
            counted(len(found.changes), "gateway changes", "gateways change") if found.changes else "nothing to promote"
        )


def _message(project: Project, found: Promotion, source: Environment, destination: Environment, of: str) -> str:
    named = ", ".join(change.name for change in found.changes[:3])
    more = f" and {len(found.changes) - 3} more" if len(found.changes) > 3 else ""
    body = "\n".join(f"- {change.kind} {change.name}" for change in found.changes)
    known = project.evidence(of, source)
    evidence = "none" if known is None else f"{known.verdict} at {known.commit} judged {known.judged_at}"
    trailers = [(FROM, source.name), (COMMIT, of), (EVIDENCE, evidence)]
    trailers += [(APPROVAL, str(one)) for one in project.approvals(of, source)]
    return message(f"promote {named}{more} from {source.name} to {destination.name}", body, trailers)
