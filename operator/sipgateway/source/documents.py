"""From the bytes of a YAML or JSON file to plain values, with the line of every field when a finding needs it.

In: bytes and the file's name. Out: `Document`s (what kubectl would understand) and findings. No I/O.

Values are read from the parser's events, not from its trees: PyYAML's C parser gives 10,000 manifests in about two
seconds where pure Python loaders take most of a minute, and its tree builder ends the process on a deeply nested file.
Scalars are read as kubectl reads them (YAML 1.1: `on` is true), so that a manifest means the same on both ways in.
"""

from __future__ import annotations

import functools
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, NoReturn, cast

import yaml
from yaml.error import Mark

from sipgateway.errors import Finding, Location
from sipgateway.source import codes

#: Bytes of one file: about 20,000 gateways in one List.
MAX_BYTES: Final = 32 * 1024 * 1024
#: Levels of nesting: a SipGateway in a List has 8.
MAX_DEPTH: Final = 64
#: Values of one document: about 20,000 gateways in one List.
MAX_NODES: Final = 2_000_000
#: Values that aliases may add to a document.
MAX_ALIASED: Final = 10_000

# PyYAML comes with libyaml in all its wheels; without it everything works the same, about 20 times slower.
_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_TRUE = frozenset({"y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"})
_FALSE = frozenset({"n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"})
_DECIMAL = re.compile(r"[-+]?(0|[1-9][0-9]*)", re.ASCII)
_OTHER_INT = re.compile(r"[-+]?(0b[01_]+|0o?[0-7_]+|0x[0-9a-fA-F_]+|[1-9][0-9]*_[0-9_]*)", re.ASCII)
_LEADING_ZERO = re.compile(r"[-+]?0[0-9_]+(\.[0-9]*)?", re.ASCII)
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", re.ASCII)
_FLOAT_WORDS: Mapping[str, float] = {
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), float("inf")),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), float("-inf")),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), float("nan")),
}
_PLAIN_TAGS = frozenset(f"tag:yaml.org,2002:{kind}" for kind in ("str", "int", "float", "bool", "null", "map", "seq"))
#: First characters of every plain scalar that is not a text.
_NOT_TEXT_FIRST = frozenset("~-+.0123456789nNyYtToOfF")
#: A longer number is not an integer for anybody.
_MAX_DIGITS: Final = 30
_STR = "tag:yaml.org,2002:str"
_JSON_PAIR = re.compile(r"(?<!\\)((?:\\\\)*)\\u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})")


@dataclass(frozen=True, slots=True, eq=False)
class Document:
    """One document of a file: its text, from which its value and its lines can be read again at any time.

    Attributes:
        file: path as the user gave it.
        line: where the document begins (its `---`, if it has one), 1-based.
        first: where its value begins.
        text: its YAML text. May hold a Secret, so it shows in no `repr`.
    """

    file: str
    line: int
    first: int
    text: str = field(repr=False)

    def read(self) -> object:
        """The plain value, read anew: nobody keeps 10,000 trees in memory."""
        return next(iter(_Reader(self.text, self.file).documents())).value

    def locate(self, path: str) -> Location:
        """Where a field stands; for one that is not there, its nearest ancestor.

        Args:
            path: such as `spec.variables[0].name`; empty for the document itself.
        """
        places = self.places()
        while path and path not in places:
            path = parent(path)
        return Location(self.file, self.line + places[path].line if path in places else self.line)

    def unquoted(self, path: str) -> str | None:
        """How a scalar is written that YAML takes for something else than a text; None for texts and where none is."""
        place = self.places().get(path)
        return None if place is None else place.unquoted

    def places(self) -> Mapping[str, Place]:
        """Every field's path and place; lines count from 0 at the document's first line."""
        return _places(self.text)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a field stands: its line within the document, and its raw text if YAML does not take it for a text."""

    line: int
    unquoted: str | None = None


@dataclass(frozen=True, slots=True)
class Parsed:
    """A document and what it says.

    Attributes:
        value: plain data: mappings with text keys, lists, text, numbers, booleans, None.
        findings: what is wrong with it (duplicate keys); not empty: the value is not to be trusted.
        ambiguous: whether a number in it means different things to different tools.
    """

    document: Document
    value: object = field(repr=False)
    findings: tuple[Finding, ...] = ()
    ambiguous: bool = False


def read_documents(data: bytes, file: str) -> tuple[tuple[Parsed, ...], tuple[Finding, ...]]:
    """Reads all documents of a file.

    Args:
        data: the file's bytes; UTF-8, with or without a byte order mark.
        file: its name for findings; in `.json` (or a text that begins like JSON) JSON's escapes are understood.

    Returns:
        The documents (empty ones left out), and findings that concern the file as a whole (syntax, encoding, size).
        With any of these there are no documents: half a file proves nothing.
    """
    if len(data) > MAX_BYTES:
        size, most = (number // (1024 * 1024) for number in (len(data), MAX_BYTES))
        return (), (codes.FILE_TOO_BIG.finding("", f"{size} MiB; {most} MiB are allowed.").at(Location(file)),)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        return (), (codes.NOT_UTF8.finding("", f"byte {error.start} is not UTF-8.").at(Location(file, line)),)
    if file.endswith(".json") or text.lstrip()[:1] in {"{", "["}:
        text = _JSON_PAIR.sub(_join_pair, text)
    try:
        return tuple(parsed for parsed in _Reader(text, file).documents() if parsed.value is not None), ()
    except yaml.YAMLError as error:
        return (), (_syntax_finding(error, text, file),)
    except _RefusedError as refusal:
        return (), (refusal.finding,)


def parent(path: str) -> str:
    """The path of what a field stands in: `a.b[0]` -> `a.b` -> `a` -> ``."""
    return path[: max(path.rfind("."), path.rfind("["), 0)]


def is_text(text: str) -> bool:
    """Whether a plain scalar is a text, and not a number, a boolean or nothing."""
    return isinstance(_resolve(text), str)


def is_ambiguous(text: str) -> bool:
    """Whether a plain scalar is a number that kubectl reads otherwise than in plain decimal digits."""
    return _OTHER_INT.fullmatch(text) is not None or _LEADING_ZERO.fullmatch(text) is not None


class _RefusedError(Exception):
    """Carries a finding out of the recursion; never leaves this module."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding.code)
        self.finding = finding


