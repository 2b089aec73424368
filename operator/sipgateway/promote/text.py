"""One SipGateway in a YAML text, edited so that only what changes is written: all other bytes stay as they are.

In: the text of a manifest. Out: its fields as leaves, and the text with some of them set or removed. No I/O.

Values are replaced where the parser says that they stand; comments, order, quotes and blank lines are never parsed and
written again. What cannot be edited in that way (anchors, several objects in one document) is refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from sipgateway.api.names import API_VERSION, KIND
from sipgateway.errors import InputError, Location
from sipgateway.promote import codes
from sipgateway.source.documents import read_documents
from sipgateway.source.emit import emit, scalar

#: A field: the keys that lead to it.
Field: TypeAlias = tuple[str, ...]

_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_ODD_BREAKS: Final = "\r\x85\u2028\u2029\t"


@dataclass(frozen=True, slots=True)
class Manifest:
    """A SipGateway and the text that it stands in.

    Attributes:
        file: path in the repository.
        text: of the whole file.
        number: which document of the file, from 0.
        value: what it says.
    """

    file: str
    text: str
    number: int
    value: Mapping[str, object]

    @property
    def name(self) -> str:
        """`metadata.name`."""
        return str(_mapping(self.value.get("metadata")).get("name") or "")

    @property
    def labels(self) -> dict[str, str]:
        """`metadata.labels`."""
        return {str(k): str(v) for k, v in _mapping(_mapping(self.value.get("metadata")).get("labels")).items()}

    @property
    def leaves(self) -> dict[Field, object]:
        """The fields that a promotion is about: spec, labels and annotations, down to what is no mapping."""
        meta = _mapping(self.value.get("metadata"))
        found: dict[Field, object] = {}
        _leaves(self.value.get("spec"), ("spec",), found)
        for group in ("labels", "annotations"):
            _leaves(meta.get(group), ("metadata", group), found)
        return found


def read(file: str, data: bytes) -> list[Manifest]:
    """The SipGateways of a file; objects of other kinds are passed over.

    Raises:
        InputError: it is no YAML, or written in a way that cannot be edited.
    """
    parsed, findings = read_documents(data, file)
    for finding in (*findings, *(f for one in parsed for f in one.findings)):
        raise InputError(finding)
    text = data.decode("utf-8-sig")
    found = [one.value for one in parsed]
    kinds = [value.get("kind") for value in found if isinstance(value, Mapping)]
    if f"{KIND}List" in kinds or any(_has_items(value) for value in found):
        raise _cannot(file, 1, "several objects stand in a List")
    if KIND not in kinds:
        return []
    if any(c in text for c in _ODD_BREAKS) or "\n...\n" in f"\n{text}\n":
        raise _cannot(file, 1, "it has tabs, ends of documents (`...`), or line ends other than a plain one")
    documents = list(yaml.compose_all(text, Loader=_LOADER))
    values = [_Values(file).of(node) for node in documents]
    return [
        Manifest(file, text, number, value)
        for number, value in enumerate(_as_read(values, found))
        if isinstance(value, Mapping) and value.get("kind") == KIND and value.get("apiVersion") == API_VERSION
    ]


def edited(manifest: Manifest, sets: Mapping[Field, object], removes: Iterable[Field]) -> str:
    """The file's text with some fields of one SipGateway changed.

    Args:
        manifest: as it was read from that text.
        sets: field -> value. A field that is not there is added where its mapping ends.
        removes: fields that go, and mappings that are empty without them.
    """
    editor = _Editor(manifest)
    for field in removes:
        editor.remove(field)
    for field, value in sets.items():
        editor.set(field, value)
    return editor.text


class _Editor:
    """Edits one after another; after each the text is parsed anew."""

    def __init__(self, manifest: Manifest) -> None:
        self.text = manifest.text
        self._number = manifest.number
        self._file = manifest.file

    def remove(self, field: Field) -> None:
        root, lines = self._parsed()
        while len(field) > 1:
            above = _at(root, field[:-1])
            if not isinstance(above, MappingNode) or len(above.value) > 1 or len(field) == 2:
                break
            field = field[:-1]  # it would be left empty
        above = _at(root, field[:-1])
        pair = _pair(above, field[-1])
        if pair is None or not isinstance(above, MappingNode):
            return
        key, value = pair
        if above.flow_style:
            self._reflow(root, field, lines, None)
            return
        start, end = lines.of(key.start_mark), lines.end_of_line(_end(value, lines))
        start = lines.start_of_line(start)
        self.text = self.text[:start] + self.text[end:]

    def set(self, field: Field, value: object) -> None:
        root, lines = self._parsed()
        depth = len(field)
        while depth and _at(root, field[:depth]) is None:
            depth -= 1
        there = _at(root, field[:depth])
        if depth < len(field) and not (isinstance(there, MappingNode) and there.value):
            # an empty or plain value stands where a mapping is needed
            nested = _nested(field[depth:], value)
            self._replace(root, field[:depth], nested, lines)
        elif depth < len(field):
            self._insert(root, field[:depth], field[depth:], value, lines)
        else:
            self._replace(root, field, value, lines)

    def _insert(self, root: Node, above: Field, rest: Field, value: object, lines: _Lines) -> None:
        mapping = _at(root, above)
        if not isinstance(mapping, MappingNode):
            raise _cannot(self._file, 1, "a field has no place")
        if mapping.flow_style:
            self._reflow(root, (*above, *rest), lines, value)
            return
        indent = mapping.value[0][0].start_mark.column
        last = mapping.value[-1][1]
        at = lines.end_of_line(_end(last, lines))
        block = _block({rest[0]: _nested(rest[1:], value)}, indent)
        newline = "" if self.text[:at].endswith("\n") else "\n"
        self.text = self.text[:at] + newline + block + self.text[at:]

    def _replace(self, root: Node, field: Field, value: object, lines: _Lines) -> None:
        mapping = _at(root, field[:-1])
        pair = _pair(mapping, field[-1])
        if pair is None or not isinstance(mapping, MappingNode):
            raise _cannot(self._file, 1, "a field has no place")
        key, old = pair
        if mapping.flow_style:
            if isinstance(old, ScalarNode) and not isinstance(value, Mapping | list):
                start, end = lines.of(old.start_mark), lines.of(old.end_mark)
                self.text = self.text[:start] + _flow(value) + self.text[end:]
            else:
                self._reflow(root, field, lines, value)
            return
        start, end = lines.of(old.start_mark), _end(old, lines)
        plain = not isinstance(value, Mapping | list) or not value
        if (
            plain
            and isinstance(old, ScalarNode)
            and old.style not in {"|", ">"}
            and old.end_mark.line == key.end_mark.line
        ):
            if start == end:  # an empty value: `key:`
                start = end = lines.of(key.end_mark) + 1
                self.text = f"{self.text[:start]} {_flow(value)}{self.text[end:]}"
            else:
                self.text = self.text[:start] + _flow(value) + self.text[end:]
            return
        start, end = lines.start_of_line(lines.of(key.start_mark)), lines.end_of_line(end)
        self.text = self.text[:start] + _block({field[-1]: value}, key.start_mark.column) + self.text[end:]

    def _reflow(self, root: Node, field: Field, lines: _Lines, value: object | None) -> None:
        """Writes the outermost `{...}` around a field anew."""
        depth = next(n for n in range(len(field)) if getattr(_at(root, field[:n]), "flow_style", False))
        outer = _at(root, field[:depth])
        if outer is None or depth == 0:
            raise _cannot(self._file, 1, "the whole object stands in braces")
        content = _Values(self._file).of(outer)
        inner = content if isinstance(content, dict) else {}
        for key in field[depth:-1]:
            inner = inner.setdefault(key, {})
        if value is None:
            inner.pop(field[-1], None)
        else:
            inner[field[-1]] = value
        start, end = lines.of(outer.start_mark), lines.of(outer.end_mark)
        self.text = self.text[:start] + _flow(content) + self.text[end:]

    def _parsed(self) -> tuple[Node, _Lines]:
        documents = list(yaml.compose_all(self.text, Loader=_LOADER))
        return documents[self._number], _Lines(self.text)


class _Lines:
    """From the parser's lines and columns to places in the text."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._starts = [0]
        for line in text.split("\n"):
            self._starts.append(self._starts[-1] + len(line) + 1)

    def of(self, mark: yaml.Mark) -> int:
        """The place of a mark."""
        return min(self._starts[mark.line] + mark.column, len(self._text))

    def start_of_line(self, at: int) -> int:
        """Where the line of a place begins."""
        return self._text.rfind("\n", 0, at) + 1

    def end_of_line(self, at: int) -> int:
        """Where the line after a place begins; the place itself when it is there already."""
        if at > 0 and self._text[at - 1] == "\n":
            return at
        found = self._text.find("\n", at)
        return len(self._text) if found < 0 else found + 1


