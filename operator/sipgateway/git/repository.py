"""A git repository, read without trusting it: GitPython runs git with nothing of the repository's own configuration.

In: a folder with a repository, revisions, paths. Out: files of a commit as bytes, and commits made without touching a
work tree. No hook runs, no filter, no helper; no symbolic link is followed, no submodule is entered.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from git.cmd import Git
from git.exc import GitCommandError, GitCommandNotFound

from sipgateway.errors import Finding, InputError, Location, SipgwError, StorageError
from sipgateway.git import codes, names
from sipgateway.git.signers import Signers

#: Bytes of one manifest, and of all of them.
MAX_FILE: Final = 4 * 1024 * 1024
MAX_ALL: Final = 64 * 1024 * 1024

#: Seconds that a command on the local repository, and one that goes over a network, may take.
_LOCAL, _REMOTE = 120, 300

#: Settings that a repository, or the machine, could turn against us.
_SETTINGS: Final = (
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.attributesFile=/dev/null",
    "core.symlinks=false",
    "protocol.allow=never",
    "protocol.https.allow=always",
    "protocol.ssh.allow=always",
    "protocol.file.allow=always",
    "transfer.fsckObjects=true",
    "http.followRedirects=false",  # the password is for the host that was named
    "fetch.recurseSubmodules=false",
    "submodule.recurse=false",
    "gc.auto=0",
    "maintenance.auto=false",
    "commit.gpgSign=false",
)

#: The same for the environment.
_ENVIRONMENT: Final = {
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ASKPASS": "true",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_EDITOR": "true",
    "GIT_SSH_COMMAND": "ssh -o BatchMode=yes -o StrictHostKeyChecking=yes",
    "LC_ALL": "C",
}

#: Variables around us that say who somebody is, and which certificates this machine trusts.
_KEPT: Final = ("GIT_AUTHOR_", "GIT_COMMITTER_", "GIT_SSL_CA", "GIT_CONFIG_GLOBAL")

_LFS: Final = b"version https://git-lfs.github.com/spec/"
_FORBIDDEN: Final = re.compile(r"(?:^|/)(?:\.\.?|\.git[^/]*|git~[0-9]+)(?:/|$)", re.IGNORECASE)
_URL: Final = re.compile(r"//[^/@\s]*@")
_FRAME: Final = re.compile(r"^@+ *| *@+\r?$", re.MULTILINE)  # that ssh puts around a warning

#: Characters of git's words that are shown.
_SAID: Final = 480


@dataclass(frozen=True, slots=True)
class Entry:
    """A file of a commit."""

    path: str
    blob: str
    size: int


@dataclass(frozen=True, slots=True)
class Commit:
    """One commit.

    Attributes:
        at: seconds since the epoch, by its committer.
        author, email: as the author says himself.
        trailers: name -> values, in the order of the message.
    """

    id: str
    parents: tuple[str, ...]
    at: int
    author: str
    email: str
    subject: str
    trailers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def trailer(self, name: str) -> str:
        """The last value of a trailer, empty when there is none."""
        return next(reversed(self.trailers.get(name.lower(), ())), "")


@dataclass(slots=True)
class Repository:
    """A repository on this machine, with a work tree or bare.

    Attributes:
        folder: of the work tree, or the bare repository.
        environment: more variables for git: credentials, who commits.
    """

    folder: Path
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)

    @staticmethod
    def find(start: Path, environment: Mapping[str, str] | None = None) -> Repository:
        """The repository that a folder is in.

        Raises:
            InputError: it is in none.
        """
        one = Repository(start, environment or {})
        try:
            bare = one.text("rev-parse", "--is-bare-repository") == "true"
            top = one.text("rev-parse", "--absolute-git-dir" if bare else "--show-toplevel")
        except SipgwError:
            raise InputError(codes.NO_REPOSITORY.because("", f"{start} is in no git repository.")) from None
        return Repository(Path(top), environment or {})

    # Running git

    def run(
        self,
        *arguments: str,
        data: bytes | None = None,
        remote: bool = False,
        more: Mapping[str, str] | None = None,
        settings: Sequence[str] = (),
        errors: bool = False,
    ) -> bytes:
        """What a command prints; with `errors`, on standard error.

        Raises:
            SipgwError: it failed.
        """
        options = [word for setting in (*_SETTINGS, *settings) for word in ("-c", setting)]
        env = {**_ENVIRONMENT, **self.environment, **(more or {})}
        stream = None
        if data is not None:
            stream = tempfile.TemporaryFile()  # noqa: SIM115 - closed below
            stream.write(data)
            stream.seek(0)
        try:
            _, shown, said = Git(self.folder).execute(
                [*_without_foreign(env), "git", *options, *arguments],
                istream=stream,
                with_extended_output=True,
                stdout_as_string=False,
                strip_newline_in_stdout=False,
                kill_after_timeout=_REMOTE if remote else _LOCAL,
                env=env,
            )
        except (GitCommandError, GitCommandNotFound) as error:
            raise _failed(arguments, error) from None
        except OSError as error:
            what = f"git cannot be run in {self.folder}: {error.strerror or error}."
            raise StorageError(codes.GIT_FAILED.because("", what)) from None
        finally:
            if stream is not None:
                stream.close()
        return said.encode() if errors else shown

    def text(self, *arguments: str, **options: bytes) -> str:
        """What a command prints, as text without the line end."""
        return self.run(*arguments, **options).decode("utf-8", "replace").rstrip("\n")  # type: ignore[arg-type] # data only

    # Reading

    def commit_id(self, revision: str) -> str:
        """The id of a commit.

        Raises:
            InputError: there is none.
        """
        names.revision(revision)
        try:
            return self.text("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
        except SipgwError:
            what = f"There is no commit {revision} in {self.folder}."
            raise InputError(codes.NO_SUCH_COMMIT.because("", what)) from None

    def tree_id(self, commit: str, folder: str) -> str:
        """The id of a folder's tree in a commit: equal ids, equal content. Empty when it has no such folder."""
        folder = "" if folder == "." else folder.rstrip("/")
        try:
            return self.text("rev-parse", "--verify", "--quiet", "--end-of-options", f"{commit}:{folder}")
        except SipgwError:
            return ""

    def entries(self, commit: str, folder: str) -> list[Entry]:
        """The files below a folder of a commit, by path; of the whole commit for `.`.

        Raises:
            InputError: something in it is no plain file, or too big.
        """
        where = () if folder in {"", "."} else ("--", folder)
        listed = self.run("ls-tree", "-r", "-l", "-z", "--full-tree", commit, *where)
        found: list[Entry] = []
        total = 0
        for line in filter(None, listed.split(b"\0")):
            about, _, raw = line.partition(b"\t")
            mode, kind, blob, size = about.decode().split()
            path = raw.decode("utf-8", "surrogateescape")
            place = Location("".join(c if c.isprintable() else "?" for c in path))
            if _FORBIDDEN.search(path) or any(ord(c) < 0x20 or 0xDC80 <= ord(c) <= 0xDCFF for c in path):
                raise InputError(codes.FOREIGN_PATH.because("", "this path is not taken.").at(place))
            if kind != "blob" or mode not in {"100644", "100755", "100664"}:
                what = "a symbolic link" if mode == "120000" else "a submodule"
                raise InputError(codes.NOT_A_PLAIN_FILE.because("", f"it is {what}.").at(place))
            total += int(size)
            if int(size) > MAX_FILE or total > MAX_ALL:
                limit = MAX_FILE if int(size) > MAX_FILE else MAX_ALL
                what = f"{size if int(size) > MAX_FILE else total} bytes; {limit} are taken."
                raise InputError(codes.BLOB_TOO_BIG.because("", what).at(place))
            found.append(Entry(path, blob, int(size)))
        return found

    def files(self, commit: str, folder: str) -> dict[str, bytes]:
        """The manifests below a folder of a commit: path -> content, by path.

        Raises:
            InputError: something in it is no plain file, or too big.
        """
        entries = [entry for entry in self.entries(commit, folder) if entry.path.endswith((".yaml", ".yml", ".json"))]
        answer = self.run("cat-file", "--batch", data="".join(f"{entry.blob}\n" for entry in entries).encode())
        found: dict[str, bytes] = {}
        at = 0
        for entry in entries:
            end = answer.index(b"\n", at) + 1
            found[entry.path] = answer[end : end + entry.size]
            at = end + entry.size + 1
            if found[entry.path].startswith(_LFS):
                what = "it is a pointer of Git LFS, not the file itself."
                raise InputError(codes.NOT_A_PLAIN_FILE.because("", what).at(Location(entry.path)))
        return found

    def file(self, commit: str, path: str) -> bytes | None:
        """One file of a commit; None when it is not there."""
        for entry in self.entries(commit, path):
            if entry.path == path:
                return self.run("cat-file", "blob", entry.blob)
        return None

    def history(self, commit: str, folder: str = "", *, limit: int = 0) -> list[Commit]:
        """The commits that lead to one along first parents, newest first; with a folder, those that changed it."""
        form = "%H%x00%P%x00%ct%x00%an%x00%ae%x00%s%x00%(trailers:only,unfold)%x01"
        options = [f"--max-count={limit}"] if limit else []
        where = ["--", folder] if folder else ["--"]
        text = self.text("log", "--first-parent", "-m", f"--format={form}", *options, commit, *where)
        return [_commit(record) for record in text.split("\x01") if record.strip()]

    def contains(self, commit: str, earlier: str) -> bool:
        """Whether an earlier commit is part of the history of one."""
        try:
            self.run("merge-base", "--is-ancestor", earlier, commit)
        except SipgwError:
            return False
        return True

    def signer(self, what: Literal["commit", "tag"], ident: str, signers: Signers) -> str:
        """Whose signature an object has: a principal of an ssh key, the user id of an OpenPGP key; empty for none.

        Keys that this machine may know besides do not count, nor do those that have expired or were revoked.
        """
        words = (f"verify-{what}", "--raw", "--end-of-options", ident)
        try:
            said = self.run(*words, settings=signers.settings, more=signers.environment, errors=True)
        except SipgwError:
            return ""
        return signers.named(said.decode("utf-8", "replace"))

    # Writing

    def head_branch(self) -> str:
        """The branch that is checked out; empty when none is."""
        try:
            return self.text("symbolic-ref", "--quiet", "--short", "HEAD")
        except SipgwError:
            return ""

    def has_branch(self, branch: str) -> bool:
        """Whether there is a branch of this name."""
        try:
            self.run("rev-parse", "--verify", "--quiet", "--end-of-options", f"refs/heads/{names.branch(branch)}")
        except SipgwError:
            return False
        return True

    def write_commit(
        self, parent: str, changes: Mapping[str, bytes | None], message: str, *, more_parents: Iterable[str] = ()
    ) -> str:
        """Makes a commit on a parent, and moves nothing: it is seen when a branch is moved to it.

        Args:
            parent: the commit before it.
            changes: path -> new content; None removes the file.
            message: of the commit.
            more_parents: for a merge.
        """
        with tempfile.TemporaryDirectory(prefix="sipgw-index-") as scratch:
            index = {"GIT_INDEX_FILE": str(Path(scratch, "index"))}
            self.run("read-tree", parent, more=index)
            lines = []
            for path, content in changes.items():
                if content is None:
                    lines.append(f"0 {'0' * 40}\t{path}")
                else:
                    blob = self.text("hash-object", "-w", "--stdin", "--no-filters", data=content)
                    lines.append(f"100644 {blob}\t{path}")
            self.run("update-index", "-z", "--index-info", data="".join(f"{ln}\0" for ln in lines).encode(), more=index)
            tree = self.run("write-tree", more=index).decode().strip()
        parents = [word for one in (parent, *more_parents) for word in ("-p", one)]
        return self.text("commit-tree", tree, *parents, "-F", "-", data=message.encode())

    def move_branch(self, branch: str, commit: str, before: str, why: str) -> None:
        """Moves a branch, if it is where it was: the one step that others see.

        Raises:
            SipgwError: it has moved meanwhile.
        """
        ref = f"refs/heads/{names.branch(branch)}"
        try:
            self.run("update-ref", "-m", why, ref, commit, before or "0" * 40)
        except SipgwError as error:
            what = f"{branch} is not at {before[:12] or 'its beginning'} any more."
            raise SipgwError(codes.REF_MOVED.because("", what)) from error

    def push(self, remote: str, branch: str, commit: str) -> None:
        """Brings a branch to a remote, as it is configured; never over what others have pushed.

        Raises:
            SipgwError: the remote does not take it.
        """
        names.branch(remote)
        ref = f"refs/heads/{names.branch(branch)}"
        try:
            self.run("push", "--quiet", "--no-verify", "--end-of-options", remote, f"{commit}:{ref}", remote=True)
        except SipgwError as error:
            raise SipgwError(codes.PUSH_REFUSED.because("", error.finding.message)) from None

    def is_clean(self, paths: Iterable[str]) -> bool:
        """Whether the work tree has these paths as its HEAD has them, and no other change is staged."""
        staged = self.text("diff-index", "--cached", "--name-only", "HEAD", "--")
        changed = self.text("status", "--porcelain", "--untracked-files=all", "--", *[f":(literal){p}" for p in paths])
        return not staged and not changed

    def catch_up(self, before: str, after: str) -> None:
        """Brings the work tree from one commit to another, after HEAD's branch was moved; other changes stay."""
        self.run("read-tree", "-m", "-u", before, after)

    def finish_catch_up(self, before: str, after: str) -> bool:
        """The same for one that was killed before it could: only where the index and the files are still as before."""
        if not self.text("diff-index", "--cached", "--name-only", after, "--"):
            return False
        if self.text("diff-index", "--cached", "--name-only", before, "--") or self.text("diff-files", "--name-only"):
            return False
        self.catch_up(before, after)
        return True


