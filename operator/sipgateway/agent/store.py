"""What is wanted, and its files: brings the folder in line and knows which files are as they should be.

In: `Desired` values. Out: files. A gateway whose file could not be written is left as it is on the switch, and one bad
folder holds up nobody else's file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from sipgateway.agent.files import ConfFolder, changes
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
    """

    wanted: Mapping[str, Wanted] = field(default_factory=lambda: MappingProxyType({}))
    files: Mapping[str, bytes] = field(default_factory=lambda: MappingProxyType({}), repr=False)
    complete: bool = False
    held: frozenset[str] = frozenset()
    held_files: frozenset[str] = frozenset()

    def revision_of(self, name: str) -> str | None:
        """The revision that is wanted of a name, None when it is not wanted."""
        wanted = self.wanted.get(name)
        return None if wanted is None else wanted.revision


@dataclass(slots=True)
class Store:
    """The files of one folder.

    Attributes:
        folder: where they stand.
    """

    folder: ConfFolder
    _disk: dict[str, bytes] | None = None

    def forget(self) -> None:
        """Somebody may have changed files: read them again before the next use."""
        self._disk = None

    def holds(self, desired: Desired, step: Step) -> bool:
        """Whether the folder is ready for this step: a rescan loads what stands there."""
        disk = self._disk or {}
        if step.kind is Kind.REMOVE:
            return not any(path.endswith(f"/{file_name(step.name)}") for path in disk)
        path = desired.wanted[step.name].path
        return path in disk and disk[path] == desired.files[path]

    def elsewhere(self, desired: Desired) -> frozenset[str]:
        """Wanted names that have a file at another place: they may be loaded from there, so they are to be moved."""
        if self._disk is None:
            self._disk = self.folder.read_all()
        there: dict[str, set[str]] = {}
        for path in self._disk:
            there.setdefault(path.rpartition("/")[2], set()).add(path)
        return frozenset(n for n, w in desired.wanted.items() if there.get(file_name(n), {w.path}) - {w.path})

    def sync(self, desired: Desired, kept: frozenset[str], leaving: frozenset[str] = frozenset()) -> None:
        """Writes and removes what differs. A file of a wanted gateway at another place than the wanted one goes.

        Args:
            desired: what shall be there.
            kept: names whose files stay as they are: somebody else's gateway has the name, or it is still loaded from
                another profile, where a second file would make a ghost at anybody's rescan (fact 11).
            leaving: names whose old copy is about to go: the old file goes, the new one is not written yet.

        Raises:
            StorageError: the first that failed; everything else was done.
        """
        if self._disk is None:
            self._disk = self.folder.read_all()
        skip = {desired.wanted[n].path for n in kept | leaving if n in desired.wanted}
        stay, gone = {file_name(n) for n in kept}, {file_name(n) for n in leaving}
        want = {path: data for path, data in desired.files.items() if path not in skip}
        write, remove = changes(want, self._disk)
        failure: StorageError | None = None
        try:
            self._write({path: want[path] for path in write}, self._disk)
        except StorageError as error:
            failure = error
        moved = {path.rpartition("/")[2] for path, data in want.items() if data == self._disk.get(path)}
        for path in remove:
            name = path.rpartition("/")[2]
            if name in stay:
                continue
            if name in moved or name in gone or (desired.complete and name not in desired.held_files):
                try:
                    self.folder.remove(path)
                    del self._disk[path]
                except StorageError as error:
                    failure = failure or error
        if failure is not None:
            raise failure

    def _write(self, files: dict[str, bytes], disk: dict[str, bytes]) -> None:
        """All together; when that fails one by one, so that one bad folder holds up nobody else's file."""
        if not files:
            return
        try:
            self.folder.write_all(files)
            disk.update(files)
        except StorageError as error:
            failure = error
            for path, data in files.items() if len(files) > 1 and error.finding.code != "DiskFull" else ():
                try:
                    self.folder.write_all({path: data})
                    disk[path] = data
                except StorageError as single:
                    failure = single
            raise failure from None
