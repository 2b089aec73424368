"""FreeSWITCH XML from a file, a folder or standard input, expanded as the switch would: bytes, variables, places.

In: a path and global variables. Out: `XmlText`s, ready to be parsed, and findings. Nothing is ever executed (`exec` is
reported), and no file outside the configuration folder is read, whatever an include names.

A folder with freeswitch.xml is a whole configuration and is read from there. Any other folder is a heap of fragments:
each *.xml is read by itself, unless another includes it. The variables of the configuration's vars.xml hold for both.
"""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from sipgateway.errors import Finding, Location
from sipgateway.render.preprocessor import Directive, Expanded, preprocess
from sipgateway.source import codes
from sipgateway.source.folder import STDIN, unreadable

ROOT_FILE: Final = "freeswitch.xml"
VARIABLES_FILE: Final = "vars.xml"
#: Bytes of one file, and of all files that one start includes.
MAX_BYTES: Final = 64 * 1024 * 1024
#: Files that one start may include, the same one counted each time: includes can multiply like rabbits.
MAX_INCLUDED: Final = 100_000

_GLOBAL = re.compile(rb"\$\$\{([^{}]*)\}")
#: Variables that FreeSWITCH sets before it reads any file (switch_core.c, switch_nat.c).
_OF_THE_SWITCH: Final = frozenset(
    {"hostname", "core_uuid", "local_ip_v4", "local_ip_v6", "local_mask_v4", "localstate_dir", "sound_prefix"}
    | {f"nat_{what}" for what in ("private_addr", "public_addr", "type")}
    | {f"{what}_dir" for what in ("base", "cache", "certs", "conf", "data", "db", "fonts", "grammar", "htdocs")}
    | {f"{what}_dir" for what in ("images", "log", "mod", "recordings", "run", "script", "sounds", "storage", "temp")}
)
#: Sample configurations disable a directive by one more X: the line is dropped, as it is meant to be.
_DISABLED = re.compile(rb"\s*<\w*X-PRE-PROCESS\b[^<]*/>\s*(<!--.*-->\s*)?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class XmlText:
    """One start file with everything that it includes.

    Attributes:
        file: the start file as the user gave it.
        expanded: what the switch's XML parser sees, and where each line came from.
        whole: whether this is a whole configuration rather than a fragment of one.
        raw: content of every file that was read, by its path: lines as written. May hold secrets.
        before: directives of the configuration's vars.xml, when the text does not include it itself.
    """

    file: str
    expanded: Expanded
    whole: bool
    raw: Mapping[str, bytes] = field(repr=False)
    before: tuple[Directive, ...] = ()
    _split: dict[str, list[bytes]] = field(default_factory=dict, repr=False)

    def place(self, line: int) -> Location:
        """Where a line of the expanded text was written (1-based)."""
        return self.expanded.locate(line)

    def unset_at(self, place: Location) -> tuple[tuple[str, str], ...]:
        """Global variables that are used in a line and have no value here: (name, why not, in words)."""
        lines = self._lines(place.file)
        written = lines[place.line - 1] if 0 < place.line <= len(lines) else b""
        if b"$${" not in written:
            return ()
        known = {name.lower() for name in self.expanded.variables}
        names = (found.decode("utf-8", "replace") for found in _GLOBAL.findall(written))
        return tuple((name, self._why_unset(name)) for name in names if name.lower() not in known)

    def _lines(self, file: str) -> list[bytes]:
        """Lines of a file that uses global variables; none of one that does not."""
        if file not in self._split:
            raw = self.raw.get(file, b"")
            self._split[file] = raw.split(b"\n") if b"$${" in raw else []
        return self._split[file]

    def _why_unset(self, name: str) -> str:
        if name.lower() in _OF_THE_SWITCH:
            return "is set by the switch itself when it starts"
        for directive in (*self.expanded.directives, *self.before):
            if directive.argument.partition("=")[0].strip().lower() == name.lower():
                if directive.kind == "set":
                    return f"is empty as set at {directive.location}"
                return f"is set by {directive.kind} at {directive.location}, which is not executed here"
        return "is set nowhere in these files"


@dataclass(frozen=True, slots=True)
class XmlFiles:
    """What was read.

    Attributes:
        texts: start files in the order of their paths.
        findings: what the pre-processor would drop, could not open, or would execute.
        files: how many files were read.
    """

    texts: tuple[XmlText, ...]
    findings: tuple[Finding, ...]
    files: int


def read_all_xml(paths: Iterable[str], variables: Mapping[str, str], stdin: bytes = b"") -> XmlFiles:
    """Several files and folders, each as `read_xml` reads it, put together."""
    each = [read_xml(path, variables, stdin) for path in paths]
    texts = {text.file: text for files in each for text in files.texts}
    findings: list[Finding] = []
    for files in each:
        known = set(findings)
        findings += (finding for finding in files.findings if finding not in known)
    return XmlFiles(tuple(texts.values()), tuple(findings), sum(files.files for files in each))


def read_xml(path: str, variables: Mapping[str, str], stdin: bytes = b"") -> XmlFiles:
    """Reads and expands FreeSWITCH XML.

    Args:
        path: of a file or a folder; `-` takes `stdin`.
        variables: global variables that the caller gives; they win over those that files set before.
        stdin: content of standard input.
    """
    if path == STDIN:
        reader = _Reader(None, variables)
        reader.start(STDIN, stdin, whole=False)
        return reader.result()
    root = _configuration_folder(path)
    reader = _Reader(root, variables)
    if os.path.isfile(os.path.join(path, ROOT_FILE)):  # noqa: PTH113, PTH118
        reader.open(os.path.join(path, ROOT_FILE), whole=True)  # noqa: PTH118
        return reader.result()
    is_file = not os.path.isdir(path)  # noqa: PTH112
    if not (is_file and os.path.basename(path) in {ROOT_FILE, VARIABLES_FILE}):  # noqa: PTH119
        reader.preset(os.path.join(root, VARIABLES_FILE))  # noqa: PTH118
    for name in [path] if is_file else _xml_files(path):
        reader.open(name, whole=os.path.basename(name) == ROOT_FILE)  # noqa: PTH119
    return reader.result()


class _Reader:
    """Reads start files one after the other; a file that an earlier or later one includes is no start of its own."""

    def __init__(self, root: str | None, variables: Mapping[str, str]) -> None:
        self._root = root
        self._given = dict(variables)
        if root is not None:
            self._given.setdefault("conf_dir", root)
        self._preset: dict[str, str] = {}
        self._before: tuple[Directive, ...] = ()
        self._texts: dict[str, XmlText] = {}
        self._findings: dict[str, list[Finding]] = {}
        self._included: set[str] = set()
        self._raw: dict[str, bytes] = {}
        self._files: set[str] = set()
        self._current: list[Finding] = []
        self._count = 0

    def preset(self, path: str) -> None:
        """Takes the variables that a file sets, and nothing else of it."""
        try:
            data = _content(path)
        except OSError:
            return
        expanded = preprocess(data, file=path, variables=self._given)
        self._preset, self._before = dict(expanded.variables), expanded.directives

    def open(self, path: str, *, whole: bool) -> None:
        try:
            data = _content(path)
        except OSError as error:
            self._findings[path] = [unreadable(path, error)]
            return
        self.start(path, data, whole=whole)

    def start(self, path: str, data: bytes, *, whole: bool) -> None:
        self._raw, self._current, self._count = {path: data}, [], 0
        self._files.add(path)
        variables = {**self._preset, **self._given}
        expanded = preprocess(data, file=path, variables=variables, include=self._include)
        self._note(expanded)
        self._texts[path] = XmlText(path, expanded, whole, self._raw, self._before)
        self._findings[path] = self._current

    def result(self) -> XmlFiles:
        starts = [path for path in self._texts if os.path.realpath(path) not in self._included]
        skipped = self._texts.keys() - starts
        findings = [finding for path, found in self._findings.items() if path not in skipped for finding in found]
        return XmlFiles(tuple(self._texts[path] for path in starts), tuple(findings), len(self._files))

    def _note(self, expanded: Expanded) -> None:
        for place in expanded.dropped:
            if _is_harmless(self._raw.get(place.file, b""), place.line):
                continue
            message = "content stands on a line that the pre-processor drops whole."
            self._current.append(codes.CONTENT_DROPPED.finding("", message).at(place))
        for path, place in expanded.unopened:
            message = f"the included {path} cannot be opened; the switch skips it and answers Success."
            self._current.append(codes.INCLUDE_UNREADABLE.finding("", message).at(place))
        for directive in expanded.directives:
            if directive.kind == "exec":
                message = "exec is not executed here; what it would put in is missing."
                self._current.append(codes.COMMAND_NOT_RUN.finding("", message).at(directive.location))

    def _include(self, pattern: str, cwd: str) -> Sequence[tuple[str, bytes | None]]:
        absolute = pattern if os.path.isabs(pattern) else os.path.join(cwd, pattern)  # noqa: PTH117, PTH118
        given: list[tuple[str, bytes | None]] = []
        for found in sorted(glob.glob(absolute)) if glob.has_magic(absolute) else _existing(absolute):  # noqa: PTH207
            real = os.path.realpath(found)
            path = os.path.normpath(found)
            if os.path.realpath(path) != real:  # `..` behind a link
                path = found
            if self._root is None or not real.startswith(self._root.rstrip("/") + os.sep):
                message = f"{path} is outside of {self._root or 'standard input'} and is not read."
                self._current.append(codes.INCLUDE_OUTSIDE.finding("", message).at(Location(path)))
                continue
            self._count += 1
            if self._count > MAX_INCLUDED:
                message = f"more than {MAX_INCLUDED} files are included; the rest is not read."
                self._current.append(codes.INCLUDE_LOOP.finding("", message).at(Location(path)))
                break
            self._included.add(real)
            content = self._raw.get(path)
            if content is None:
                try:
                    content = self._raw[path] = _content(real)
                    self._files.add(path)
                except OSError:
                    content = None
            given.append((path, content))
        return given


def _is_harmless(data: bytes, line: int) -> bool:
    """Whether nothing is lost with a line: it stands in a comment as a whole, or is a disabled directive."""
    start = 0
    for _ in range(line - 1):
        start = data.find(b"\n", start) + 1
        if not start:
            return False
    end = data.find(b"\n", start)
    end = len(data) if end < 0 else end
    if _DISABLED.fullmatch(data, start, end):
        return True
    opened = data.rfind(b"<!--", 0, start)
    if opened < 0:
        return False
    closed = data.find(b"-->", opened)
    return closed < 0 or closed >= end


def _existing(path: str) -> list[str]:
    return [path] if os.path.lexists(path) else []


def _content(path: str) -> bytes:
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        return file.read(MAX_BYTES)


def _configuration_folder(path: str) -> str:
    """The nearest folder above (or at) a path that holds freeswitch.xml; else the folder itself."""
    start = Path(os.path.realpath(path))
    start = start if start.is_dir() else start.parent
    found = next((folder for folder in (start, *start.parents) if (folder / ROOT_FILE).is_file()), start)
    return str(found)


def _xml_files(folder: str) -> Iterator[str]:
    """Every *.xml below a folder, in order, without links and without what begins with a dot."""
    with os.scandir(folder) as found:
        entries = sorted((entry for entry in found if not entry.name.startswith(".")), key=lambda entry: entry.name)
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            yield from _xml_files(entry.path)
        elif entry.name.endswith(".xml") and entry.is_file(follow_symlinks=False):
            yield entry.path
