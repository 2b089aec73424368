"""Looks for evidence about gateways that no ConfigMap asks for any more: only with it a trunk is removed.

In: a `Fleet` with leftovers, and an `Api`. Out: `fleet.give_up` of those whose SipGateway is shown to be gone,
suspended, or for something else. Everything else stays, for as long as it takes; what cannot be told now is asked
again, ever more rarely.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from sipgateway.agent import evidence
from sipgateway.agent.desired import Claim, Fleet
from sipgateway.agent.evidence import Evidence, Kind
from sipgateway.api.names import API_VERSION, GROUP, OBJECT_PREFIX, PLURAL
from sipgateway.cluster.client import Api, ApiError

_log = logging.getLogger(__name__)

#: Seconds between looks for evidence about one gateway: from the first to the last value, doubled each time.
_FIRST, _MOST = 0.5, 60.0

#: The most questions a second about gateways of which it is long known that nothing can be told.
_PER_SECOND = 20.0

#: Seconds between looks at the CRD that nothing asked for.
_KIND_EVERY = 60.0

#: SipGateways that are asked for at once.
_TOGETHER = 16

_CRD = f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{PLURAL}.{GROUP}"


@dataclass(frozen=True, slots=True)
class _Said:
    """What the API server said of one SipGateway.

    Attributes:
        proof: evidence, if it is any.
        absent: whether it said that there is none of this name.
        alive: creationTimestamp of the one that is there.
        words: why there is no evidence.
    """

    proof: Evidence | None = None
    absent: bool = False
    alive: str = ""
    words: str = ""


@dataclass(slots=True)
class Seeker:
    """Runs until it is cancelled.

    Attributes:
        on_change: called when the fleet wants something else.
        held_back: why a leftover gateway stays, by gateway name.
        proved: how many were given up.
    """

    api: Api
    namespace: str
    switch: str
    fleet: Fleet
    on_change: Callable[[], None]
    held_back: dict[str, str] = field(default_factory=dict)
    proved: int = 0
    _kind: Kind | None = None
    _kind_at: float = float("-inf")
    _news: asyncio.Event = field(default_factory=asyncio.Event)
    _due: dict[str, tuple[float, float]] = field(default_factory=dict)
    _doubted: set[tuple[str, str]] = field(default_factory=set)
    _random: random.Random = field(default_factory=random.SystemRandom)

    def look(self) -> None:
        """There may be something left over."""
        self._news.set()

    async def run(self) -> None:
        """Looks whenever something is left over; begin only when all ConfigMaps were listed once."""
        while True:
            self._news.clear()
            for name in [n for n in self._due if n not in self.fleet.leftovers]:
                del self._due[name]
                self.held_back.pop(name, None)
            if _now() - self._kind_at > _KIND_EVERY and self.fleet.entries:
                await self._read_kind()
                await self._doubt()
            now = _now()
            due = [c for n, c in self.fleet.leftovers.items() if self._due.get(n, (0.0, 0.0))[0] <= now]
            if due and await self._worth_asking(len(due)):
                for start in range(0, len(due), _TOGETHER):
                    await self._examine(due[start : start + _TOGETHER])
            else:
                for claim in due:
                    self._hold_back(claim.name, _in_words(self._kind or ""))
            times = [at for at, _ in self._due.values()]
            wait = min([*times, _now() + _KIND_EVERY]) - _now()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(wait, 0.05)):
                    await self._news.wait()

    async def _worth_asking(self, many: int) -> bool:
        """Whether the CRD is there: without it no question about thousands of SipGateways has an answer."""
        if many <= _TOGETHER and self._kind is not None and self._kind.whole:
            return True
        kind = await self._read_kind()
        return not isinstance(kind, Kind) or kind.whole

    async def _examine(self, claims: Sequence[Claim]) -> None:
        """Asks for the SipGateways of these claims, and then for the CRD if one is not there."""
        found = await self._ask(claims)
        kind: Kind | str = ""
        if any(said.absent for said in found):
            kind = await self._read_kind()
        changed = False
        for claim, said in zip(claims, found, strict=True):
            proof = said.proof
            if said.absent and isinstance(kind, Kind) and evidence.proves_absence(kind, claim.since):
                proof = Evidence.GONE
            if proof is None:
                self._hold_back(claim.name, _in_words(kind) if said.absent else said.words)
                changed |= self.fleet.alive(claim, said.alive)
            elif self.fleet.give_up(claim):
                changed = True
                self.proved += 1
                _log.info("it is to go: %s", proof, extra={"gateway": claim.name})
        if changed:
            self.on_change()

    async def _doubt(self) -> None:
        """The CRD may have been made anew: which gateways of before are there again? Else they could never go."""
        kind = self._kind
        if kind is None or not kind.whole:
            return
        claims = [e.claim for e in self.fleet.entries.values() if e.claim is not None]
        old = [c for c in claims if c.since <= kind.born and (c.config_map, kind.born) not in self._doubted]
        for start in range(0, len(old), _TOGETHER):
            some = old[start : start + _TOGETHER]
            for claim, said in zip(some, await self._ask(some), strict=True):
                if said.alive:
                    self.fleet.alive(claim, said.alive)
                    self._doubted.add((claim.config_map, kind.born))
            self.on_change()  # a restart must know it too

    async def _ask(self, claims: Iterable[Claim]) -> list[_Said]:
        return await asyncio.gather(*(self._ask_one(claim) for claim in claims))

    async def _ask_one(self, claim: Claim) -> _Said:
        name = claim.config_map.removeprefix(OBJECT_PREFIX)
        try:
            obj = await self.api.get(f"/apis/{API_VERSION}/namespaces/{self.namespace}/{PLURAL}/{name}")
        except ApiError as error:
            if evidence.is_absent(error, name):
                return _Said(absent=True)
            return _Said(words=f"the API server does not say whether its SipGateway is there: {error}")
        proof = evidence.of_gateway(obj, claim.name, self.switch)
        alive = str(obj["metadata"].get("creationTimestamp") or "")
        return _Said(proof, alive=alive, words="its SipGateway is there and wants it, only its ConfigMap is missing")

    async def _read_kind(self) -> Kind | str:
        try:
            self._kind, self._kind_at = evidence.of_kind(await self.api.get(_CRD)), _now()
        except ApiError as error:
            if error.not_found and error.is_status:
                self._kind, self._kind_at = Kind("", whole=False), _now()
                return self._kind
            return f"whether the CRD of SipGateway is being deleted cannot be told: {error}"
        return self._kind

    def _hold_back(self, name: str, why: str) -> None:
        _, pause = self._due.get(name, (0.0, _FIRST / 2))
        pause = min(pause * 2, max(_MOST, len(self.fleet.leftovers) / _PER_SECOND))
        self._due[name] = (_now() + pause * self._random.uniform(0.8, 1.0), pause)
        if self.held_back.get(name) != why:
            self.held_back[name] = why
            _log.info("it stays, for want of evidence: %s", why, extra={"gateway": name})


def _in_words(kind: Kind | str) -> str:
    """Why a 404 is no evidence."""
    if isinstance(kind, str):
        return kind
    if kind.whole:
        return "the CRD of SipGateway was made anew after it, so that its SipGateway is not there says nothing"
    return "the CRD of SipGateway is being deleted, or is gone"


def _now() -> float:
    return asyncio.get_running_loop().time()
