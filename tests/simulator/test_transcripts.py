"""The recorded conversations with FreeSWITCH, held again with the simulator: the same bytes but for time and names."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from sipgateway.simulator import DrivenClock, Simulator, SimulatorConfig

FOLDER = Path(__file__).parents[1] / "transcripts"
#: What differs from run to run, and the gateways that the recorded switch had from before.
_VARIES = re.compile(
    r"(?<=^Core-UUID: ).*$|(?<=^FreeSWITCH-Hostname: ).*$|(?<=^FreeSWITCH-Switchname: ).*$|"
    r"(?<=^FreeSWITCH-IPv[46]: ).*$|(?<=^Event-Date-Local: ).*$|(?<=^Event-Date-GMT: ).*$|"
    r"(?<=^Event-Date-Timestamp: ).*$|(?<=^Event-Sequence: ).*$|(?<=<uptime-usec>)\d+|(?<=^Content-Length: )\d+$|"
    r"(?<=error near line )\d+|(?<=retry: )\d+|(?<=<retry>)\d+|\d+(?= (year|day|hour|minute|.*second))|s(?=, |$)|"
    r"^\d+ session.*\n|^min idle.*\n|^ +(internal|external)::(prov|dirgw)\t.*\n|"
    r"^  <gateway>\n    <name>(?:prov|dirgw)</name>\n(?:    .*\n)*  </gateway>\n",
    re.MULTILINE,
)
#: In these two recordings a retry happens to be under way.
_RETRYING = re.compile(r"(FAILED|FAIL_WAIT|UNREGED|TRYING)( \(retry: \w*\))?|    <retry>.*</retry>\n")
_PLAIN = '<gateway name="{}">\n<param name="register" value="false"/>\n<param name="proxy" value="{}"/>\n{}</gateway>\n'
_REGISTERS = (
    '<gateway name="{0}">\n<param name="username" value="{1}"/>\n<param name="password" value="{2}"/>\n'
    '<param name="proxy" value="{3}"/>\n<param name="realm" value="127.0.0.1"/>\n'
    '<param name="expire-seconds" value="600"/>\n<param name="retry-seconds" value="5"/>\n</gateway>\n'
)
_VARIABLE = '<variable name="v" value="2" direction="outbound"/>\n'


@dataclass(frozen=True)
class Turn:
    """What was sent, and the frames that came before the next thing was."""

    sent: str
    frames: Sequence[str]


def turns(name: str) -> list[Turn]:
    """A recording, taken apart; `#` notes are kept as what was sent."""
    found: list[Turn] = []
    sent = ""
    got: list[str] = []
    for line in (FOLDER / name).read_text(encoding="utf-8").splitlines():
        if line.startswith(("> ", "# ")) and line != "> ":
            found.append(Turn(sent, frames("\n".join(got))))
            sent, got = line.removeprefix("> "), []
        elif line.startswith("< "):
            got.append(line[2:])
    found.append(Turn(sent, frames("\n".join(got))))
    return found


def frames(text: str) -> list[str]:
    """Frames of what came: a frame begins with Content-Type or, an event, with Content-Length.

    The retries of a gateway of an earlier recording go on in the next one: they are left out.
    """
    starts = r"^(?=Content-Length: \d+\nContent-Type: text/event-plain)|^(?<!\d\n)(?=Content-Type: (?!text/event))"
    parts = [normal(part) for part in re.split(starts, text, flags=re.MULTILINE) if part.strip()]
    return [part for part in parts if not ("reg3" in text and "Gateway: reg2\nState: FAIL_WAIT" in part)]


def normal(text: str) -> str:
    """Without what differs from run to run; a frame's length follows from it."""
    return _VARIES.sub("", text).strip("\n")


