"""A bare copy of a repository somewhere else in which commits can be made: for whoever promotes without a clone.

In: an address, a branch, a folder of ours, credentials. Out: a repository whose HEAD is that branch as it is now, with
the other side as `origin`. What is committed there and not pushed is forgotten at the next look.
"""

from __future__ import annotations

from sipgateway.git.mirror import Mirror
from sipgateway.git.repository import Repository


def look(mirror: Mirror) -> Repository:
    """The branch as it is now. Call it while the mirror is `held`.

    Raises:
        SipgwError: it cannot be fetched, or the branch is not there.
    """
    commit = mirror.fetch()
    repository, own = mirror.repository, f"refs/heads/{mirror.branch}"
    for line in repository.text("for-each-ref", "--format=%(refname)", "refs/heads/").splitlines():
        if line != own:  # a branch that was made for a pull request, and pushed or not
            repository.run("update-ref", "-d", line)
    repository.run("update-ref", own, commit)
    repository.run("symbolic-ref", "HEAD", own)
    repository.run("config", "remote.origin.url", mirror.url)
    return repository
