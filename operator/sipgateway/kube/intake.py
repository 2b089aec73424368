"""What is told of SipGateways and SipSwitches, by kopf's events and our own LISTs, taken in once and in order.

In: objects as the API server sends them, twice, late, or after they are gone. Out: the world and the fleets as they
are. One object that cannot be borne costs nothing but itself.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field

from sipgateway.api.names import PLURAL
from sipgateway.cluster.client import Obj
from sipgateway.kube.fleets import Fleets
from sipgateway.kube.records import Key
from sipgateway.kube.world import World

log = logging.getLogger("sipgateway.watch")

#: Objects that are gone and may still come up in an older LIST.
_REMEMBERED = 8192


@dataclass(slots=True)
class Intake:
    """One term's intake."""

    world: World
    fleets: Fleets
    _gone: dict[str, None] = field(default_factory=dict)

    def event(self, plural: str, kind: str | None, obj: Obj) -> None:
        """An event of a watch, or with `kind` None an object of the LIST before it."""
        try:
            if kind == "DELETED":
                self._drop(plural, obj)
            elif plural == PLURAL:
                self.gateway(obj)
            else:
                self.switch(obj)
        except Exception:  # noqa: BLE001 - poison() logs it
            self.poison(plural, obj)

    def gateway(self, obj: Obj) -> None:
        """A SipGateway is there, or was when the LIST was made."""
        meta = obj["metadata"]
        known = self.world.gateways.get(_key(obj))
        same = known is not None and known.uid == meta["uid"] and int(known.version) >= int(meta["resourceVersion"])
        if not same and meta["uid"] not in self._gone:
            self.world.take_gateway(obj)

    def switch(self, obj: Obj) -> None:
        """A SipSwitch is there, or was when the LIST was made."""
        if obj["metadata"]["uid"] not in self._gone:
            self.fleets.take_report(obj)

    def _drop(self, plural: str, obj: Obj) -> None:
        key, uid = _key(obj), obj["metadata"]["uid"]
        self._gone[uid] = None
        if len(self._gone) > _REMEMBERED:
            del self._gone[next(iter(self._gone))]
        if plural == PLURAL:
            self.world.drop_gateway(key, uid)
        else:
            self.fleets.drop_report(key, uid)

    @staticmethod
    def poison(what: str, obj: Obj) -> None:
        """To be called while an exception is handled that this object made."""
        meta = obj.get("metadata") or {}
        about = f"{meta.get('namespace', '')}/{meta.get('name', '')}"
        log.exception("%s %s cannot be taken in; the others go on", what, about, extra={"gateway": about})  # noqa: LOG004


def _key(obj: Obj) -> Key:
    return Key(obj["metadata"]["namespace"], obj["metadata"]["name"])