class _Reader:
    """Builds plain values from the parser's events; one pass over the whole file."""

    def __init__(self, text: str, file: str) -> None:
        self._text = text
        self._file = file
        self._events: Iterator[yaml.Event] = yaml.parse(text, Loader=_LOADER)
        self._anchors: dict[str, tuple[object, int]] = {}
        self._findings: list[Finding] = []
        self._ambiguous = False
        self._nodes = 0
        self._aliased = 0
        self._depth = 0

    def documents(self) -> Iterator[Parsed]:
        for event in self._events:
            if not isinstance(event, yaml.DocumentStartEvent):
                continue
            self._anchors, self._findings, self._ambiguous, self._nodes, self._aliased = {}, [], False, 0, 0
            start = _start(event)
            root = next(self._events)
            value = self._value(root)
            end = next(self._events).end_mark
            piece = self._text[start.index - start.column : end.index if end else None]
            document = Document(self._file, start.line + 1, _start(root).line + 1, piece)
            yield Parsed(document, value, tuple(self._findings), self._ambiguous)

    def _value(self, event: yaml.Event) -> object:
        self._nodes += 1
        if self._nodes > MAX_NODES:
            self._refuse(event, f"more than {MAX_NODES} values in one document.")
        if isinstance(event, yaml.ScalarEvent):
            value = self._scalar(event)
            if event.anchor is not None:
                self._anchors[event.anchor] = (value, 1)
            return value
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event)
        if not isinstance(event, yaml.MappingStartEvent | yaml.SequenceStartEvent):
            self._refuse(event, "not data.")
        before = self._nodes
        if event.tag is not None and event.tag not in _PLAIN_TAGS and event.tag != "!":
            self._refuse_tag(event)
        self._depth += 1
        if self._depth > MAX_DEPTH:
            self._refuse(event, f"nested more than {MAX_DEPTH} levels deep.")
        built = self._mapping() if isinstance(event, yaml.MappingStartEvent) else self._sequence()
        self._depth -= 1
        if event.anchor is not None:
            self._anchors[event.anchor] = (built, self._nodes - before + 1)
        return built

    def _sequence(self) -> list[object]:
        items: list[object] = []
        for event in self._events:
            if isinstance(event, yaml.SequenceEndEvent):
                break
            items.append(self._value(event))
        return items

    def _mapping(self) -> dict[str, object]:
        mapping: dict[str, object] = {}
        merged: list[object] = []
        for event in self._events:
            if isinstance(event, yaml.MappingEndEvent):
                break
            if not isinstance(event, yaml.ScalarEvent):
                self._refuse(event, "a key that is not a word.")
            key = event.value
            if key == "<<" and event.implicit[0]:
                merged.append(self._value(next(self._events)))
                continue
            if key in mapping:
                location = Location(self._file, _start(event).line + 1)
                self._findings.append(codes.DUPLICATE_KEY.finding("", f"{shown(key)} stands twice.").at(location))
            mapping[sys.intern(key)] = self._value(next(self._events))
        for source in merged:
            for one in source if isinstance(source, list) else [source]:
                if isinstance(one, Mapping):
                    mapping |= {key: value for key, value in one.items() if key not in mapping}
        return mapping

    def _alias(self, event: yaml.AliasEvent) -> object:
        if event.anchor not in self._anchors:
            # Its name is not shown: an unquoted password that begins with `*` is read as one.
            self._refuse(event, "an alias (a word that begins with `*`) stands before or inside what it names.")
        value, size = self._anchors[event.anchor]
        self._nodes += size
        self._aliased += size
        if self._aliased > MAX_ALIASED:
            self._refuse(event, f"aliases add more than {MAX_ALIASED} values to this document.")
        return value

    def _scalar(self, event: yaml.ScalarEvent) -> object:
        text: str = event.value
        if event.implicit[0]:
            if text and text[0] not in _NOT_TEXT_FIRST:
                return text
            value = _resolve(text)
            if isinstance(value, int | float) and not self._ambiguous:
                self._ambiguous = is_ambiguous(text)
            return value
        tag = event.tag
        if tag is None or tag in {"!", _STR}:
            return text
        if tag not in _PLAIN_TAGS:
            self._refuse_tag(event)
        return _resolve(text)

    def _refuse(self, event: yaml.Event, message: str) -> NoReturn:
        raise _RefusedError(codes.TOO_COMPLEX.finding("", message).at(self._at(event)))

    def _refuse_tag(self, event: yaml.Event) -> NoReturn:
        # The tag is not shown: an unquoted password that begins with `!` is read as one.
        message = "a tag (a word that begins with an exclamation mark)."
        raise _RefusedError(codes.YAML_TAG.finding("", message).at(self._at(event)))

    def _at(self, event: yaml.Event) -> Location:
        return Location(self._file, _start(event).line + 1)


