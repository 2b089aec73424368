"""An API server in memory, and the operator's world, decisions and publisher on it, one step at a time.

In: what users, others and failures do. Out: every write as it happens. There is no clock and no loop: a request is
sent, carried out and answered by three steps of their own, so that a test can put anything between them. It is for
orders of events that a real API server gives once in a year; that the requests are right is shown on a real one.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Coroutine, Generator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

from sipgateway.api.names import LABEL_CREDENTIALS, LABEL_KEYS, LABEL_NAME, LABEL_SWITCH
from sipgateway.cluster.access import Access
from sipgateway.cluster.client import MERGE, Api, ApiError
from sipgateway.kube.decide import Decision, decide
from sipgateway.kube.metrics import Metrics
from sipgateway.kube.publish import Outcome, Publisher
from sipgateway.kube.records import FleetId, Key, config_map_key
from sipgateway.kube.world import World
from sipgateway.kube.writes import Writes

Obj: TypeAlias = dict[str, Any]
NAMESPACE = "voice"


def key_of(name: str) -> Key:
    """Which SipGateway."""
    return Key(NAMESPACE, name)


class Server:
    """The objects of one namespace, and everything that became of them.

    Attributes:
        on_write: told of each change of an object: by whom, its plural, before, after (None for not there).
    """

    def __init__(self, on_write: Callable[[str, str, Obj | None, Obj | None], None] = lambda *_: None) -> None:
        self.version = 0
        self.objects: dict[tuple[str, str], Obj] = {}
        self.log: list[tuple[int, str, Obj | None, Obj | None]] = []
        self.on_write = on_write

    def find(self, plural: str, name: str) -> Obj | None:
        """An object as it is now."""
        found = self.objects.get((plural, name))
        return copy.deepcopy(found) if found is not None else None

    def all(self, plural: str) -> list[Obj]:
        """All objects of a kind."""
        return [copy.deepcopy(obj) for (kind, _), obj in sorted(self.objects.items()) if kind == plural]

    def store(self, who: str, plural: str, obj: Obj) -> Obj:
        """Creates or replaces an object; nothing happens when it is as it was."""
        meta = obj["metadata"]
        before = self.find(plural, meta["name"])
        if before is not None and before == obj:
            return before
        self.version += 1
        meta["namespace"] = NAMESPACE
        meta["resourceVersion"] = str(self.version)
        meta["uid"] = before["metadata"]["uid"] if before else f"uid-{self.version}"
        if plural == "sipgateways":
            changed = before is None or before.get("spec") != obj.get("spec")
            meta["generation"] = (before["metadata"]["generation"] if before else 0) + changed
        self.objects[plural, meta["name"]] = copy.deepcopy(obj)
        self._note(who, plural, before, obj)
        return copy.deepcopy(obj)

    def remove(self, who: str, plural: str, name: str) -> None:
        """Deletes an object; what it owns is left for `collect`."""
        before = self.objects.pop((plural, name))
        self.version += 1
        self._note(who, plural, before, None)

    def _note(self, who: str, plural: str, before: Obj | None, after: Obj | None) -> None:
        self.log.append((self.version, plural, copy.deepcopy(before), copy.deepcopy(after)))
        self.on_write(who, plural, before, after)

    def orphans(self) -> list[str]:
        """ConfigMaps that the garbage collector may delete: their owner is gone."""
        alive = {obj["metadata"]["uid"] for obj in self.all("sipgateways")}
        return [
            obj["metadata"]["name"]
            for obj in self.all("configmaps")
            if (owners := obj["metadata"].get("ownerReferences")) and not any(o["uid"] in alive for o in owners)
        ]

    # Requests of the operator

    def request(self, method: str, path: str, body: Obj | None) -> Obj:
        """Carries a request out.

        Raises:
            ApiError: as the API server would.
        """
        plural, name = _parse(path)
        found = self.find(plural, name)
        body = copy.deepcopy(body or {})
        match method:
            case "POST":
                name = body["metadata"]["name"]
                if self.find(plural, name) is not None:
                    raise ApiError(409, "AlreadyExists", f"{plural} {name} already exists")
                return self.store("operator", plural, body)
            case "GET" | "PATCH" | "DELETE" if found is None:
                raise ApiError(404, "NotFound", f"{plural} {name} not found")
            case "GET" if found is not None:
                return found
            case "PATCH" if found is not None:
                wanted = body["metadata"].pop("resourceVersion", None)
                if wanted not in {None, found["metadata"]["resourceVersion"]}:
                    raise ApiError(409, "Conflict", f"{plural} {name} was modified")
                if found.get("immutable") and "data" in body:
                    raise ApiError(422, "Invalid", "field is immutable")
                merged = _merge(found, body)
                merged = {k: v for k, v in merged.items() if v is not None}
                return self.store("operator", plural, merged)
            case "DELETE" if found is not None:
                for field_name, value in body["preconditions"].items():
                    if found["metadata"][field_name] != value:
                        raise ApiError(409, "Conflict", f"precondition {field_name}")
                self.remove("operator", plural, name)
                return {"kind": "Status", "status": "Success"}
        raise AssertionError(method)


class Call:
    """A request that was sent: to be carried out, then answered."""

    def __init__(self, method: str, path: str, body: Obj | None) -> None:
        self.method, self.path, self.body = method, path, copy.deepcopy(body)
        self.carried_out = False
        self.answer: Obj | ApiError = {}

    def __await__(self) -> Generator[Call, Obj, Obj]:
        return (yield self)

    def carry_out(self, server: Server) -> None:
        """The server does it."""
        self.carried_out = True
        try:
            self.answer = server.request(self.method, self.path, self.body)
        except ApiError as error:
            self.answer = error


class SimulatedApi(Api):
    """Sends requests to nobody: each is handed to whoever drives the coroutine."""

    def __init__(self) -> None:
        super().__init__(Access("https://nowhere.example.com"))

    async def get(self, path: str, params: Mapping[str, str] | None = None) -> Obj:  # noqa: ARG002
        return await Call("GET", path, None)

    async def create(self, path: str, body: Obj) -> Obj:
        return await Call("POST", path, body)

    async def patch(
        self,
        path: str,
        body: Obj,
        *,
        kind: str = MERGE,
        params: Mapping[str, str] | None = None,  # noqa: ARG002
    ) -> Obj:
        assert kind == MERGE
        return await Call("PATCH", path, body)

    async def delete(self, path: str, *, uid: str, version: str | None = None) -> Obj:
        preconditions = {"uid": uid} | ({"resourceVersion": version} if version else {})
        return await Call("DELETE", path, {"preconditions": preconditions})


@dataclass
class Look:
    """A look at one SipGateway that is under way."""

    decision: Decision
    coroutine: Coroutine[Any, Any, Outcome]
    call: Call


#: What the operator watches: a plural, and whether an object is among what it asked for.
STREAMS: dict[str, tuple[str, Callable[[Obj], bool]]] = {
    "gateways": ("sipgateways", lambda _: True),
    "config maps": ("configmaps", lambda o: LABEL_SWITCH in _labels(o) and _labels(o).get(LABEL_NAME) == "sipgateway"),
    "secrets": ("secrets", lambda o: _labels(o).get(LABEL_CREDENTIALS) == "true"),
    "keys": ("secrets", lambda o: LABEL_KEYS in _labels(o)),
}


@dataclass
class Replica:
    """One operator's memory and what it has under way; it is dead when nobody drives it any more."""

    server: Server
    world: World = field(init=False)
    publisher: Publisher = field(init=False)
    hinted: dict[Key, None] = field(default_factory=dict)
    later: set[Key] = field(default_factory=set)
    looks: dict[Key, Look] = field(default_factory=dict)
    cursors: dict[str, int] = field(default_factory=dict)
    outcomes: list[tuple[Key, Decision, Outcome]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.world = World(self._hint)
        self.publisher = Publisher(Writes(SimulatedApi(), Metrics(), lambda: None), self.world)
        for stream in STREAMS:
            self.list_all(stream)
        self.hinted = dict.fromkeys({*self.world.gateways, *self.world.config_maps})

    def _hint(self, key: Key, content: bool) -> None:
        if content:
            self.hinted[key] = None

    # Watches

    def list_all(self, stream: str) -> None:
        """A LIST of all that a watch asks for."""
        plural, wanted = STREAMS[stream]
        uids = set()
        for obj in self.server.all(plural):
            if wanted(obj):
                uids.add(obj["metadata"]["uid"])
                self._take(stream, obj)
        version, known = str(self.server.version), frozenset(uids)
        match stream:
            case "gateways":
                self.world.keep_only_gateways(known, version, NAMESPACE)
            case "config maps":
                self.world.keep_only_config_maps(known, version, NAMESPACE)
            case "secrets":
                self.world.keep_only_secrets(known, version, NAMESPACE)
            case _:
                self.world.keep_only_keys(known, version, NAMESPACE)
        self.cursors[stream] = len(self.server.log)

    def behind(self, stream: str) -> bool:
        """Whether a watch has something to tell."""
        return self.cursors[stream] < len(self.server.log)

    def deliver(self, stream: str) -> None:
        """The next change, if it is one for this watch."""
        version, plural, before, after = self.server.log[self.cursors[stream]]
        self.cursors[stream] += 1
        mine, wanted = STREAMS[stream]
        if plural != mine:
            return
        if after is not None and wanted(after):
            self._take(stream, copy.deepcopy(after))
        elif before is not None and wanted(before):
            gone = copy.deepcopy(before)
            gone["metadata"]["resourceVersion"] = str(version)
            self._drop(stream, gone)

    def _take(self, stream: str, obj: Obj) -> None:
        {
            "gateways": self.world.take_gateway,
            "config maps": self.world.take_config_map,
            "secrets": self.world.take_secret,
            "keys": self.world.take_keys,
        }[stream](obj)

    def _drop(self, stream: str, obj: Obj) -> None:
        meta = obj["metadata"]
        match stream:
            case "gateways":
                self.world.drop_gateway(Key(NAMESPACE, meta["name"]), meta["uid"])
            case "config maps":
                self.world.drop_config_map(config_map_key(obj), meta["uid"], meta["resourceVersion"])
            case "secrets":
                self.world.drop_secret(Key(NAMESPACE, meta["name"]))
            case _:
                self.world.drop_keys(
                    FleetId(NAMESPACE, meta["labels"][LABEL_KEYS]), meta["uid"], meta["resourceVersion"]
                )

    # Looks

    def ready(self) -> list[Key]:
        """Whom a look could be taken at: hinted, and none is under way; in an order that does not depend on hashes."""
        return sorted(key for key in self.hinted if key not in self.looks)

    def look(self, key: Key) -> None:
        """Decides about one SipGateway and sends its first request, if there is one."""
        del self.hinted[key]
        decision = decide(self.world, key)
        coroutine = self.publisher.carry_out(key, decision)
        self._go_on(key, decision, coroutine, lambda: coroutine.send(None))

    def answer(self, key: Key, *, lost: bool = False) -> None:
        """The answer to its request comes; or the connection breaks instead."""
        look = self.looks.pop(key)
        said: Obj | ApiError = ApiError(0, "Unreachable", "connection lost") if lost else look.call.answer
        coroutine = look.coroutine
        if isinstance(said, ApiError):
            self._go_on(key, look.decision, coroutine, lambda: coroutine.throw(said))
        else:
            self._go_on(key, look.decision, coroutine, lambda: coroutine.send(copy.deepcopy(said)))

    def _go_on(
        self, key: Key, decision: Decision, coroutine: Coroutine[Any, Any, Outcome], step: Callable[[], Any]
    ) -> None:
        try:
            call = step()
        except StopIteration as ended:
            self._took(key, decision, ended.value)
        else:
            self.looks[key] = Look(decision, coroutine, call)

    def _took(self, key: Key, decision: Decision, outcome: Outcome) -> None:
        self.outcomes.append((key, decision, outcome))
        record = self.world.gateways.get(key)
        if outcome.failure is not None and record is not None and record.verdict is not None:
            record.verdict = replace(record.verdict, failure=outcome.failure, inputs=())
        if outcome.look_again:
            self.hinted[key] = None
        elif outcome.retry is not None or outcome.recheck is not None:
            self.later.add(key)

    def timers(self) -> None:
        """Time passes: what was to be tried again is."""
        self.hinted |= dict.fromkeys(self.later)
        self.later.clear()

    def close(self) -> None:
        """Dead: nothing that was under way goes on."""
        for look in self.looks.values():
            look.coroutine.close()
        self.looks.clear()


def _labels(obj: Obj) -> Obj:
    labels: Obj = obj["metadata"].get("labels") or {}
    return labels


def _parse(path: str) -> tuple[str, str]:
    parts = path.partition("?")[0].split("/")
    rest = parts[parts.index("namespaces") + 2 :]
    return rest[0], rest[1] if len(rest) > 1 else ""


def _merge(target: Obj, patch: Obj) -> Obj:
    """RFC 7396."""
    merged = dict(target)
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        elif isinstance(value, dict):
            below = merged.get(name)
            merged[name] = _merge(below if isinstance(below, dict) else {}, value)
        else:
            merged[name] = value
    return merged
