"""What happened, kept by those to whom it happened: etcd, the switches, the kernel. Nothing is sampled.

In: a control plane, a pod, a folder. Out: every version of every object; every command, SIP message and gap of each
switch; every write below an include. Who kills a switch asks it first (`SwitchHistory.last_words`).
"""

from __future__ import annotations

import base64
import ctypes
import http.client
import json
import os
import re
import struct
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.agent_kube.pods import SwitchPod
from tests.controlplane.api import Api
from tests.controlplane.plane import ControlPlane
from tests.ring.fleet import Rows, rows

_KILL = re.compile(r" killgw (\S+)")
_MARK = "c2lwZ3ctY2hhb3M="  # a key of our own, outside of Kubernetes


@dataclass(frozen=True, slots=True)
class Version:
    """One version of an object: its key in etcd, and its bytes, empty when it was deleted."""

    key: str
    value: bytes


class EtcdHistory:
    """All writes to etcd, in their order. etcd forgets what is older than five minutes: `read` more often."""

    def __init__(self, plane: ControlPlane) -> None:
        self._access = plane._etcd_access
        self._since = self._mark()

    def _mark(self) -> int:
        with Api(self._access) as etcd:
            return int(etcd.create("/v3/kv/put", {"key": _MARK, "value": "AA=="})["header"]["revision"])

    def read(self) -> list[Version]:
        """What was written since the last call."""
        end = self._mark()
        place = urlsplit(self._access.server)
        tls = self._access.ssl_context()
        wire = http.client.HTTPSConnection(place.hostname or "", place.port, timeout=30, context=tls)
        try:
            asked = {"key": "AA==", "range_end": "AA==", "start_revision": str(self._since)}
            wire.request("POST", "/v3/watch", json.dumps({"create_request": asked}))
            found = list(_until(wire.getresponse(), end))
        finally:
            wire.close()
        self._since = end + 1
        return found


def _until(lines: Iterable[bytes], end: int) -> Iterator[Version]:
    for line in lines:
        result = json.loads(line)["result"]
        if "compact_revision" in result:
            raise AssertionError(f"etcd has forgotten what was written before {result['compact_revision']}")
        for event in result.get("events", ()):
            pair = event["kv"]
            if pair["key"] != _MARK:
                yield Version(base64.b64decode(pair["key"]).decode(), base64.b64decode(pair.get("value", "")))
            elif int(pair["mod_revision"]) >= end:
                return
    raise AssertionError("etcd has ended the watch")


@dataclass(slots=True)
class Life:
    """A switch from its start, or from the round's, to its end or the round's.

    Attributes:
        began: whether it was started in this round.
        commands: what it was told over the event socket.
        messages: SIP messages that it sent.
        changes: when calls through a gateway could go out, by its name: (moment, UP, DOWN or GONE).
        leaked: locks of profiles that were never given back (fact 28).
        ghosts: gateways with more copies than the marked ones explain (fact 11): name -> copies.
    """

    began: bool
    commands: list[dict[str, Any]]
    messages: list[dict[str, Any]]
    changes: dict[str, list[tuple[float, str]]]
    leaked: int = 0
    ghosts: dict[str, int] = field(default_factory=dict)


class SwitchHistory:
    """What one switch was told and did, round by round."""

    def __init__(self, pod: SwitchPod) -> None:
        self._pod = pod
        self._began = True
        self._commands = self._messages = 0
        self._changes: dict[str, int] = {}
        self._lives: list[Life] = []
        self._killed: Counter[str] = Counter()

    def last_words(self, names: Iterable[str]) -> None:
        """Asks it for everything and kills it; nothing can happen in between, because it is frozen for that."""
        self._pod.simulator.resume()
        copies = rows(self._pod)
        self._pod.control("freeze", on=True)
        self._ask(names, copies)
        self._pod.simulator.kill()
        self._killed.clear()
        self._began, self._commands, self._messages, self._changes = True, 0, 0, {}

    def read(self, names: Iterable[str]) -> list[Life]:
        """The lives of this round, which ends with that."""
        self._ask(names, rows(self._pod))
        lives, self._lives, self._began = self._lives, [], False
        return lives

    def _ask(self, names: Iterable[str], copies: Rows) -> None:
        pod = self._pod
        commands = pod.control("commands", since=self._commands)
        messages = pod.control("journal", since=self._messages)
        changes: dict[str, list[tuple[float, str]]] = {}
        for name in names:
            found = pod.control("availability", gateway=name)["changes"]
            changes[name] = [(at, how) for at, how in found[self._changes.get(name, 0) :]]
            self._changes[name] = len(found)
        leaked = sum(p["leaked_locks"] for p in pod.control("profiles").values())
        self._killed.update(match[1] for c in commands if (match := _KILL.search(str(c["text"]))))
        ghosts = {name: len(found) for name, found in copies.items() if len(found) > 1 + self._killed[name]}
        self._commands += len(commands)
        self._messages += len(messages)
        self._lives.append(Life(self._began, commands, messages, changes, leaked, ghosts))


_IN_MODIFY, _IN_CLOSE_WRITE, _IN_MOVED_FROM, _IN_MOVED_TO, _IN_DELETE = 0x2, 0x8, 0x40, 0x80, 0x200
_IN_OVERFLOW = 0x4000
_HEAD = struct.Struct("iIII")


@dataclass(frozen=True, slots=True)
class Written:
    """What the kernel saw of a file that an include matches: `written` in place, `placed` by a rename, or `gone`."""

    path: Path
    how: str


class FolderHistory:
    """All that happens to `*.xml` in some folders, of which nothing gets lost between two looks (inotify)."""

    def __init__(self, folders: Iterable[Path]) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._handle = self._libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        self._folders: dict[int, Path] = {}
        mask = _IN_MODIFY | _IN_CLOSE_WRITE | _IN_MOVED_FROM | _IN_MOVED_TO | _IN_DELETE
        for folder in folders:
            watch = self._libc.inotify_add_watch(self._handle, os.fsencode(folder), mask)
            if watch < 0:
                raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), str(folder))
            self._folders[watch] = folder

    def close(self) -> None:
        """Ends it."""
        os.close(self._handle)

    def read(self) -> list[Written]:
        """What happened since the last call."""
        found: list[Written] = []
        while True:
            try:
                data = os.read(self._handle, 1 << 16)
            except BlockingIOError:
                return found
            while data:
                watch, mask, _, length = _HEAD.unpack_from(data)
                name = data[_HEAD.size : _HEAD.size + length].rstrip(b"\0").decode()
                data = data[_HEAD.size + length :]
                if mask & _IN_OVERFLOW:
                    raise AssertionError("more happened than the kernel keeps: look more often")
                if name.endswith(".xml") and not name.startswith("."):
                    found.append(Written(self._folders[watch] / name, _how(mask)))


def _how(mask: int) -> str:
    if mask & (_IN_MODIFY | _IN_CLOSE_WRITE):
        return "written"
    return "placed" if mask & _IN_MOVED_TO else "gone"
