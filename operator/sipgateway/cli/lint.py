"""`sipgw lint`: checks manifests and FreeSWITCH XML, with file and line. Changes nothing, executes nothing."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace

from sipgateway.api.codes.objects import SECRET_MISSING
from sipgateway.api.names import DEFAULT_PROFILE
from sipgateway.cli.findings import (
    FORMATS,
    add_variables,
    as_github,
    as_json,
    counted,
    line,
    must_exist,
    variables_of,
    write,
)
from sipgateway.errors import ExitCode, Finding, InputError, Location, Severity
from sipgateway.source import codes
from sipgateway.source.folder import STDIN, SUFFIXES, Snapshot, snapshot_of
from sipgateway.source.local import accepted
from sipgateway.source.xmllint import lint_xml

HELP = (
    "Checks SipGateway and Secret manifests (*.yaml, *.yml, *.json) and FreeSWITCH XML (*.xml), and says what would be "
    "refused, dropped, replaced or mangled, as file:line: code: field: message. Exit code 0: nothing but warnings; "
    "1: something is wrong; 3: there is nothing to check."
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    parser.add_argument(
        "paths",
        nargs="+",
        metavar="FILE|DIR|-",
        help="files, folders (with those below), or - for standard input; several are checked together",
    )
    parser.add_argument("--output", choices=FORMATS, default="text", help="form of the findings (default: text)")
    parser.add_argument(
        "--ignore", action="append", default=[], metavar="CODE", help="leave out warnings of this code; repeatable"
    )
    parser.add_argument("--warnings-as-errors", action="store_true", help="exit with 1 on warnings too")
    parser.add_argument(
        "--require-secrets", action="store_true", help="a Secret that is not among the manifests is an error"
    )
    parser.add_argument(
        "--profile",
        default=DEFAULT_PROFILE,
        metavar="NAME",
        help=f"profile of XML gateways that stand in none (default: {DEFAULT_PROFILE})",
    )
    add_variables(parser)


@dataclass(frozen=True, slots=True)
class _Checked:
    """What was checked and found."""

    findings: tuple[Finding, ...] = ()
    gateways: int = 0
    files: int = 0
    ignored: int = 0

    def __add__(self, other: _Checked) -> _Checked:
        return _Checked(
            self.findings + other.findings,
            self.gateways + other.gateways,
            self.files + other.files,
            self.ignored + other.ignored,
        )


def run(args: argparse.Namespace) -> int:
    """Does the work; returns an exit code."""
    checked = _check(args)
    if not checked.files or not (checked.gateways or checked.findings or checked.ignored):
        place = Location(", ".join(args.paths))
        raise InputError(codes.NOTHING_FOUND.finding("", "there is nothing to check.").at(place))
    shown = (f for f in checked.findings if f.severity is Severity.ERROR or f.code not in args.ignore)
    checked = replace(checked, findings=tuple(shown))
    errors = sum(finding.severity is Severity.ERROR for finding in checked.findings)
    warnings = len(checked.findings) - errors
    _print(args.output, checked, {"gateways": checked.gateways, "errors": errors, "warnings": warnings})
    ignored = f", {counted(checked.ignored, 'other object')} passed over" if checked.ignored else ""
    write(
        f"{counted(checked.gateways, 'gateway')} in {counted(checked.files, 'file')}: "
        f"{counted(errors, 'error')}, {counted(warnings, 'warning')}{ignored}",
        sys.stderr,
    )
    return ExitCode.FAILED if errors or (warnings and args.warnings_as_errors) else ExitCode.OK


def _check(args: argparse.Namespace) -> _Checked:
    variables = variables_of(args)
    for path in args.paths:
        must_exist(path)
    stdin = sys.stdin.buffer.read() if STDIN in args.paths else b""
    manifests = [path for path in args.paths if os.path.isdir(path) or not _is_xml(path, stdin)]  # noqa: PTH112
    xml = [path for path in args.paths if os.path.isdir(path) or _is_xml(path, stdin)]  # noqa: PTH112
    checked = _Checked()
    if manifests:  # together: a Secret may stand in another folder than its manifest
        checked += _manifests(snapshot_of(manifests, stdin=stdin), require_secrets=args.require_secrets)
    if xml:
        found = lint_xml(*xml, variables=variables, profile=args.profile, stdin=stdin)
        checked += _Checked(found.findings, found.gateways, found.files)
    return checked


def _manifests(snapshot: Snapshot, *, require_secrets: bool) -> _Checked:
    findings = accepted(snapshot).findings
    if not require_secrets:
        # Secrets are rarely kept beside the manifests. Where some are, one that is missing deserves a word.
        some = bool(snapshot.secrets)
        missing = SECRET_MISSING.name
        findings = tuple(
            replace(finding, severity=Severity.WARNING) if finding.code == missing else finding
            for finding in findings
            if some or finding.code != missing
        )
    gateways = len(snapshot.gateways) + len(snapshot.broken)
    return _Checked(findings, gateways, snapshot.files, len(snapshot.ignored) + len(snapshot.secrets))


def _is_xml(path: str, stdin: bytes) -> bool:
    """By its name, else by its first character."""
    if path == STDIN:
        return stdin.lstrip()[:1] == b"<"
    if path.endswith(SUFFIXES):
        return False
    if path.endswith(".xml"):
        return True
    try:
        with open(path, "rb") as file:  # noqa: PTH123
            return file.read(4096).lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"<"
    except OSError:
        return False


def _print(form: str, checked: _Checked, summary: Mapping[str, int]) -> None:
    if form == "json":
        write(as_json(checked.findings, summary))
        return
    for finding in checked.findings:
        write(as_github(finding) if form == "github" else line(finding))
