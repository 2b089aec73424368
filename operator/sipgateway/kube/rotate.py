"""The exchange of a fleet's seal keys: looks at what there is, does the step that is due, until none is.

In: an `Api` with rights on the keys, a fleet, somebody to tell. Out: the fleet's keys exchanged, or how far it came.
Nothing is remembered between steps: each is told from the cluster (reconcile/rotation.py), so whoever calls again goes
on where it stopped. Each write names the version of the Secret that it was decided on.
"""

from __future__ import annotations

import asyncio
import base64
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from sipgateway.api.names import (
    API_VERSION,
    FIELD_MANAGER,
    LABEL_NAME,
    LABEL_NAME_VALUE,
    LABEL_SWITCH,
    OBJECT_PREFIX,
    SWITCH_PLURAL,
)
from sipgateway.api.switch import parse_switch
from sipgateway.cluster.client import Api, ApiError, Obj
from sipgateway.errors import ExitCode, InputError, SipgwError
from sipgateway.kube import codes
from sipgateway.kube.decide import keys_missing
from sipgateway.kube.fleets import pod_view
from sipgateway.kube.records import FleetId, decoded
from sipgateway.reconcile.rotation import Done, Reseal, WaitForPods, carried_out, due
from sipgateway.render import configmap
from sipgateway.render.codes import SEAL_KEY_UNKNOWN
from sipgateway.render.keys import FleetKeys, KeysError, secret_name

#: Seconds between looks while something is waited for: the first, and the longest.
_LOOK_FIRST, _LOOK_MAX = 0.5, 10.0

#: When so few ConfigMaps are behind, it is looked whether they are ours at all.
_FEW = 20


@dataclass(frozen=True, slots=True)
class Seen:
    """What there is.

    Attributes:
        keys: the fleet's.
        version: resourceVersion of their Secret.
        sealed: ConfigMap -> ids of the seal keys that it needs; those that need none are in it too.
        agents: pod -> ids of the seal keys that its agent holds. Pods without an agent are not in it.
    """

    keys: FleetKeys
    version: str
    sealed: Mapping[str, frozenset[str]]
    agents: Mapping[str, frozenset[str]]

    @property
    def under_way(self) -> bool:
        """Whether an exchange was begun and is not over."""
        return not isinstance(due(self.keys, self.sealed, self.agents), Done)


async def look(api: Api, fleet: FleetId) -> Seen:
    """Looks at everything that an exchange depends on.

    Raises:
        InputError: the fleet has no keys, or they cannot be used.
        ApiError: the API server refuses, or does not answer.
    """
    keys, version = await _keys(api, fleet)
    return Seen(keys, version, await _sealed(api, fleet, keys), await _agents(api, fleet))


async def rotate(api: Api, fleet: FleetId, tell: Callable[[str], None], patience: float) -> bool:
    """Exchanges the seal key, or ends an exchange that was begun before.

    Args:
        api: the API server.
        fleet: whose.
        tell: told of each step in a sentence.
        patience: seconds without progress after which it is given up.

    Returns:
        Whether it is done. If not, nothing is lost: the next call goes on.

    Raises:
        InputError: the fleet has no keys, or they cannot be used.
        ApiError: the API server refuses, or does not answer for longer than `patience`.
    """
    loop = asyncio.get_running_loop()
    start: bool | None = None
    told = ""
    wait = _LOOK_FIRST
    progress_at = loop.time()
    while True:
        try:
            seen = await look(api, fleet)
            if start is None:
                start = not seen.under_way
                if not start:
                    tell("An exchange that was begun before goes on.")
            step = due(seen.keys, seen.sealed, seen.agents, start=start)
            if str(step) != told:
                tell(str(step))
                told, progress_at, wait = str(step), loop.time(), _LOOK_FIRST
            if isinstance(step, Done):
                return True
            if not isinstance(step, WaitForPods | Reseal):
                await _store(api, fleet, seen, carried_out(step, seen.keys, secrets.token_bytes))
                start = False
                continue
        except ApiError as error:
            if not (error.transient or error.conflict):
                raise
            if loop.time() - progress_at >= patience:
                raise
        if loop.time() - progress_at >= patience:
            return False
        await asyncio.sleep(min(wait, max(progress_at + patience - loop.time(), 0.0)))
        wait = min(wait * 1.5, _LOOK_MAX)


