"""What is wanted, and its files: brings the folder in line and knows which files are as they should be.

In: `Desired` values. Out: files. A gateway whose file could not be written is left as it is on the switch, and one bad
folder holds up nobody else's file. What is replaced is set aside until its successor is proved.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from types import MappingProxyType

from sipgateway.agent.files import ConfFolder, Standing, changes
from sipgateway.errors import StorageError
from sipgateway.reconcile.plan import Kind, Step
from sipgateway.reconcile.state import Wanted
from sipgateway.render.layout import file_name


@dataclass(frozen=True, slots=True)
class Desired:
    """What the switch and its folder shall hold.

    Attributes:
        wanted: by gateway name.
        files: content of each wanted file, by relative path.
        complete: whether the source was read whole; without that nothing is removed.
        held: gateway names that are wanted in a version that cannot be accepted: what is there of them stays.
        held_files: file names (without folder) of those.
        gone: gateway names that are to go though the source was not read whole: there is evidence for each of them.
        gone_files: file names of those.
    """

    wanted: Mapping[str, Wanted] = field(default_factory=lambda: MappingProxyType({}))
    files: Mapping[str, bytes] = field(default_factory=lambda: MappingProxyType({}), repr=False)
    complete: bool = False
    held: frozenset[str] = frozenset()
    held_files: frozenset[str] = frozenset()
    gone: frozenset[str] = frozenset()
    gone_files: frozenset[str] = frozenset()

    def revision_of(self, name: str) -> str | None:
        """The revision that is wanted of a name, None when it is not wanted."""
        wanted = self.wanted.get(name)
        return None if wanted is None else wanted.revision

    def file_of(self, name: str) -> bytes | None:
        """The content that is wanted of a name's file, None when it is not wanted."""
        wanted = self.wanted.get(name)
        return None if wanted is None else self.files.get(wanted.path)

    def removable(self, name: str) -> bool:
        """Whether there is evidence that nobody wants this name any more."""
        return name not in self.wanted and name not in self.held and (self.complete or name in self.gone)

    def removable_file(self, file: str) -> bool:
        """Whether there is evidence that a file of this name, which no wanted gateway has at its place, may go."""
        return (self.complete and file not in self.held_files) or file in self.gone_files

    def differing(self, other: Desired) -> set[str]:
        """Names that are wanted in only one of the two, or otherwise. What is the same object costs next to nothing."""
        found = (self.wanted.keys() ^ other.wanted.keys()) | (self.gone ^ other.gone)
        for name, wanted in self.wanted.items():
            there = other.wanted.get(name)
            if there is None or (there is wanted and self.files.get(wanted.path) is other.files.get(wanted.path)):
                continue
            if there != wanted or self.files.get(wanted.path) != other.files.get(wanted.path):
                found.add(name)
        return found


