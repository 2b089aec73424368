"""Who may sign: ssh keys as allowed signers (ssh-keygen(1)), and OpenPGP public keys in armour, in one file.

In: that file. Out: what git needs to check a signature with these keys and no other that this machine may know.
"""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sipgateway.errors import InputError
from sipgateway.git import codes

_BLOCK: Final = re.compile(
    rb"^-----BEGIN PGP PUBLIC KEY BLOCK-----[ \t\r]*$.*?^-----END PGP PUBLIC KEY BLOCK-----[ \t\r]*$",
    re.MULTILINE | re.DOTALL,
)
_LINE: Final = re.compile(rb"^[ \t]*[^#\s]", re.MULTILINE)
_SSH: Final = re.compile(r'Good "git" signature for (\S.*) with \S+ key SHA256:')
_OPENPGP: Final = re.compile(r"^\[GNUPG:\] GOODSIG [0-9A-F]+ (\S.*)$", re.MULTILINE)
_IMPORTED: Final = b"[GNUPG:] IMPORT_OK "

#: Of the folder of keys that gpg is given: no agent and no other daemon, no server of keys, the file alone is trusted.
_GPG: Final = "no-autostart\nno-auto-key-locate\ntrust-model always\nbatch\nno-tty\n"

#: Seconds that reading the keys may take, and bytes of the file.
_PATIENCE, _MOST = 30, 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Signers:
    """The keys, as git is told of them.

    Attributes:
        settings: for git, each `name=value`. Programs stand in them, because those that a configuration names could
            say anything.
        environment: more variables for it.
    """

    settings: tuple[str, ...]
    environment: dict[str, str]

    @staticmethod
    def named(said: str) -> str:
        """Whose signature git found good, by what `git verify-commit --raw` says; empty for nobody's."""
        found = _SSH.match(said) or _OPENPGP.search(said)
        return found[1] if found else ""


@contextlib.contextmanager
def opened(file: Path) -> Iterator[Signers]:
    """Makes a file of keys ready for use.

    Raises:
        InputError: it cannot be read, or has no key, or one that is none.
    """
    try:
        with file.open("rb") as stream:
            text = stream.read(_MOST + 1)
    except OSError as error:
        raise _bad(file, f"cannot be read: {error.strerror or error}") from None
    if len(text) > _MOST:
        raise _bad(file, f"is larger than {_MOST} bytes")
    blocks, lines = _BLOCK.findall(text), _BLOCK.sub(b"", text)
    if b"-----BEGIN PGP" in lines:
        raise _bad(file, "has a block of OpenPGP that is no whole public key")
    if not blocks and not _LINE.search(lines):
        raise _bad(file, "has no key")
    with tempfile.TemporaryDirectory(prefix="sipgw-signers-") as scratch:
        allowed, home = Path(scratch, "allowed_signers"), Path(scratch, "gnupg")
        allowed.write_bytes(lines)
        if blocks:
            _gather(file, blocks, home)
        yield Signers(
            (
                "gpg.format=ssh",
                f"gpg.ssh.allowedSignersFile={allowed}",
                "gpg.ssh.program=ssh-keygen",
                f"gpg.openpgp.program={'gpg' if blocks else 'false'}",
                "gpg.x509.program=false",
            ),
            {"GNUPGHOME": str(home)},
        )


def _gather(file: Path, blocks: list[bytes], home: Path) -> None:
    """Makes a folder of gpg's own with these keys."""
    home.mkdir(mode=0o700)
    (home / "gpg.conf").write_text(_GPG)
    (home / "common.conf").touch()  # else a newer gpg writes one by which it needs a daemon
    environment = {**os.environ, "GNUPGHOME": str(home), "LC_ALL": "C"}
    for number, block in enumerate(blocks, 1):
        try:
            done = subprocess.run(
                ["gpg", "--quiet", "--status-fd=1", "--import"],
                input=block,
                capture_output=True,
                env=environment,
                timeout=_PATIENCE,
                check=False,
            )
        except FileNotFoundError:
            raise _bad(file, "has an OpenPGP key, and there is no program gpg on this machine") from None
        except subprocess.TimeoutExpired:
            raise _bad(file, f"has an OpenPGP key (block {number}) that gpg did not read in {_PATIENCE} s") from None
        if _IMPORTED not in done.stdout:
            raise _bad(file, f"has an OpenPGP key (block {number}) that gpg does not take")


def _bad(file: Path, what: str) -> InputError:
    return InputError(codes.BAD_SIGNERS.because("", f"{file} {what}."))
