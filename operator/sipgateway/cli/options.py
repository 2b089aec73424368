"""Arguments that several commands share: the switch's address and password, the conf folder, the layout."""

from __future__ import annotations

import argparse
import ipaddress
from dataclasses import dataclass, field
from pathlib import Path

from sipgateway.api.names import DEFAULT_SWITCH
from sipgateway.errors import ExitCode, Finding, InputError, SipgwError
from sipgateway.render.layout import Layout

#: mod_event_socket's own default (fact 27).
DEFAULT_PASSWORD = "ClueCon"
DEFAULT_ESL = "127.0.0.1:8021"


@dataclass(frozen=True, slots=True)
class Esl:
    """Where the switch's event socket is. The password never shows in `repr`."""

    host: str
    port: int
    password: str = field(repr=False)


def add_source(parser: argparse.ArgumentParser) -> None:
    """`--source` and `--switch`."""
    parser.add_argument(
        "--source", type=Path, required=True, metavar="DIR", help="folder (or file) of SipGateway and Secret manifests"
    )
    parser.add_argument(
        "--switch",
        default=DEFAULT_SWITCH,
        metavar="NAME",
        help=f"take the SipGateways whose spec.switch is NAME (default: {DEFAULT_SWITCH})",
    )
    parser.add_argument(
        "--allow-empty", action="store_true", help="a source without a single manifest means that no trunk is wanted"
    )


def add_conf(parser: argparse.ArgumentParser) -> None:
    """`--conf` and the layout below it."""
    layout = Layout()
    parser.add_argument(
        "--conf", type=Path, required=True, metavar="DIR", help="folder that the switch includes, often /etc/freeswitch"
    )
    parser.add_argument(
        "--profile-path",
        default=layout.profile,
        metavar="TEMPLATE",
        help=f"where a profile's files go below --conf (default: {layout.profile})",
    )
    parser.add_argument(
        "--directory-path",
        default=layout.directory,
        metavar="TEMPLATE",
        help=f"where a directory user's files go below --conf (default: {layout.directory})",
    )


def add_esl(parser: argparse.ArgumentParser) -> None:
    """`--esl`, `--esl-password-file` and `--allow-remote-esl`."""
    parser.add_argument(
        "--esl", default=DEFAULT_ESL, metavar="HOST:PORT", help=f"the switch's event socket (default: {DEFAULT_ESL})"
    )
    parser.add_argument(
        "--esl-password-file",
        type=Path,
        metavar="FILE",
        help="file with the event socket's password; without it the switch's default password is tried",
    )
    parser.add_argument(
        "--allow-remote-esl",
        action="store_true",
        help="allow an event socket that is not on loopback: whoever reaches it can run programs on the switch",
    )


def add_register_rate(parser: argparse.ArgumentParser) -> None:
    """`--register-rate`."""
    parser.add_argument(
        "--register-rate",
        type=int,
        default=20,
        metavar="N",
        help="gateways that begin to register in one second at one registrar; 0: no limit (default: 20)",
    )


def layout_of(args: argparse.Namespace) -> Layout:
    """The layout that the arguments ask for.

    Raises:
        SipgwError: a template lacks its field or leads out of the folder (exit code 2).
    """
    for flag, template, names in (
        ("--profile-path", args.profile_path, ("profile",)),
        ("--directory-path", args.directory_path, ("domain", "user")),
    ):
        try:
            folder = template.format(**dict.fromkeys(names, "x"))
            distinct = template.format(**{n: f"{n}1" for n in names}) != folder
        except (KeyError, IndexError, ValueError):
            distinct, folder = False, ""
        if not distinct or folder.startswith("/") or ".." in folder.split("/"):
            raise usage(flag, f"{template!r} is not a relative path with {' and '.join('{' + n + '}' for n in names)}")
    return Layout(args.profile_path, args.directory_path)


def esl_of(args: argparse.Namespace) -> Esl:
    """The address and password that the arguments ask for.

    Raises:
        SipgwError: not an address, or not on loopback without --allow-remote-esl (exit code 2).
        InputError: the password's file cannot be read.
    """
    host, colon, port = str(args.esl).rpartition(":")
    host = host.strip("[]")
    if not colon or not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise usage("--esl", f"{args.esl!r} is not HOST:PORT")
    if not args.allow_remote_esl and not _loopback(host):
        raise usage("--esl", f"{host} is not on loopback; add --allow-remote-esl if that is meant (fact 27)")
    return Esl(host, int(port), read_password(args.esl_password_file))


def read_password(path: Path | None) -> str:
    """The password in a file, without the line end; the switch's default without a file.

    Raises:
        InputError: the file cannot be read or is empty.
    """
    if path is None:
        return DEFAULT_PASSWORD
    try:
        password = path.read_text("utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            Finding("PasswordFile", "", f"{path} cannot be read: {error}.", "Check --esl-password-file.")
        ) from None
    if not password or "\n" in password or "\r" in password:
        raise InputError(Finding("PasswordFile", "", f"{path} must hold one line.", "Put the password into it."))
    return password


def usage(flag: str, what: str) -> SipgwError:
    """A wrong argument (exit code 2)."""
    return SipgwError(Finding("WrongArgument", flag, f"{what}.", "See --help."), ExitCode.USAGE)


def _loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
