"""Findings as text, JSON or annotations of GitHub, and what several commands about files share.

In: findings. Out: lines on a stream. A finding never holds a secret value, so neither does its output.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TextIO

from sipgateway.cli.codes import VARIABLES_FILE, WRONG_ARGUMENT
from sipgateway.errors import ExitCode, Finding, InputError, Location, Severity, SipgwError
from sipgateway.source.codes import FILE_UNREADABLE
from sipgateway.source.folder import STDIN

FORMATS = ("text", "json", "github")


def line(finding: Finding) -> str:
    """`file:line: code: field: message`, with what to do next."""
    kind = " [warning]" if finding.severity is Severity.WARNING else ""
    return _one_line(f"{finding}{kind}")


def as_json(findings: Iterable[Finding], summary: Mapping[str, int]) -> str:
    """One JSON document: `{"findings": [...], "summary": {...}}`."""
    entries = [
        {
            "file": finding.location.file if finding.location else "",
            "line": finding.location.line if finding.location else 0,
            "code": finding.code,
            "severity": finding.severity.value,
            "field": finding.field,
            "message": finding.message,
            "action": finding.action,
        }
        for finding in findings
    ]
    return json.dumps({"findings": entries, "summary": dict(summary)}, indent=2)


def as_github(finding: Finding) -> str:
    """A workflow command that shows the finding at its line in a pull request."""
    place = finding.location
    properties = [f"file={_property(place.file)}", f"line={place.line}"] if place else []
    properties.append(f"title={_property(finding.code)}")
    field = f"{finding.field}: " if finding.field else ""
    text = f"{field}{finding.message} {finding.action}".strip()
    return f"::{finding.severity.value} {','.join(properties)}::{_data(text)}"


def by_place(finding: Finding) -> tuple[str, int]:
    """The order of a listing: by file and line."""
    return (finding.location.file, finding.location.line) if finding.location else ("", 0)


def print_findings(findings: Iterable[Finding], stream: TextIO | None = None) -> None:
    """Each finding as a line of text; by default on standard error."""
    for finding in findings:
        write(line(finding), sys.stderr if stream is None else stream)


def write(text: str, stream: TextIO | None = None) -> None:
    """A line that the stream's encoding cannot break: names of files may hold any byte."""
    stream = sys.stdout if stream is None else stream
    encoding = stream.encoding or "utf-8"
    stream.write(text.encode(encoding, "backslashreplace").decode(encoding) + "\n")


def counted(number: int, one: str, many: str | None = None) -> str:
    """`1 gateway`, `2 gateways`."""
    return f"{number} {one if number == 1 else many or f'{one}s'}"


def must_exist(path: str) -> None:
    """Refuses a path that is not there.

    Raises:
        InputError: it is not (exit code 3).
    """
    if path != STDIN and not os.path.lexists(path):
        raise InputError(FILE_UNREADABLE.finding("", "it does not exist.", "Check the path.").at(Location(path)))


def add_variables(parser: argparse.ArgumentParser) -> None:
    """`--var` and `--var-file`: global variables of the switch."""
    parser.add_argument(
        "--var", action="append", default=[], metavar="NAME=VALUE", help="a global variable, as in $${NAME}; repeatable"
    )
    parser.add_argument(
        "--var-file",
        type=Path,
        metavar="FILE",
        help="file with a line NAME=VALUE for each global variable; for passwords, which arguments would show to all",
    )


def variables_of(args: argparse.Namespace) -> dict[str, str]:
    """The global variables that the arguments give.

    Raises:
        SipgwError: one is not NAME=VALUE (exit code 2).
        InputError: the file cannot be read.
    """
    variables: dict[str, str] = {}
    if args.var_file is not None:
        try:
            lines = args.var_file.read_text("utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
            raise InputError(VARIABLES_FILE.finding("", f"{args.var_file} cannot be read: {reason}.")) from None
        entries = [("--var-file", one) for one in lines if one.strip() and not one.startswith("#")]
    else:
        entries = []
    for flag, entry in [*entries, *(("--var", one) for one in args.var)]:
        name, equals, value = entry.partition("=")
        if not equals or not name.strip():
            what = "an entry is not NAME=VALUE."  # which one is not shown: it may be a password
            raise SipgwError(WRONG_ARGUMENT.finding(flag, what), ExitCode.USAGE)
        variables[name.strip()] = value
    return variables


def _one_line(text: str) -> str:
    return " ".join(text.split("\n"))


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
