"""The switch under test, simulated or real, and what a test does with it: files, commands, waiting, cleaning up.

Environment of a real one: docs/simulator.md. Nothing here assumes that the test is alone on the switch.
"""

from __future__ import annotations

import itertools
import json
import os
import re
import socket
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr, unescape

import pytest

from tests.contract.esl import Esl

EVENTS = "sofia::gateway_add sofia::gateway_delete sofia::gateway_state sofia::gateway_invalid_digest_req"
_NUMBERS = itertools.count(1)
_FIELD = re.compile(r"^    <([\w-]+)>(.*?)</\1>$", re.MULTILINE | re.DOTALL)
_QUOTES = {"&quot;": '"', "&apos;": "'"}


@dataclass(frozen=True)
class Where:
    """How the switch is reached. `speed`: seconds of the switch in a real one."""

    esl: tuple[str, int]
    password: str
    conf: Path
    registrar: str
    log: Path
    control: str | None = None
    speed: float = 1.0


@dataclass
class Lab:
    """One test's hold on the switch."""

    where: Where
    esl: Esl
    files: list[Path] = field(default_factory=list)
    names: set[str] = field(default_factory=set)
    seen: list[dict[str, str]] = field(default_factory=list)
    listener: Esl | None = None
    connections: list[Esl] = field(default_factory=list)
    log_from: int = 0

    # -- what it is ----------------------------------------------------------------------------------------------

    @property
    def simulated(self) -> bool:
        return self.where.control is not None

    @property
    def destructive(self) -> bool:
        return self.simulated or os.environ.get("SIPGW_SWITCH_DESTRUCTIVE") == "1"

    def only_simulated(self, reason: str) -> None:
        if not self.simulated:
            pytest.skip(f"on a real switch: {reason}")

    def only_destructive(self) -> None:
        if not self.destructive:
            pytest.skip("harms a real switch: SIPGW_SWITCH_DESTRUCTIVE=1 allows it")

    def control(self, do: str, **words: Any) -> Any:
        assert self.where.control is not None
        with socket.socket(socket.AF_UNIX) as door:
            door.connect(self.where.control)
            door.sendall(json.dumps({"do": do, **words}).encode() + b"\n")
            answer = json.loads(door.makefile("rb").readline())
        assert answer["ok"], answer
        return answer["result"]

    def now(self) -> float:
        return float(self.control("time")["now"]) if self.simulated else time.time()

    def connect(self, password: str | None = None) -> Esl:
        """Another connection, closed when the test is over."""
        connection = Esl(*self.where.esl, self.where.password if password is None else password)
        self.connections.append(connection)
        return connection

    def restart_switch(self) -> None:
        self.control("restart")
        self.esl = self.connect()

    # -- files ---------------------------------------------------------------------------------------------------

    def name(self, label: str = "gw") -> str:
        name = f"ct{os.getpid()}-{next(_NUMBERS)}-{label}"
        self.names.add(name)
        return name

    def folder(self, place: str) -> Path:
        return self.where.conf / ("directory_gateways" if place == "directory" else f"sip_profiles/{place}")

    def write(self, text: str | bytes, place: str = "external", file: str | None = None) -> Path:
        path = self.folder(place) / (file or f"ct{os.getpid()}-{next(_NUMBERS)}.xml")
        temporary = path.with_name(f".{path.name}.tmp")
        temporary.write_bytes(text.encode() if isinstance(text, str) else text)
        temporary.replace(path)
        if path not in self.files:
            self.files.append(path)
        return path

    def gateway(
        self,
        name: str,
        params: dict[str, str] | None = None,
        variables: Iterable[tuple[str, ...]] = (),
        place: str = "external",
        path: Path | None = None,
    ) -> Path:
        """Writes a gateway; without `register` in `params` it does not register."""
        given = {"register": "false", "proxy": "192.0.2.10"} | (params or {})
        lines = [f"<param name={quoteattr(key)} value={_attribute(value)}/>" for key, value in given.items()]
        lines += [
            f"<variable name={_attribute(v[0])} value={_attribute(v[1])}"
            + (f" direction={_attribute(v[2])}/>" if len(v) > 2 else "/>")
            for v in variables
        ]
        text = "\n".join(["<include>", f"<gateway name={_attribute(name)}>", *lines, "</gateway>", "</include>", ""])
        if name:
            self.names.add(name)
        return self.write(text, place, None if path is None else path.name)

    def registering(self, name: str, user: str = "alice", path: Path | None = None, **more: str) -> Path:
        """Writes a gateway that registers; a user that starts with `bad` has a wrong password."""
        password = "wrong" if user.startswith("bad") else f"pw-{user}"
        params = {"register": "true", "username": user, "password": password, "proxy": self.where.registrar}
        params |= {"retry-seconds": "5", "expire-seconds": "600"}
        return self.gateway(name, params | {key.replace("_", "-"): value for key, value in more.items()}, path=path)

    def remove(self, path: Path) -> None:
        path.unlink(missing_ok=True)

    # -- commands ------------------------------------------------------------------------------------------------

    def api(self, text: str) -> str:
        return self.esl.api(text)

    def rescan(self, profile: str = "external") -> str:
        return self.api(f"sofia profile {profile} rescan")

    def kill(self, name: str, profile: str = "external") -> str:
        return self.api(f"sofia profile {profile} killgw {name}")

    def replace(self, name: str, profile: str = "external") -> None:
        assert self.kill(name, profile).startswith("+OK")
        assert self.rescan(profile) == "Reload XML [Success]\n+OK scan complete\n"

    def xml(self, name: str) -> dict[str, str]:
        text = self.api(f"sofia xmlstatus gateway {name}")
        if text.startswith("Invalid"):
            return {}
        # No XML parser: what the switch prints is not always XML (fact 39).
        return {tag: unescape(value, _QUOTES) for tag, value in _FIELD.findall(text)}

    def state(self, name: str) -> str:
        return self.xml(name).get("state", "")

    def loaded(self, name: str) -> bool:
        return bool(self.xml(name))

    def value(self, name: str, variable: str, kind: str = "ovar") -> str | None:
        reply = self.api(f"sofia_gateway_data {name} {kind} {variable}")
        return None if reply == "-ERR no reply\n" else reply

    def rows(self, name: str) -> list[str]:
        return [line for line in self.api("sofia status").split("\n") if f"::{name}\t" in line]

    def journal(self, name: str, method: str = "REGISTER") -> list[dict[str, Any]]:
        return [message for message in self.control("journal", gateway=name) if message["method"] == method]

    def bindings(self, name: str) -> int:
        return sum(f"gw={name}>" in binding["contact"] for binding in self.control("bindings"))

    # -- waiting -------------------------------------------------------------------------------------------------

    def sleep(self, seconds: float) -> None:
        """Lets time of the switch pass, where a test is about time itself."""
        time.sleep(seconds / self.where.speed)

    def until(self, what: Callable[[], bool], seconds: float = 8.0) -> None:
        deadline = time.monotonic() + max(seconds / self.where.speed, 2.0)
        while not what():
            assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
            time.sleep(0.02)

    def until_state(self, name: str, *states: str, seconds: float = 8.0) -> None:
        deadline = time.monotonic() + max(seconds / self.where.speed, 2.0)
        while (state := self.state(name)) not in states:
            assert time.monotonic() < deadline, f"{name} is {state}, not {states}"
            time.sleep(0.02)

    def until_up(self, name: str) -> None:
        self.until(lambda: self.xml(name)["status"] == "UP")

    def until_logged(self, words: str, seconds: float = 8.0) -> None:
        self.until(lambda: words in self.log(), seconds)

    def listen(self) -> None:
        """Subscribes to the gateways' events, on a connection of its own."""
        self.listener = self.connect()
        reply = self.listener.command(f"event plain CUSTOM {EVENTS}")
        assert reply["Reply-Text"] == "+OK event listener enabled plain"

    def event(self, seconds: float = 8.0, **wanted: str) -> dict[str, str]:
        """The next event with these headers (`_` for `-`, `subclass` for the end of Event-Subclass).

        Events that do not fit stay for later calls.
        """
        assert self.listener is not None
        for event in self.seen:
            if _fits(event, wanted):
                self.seen.remove(event)
                return event
        deadline = time.monotonic() + max(seconds / self.where.speed, 2.0)
        while (left := deadline - time.monotonic()) > 0:
            came = self.listener.wait_event(left)
            if came is None:
                break
            if _fits(came, wanted):
                return came
            self.seen.append(came)
        raise AssertionError(f"no event {wanted}; seen {[_short(event) for event in self.seen]}")

    def deletion(self, name: str) -> dict[str, str]:
        return self.event(subclass="gateway_delete", Gateway=name)

    def log(self) -> str:
        """What the switch wrote to its log since the test began."""
        with self.where.log.open("rb") as file:
            file.seek(self.log_from)
            return file.read().decode("utf-8", "replace")

    # -- afterwards ----------------------------------------------------------------------------------------------

    def clean(self) -> None:
        for path in self.files:
            path.unlink(missing_ok=True)
        self.api("reloadxml")
        for name in self.names:
            if " " not in name and self.loaded(name):
                self.kill(name)
        mine = [name for name in self.names if len(name) < 200]
        self.until(lambda: not any(f"::{name}\t" in self.api("sofia status") for name in mine), 6.0)
        for connection in self.connections:
            connection.close()


def stamp(event: dict[str, str]) -> float:
    """When the switch fired an event, seconds since the epoch."""
    return int(event["Event-Date-Timestamp"]) / 1e6


def _fits(event: dict[str, str], wanted: dict[str, str]) -> bool:
    for key, value in wanted.items():
        have = (
            event.get("Event-Subclass", "").removeprefix("sofia::")
            if key == "subclass"
            else event.get(key.replace("_", "-"))
        )
        if have != value:
            return False
    return True


def _short(event: dict[str, str]) -> str:
    keys = ("Event-Subclass", "Gateway", "State", "Ping-Status", "Status", "Phrase")
    return " ".join(event.get(key, "") for key in keys)


def _attribute(value: str) -> str:
    """An XML attribute, its quotes included, that survives the pre-processor byte for byte."""
    out = "".join(
        character if character.isalnum() or character in " ./:;,@=_-+()*[]~|!" else f"&#{ord(character)};"
        for character in value
    )
    return f'"{out}"'
