"""One event socket connection, without the socket: bytes in, bytes out. The rules of mod_event_socket (fact 27).

In: what the client sent. Out: what to send back, and whether to hang up. Commands of one connection run one after
another; events wait while a command runs and follow its reply.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable

from sipgateway.simulator.commands import execute
from sipgateway.simulator.events import Event
from sipgateway.simulator.journal import Command
from sipgateway.simulator.switch import Switch

GREETING = b"Content-Type: auth/request\n\n"
_GOODBYE = b"Disconnected, goodbye.\nSee you at ClueCon! http://www.cluecon.com/\n"
DISCONNECT = b"Content-Type: text/disconnect-notice\nContent-Length: %d\n\n" % len(_GOODBYE) + _GOODBYE
_NAMES = frozenset(
    {
        "CUSTOM", "CHANNEL_CREATE", "CHANNEL_DESTROY", "CHANNEL_STATE", "CHANNEL_ANSWER", "CHANNEL_HANGUP",
        "CHANNEL_HANGUP_COMPLETE", "BACKGROUND_JOB", "HEARTBEAT", "RELOADXML", "SHUTDOWN", "MODULE_LOAD", "API",
        "LOG", "RE_SCHEDULE", "PUBLISH", "UNPUBLISH", "GENERAL", "COMMAND", "ALL",
    }
)  # fmt: skip
_MAX_REQUEST = 1 << 20


class Listener:
    """The state of a connection.

    Args:
        switch: that it talks to.
        password: of the event socket.
        tell: is told that there is something to send.
    """

    def __init__(self, switch: Switch, password: str, tell: Callable[[], None]) -> None:
        self.closing = False
        self._switch = switch
        self._password = password
        self._tell = tell
        self._input = b""
        self._output = bytearray(GREETING)
        self._events: list[Event] = []
        self._authenticated = False
        self._subscribed: set[str] = set()
        self._custom: set[str] = set()
        self._listening = False
        switch.listeners.append(self._hear)

    def close(self) -> None:
        """Stops listening to the switch."""
        if self._hear in self._switch.listeners:
            self._switch.listeners.remove(self._hear)

    def feed(self, data: bytes) -> None:
        """Takes bytes from the client."""
        self._input += data
        if len(self._input) > _MAX_REQUEST:
            self._hang_up()

    def pending(self) -> bool:
        """Whether a whole command waits to be run."""
        return not self.closing and b"\n\n" in self._input.replace(b"\r\n", b"\n")

    def step(self) -> None:
        """Runs the next whole command, if there is one. Its reply goes before the events that it caused."""
        self._input = self._input.replace(b"\r\n", b"\n")
        request, separator, rest = self._input.lstrip(b"\n").partition(b"\n\n")
        if not separator:
            return
        self._input = rest
        command, *headers = request.decode("utf-8", "surrogateescape").split("\n")
        self._run(command, dict(self._header(line) for line in headers))
        if not self._input.strip(b"\n"):
            self._input = b""

    def output(self) -> bytes:
        """Takes what is to be sent, events last."""
        for event in self._events:
            self._output += event.plain(self._switch.origin)
        self._events.clear()
        data = bytes(self._output)
        self._output.clear()
        return data

    def disconnect(self) -> None:
        """Says good-bye, as a switch that stops."""
        self._hang_up()

    def _run(self, command: str, headers: dict[str, str]) -> None:
        lowered = command.lower()
        if lowered.startswith(("exit", "...")):
            self._reply("+OK bye")
            self._hang_up()
        elif not self._authenticated:
            self._authenticate(command)
        elif lowered.startswith("api "):
            self._api(command[4:])
        elif lowered.startswith("bgapi "):
            self._bgapi(command[6:], headers)
        elif lowered.startswith("event"):
            self._subscribe(command)
        elif lowered.startswith("nixevent"):
            self._unsubscribe(command)
        elif lowered.startswith("noevents"):
            self._reply("+OK no longer listening for events" if self._listening else "-ERR not listening for events")
            self._listening = False
            self._subscribed.clear()
            self._custom.clear()
        else:
            self._reply("-ERR command not found")

    def _authenticate(self, command: str) -> None:
        if not command.lower().startswith("auth "):
            self._reply("-ERR command not found")
            return
        if command[5:] == self._password:
            self._authenticated = True
            self._reply("+OK accepted")
            return
        self._reply("-ERR invalid")
        self._hang_up()

    def _api(self, line: str) -> None:
        body = self._execute("api", line).encode("utf-8", "surrogateescape")
        self._output += b"Content-Type: api/response\nContent-Length: %d\n\n" % len(body) + body

    def _bgapi(self, line: str, headers: dict[str, str]) -> None:
        job = headers.get("job-uuid") or str(uuid.uuid4())
        self._output += f"Content-Type: command/reply\nReply-Text: +OK Job-UUID: {job}\nJob-UUID: {job}\n\n".encode()
        name, _, argument = line.partition(" ")
        body = self._execute("bgapi", line)
        described = [("Job-UUID", job), ("Job-Command", name)]
        if argument:
            described.append(("Job-Command-Arg", argument))
        self._switch.fire("BACKGROUND_JOB", "", tuple(described), body)

    def _execute(self, kind: str, line: str) -> str:
        spent = time.process_time()
        body = execute(self._switch, line)
        self._switch.commands.append(Command(self._switch.now(), f"{kind} {line}", body.partition("\n")[0], spent))
        return body

    def _subscribe(self, command: str) -> None:
        words = command.split(" ")[1:]
        if words and words[0].lower() in {"plain", "xml", "json"}:
            words = words[1:]
        known = self._keys(words, self._subscribed.add, self._custom.add)
        if not known:
            self._reply("-ERR no keywords supplied")
            return
        self._listening = True
        self._reply("+OK event listener enabled plain")

    def _unsubscribe(self, command: str) -> None:
        known = self._keys(command.split(" ")[1:], self._subscribed.discard, self._custom.discard, forget=True)
        self._reply("+OK events nixed" if known else "-ERR no keywords supplied")

    def _keys(
        self, words: list[str], event: Callable[[str], None], custom: Callable[[str], None], *, forget: bool = False
    ) -> int:
        """Goes through the words as mod_event_socket does: everything after CUSTOM is a subclass."""
        known = 0
        inside = False
        for word in words:
            if inside:
                custom(word)
            elif word.upper() in _NAMES:
                known += 1
                inside = word.upper() == "CUSTOM"
                if not (inside and forget):
                    event(word.upper())
        return known

    def _hear(self, event: Event) -> None:
        if not self._listening or self.closing:
            return
        every = "ALL" in self._subscribed
        if event.name == "CUSTOM":
            wanted = every or ("CUSTOM" in self._subscribed and event.subclass in self._custom)
        else:
            wanted = every or event.name in self._subscribed
        if wanted:
            self._events.append(event)
            self._tell()

    def _reply(self, text: str) -> None:
        self._output += f"Content-Type: command/reply\nReply-Text: {text}\n\n".encode("utf-8", "surrogateescape")

    def _hang_up(self) -> None:
        self._output += DISCONNECT
        self._events.clear()
        self.closing = True

    @staticmethod
    def _header(line: str) -> tuple[str, str]:
        name, _, value = line.partition(":")
        return name.strip().lower(), value.strip()
