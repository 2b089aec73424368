"""What must never be, looked for in what happened in one round. Pure: histories in, broken promises out, in words.

In: whose wanted version changed, and whom his owner let go; what switches and folders tell. The promises are those of
docs/design.md that a switch, its files or its callers could see broken.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from lxml import etree

from sipgateway.render.layout import file_name
from tests.ring.histories import Life, Written

_ABOUT_ONE = re.compile(r"sofia profile \S+ (killgw|register|unregister) (\S+)")
_WIDE = re.compile(r"sofia profile \S+ (restart|stop|start|startgw)\b|\b(_all_|all)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Judge:
    """Judges a round.

    Attributes:
        touched: gateway names that somebody changed.
        let_go: gateway names that somebody took away or moved.
    """

    touched: AbstractSet[str]
    let_go: AbstractSet[str]

    def life(self, life: Life) -> Iterator[str]:
        """A switch was told or did what it must not."""
        for command in life.commands:
            text, reply = str(command["text"]), str(command["reply"])
            if reply.startswith("-ERR NOREG"):
                yield f"{text} reached a gateway in NOREG (fact 28)"
            if _WIDE.search(text):
                yield f"{text} acts on more than one gateway"
            match = _ABOUT_ONE.search(text)
            if match and match[2] not in self.touched:
                yield f"{text} touched a gateway that nobody changed"
        for name, copies in life.ghosts.items():
            yield f"there were {copies} copies of {name}, more than were killed (fact 11)"
        if life.leaked:
            yield f"{life.leaked} locks of profiles are lost (fact 28)"
        for message in life.messages:
            method, name, expires = message["method"], message["gateway"], message["expires"]
            left = method == "REGISTER" and expires == 0
            if name not in self.touched and (left or not life.began):
                yield f"{method} (expires {expires}) of {name}, which nobody changed"
        for name, changes in life.changes.items():
            if name in self.touched:
                continue
            words = [how for _, how in changes]
            boot = words[: words.index("UP") + 1] if life.began and "UP" in words else words if life.began else []
            if words != boot:
                yield f"calls through {name}, which nobody changed, saw {words} (new switch: {life.began})"

    def written(self, written: Written, tampered: AbstractSet[str], garbled: bytes) -> Iterator[str]:
        """Below an include there was half a file, or a file went that nobody let go.

        Args:
            written: what the kernel saw.
            tampered: names of files that somebody else deleted or broke.
            garbled: what he put there.
        """
        path = written.path
        if written.how == "written":
            yield f"{path} was written in place: the switch could read half of it"
        elif written.how == "gone":
            # A tree that somebody broke is mended by taking files away that the switch has not read yet.
            may_go = self.let_go | (self.touched if tampered else frozenset())
            if path.name not in {file_name(name) for name in may_go} | tampered:
                yield f"{path} was taken away, and its owner wants it"
        else:
            try:
                data = path.read_bytes()
            except FileNotFoundError:
                return  # gone since, which has a line of its own
            if data != garbled and not _is_whole(data):
                yield f"{path} is half a file"


def _is_whole(data: bytes) -> bool:
    try:
        etree.fromstring(data)
    except etree.XMLSyntaxError:
        return False
    return True
