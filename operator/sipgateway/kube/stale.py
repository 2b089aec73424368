"""News that came too late: what is gone, and what a younger LIST knew better.

Watches, LISTs and answers to requests come over connections of their own, in any order. In: what was heard of objects
that are gone, and the versions of LISTs. Out: whether something that is heard now is older than that.
"""

from __future__ import annotations

from dataclasses import dataclass, field

#: Objects that are gone and may still come up in the answer to a request.
_REMEMBERED = 2048


@dataclass(slots=True)
class Stale:
    """What is known of the order of things."""

    _gone: dict[str, int | None] = field(default_factory=dict)
    _listed: dict[tuple[str, str | None], int] = field(default_factory=dict)

    def gone(self, uid: str, version: str | None = None) -> None:
        """An object is gone for good; or, with the version of that news, is gone or lost the labels we look for."""
        self._gone[uid] = None if version is None else int(version)
        if len(self._gone) > _REMEMBERED:
            del self._gone[next(iter(self._gone))]

    def is_gone(self, uid: str, version: str = "0") -> bool:
        """Whether this version of an object is from before it was gone."""
        if uid not in self._gone:
            return False
        gone = self._gone[uid]
        if gone is None or int(version) <= gone:
            return True
        del self._gone[uid]  # it had only lost our labels
        return False

    def listed(self, what: str, namespace: str | None, version: str) -> None:
        """A LIST of that version was taken in whole; of everywhere without a namespace."""
        self._listed[what, namespace] = int(version)

    def since(self, what: str, namespace: str, version: str) -> bool:
        """Whether a version is younger than the last LIST. If not, that LIST had the object, unless it was gone."""
        listed = max(self._listed.get((what, namespace), 0), self._listed.get((what, None), 0))
        return int(version) > listed
