"""Whether everything is as its users want it: files = ConfigMaps = loaded = status. Reads, changes nothing.

In: a fleet and what is wanted. Out: what is not so, in words; nothing when all is well.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from sipgateway.render.configmap import Published, PublishedError, config_map_name
from sipgateway.render.layout import file_name
from tests.agent_kube.pods import SwitchPod
from tests.canary import Canary
from tests.kube.lab import Obj
from tests.ring.fleet import Fleet, is_ready, rows
from tests.ring.plan import Trunk, World


def differences(fleet: Fleet, world: World, password: Callable[[str, World], Canary]) -> list[str]:
    """What is not as it should be.

    Args:
        fleet: its pods answer.
        world: what the users want.
        password: of a Secret.
    """
    lab = fleet.lab
    there = {name: t for name, t in world.trunks.items() if not t.suspended}
    config_maps = {
        o["metadata"]["name"]: o for o in lab.all("configmaps", labelSelector=f"sipgateway.dev/switch={fleet.name}")
    }
    wanted = {config_map_name(name) for name in there}
    if config_maps.keys() != wanted:
        return [f"ConfigMaps: {sorted(config_maps)} instead of {sorted(wanted)}"]
    keys = lab.keys(fleet.name)
    published: dict[str, Published] = {}
    found: list[str] = []
    for name, trunk in there.items():
        try:
            one = lab.verify(config_maps[config_map_name(name)], keys)
        except PublishedError as error:
            found.append(f"ConfigMap of {name}: {error}")
            continue
        published[trunk.gateway] = one
        found += _of_config_map(trunk, one, password(trunk.secret, world))
    for pod in fleet.pods:
        found += _of_files(pod, published)
        found += _of_switch(pod, published)
    return found or [*_of_statuses(fleet, world), *_of_reports(fleet)]


def _of_config_map(trunk: Trunk, one: Published, password: Canary) -> Iterator[str]:
    gateway = one.gateway
    tier = next((v.value for v in gateway.variables if v.name == "trunk_tier"), None)
    has = (gateway.name, one.profile, gateway.registers, tier)
    if has != (trunk.gateway, trunk.profile, trunk.registers, str(trunk.tier)):
        yield f"ConfigMap of {trunk.name} has {has} instead of {trunk}"
    if gateway.get("password") != password.password:
        yield f"ConfigMap of {trunk.name} has another password than Secret {trunk.secret}"


def _of_files(pod: SwitchPod, published: dict[str, Published]) -> Iterator[str]:
    files = pod.files()
    wanted = {f"sip_profiles/{p.profile}/{file_name(name)}": p.file for name, p in published.items()}
    if files != wanted:
        wrong = sorted(
            {path for path, data in files.items() if wanted.get(path) != data} | (wanted.keys() - files.keys())
        )
        yield f"{pod.name}: files differ from ConfigMaps: {wrong}"


def _of_switch(pod: SwitchPod, published: dict[str, Published]) -> Iterator[str]:
    if not pod.simulator.is_ready():
        yield f"{pod.name}: the switch does not answer"
        return
    loaded = rows(pod)
    wanted = {name: [(p.profile, "REGED" if p.gateway.registers else "NOREG")] for name, p in published.items()}
    if loaded != wanted:
        yield f"{pod.name}: loaded {loaded} instead of {wanted}"
        return
    for name, one in published.items():
        if (revision := pod.revision(name)) != one.revision:
            yield f"{pod.name}: {name} is loaded as {revision} instead of {one.revision}"


def _of_statuses(fleet: Fleet, world: World) -> Iterator[str]:
    objects = {o["metadata"]["name"]: o for o in fleet.lab.all("sipgateways")}
    if objects.keys() != world.trunks.keys():
        yield f"SipGateways: {sorted(objects)} instead of {sorted(world.trunks)}"
        return
    for name, trunk in world.trunks.items():
        status = objects[name].get("status") or {}
        if trunk.suspended:
            if _reason(objects[name], "Ready") != "Suspended":
                yield f"{name} is suspended, and its status says {status.get('conditions')}"
        elif not is_ready(objects[name]):
            yield f"{name} is not Ready: {status.get('conditions')}"
        elif status.get("registered") != (fleet.everywhere if trunk.registers else "-"):
            yield f"{name} is registered {status.get('registered')}"


def _reason(obj: Obj, kind: str) -> str | None:
    conditions = (obj.get("status") or {}).get("conditions") or ()
    about = obj["metadata"]["generation"]
    return next((c["reason"] for c in conditions if (c["type"], c.get("observedGeneration")) == (kind, about)), None)


def _of_reports(fleet: Fleet) -> Iterator[str]:
    for pod in fleet.pods:
        if pod.problems():
            yield f"{pod.name} reports {pod.problems()}"
