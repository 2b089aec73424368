"""What a second watcher saw of SipGateways and ConfigMaps, replayed in the order in which it came to be.

In: recordings of both, the fleets' keys, and every password that there was. Out: a failure at the first version that
should not have been: one that does not verify, that no spec ever asked for, that goes back to an older one, the same
name twice, a ConfigMap that was taken away without a reason, or that was missing for too long.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from sipgateway.api.accept import accept
from sipgateway.api.gateway import Gateway
from sipgateway.api.parse import parse_sipgateway
from sipgateway.api.resolve import SecretView
from sipgateway.render.configmap import Published, PublishedError, config_map_name, verify
from sipgateway.render.keys import FleetKeys
from tests.controlplane.api import Recorder
from tests.kube.lab import Obj


class Stamped(list[Any]):
    """Events with the time at which each came."""

    def append(self, event: Any) -> None:
        super().append((time.monotonic(), event))


def stamped(recorder: Recorder) -> Recorder:
    """A recorder that keeps when it heard of each event; before it is started."""
    recorder._events = Stamped()
    return recorder


@dataclass(frozen=True)
class Seen:
    """One version of one object; `obj` is None when it was deleted."""

    version: int
    at: float
    kind: str
    name: str
    obj: Obj | None


@dataclass
class History:
    """The replay.

    Attributes:
        keys: of each fleet.
        passwords: all that the Secret has ever had, in order.
        meddled: ConfigMaps that somebody else deleted, by the versions that they were deleted at.
        kills: when an operator was killed, and when one was ready again.
        patience: seconds that a ConfigMap may be missing while an operator is ready; and while none is.
    """

    namespace: str
    keys: Mapping[str, FleetKeys]
    passwords: list[str]
    meddled: set[int]
    kills: list[tuple[float, float]]
    patience: tuple[float, float]
    gateways: dict[str, Obj] = field(default_factory=dict)
    maps: dict[str, Published] = field(default_factory=dict)
    map_versions: dict[str, int] = field(default_factory=dict)
    map_fleets: dict[str, str] = field(default_factory=dict)
    past: dict[str, list[tuple[int, Obj | None]]] = field(default_factory=dict)
    reached: dict[str, tuple[int, int]] = field(default_factory=dict)
    missing_since: dict[str, float] = field(default_factory=dict)
    longest: float = 0.0
    versions: int = 0

    def replay(self, gateways: Recorder, maps: Recorder) -> None:
        """Goes through all that was recorded."""
        for seen in sorted([*_seen("gateway", gateways), *_seen("map", maps)], key=lambda one: one.version):
            if seen.kind == "gateway":
                self._gateway(seen)
            else:
                self._map(seen)
            self._look_for_missing(seen.at)

    def _gateway(self, seen: Seen) -> None:
        before = self.gateways.get(seen.name)
        if seen.obj is None:
            self.gateways.pop(seen.name, None)
        else:
            self.gateways[seen.name] = seen.obj
        if before is None or seen.obj is None or before["metadata"]["generation"] != seen.obj["metadata"]["generation"]:
            self.past.setdefault(seen.name, []).append((seen.version, seen.obj))

    def _map(self, seen: Seen) -> None:
        if seen.obj is None:
            if seen.name in self.maps:
                self._taken_away(seen)
                del self.maps[seen.name]
            return
        self.versions += 1
        labels = seen.obj["metadata"]["labels"]
        fleet = labels["sipgateway.dev/switch"]
        try:
            found = verify(
                seen.obj["data"],
                labels,
                namespace=self.namespace,
                name=config_map_name(seen.name),
                switch=fleet,
                keys=self.keys[fleet],
            )
        except PublishedError as error:
            raise AssertionError(f"version {seen.version} of {seen.name} does not verify: {error}") from None
        self.maps[seen.name], self.map_versions[seen.name], self.map_fleets[seen.name] = found, seen.version, fleet
        self._is_what_was_asked_for(seen, found, fleet)
        names = sorted((self.map_fleets[name], one.name) for name, one in self.maps.items())
        assert len(names) == len(set(names)), f"twice at version {seen.version}: {names}"

    def _is_what_was_asked_for(self, seen: Seen, found: Published, fleet: str) -> None:
        """Exactly what some version of the spec asks for, and none that is older than what was there before."""
        assert seen.obj is not None
        uid = seen.obj["metadata"]["ownerReferences"][0]["uid"]
        asked = [obj for _, obj in self.past[seen.name] if obj is not None and obj["metadata"]["uid"] == uid]
        for obj in reversed(asked):
            if obj["spec"]["switch"] != fleet:
                continue
            for number, password in enumerate(self.passwords):
                if self.effective(obj, password) == found.gateway:
                    reached = (obj["metadata"]["generation"], number)
                    before = self.reached.get(uid, (0, 0))
                    assert reached[0] >= before[0], f"{seen.name} went back from {before} to {reached}"
                    assert reached[1] >= before[1], f"{seen.name} went back from {before} to {reached}"
                    self.reached[uid] = reached
                    return
        raise AssertionError(f"nobody ever asked for version {seen.version} of {seen.name}: {found}")

    @staticmethod
    def effective(obj: Obj, password: str) -> Gateway | None:
        """What a SipGateway asks for with a password."""
        sip, _ = parse_sipgateway(obj)
        views = {"acme": SecretView("acme", labelled=True, data={"password": password.encode()})}
        return None if sip is None else accept(sip, views)[0]

    def _taken_away(self, seen: Seen) -> None:
        """A ConfigMap goes for a reason: one that held at some moment between its last version and its end."""
        if seen.version in self.meddled:
            return
        carried = self.map_fleets[seen.name], self.maps[seen.name].name
        assert any(
            obj is None or obj["spec"].get("suspend") or _wants(obj) != carried or self._has_rival(seen.name, carried)
            for obj in self._between(seen.name, self.map_versions[seen.name], seen.version)
        ), f"the ConfigMap of {seen.name} was taken away at version {seen.version} without a reason"

    def _between(self, name: str, since: int, until: int) -> Iterator[Obj | None]:
        """The versions of a SipGateway that held at some moment of a time."""
        past = [(0, None), *self.past.get(name, [])]
        for (version, obj), (following, _) in zip(past, [*past[1:], (until + 1, None)], strict=True):
            if version <= until and following > since:
                yield obj

    def _has_rival(self, name: str, wanted: tuple[str, str]) -> bool:
        since = self.map_versions[name]
        others = (other for other in self.past if other != name)
        return any(
            obj is not None and _wants(obj) == wanted
            for other in others
            for obj in self._between(other, since, max(version for version, _ in self.past[other]) + since)
        )

    def _look_for_missing(self, now: float) -> None:
        """Whoever should have a ConfigMap and has none: since when?"""
        wanted = {name: _wants(obj) for name, obj in self.gateways.items() if not obj["spec"].get("suspend")}
        taken = {(self.map_fleets[name], found.name) for name, found in self.maps.items()}
        for name, want in wanted.items():
            free = want not in taken and list(wanted.values()).count(want) == 1
            if name in self.maps or not free:
                self._found(name, now)
            else:
                self.missing_since.setdefault(name, now)
        for name in [name for name in self.missing_since if name not in wanted]:
            self._found(name, now)

    def _found(self, name: str, now: float) -> None:
        since = self.missing_since.pop(name, None)
        if since is None:
            return
        gap = now - since
        self.longest = max(self.longest, gap)
        disturbed = any(since < ready + self.patience[0] and now > killed for killed, ready in self.kills)
        assert gap <= self.patience[disturbed], f"the ConfigMap of {name} was missing for {gap:.1f} s"


def _wants(obj: Obj) -> tuple[str, str]:
    spec = obj["spec"]
    return spec["switch"], spec.get("gatewayName", obj["metadata"]["name"])


def _seen(kind: str, recorder: Recorder) -> Iterable[Seen]:
    assert not [obj for obj in recorder.start_items if obj["metadata"]["name"] != "kube-root-ca.crt"]
    for at, event in recorder._events:
        meta = event["object"]["metadata"]
        name = meta["name"].removeprefix("sipgateway-") if kind == "map" else meta["name"]
        if kind == "map" and not meta["name"].startswith("sipgateway-"):
            continue  # kube-root-ca.crt
        gone = event["type"] == "DELETED"
        yield Seen(int(meta["resourceVersion"]), at, kind, name, None if gone else event["object"])
