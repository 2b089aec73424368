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
from sipgateway.kube.term import End, Term

log = logging.getLogger("sipgateway.operator")

#: Seconds between looks for CRDs that are not there.
_CRDS_LOOK = 1.0

#: Seconds that a term has to last to count as one that worked, and the first and the longest pause after others.
_WORKS = 60.0
_PAUSE_FIRST, _PAUSE_MAX = 1.0, 30.0


@dataclass(frozen=True, slots=True)
class Options:
    """How the operator runs.

    Attributes:
        namespaces: where it looks; empty for everywhere.
        lease_namespace, lease_name: the Lease of the replicas.
        lease_seconds: after so long without a renewal another replica takes over.
        identity: of this replica; empty takes host and process. A random part is added.
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
    _asked: Lease | None = None  # while the Lease is asked for
    _told: str = ""

    async def run(self) -> int:
        """Runs until SIGTERM or SIGINT.

        Raises:
            SipgwError: the Lease may not be used, or nothing can be served at the address.
        """
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        health = Health(self.options.host, self.options.port, self._ready, self.metrics.exposition)
        async with health, Api(self.access) as api, Api(self.access, connections=2) as own:
            working = asyncio.create_task(self._work(api, self._lease(own), stop))
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

    async def _work(self, api: Api, lease: Lease, stop: asyncio.Event) -> None:
        """Term after term; after short ones that ended for no good reason with a growing pause between them."""
        failures = 0
        loop = asyncio.get_running_loop()
        try:
            while True:
                await self._wait_for_crds(api)
                await self._acquire(lease)
                began = loop.time()
                end = await self._lead(api, lease, stop)
                await lease.release()  # whoever can work shall
                if stop.is_set():
                    return
                failures = 0 if end is not End.BROKEN or loop.time() - began > _WORKS else failures + 1
                if failures:
                    seconds = min(_PAUSE_FIRST * 2 ** (failures - 1), _PAUSE_MAX)
                    self._state = f"{end.value}; all begins anew in {seconds:g} s"
                    await asyncio.sleep(seconds)
        finally:
            await lease.release()

    async def _lead(self, api: Api, lease: Lease, stop: asyncio.Event) -> End:
        options = self.options
        log.info("leading as %s", lease.identity)
        self.metrics.leads()
        try:
            self._term = Term(
                api,
                self.access,
                lease,
                self.metrics,
                options.namespaces,
                lambda: crds_there(api),
                lease.identity,
            )
            end = await self._term.run(stop)
        except Exception:
            log.exception("a term broke; all begins anew")
            end = End.BROKEN
        finally:
            self._term = None
            self.metrics.leads_no_more()
        log.info("not leading any more: %s", end.value)
        return end

    async def _acquire(self, lease: Lease) -> None:
        self._state, self._asked = "asking for the Lease", lease
        try:
            await lease.acquire()
        except ApiError as error:
            where = f"{self.options.lease_namespace}/{self.options.lease_name}"
            what = f"Lease {where} may not be used: {error.message}."
            raise SipgwError(codes.LEASE_FORBIDDEN.because("", what)) from None
        finally:
            self._asked = None

    def _lease(self, api: Api) -> Lease:
        seconds = self.options.lease_seconds
        name = self.options.identity or f"{socket.gethostname()}_{os.getpid()}"
        return Lease(
            api,
            f"/apis/coordination.k8s.io/v1/namespaces/{self.options.lease_namespace}/leases",
            self.options.lease_name,
            f"{name}_{secrets.token_hex(4)}",  # a process after a crash is not the one before it
            duration=seconds,
            renew_within=seconds * 2 / 3,
            period=seconds * 2 / 15,
            look=min(1.0, seconds / 5),
            told=self._lease_told,
        )

    def _lease_told(self, error: ApiError | None) -> None:
        if error is None:
            self._tell("")
            return
        where = f"{self.options.lease_namespace}/{self.options.lease_name}"
        self._tell(f"the Lease {where} cannot be used: {error}")
        if not error.transient and self._term is None:
            self._state = self._told

    async def _wait_for_crds(self, api: Api) -> None:
        while True:
            try:
                if await crds_there(api):
                    self._tell("")
                    return
                self._state = "the CRDs of sipgateway.dev are not installed"
            except ApiError as error:
                self._state = f"the API server does not answer: {error}"
            self._tell(self._state)
            await asyncio.sleep(_CRDS_LOOK)

    def _tell(self, what: str) -> None:
        """Into the log, once; empty when all is well again."""
        if what != self._told and what:
            log.warning("%s%s", "waiting: " if self._term is None else "", what)
        self._told = what

    def _ready(self) -> str | None:
        if self._term is not None:
            return self._term.in_the_way()
        if self._asked is not None and self._asked.of_another:
            return None  # a replica that waits for the Lease of another one is as ready as it can be
        return self._state


async def crds_there(api: Api) -> bool:
    """Whether our kinds are served. One that is being deleted takes no new objects: it is as good as gone.

    Raises:
        ApiError: that cannot be said now.
    """
    try:
        found = await api.get(f"/apis/{API_VERSION}")
    except ApiError as error:
        if error.not_found:
            return False
        raise
    kinds = found.get("resources") or ()
    names = {str(kind.get("name")) for kind in kinds if "create" in (kind.get("verbs") or ())}
    return {PLURAL, SWITCH_PLURAL} <= names
