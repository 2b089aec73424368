"""Reads tests/transcripts: what a FreeSWITCH 1.10.12 and its client really said to each other, byte for byte.

A line `> ` is of the client, `< ` of the switch, `#` a remark. A message's lines are joined by line feeds without one
at the end, so an empty last line stands for the message's own last line feed.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby, pairwise
from pathlib import Path

FOLDER = Path(__file__).parent.parent / "transcripts"
NAMES = sorted(path.stem for path in FOLDER.glob("*.txt"))


@dataclass(frozen=True, slots=True)
class Turn:
    """What one side said before the other spoke: whole messages, exact bytes."""

    ours: bool
    messages: tuple[bytes, ...]


def turns(name: str) -> tuple[Turn, ...]:
    """A transcript's turns in order."""
    lines = (FOLDER / f"{name}.txt").read_bytes().split(b"\n")
    spoken = [line for line in lines if line and not line.startswith(b"#")]
    found: list[Turn] = []
    for ours, group in groupby(spoken, lambda line: line.startswith(b">")):
        said = [line[2:] for line in group]
        found.append(Turn(ours, tuple(_commands(said) if ours else _messages(b"\n".join(said)))))
    return tuple(found)


def switch_messages(name: str) -> list[bytes]:
    """Everything that the switch said, message by message."""
    return [message for turn in turns(name) if not turn.ours for message in turn.messages]


def bodies(name: str, command: str) -> list[str]:
    """The bodies of the answers to one `api` command, in order; events that came before the answer are left out."""
    found: list[str] = []
    for ask, answer in pairwise(turns(name)):
        if ask.ours and ask.messages[-1] == f"api {command}\n\n".encode():
            found += [m.partition(b"\n\n")[2].decode() for m in answer.messages if b"api/response" in m[:30]]
    return found


def _commands(lines: list[bytes]) -> list[bytes]:
    return [line + b"\n\n" for line in lines if line]


def _messages(said: bytes) -> list[bytes]:
    found: list[bytes] = []
    while said:
        head, _, rest = said.partition(b"\n\n")
        length = 0
        for line in head.split(b"\n"):
            if line.startswith(b"Content-Length: "):
                length = int(line.removeprefix(b"Content-Length: "))
        assert len(rest) >= length, f"the transcript is cut off in {head!r}"
        found.append(head + b"\n\n" + rest[:length])
        rest = rest[length:]
        assert rest[:1] in {b"", b"\n"}, f"no line feed between messages, but {rest[:20]!r}"
        said = rest[1:]
    return found
