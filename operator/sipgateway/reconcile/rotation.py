"""Rotation of a fleet's seal keys: which step is due, told from what is there, so that it goes on wherever it stopped.

In: the fleet's keys, the keys that each ConfigMap is sealed with, and those that each agent holds. Out: one step. A new
key is announced first, and seals nothing until every agent holds it; an old one goes when nothing is sealed with it.
No step changes a gateway: revisions have a key of their own, which is never rotated.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from sipgateway.render.keys import FleetKeys


@dataclass(frozen=True, slots=True)
class AddKey:
    """A new key is to be made and announced."""

    def __str__(self) -> str:
        return "Add a new seal key."


@dataclass(frozen=True, slots=True)
class WaitForPods:
    """Agents do not hold a key yet that others are about to seal with, or seal with already.

    Attributes:
        key_id: the key.
        pods: whose agents lack it, sorted.
    """

    key_id: str
    pods: tuple[str, ...]

    def __str__(self) -> str:
        return f"Wait for {_listed('pod', self.pods)} to read seal key {self.key_id}."


@dataclass(frozen=True, slots=True)
class Activate:
    """Every agent holds the announced key: new seals are to be made with it."""

    key_id: str

    def __str__(self) -> str:
        return f"Activate seal key {self.key_id}."


@dataclass(frozen=True, slots=True)
class Reseal:
    """ConfigMaps are sealed with other keys than the active one; the operator writes them anew by itself.

    Attributes:
        key_id: the active key.
        config_maps: their names, sorted.
    """

    key_id: str
    config_maps: tuple[str, ...]

    def __str__(self) -> str:
        return f"Wait for the operator to seal {_listed('ConfigMap', self.config_maps)} with key {self.key_id}."


@dataclass(frozen=True, slots=True)
class DropKeys:
    """Nothing is sealed with these keys any more: they are to be removed.

    Attributes:
        key_ids: their ids, sorted.
    """

    key_ids: tuple[str, ...]

    def __str__(self) -> str:
        return f"Drop {_listed('seal key', self.key_ids)}."


@dataclass(frozen=True, slots=True)
class Done:
    """No exchange is under way: there is one key, and everything is sealed with it."""

    key_id: str

    def __str__(self) -> str:
        return f"Nothing to do: everything is sealed with key {self.key_id}."


Step = AddKey | WaitForPods | Activate | Reseal | DropKeys | Done

_SHOWN = 5


def due(
    keys: FleetKeys,
    sealed: Mapping[str, Collection[str]],
    agents: Mapping[str, Collection[str]],
    *,
    start: bool = False,
) -> Step:
    """The step that is due.

    An old key is dropped when the operator has sealed everything with the new one: it has seen then that this one is
    active, and does not go back.

    Args:
        keys: as the Secret holds them now.
        sealed: ConfigMap's name -> ids of the keys that it is sealed with (`configmap.sealed_with`).
        agents: pod -> ids of the keys that its agent says it holds (`status.sealKeys` of its SipSwitch). Pods that
            will never answer are the caller's to leave out; one that starts later reads the Secret anew.
        start: whether a new exchange is wanted when none is under way.
    """
    needed = keys.active if keys.following is None else keys.following
    lacking = tuple(sorted(pod for pod, held in agents.items() if needed not in held))
    if lacking and len(keys.seals) > 1:
        return WaitForPods(needed, lacking)
    if keys.following is not None:
        return Activate(keys.following)
    behind = tuple(sorted(name for name, used in sealed.items() if set(used) - {keys.active}))
    if behind:
        return Reseal(keys.active, behind)
    if old := tuple(key_id for key_id in keys.ids if key_id != keys.active):
        return DropKeys(old)
    return AddKey() if start else Done(keys.active)


def carried_out(step: Step, keys: FleetKeys, random: Callable[[int], bytes]) -> FleetKeys:
    """The keys that the Secret shall hold after a step; the same keys when the step is to wait.

    Args:
        step: that `due` gave for these very keys.
        keys: as the Secret holds them.
        random: gives that many random bytes that nobody can guess.
    """
    match step:
        case AddKey():
            return keys.with_new_seal(random)
        case Activate(key_id):
            return keys.activated(key_id)
        case DropKeys(key_ids):
            for key_id in key_ids:
                keys = keys.without(key_id)
            return keys
        case _:
            return keys


def _listed(noun: str, names: tuple[str, ...]) -> str:
    """`pod a`, `pods a, b`, `7 pods (a, b, c, d, e and 2 more)`."""
    if len(names) == 1:
        return f"{noun} {names[0]}"
    if len(names) <= _SHOWN:
        return f"{noun}s {', '.join(names)}"
    return f"{len(names)} {noun}s ({', '.join(names[:_SHOWN])} and {len(names) - _SHOWN} more)"
