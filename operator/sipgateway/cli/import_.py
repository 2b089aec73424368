"""`sipgw import`: existing FreeSWITCH gateways to SipGateway manifests, their passwords to Secrets."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from sipgateway.api.names import DEFAULT_PROFILE
from sipgateway.cli.codes import FILE_EXISTS, NOT_WRITTEN
from sipgateway.cli.findings import add_variables, by_place, counted, must_exist, print_findings, variables_of, write
from sipgateway.errors import ExitCode, InputError, Location, Severity, StorageError
from sipgateway.source import codes
from sipgateway.source.folder import STDIN
from sipgateway.source.found import find_gateways
from sipgateway.source.importer import Manifests, import_gateways
from sipgateway.source.xmlfiles import read_all_xml

HELP = (
    "Turns the gateways of a FreeSWITCH configuration (a file, a folder, or a whole conf tree) into SipGateway "
    "manifests that make the switch do the same, and their passwords into labelled Secrets. What could not be carried "
    "stands in comments. Nothing in the configuration is executed."
)

_SECRETS_FOLDER = "secrets"


def configure(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    parser.add_argument(
        "paths",
        nargs="+",
        metavar="XML|DIR|-",
        help="files, folders (best: the whole conf), or - for standard input; several are put together",
    )
    parser.add_argument(
        "--secret-name", metavar="NAME", help="one Secret for all passwords (default: one for each gateway)"
    )
    parser.add_argument("--namespace", metavar="NAME", help="metadata.namespace of everything (default: not set)")
    parser.add_argument(
        "--profile",
        default=DEFAULT_PROFILE,
        metavar="NAME",
        help=f"profile of gateways that stand in none (default: {DEFAULT_PROFILE})",
    )
    add_variables(parser)
    parser.add_argument(
        "--output-dir",
        type=Path,
        metavar="DIR",
        help=f"write DIR/NAME.yaml and DIR/{_SECRETS_FOLDER}/NAME.yaml (0600) instead of standard output",
    )
    parser.add_argument("--force", action="store_true", help="overwrite files in --output-dir")


def run(args: argparse.Namespace) -> int:
    """Does the work; returns an exit code."""
    variables = variables_of(args)
    for path in args.paths:
        must_exist(path)
    stdin = sys.stdin.buffer.read() if STDIN in args.paths else b""
    files = read_all_xml(args.paths, variables, stdin)
    found, problems = find_gateways(files, profile=args.profile)
    result = import_gateways(found, secret_name=args.secret_name, namespace=args.namespace)
    findings = [*files.findings, *problems, *(one.finding for one in result.left_behind)]
    findings += (finding for manifest in result.manifests for finding in manifest.findings)
    if not found and not any(finding.severity is Severity.ERROR for finding in findings):
        raise InputError(codes.NOTHING_FOUND.finding("", "there is no gateway.").at(Location(", ".join(args.paths))))
    secrets = result.secrets()
    if args.output_dir is None:
        _print(result, secrets)
    else:
        _save(args.output_dir, result, secrets, force=args.force)
    print_findings(sorted(findings, key=by_place))
    passwords = sum(manifest.secret is not None for manifest in result.manifests)
    write(
        f"{counted(len(result.manifests), 'gateway')} imported, {len(result.left_behind)} left behind, "
        f"{counted(passwords, 'password')} in {counted(len(secrets), 'Secret')}",
        sys.stderr,
    )
    malformed = any(finding.severity is Severity.ERROR for finding in (*files.findings, *problems))
    refused = any(manifest.refused for manifest in result.manifests)
    return ExitCode.INPUT if malformed else ExitCode.FAILED if refused else ExitCode.OK


def _print(result: Manifests, secrets: Mapping[str, str]) -> None:
    documents = [manifest.text() for manifest in result.manifests]
    documents += secrets.values()
    text = "---\n".join(documents) + "".join(one.text() for one in result.left_behind)
    sys.stdout.flush()
    sys.stdout.buffer.write(text.encode("utf-8", "backslashreplace"))
    sys.stdout.buffer.flush()


def _save(folder: Path, result: Manifests, secrets: Mapping[str, str], *, force: bool) -> None:
    for manifest in result.manifests:
        _write(folder / f"{manifest.name}.yaml", manifest.text(), 0o644, force=force)
    for name, text in secrets.items():
        _write(folder / _SECRETS_FOLDER / f"{name}.yaml", text, 0o600, force=force)
    if result.left_behind:
        _write(folder / "left-behind.txt", "".join(one.text() for one in result.left_behind), 0o644, force=force)


def _write(path: Path, text: str, mode: int, *, force: bool) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o755 if mode == 0o644 else 0o700)
        data = text.encode("utf-8", "backslashreplace")
        if not force and path.exists():
            if path.read_bytes() == data:
                return
            what = f"{path} exists and differs."
            raise StorageError(FILE_EXISTS.finding("", what))
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
        descriptor = os.open(path, flags, mode)
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(file.fileno(), mode)
            file.write(data)
    except OSError as error:
        what = f"{path} cannot be written: {error.strerror or error}."
        raise StorageError(NOT_WRITTEN.finding("", what)) from None