@dataclass(slots=True)
class Store:
    """The files of one folder.

    Attributes:
        folder: where they stand.
        asides: file name -> path and content of the version that was there before its successor, which is not proved.
    """

    folder: ConfFolder
    asides: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    _standing: Standing = field(default_factory=Standing, repr=False)
    _stale: bool = True
    _places: dict[str, frozenset[str]] = field(default_factory=dict)

    def recover(self) -> None:
        """Finds what a process before this one set aside and could not prove the successor of.

        Raises:
            StorageError: it cannot be read.
        """
        for path, data in self.folder.asides().items():
            self.asides.setdefault(_name_of(path), (path, data))

    def forget(self) -> None:
        """Somebody may have changed files: look at them again before the next use."""
        self._stale = True

    def holds(self, desired: Desired, step: Step) -> bool:
        """Whether the folder is ready for this step: a rescan loads what stands there."""
        if step.kind is Kind.REMOVE:
            return not self._places.get(file_name(step.name))
        disk, path = self._standing.files, desired.wanted[step.name].path
        return path in disk and disk[path] == desired.files[path]

    def stands(self, path: str, data: bytes) -> bool:
        """Whether a file is really there with this content, whatever was read or written before."""
        try:
            return (self.folder.root / path).read_bytes() == data
        except OSError:
            return False

    def standing(self, name: str) -> dict[str, bytes]:
        """Path and content of each file of this name.

        Raises:
            StorageError: the folder cannot be read.
        """
        disk = self._read()
        return {path: disk[path] for path in self._places.get(file_name(name), ())}

    def elsewhere(self, desired: Desired) -> frozenset[str]:
        """Wanted names that have a file at another place: they may be loaded from there, so they are to be moved.

        Raises:
            StorageError: the folder cannot be read.
        """
        self._read()
        places = self._places
        return frozenset(n for n, w in desired.wanted.items() if places.get(file_name(n), {w.path}) - {w.path})

    def sync(
        self,
        desired: Desired,
        names: Iterable[str] | None = None,
        *,
        kept: AbstractSet[str] = frozenset(),
        leaving: AbstractSet[str] = frozenset(),
        withdrawn: AbstractSet[str] = frozenset(),
        dropped: Mapping[str, str] = MappingProxyType({}),
    ) -> set[str]:
        """Writes and removes what differs. A file of a wanted gateway at another place than the wanted one goes.

        Args:
            desired: what shall be there.
            names: look at the files of these gateways only.
            kept: names whose files stay as they are: somebody else's gateway has the name, or it is still loaded from
                another profile, where a second file would make a ghost at anybody's rescan (fact 11).
            leaving: names whose files go and that get no new one yet: their old copy is about to go.
            withdrawn: names of which no file must stand there.
            dropped: revisions that the switch did not load: these are not set aside.

        Returns:
            Names that had no file before.

        Raises:
            StorageError: the first that failed; everything else was done.
        """
        disk = self._read()
        if names is None:
            want, have = dict(desired.files), disk
        else:
            chosen = [desired.wanted[n].path for n in names if n in desired.wanted]
            want = {path: desired.files[path] for path in chosen}
            have = {path: disk[path] for n in names for path in self._places.get(file_name(n), ())}
        for name in kept | leaving | withdrawn:
            if name in desired.wanted:
                want.pop(desired.wanted[name].path, None)
        stay, gone, bad = ({file_name(n) for n in some} for some in (kept, leaving, withdrawn))
        distrusted = {file_name(n): revision.encode() for n, revision in dropped.items()}
        write, remove = changes(want, have)
        fresh = {path for path in write if not self._places.get(_name_of(path))}
        new = {n for n, w in desired.wanted.items() if w.path in fresh} if fresh else set()
        for path in write:
            self._set_aside(path, distrusted)
        failure: StorageError | None = None
        try:
            self._write({path: want[path] for path in write})
        except StorageError as error:
            failure = error
        moved = {_name_of(path) for path, data in want.items() if data == disk.get(path)} if remove else set()
        for path in remove:
            name = _name_of(path)
            if name in stay:
                continue
            if name in moved or name in gone:
                self._set_aside(path, distrusted)
            elif name not in bad and not desired.removable_file(name):
                continue
            try:
                self._remove(path)
            except StorageError as error:
                failure = failure or error
        if failure is not None:
            raise failure
        return new

    def put(self, files: Mapping[str, bytes | None]) -> None:
        """Puts these files in place, and takes those away that are None.

        Raises:
            StorageError: one could not be written or removed.
        """
        self._read()
        self._write({path: data for path, data in files.items() if data is not None})
        for path in [p for p, data in files.items() if data is None and p in self._read()]:
            self._remove(path)

    def release(self, name: str) -> None:
        """The version that is wanted of this name is proved, or none is: what was before it is not needed."""
        path, _ = self.asides.pop(file_name(name), ("", b""))
        if path:
            with contextlib.suppress(StorageError):  # one that is left over is dropped at the next proof
                self.folder.drop_aside(path)

    def _read(self) -> dict[str, bytes]:
        if self._stale:
            before, self._standing = self._standing, self.folder.look(self._standing)
            self._stale = False
            if before.files.keys() != self._standing.files.keys():
                self._places = {}
                for path in self._standing.files:
                    self._stands_at(path)
        return self._standing.files

    def _stands_at(self, path: str) -> None:
        name = _name_of(path)
        self._places[name] = self._places.get(name, frozenset()) | {path}

    def _set_aside(self, path: str, distrusted: Mapping[str, bytes]) -> None:
        """Keeps what stands there; of several versions that follow each other unproved, the first is the good one."""
        data, name = self._read().get(path), _name_of(path)
        if not data or name in self.asides or (name in distrusted and distrusted[name] in data):
            return
        self.asides[name] = (path, data)
        with contextlib.suppress(StorageError):  # it only matters if this process is killed before the proof
            self.folder.set_aside(path, data)

    def _write(self, files: dict[str, bytes]) -> None:
        """All together; when that fails one by one, so that one bad folder holds up nobody else's file."""
        if not files:
            return
        try:
            self.folder.write_all(files)
            self._stands(files)
        except StorageError as error:
            failure = error
            for path, data in files.items() if len(files) > 1 and error.finding.code != "DiskFull" else ():
                try:
                    self.folder.write_all({path: data})
                    self._stands({path: data})
                except StorageError as single:
                    failure = single
            raise failure from None

    def _remove(self, path: str) -> None:
        self.folder.remove(path)
        self._read().pop(path, None)
        self._places[_name_of(path)] = self._places.get(_name_of(path), frozenset()) - {path}

    def _stands(self, files: Mapping[str, bytes]) -> None:
        self._read().update(files)
        for path in files:
            self._stands_at(path)


def _name_of(path: str) -> str:
    return path.rpartition("/")[2]
