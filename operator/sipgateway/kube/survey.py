"""What a cluster says of SipGateways and switch pods right now, read once for a person who asks. Writes nothing.

In: an `Api`, where to look. Out: frozen values; times are the API server's own (`managedFields`), whole seconds.
"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sipgateway.api.names import (
    ANNOTATION_COMMIT,
    ANNOTATION_PATH,
    API_VERSION,
    DEFAULT_PROFILE,
    LABEL_SWITCH,
    PLURAL,
    SWITCH_PLURAL,
)
from sipgateway.api.switch import SwitchReport, parse_switch
from sipgateway.cluster.client import Api, ApiError, Obj
from sipgateway.errors import ExitCode, SipgwError
from sipgateway.kube import codes
from sipgateway.kube.fleets import pod_view
from sipgateway.kube.records import FleetId, Key, gateway_record
from sipgateway.kube.rotate import refused
from sipgateway.reconcile.fleet import FleetView, HeardReport, PodState, PodView
from sipgateway.render import configmap
from sipgateway.render.target import TargetError, read_target


@dataclass(frozen=True, slots=True)
class Written:
    """Who wrote something last, and when."""

    by: str = ""
    at: dt.datetime | None = None


@dataclass(frozen=True, slots=True)
class Gateway:
    """One SipGateway as it is.

    Attributes:
        name: on the switch, as its spec asks for it.
        conditions: type -> condition, as the API server has it.
        registered: the printer column.
        spec: who wrote its spec last.
        commit, path: of the manifest in git, empty when whoever applied it did not say.
    """

    key: Key
    fleet: FleetId
    name: str
    profile: str
    generation: int
    suspend: bool
    registers: bool
    created: dt.datetime | None
    conditions: Mapping[str, Obj] = field(repr=False)
    registered: str = "-"
    spec: Written = Written()
    commit: str = ""
    path: str = ""

    def condition(self, kind: str) -> tuple[str, str, str]:
        """Status, reason and message; `Unknown` when there is none of this generation."""
        found = self.conditions.get(kind) or {}
        if found.get("observedGeneration") != self.generation:
            return "Unknown", "", f"the operator has not looked at generation {self.generation} yet"
        return str(found.get("status")), str(found.get("reason") or ""), str(found.get("message") or "")


@dataclass(frozen=True, slots=True)
class Published:
    """The ConfigMap of a SipGateway.

    Attributes:
        version: resourceVersion.
        gateway, revision: what its target says; empty when that cannot be read.
    """

    name: str
    version: int
    gateway: str
    revision: str
    written: Written


@dataclass(frozen=True, slots=True)
class Pod:
    """A switch pod and what its agent reports.

    Attributes:
        state: what counts of the report.
        report: None when there is none of this very pod.
        reported: when the agent last wrote.
    """

    fleet: FleetId
    state: PodState
    report: SwitchReport | None = None
    reported: dt.datetime | None = None


@dataclass(frozen=True, slots=True)
class Survey:
    """Everything that was read.

    Attributes:
        gateways: by namespace and name.
        pods: of each fleet, those that count, by name.
        unread: what could not be read, in the API server's words: nothing is to be concluded from what is missing.
    """

    gateways: tuple[Gateway, ...]
    pods: Mapping[FleetId, tuple[Pod, ...]]
    unread: tuple[str, ...] = ()


async def survey(api: Api, namespace: str | None) -> Survey:
    """Reads a namespace, or all.

    Raises:
        SipgwError: SipGateways cannot be read.
    """
    try:
        gateways = [_gateway(obj) for obj in await _all(api, _path(f"/apis/{API_VERSION}", namespace, PLURAL))]
    except ApiError as error:
        raise refused(error) from None
    unread: list[str] = []
    pods = await _pods(api, namespace, "", unread)
    return Survey(tuple(sorted(gateways, key=lambda g: g.key)), pods, tuple(unread))


async def one(api: Api, key: Key) -> tuple[Gateway, Published | None, Survey]:
    """Reads one SipGateway, its ConfigMap and the pods of its fleet.

    Raises:
        SipgwError: there is none, or it cannot be read.
    """
    try:
        gateway = _gateway(await api.get(f"{_path(f'/apis/{API_VERSION}', key.namespace, PLURAL)}/{key.name}"))
    except ApiError as error:
        if error.not_found:
            what = f"There is no SipGateway {key}."
            raise SipgwError(codes.NO_SUCH_GATEWAY.because("", what), ExitCode.FAILED) from None
        raise refused(error) from None
    unread: list[str] = []
    published = None
    try:
        path = _path("/api/v1", key.namespace, "configmaps")
        published = _published(await api.get(f"{path}/{configmap.config_map_name(key.name)}"))
    except ApiError as error:
        if not error.not_found:
            unread.append(f"its ConfigMap: {error}")
    pods = await _pods(api, key.namespace, f"{LABEL_SWITCH}={gateway.fleet.switch}", unread)
    return gateway, published, Survey((gateway,), pods, tuple(unread))


async def _pods(api: Api, namespace: str | None, selector: str, unread: list[str]) -> Mapping[FleetId, tuple[Pod, ...]]:
    found: dict[str, Sequence[Obj]] = {}
    for what, path in (
        ("pods", _path("/api/v1", namespace, "pods")),
        ("SipSwitches", _path(f"/apis/{API_VERSION}", namespace, SWITCH_PLURAL)),
    ):
        try:
            # The Pod says which fleet a report belongs to, so reports are not selected by their own label.
            found[what] = await _all(api, path, (selector or LABEL_SWITCH) if what == "pods" else "")
        except ApiError as error:
            unread.append(f"{what}: {error}")
    now = time.time()
    reports: dict[tuple[str, str], list[tuple[HeardReport, dt.datetime | None]]] = {}
    for obj in found.get("SipSwitches", ()):
        report, at = parse_switch(obj), _written(obj, "f:status").at
        heard = HeardReport(report, now if at is None else at.timestamp())
        reports.setdefault((report.namespace, report.owner_uid), []).append((heard, at))
    fleets: dict[FleetId, list[PodView]] = {}
    for obj in found.get("pods", ()):
        meta = obj["metadata"]
        fleet = FleetId(meta["namespace"], meta["labels"][LABEL_SWITCH])
        born = _time(meta.get("creationTimestamp"))
        view = pod_view(obj, fleet.switch, now if born is None else born.timestamp())
        fleets.setdefault(fleet, []).append(view)
    if "SipSwitches" not in found:
        return {}
    return {fleet: _fleet(fleet, pods, reports, now) for fleet, pods in sorted(fleets.items())}


def _fleet(
    fleet: FleetId,
    pods: Sequence[PodView],
    reports: Mapping[tuple[str, str], Sequence[tuple[HeardReport, dt.datetime | None]]],
    now: float,
) -> tuple[Pod, ...]:
    mine = {
        pod.name: (heard, at)
        for pod in pods
        for heard, at in reports.get((fleet.namespace, pod.uid), ())
        if heard.report.pod == pod.name
    }
    view = FleetView.of(pods, [heard for heard, _ in mine.values()], now, switch=fleet.switch)
    states = ((state, mine.get(state.name)) for state in view.pods)
    return tuple(
        Pod(fleet, state) if found is None else Pod(fleet, state, found[0].report, found[1]) for state, found in states
    )


def _gateway(obj: Obj) -> Gateway:
    record, spec, status = gateway_record(obj), obj.get("spec") or {}, obj.get("status") or {}
    notes = obj["metadata"].get("annotations") or {}
    return Gateway(
        key=record.key,
        fleet=record.name.fleet,
        name=record.name.gateway,
        profile=str(spec.get("profile") or DEFAULT_PROFILE),
        generation=record.generation,
        suspend=record.suspend,
        registers=spec.get("register") is not False,
        created=_time(record.created),
        conditions={str(c.get("type")): c for c in status.get("conditions") or ()},
        registered=str(status.get("registered") or "-"),
        spec=_written(obj, "f:spec"),
        commit=str(notes.get(ANNOTATION_COMMIT) or ""),
        path=str(notes.get(ANNOTATION_PATH) or ""),
    )


def _published(obj: Obj) -> Published:
    meta = obj["metadata"]
    gateway = revision = ""
    try:
        target = read_target(str((obj.get("data") or {}).get(configmap.TARGET) or ""))
        gateway, revision = target.gateway, target.revision
    except TargetError:
        pass  # what agents make of it stands in their reports
    return Published(meta["name"], int(meta["resourceVersion"]), gateway, revision, _written(obj, "f:data"))


def _written(obj: Obj, part: str) -> Written:
    """Who wrote this part of it last, by the API server's own record."""
    found = [
        Written(str(entry.get("manager") or ""), _time(entry.get("time")))
        for entry in obj["metadata"].get("managedFields") or ()
        if part in (entry.get("fieldsV1") or {})
    ]
    return max(found, key=lambda w: w.at or dt.datetime.min.replace(tzinfo=dt.UTC), default=Written())


def _time(text: object) -> dt.datetime | None:
    try:
        return dt.datetime.fromisoformat(str(text))
    except ValueError:
        return None


async def _all(api: Api, path: str, selector: str = "") -> list[Obj]:
    return [obj async for page in api.pages(path, selector=selector) for obj in page.items]


def _path(group: str, namespace: str | None, plural: str) -> str:
    return f"{group}/{plural}" if namespace is None else f"{group}/namespaces/{namespace}/{plural}"
