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
from sipgateway.git import codes, names, signers
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
        allowed_signers: file of keys (`signers.opened`), one of which must have signed the commit; None: signatures
            are not asked for.
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
            commit = self._fetch(self.repository)
        except StorageError:
            raise
        except SipgwError as error:
            self._explain(error)
            commit = self._anew()
        self._check_signature(commit)
        return commit

    def _fetch(self, repository: Repository) -> str:
        """Brings a copy up to date; returns the branch's commit, of which everything is there then."""
        if not (repository.folder / "HEAD").is_file():
            _remove(repository.folder)
            repository.folder.mkdir(parents=True)
            repository.run("init", "--quiet", "--bare", "--template=", ".")
        for stale in repository.folder.rglob("*.lock"):  # nobody else is here, so who made it was killed
            stale.unlink(missing_ok=True)
        spec = f"+refs/heads/{self.branch}:{_REF}"
        options = ("--quiet", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules")
        repository.run("fetch", *options, "--end-of-options", self.url, spec, remote=True)
        commit = repository.text("rev-parse", "--verify", f"{_REF}^{{commit}}")
        repository.run("rev-list", "--objects", "--quiet", "--max-count=1", commit)
        return commit

    def _anew(self) -> str:
        """Another copy in place of the first, when it is whole: the first may hold what was applied last."""
        fresh = Repository(self.folder / "anew.git", self.environment)
        try:
            _remove(fresh.folder)
            commit = self._fetch(fresh)
            _remove(self.repository.folder)
            fresh.folder.rename(self.repository.folder)
        finally:
            _remove(fresh.folder)
        return commit

    def _explain(self, error: SipgwError) -> None:
        """Raises what is at fault on the other side; returns when that can be read, and so our copy is at fault.

        Raises:
            SipgwError: the other side is not there, or has no such branch.
        """
        try:
            outside = Repository(self.folder, self.environment)
            listed = outside.run("ls-remote", "--end-of-options", self.url, f"refs/heads/{self.branch}", remote=True)
        except SipgwError:
            raise error from None
        if not listed.strip():
            raise SipgwError(codes.NO_SUCH_BRANCH.because("", f"{self.branch} is not in {self.url}.")) from None

    def _check_signature(self, commit: str) -> None:
        if self.allowed_signers is None:
            return
        with signers.opened(self.allowed_signers) as known:
            if not self.repository.signer("commit", commit, known):
                what = f"Commit {commit[:12]} has no signature of a key in {self.allowed_signers}."
                raise SipgwError(codes.SIGNATURE_MISSING.because("", what))


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
