"""`sipgw env init|status`: a first layout of environments, and what stands where."""

from __future__ import annotations

import argparse
import datetime as dt
import json
import time
from pathlib import Path
from typing import Any

from sipgateway.api.environments import FILE, FOLDER, Environment
from sipgateway.cli import projects
from sipgateway.cli.findings import write
from sipgateway.cli.status import age, columns
from sipgateway.errors import ExitCode, InputError, SipgwError, StorageError
from sipgateway.promote import codes, example, threeway
from sipgateway.promote.project import Project

HELP = "Writes a first layout of environments, or says what stands where, and what could be promoted now."


def configure(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    commands = parser.add_subparsers(dest="env_command", metavar="init|status", required=True)
    init = commands.add_parser("init", help="write environments/ with two environments and a trunk that works")
    init.add_argument(
        "directory", nargs="?", type=Path, default=Path(), metavar="DIR", help="default: the current folder"
    )
    status = commands.add_parser("status", help="environments and their gateways: commit, evidence, drift, gates")
    projects.add_project(status)
    status.add_argument("--commit", default="HEAD", metavar="COMMIT", help="as they are there (default: HEAD)")
    status.add_argument("--output", choices=("table", "json"), default="table")


def run(args: argparse.Namespace) -> int:
    """Does the work; returns an exit code."""
    if args.env_command == "init":
        return _init(args.directory)
    with projects.opened(args) as look:
        return _status(args, look())


def _init(folder: Path) -> int:
    if (folder / FOLDER).exists():
        raise InputError(codes.EXISTS.because("", f"{folder / FOLDER} exists."))
    for path, content in example.FILES.items():
        try:
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(content, encoding="utf-8")
        except OSError as error:
            what = f"{folder / path} cannot be written: {error.strerror or error}."
            raise StorageError(codes.EXISTS.finding("", what, "Free the disk, or choose another folder.")) from None
        write(f"wrote {folder / path}")
    write(f"next: edit {folder / FILE}, `sipgw lint {folder / FOLDER}/staging`, and commit")
    return ExitCode.OK


def _status(args: argparse.Namespace, project: Project) -> int:
    commit = project.repository.commit_id(args.commit)
    environments = project.environments(commit)
    projects.fetch_evidence(args, project, environments.all)
    projects.fetch_approvals(args, project, environments.all)
    rows = [_row(project, commit, one, environments.before(one)) for one in environments.all]
    if args.output == "json":
        write(json.dumps({"commit": commit, "environments": rows}, indent=2, ensure_ascii=False))
        return ExitCode.OK
    now = dt.datetime.now(dt.UTC)
    table: list[tuple[str, ...]] = [("ENVIRONMENT", "GATEWAY", "COMMIT", "AGE", "EVIDENCE", "AGAINST THE ONE BEFORE")]
    for row in rows:
        known = row["evidence"]
        evidence = "none" if known is None else f"{known['verdict']} {known['ready']}/{known['gateways']}"
        table.append((row["name"], "", row["commit"][:12], _age(row["at"], now), evidence, ""))
        for one in row["gateways"]:
            drift = "; ".join(one["drift"]) or "-"
            table.append(("", one["name"], one["commit"][:12], _age(one["at"], now), "", drift))
    for line in columns(table):
        write(line)
    for row in rows:
        if row["from"]:
            why = "; ".join(row["notYet"]) or (", ".join(row["pending"]) if row["pending"] else "nothing to promote")
            word = "not yet" if row["notYet"] else "now"
            write(f"{row['from']} -> {row['name']}: {word}: {why}")
    return ExitCode.OK


def _age(at: int, now: dt.datetime) -> str:
    return age(dt.datetime.fromtimestamp(at, dt.UTC), now) if at else "-"


def _row(project: Project, commit: str, one: Environment, before: Environment | None) -> dict[str, Any]:
    last = next(iter(project.repository.history(commit, one.folder, limit=1)), None)
    mine = threeway.gateways(project.files(commit, one))
    drift: dict[str, list[str]] = {}
    pending: list[str] = []
    not_yet: list[str] = []
    if before is not None:
        drift = threeway.drift(one, threeway.gateways(project.files(commit, before)), mine)
        try:
            found = project.promotion(commit, before, one)
            pending = [f"{change.kind} {change.name}" for change in found.changes]
            not_yet = [str(finding) for finding in found.refusals]
        except SipgwError as error:
            not_yet = [str(error.finding)]
        if pending or not_yet:
            not_yet += [str(gate) for gate in project.gates(commit, before, int(time.time()))]
    gateways = []
    for name in sorted({*mine, *drift}):
        file = mine[name].file if name in mine else ""
        changed = next(iter(project.repository.history(commit, file, limit=1)), None) if file else None
        gateways.append(
            {
                "name": name,
                "file": file,
                "commit": changed.id if changed else "",
                "at": changed.at if changed else 0,
                "drift": drift.get(name, []),
            }
        )
    return {
        "name": one.name,
        "from": before.name if before else "",
        "commit": last.id if last else "",
        "at": last.at if last else 0,
        "evidence": projects.as_json(project.evidence(commit, one)),
        "gateways": gateways,
        "pending": pending,
        "notYet": not_yet,
    }
