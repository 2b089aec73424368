"""The operator on a real API server: latency against the bare client's, bursts, cold starts, memory.

In: the programs that `make controlplane` builds. Out: rows of the table. Floor and ours are measured in turns in the
same run, by the same client, so that a noisy machine is noisy to both.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from benchmarks.fleet import quantile
from benchmarks.processes import idle_cpu
from benchmarks.table import Line, ratio_line
from sipgateway.cluster import access
from sipgateway.cluster.client import Api, Obj
from tests.controlplane.operators import Operator, Operators
from tests.controlplane.plane import ControlPlane
from tests.crd import install

_GATEWAYS = "/apis/sipgateway.dev/v1alpha1/namespaces/{}/sipgateways"
_CONFIG_MAPS = "/api/v1/namespaces/{}/configmaps"
_SYSTEM = "sipgateway-system"

#: Requests at once when many objects are made before anything is measured.
_MAKERS = 8


def bench_operator(sizes: tuple[int, ...], changes: int, burst: int, tell: Callable[[Line], None]) -> None:
    """All of them on one control plane: what grows is the number of gateways that are there already."""
    with ControlPlane(crds=[Path("crds")], audit_policy=None) as plane, tempfile.TemporaryDirectory() as folder:
        install.install_policies(plane)
        namespaces = plane.create_namespace("bench"), plane.create_namespace("bare")
        install.install_rbac(plane, _SYSTEM, namespaces=namespaces[:1])
        operators = Operators(Path(folder))
        try:
            asyncio.run(_Bench(plane, operators, *namespaces).run(sizes, changes, burst, tell))
        finally:
            operators.close()


class _Bench:
    """One run."""

    def __init__(self, plane: ControlPlane, operators: Operators, watched: str, bare: str) -> None:
        self.plane = plane
        self.operators = operators
        self.watched = watched
        self.bare = bare
        self.numbers = itertools.count()

    async def run(self, sizes: tuple[int, ...], changes: int, burst: int, tell: Callable[[Line], None]) -> None:
        medians: dict[int, float] = {}
        async with Api(await access.from_kubeconfig(str(self.plane.kubeconfig))) as api:
            for namespace in (self.watched, self.bare):
                await self._fill(api, namespace, 0, sizes[0])
            operator = self._start()
            have = sizes[0]
            for size in sizes:
                if size > have:
                    await self._fill(api, self.watched, have, size)
                    have = size
                await self._settled(operator, have)
                floor, ours = await self._latencies(api, changes)
                medians[size] = quantile(ours, 0.5) / quantile(floor, 0.5)
                for share, goal in ((0.5, 2.2), (0.99, None)):
                    of = f"{size:,} gateways, p{share * 100:.0f}"
                    what = f"SipGateway written -> ConfigMap written, {of} / bare write -> watch event"
                    tell(ratio_line(what, quantile(floor, share), quantile(ours, share), goal))
            first, last = medians[sizes[0]], medians[sizes[-1]]
            what = f"growth of that ratio's p50 from {sizes[0]:,} to {sizes[-1]:,} gateways"
            tell(Line(what, f"{first:.2f}", f"{last:.2f}", f"{last / first:.2f}", "<= 1.3", last / first <= 1.3))
            await self._burst(api, operator, have, burst, tell)
            have += burst
            operator.stop()
            await self._cold_start(have, tell)

    def _start(self) -> Operator:
        kubeconfig = self.plane.kubeconfig_for(_SYSTEM, "sipgateway-operator", seconds=7200)
        return self.operators(
            kubeconfig, "--namespace", self.watched, "--lease-namespace", _SYSTEM, "--log-level", "warning", wait=False
        )

    async def _fill(self, api: Api, namespace: str, start: int, end: int) -> None:
        """Makes gateways, several at once."""
        todo = iter(range(start, end))

        async def make() -> None:
            for number in todo:
                await api.create(_GATEWAYS.format(namespace), _gateway(number))

        await asyncio.gather(*(make() for _ in range(_MAKERS)))

    async def _settled(self, operator: Operator, count: int) -> None:
        """Waits until each gateway has its ConfigMap and its status, and the operator rests."""
        deadline = time.monotonic() + 600
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError, AssertionError):
                metrics = operator.metrics()
                waiting = sum(v for k, v in metrics.items() if k.startswith("sipgateway_queue_depth"))
                accepted = metrics.get('sipgateway_gateways{condition="Accepted",reason="Accepted",status="True"}', 0)
                if waiting == 0 and accepted >= count:
                    await asyncio.sleep(1.5)
                    return
            await asyncio.sleep(0.2)
        raise TimeoutError(f"the operator did not settle over {count} gateways\n{operator.tail()}")

    async def _latencies(self, api: Api, changes: int) -> tuple[list[float], list[float]]:
        """In turns: a write and its own watch event (in a namespace that nobody else watches), and ours."""
        floor: list[float] = []
        ours: list[float] = []
        async with (
            _watching(api, _GATEWAYS.format(self.bare)) as bare,
            _watching(api, _CONFIG_MAPS.format(self.watched)) as made,
        ):
            for number in range(changes):
                name = f"trunk-{number % 10}"
                floor.append(await self._timed(api, self.bare, name, bare, name))
                ours.append(await self._timed(api, self.watched, name, made, f"sipgateway-{name}"))
                await asyncio.sleep(0.05)  # the status that follows is not part of what is measured
        return floor, ours

    async def _timed(
        self, api: Api, namespace: str, name: str, events: asyncio.Queue[tuple[str, float]], wanted: str
    ) -> float:
        while not events.empty():
            events.get_nowait()
        value = f"value-{next(self.numbers)}"
        body = {"spec": {"variables": [{"name": "carrier", "value": value}]}}
        started = time.perf_counter()
        write = asyncio.create_task(api.patch(f"{_GATEWAYS.format(namespace)}/{name}", body))
        async with asyncio.timeout(10):
            while True:
                seen, at = await events.get()
                if seen == wanted:
                    break
        await write
        return at - started

    async def _burst(self, api: Api, operator: Operator, have: int, count: int, tell: Callable[[Line], None]) -> None:
        """As many creations, one after the other: bare, and until the last ConfigMap is there."""
        started = time.perf_counter()
        for number in range(have, have + count):
            await api.create(_GATEWAYS.format(self.bare), _gateway(number))
        bare = time.perf_counter() - started
        before = operator.metrics()
        async with _watching(api, _CONFIG_MAPS.format(self.watched)) as made:
            started = time.perf_counter()
            for number in range(have, have + count):
                await api.create(_GATEWAYS.format(self.watched), _gateway(number))
            waiting = {f"sipgateway-trunk-{number}" for number in range(have, have + count)}
            last = started
            async with asyncio.timeout(120):
                while waiting:
                    name, last = await made.get()
                    waiting.discard(name)
            ours = last - started
        await self._settled(operator, have + count)
        key = 'sipgateway_writes_total{kind="SipGateway",result="ok",verb="status"}'
        statuses = (operator.metrics()[key] - before.get(key, 0)) / count
        tell(ratio_line(f"{count:,} SipGateways created -> last ConfigMap / the creations alone", bare, ours, 1.5))
        tell(Line("status writes per created gateway", "-", f"{statuses:.2f}", "-", "<= 3", statuses <= 3))

    async def _cold_start(self, count: int, tell: Callable[[Line], None]) -> None:
        """A start over gateways that are all as they should be."""
        started = time.perf_counter()
        operator = self._start()
        operator.wait_ready(300)
        ready = time.perf_counter() - started
        await self._settled(operator, count)
        took = time.perf_counter() - started - 1.5
        metrics = operator.metrics()
        writes = sum(v for k, v in metrics.items() if k.startswith("sipgateway_writes_total"))
        peak = operator.memory_peak() / 2**20
        (cpu,) = await idle_cpu([operator.pid], 60)
        tell(Line(f"cold start, {count:,} up to date: writes", "-", f"{writes:.0f}", "-", "0", writes == 0))
        tell(Line(f"cold start, {count:,}: ready; all judged", "-", f"{ready:.1f} s; {took:.1f} s", "-", "-", met=True))
        tell(Line(f"operator's peak memory, {count:,}", "-", f"{peak:.0f} MB", "-", "<= 260 MB", peak <= 260))
        tell(Line(f"operator's idle CPU, {count:,}", "-", f"{cpu * 100:.2f} %", "-", "<= 0.5 %", cpu <= 0.005))


@contextlib.asynccontextmanager
async def _watching(api: Api, path: str) -> AsyncIterator[asyncio.Queue[tuple[str, float]]]:
    """Names of changed objects and when they were heard of."""
    events: asyncio.Queue[tuple[str, float]] = asyncio.Queue()
    version = ""
    async for page in api.pages(path):
        version = page.version

    async def follow() -> None:
        async for event in api.watch(path, version, seconds=3600):
            events.put_nowait((event.object["metadata"].get("name", ""), time.perf_counter()))

    task = asyncio.create_task(follow())
    await asyncio.sleep(0.2)
    try:
        yield events
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def _gateway(number: int) -> Obj:
    return {
        "apiVersion": "sipgateway.dev/v1alpha1",
        "kind": "SipGateway",
        "metadata": {"name": f"trunk-{number}"},
        "spec": {
            "register": False,
            "username": f"account{number}",
            "proxy": "sip.example.com:5060",
            "variables": [{"name": "carrier", "value": "example"}],
        },
    }
