"""`sipgw sync` on a real API server: a commit with many manifests against the bare dry-runs and applies of the same.

In: the programs that `make controlplane` builds, git. Out: rows of the table. Ours is the whole process with its start.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from benchmarks.table import Line, ratio_line
from sipgateway.cluster import access
from sipgateway.cluster.client import APPLY, Api
from tests.controlplane.plane import ControlPlane
from tests.git.served import commit, new_repository
from tests.sync.commits import manifest

_GATEWAYS = "/apis/sipgateway.dev/v1alpha1/namespaces/{}/sipgateways"

#: Requests at once, as in a sync.
_AT_ONCE = 8


def bench_sync(count: int, tell: Callable[[Line], None]) -> None:
    """A first commit, two that change everything, and a look at the same once more."""
    with ControlPlane(crds=[Path("crds")], audit_policy=None) as plane, tempfile.TemporaryDirectory() as folder:
        synced, bare = plane.create_namespace("synced"), plane.create_namespace("bare")
        source = new_repository(Path(folder, "source"), {"README.md": "-"})

        def change(numbers: range, ping: int) -> None:
            files = {f"trunks/{n}.yaml": manifest(f"gw-{n}", suspend=True, ping=ping) for n in numbers}
            commit(source, dict(files))

        def sync() -> tuple[float, float]:
            """Seconds, and MB at the most."""
            command = [
                *(sys.executable, "-m", "sipgateway", "sync", "--once", "--path=trunks", "--environment=bench"),
                *(f"--repository={source}", f"--namespace={synced}", "--evidence-remote=-"),
                *(f"--folder={folder}/mirror", f"--kubeconfig={plane.kubeconfig}", "--log-level=warning"),
            ]
            started = time.perf_counter()
            process = subprocess.Popen(command)
            _, status, used = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            if process.returncode:
                raise RuntimeError("sipgw sync failed")
            return time.perf_counter() - started, used.ru_maxrss / 1024

        change(range(count), 60)
        floor = asyncio.run(_bare(plane, bare, count, 60))
        ours, memory = sync()
        tell(ratio_line(f"sync of {count:,} new manifests / bare dry-runs and applies", floor, ours, 1.5))
        floors, times = [], []
        for ping in (30, 40):  # in turns: what else the machine does, it does to both
            change(range(count), ping)
            floors.append(asyncio.run(_bare(plane, bare, count, ping)))
            ours, more = sync()
            times.append(ours)
            memory = max(memory, more)
        what = f"sync of {count:,} changed manifests / bare dry-runs and applies, best of two"
        tell(ratio_line(what, min(floors), min(times), 1.5))
        before = _versions(plane, synced)
        ours, more = sync()
        writes = sum(before[name] != version for name, version in _versions(plane, synced).items())
        tell(Line(f"writes for an unchanged commit of {count:,}", "-", str(writes), "-", "0", writes == 0))
        tell(Line(f"look at an unchanged commit of {count:,}", "-", f"{ours:.2f} s", "-", "-", met=True))
        memory = max(memory, more)
        tell(Line(f"most memory of sipgw sync, {count:,}", "-", f"{memory:.0f} MB", "-", "<= 250 MB", memory <= 250))


def _versions(plane: ControlPlane, namespace: str) -> Mapping[str, str]:
    found, _ = plane.api.list_all(_GATEWAYS.format(namespace))
    return {one["metadata"]["name"]: one["metadata"]["resourceVersion"] for one in found}


async def _bare(plane: ControlPlane, namespace: str, count: int, ping: int) -> float:
    """Seconds of the requests alone: everything as a dry run, then everything."""
    path = _GATEWAYS.format(namespace)
    async with Api(await access.from_kubeconfig(str(plane.kubeconfig))) as api:
        started = time.perf_counter()
        for params in ({"dryRun": "All"}, {}):
            todo = iter(range(count))

            async def work(todo: Iterator[int] = todo, params: Mapping[str, str] = params) -> None:
                for n in todo:
                    body = {
                        "apiVersion": "sipgateway.dev/v1alpha1",
                        "kind": "SipGateway",
                        "metadata": {
                            "name": f"gw-{n}",
                            "labels": {"sipgateway.dev/environment": "bench"},
                            "annotations": {
                                "sipgateway.dev/commit": f"{ping:040}",
                                "sipgateway.dev/path": f"trunks/{n}.yaml",
                                "sipgateway.dev/manifest-digest": f"{n * ping:032}",
                            },
                        },
                        "spec": {"proxy": "sip.example.com", "register": False, "suspend": True, "ping": ping},
                    }
                    await api.patch(f"{path}/gw-{n}", body, kind=APPLY, params={"fieldManager": "bare", **params})

            await asyncio.gather(*(work() for _ in range(_AT_ONCE)))
        return time.perf_counter() - started
