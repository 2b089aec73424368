"""Keys of ssh and of OpenPGP that sign commits and tags, and the files that say whose they are."""

from __future__ import annotations

import contextlib
import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.git.served import git


def signer(folder: Path, name: str) -> tuple[Path, str]:
    """A new key: its file, and its public half as a line."""
    key = folder / name
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(key)], check=True)
    return key, key.with_suffix(".pub").read_text()


def sign_tag(repository: Path, tag: str, key: Path, commit: str = "HEAD") -> None:
    """`git tag -s`."""
    git(repository, "-c", "gpg.format=ssh", "-c", f"user.signingkey={key}", "tag", "-s", "-m", "yes", "--", tag, commit)


class OpenPGP:
    """Keys of OpenPGP with a folder and an agent of their own, which ends with `close`."""

    def __init__(self) -> None:
        self._home = tempfile.TemporaryDirectory(prefix="gpg-")  # short: the path of a socket has 107 bytes
        self._environment = {**os.environ, "GNUPGHOME": self._home.name}
        self._gpg = ("gpg", "--batch", "--quiet", "--pinentry-mode=loopback", "--passphrase=")

    def close(self) -> None:
        """Ends the agent, and forgets all keys."""
        subprocess.run(["gpgconf", "--kill", "all"], env=self._environment, check=True)
        self._home.cleanup()

    def run(self, *words: str, data: str = "") -> str:
        """gpg itself."""
        done = subprocess.run(
            [*self._gpg, *words], env=self._environment, check=True, capture_output=True, text=True, input=data
        )
        return done.stdout

    def signer(self, user: str, expires: str = "never") -> tuple[str, str]:
        """A new key: its fingerprint, and its public half in armour."""
        self.run("--quick-generate-key", user, "ed25519", "sign", expires)
        listed = self.run("--with-colons", "--list-keys", f"={user}")
        fingerprint = next(line.split(":")[9] for line in listed.splitlines() if line.startswith("fpr:"))
        return fingerprint, self.armoured(fingerprint)

    def armoured(self, fingerprint: str) -> str:
        """The public half, as it is now."""
        return self.run("--armor", "--export", fingerprint)

    def revoke(self, fingerprint: str) -> None:
        """Says that a key is good no more, with the certificate that gpg made for that."""
        certificate = Path(self._home.name, "openpgp-revocs.d", f"{fingerprint}.rev").read_text()
        self.run("--import", data=certificate.replace("\n:-----", "\n-----"))

    @contextlib.contextmanager
    def at(self, when: str) -> Iterator[None]:
        """Makes gpg think that it is another time (`20200101T000000`)."""
        settings = Path(self._home.name, "gpg.conf")
        settings.write_text(f"faked-system-time {when}\n")
        yield
        settings.unlink()

    def git(self, repository: Path, key: str, *words: str) -> None:
        """git, with a key that signs."""
        settings = ("-c", "gpg.format=openpgp", "-c", f"user.signingkey={key}")
        git(repository, *settings, *words, GNUPGHOME=self._home.name)
