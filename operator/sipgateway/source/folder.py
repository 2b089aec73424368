"""A source of manifests: a folder, a file or standard input, read as one snapshot.

In: a path. Out: `Snapshot`: every SipGateway and Secret with its place, every finding, and what could not be read.
Only files that changed since the last snapshot are parsed again. What could not be read is listed and never taken for
empty: the pipeline removes a trunk on evidence only.

Read are *.yaml, *.yml and *.json, recursively, in the order of their paths. Files and folders that begin with a dot are
skipped (git, editors, and the folders behind mounted ConfigMaps, whose files are reached through their links).
"""

from __future__ import annotations

import errno
import os
import stat
import sys
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, TypeVar

from sipgateway.errors import Finding, Location
from sipgateway.source import codes
from sipgateway.source.documents import MAX_BYTES
from sipgateway.source.manifests import (
    Broken,
    FileContents,
    Ignored,
    Manifest,
    SourcedGateway,
    SourcedSecret,
    read_manifests,
)

SUFFIXES: Final = (".yaml", ".yml", ".json")
STDIN: Final = "-"
#: A file that changed this shortly before it was read may change again within the same time stamp: read it once more.
_RACY_NS: Final = 50_000_000

#: So many edits at once are put into the snapshot before; more are put together with everything.
_FEW: Final = 10

_Stamp = tuple[int, int, int, int]
_T = TypeVar("_T", SourcedGateway, SourcedSecret)


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """What a source says at one moment.

    Attributes:
        gateways: SipGateways that could be parsed, in the order of their places; names are unique.
        secrets: Secrets; names are unique.
        findings: what is wrong in files, with locations. What is wrong with a gateway's values comes from `accepted`.
        unreadable: files and folders of which something could not be understood or read. What stands in them is
            unknown: while there is one, a name that is not found is not a name that is gone.
        broken: SipGateways whose name is known and nothing else (duplicates too).
        ignored: objects of other kinds.
        files: how many files were read.
        edited: (before, after) of manifests that were edited and kept their names, if the snapshot differs from the one
            before it by these only. None: that is not known.
    """

    gateways: tuple[SourcedGateway, ...] = ()
    secrets: tuple[SourcedSecret, ...] = ()
    findings: tuple[Finding, ...] = ()
    unreadable: tuple[str, ...] = ()
    broken: tuple[Broken, ...] = ()
    ignored: tuple[Ignored, ...] = ()
    files: int = 0
    edited: tuple[tuple[SourcedGateway, SourcedGateway], ...] | None = None


@dataclass(slots=True)
class _Cached:
    stamp: _Stamp
    data: bytes | None  # kept while the time stamps are too young to prove anything
    contents: FileContents


class Folder:
    """A folder, a file or standard input, and what was read of it before.

    Args:
        path: of a folder or a file; `-` reads standard input, once.
        stdin: what standard input gave, if it was read already.
    """

    def __init__(self, path: str | Path, *, stdin: bytes | None = None) -> None:
        self.path = os.fspath(path)
        self._inside = os.path.join(os.path.abspath(self.path), "")  # noqa: PTH100, PTH118
        self._cache: dict[str, _Cached] = {}
        self._plain = False
        self._last: Snapshot | None = None
        self._stdin = None if stdin is None else read_manifests(stdin, STDIN)

    def snapshot(self, touched: Collection[str] | None = None) -> Snapshot:
        """Reads what changed and puts everything together. Never raises on what stands in files.

        Args:
            touched: absolute paths at which something happened since the last snapshot, as the system told. If these
                are ordinary files that are known, no other file is looked at. None looks at all of them.
        """
        changes = None if touched is None else self._reread(touched)
        edited = None if changes is None or self._last is None else _edited(self._last, changes)
        self._last = edited or _merge(*self.contents(walk=changes is None))
        return self._last

    def contents(self, *, walk: bool = True) -> tuple[dict[str, FileContents], list[Finding]]:
        """Name of each file -> what stands in it, and what could not be read.

        Args:
            walk: look at the files; without that it is what they were when they were last looked at.
        """
        if self.path == STDIN:
            if self._stdin is None:
                self._stdin = read_manifests(sys.stdin.buffer.read(MAX_BYTES + 1), STDIN)
            return {STDIN: self._stdin}, []
        problems: list[Finding] = []
        if walk:
            fresh: dict[str, _Cached] = {}
            plain = True
            for name, real in _walk(self.path, problems):
                plain = plain and name == real
                try:
                    fresh[name] = self._read(name, real)
                except OSError as error:
                    problems.append(unreadable(name, error))
            self._cache, self._plain = fresh, plain and not problems
        return {name: cached.contents for name, cached in self._cache.items()}, problems

    def _reread(self, touched: Collection[str]) -> list[tuple[FileContents, FileContents]] | None:
        """Reads these files only: what stood in each and stands there now. None when that would not tell all."""
        names = [self._name_of(path) for path in touched if not _of_no_matter(path)]
        if not self._plain or not all(name in self._cache and _is_file(name) for name in names):
            return None
        try:
            fresh = {name: self._read(name, name) for name in names}
        except OSError:
            return None
        changes = [(self._cache[name].contents, cached.contents) for name, cached in fresh.items()]
        self._cache.update(fresh)
        return changes

    def _name_of(self, path: str) -> str:
        """The name that a walk gives to an absolute path; an empty one outside of the source."""
        return os.path.join(self.path, path[len(self._inside) :]) if path.startswith(self._inside) else ""  # noqa: PTH118

    def _read(self, name: str, real: str) -> _Cached:
        found = os.stat(real)  # noqa: PTH116 - a thousand of them in each snapshot
        stamp = (found.st_mtime_ns, found.st_size, found.st_ino, found.st_ctime_ns)
        cached = self._cache.get(name)
        if cached is not None and cached.stamp == stamp and cached.data is None:
            return cached
        if not stat.S_ISREG(found.st_mode):
            finding = codes.NOT_A_FILE.finding("", "this is not an ordinary file.").at(Location(name))
            return _Cached(stamp, None, FileContents(findings=(finding,), sound=False))
        now = time.time_ns()
        data = _bytes_of(real)
        racy = data if max(stamp[0], stamp[3]) > now - _RACY_NS else None
        if cached is not None and cached.data == data:
            return _Cached(stamp, racy, cached.contents)
        return _Cached(stamp, racy, read_manifests(data, name))


