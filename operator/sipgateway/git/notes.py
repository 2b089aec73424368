"""Notes on commits: lines of text under `refs/notes/sipgateway/ENVIRONMENT`, which many writers add to.

In: a repository, lines. Out: the same lines on the other side, merged with those that others wrote meanwhile.
"""

from __future__ import annotations

import random
import re
import time

from sipgateway.errors import SipgwError
from sipgateway.git import codes, names
from sipgateway.git.repository import Repository

_ENVIRONMENT = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?", re.ASCII)
_TRIES = 8


def ref(environment: str) -> str:
    """The ref of an environment's notes."""
    if not _ENVIRONMENT.fullmatch(environment):
        raise ValueError(f"{environment!r} is no name of an environment")
    return f"refs/notes/sipgateway/{environment}"


def read(repository: Repository, environment: str, commit: str) -> str:
    """The lines on a commit; empty when there are none."""
    try:
        return repository.text("notes", f"--ref={ref(environment)}", "show", commit)
    except SipgwError:
        return ""


def noted(repository: Repository, environment: str) -> frozenset[str]:
    """The commits that have notes."""
    listed = repository.text("notes", f"--ref={ref(environment)}", "list")
    return frozenset(line.split()[1] for line in listed.splitlines() if " " in line)


def add(repository: Repository, environment: str, commit: str, line: str) -> bool:
    """Adds a line to a commit's note. Returns whether it was not there already."""
    if "\n" in line or not line:
        raise ValueError("a note has lines")
    before = read(repository, environment, commit).splitlines()
    if line in before:
        return False
    text = "\n".join(sorted({*before, line})) + "\n"
    repository.text("notes", f"--ref={ref(environment)}", "add", "-f", "-F", "-", commit, data=text.encode())
    return True


def fetch(repository: Repository, environment: str, remote: str) -> bool:
    """Takes in what others wrote. Returns whether the remote has any.

    Raises:
        SipgwError: the remote cannot be read.
    """
    names.url(remote)
    own, theirs = ref(environment), f"refs/notes/sipgateway-remote/{environment}"
    if not repository.run("ls-remote", "--end-of-options", remote, own, remote=True).strip():
        return False
    options = ("--quiet", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules")
    repository.run("fetch", *options, "--end-of-options", remote, f"+{own}:{theirs}", remote=True)
    try:
        mine = repository.text("rev-parse", "--verify", "--quiet", own)
    except SipgwError:
        repository.run("update-ref", own, theirs)
        return True
    if mine != repository.text("rev-parse", theirs):
        repository.run("notes", f"--ref={own}", "merge", "--quiet", "-s", "cat_sort_uniq", theirs)
    return True


def publish(repository: Repository, environment: str, remote: str) -> None:
    """Brings our lines to the remote, with those of others, however many write at once.

    Raises:
        SipgwError: the remote does not take them.
    """
    own = ref(environment)
    for attempt in range(_TRIES):
        fetch(repository, environment, remote)
        try:
            repository.run("push", "--quiet", "--no-verify", "--end-of-options", remote, f"{own}:{own}", remote=True)
        except SipgwError as error:
            if attempt == _TRIES - 1:
                raise SipgwError(codes.PUSH_REFUSED.because("", f"{error.finding.message}")) from None
            time.sleep(random.uniform(0, 0.1 * attempt))  # noqa: S311 - whoever was faster is let through
        else:
            return
