"""The switch's global variables, and how `$${name}` in a line is replaced by them (fact 6).

In: variables before, `set`s, lines as written. Out: expanded lines, variables afterwards. Text is kept as bytes, as the
switch does; what is not UTF-8 survives a round trip (surrogateescape).

Source: `expand_vars` in FreeSWITCH's switch_xml.c, `switch_core_set_variable` in switch_core.c.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType

#: The switch's line buffer grows in steps of this many bytes.
LINE_BLOCK = 1024

_BRACE = re.compile(rb"[{}]")
_CALL_VARIABLE = re.compile(rb"\$(\\*\{)")


def as_text(data: bytes) -> str:
    """Bytes of a configuration file as text."""
    return data.decode("utf-8", "surrogateescape")


def as_bytes(text: str) -> bytes:
    """The reverse of `as_text`."""
    return text.encode("utf-8", "surrogateescape")


class GlobalVariables:
    """The switch's global variables: names compared without case, an empty value removes (fact 33)."""

    def __init__(self, initial: Mapping[str, str]) -> None:
        self._by_name = {as_bytes(name).lower(): (name, as_bytes(value)) for name, value in initial.items()}

    def get(self, name: bytes) -> bytes:
        """The value, empty when there is none."""
        return self._by_name.get(name.lower(), ("", b""))[1]

    def set(self, name: bytes, value: bytes) -> None:
        """Sets a variable as the directive `set` does."""
        self._by_name.pop(name.lower(), None)
        if value:
            self._by_name[name.lower()] = (as_text(name), _without_call_variables(value))

    def result(self) -> Mapping[str, str]:
        """All variables, by the names they were last set with."""
        return MappingProxyType({name: as_text(value) for name, value in self._by_name.values()})


def _without_call_variables(value: bytes) -> bytes:
    r"""`${x}` in a global variable becomes `%{x}` (`switch_string_var_check`); backslashes may stand between."""
    return _CALL_VARIABLE.sub(rb"%\1", value)


def _closing_brace(text: bytes, opening: int) -> int:
    """Position of the `}` that closes the `{` at `opening`, -1 without one; inner pairs are skipped."""
    depth = 0
    for brace in _BRACE.finditer(text, opening):
        depth += 1 if brace.group() == b"{" else -1
        if not depth:
            return brace.start()
    return -1


def expand(written: bytes, variables: GlobalVariables, room: Callable[[], int]) -> tuple[bytes, bytes, bool]:
    """Replaces `$${name}` in one line.

    Args:
        written: the line.
        variables: where names are looked up; an unknown one is empty (fact 6).
        room: tells the size of the buffer that the result is written to, in bytes.

    Returns:
        What later steps see of the line as written (the end of the first name cuts it, a C string), the line
        expanded, and whether it did not fit and lost its rest.
    """
    out: list[bytes] = []  # text and value by turns
    position = 0
    seen = written
    while (opening := written.find(b"$${", position)) >= 0:
        closing = _closing_brace(written, opening + 2)
        if closing < 0:  # not closed: copied as it is; an inner one may still be
            out += (written[position : opening + 3], b"")
            position = opening + 3
            continue
        if len(seen) == len(written):
            seen = written[:closing]
        out += (written[position:opening], variables.get(written[opening + 3 : closing]))
        position = closing + 1
    out.append(written[position:])
    line = b"".join(out)
    if len(line) < 2 * LINE_BLOCK - 1 or seen is written:
        return seen, line, False
    size = 0
    for i, part in enumerate(out):
        size += len(part)
        if i % 2 and size >= room():  # a value that passes the buffer's end is cut there, with all that follows
            return seen, line[: room()], True
        if size >= room() - 1:  # met by text, or exactly: another try in twice the room, but on what the first one left
            again, line, _ = expand(seen, variables, lambda: 2 * room())
            return again, line, True
    return seen, line, False