def snapshot_of(paths: Iterable[str], *, stdin: bytes | None = None) -> Snapshot:
    """Several folders and files as one source; a file that is reached by more than one of them counts once."""
    contents: dict[str, FileContents] = {}
    problems: list[Finding] = []
    seen: set[str] = set()
    for path in paths:
        found, unread = Folder(path, stdin=stdin).contents()
        problems += unread
        for name, one in found.items():
            real = name if name == STDIN else os.path.realpath(name)
            if real not in seen:
                seen.add(real)
                contents[name] = one
    return _merge(contents, list(dict.fromkeys(problems)))


def snapshot_of_files(files: Mapping[str, bytes]) -> Snapshot:
    """The same for files that are in memory: path -> content."""
    return _merge({path: read_manifests(data, path) for path, data in files.items()}, [])


def _walk(root: str, problems: list[Finding]) -> Iterator[tuple[str, str]]:
    """(name to show, path to open) of each file, in order; links are resolved and must stay inside."""
    if not os.path.isdir(root):  # noqa: PTH112
        yield root, os.path.realpath(root)
        return
    inside = os.path.realpath(root) + os.sep
    yield from _walk_folder(root, inside, problems)


def _walk_folder(folder: str, inside: str, problems: list[Finding]) -> Iterator[tuple[str, str]]:
    try:
        with os.scandir(folder) as found:
            entries = sorted((entry for entry in found if not entry.name.startswith(".")), key=lambda entry: entry.name)
    except OSError as error:
        problems.append(unreadable(folder, error))
        return
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            yield from _walk_folder(entry.path, inside, problems)
        elif not entry.is_symlink():
            if entry.name.endswith(SUFFIXES):
                yield entry.path, entry.path
        elif os.path.isdir(entry.path):  # noqa: PTH112
            message = "a link to a folder is not followed."
            problems.append(codes.FILE_OUTSIDE.finding("", message).at(Location(entry.path)))
        elif entry.name.endswith(SUFFIXES):
            real = os.path.realpath(entry.path)
            if real.startswith(inside):
                yield entry.path, real
            else:
                message = "the link leads out of the folder."
                problems.append(codes.FILE_OUTSIDE.finding("", message).at(Location(entry.path)))


def _of_no_matter(path: str) -> bool:
    """Whether nothing that a walk reads can have changed by what happened there: a file of an editor, say.

    What is gone may have been a folder, and a hidden link may lead to all files (a mounted ConfigMap).
    """
    hidden = os.path.basename(path).startswith(".")  # noqa: PTH119
    if not os.path.lexists(path):
        return hidden
    return _is_file(path) and (hidden or not path.endswith(SUFFIXES))


