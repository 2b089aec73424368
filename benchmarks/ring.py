"""The whole ring on a real API server: operator, agents, simulated switches, each a process of its own.

In: the programs that `make controlplane` builds. Out: rows of the table. A floor is made of the bare parts of the same
way, measured in turns with ours by the same client: a hop is a write and its own watch event; the switch's part is
one file write and a bare `rescan` on the same switches.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.fleet import quantile
from benchmarks.processes import idle_cpu, resident
from benchmarks.table import Line, ratio_line
from sipgateway.cluster import access
from sipgateway.cluster.client import Api, ApiError, Obj
from sipgateway.esl import commands
from sipgateway.esl.client import Client, connect
from sipgateway.esl.replies import parse_gateway_event
from tests.agent_kube.pods import REGISTRAR, SwitchPod
from tests.controlplane.operators import Operators
from tests.controlplane.plane import ControlPlane
from tests.controlplane.process import wait_until
from tests.kube.lab import Lab

_FLEET = "bench"
_QUIET = ("--log-level=warning",)
_PASSWORD = "ClueCon"

#: Seconds between changes of which each is measured alone: an agent may write its SipSwitch once a second for long.
_PAUSE = 1.6
_PAUSE_REGISTERING = 3.5

#: Seconds until a status waits for a new pod: before that, Ready speaks of the others.
_STARTING = 125.0

#: Requests at once when many objects are made before anything is measured.
_MAKERS = 8

#: Seconds over which an idle process is looked at.
_IDLE = 60.0


@dataclass(frozen=True, slots=True)
class Plan:
    """What is measured: how many gateways there are, and how often each thing is done."""

    sizes: tuple[int, ...] = (10, 1000)
    pods: tuple[int, ...] = (1, 3)
    changes: int = 40
    registering: int = 12
    burst: int = 1000
    idle: float = _IDLE


def bench_ring(plan: Plan, tell: Callable[[Line], None]) -> None:
    """All of it on one control plane; each number of pods has a namespace, an operator and a fleet of its own."""
    with ControlPlane(crds=[Path("crds")], audit_policy=None) as plane:
        bare = plane.create_namespace("bare")
        for pods in plan.pods:
            with tempfile.TemporaryDirectory(prefix="sipgw-bench-") as folder:
                ring = _Ring(plane, Path(folder), bare, pods)
                try:
                    asyncio.run(ring.run(plan, tell))
                finally:
                    ring.close()


@dataclass
class _Ring:
    """One fleet."""

    plane: ControlPlane
    folder: Path
    bare: str
    count: int
    lab: Lab = field(init=False)
    pods: list[SwitchPod] = field(default_factory=list)
    have: int = 0
    numbers: itertools.count[int] = field(default_factory=itertools.count)

    def __post_init__(self) -> None:
        self.lab = Lab(self.plane, Operators(self.folder))
        self.lab.start(*_QUIET)
        self.lab.secret("carrier")

    def close(self) -> None:
        """Ends all processes; the namespace goes with the control plane."""
        for pod in self.pods:
            pod.close()
        self.lab.operators.close()

    async def run(self, plan: Plan, tell: Callable[[Line], None]) -> None:
        """Everything that one fleet is measured for."""
        async with Api(await access.from_kubeconfig(str(self.plane.kubeconfig))) as api:
            await self._fill(api, self.bare, 0, 10)
            await self._fill(api, self.lab.namespace, 0, plan.sizes[0])
            self.have = plan.sizes[0]
            for number in range(self.count):
                pod = SwitchPod(self.lab, f"bench-{number}", self.folder, switch=_FLEET, flags=_QUIET)
                self.pods.append(pod)
                pod.start()
            grown = time.monotonic() + _STARTING
            for size in plan.sizes:
                await self._fill(api, self.lab.namespace, self.have, size)
                self.have = max(self.have, size)
                await self._settled()
                await asyncio.sleep(max(grown - time.monotonic(), 0.0))
                await self._changes(api, plan.changes, tell)
                if size >= 1000:
                    await self._rest(plan.idle, tell)
            if plan.registering:
                await self._registering(api, plan.registering, tell)
            if plan.burst and self.count == max(plan.pods):
                await self._burst(api, plan.burst, tell)
            if self.have >= 10_000:
                await self._boot(tell)

    # What is measured

    async def _changes(self, api: Api, changes: int, tell: Callable[[Line], None]) -> None:
        """One change at a time: until it is proved on every switch, and until the SipGateway is Ready."""
        floor_proof, floor_ready, proof, ready = [], [], [], []
        async with (
            self._watching(api, self.bare) as bare,
            self._watching(api, self.lab.namespace) as watched,
            contextlib.AsyncExitStack() as stack,
        ):
            switches = [await stack.enter_async_context(await _esl(pod)) for pod in self.pods]
            clocks = [_clock(pod) for pod in self.pods]
            for number in range(changes):
                one, whole = await self._floor(api, bare, switches)
                floor_proof.append(one)
                floor_ready.append(whole)
                name = f"trunk-{number % 10}"
                since = [len(pod.control("commands")) for pod in self.pods]
                started, at = await self._until_ready(api, watched, name)
                ready.append(at - started)
                seen = [self._proved(pod, name, n) + c for pod, n, c in zip(self.pods, since, clocks, strict=True)]
                proof.append(max(seen) - started)
                await asyncio.sleep(_PAUSE)
        of = f"{self.have:,} gateways, {self.count} pod{'s' if self.count > 1 else ''}"
        told = (
            ("SipGateway written -> proved on the switch", "2 hops + file + rescan", floor_proof, proof),
            ("SipGateway written -> Ready", "4 hops + file + rescan", floor_ready, ready),
        )
        for what, against, floor, ours in told:
            for share, goal in ((0.5, 1.4), (0.99, 1.5)):
                text = f"{what}, {of}, p{share * 100:.0f} / {against}"
                tell(ratio_line(text, quantile(floor, share), quantile(ours, share), goal))

    async def _registering(self, api: Api, count: int, tell: Callable[[Line], None]) -> None:
        """From the switch's word that REGISTER was answered with 200 to Ready."""
        floor, ours = [], []
        async with (
            self._watching(api, self.bare) as bare,
            self._watching(api, self.lab.namespace) as watched,
            contextlib.AsyncExitStack() as stack,
        ):
            answered: dict[str, list[float]] = {}
            for pod in self.pods:
                client = await stack.enter_async_context(await _esl(pod))
                await client.subscribe(("sofia::gateway_state",))
                listening = asyncio.create_task(_listen(client, answered))
                stack.callback(listening.cancel)
            for number in range(count):
                begun = time.perf_counter()
                await self._hop(api, bare)
                await self._hop(api, bare)
                floor.append(time.perf_counter() - begun)
                name = f"registers-{number}"
                _empty(watched)
                spec = {"register": True, "passwordFrom": {"secretKeyRef": {"name": "carrier", "key": "password"}}}
                await api.create(_path(self.lab.namespace), _gateway(name, **spec))
                at = await _ready(watched, name, 1)
                ours.append(at - max(times[0] for n, times in answered.items() if n == name))
                assert len(answered[name]) >= self.count
                await asyncio.sleep(_PAUSE_REGISTERING)
        self.have += count
        what = f"REGISTER answered with 200 -> Ready, {self.count} pods, p50 / 2 hops"
        tell(ratio_line(what, quantile(floor, 0.5), quantile(ours, 0.5), 2.0))

    async def _burst(self, api: Api, count: int, tell: Callable[[Line], None]) -> None:
        """As many creations one after the other: bare, and until the last is proved on every switch."""
        have = self.have
        started = time.perf_counter()
        for number in range(have, have + count):
            await api.create(_path(self.bare), _gateway(f"burst-{number}"))
        bare = time.perf_counter() - started
        since = [len(pod.control("commands")) for pod in self.pods]
        clocks = [_clock(pod) for pod in self.pods]
        started = time.perf_counter()
        names = {f"burst-{number}" for number in range(have, have + count)}
        for name in sorted(names):
            await api.create(_path(self.lab.namespace), _gateway(name))
        self.have += count
        await self._settled()
        last, rescans = 0.0, 0
        for pod, first, clock in zip(self.pods, since, clocks, strict=True):
            told = pod.control("commands", since=first)
            read: dict[str, float] = {}
            for command in told:
                words = command["text"].split(" ")
                if words[1] == "sofia_gateway_data" and command["reply"].startswith("1-"):
                    read.setdefault(words[2], command["at"] + clock)
            last = max(last, *(read[name] for name in names))
            rescans = max(rescans, sum(c["text"].endswith(" rescan") for c in told))
        what = f"{count:,} SipGateways created -> the last proved on {self.count} switches / the creations alone"
        tell(ratio_line(what, bare, last - started, 2.0))
        tell(Line(f"rescans of one switch for {count:,} creations", "-", str(rescans), "-", "<= 15", rescans <= 15))

    async def _rest(self, seconds: float, tell: Callable[[Line], None]) -> None:
        """Memory and idle CPU."""
        await asyncio.sleep(5)
        agents = [pod.agent.pid for pod in self.pods]
        *agents_cpu, operator = await idle_cpu([*agents, self.lab.operator.pid], seconds)
        of = f"{self.have:,} gateways, {self.count} pods"
        most, limit = max(map(resident, agents)), 120 if self.have > 1000 else 60
        tell(Line(f"agent's memory, {of}", "-", f"{most:.1f} MB", "-", f"<= {limit} MB", most <= limit))
        for who, cpu in (("agent", max(agents_cpu)), ("operator", operator)):
            what = f"{who}'s idle CPU over {seconds:.0f} s, {of}"
            tell(Line(what, "-", f"{cpu * 100:.2f} %", "-", "<= 0.5 %", cpu <= 0.005))

    async def _boot(self, tell: Callable[[Line], None]) -> None:
        """A pod that is new, and a switch that restarts, against what the switch alone needs to load everything."""
        pod = SwitchPod(self.lab, "bench-new", self.folder, switch=_FLEET, flags=_QUIET)
        self.pods.append(pod)
        began = time.perf_counter()
        pod.agent.launch()
        wait_until(lambda: _started(pod), 300, pod.agent.tail)
        files = time.perf_counter() - began
        pod.start_switch()
        began = time.perf_counter()
        pod.agent.wait_ready()
        proof = time.perf_counter() - began
        began = time.perf_counter()
        pod.control("restart")
        load = time.perf_counter() - began
        tell(ratio_line(f"new pod, {self.have:,}: all files on the disk / the switch's own load", load, files, None))
        tell(ratio_line(f"new pod, {self.have:,}: all proved after the switch's start / the same", load, proof, None))
        tell(Line("peak memory of that agent", "-", f"{resident(pod.agent.pid, peak=True):.0f} MB", "-", "-", met=True))

    # How it is measured

    async def _floor(self, api: Api, bare: asyncio.Queue[_Event], switches: Sequence[Client]) -> tuple[float, float]:
        """What the bare parts take: until the switches have it, and until a status could be there."""
        started = time.perf_counter()
        await self._hop(api, bare)
        await self._hop(api, bare)
        with (self.folder / "bare.xml").open("wb") as file:
            file.write(b"x" * 900)
            file.flush()
            os.fsync(file.fileno())
        await asyncio.gather(*(client.api(commands.rescan("external")) for client in switches))
        loaded = time.perf_counter() - started
        await self._hop(api, bare)
        await self._hop(api, bare)
        return loaded, time.perf_counter() - started

    async def _hop(self, api: Api, events: asyncio.Queue[_Event]) -> None:
        """A write, and its own watch event."""
        _empty(events)
        write = asyncio.create_task(api.patch(f"{_path(self.bare)}/trunk-0", self._change()))
        async with asyncio.timeout(10):
            while (await events.get()).name != "trunk-0":
                pass  # a bookmark
        await write

    async def _until_ready(self, api: Api, events: asyncio.Queue[_Event], name: str) -> tuple[float, float]:
        """Changes a SipGateway; when that began, and when it was heard to be Ready in that version."""
        _empty(events)
        started = time.perf_counter()
        answer = await api.patch(f"{_path(self.lab.namespace)}/{name}", self._change())
        return started, await _ready(events, name, answer["metadata"]["generation"])

    def _change(self) -> Obj:
        return {"spec": {"variables": [{"name": "carrier", "value": f"value-{next(self.numbers)}"}]}}

    def _proved(self, pod: SwitchPod, name: str, since: int) -> float:
        """When the agent read back what a rescan had loaded, by the switch's clock."""
        told = pod.control("commands", since=since)
        rescan = next(n for n, c in enumerate(told) if c["text"].endswith(" rescan"))
        text = f"api sofia_gateway_data {name} ovar sipgw_revision"
        return float(next(c["at"] for c in told[rescan:] if c["text"] == text))

    async def _fill(self, api: Api, namespace: str, start: int, end: int) -> None:
        """Makes gateways, several at once; those that are there stay."""
        todo = iter(range(start, end))

        async def make() -> None:
            for number in todo:
                try:
                    await api.create(_path(namespace), _gateway(f"trunk-{number}"))
                except ApiError as error:
                    if error.reason != "AlreadyExists":
                        raise

        await asyncio.gather(*(make() for _ in range(_MAKERS)))

    async def _settled(self) -> None:
        """Until every pod says that it has everything, and every status is written."""

        def look() -> bool:
            loaded = {pod.report.get("counts", {}).get("loaded") for pod in self.pods}
            ready = self.lab.operator.metrics().get(
                'sipgateway_gateways{condition="Ready",reason="Ready",status="True"}', 0
            )
            return loaded == {self.have} and ready >= self.have

        await asyncio.to_thread(wait_until, look, 600, self.lab.operator.tail)
        await asyncio.sleep(6)  # buckets fill up

    @contextlib.asynccontextmanager
    async def _watching(self, api: Api, namespace: str) -> AsyncIterator[asyncio.Queue[_Event]]:
        events: asyncio.Queue[_Event] = asyncio.Queue()
        version = ""
        async for page in api.pages(_path(namespace)):
            version = page.version

        async def follow() -> None:
            async for event in api.watch(_path(namespace), version, seconds=3600):
                at = time.perf_counter()
                events.put_nowait(_Event(event.object["metadata"].get("name", ""), _ready_generation(event.object), at))

        task = asyncio.create_task(follow())
        await asyncio.sleep(0.2)
        try:
            yield events
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


