"""Sets by key that vanish when they are empty: what is gone takes no memory."""

from __future__ import annotations

from typing import TypeVar

_K = TypeVar("_K")
_V = TypeVar("_V")


def discard(index: dict[_K, set[_V]], key: _K, value: _V) -> None:
    """Takes a value out of the set of a key, and the key out of the index with its last value."""
    found = index.get(key)
    if found is not None:
        found.discard(value)
        if not found:
            del index[key]
