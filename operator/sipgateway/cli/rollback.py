"""`sipgw rollback ENV`: one environment as it was before, as an ordinary commit; the others stay as they are."""

from __future__ import annotations

import argparse

from sipgateway.cli import projects
from sipgateway.cli.findings import write
from sipgateway.cli.promote import show
from sipgateway.errors import ExitCode, InputError
from sipgateway.promote import codes, threeway
from sipgateway.promote.project import ROLLBACK, Project, message, rollback_files, rollback_target

HELP = (
    "Makes one commit that gives an environment's folder the content that it had before, byte for byte. History stays, "
    "other environments are not touched, nothing is applied to a cluster. Nothing rolls back by itself: a carrier's "
    "outage must not take good changes back."
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    parser.add_argument("environment", metavar="ENV", help="environment to roll back")
    projects.add_project(parser)
    projects.add_commit(parser)
    target = parser.add_mutually_exclusive_group()
    target.add_argument("--to", metavar="COMMIT", help="as it was there (default: before its last change)")
    target.add_argument("--last-good", action="store_true", help="as it was when there was good evidence last")


def run(args: argparse.Namespace) -> int:
    """Does the work; returns an exit code."""
    projects.check_commit(args)
    with projects.opened(args) as look:
        return _run(args, look())


def _run(args: argparse.Namespace, project: Project) -> int:
    repository = project.repository
    branch = repository.head_branch()
    if not branch:
        raise InputError(codes.NO_BRANCH.because("", f"In {repository.folder} no branch is checked out."))
    head = repository.commit_id("HEAD")
    environment = project.environment(head, args.environment)
    if args.last_good:
        projects.fetch_evidence(args, project, [environment])
    if args.to:
        target = repository.history(repository.commit_id(args.to), limit=1)[0]
    else:
        found = rollback_target(project, head, environment, last_good=args.last_good)
        if found is None:
            which = "with good evidence and other content" if args.last_good else "before the last change"
            what = f"{environment.name} has no commit {which}."
            raise InputError(codes.NOTHING_TO_ROLL_BACK.because("", what))
        target = found
    if not repository.tree_id(target.id, environment.folder):
        what = f"Commit {target.id[:12]} has no {environment.folder}."
        raise InputError(codes.NOTHING_TO_ROLL_BACK.because("", what))
    files = rollback_files(project, head, target.id, environment)
    if not files:
        write(f"{environment.name} is as it was in {target.id[:12]} ({target.subject})")
        return ExitCode.OK
    write(f"{environment.name} goes back to {target.id[:12]} ({target.subject})")
    show(threeway.compared(environment, project.files(head, environment), project.files(target.id, environment)))
    if args.dry_run:
        return ExitCode.OK
    subject = f"roll {environment.name} back to {target.id[:12]}"
    text = message(subject, f"As in: {target.subject}", [(ROLLBACK, target.id)])
    made = project.commit(branch, head, files, text, push=args.push)
    write(f"committed {made[:12]} on {branch}")
    return ExitCode.OK if args.wait is None else projects.wait(args, project, made, environment, args.wait)