class Replay:
    """A client that holds a recorded conversation with a simulator on a driven clock."""

    def __init__(self, simulator: Simulator, folder: Path) -> None:
        self.simulator = simulator
        self.external = folder / "sip_profiles" / "external"
        self.events: list[str] = []

    async def connect(self) -> str:
        self.reader, self.writer = await asyncio.open_connection(*self.simulator.esl_address)
        return normal(await self.frame())

    async def close(self) -> None:
        self.writer.close()
        await self.writer.wait_closed()

    async def frame(self) -> str:
        head = (await asyncio.wait_for(self.reader.readuntil(b"\n\n"), 5)).decode()
        length = re.search(r"Content-Length: (\d+)", head)
        body = await self.reader.readexactly(int(length.group(1))) if length else b""
        return head + body.decode()

    async def send(self, text: str) -> list[str]:
        """Sends, and gives what comes for it: the reply, a good-bye, the greeting of the next connection."""
        self.writer.write(text.encode() + b"\n\n")
        reply = await self._reply()
        if "+OK bye" not in reply and "-ERR invalid" not in reply:
            return [reply]
        notice = normal(await self.frame())
        await self.close()
        return [reply, notice, await self.connect()]

    async def events_until(self, count: int) -> list[str]:
        """Lets time pass until so many events came, 30 seconds at most."""
        for _ in range(600):
            self.writer.write(b"api strepoch\n\n")
            await self._reply()
            if len(self.events) >= count:
                break
            await self.simulator.advance(0.05)
        return self.events

    async def _reply(self) -> str:
        while "text/event-plain" in (frame := await self.frame()):
            self.events.append(normal(frame))
        return normal(frame)


def prepare(note: str, folder: Path) -> None:
    """Does what a `#` note of a recording says was done to the files."""
    if "plain1" in note:
        text = _PLAIN.format("plain1", "192.0.2.10", _VARIABLE if "changed" in note else "")
        put(folder, "plain1", text)
    elif "malformed" in note:
        put(folder, "bad", '<gateway name="bad">\n</gateways>\n')
    elif "removed" in note:
        for path in folder.glob("bad.xml" if "bad.xml" in note else "*.xml"):
            path.unlink()
    elif "reg1" in note and "unchanged" not in note:
        put(folder, "reg1", _REGISTERS.format("reg1", "alice", "pw-alice", "127.0.0.1:5070"))
    elif "reg2" in note:
        put(folder, "reg2", _REGISTERS.format("reg2", "bob", "wrong", "127.0.0.1:5070"))
    elif "reg3" in note:
        put(folder, "reg3", _REGISTERS.format("reg3", "carol", "pw-carol", "127.0.0.1:5999"))


def put(folder: Path, name: str, text: str) -> None:
    (folder / f"{name}.xml").write_text(f"<include>\n{text}</include>\n")


#: Loaded before the recording began: they were made one after another on one switch.
BEFORE = {
    "change-noreg.txt": ("plain1",),
    "register-replace.txt": ("reg1",),
    "errors.txt": ("plain1", "reg1", "reg2", "reg3"),
    "remove.txt": ("plain1", "reg1", "reg2", "reg3"),
}


async def replay(recording: str, folder: Path) -> tuple[list[str], list[str], list[str], list[str]]:
    registrars = ("127.0.0.1:5070=accept,wrong=401", "127.0.0.1:5999=unreachable")
    config = SimulatorConfig(folder, init=True, clock=DrivenClock(), registrars=registrars, phase=0.3)
    async with Simulator(config) as simulator:
        client = Replay(simulator, folder)
        for name in BEFORE.get(recording, ()):
            prepare(name, client.external)
            await simulator.api("sofia profile external rescan")
        await simulator.advance(13.0)
        recorded, said, events = [], [], 0
        for turn in turns(recording):
            replies = [frame for frame in turn.frames if "text/event-plain" not in frame]
            events += len(turn.frames) - len(replies)
            recorded += replies
            if turn.sent.startswith("#"):
                prepare(turn.sent, client.external)
            else:
                said += await client.send(turn.sent) if turn.sent else [await client.connect()]
            if events:
                await client.events_until(events)
        await client.close()
        wanted = [frame for turn in turns(recording) for frame in turn.frames if "text/event-plain" in frame]
        return recorded, said, wanted, client.events[:events]


@pytest.mark.parametrize("recording", sorted(path.name for path in FOLDER.glob("*.txt")))
def test_the_simulator_answers_as_the_recorded_switch(recording: str, tmp_path: Path) -> None:
    recorded, said, wanted_events, events = asyncio.run(replay(recording, tmp_path))
    if recording in {"errors.txt", "remove.txt"}:
        recorded = [_RETRYING.sub("", frame) for frame in recorded]
        said = [_RETRYING.sub("", frame) for frame in said]
    assert recorded
    assert said[: len(recorded)] == recorded
    assert events == wanted_events


def test_the_recordings_hold_what_they_are_compared_by() -> None:
    """The normalising must not normalise everything away."""
    text = "".join(frame for path in FOLDER.glob("*.txt") for turn in turns(path.name) for frame in turn.frames)
    for words in ("State: FAIL_WAIT", "Phrase: Operation%20has%20no%20matching", "<status>UP</status>", "+OK bye"):
        assert words in text