def _end(node: Node, lines: _Lines) -> int:
    """Where a value really ends: of a block the parser tells where the next thing begins."""
    if isinstance(node, MappingNode | SequenceNode) and not node.flow_style and node.value:
        last = node.value[-1]
        return _end(last[1] if isinstance(node, MappingNode) else last, lines)
    return lines.of(node.end_mark)


def _at(root: Node | None, field: Sequence[str]) -> Node | None:
    for key in field:
        pair = _pair(root, key)
        if pair is None:
            return None
        root = pair[1]
    return root


def _pair(node: Node | None, key: str) -> tuple[Node, Node] | None:
    if not isinstance(node, MappingNode):
        return None
    return next(((k, v) for k, v in node.value if isinstance(k, ScalarNode) and k.value == key), None)


def _nested(keys: Sequence[str], value: object) -> object:
    for key in reversed(keys):
        value = {key: value}
    return value


def _block(value: Mapping[str, object], indent: int) -> str:
    return "".join(f"{' ' * indent}{line}\n" if line else "\n" for line in emit(value).splitlines())


def _flow(value: object) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{scalar(key)}: {_flow(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_flow, value)) + "]"
    return scalar(value)


class _Values:
    """Refuses what cannot be edited; gives the plain value of the rest, as texts where it is one."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._seen: set[int] = set()

    def of(self, node: Node) -> object:
        if id(node) in self._seen:
            raise _cannot(self._file, node.start_mark.line + 1, "it has an alias")
        self._seen.add(id(node))
        if isinstance(node, MappingNode):
            for key, _ in node.value:
                if not isinstance(key, ScalarNode) or key.value == "<<":
                    raise _cannot(self._file, key.start_mark.line + 1, "it has a merge key, or a key that is no text")
            return {key.value: self.of(value) for key, value in node.value}
        if isinstance(node, SequenceNode):
            return [self.of(value) for value in node.value]
        return _scalar_value(node)


def _scalar_value(node: Node) -> object:
    return yaml.SafeLoader("").construct_object(node) if isinstance(node, ScalarNode) else None


def _as_read(values: Sequence[object], found: Sequence[object]) -> list[object]:
    """Both readers agree, but for empty documents; the strict one's values count."""
    rest = iter(found)
    return [None if value is None else next(rest, None) for value in values]


def _has_items(value: object) -> bool:
    items = value.get("items") if isinstance(value, Mapping) and value.get("kind") == "List" else None
    return isinstance(items, list) and any(isinstance(one, Mapping) and one.get("kind") == KIND for one in items)


def _leaves(value: object, path: Field, found: dict[Field, object]) -> None:
    if isinstance(value, Mapping) and value:
        for key, inner in value.items():
            _leaves(inner, (*path, str(key)), found)
    elif value is not None:
        found[path] = value


def _mapping(value: object) -> Mapping[object, object]:
    return value if isinstance(value, Mapping) else {}


def _cannot(file: str, line: int, what: str) -> InputError:
    return InputError(codes.CANNOT_PROMOTE.because("", f"{what}.").at(Location(file, line)))
