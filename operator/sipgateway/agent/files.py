"""Files under the switch's includes: whole or not at all, readable by the switch's group only.

In: relative paths and bytes. Out: files. A file is written under a name that no include matches (a leading dot,
fact 31), fsynced and renamed, so that `kill -9` or a full disk leaves the old file or the new one. Links
inside the folder are never followed: what they point to is not ours.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import secrets
import stat
import sys
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from sipgateway.errors import Finding, StorageError
from sipgateway.render.layout import Layout, is_ours

#: Our own folder inside the configuration folder; a leading dot keeps it out of every include.
STATE_FOLDER = ".sipgw"

#: Below it: files that were replaced or moved and whose successor is not proved yet, each at its own path.
_ASIDE = "last-good"

_TEMPORARY = ".sipgw-"
_FILE_MODE = 0o640
_FOLDER_MODE = 0o750
_KEY_BYTES = 32


@dataclass(slots=True)
class Standing:
    """Files as they stand, by relative path: what they hold, and what tells when somebody touched them."""

    files: dict[str, bytes] = field(default_factory=dict, repr=False)
    stamps: dict[str, int] = field(default_factory=dict, repr=False)


@dataclass(slots=True)
class ConfFolder:
    """The folder that the switch includes, as far as it is ours.

    Attributes:
        root: the folder.
        layout: where profiles and directory users have their includes.
    """

    root: Path
    layout: Layout = field(default_factory=Layout)

    def read_all(self) -> dict[str, bytes]:
        """Our files: relative path -> content, as by `look`.

        Raises:
            StorageError: a folder or file cannot be read.
        """
        return self.look().files

    def look(self, before: Standing | None = None) -> Standing:
        """Our files. Files of others are not looked into.

        A link or a pipe that has the name of one of ours counts as empty, so that it is replaced or removed.

        Args:
            before: what was seen before; a file that nobody touched since is not read again.

        Raises:
            StorageError: a folder or file cannot be read.
        """
        known = before or Standing()
        found = Standing()
        with _explained(self.root):
            for folder, folders, names in os.walk(self.root, onerror=self._unreadable):
                folders[:] = sorted(f for f in folders if not f.startswith("."))
                relative = Path(folder).relative_to(self.root).as_posix()
                prefix = "" if relative == "." else f"{relative}/"
                for name in names:
                    if is_ours(name):
                        with contextlib.suppress(FileNotFoundError):
                            _look_at(f"{folder}/{name}", sys.intern(f"{prefix}{name}"), known, found)
        return found

    def write_all(self, files: Mapping[str, bytes]) -> None:
        """Puts whole files in place, durably; many together cost about as much as a few.

        Raises:
            StorageError: no room, no permission, a folder that is a link. Each file is the old one or the new one.
        """
        staged: dict[Path, Path] = {}
        self._refuse_links(files)
        with _explained(self.root):
            try:
                for relative, data in files.items():
                    path = self.root / relative
                    self._make_folder(path.parent)
                    staged[path] = _stage(path, data)
                if len(staged) > 1:
                    with ThreadPoolExecutor(min(len(staged), 16)) as pool:  # waits for one disk commit together
                        list(pool.map(_sync, staged.values()))
                else:
                    for temporary in staged.values():
                        _sync(temporary)
                for path, temporary in list(staged.items()):
                    temporary.rename(path)
                    del staged[path]
            finally:
                for temporary in staged.values():
                    with contextlib.suppress(OSError):
                        temporary.unlink()
            for folder in {(self.root / relative).parent for relative in files}:
                _sync(folder)

    def remove(self, relative: str) -> None:
        """Takes a file away, durably. One that is not there is no error.

        Raises:
            StorageError: no permission, or a folder that is a link.
        """
        self._refuse_links([relative])
        path = self.root / relative
        with _explained(path):
            try:
                path.unlink()
            except FileNotFoundError:
                return
            _sync(path.parent)

    def set_aside(self, relative: str, data: bytes) -> None:
        """Keeps a file that is about to be replaced findable for a process that starts after this one was killed.

        It gets a second name, below a folder that no include reaches: that costs next to nothing, and the bytes are on
        the disk already. An older one stays, because that is the one that loaded.

        Args:
            relative: the file, as it stands.
            data: what it holds, for a file system that knows no second names.

        Raises:
            StorageError: it cannot be kept.
        """
        aside = f"{STATE_FOLDER}/{_ASIDE}/{relative}"
        path = self.root / aside
        with _explained(path):
            self._make_folder(path.parent)
            try:
                os.link(self.root / relative, path, follow_symlinks=False)
            except FileExistsError:
                return
            except OSError:  # another file system, or one without links, or a file of another user
                self.write_all({aside: data})

    def asides(self) -> dict[str, bytes]:
        """Files that were set aside and not dropped yet: relative path, as it was in use -> content.

        Raises:
            StorageError: one cannot be read.
        """
        folder = self.root / STATE_FOLDER / _ASIDE
        return ConfFolder(folder).read_all() if folder.is_dir() else {}

    def drop_aside(self, relative: str) -> None:
        """Forgets a file that was set aside: its successor is proved, or nobody wants it."""
        path = self.root / STATE_FOLDER / _ASIDE / relative
        with _explained(path):
            path.unlink(missing_ok=True)

    def read_state(self, name: str) -> object:
        """What `write_state` kept under a name. None when there is nothing, or nothing that can be read."""
        try:
            found: object = json.loads((self.root / STATE_FOLDER / f"{name}.json").read_bytes())
        except (OSError, ValueError):
            return None
        return found

    def write_state(self, name: str, value: object) -> None:
        """Keeps a small value across restarts, as JSON in our own folder. Never a secret.

        Raises:
            StorageError: it cannot be written; what was kept before is whole.
        """
        data = (
            json.dumps(value, ensure_ascii=True, sort_keys=True).encode() + b"\n"
        )  # an indent costs ten times as much
        self.write_all({f"{STATE_FOLDER}/{name}.json": data})

    def append_state(self, name: str, values: Iterable[object]) -> None:
        """Adds small values to those that are kept under a name, as JSON lines in our own folder. Never a secret.

        Raises:
            StorageError: they cannot be written.
        """
        path = self.root / STATE_FOLDER / f"{name}.log"
        # The first line ends one that a killed process or a full disk left half.
        data = "".join(f"\n{json.dumps(value)}" for value in values).encode() + b"\n"
        with _explained(path):
            self._make_folder(path.parent)
            fresh = not path.exists()
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
            with os.fdopen(handle, "ab") as file:
                file.write(data)
                file.flush()
                os.fsync(handle)
            if fresh:
                _sync(path.parent)

    def appended_state(self, name: str) -> list[object]:
        """What `append_state` kept under a name, in its order; lines that cannot be read are left out."""
        found: list[object] = []
        with contextlib.suppress(OSError):
            for line in (self.root / STATE_FOLDER / f"{name}.log").read_bytes().splitlines():
                with contextlib.suppress(ValueError):
                    found.append(json.loads(line))
        return found

    def drop_appended(self, name: str) -> None:
        """Forgets what `append_state` kept under a name.

        Raises:
            StorageError: the file cannot be removed.
        """
        path = self.root / STATE_FOLDER / f"{name}.log"
        with _explained(path):
            path.unlink(missing_ok=True)

    def sweep(self) -> int:
        """Removes temporary files that a killed process left; returns how many."""
        swept = 0
        with _explained(self.root):
            for folder, folders, names in os.walk(self.root, onerror=self._unreadable):
                folders[:] = [f for f in folders if not f.startswith(".") or f == STATE_FOLDER]
                for name in names:
                    if name.startswith(_TEMPORARY):
                        Path(folder, name).unlink(missing_ok=True)
                        swept += 1
        return swept

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Holds the folder against a second `sipgw run`.

        Raises:
            StorageError: another process holds it.
        """
        if not self.root.is_dir():
            raise StorageError(
                Finding(
                    "NoConfFolder",
                    "",
                    f"{self.root} is not a folder.",
                    "Give the folder that the switch includes with --conf; sipgw does not make it.",
                )
            )
        state = self.root / STATE_FOLDER
        with _explained(state):
            self._make_folder(state)
            handle = os.open(state / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise StorageError(
                    Finding(
                        "ConfFolderLocked",
                        "",
                        f"{self.root} is already kept by another sipgw.",
                        "Stop the other one, or give this one a --conf of its own.",
                    )
                ) from None
            yield
        finally:
            os.close(handle)

    @property
    def has_key(self) -> bool:
        """Whether a key was made: without one, nothing that a switch has loaded is ours."""
        return (self.root / STATE_FOLDER / "revision.key").exists()

    def revision_key(self, *, remake: bool = False) -> bytes:
        """The key of the revisions, made at the first run (0600) and never silently remade.

        Raises:
            StorageError: it cannot be read or written, or is damaged.
        """
        path = self.root / STATE_FOLDER / "revision.key"
        with _explained(path):
            self._make_folder(path.parent)
            if not path.exists() and not remake and self.read_all():
                raise StorageError(
                    Finding(
                        "RevisionKeyLost",
                        "",
                        f"{path} is gone, and there are gateway files that were made with it.",
                        "Restore it from a backup. Without one, start with --adopt: a new key is made and each gateway "
                        "is replaced once.",
                    )
                )
            if not path.exists():
                temporary = path.with_name(_TEMPORARY + secrets.token_hex(8))
                handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
                with os.fdopen(handle, "wb") as file:
                    file.write(secrets.token_bytes(_KEY_BYTES).hex().encode() + b"\n")
                    file.flush()
                    os.fsync(handle)
                with contextlib.suppress(FileExistsError):
                    os.link(temporary, path)
                temporary.unlink()
                _sync(path.parent)
            text = path.read_bytes().strip()
        try:
            key = bytes.fromhex(text.decode("ascii"))
        except ValueError:
            key = b""
        if len(key) < _KEY_BYTES:
            raise StorageError(
                Finding(
                    "RevisionKeyDamaged",
                    "",
                    f"{path} does not hold a key.",
                    "Restore it from a backup; without it, remove the file and start with --adopt, which replaces "
                    "each gateway once.",
                )
            )
        return key

    def _make_folder(self, folder: Path) -> None:
        missing: list[Path] = []
        while not folder.exists():
            missing.append(folder)
            folder = folder.parent
        for path in reversed(missing):
            path.mkdir(_FOLDER_MODE, exist_ok=True)
            _open_to_group(path, _FOLDER_MODE)
            _sync(path.parent)

    def _unreadable(self, error: OSError) -> None:
        """A folder of others that we may not look into (keys of TLS, say) is none of ours."""
        if not isinstance(error, PermissionError) or error.filename == str(self.root):
            raise error

    def _refuse_links(self, relatives: Iterable[str]) -> None:
        for folder in {parent for relative in relatives for parent in PurePosixPath(relative).parents}:
            if folder.parts and (self.root / folder).is_symlink():
                raise StorageError(
                    Finding(
                        "FolderIsLink",
                        "",
                        f"{self.root / folder} is a link; files are not written through it.",
                        "Name the real folder with --conf, --profile-path or --directory-path.",
                    )
                )


def _look_at(file: str, path: str, known: Standing, found: Standing) -> None:
    result = os.lstat(file)
    stamp = found.stamps[path] = _stamp(result)
    before = known.files.get(path)
    if before is None or known.stamps.get(path) != stamp:
        data = Path(file).read_bytes() if stat.S_ISREG(result.st_mode) else b""
        before = before if before == data else data  # one text of each in memory
    found.files[path] = before


def _stamp(found: os.stat_result) -> int:
    """What tells a file that somebody wrote, replaced or moved from the one before; its ctime nobody can set."""
    return hash((found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_mode))


def changes(want: Mapping[str, bytes], have: Mapping[str, bytes]) -> tuple[list[str], list[str]]:
    """Which files to write and which of ours to remove so that `have` becomes `want`."""
    write = [path for path, data in want.items() if have.get(path) != data]
    remove = [path for path in have if path not in want]
    return write, remove


def _stage(path: Path, data: bytes) -> Path:
    temporary = path.with_name(_TEMPORARY + secrets.token_hex(8))
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _FILE_MODE)
    try:
        with os.fdopen(handle, "wb") as file:
            _open_to_group(handle, _FILE_MODE, path.parent)
            file.write(data)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    return temporary


def _open_to_group(target: int | Path, mode: int, folder: Path | None = None) -> None:
    """The mode whatever the umask is, and the group of the folder: the switch's, where the switch reads there."""
    group = (folder or Path(str(target)).parent).stat().st_gid
    with contextlib.suppress(PermissionError):
        os.chown(target, -1, group)
    os.chmod(target, mode)  # noqa: PTH101 - a descriptor or a path


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextlib.contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        full = error.errno in {errno.ENOSPC, errno.EDQUOT}
        action = (
            "Make room; it is tried again by itself, and what was there before is untouched."
            if full
            else "Give this user the right to it, or check the path."
        )
        where = error.filename if isinstance(error.filename, str) else path
        code = "DiskFull" if full else "FileAccess"
        raise StorageError(Finding(code, "", f"{where}: {os.strerror(error.errno or 0)}.", action)) from error
