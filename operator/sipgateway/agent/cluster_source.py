"""What the cluster wants of this switch: the fleet's ConfigMaps and its keys, followed for ever.

In: an `Api`. Out: `on_change` whenever `fleet` may want something else. It goes on through every failure of the API
server: what was known last counts until something better is known.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
import logging
from collections.abc import Callable
from dataclasses import dataclass, field

from sipgateway.agent import configmaps
from sipgateway.agent.codes import CONFIG_MAP_UNREADABLE
from sipgateway.agent.desired import Claim, Fleet, Refusal
from sipgateway.agent.seeker import Seeker
from sipgateway.api.names import LABEL_NAME, LABEL_NAME_VALUE, LABEL_SWITCH
from sipgateway.cluster.client import Api, ApiError, Obj
from sipgateway.cluster.reflector import Reflector
from sipgateway.render.keys import FleetKeys, KeysError, secret_name
from sipgateway.render.layout import Layout

_log = logging.getLogger(__name__)

#: Seconds between reads of the keys that nothing asked for; the least and most between those that unknown ids ask for.
KEYS_EVERY = 30.0
_KEYS_LEAST, _KEYS_MOST = 1.0, 30.0

#: ConfigMaps of one page of a LIST: what a page takes in memory is not given back.
_PAGE = 100


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
        restarts: how often the watch had to begin again.
    """

    api: Api
    namespace: str
    switch: str
    on_change: Callable[[], None]
    layout: Layout = field(default_factory=Layout)
    fleet: Fleet = field(default_factory=Fleet)
    seeker: Seeker = field(init=False)
    keys: FleetKeys | None = None
    key_id: str = ""
    observed: int = 0
    trouble: dict[str, str] = field(default_factory=dict)
    restarts: int = 0
    _keys_known: asyncio.Event = field(default_factory=asyncio.Event)
    _keys_wanted: asyncio.Event = field(default_factory=asyncio.Event)
    _anew: asyncio.Event = field(default_factory=asyncio.Event)
    _listed: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.seeker = Seeker(self.api, self.namespace, self.switch, self.fleet, self.on_change)

    async def synced(self) -> None:
        """Waits until all ConfigMaps and the keys were read once."""
        await self._listed.wait()

    @property
    def is_synced(self) -> bool:
        """Whether all ConfigMaps and the keys were read once."""
        return self._listed.is_set()

    async def run(self) -> None:
        """Follows the fleet until it is cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._follow_keys())
            tasks.create_task(self._follow_config_maps())
            await self._listed.wait()  # before that, a ConfigMap that was not read yet looks like one that is gone
            tasks.create_task(self.seeker.run())

    # -- keys ----------------------------------------------------------------------------------------------------

    async def _follow_keys(self) -> None:
        pause = _KEYS_LEAST
        while True:
            if await self._read_keys():
                pause = _KEYS_LEAST
                if any(e.refusal is not None for e in self.fleet.entries.values()):
                    self._anew.set()  # what was refused may be opened now
            self._keys_wanted.clear()
            await asyncio.sleep(pause)  # whoever sends unknown key ids does not make us ask all the time
            unknown = any(r.unknown_key is not None for r in self.fleet.refusals.values())
            pause = min(pause * 2, _KEYS_MOST) if unknown else _KEYS_LEAST
            wait = KEYS_EVERY if self._keys_known.is_set() else _KEYS_LEAST
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._keys_wanted.wait()

    async def _read_keys(self) -> bool:
        """Reads the keys; returns whether they are others than before. Those that were read once stay in use."""
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
        self._keys_known.set()
        before, self.keys, self.key_id = self.keys, found, found.revision.key_id
        news = before is None or (found.revision.key, found.seals) != (before.revision.key, before.seals)
        if news or before is None or found.ids != before.ids:
            self.on_change()
        return news

    # -- ConfigMaps ----------------------------------------------------------------------------------------------

    async def _follow_config_maps(self) -> None:
        """Follows the ConfigMaps; begins anew when there are new keys for what was refused."""
        await self._keys_known.wait()  # without keys nothing could be verified
        while True:
            self._anew.clear()
            reflector = Reflector(
                api=self.api,
                name="configmaps",
                path=f"/api/v1/namespaces/{self.namespace}/configmaps",
                page=_PAGE,
                selector=f"{LABEL_SWITCH}={self.switch},{LABEL_NAME}={LABEL_NAME_VALUE}",
                on_object=self._on_object,
                on_gone=self._on_gone,
                on_listed=self._on_listed,
                on_trouble=self._on_trouble,
                on_well=lambda _: self._told("configmaps", ""),
                on_poison=self._on_poison,
            )
            work = asyncio.create_task(reflector.run())
            again = asyncio.create_task(self._anew.wait())
            try:
                await asyncio.wait({work, again}, return_when=asyncio.FIRST_COMPLETED)
                if work.done():
                    work.result()
            finally:
                for task in (work, again):
                    task.cancel()
                    with contextlib.suppress(asyncio.CancelledError):
                        await task

    def _on_object(self, obj: Obj) -> None:
        meta = obj["metadata"]
        name, uid, version = meta["name"], meta["uid"], meta["resourceVersion"]
        known = self.fleet.entries.get(name)
        if known is None or (known.uid, known.version) != (uid, version) or known.refusal is not None:
            read = configmaps.read(
                obj, namespace=self.namespace, switch=self.switch, layout=self.layout, keys=self.keys
            )
            self._take(name, uid, version, read)
        self.observed = max(self.observed, int(version))

    def _take(self, name: str, uid: str, version: str, read: Claim | Refusal) -> None:
        before = self.fleet.entries.get(name)
        if isinstance(read, Claim):
            self.fleet.verified(uid, version, read)
            if before is not None and before.claim is not None and before.claim.name != read.name:
                self.seeker.look()
        else:
            self.fleet.refused(name, uid, version, read)
            if before is None or before.refusal != read:
                text = "ConfigMap %s is refused: %s"
                _log.warning(text, name, read.finding.message, extra={"gateway": read.gateway})
            if read.unknown_key is not None or self.keys is None:
                self._keys_wanted.set()
        self.on_change()

    def _on_poison(self, _name: str, obj: Obj) -> None:
        """Something in it was not thought of: no ConfigMap holds up the news of the others."""
        meta = obj.get("metadata") or {}
        name, uid, version = (str(meta.get(key) or "") for key in ("name", "uid", "resourceVersion"))
        _log.exception("ConfigMap %s cannot be read", name)
        self._take(name, uid, version, Refusal(CONFIG_MAP_UNREADABLE.finding("", "The ConfigMap cannot be read.")))

    def _on_gone(self, obj: Obj) -> None:
        meta = obj["metadata"]
        self.fleet.vanished(meta["name"], meta["uid"])
        self.observed = max(self.observed, int(meta["resourceVersion"]))
        self.seeker.look()
        self.on_change()

    def _on_listed(self, uids: frozenset[str], version: str) -> None:
        self.fleet.listed(uids)
        self.observed = int(version)  # also when that is less than before: a restored etcd counts from lower numbers
        self._listed.set()
        self.seeker.look()
        self.on_change()

    def _on_trouble(self, _name: str, error: ApiError) -> None:
        self.restarts += 1
        if not error.expired:
            self._told("configmaps", str(error))

    def _told(self, what: str, why: str) -> None:
        if self.trouble.get(what, "") == why:
            return
        if why:
            _log.warning("%s: %s", what, why)
            self.trouble[what] = why
        else:
            _log.info("%s: well again", what)
            self.trouble.pop(what, None)