def _start(event: yaml.Event) -> Mark:
    return cast("Mark", event.start_mark)  # None only in events that a program made


def _resolve(text: str) -> object:
    """What kubectl takes a plain scalar for."""
    if text in _NULL:
        return None
    if text in _TRUE or text in _FALSE:
        return text in _TRUE
    if _DECIMAL.fullmatch(text):
        return int(text) if len(text) <= _MAX_DIGITS else float(text)
    if _OTHER_INT.fullmatch(text):
        plain = text.replace("_", "").lower()
        sign, digits = (plain[0], plain[1:]) if plain[0] in "+-" else ("", plain)
        if digits.isdigit() and digits[0] == "0":
            digits = f"0o{digits}"
        try:
            return int(f"{sign}{digits}", 0)
        except ValueError:
            return text
    if _FLOAT.fullmatch(text):
        return float(text)
    return _FLOAT_WORDS.get(text, text)


@functools.lru_cache(maxsize=2)  # many findings on one long List, and no index kept for each of 10,000 documents
def _places(text: str) -> Mapping[str, Place]:
    """One walk over the events of a document that was read well before."""
    places: dict[str, Place] = {}
    events: Iterator[yaml.Event] = yaml.parse(text, Loader=_LOADER)

    def walk(event: yaml.Event, path: str, line: int) -> None:
        raw = None
        if isinstance(event, yaml.ScalarEvent) and event.implicit[0] and not isinstance(_resolve(event.value), str):
            raw = event.value
        places.setdefault(path, Place(line, raw))
        if isinstance(event, yaml.MappingStartEvent):
            for key in events:
                if isinstance(key, yaml.MappingEndEvent):
                    return
                name = key.value if isinstance(key, yaml.ScalarEvent) else "?"
                walk(next(events), f"{path}.{name}" if path else name, _start(key).line)
        elif isinstance(event, yaml.SequenceStartEvent):
            for index, item in enumerate(events):
                if isinstance(item, yaml.SequenceEndEvent):
                    return
                walk(item, f"{path}[{index}]", _start(item).line)

    for event in events:
        if isinstance(event, yaml.DocumentStartEvent):
            root = next(events)
            walk(root, "", _start(root).line)
    return places


def _syntax_finding(error: yaml.YAMLError, text: str, file: str) -> Finding:
    """The parser's words, and for the commonest mistakes what they mean."""
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    line = 0 if mark is None else mark.line + 1
    problem = str(getattr(error, "problem", None) or getattr(error, "reason", None) or "it cannot be parsed")
    lines = text.splitlines()
    written = lines[line - 1] if 0 < line <= len(lines) else ""
    if "\t" in written[: len(written) - len(written.lstrip())] or "'\\t'" in problem:
        return codes.BAD_YAML.finding(
            "", "a tab stands in the indentation; YAML allows only spaces there.", "Replace the tab by spaces."
        ).at(Location(file, line))
    if isinstance(error, yaml.reader.ReaderError):
        position = error.position if isinstance(error.position, int) else 0
        line = text.count("\n", 0, position) + 1
        problem = "a control character that YAML does not allow"
    context = getattr(error, "context", None)
    message = f"{problem} {context}." if context else f"{problem}."
    return codes.BAD_YAML.finding("", message).at(Location(file, line))


def _join_pair(match: re.Match[str]) -> str:
    """JSON writes characters beyond the basic plane as two escapes, YAML as one."""
    high, low = int(match[2], 16), int(match[3], 16)
    return f"{match[1]}\\U{0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00):08x}"


def shown(text: str) -> str:
    """A word from a file, fit for a message: short and printable."""
    text = text if len(text) <= 64 else f"{text[:61]}..."
    return text if text.isprintable() else ascii(text)