def _is_file(path: str) -> bool:
    return os.path.isfile(path) and not os.path.islink(path)  # noqa: PTH113, PTH114


def _bytes_of(path: str) -> bytes:
    """The file's bytes, one more than allowed at most. A link or a pipe that was put in its place meanwhile fails."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        return file.read(MAX_BYTES + 1)


def unreadable(name: str, error: OSError) -> Finding:
    """A file or folder that the system does not let us read."""
    what = "it does not exist" if error.errno == errno.ENOENT else (error.strerror or "it cannot be read").lower()
    return codes.FILE_UNREADABLE.finding("", f"{what}.").at(Location(name))


def _edited(last: Snapshot, changes: Iterable[tuple[FileContents, FileContents]]) -> Snapshot | None:
    """The next snapshot when files of gateways only, and a few, were edited and every gateway kept its name."""
    edits: list[tuple[SourcedGateway, SourcedGateway]] = []
    for before, after in changes:
        keys = list(map(_gateway_key, before.gateways)), list(map(_gateway_key, after.gateways))
        if not (before.plain and after.plain) or keys[0] != keys[1] or len(edits) > _FEW:
            return None
        edits += zip(before.gateways, after.gateways, strict=True) if before is not after else ()
    gateways = list(last.gateways)
    for old, new in edits:
        index = next((i for i, one in enumerate(gateways) if one is old), None)
        if index is None:  # it was one of two with the same name
            return None
        gateways[index] = new
    return replace(last, gateways=tuple(gateways), edited=tuple(edits))


def _merge(contents: Mapping[str, FileContents], problems: list[Finding]) -> Snapshot:
    gateways: list[SourcedGateway] = []
    secrets: list[SourcedSecret] = []
    findings: list[Finding] = []
    broken: list[Broken] = []
    ignored: list[Ignored] = []
    unknown = [finding.location.file for finding in problems if finding.location]
    files = 0
    for name, one in contents.items():
        files += 1
        gateways += one.gateways
        if one.plain:
            continue
        secrets += one.secrets
        findings += one.findings
        broken += one.broken
        ignored += one.ignored
        if not one.sound:
            unknown.append(name)
    findings += problems
    taken = {(one.namespace, one.name): one.location for one in broken}
    gateways, doubles = _unique(gateways, "SipGateway", _gateway_key, findings)
    for gateway in [gateway for gateway in gateways if _gateway_key(gateway) in taken] if taken else []:
        key = _gateway_key(gateway)
        gateways.remove(gateway)
        doubles.append(gateway)
        findings.append(_double("SipGateway", key, gateway.manifest, taken[key]))
    broken += (_broken_double(double, findings) for double in doubles)
    secrets, _ = _unique(secrets, "Secret", _secret_key, findings)
    return Snapshot(
        tuple(gateways), tuple(secrets), tuple(findings), tuple(unknown), tuple(broken), tuple(ignored), files
    )


def _gateway_key(one: SourcedGateway) -> tuple[str, str]:
    return one.gateway.namespace, one.gateway.name


def _secret_key(one: SourcedSecret) -> tuple[str, str]:
    return one.namespace, one.secret.name


def _unique(
    items: list[_T], kind: str, key: Callable[[_T], tuple[str, str]], findings: list[Finding]
) -> tuple[list[_T], list[_T]]:
    """Those whose name is theirs alone, and the others, with a finding at each place that names the next."""
    keys = list(map(key, items))
    if len(set(keys)) == len(items):
        return items, []
    by_key: dict[tuple[str, str], list[_T]] = {}
    for name, item in zip(keys, items, strict=True):
        by_key.setdefault(name, []).append(item)
    doubles = [group for group in by_key.values() if len(group) > 1]
    for group in doubles:
        for index, item in enumerate(group):
            other = _place(group[index - 1].manifest)
            findings.append(_double(kind, key(item), item.manifest, other))
    return [group[0] for group in by_key.values() if len(group) == 1], [item for group in doubles for item in group]


def _double(kind: str, key: tuple[str, str], manifest: Manifest, other: Location) -> Finding:
    message = f"{kind} {key[0]}/{key[1]} stands here and at {other}; neither is used."
    return codes.DUPLICATE_OBJECT.finding("metadata.name", message).at(_place(manifest))


def _place(manifest: Manifest) -> Location:
    return manifest.locate("metadata.name")


def _broken_double(double: SourcedGateway, findings: list[Finding]) -> Broken:
    gateway, place = double.gateway, _place(double.manifest)
    own = tuple(finding for finding in findings if finding.location == place)
    return Broken(gateway.namespace, gateway.name, gateway.gateway_name, place, own)
