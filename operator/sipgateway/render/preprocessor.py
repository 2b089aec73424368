"""Model of FreeSWITCH's pre-processor: configuration text in, the text that its XML parser sees out.

In: the bytes of a file, the switch's global variables, and a function that answers includes. Out: `Expanded`: the
bytes after line dropping and `$${}`, where each line came from, which directives were met, which lines lost content.
It opens no file and executes nothing: `exec`, `exec-set`, `env-set` and `stun-set` are reported, not modelled.

Source: `preprocess` and `expand_vars` in FreeSWITCH's switch_xml.c, `switch_fp_read_dline` in switch_utils.c;
facts 4, 5, 6, 8 and 31. The order of the steps on one line matters and is kept:

1. `$${name}` is replaced, once, without a look at what it brings in.
2. The line is dropped when it contains `<include>`, `</include>` or `<?`. This looks at the line as written, and only
   as far as the end of its first `$${name}`.
3. Inside an open `<!--#` everything up to `-->` is dropped.
4. `X-PRE-PROCESS` in any case drops the line; a tag (preceded by `<`) is executed, inside a comment too.
5. `<!--#` executes and drops up to `-->`, on a later line if need be.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType

from sipgateway.errors import Location
from sipgateway.render.globals import LINE_BLOCK, GlobalVariables, as_text, expand

#: Answers an include: pattern as written and the folder that a relative one starts from -> (path, content) of each
#: matching file in glob order; content None: the file could not be opened, which FreeSWITCH only logs (fact 31).
Includer = Callable[[str, str], Sequence[tuple[str, bytes | None]]]

#: Includes nest this deep, files below are skipped with a log line.
MAX_DEPTH = 100

#: A line of more bytes is cut, and the byte at the cut is lost.
MAX_LINE = 1024 * 1024 - 2

_LITERAL_HAZARDS = (b"<include>", b"</include>", b"<?", b"$${", b"<!--#", b"\0")
_TAG = b"x-pre-process"
_LINE_END = re.compile(rb"[\r\n]")
_BARE_INCLUDE = frozenset({b"<include>", b"</include>"})
_NOT_CONTENT = re.compile(rb"<!--.*?-->|</?include>|<\?.*?\?>", re.DOTALL)
_KINDS_OF_COMMENT = frozenset({"set", "exec-set", "stun-set", "include", "exec"})


@dataclass(frozen=True, slots=True)
class Directive:
    """A pre-processor directive that was met.

    Attributes:
        kind: `set`, `include`, `exec`, `exec-set`, `env-set`, `stun-set`, or an unknown word; in lower case.
        argument: `data` as written, after `$${}`.
        location: the line it stands in.
    """

    kind: str
    argument: str
    location: Location


@dataclass(frozen=True, slots=True)
class Run:
    """Output lines that follow one another in one file: `count` lines from `line` of `file` on."""

    file: str
    line: int
    count: int


@dataclass(frozen=True)
class Expanded:
    """What the XML parser sees, and how it came about.

    Attributes:
        data: the expanded text.
        variables: global variables afterwards. Names are compared without case, as FreeSWITCH does.
        directives: all that were met, in order.
        dropped: lines of which the pre-processor dropped something other than comments and its own markup.
        unopened: included files that could not be opened, with the include's place.
    """

    data: bytes
    variables: Mapping[str, str]
    directives: tuple[Directive, ...] = ()
    dropped: tuple[Location, ...] = ()
    unopened: tuple[tuple[str, Location], ...] = ()
    runs: tuple[Run, ...] = field(default=(), repr=False)

    @cached_property
    def lines(self) -> tuple[Location, ...]:
        """Where each line of `data` came from (index 0 is line 1); built when first asked for."""
        return tuple(Location(run.file, run.line + i) for run in self.runs for i in range(run.count))

    def locate(self, line: int) -> Location:
        """Where a line of `data` came from.

        Args:
            line: 1-based, as in the switch's `[error near line N]`. A line behind the last one counts on from it.
        """
        place = Location("")
        for run in self.runs:
            place = Location(run.file, run.line + line - 1)
            if line <= run.count:
                break
            line -= run.count
        return place


def preprocess(
    data: bytes, *, file: str, variables: Mapping[str, str] = MappingProxyType({}), include: Includer | None = None
) -> Expanded:
    """Expands a configuration file as FreeSWITCH would.

    Args:
        data: the file's content.
        file: its path, for locations; relative includes start from its folder.
        variables: the switch's global variables before.
        include: answers includes; None: they match no file, which is harmless (fact 31).
    """
    run = _PreProcessor(variables, include)
    run.file(data, file, _folder(file), 0)
    return run.result()


def _folder(path: str) -> str:
    head, slash, _ = path.rpartition("/")
    return head if slash else "."


class _Output:
    """The expanded text and the origin of each of its lines."""

    def __init__(self) -> None:
        self._chunks: list[bytes] = []
        self._runs: list[Run] = []
        self._at_line_start = True

    def write(self, chunk: bytes, file: str, line: int) -> None:
        """Appends a chunk whose first byte stands in that line of that file."""
        if not chunk:
            return
        self._chunks.append(chunk)
        newlines = chunk.count(b"\n")
        ends_line = chunk.endswith(b"\n")
        count = newlines + (not ends_line)  # lines that this chunk touches
        if not self._at_line_start:  # the first one began with an earlier chunk
            count -= 1
            line += 1
        self._at_line_start = ends_line
        if count:
            last = self._runs[-1] if self._runs else None
            if last is not None and last.file == file and last.line + last.count == line:
                self._runs[-1] = Run(file, last.line, last.count + count)
            else:
                self._runs.append(Run(file, line, count))

    def result(self) -> tuple[bytes, tuple[Run, ...]]:
        """The text, and its origin."""
        return b"".join(self._chunks), tuple(self._runs)


class _File:
    """One file while it is read: where its lines are, and what the reader remembers between them."""

    def __init__(self, data: bytes, path: str, folder: str, depth: int) -> None:
        self.path = path
        self.folder = folder
        self.depth = depth
        self.in_comment = False  # inside a `<!--#` that is still open
        self._data = data
        self._line = 1
        self._counted = 0

    def line(self, position: int) -> int:
        """1-based line of a position; positions come in ascending order."""
        self._line += self._data.count(b"\n", self._counted, position)
        self._counted = position
        return self._line

    def room(self) -> int:
        """Bytes that an expanded line may have: twice the line buffer, which is as large as the longest line so far."""
        end = _line_end(self._data, self._counted)
        *lines, last = _LINE_END.split(self._data[:end])
        longest = min(max((len(last), *(len(line) + 1 for line in lines))), MAX_LINE)
        return 2 * -(-(longest + 2) // LINE_BLOCK) * LINE_BLOCK


class _PreProcessor:
    """State of one expansion over all included files."""

    def __init__(self, variables: Mapping[str, str], include: Includer | None) -> None:
        self._include = include
        self._variables = GlobalVariables(variables)
        self._output = _Output()
        self._directives: list[Directive] = []
        self._dropped: list[Location] = []
        self._unopened: list[tuple[str, Location]] = []

    def result(self) -> Expanded:
        data, runs = self._output.result()
        return Expanded(
            data,
            self._variables.result(),
            tuple(self._directives),
            tuple(dict.fromkeys(self._dropped)),
            tuple(self._unopened),
            runs,
        )

    def file(self, data: bytes, path: str, folder: str, depth: int) -> None:
        """Reads one file: lines without a hazard go out as they are, in as few pieces as possible."""
        if depth > MAX_DEPTH:
            return
        reader = _File(data, path, folder, depth)
        for start, end, hazardous in _pieces(data, reader):
            if hazardous or reader.in_comment:
                line = data[start:end]
                if line.strip() in _BARE_INCLUDE:
                    continue  # dropped, whatever the state; nearly every file has two of these
                self._line(reader, line, reader.line(start))
                if end - start == MAX_LINE and end < len(data) and not line.endswith((b"\n", b"\r")):
                    self._dropped.append(Location(path, reader.line(start)))
            else:
                self._output.write(data[start:end], path, reader.line(start))

    def _line(self, reader: _File, raw: bytes, number: int) -> None:
        """One line with a hazard in it; `raw` still has its line end."""
        here = Location(reader.path, number)
        written, nul, lost = raw.partition(b"\0")  # a C string: the rest, line end included, is never seen
        if nul and lost.strip():
            self._dropped.append(here)
        written, line, cut = expand(written, self._variables, reader.room)
        if cut:
            self._dropped.append(here)
        if b"<include>" in written or b"</include>" in written or b"<?" in written:
            self._note_loss(line, here)
            return
        if reader.in_comment:
            _, end, rest = written.partition(b"-->")
            if not end:
                return
            reader.in_comment = False
            line = rest  # as written: `$${}` is not expanded here
        tag = line.lower().find(_TAG)
        if tag >= 0:
            self._tag(reader, line, tag, here)
            return
        before, opening, comment = line.partition(b"<!--#")
        self._output.write(before, reader.path, number)
        if opening:
            inside, closing, after = comment.partition(b"-->")
            reader.in_comment = not closing
            self._output.write(after, reader.path, number)
            self._comment(reader, inside, here)

    def _tag(self, reader: _File, line: bytes, tag: int, here: Location) -> None:
        """A line with `X-PRE-PROCESS`: nothing of it is kept; executed when it is a tag."""
        if line[tag - 1 : tag] != b"<":
            self._note_loss(line, here)
            return
        element, closing, after = line[tag:].partition(b"/>")
        found = _command(element + closing)
        self._note_loss(line[: tag - 1] + after if closing and found else line, here)
        if found:
            self._execute(reader, *found, here)

    def _comment(self, reader: _File, inside: bytes, here: Location) -> None:
        """`<!--#kind argument-->`, the older form of a directive; it knows no `env-set`."""
        kind, blank, argument = _LINE_END.split(inside, maxsplit=1)[0].partition(b" ")
        if not blank:
            return
        quoted = argument.split(b'"', 2)
        if len(quoted) == 3:
            argument = quoted[1]
        if as_text(kind).lower() in _KINDS_OF_COMMENT:
            self._execute(reader, kind, argument, here)

    def _execute(self, reader: _File, command: bytes, argument: bytes, here: Location) -> None:
        kind = as_text(command).lower()
        self._directives.append(Directive(kind, as_text(argument), here))
        if kind == "set":
            name, equals, value = argument.partition(b"=")
            if equals:
                self._variables.set(name.rstrip(b" "), value.lstrip(b" "))
        elif kind == "include" and self._include is not None:
            for path, content in self._include(as_text(argument), reader.folder):
                if content is None:
                    self._unopened.append((path, here))
                else:
                    self.file(content, path, _folder(path), reader.depth + 1)

    def _note_loss(self, lost: bytes, here: Location) -> None:
        if _NOT_CONTENT.sub(b"", lost).strip():
            self._dropped.append(here)


def _pieces(data: bytes, reader: _File) -> Iterator[tuple[int, int, bool]]:
    """Cuts a file into (start, end, whether it is one line that must be looked at) in ascending order.

    While the reader is inside an open `<!--#`, every line comes as a piece of its own.
    """
    if len(data) > MAX_LINE and max(map(len, _LINE_END.split(data))) >= MAX_LINE:
        yield from _over_long_pieces(data)
        return
    position = 0
    for hazard in _hazards(data):
        if hazard < position:
            continue  # a second hazard of the line before
        while reader.in_comment and position < hazard:
            end = _line_end(data, position)
            yield position, end, True
            position = end
        if hazard < position:
            continue
        start = _line_start(data, hazard)
        if start > position:
            yield position, start, False
        position = _line_end(data, hazard)
        yield start, position, True
    while reader.in_comment and position < len(data):
        end = _line_end(data, position)
        yield position, end, True
        position = end
    if position < len(data):
        yield position, len(data), False


def _over_long_pieces(data: bytes) -> Iterator[tuple[int, int, bool]]:
    """Every line by itself; one that does not fit into the buffer is cut, and the byte at the cut is lost."""
    position = 0
    while position < len(data):
        end = _line_end(data, position)
        if end - position > MAX_LINE:
            yield position, position + MAX_LINE, True
            position += MAX_LINE + 1
        else:
            yield position, end, True
            position = end


def _hazards(data: bytes) -> list[int]:
    """Positions of everything that makes the pre-processor look twice, ascending.

    Searches for fixed bytes: on a file without hazards this is all the work there is.
    """
    found: list[int] = []
    for hazard in _LITERAL_HAZARDS:
        position = data.find(hazard)
        while position >= 0:
            found.append(position)
            position = data.find(hazard, position + 1)
    lowered = data.lower()
    position = lowered.find(_TAG)
    while position >= 0:
        found.append(position)
        position = lowered.find(_TAG, position + 1)
    found.sort()
    return found


def _line_start(data: bytes, position: int) -> int:
    return max(data.rfind(b"\n", 0, position), data.rfind(b"\r", 0, position)) + 1


def _line_end(data: bytes, position: int) -> int:
    """End of the line at `position`, line end included: CR and LF each end a line."""
    end = _LINE_END.search(data, position)
    return end.end() if end else len(data)


def _command(element: bytes) -> tuple[bytes, bytes] | None:
    """The `cmd` and `data` of a tag, in this order (FreeSWITCH searches for one word after the other), else None."""
    rest = element
    values: list[bytes] = []
    for word in (b"cmd", b"data"):
        for token in (word, b"=", b'"'):
            position = rest.lower().find(token)
            if position < 0:
                return None
            rest = rest[position + (len(token) if token == b'"' else 0) :]
        value, quote, rest = rest.partition(b'"')
        if word == b"cmd" and not quote:
            return None
        values.append(value)
    return values[0], values[1]