def _without_foreign(own: Mapping[str, str]) -> list[str]:
    """Words before a command that keep variables from it which lead elsewhere: GitPython can only add some."""
    foreign = [k for k in os.environ if k.startswith("GIT_") and k not in own and not k.startswith(_KEPT)]
    return ["env", *(word for name in foreign for word in ("-u", name))] if foreign else []


def _commit(record: str) -> Commit:
    ident, parents, at, author, email, subject, trailers = record.strip("\n").split("\0")
    found: dict[str, tuple[str, ...]] = {}
    for line in trailers.splitlines():
        name, colon, value = line.partition(":")
        if colon:
            found[name.strip().lower()] = (*found.get(name.strip().lower(), ()), value.strip())
    return Commit(ident, tuple(parents.split()), int(at), author, email, subject, found)


def _failed(arguments: Sequence[str], error: GitCommandError | GitCommandNotFound) -> SipgwError:
    if isinstance(error, GitCommandNotFound):
        return SipgwError(codes.GIT_FAILED.because("", "There is no program git on this machine."))
    said = str(error.stderr or "")
    words = " ".join(_FRAME.sub("", _URL.sub("//...@", said.removeprefix("\n  stderr: '").removesuffix("'"))).split())
    if len(words) > _SAID:  # what it is about, and the reason: git says that last
        words = f"{words[: _SAID // 3]} ... {words[-2 * _SAID // 3 :]}"
    finding: Finding = codes.GIT_FAILED.because("", f"git {arguments[0]}: {words or 'failed without a word'}.")
    full = "No space left on device" in said
    return StorageError(finding) if full else SipgwError(finding)
