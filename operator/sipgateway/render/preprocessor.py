"""A model of FreeSWITCH's XML pre-processor (facts 4-8): what its parser is given for a file.

In: bytes of a file, the global variables, and a way to open includes. Out: the expanded bytes, where each line came
from, and what was met on the way. Commands are recognised and never carried out.

The switch works line by line. For each line: `$${name}` is replaced; a line with `<include>`, `</include>` or `<?` is
dropped; a line with X-PRE-PROCESS is a command or, without `<` in front, dropped; `<!--#` is a command too, and what
follows is dropped up to `-->`.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from sipgateway.errors import Location

#: (pattern, folder of the including file) -> files in glob order; None: it could not be opened (fact 31).
Includer = Callable[[str, str], Sequence[tuple[str, bytes | None]]]

#: Depth of includes at which the switch gives up.
MAX_DEPTH = 100

_HAZARD = re.compile(rb"\$\$\{|[xX]-[pP][rR][eE]-[pP][rR][oO][cC][eE][sS][sS]|<!--#|</?include>|<\?")
_COMMAND = re.compile(rb"x-pre-process", re.IGNORECASE)
_BARE = re.compile(rb"\s*(?:</?include>|<\?.*\?>)?\s*")
_KINDS = frozenset({"set", "include", "exec", "exec-set", "env-set", "stun-set"})


@dataclass(frozen=True, slots=True)
class Directive:
    """A command of the pre-processor: set, include, exec, exec-set, env-set or stun-set. Only recognised."""

    kind: str
    argument: str
    location: Location


@dataclass(frozen=True, slots=True)
class Expanded:
    """What the switch's parser is given.

    Attributes:
        data: the expanded document.
        variables: global variables after it, as far as `set` says.
        directives: commands in the order in which they were met.
        dropped: lines whose content the switch loses without a word.
        unopened: patterns or files of includes that could not be opened.
    """

    data: bytes
    variables: Mapping[str, str]
    directives: tuple[Directive, ...]
    dropped: tuple[Location, ...]
    unopened: tuple[tuple[str, Location], ...]
    _spans: tuple[tuple[int, str, int], ...] = field(repr=False, default=())

    def locate(self, line: int) -> Location:
        """Where line `line` (from 1) of the expanded document came from."""
        before = (0, "", 0)
        for span in self._spans:
            if span[0] > line:
                break
            before = span
        return Location(before[1], before[2] + line - before[0])

    @property
    def lines(self) -> tuple[Location, ...]:
        """Where each line of the expanded document came from."""
        return tuple(self.locate(n) for n in range(1, self.data.count(b"\n") + 2))


def preprocess(
    data: bytes,
    *,
    file: str,
    variables: Mapping[str, str] = MappingProxyType({}),
    include: Includer | None = None,
) -> Expanded:
    """Expands a file as FreeSWITCH does.

    Args:
        data: its content.
        file: its name, for locations and as the folder of relative includes.
        variables: global variables that are set before it is read.
        include: opens includes; None leaves them out.

    Returns:
        The expanded document. Nothing raises: what the switch would only log is in `dropped` and `unopened`.
    """
    run = _Run({k: _bytes(v) for k, v in variables.items()}, include)
    run.file(data, file, 1)
    text = {k: _text(v) for k, v in run.variables.items()}
    return Expanded(
        b"".join(run.out), text, tuple(run.directives), tuple(run.dropped), tuple(run.unopened), tuple(run.spans)
    )


@dataclass(slots=True)
class _Run:
    variables: dict[str, bytes]
    include: Includer | None
    out: list[bytes] = field(default_factory=list)
    spans: list[tuple[int, str, int]] = field(default_factory=list)
    directives: list[Directive] = field(default_factory=list)
    dropped: list[Location] = field(default_factory=list)
    unopened: list[tuple[str, Location]] = field(default_factory=list)
    line: int = 1

    def emit(self, data: bytes, file: str, number: int) -> None:
        if data:
            self.out.append(data)
            self.spans.append((self.line, file, number))
            self.line += data.count(b"\n")

    def file(self, data: bytes, file: str, depth: int) -> None:
        """One file: spans without a hazard are copied as they are, lines with one are worked through."""
        position, number, comment = 0, 1, False
        while position < len(data):
            if comment:
                start = position
            else:
                hazard = _HAZARD.search(data, position)
                if hazard is None:
                    self.emit(data[position:], file, number)
                    return
                start = data.rfind(b"\n", position, hazard.start()) + 1 or position
            self.emit(data[position:start], file, number)
            number += data.count(b"\n", position, start)
            end = data.find(b"\n", start) + 1 or len(data)
            comment = self.one(data[start:end], Location(file, number), depth, comment)
            position, number = end, number + 1

    def one(self, line: bytes, at: Location, depth: int, comment: bool) -> bool:
        """One line with a hazard; says whether a `<!--#` comment goes on after it."""
        text, visible = self._expand(line)
        if b"<include>" in visible or b"</include>" in visible or b"<?" in visible:
            if not comment and not _BARE.fullmatch(line):
                self.dropped.append(at)
            return comment
        if comment:
            _, found, text = visible.partition(b"-->")
            if not found:
                return True
        command = _COMMAND.search(text)
        if command is not None:
            self._tag(text, command.start(), at, depth)
            return False
        head, found, rest = text.partition(b"<!--#")
        if not found:
            self.emit(text, at.file, at.line)
            return False
        self.emit(head, at.file, at.line)
        words, closed, tail = rest.partition(b"-->")
        self.emit(tail, at.file, at.line)
        kind, blank, argument = words.rstrip(b"\r\n").partition(b" ")
        if blank:
            quoted = argument.split(b'"')
            self._do(_text(kind), quoted[1] if len(quoted) > 2 else argument, at, depth)
        return not closed

    def _expand(self, line: bytes) -> tuple[bytes, bytes]:
        """The line with its variables replaced, and the part of the raw line in which `<include>` is looked for."""
        if b"$${" not in line:
            return line, line
        out, position, visible = bytearray(), 0, line
        while (start := line.find(b"$${", position)) >= 0:
            out += line[position:start]
            end = _closing(line, start + 2)
            if end < 0:
                out += line[start : start + 1]
                position = start + 1
                continue
            if visible is line:
                visible = line[:end]  # the switch ends its own copy here
            out += self.variables.get(_text(line[start + 3 : end]), b"")
            position = end + 1
        out += line[position:]
        return bytes(out), visible

    def _tag(self, text: bytes, start: int, at: Location, depth: int) -> None:
        if start == 0 or text[start - 1 : start] != b"<":
            if text.strip():
                self.dropped.append(at)
            return
        end = text.find(b"/>", start)
        tag = text[start:] if end < 0 else text[start : end + 2]
        if text[: start - 1].strip() or (end >= 0 and text[end + 2 :].strip()):
            self.dropped.append(at)
        kind, rest = _attribute(tag, b"cmd")
        if kind is None:
            return
        argument, _ = _attribute(rest, b"data")
        if argument is not None:
            self._do(_text(kind), argument, at, depth)

    def _do(self, kind: str, argument: bytes, at: Location, depth: int) -> None:
        kind = kind.lower()
        if kind not in _KINDS:
            return
        self.directives.append(Directive(kind, _text(argument), at))
        if kind == "set":
            name, found, value = argument.partition(b"=")
            if found:
                self.variables[_text(name)] = value.lstrip(b" ")
        elif kind == "include" and self.include is not None:
            if depth >= MAX_DEPTH:
                self.unopened.append((_text(argument), at))
                return
            for path, data in self.include(_text(argument), posixpath.dirname(at.file)):
                if data is None:
                    self.unopened.append((path, at))
                else:
                    self.file(data, path, depth + 1)


def _closing(line: bytes, start: int) -> int:
    depth = 0
    for index in range(start, len(line)):
        if line[index] == 0x7B:
            depth += 1
        elif line[index] == 0x7D:
            depth -= 1
            if depth == 0:
                return index
    return -1


def _attribute(tag: bytes, name: bytes) -> tuple[bytes | None, bytes]:
    """What stands in quotes after `name`, by the switch's own loose search, and what comes after it."""
    start = tag.lower().find(name)
    start = tag.find(b"=", start) if start >= 0 else -1
    start = tag.find(b'"', start) if start >= 0 else -1
    if start < 0:
        return None, b""
    value, _, rest = tag[start + 1 :].partition(b'"')
    return value, rest


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
