"""The operator's process: waits for the CRDs, takes the Lease, works until it is told to stop or loses it; for ever.

In: options. Out: an exit code. Whatever breaks ends a term, never the process: the next term begins with LISTs.
"""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import signal
import socket
from dataclasses import dataclass, field

from sipgateway.api.names import API_VERSION, PLURAL, SWITCH_PLURAL
from sipgateway.cluster.access import Access
from sipgateway.cluster.client import Api, ApiError
from sipgateway.cluster.health import Health
from sipgateway.cluster.lease import Lease
from sipgateway.errors import ExitCode, SipgwError
from sipgateway.kube import codes
from sipgateway.kube.metrics import Metrics
from sipgateway.kube.term import Term

log = logging.getLogger("sipgateway.operator")

#: Seconds between looks for CRDs that are not there.
_CRDS_LOOK = 1.0


@dataclass(frozen=True, slots=True)
class Options:
    """How the operator runs.

    Attributes:
        namespaces: where it looks; empty for everywhere.
        lease_namespace, lease_name: the Lease of the replicas.
        lease_seconds: after so long without a renewal another replica takes over.
        identity: of this replica; empty makes one.
        host, port: where `/healthz`, `/readyz` and `/metrics` are served.
    """

    namespaces: tuple[str, ...] = ()
    lease_namespace: str = "default"
    lease_name: str = "sipgateway-operator"
    lease_seconds: float = 15.0
    identity: str = ""
    host: str = "0.0.0.0"  # noqa: S104 - the kubelet and Prometheus come from outside the pod
    port: int = 8080


@dataclass(slots=True)
class Operator:
    """One replica."""

    access: Access
    options: Options
    metrics: Metrics = field(default_factory=Metrics)
    _term: Term | None = None
    _state: str | None = "starting"

    async def run(self) -> int:
        """Runs until SIGTERM or SIGINT.

        Raises:
            SipgwError: the Lease may not be used.
        """
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        health = Health(self.options.host, self.options.port, self._ready, self.metrics.exposition)
        async with health, Api(self.access) as api:
            working = asyncio.create_task(self._work(api, stop))
            stopping = asyncio.create_task(stop.wait())
            await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if not working.done() and self._term is None:
                working.cancel()  # it only waits
            stopping.cancel()
            try:
                await working
            except asyncio.CancelledError:
                if not stop.is_set():
                    raise
        log.info("stopped")
        return int(ExitCode.OK)

    async def _work(self, api: Api, stop: asyncio.Event) -> None:
        identity = self.options.identity or f"{socket.gethostname()}_{os.getpid()}_{secrets.token_hex(4)}"
        lease = self._lease(api, identity)
        try:
            while not stop.is_set():
                await self._wait_for_crds(api)
                self._state = None  # a replica that waits for the Lease is as ready as it can be
                try:
                    await lease.acquire()
                except ApiError as error:
                    where = f"{self.options.lease_namespace}/{self.options.lease_name}"
                    what = f"Lease {where} may not be used: {error.message}."
                    raise SipgwError(codes.LEASE_FORBIDDEN.because("", what)) from None
                log.info("leading as %s", identity)
                self.metrics.leader.set(1)
                self._term = Term(
                    api,
                    self.access,
                    lease,
                    self.metrics,
                    self.options.namespaces,
                    lambda: crds_there(api),
                    identity,
                )
                try:
                    why = await self._term.run(stop)
                finally:
                    self._term = None
                    self.metrics.leader.set(0)
                log.info("not leading any more: %s", why)
        finally:
            await lease.release()

    def _lease(self, api: Api, identity: str) -> Lease:
        seconds = self.options.lease_seconds
        return Lease(
            api,
            f"/apis/coordination.k8s.io/v1/namespaces/{self.options.lease_namespace}/leases",
            self.options.lease_name,
            identity,
            duration=seconds,
            renew_within=seconds * 2 / 3,
            period=seconds * 2 / 15,
            look=min(1.0, seconds / 5),
        )

    async def _wait_for_crds(self, api: Api) -> None:
        told = ""
        while True:
            try:
                if await crds_there(api):
                    return
                why = "the CRDs of sipgateway.dev are not installed"
            except ApiError as error:
                why = f"the API server does not answer: {error}"
            if why != told:
                log.warning("waiting: %s", why)
                told = why
            self._state = why
            await asyncio.sleep(_CRDS_LOOK)

    def _ready(self) -> str | None:
        if self._term is not None and not self._term.seeded:
            return "reading what is there"
        return self._state


async def crds_there(api: Api) -> bool:
    """Whether our kinds are served.

    Raises:
        ApiError: that cannot be said now.
    """
    try:
        found = await api.get(f"/apis/{API_VERSION}")
    except ApiError as error:
        if error.not_found:
            return False
        raise
    names = {str(r.get("name")) for r in found.get("resources") or ()}
    return {PLURAL, SWITCH_PLURAL} <= names
