"""Plain values to YAML text with comments, for people to read and keep in git.

In: mappings, lists, texts, numbers, booleans, and comments by field path. Out: text that every YAML reader, 1.1 or 1.2,
reads back as exactly these values: what could be taken for something else stands in double quotes.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping, Sequence
from typing import Final

from sipgateway.source.documents import is_text

_WIDTH: Final = 110
#: Texts that need no quotes anywhere: they begin like a word or an absolute path, and hold no `: `, ` #` or blank.
_PLAIN = re.compile(r"[A-Za-z_/][A-Za-z0-9_./@+=~-]*(?::[A-Za-z0-9_./@+=~-]+)*", re.ASCII)
_IPV4 = re.compile(r"[0-9]{1,3}(?:\.[0-9]{1,3}){3}", re.ASCII)
_ESCAPES: Final[Mapping[str, str]] = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\0": "\\0"}


def emit(value: Mapping[str, object], comments: Mapping[str, Sequence[str]] | None = None) -> str:
    """One document, without `---`.

    Args:
        value: the object.
        comments: field path (`spec.variables[0]`) -> comments above it; the empty path stands at the top.
    """
    lines: list[str] = []
    notes = comments or {}
    lines += _comment(notes.get("", ()), 0)
    _mapping(value, "", 0, lines, notes)
    return "\n".join(lines) + "\n"


def comment(texts: Sequence[str], indent: int = 0) -> str:
    """Comments alone, each wrapped."""
    return "".join(f"{line}\n" for line in _comment(texts, indent))


def scalar(value: object) -> str:
    """One scalar as YAML."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    text = str(value)
    if _IPV4.fullmatch(text) or (_PLAIN.fullmatch(text) and is_text(text)):
        return text
    return '"' + "".join(_ESCAPES.get(c) or (c if c.isprintable() else _escaped(c)) for c in text) + '"'


def _escaped(character: str) -> str:
    code = ord(character)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _mapping(
    value: Mapping[str, object], path: str, indent: int, lines: list[str], notes: Mapping[str, Sequence[str]]
) -> None:
    blank = " " * indent
    for key, item in value.items():
        inner = f"{path}.{key}" if path else key
        lines += _comment(notes.get(inner, ()), indent)
        name = scalar(key)
        if isinstance(item, Mapping) and item:
            lines.append(f"{blank}{name}:")
            _mapping(item, inner, indent + 2, lines, notes)
        elif isinstance(item, Sequence) and not isinstance(item, str) and item:
            lines.append(f"{blank}{name}:")
            for index, entry in enumerate(item):
                _entry(entry, f"{inner}[{index}]", indent + 2, lines, notes)
        else:
            lines.append(f"{blank}{name}: {_flat(item)}")


def _entry(entry: object, path: str, indent: int, lines: list[str], notes: Mapping[str, Sequence[str]]) -> None:
    lines += _comment(notes.get(path, ()), indent)
    blank = " " * indent
    if not isinstance(entry, Mapping) or not entry:
        lines.append(f"{blank}- {_flat(entry)}")
        return
    start = len(lines)
    _mapping(entry, path, indent + 2, lines, notes)
    first = next(i for i in range(start, len(lines)) if not lines[i].lstrip().startswith("#"))
    lines[first] = f"{blank}- {lines[first].lstrip()}"


def _flat(item: object) -> str:
    """A scalar, or an empty mapping or list."""
    if isinstance(item, Mapping):
        return "{}"
    return scalar(item) if item is None or isinstance(item, str | int | bool) else "[]"


def _comment(texts: Sequence[str], indent: int) -> list[str]:
    prefix = " " * indent + "# "
    lines: list[str] = []
    for text in texts:
        printable = "".join(c if c.isprintable() else " " for c in text)
        lines += textwrap.wrap(
            printable,
            _WIDTH,
            initial_indent=prefix,
            subsequent_indent=prefix,
            break_on_hyphens=False,
            break_long_words=False,
        ) or [prefix.rstrip()]
    return lines
