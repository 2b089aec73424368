"""A chart's values.yaml as a table for its README and as a JSON schema that refuses unknown keys.

In: the text of values.yaml. Out: rows; text. A value is described by the comment above it that begins with `# --`; a
line `# @schema {...}` in the same comment adds what the default does not tell: bounds, words, what stands in a list.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

_KEY = re.compile(r"( *)([A-Za-z][\w-]*):(?:\s|$)")
_COMMENT = re.compile(r" *#(?: (.*))?$")
_DESCRIPTION = "-- "
_SCHEMA = "@schema "

#: The type in JSON's words of a default.
_TYPES: tuple[tuple[type, str], ...] = (
    (bool, "boolean"),
    (int, "integer"),
    (str, "string"),
    (list, "array"),
    (dict, "object"),
)


class ValuesError(ValueError):
    """A values.yaml that cannot be described: a value without a comment, a comment without a value."""


@dataclass(frozen=True, slots=True)
class Value:
    """One value that users set.

    Attributes:
        path: its keys, from the top.
        default: what stands in values.yaml.
        text: what it is for.
        schema: what `@schema` says.
    """

    path: tuple[str, ...]
    default: Any
    text: str
    schema: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The path as users write it after `--set`."""
        return ".".join(self.path)


def described(text: str, dependencies: Collection[str] = ()) -> tuple[Value, ...]:
    """The values of a values.yaml, in its order.

    Args:
        text: the file.
        dependencies: names of charts whose values may stand here without a comment: theirs describes them.

    Raises:
        ValuesError: a value without a description, or an object whose keys nobody names.
    """
    comments = dict(_comments(text))
    return tuple(_walk(yaml.safe_load(text), (), comments, dependencies))


def table(values: Collection[Value]) -> str:
    """The values as a Markdown table."""
    rows = ["| value | default | |", "|---|---|---|"]
    for value in values:
        default = json.dumps(value.default, ensure_ascii=False).replace("|", "\\|")
        rows.append(f"| `{value.name}` | `{default}` | {value.text.replace('|', chr(92) + '|')} |")
    return "\n".join(rows) + "\n"


def schema(values: Collection[Value], dependencies: Collection[str] = ()) -> str:
    """The values as a JSON schema for Helm, which refuses keys that are not among them."""
    root: dict[str, Any] = _object()
    # Helm hands it to every chart.
    root["properties"]["global"] = {"type": "object"}
    for name in dependencies:
        root["properties"][name] = {"type": "object", "description": "Values of that chart, which has its own schema."}
    for value in values:
        if value.path[0] in dependencies:
            continue
        place = root
        for key in value.path[:-1]:
            place = place["properties"].setdefault(key, _object())
        kind = next(word for kind, word in _TYPES if isinstance(value.default, kind))
        place["properties"][value.path[-1]] = {"description": value.text, "type": kind, **value.schema}
    return json.dumps(root, indent=2, ensure_ascii=False) + "\n"


def _object() -> dict[str, Any]:
    return {"type": "object", "additionalProperties": False, "properties": {}}


def _walk(
    node: Mapping[str, Any],
    above: tuple[str, ...],
    comments: Mapping[tuple[str, ...], tuple[str, dict[str, Any]]],
    dependencies: Collection[str],
) -> Iterator[Value]:
    for key, value in node.items():
        path = (*above, key)
        text, extra = comments.get(path, ("", {}))
        if text:
            if isinstance(value, dict) and "additionalProperties" not in extra:
                raise ValuesError(f"{'.'.join(path)}: say in @schema what its additionalProperties are")
            yield Value(path, value, text, extra)
        elif isinstance(value, dict) and value:
            yield from _walk(value, path, comments, dependencies)
        elif path[0] not in dependencies:
            raise ValuesError(f"{'.'.join(path)}: no comment above it begins with `# --`")


def _comments(text: str) -> Iterator[tuple[tuple[str, ...], tuple[str, dict[str, Any]]]]:
    """Path of a key -> its description and what `@schema` says."""
    stack: list[tuple[int, str]] = []
    block: list[str] = []
    for line in text.splitlines():
        if comment := _COMMENT.match(line):
            block.append(comment[1] or "")
            continue
        if found := _KEY.match(line):
            indent = len(found[1])
            while stack and stack[-1][0] >= indent:
                stack.pop()
            stack.append((indent, found[2]))
            path = tuple(key for _, key in stack)
            begin = next((number for number, one in enumerate(block) if one.startswith(_DESCRIPTION)), None)
            if begin is not None:
                yield path, _parsed(path, block[begin:])
            elif any(one.startswith(_SCHEMA) for one in block):
                raise ValuesError(f"{'.'.join(path)}: @schema without a description")
        block = []


def _parsed(path: tuple[str, ...], block: list[str]) -> tuple[str, dict[str, Any]]:
    words = [block[0].removeprefix(_DESCRIPTION)]
    extra: dict[str, Any] = {}
    for line in block[1:]:
        if line.startswith(_SCHEMA):
            try:
                extra = json.loads(line.removeprefix(_SCHEMA))
            except ValueError as error:
                raise ValuesError(f"{'.'.join(path)}: @schema is no JSON: {error}") from None
        else:
            words.append(line.strip())
    return " ".join(words), extra
