"""What the cluster wants of this switch: the fleet's ConfigMaps, its keys, and evidence of what is not wanted any more.

In: an `Api`. Out: `on_change` whenever `fleet` may want something else. It goes on through every failure of the API
server: what was known last counts until something better is known.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
import logging
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from sipgateway.agent import configmaps, evidence
from sipgateway.agent.desired import Claim, Fleet, Refusal
from sipgateway.api.names import API_VERSION, GROUP, LABEL_NAME, LABEL_NAME_VALUE, LABEL_SWITCH, OBJECT_PREFIX, PLURAL
from sipgateway.cluster.client import Api, ApiError, Obj
from sipgateway.cluster.reflector import Reflector
from sipgateway.errors import Finding
from sipgateway.render.keys import FleetKeys, KeysError, secret_name
from sipgateway.render.layout import Layout

_log = logging.getLogger(__name__)

#: Seconds between reads of the keys that nothing asked for, and the least between two that unknown key ids ask for.
KEYS_EVERY = 30.0
_KEYS_LEAST, _KEYS_MOST = 1.0, 30.0

#: Seconds between looks for evidence about one gateway: from the first to the last value, doubled each time.
_LOOK_FIRST, _LOOK_MOST = 0.5, 60.0

#: SipGateways that are asked for at once.
_TOGETHER = 16

_CRD = f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{PLURAL}.{GROUP}"


@dataclass(slots=True)
class ClusterSource:
    """Follows one fleet until it is cancelled.

    Attributes:
        on_change: called when what is wanted may have changed; quick, and without I/O.
        fleet: what is known.
        keys: the fleet's, None while they are not known.
        key_id: id of the revision key, as last known.
        observed: every ConfigMap up to this resourceVersion is in `fleet`.
        trouble: why the API server does not help, by what was asked of it.
        held_back: why a gateway that no ConfigMap asks for stays, by gateway name.
    """

    api: Api
    namespace: str
    switch: str
    on_change: Callable[[], None]
    layout: Layout = field(default_factory=Layout)
    fleet: Fleet = field(default_factory=Fleet)
    keys: FleetKeys | None = None
    key_id: str = ""
    observed: int = 0
    trouble: dict[str, str] = field(default_factory=dict)
    held_back: dict[str, str] = field(default_factory=dict)
    restarts: int = 0
    _keys_known: asyncio.Event = field(default_factory=asyncio.Event)
    _keys_wanted: asyncio.Event = field(default_factory=asyncio.Event)
    _anew: asyncio.Event = field(default_factory=asyncio.Event)
    _look: asyncio.Event = field(default_factory=asyncio.Event)
    _due: dict[str, tuple[float, float]] = field(default_factory=dict)
    _listed: asyncio.Event = field(default_factory=asyncio.Event)
    _kind: evidence.Kind | None = None
    _random: random.Random = field(default_factory=random.SystemRandom)

    async def synced(self) -> None:
        """Waits until all ConfigMaps and the keys were read once."""
        await self._listed.wait()

    @property
    def is_synced(self) -> bool:
        """Whether all ConfigMaps and the keys were read once."""
        return self._listed.is_set()

    def look(self) -> None:
        """There may be something left over: look for evidence."""
        self._look.set()

    async def run(self) -> None:
        """Follows the fleet until it is cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._read_keys())
            tasks.create_task(self._follow())
            tasks.create_task(self._seek_evidence())

    # -- keys ----------------------------------------------------------------------------------------------------

    async def _read_keys(self) -> None:
        pause = _KEYS_LEAST
        while True:
            news = await self._get_keys()
            if news:
                pause = _KEYS_LEAST
                if self.fleet.refusals:
                    self._anew.set()  # what was refused may be opened now
            self._keys_wanted.clear()
            await asyncio.sleep(pause)  # whoever sends unknown key ids does not make us ask all the time
            pause = (
                min(pause * 2, _KEYS_MOST) if any(r.unknown_key for r in self.fleet.refusals.values()) else _KEYS_LEAST
            )
            wait = KEYS_EVERY if self._keys_known.is_set() else _KEYS_LEAST
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._keys_wanted.wait(), wait)

    async def _get_keys(self) -> bool:
        """Reads the keys; returns whether they are others than before."""
        path = f"/api/v1/namespaces/{self.namespace}/secrets/{secret_name(self.switch)}"
        try:
            data = (await self.api.get(path)).get("data") or {}
            found = FleetKeys.from_data({name: base64.b64decode(value) for name, value in data.items()})
        except ApiError as error:
            if error.not_found and error.is_status:
                self._keys_known.set()  # there are none: that is an answer too
            self._told("keys", str(error))
            return False
        except KeysError as error:
            self._keys_known.set()
            self._told("keys", str(error))
            return False
        except (binascii.Error, TypeError, AttributeError):
            self._told("keys", "the Secret of the fleet's keys is no Secret")
            return False
        self._told("keys", "")
        news = self.keys is None or (found.revision, dict(found.seals)) != (self.keys.revision, dict(self.keys.seals))
        self.keys, self.key_id = found, found.revision.key_id
        self._keys_known.set()
        if news:
            self.on_change()
        return news

    # -- ConfigMaps ----------------------------------------------------------------------------------------------

    async def _follow(self) -> None:
        """Follows the ConfigMaps; begins anew when there are new keys for what was refused."""
        await self._keys_known.wait()  # without keys nothing could be verified
        while True:
            self._anew.clear()
            reflector = Reflector(
                api=self.api,
                name="configmaps",
                path=f"/api/v1/namespaces/{self.namespace}/configmaps",
                selector=f"{LABEL_SWITCH}={self.switch},{LABEL_NAME}={LABEL_NAME_VALUE}",
                on_object=self._on_object,
                on_gone=self._on_gone,
                on_listed=self._on_listed,
                on_trouble=self._on_trouble,
            )
            work = asyncio.create_task(reflector.run())
            again = asyncio.create_task(self._anew.wait())
            try:
                await asyncio.wait({work, again}, return_when=asyncio.FIRST_COMPLETED)
                if work.done():
                    work.result()
            finally:
                self.restarts += reflector.restarts
                for task in (work, again):
                    task.cancel()
                    with contextlib.suppress(asyncio.CancelledError):
                        await task

    def _on_object(self, obj: Obj) -> None:
        meta = obj["metadata"]
        name, uid, version = meta["name"], meta["uid"], meta["resourceVersion"]
        known = self.fleet.entries.get(name)
        if known is None or (known.uid, known.version) != (uid, version) or known.refusal is not None:
            self._take(obj, name, uid, version)
        self.observed = max(self.observed, int(version))
        self._told("configmaps", "")

    def _take(self, obj: Obj, name: str, uid: str, version: str) -> None:
        try:
            read = configmaps.read(
                obj, namespace=self.namespace, switch=self.switch, layout=self.layout, keys=self.keys
            )
        except Exception:  # noqa: BLE001
            # Whatever stands in it: no ConfigMap may hold up the news of the others.
            _log.exception("a ConfigMap cannot be read", extra={"gateway": name})
            read = Refusal(Finding("ConfigMapUnreadable", "", "The ConfigMap cannot be read.", "See the agent's log."))
        if isinstance(read, Claim):
            before = self.fleet.entries.get(name)
            self.fleet.verified(uid, version, read)
            if before is not None and before.claim is not None and before.claim.name != read.name:
                self._look.set()
        else:
            before = self.fleet.entries.get(name)
            self.fleet.refused(name, uid, version, read)
            if before is None or before.refusal != read:
                _log.warning("ConfigMap %s is refused: %s", name, read.finding.message, extra={"gateway": read.gateway})
            if read.unknown_key is not None or self.keys is None:
                self._keys_wanted.set()
        self.on_change()

    def _on_gone(self, obj: Obj) -> None:
        meta = obj["metadata"]
        self.fleet.vanished(meta["name"], meta["uid"])
        self.observed = max(self.observed, int(meta["resourceVersion"]))
        self._look.set()
        self.on_change()

    def _on_listed(self, uids: frozenset[str], _version: str) -> None:
        self.fleet.listed(uids)
        # A restored etcd counts from lower numbers: what a LIST gave is the present.
        self.observed = max((int(e.version) for e in self.fleet.entries.values()), default=0)
        self._told("configmaps", "")
        self._listed.set()
        self._look.set()
        self.on_change()

    def _on_trouble(self, _name: str, error: ApiError) -> None:
        self._told("configmaps", str(error))

    # -- evidence ------------------------------------------------------------------------------------------------

    async def _seek_evidence(self) -> None:
        await self._listed.wait()  # before that, a ConfigMap that was not read yet looks like one that is gone
        while True:
            self._look.clear()
            now = asyncio.get_running_loop().time()
            for name in [n for n in self._due if n not in self.fleet.leftovers]:
                del self._due[name]
                self.held_back.pop(name, None)
            due = [c for n, c in self.fleet.leftovers.items() if self._due.get(n, (0.0, 0.0))[0] <= now]
            for start in range(0, len(due), _TOGETHER):
                await self._examine(due[start : start + _TOGETHER])
            times = [at for at, _ in self._due.values()]
            wait = max(min(times) - asyncio.get_running_loop().time(), 0.05) if times else None
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._look.wait(), wait)

    async def _examine(self, claims: Iterable[Claim]) -> None:
        """Asks for the SipGateways of these claims, and then for the CRD if one is not there."""
        asked = list(claims)
        found = await asyncio.gather(*(self._ask(c) for c in asked))
        kind = await self._read_kind() if "absent" in found else None
        changed = False
        for claim, said in zip(asked, found, strict=True):
            if isinstance(said, evidence.Evidence):
                proof: evidence.Evidence | None = said
            elif said == "absent" and isinstance(kind, evidence.Kind) and evidence.proves_absence(kind, claim.born):
                proof = evidence.Evidence.GONE
            else:
                proof = None
                self._hold_back(claim.name, kind if said == "absent" else said)
            if proof is not None and self.fleet.give_up(claim):
                changed = True
                self._due.pop(claim.name, None)
                self.held_back.pop(claim.name, None)
                _log.info("to be removed: %s", proof, extra={"gateway": claim.name})
        if changed:
            self.on_change()

    async def _ask(self, claim: Claim) -> evidence.Evidence | str:
        """Evidence, `absent`, or why there is none."""
        name = claim.config_map.removeprefix(OBJECT_PREFIX)
        try:
            obj = await self.api.get(f"/apis/{API_VERSION}/namespaces/{self.namespace}/{PLURAL}/{name}")
        except ApiError as error:
            return "absent" if evidence.is_absent(error, name) else f"the API server does not say: {error}"
        return evidence.of_gateway(obj, claim.name, self.switch) or "its SipGateway wants it; its ConfigMap is missing"

    async def _read_kind(self) -> evidence.Kind | str:
        try:
            return evidence.of_kind(await self.api.get(_CRD))
        except ApiError as error:
            return f"whether the CRD of SipGateway was deleted cannot be told: {error}"

    def _hold_back(self, name: str, why: evidence.Kind | str | None) -> None:
        if isinstance(why, evidence.Kind):
            why = (
                "the CRD of SipGateway was made anew after it, so that it is not there says nothing"
                if why.whole
                else "the CRD of SipGateway is being deleted"
            )
        _, pause = self._due.get(name, (0.0, _LOOK_FIRST / 2))
        pause = min(pause * 2, _LOOK_MOST)
        jitter = self._random.uniform(0.8, 1.0)
        self._due[name] = (asyncio.get_running_loop().time() + pause * jitter, pause)
        if self.held_back.get(name) != why:
            self.held_back[name] = why or ""
            _log.info("stays, for want of evidence: %s", why, extra={"gateway": name})

    def _told(self, what: str, why: str) -> None:
        if self.trouble.get(what, "") == why:
            return
        if why:
            _log.warning("%s: %s", what, why)
            self.trouble[what] = why
        else:
            _log.info("%s: well again", what)
            self.trouble.pop(what, None)