def refused(error: ApiError) -> SipgwError:
    """What a command ends with when the API server does not do what it is asked."""
    return SipgwError(codes.API_REFUSED.because("", f"The API server answers: {error}."), ExitCode.FAILED)


async def _keys(api: Api, fleet: FleetId) -> tuple[FleetKeys, str]:
    path = _secret(fleet)
    try:
        found = await api.get(path)
    except ApiError as error:
        if not (error.not_found and error.is_status):
            raise
        if [True async for page in api.pages(_config_maps(fleet), selector=_selector(fleet), limit=1) if page.items]:
            raise InputError(keys_missing(fleet)) from None
        what = f"There is no Secret {fleet.namespace}/{secret_name(fleet.switch)}."
        raise InputError(codes.NO_FLEET_KEYS.because("", what)) from None
    try:
        keys = FleetKeys.from_data(decoded(found.get("data")))
    except KeysError as error:
        told = f"Secret {fleet.namespace}/{secret_name(fleet.switch)}, {error.finding.field}: {error.finding.message}"
        raise InputError(replace(error.finding, field="", message=told)) from None
    return keys, str(found["metadata"]["resourceVersion"])


async def _sealed(api: Api, fleet: FleetId, keys: FleetKeys) -> Mapping[str, frozenset[str]]:
    sealed: dict[str, frozenset[str]] = {}
    behind: dict[str, Obj] = {}
    async for page in api.pages(_config_maps(fleet), selector=_selector(fleet)):
        for obj in page.items:
            name = obj["metadata"]["name"]
            if not name.startswith(OBJECT_PREFIX):
                continue
            sealed[name] = configmap.sealed_with(obj.get("data") or {})
            if sealed[name] - {keys.active} and len(behind) <= _FEW:
                behind[name] = obj
    if len(behind) <= _FEW:  # somebody else's would never be sealed anew
        for name, obj in behind.items():
            if not _is_ours(obj, fleet, keys):
                del sealed[name]
    return sealed


def _is_ours(obj: Obj, fleet: FleetId, keys: FleetKeys) -> bool:
    labels = obj["metadata"].get("labels") or {}
    where = {"namespace": fleet.namespace, "name": obj["metadata"]["name"], "switch": fleet.switch}
    try:
        configmap.verify(obj.get("data") or {}, labels, keys=keys, **where)
    except configmap.PublishedError as error:
        return error.finding.code == SEAL_KEY_UNKNOWN.name
    return True


async def _agents(api: Api, fleet: FleetId) -> Mapping[str, frozenset[str]]:
    """What each pod that counts says. One whose report is of an earlier pod of that name has said nothing."""
    base = f"/apis/{API_VERSION}/namespaces/{fleet.namespace}/{SWITCH_PLURAL}"
    said: dict[tuple[str, str], frozenset[str]] = {}
    async for page in api.pages(base, limit=50):
        for obj in page.items:
            report = parse_switch(obj)
            said[report.pod, report.owner_uid] = report.seal_keys
    held: dict[str, frozenset[str]] = {}
    pods = f"/api/v1/namespaces/{fleet.namespace}/pods"
    async for page in api.pages(pods, selector=f"{LABEL_SWITCH}={fleet.switch}"):
        for obj in page.items:
            pod = pod_view(obj, fleet.switch, 0.0)
            if pod.counts and pod.has_agent:
                held[pod.name] = said.get((pod.name, pod.uid), frozenset())
    return held


async def _store(api: Api, fleet: FleetId, seen: Seen, keys: FleetKeys) -> None:
    before, after = seen.keys.to_data(), keys.to_data()
    data: dict[str, str | None] = {n: base64.b64encode(v).decode() for n, v in after.items() if before.get(n) != v}
    data |= dict.fromkeys(before.keys() - after.keys())
    body: Obj = {"metadata": {"resourceVersion": seen.version}, "data": data}
    await api.patch(_secret(fleet), body, params={"fieldManager": FIELD_MANAGER})


def _secret(fleet: FleetId) -> str:
    return f"/api/v1/namespaces/{fleet.namespace}/secrets/{secret_name(fleet.switch)}"


def _config_maps(fleet: FleetId) -> str:
    return f"/api/v1/namespaces/{fleet.namespace}/configmaps"


def _selector(fleet: FleetId) -> str:
    return f"{LABEL_SWITCH}={fleet.switch},{LABEL_NAME}={LABEL_NAME_VALUE}"
