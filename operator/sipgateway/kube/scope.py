"""One watched namespace, or all of them: what is read of it, and whether it is known whole.

In: an `Api` and a namespace. Out: the world, the fleets and the intake fed; `seeded` once everything was read. Until
then nothing is written there: what is not known must not be taken for gone. A namespace that cannot be read, because it
is not there or a right is missing, holds up no other one.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

from sipgateway.api.names import (
    API_VERSION,
    LABEL_CREDENTIALS,
    LABEL_KEYS,
    LABEL_NAME,
    LABEL_NAME_VALUE,
    LABEL_SWITCH,
    PLURAL,
    SWITCH_PLURAL,
)
from sipgateway.cluster.client import PAGE, Api, ApiError, Obj, Page
from sipgateway.cluster.reflector import Reflector, uid_of, wait
from sipgateway.kube.intake import Intake
from sipgateway.kube.records import FleetId, Key, config_map_key
from sipgateway.kube.troubles import Troubles

#: Seconds between LISTs of SipGateways and SipSwitches that nothing asked for: an event is a hint, and hints get lost.
RELIST = 600.0

#: Secrets of one page of a LIST: each may have a megabyte.
_SECRETS = 25

_OURS = {PLURAL: "SipGateways", SWITCH_PLURAL: "SipSwitches"}


@dataclass(slots=True)
class Scope:
    """What is read of one namespace, or of all (None).

    Attributes:
        reflectors: watches of all but our own kinds; each is run by the caller.
        seeded: set once everything was read.
    """

    api: Api
    namespace: str | None
    intake: Intake
    troubles: Troubles
    reflectors: tuple[Reflector, ...] = field(init=False)
    seeded: asyncio.Event = field(default_factory=asyncio.Event)
    _wanted: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.reflectors = (
            self._secrets(),
            self._keys(),
            self._config_maps(),
            self._pods(),
        )

    def covers(self, namespace: str) -> bool:
        """Whether a namespace is this one, or one of all."""
        return self.namespace in {None, namespace}

    async def run(self) -> None:
        """Reads our own kinds: once everything else was read, when a watch may have missed something, now and then."""
        for reflector in self.reflectors:
            await reflector.synced.wait()
        failures = 0
        while True:
            self._wanted.clear()
            try:
                await self._relist()
            except ApiError as error:
                await asyncio.sleep(max(wait(failures, random.SystemRandom()), error.retry_after))
                failures += 1
                continue
            failures = 0
            self.seeded.set()
            try:
                async with asyncio.timeout(RELIST):
                    await self._wanted.wait()
            except TimeoutError:
                continue

    def relist(self) -> None:
        """A watch of our own kinds began anew: what went meanwhile was not told."""
        self._wanted.set()

    async def _relist(self) -> None:
        fleets = self.intake.fleets
        before = fleets.known_reports()
        seen: set[Key] = set()
        async for page in self._pages(SWITCH_PLURAL):
            for obj in page.items:
                uid_of(obj)
                seen.add(_key(obj))
                self.intake.event(SWITCH_PLURAL, None, obj)
        for key in before:
            if key not in seen and self.covers(key.namespace):
                fleets.drop_report(key)
        uids: set[str] = set()
        version = "0"
        async for page in self._pages(PLURAL):
            for obj in page.items:
                uids.add(uid_of(obj))
                self.intake.event(PLURAL, None, obj)
            version = page.version
        self.intake.world.keep_only_gateways(frozenset(uids), version, self.namespace)

    async def _pages(self, plural: str) -> AsyncIterator[Page]:
        what = _OURS[plural]
        try:
            async for page in self.api.pages(f"/apis/{API_VERSION}{self._where}/{plural}"):
                yield page
        except ApiError as error:
            self.troubles.ill(self.namespace, what, error)
            raise
        self.troubles.well(self.namespace, what)

    def _secrets(self) -> Reflector:
        world = self.intake.world
        return self._reflector(
            "Secrets",
            "secrets",
            f"{LABEL_CREDENTIALS}=true",
            world.take_secret,
            lambda obj: world.drop_secret(_key(obj)),
            lambda uids, version: world.keep_only_secrets(uids, version, self.namespace),
            page=_SECRETS,
        )

    def _keys(self) -> Reflector:
        world = self.intake.world
        return self._reflector(
            "key Secrets",
            "secrets",
            LABEL_KEYS,
            world.take_keys,
            lambda obj: world.drop_keys(_fleet(obj), obj["metadata"]["uid"], obj["metadata"]["resourceVersion"]),
            lambda uids, version: world.keep_only_keys(uids, version, self.namespace),
        )

    def _config_maps(self) -> Reflector:
        world = self.intake.world
        return self._reflector(
            "ConfigMaps",
            "configmaps",
            f"{LABEL_NAME}={LABEL_NAME_VALUE},{LABEL_SWITCH}",
            world.take_config_map,
            lambda obj: world.drop_config_map(
                config_map_key(obj), obj["metadata"]["uid"], obj["metadata"]["resourceVersion"]
            ),
            lambda uids, version: world.keep_only_config_maps(uids, version, self.namespace),
        )

    def _pods(self) -> Reflector:
        fleets = self.intake.fleets
        return self._reflector(
            "Pods",
            "pods",
            LABEL_SWITCH,
            fleets.take_pod,
            fleets.drop_pod,
            lambda uids, _: fleets.keep_only_pods(uids, self.namespace),
        )

    def _reflector(
        self,
        name: str,
        plural: str,
        selector: str,
        on_object: Callable[[Obj], object],
        on_gone: Callable[[Obj], object],
        on_listed: Callable[[frozenset[str], str], object],
        page: int = PAGE,
    ) -> Reflector:
        return Reflector(
            self.api,
            name,
            f"/api/v1{self._where}/{plural}",
            on_object,
            on_gone,
            on_listed,
            lambda what, error: self.troubles.ill(self.namespace, what, error),
            lambda what: self.troubles.well(self.namespace, what),
            self.intake.poison,
            selector,
            page=page,
        )

    @property
    def _where(self) -> str:
        return "" if self.namespace is None else f"/namespaces/{self.namespace}"


def _key(obj: Obj) -> Key:
    return Key(obj["metadata"]["namespace"], obj["metadata"]["name"])


def _fleet(obj: Obj) -> FleetId:
    return FleetId(obj["metadata"]["namespace"], (obj["metadata"].get("labels") or {}).get(LABEL_KEYS, ""))
