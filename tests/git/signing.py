"""ssh keys that sign commits and tags, and the files that say whose they are."""

from __future__ import annotations

import subprocess
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
