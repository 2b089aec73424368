"""A gateway's variables as FreeSWITCH keeps them: an event's headers, with all their habits (facts 26, 33).

In: names and values in file order. Out: what `sofia_gateway_data` reads back.
"""

from __future__ import annotations

from collections.abc import Iterator

from sipgateway.simulator.words import atoi

_ARRAY = "ARRAY::"
_SEPARATOR = "|:"
_MAX_INDEX = 4000


class Variables:
    """Ordered headers; names are compared without regard to case, equal names are kept side by side."""

    def __init__(self) -> None:
        self._headers: list[tuple[str, str, list[str]]] = []

    def add(self, name: str, value: str) -> None:
        """Adds a variable as `switch_event_add_header_string` does.

        An empty value removes the name and earlier ones of it; `ARRAY::` is taken apart; `name[1]` is an index.
        """
        if "[" in name:
            base, _, index = name.partition("[")
            self._put(base, atoi(index), value)
            return
        if not value:
            self._remove(name)
            return
        if value.startswith(_ARRAY):
            if len(value) > len(_ARRAY):
                for piece in value[len(_ARRAY) :].split(_SEPARATOR):
                    self._push(name, piece)
            return
        self._headers.append((name, value, []))

    def get(self, name: str) -> str | None:
        """The first variable of that name in any case; None when there is none."""
        wanted = name.lower()
        for have, value, array in self._headers:
            if have.lower() == wanted:
                return _joined(array) if array else value
        return None

    def items(self) -> Iterator[tuple[str, str]]:
        """Names and values in order, as they are set on a channel."""
        for name, value, array in self._headers:
            yield name, _joined(array) if array else value

    def _remove(self, name: str) -> None:
        wanted = name.lower()
        self._headers = [header for header in self._headers if header[0].lower() != wanted]

    def _position(self, name: str) -> int | None:
        wanted = name.lower()
        return next((i for i, header in enumerate(self._headers) if header[0].lower() == wanted), None)

    def _push(self, name: str, piece: str) -> None:
        at = self._position(name)
        if at is None:
            if piece:
                self._headers.append((name, "", [piece]))
            return
        have, value, array = self._headers[at]
        self._headers[at] = (have, "", [*(array or [value]), piece])

    def _put(self, name: str, index: int, value: str) -> None:
        if not 0 <= index <= _MAX_INDEX:
            return
        at = self._position(name)
        array = [] if at is None else list(self._headers[at][2])
        array += [""] * (index + 1 - len(array))
        array[index] = value
        if at is None:
            self._headers.append((name, "", array))
        else:
            self._headers[at] = (self._headers[at][0], self._headers[at][1], array)


def _joined(array: list[str]) -> str:
    return array[0] if len(array) == 1 else _ARRAY + _SEPARATOR.join(array)