@dataclass(frozen=True, slots=True)
class _Event:
    """A watch event: of which object, the generation in which it is Ready (0: it is not), and when it was heard."""

    name: str
    ready: int
    at: float


async def _ready(events: asyncio.Queue[_Event], name: str, generation: int) -> float:
    async with asyncio.timeout(30):
        while True:
            event = await events.get()
            if event.name == name and event.ready >= generation:
                return event.at


def _empty(events: asyncio.Queue[_Event]) -> None:
    while not events.empty():
        events.get_nowait()


def _ready_generation(found: Obj) -> int:
    for condition in (found.get("status") or {}).get("conditions") or ():
        if (condition["type"], condition["status"]) == ("Ready", "True"):
            return int(condition["observedGeneration"])
    return 0


def _clock(pod: SwitchPod) -> float:
    """What to add to a switch's time to have it by our steady clock."""
    best = (float("inf"), 0.0)
    for _ in range(30):
        before = time.perf_counter()
        now = float(pod.control("time")["now"])
        after = time.perf_counter()
        best = min(best, (after - before, (before + after) / 2 - now))
    return best[1]


async def _esl(pod: SwitchPod) -> Client:
    host, _, port = pod.esl.rpartition(":")
    return await connect(host, int(port), _PASSWORD)


async def _listen(client: Client, answered: dict[str, list[float]]) -> None:
    async for event in client.events:
        found = parse_gateway_event(event)  # type: ignore[arg-type]
        if found is not None and found.status == 200:
            answered.setdefault(found.gateway, []).insert(0, time.perf_counter())


def _started(pod: SwitchPod) -> bool:
    try:
        return pod.agent.get("/startedz", 2)[0] == 200
    except OSError:
        return False


def _path(namespace: str) -> str:
    return f"/apis/sipgateway.dev/v1alpha1/namespaces/{namespace}/sipgateways"


def _gateway(name: str, **spec: Any) -> Obj:
    return {
        "apiVersion": "sipgateway.dev/v1alpha1",
        "kind": "SipGateway",
        "metadata": {"name": name},
        "spec": {
            "switch": _FLEET,
            "register": False,
            "username": f"account-{name}",
            "proxy": REGISTRAR,
            "variables": [{"name": "carrier", "value": "example"}],
        }
        | spec,
    }
