"""Approvals: signed tags `BEGINNING/ENVIRONMENT/...`, by which somebody says that what a commit has may go on.

In: a repository, the file of who may approve. Out: tags whose signature is one of theirs. What is believed of a tag is
what its signature covers: its name and its commit, never the name under which a repository shows it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sipgateway.errors import SipgwError
from sipgateway.git import names, signers
from sipgateway.git.repository import Repository

#: Where tags of another repository are kept: they replace none of this one.
_FETCHED = "refs/sipgateway/tags"

#: Tags that are looked at, the youngest first.
_MOST = 200


@dataclass(frozen=True, slots=True)
class Approval:
    """A tag that is signed by somebody who may approve."""

    tag: str
    commit: str
    signer: str

    def __str__(self) -> str:
        return f"{self.tag} by {self.signer}"


def fetch(repository: Repository, beginning: str, environment: str, remote: str) -> None:
    """Takes in the approvals that another repository has, and forgets those that it has no more.

    Raises:
        SipgwError: the remote cannot be read.
    """
    names.url(remote)
    where = f"{names.branch(f'{beginning}/{environment}')}/*"
    options = ("--quiet", "--no-tags", "--prune", "--no-write-fetch-head", "--no-recurse-submodules")
    repository.run("fetch", *options, "--end-of-options", remote, f"+refs/tags/{where}:{_FETCHED}/{where}", remote=True)


def approvals(
    repository: Repository, beginning: str, environment: str, folder: str, tree: str, approvers: Path
) -> list[Approval]:
    """The approvals of a folder's content.

    Args:
        repository: with its own tags and those that were fetched.
        beginning: of the tags' names.
        environment: what follows in them.
        folder: of the environment.
        tree: id of the content that must be in the tagged commit.
        approvers: file of keys (`signers.opened`).

    Raises:
        InputError: that file cannot be used.
    """
    where = names.branch(f"{beginning}/{environment}")
    listed = repository.text(
        "for-each-ref",
        "--sort=-creatordate",
        f"--count={_MOST}",
        "--format=%(objecttype) %(*objecttype) %(objectname) %(*objectname)",
        *(f"{root}/{where}/" for root in ("refs/tags", _FETCHED)),
    )
    tags = dict(line.split(" ")[2:] for line in listed.splitlines() if line.startswith("tag commit "))
    asked = "".join(f"{commit}:{folder}\n" for commit in tags.values()).encode()
    trees = repository.text("cat-file", "--batch-check", data=asked).splitlines() if tags else []
    found = []
    with signers.opened(approvers) as known:
        for (ident, commit), line in zip(tags.items(), trees, strict=True):
            tag = _own_name(repository, ident) if line.startswith(f"{tree} ") else ""
            if tag.startswith(f"{where}/"):
                signer = repository.signer("tag", ident, known)
                found += [Approval(tag, commit, signer)] if signer else []
    return found


def _own_name(repository: Repository, ident: str) -> str:
    """The name that a tag's signature covers; empty when it has none that could be one."""
    head = repository.run("cat-file", "tag", ident).partition(b"\n\n")[0].decode("utf-8", "replace")
    name = next((line.removeprefix("tag ") for line in head.splitlines() if line.startswith("tag ")), "")
    try:
        return names.branch(name)
    except SipgwError:
        return ""
