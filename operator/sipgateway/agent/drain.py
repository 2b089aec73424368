"""Takes a switch's bindings from the registrars before its pod goes, so that no inbound call is sent to a dead pod.

In: a call of `/drain` by the switch container's preStop, and the Pod. Out: un-REGISTERs of our gateways, paced per
registrar. Only when the Pod is really being deleted: a container that is restarted alone comes back and wants its
bindings.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from sipgateway.cluster.client import Api, ApiError
from sipgateway.errors import SwitchError
from sipgateway.esl import commands, replies
from sipgateway.esl.client import Client
from sipgateway.reconcile.state import Wanted

_log = logging.getLogger(__name__)

#: Seconds that un-registering may take: a pod has 30 from its deletion to its end, unless its manifest says otherwise.
WITHIN = 20.0

#: States in which there may be a binding; NOREG must never see the command (fact 28).
_BOUND = frozenset({"REGED", "REGISTER", "UNREGED", "TRYING", "EXPIRED", "FAIL_WAIT", "FAILED", "TIMEOUT"})

_PAUSE = 1.0


@dataclass(frozen=True, slots=True)
class Doomed:
    """Whether the Pod is being deleted."""

    api: Api
    namespace: str
    pod: str
    uid: str

    async def why_not(self) -> str | None:
        """None when it is, else why nothing is un-registered."""
        try:
            found = await self.api.get(f"/api/v1/namespaces/{self.namespace}/pods/{self.pod}")
        except ApiError as error:
            if error.not_found and error.is_status:
                return None
            return f"whether the pod is being deleted cannot be told: {error}"
        meta = found["metadata"]
        if meta.get("uid") != self.uid or meta.get("deletionTimestamp"):
            return None  # one of another uid has our name: ours is gone from there
        return "the pod is not being deleted; nothing was un-registered"


async def unregister(client: Client, wanted: Mapping[str, Wanted], rate: int, *, within: float = WITHIN) -> int:
    """Un-registers these gateways, so many a second and registrar, faster where the time would not do.

    Returns:
        How many were un-registered.

    Raises:
        SwitchError: the connection is gone.
    """
    left = {name: one.registrar for name, one in wanted.items() if one.registers}
    most = max(Counter(left.values()).values(), default=0)
    each = max(rate or most, round(most / max(within / _PAUSE - 1, 1)) + 1)
    loop = asyncio.get_running_loop()
    done = 0
    while left:
        began = loop.time()
        batch: list[str] = []
        count: Counter[str] = Counter()
        for name, registrar in left.items():
            if count[registrar] < each:
                count[registrar] += 1
                batch.append(name)
        for name in batch:
            del left[name]
        done += await _unregister(client, batch)
        if left:
            await asyncio.sleep(max(began + _PAUSE - loop.time(), 0.0))
    return done


async def _unregister(client: Client, names: list[str]) -> int:
    """Reads the states first: on a gateway in NOREG the command would leak a lock of the profile (fact 28)."""
    bodies = await client.pipeline([commands.gateway_status(n) for n in names])
    found = [s for body in bodies if (s := replies.parse_gateway_xml(body)) is not None and s.state in _BOUND]
    if found:
        await client.pipeline([commands.unregister(s.profile, s.name) for s in found])
    return len(found)


@dataclass(slots=True)
class Drain:
    """The work behind `/drain`: done once, however often it is asked for.

    Attributes:
        doomed: whether the Pod goes.
        stop_keeping: ends the keeper's work and gives a connection of our own, or raises SwitchError.
        wanted: our gateways.
        rate: un-REGISTERs per second and registrar.
    """

    doomed: Doomed
    stop_keeping: Callable[[], Awaitable[Client]]
    wanted: Callable[[], Mapping[str, Wanted]]
    rate: int
    _work: asyncio.Task[str] | None = None
    _asking: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def __call__(self) -> tuple[bool, str]:
        """Whether the pod goes and its gateways are un-registered, and what to say."""
        if self._work is None:
            async with self._asking:
                if self._work is None:
                    why_not = await self.doomed.why_not()
                    if why_not is not None:
                        return False, why_not
                    self._work = asyncio.create_task(self._drain())
        return True, await asyncio.shield(self._work)

    async def _drain(self) -> str:
        wanted = self.wanted()
        try:
            async with await self.stop_keeping() as client:
                count = await unregister(client, wanted, self.rate)
        except SwitchError as error:
            _log.warning("the switch is gone before its gateways were un-registered: %s", error)
            return f"the switch is not reached: {error}"
        _log.info("%d gateways were un-registered", count)
        return f"{count} gateways were un-registered"
