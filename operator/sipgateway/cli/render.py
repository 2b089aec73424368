"""`sipgw render`: the FreeSWITCH XML of SipGateway manifests, on standard output or as files of the layout."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path
from typing import Final

from sipgateway.api.resolve import SecretView
from sipgateway.cli.codes import KEY_FILE, NOT_WRITTEN
from sipgateway.cli.findings import counted, must_exist, print_findings, write
from sipgateway.cli.options import layout_of
from sipgateway.errors import ExitCode, InputError, Location, Severity, StorageError
from sipgateway.render.layout import Layout, relative_path
from sipgateway.render.proof import prove
from sipgateway.render.revision import RevisionKey, revision
from sipgateway.render.xml import render, render_sealed
from sipgateway.source import codes
from sipgateway.source.folder import Folder, Snapshot
from sipgateway.source.local import EffectiveGateway, accepted
from sipgateway.source.manifests import SourcedGateway, SourcedSecret

HELP = (
    "Prints the FreeSWITCH XML of SipGateway manifests. Passwords come from Secret manifests in the same input and "
    "stand in the XML. Exit code 3 when a manifest is refused; the others are printed."
)

#: Public on purpose: a revision made with it says nothing about what a switch has loaded.
PREVIEW_KEY: Final = b"sipgw render: the public key of previews"
_PLACEHOLDER: Final = b"placeholder"


def configure(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    layout = Layout()
    parser.add_argument("path", metavar="FILE|DIR|-", help="manifests: a file, a folder, or - for standard input")
    parser.add_argument("--switch", metavar="NAME", help="only SipGateways whose spec.switch is NAME (default: all)")
    parser.add_argument(
        "--without-secrets",
        action="store_true",
        help="write an empty value in place of each secret, and need no Secret manifests",
    )
    parser.add_argument(
        "--key-file",
        type=Path,
        metavar="FILE",
        help="key of the revisions, as `sipgw run` keeps it; without it the revision is a preview",
    )
    parser.add_argument(
        "--output-dir", type=Path, metavar="DIR", help="write the files that a switch includes below DIR (mode 0640)"
    )
    parser.add_argument(
        "--profile-path", default=layout.profile, metavar="TEMPLATE", help=f"below DIR (default: {layout.profile})"
    )
    parser.add_argument(
        "--directory-path", default=layout.directory, metavar="TEMPLATE", help=f"likewise (default: {layout.directory})"
    )


def run(args: argparse.Namespace) -> int:
    """Does the work; returns an exit code."""
    layout, key = layout_of(args), _key(args.key_file)
    must_exist(args.path)
    snapshot = Folder(args.path).snapshot()
    if args.without_secrets:
        snapshot = _with_placeholders(snapshot)
    result = accepted(snapshot, switch=args.switch)
    errors = [finding for finding in result.findings if finding.severity is Severity.ERROR]
    rendered = 0
    for effective in result.gateways:
        try:
            data = _render(effective, key, without_secrets=args.without_secrets)
        except InputError as error:
            errors.append(error.finding.at(effective.location))
            continue
        path = relative_path(effective.gateway, layout)
        if args.output_dir is None:
            sys.stdout.buffer.write(
                _heading(effective, path, preview=args.key_file is None or args.without_secrets).encode() + data
            )
        else:
            _save(args.output_dir / path, data)
        rendered += 1
    if not rendered and not errors and not result.suspended:
        errors.append(codes.NOTHING_FOUND.finding("", "there is no SipGateway.").at(Location(args.path)))
    sys.stdout.buffer.flush()
    print_findings(errors)
    _summary(rendered, len(result.suspended), len(errors), len(result.findings) - len(errors))
    return ExitCode.INPUT if errors else ExitCode.OK


def _render(effective: EffectiveGateway, key: RevisionKey, *, without_secrets: bool) -> bytes:
    gateway = effective.gateway
    mark = revision(gateway, key)
    data = render(gateway, mark)
    prove(gateway, mark, data)
    return render_sealed(gateway, mark, _no_seal) if without_secrets else data


def _no_seal(_name: str, _value: str) -> str:
    return ""


def _heading(effective: EffectiveGateway, path: str, *, preview: bool) -> str:
    source = effective.source
    note = "; its revision is a preview, a switch has another" if preview else ""
    text = f"SipGateway {source.namespace}/{source.name}: {path}{note}"
    return f"<!-- {text.replace('--', '-&#45;')} -->\n"


def _summary(rendered: int, suspended: int, errors: int, warnings: int) -> None:
    parts = [f"{counted(rendered, 'gateway')} rendered"]
    if suspended:
        parts.append(f"{suspended} suspended")
    if errors:
        parts.append(counted(errors, "error"))
    if warnings:
        parts.append(f"{counted(warnings, 'warning')} (see sipgw lint)")
    write(", ".join(parts), sys.stderr)


def _with_placeholders(snapshot: Snapshot) -> Snapshot:
    """The snapshot with every Secret that is named, none of them with its value."""
    secrets: dict[tuple[str, str], tuple[SourcedGateway, set[str]]] = {}
    for one in snapshot.gateways:
        for reference in (one.gateway.spec.username_from, one.gateway.spec.password_from):
            if reference is not None:
                _, keys = secrets.setdefault((one.gateway.namespace, reference.name), (one, set()))
                keys.add(reference.key)
    return Snapshot(
        snapshot.gateways,
        tuple(
            SourcedSecret(
                namespace, SecretView(name, labelled=True, data=dict.fromkeys(keys, _PLACEHOLDER)), one.manifest
            )
            for (namespace, name), (one, keys) in secrets.items()
        ),
        snapshot.findings,
        snapshot.unreadable,
        snapshot.broken,
        snapshot.ignored,
        snapshot.files,
    )


def _key(path: Path | None) -> RevisionKey:
    if path is None:
        return RevisionKey(PREVIEW_KEY)
    try:
        return RevisionKey(bytes.fromhex(path.read_text("ascii").strip()))
    except OSError as error:
        what = error.strerror or "it cannot be read"
    except ValueError:  # not ASCII, not hex, or too short
        what = "it does not hold a key (64 hex digits or more)"
    raise InputError(KEY_FILE.finding("", f"{path}: {what}."))


def _save(path: Path, data: bytes) -> None:
    """Writes beside and renames, so that nobody ever reads half a file."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(prefix=".sipgw-", dir=path.parent)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.chmod(temporary, 0o640)  # noqa: PTH101
            os.replace(temporary, path)  # noqa: PTH105
        except BaseException:
            os.unlink(temporary)  # noqa: PTH108
            raise
    except OSError as error:
        what = f"{path} cannot be written: {error.strerror or error}."
        raise StorageError(NOT_WRITTEN.finding("", what)) from None
