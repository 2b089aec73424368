"""A private copy of one branch of a repository somewhere else, which survives whatever happens to that branch.

In: an address, a branch, a folder of ours. Out: the commit that the branch is at now, with everything that it needs.
"""

from __future__ import annotations

import contextlib
import fcntl
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sipgateway.errors import SipgwError, StorageError
from sipgateway.git import codes, names
from sipgateway.git.repository import Repository

#: Where the branch is kept: no ref of the other side is ever named like that.
_REF = "refs/sipgateway/branch"


@dataclass(slots=True)
class Mirror:
    """The copy. One process has it at a time.

    Attributes:
        url, branch: of the other side.
        folder: of ours alone; it is made anew when it is damaged.
        environment: credentials, from `credentials.environment`.
        allowed_signers: file of ssh keys, one of which must have signed the commit (gpg.ssh.allowedSignersFile); None:
            signatures are not asked for.
    """

    url: str
    branch: str
    folder: Path
    environment: Mapping[str, str] = field(repr=False)
    allowed_signers: Path | None = None

    def __post_init__(self) -> None:
        names.url(self.url)
        names.branch(self.branch)

    @property
    def repository(self) -> Repository:
        """The copy as a repository."""
        return Repository(self.folder / "mirror.git", self.environment)

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Keeps other processes away.

        Raises:
            StorageError: another one has it, or the folder cannot be written.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            with (self.folder / "lock").open("w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                yield
        except BlockingIOError:
            what = f"{self.folder} is in use by another process."
            raise StorageError(codes.GIT_FAILED.because("", what)) from None
        except OSError as error:
            what = f"{self.folder} cannot be written: {error.strerror or error}."
            raise StorageError(codes.GIT_FAILED.because("", what)) from None

    def fetch(self) -> str:
        """The commit that the branch is at. Call it while `held`.

        Raises:
            SipgwError: it cannot be fetched, or the branch is not there.
        """
        try:
            self._fetch()
        except StorageError:
            raise
        except SipgwError:
            if self._is_sound():
                self._explain()
                raise
            shutil.rmtree(self.repository.folder, ignore_errors=True)  # a copy: nothing is lost
            self._fetch()
        commit = self.repository.text("rev-parse", f"{_REF}^{{commit}}")
        self._check_signature(commit)
        return commit

    def _fetch(self) -> None:
        repository = self.repository
        if not (repository.folder / "HEAD").is_file():
            shutil.rmtree(repository.folder, ignore_errors=True)
            repository.folder.mkdir(parents=True)
            repository.run("init", "--quiet", "--bare", "--template=", ".")
        for stale in repository.folder.rglob("*.lock"):  # nobody else is here, so who made it was killed
            stale.unlink(missing_ok=True)
        spec = f"+refs/heads/{self.branch}:{_REF}"
        options = ("--quiet", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules")
        repository.run("fetch", *options, "--end-of-options", self.url, spec, remote=True)

    def _is_sound(self) -> bool:
        """Whether the copy itself is all right."""
        try:
            self.repository.run("rev-parse", "--git-dir")
            if (self.repository.folder / _REF).exists():
                self.repository.run("rev-list", "--objects", "--quiet", "--max-count=200", _REF)
        except SipgwError:
            return False
        return True

    def _explain(self) -> None:
        """Says so when it is only that the branch is not there."""
        try:
            listed = self.repository.run(
                "ls-remote", "--end-of-options", self.url, f"refs/heads/{self.branch}", remote=True
            )
        except SipgwError:
            return
        if not listed.strip():
            raise SipgwError(codes.NO_SUCH_BRANCH.because("", f"{self.branch} is not in {self.url}."))

    def _check_signature(self, commit: str) -> None:
        if self.allowed_signers is None:
            return
        keys = f"gpg.ssh.allowedSignersFile={self.allowed_signers}"
        try:
            self.repository.run("verify-commit", "--end-of-options", commit, settings=("gpg.format=ssh", keys))
        except SipgwError:
            what = f"Commit {commit[:12]} has no signature of a key in {self.allowed_signers}."
            raise SipgwError(codes.SIGNATURE_MISSING.because("", what)) from None
