"""What happens in a round of chaos, decided beforehand. Pure: the same seed, round and world give the same steps.

In: a seed, a round's number, what the users have. Out: a `Round`: steps, what the users want after it, and which
gateways may be touched in it. Whoever runs the steps needs no chance of his own.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TypeAlias

PROFILES = ("external", "internal")
MOST_TRUNKS = 8


@dataclass(frozen=True, slots=True)
class Trunk:
    """A SipGateway as its user wants it.

    Attributes:
        name: of the object.
        gateway: on the switch.
        tier: a channel variable; another number is another revision.
    """

    name: str
    gateway: str
    profile: str
    registers: bool
    secret: str
    tier: int
    suspended: bool = False


@dataclass(frozen=True, slots=True)
class World:
    """What the users want: SipGateways by name, Secrets and the version of each, and a counter for what is new."""

    trunks: Mapping[str, Trunk] = field(default_factory=lambda: MappingProxyType({}))
    secrets: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    counter: int = 0

    def with_trunk(self, trunk: Trunk) -> World:
        """The same with this trunk in it; anything new counts."""
        return replace(self, trunks=MappingProxyType({**self.trunks, trunk.name: trunk}), counter=self.counter + 1)


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that happens.

    Attributes:
        do: which (`chaos.py` has a method for each).
        what: a trunk, a Secret, or the number of a pod.
        after: seconds of peace before it.
        lasts: seconds, for what ends by itself.
    """

    do: str
    what: str = ""
    after: float = 0.0
    lasts: float = 0.0


@dataclass(frozen=True, slots=True)
class Round:
    """A round.

    Attributes:
        steps: in their order.
        worlds: what the users want after each step.
        touched: gateway names whose wanted version changed: only these may be killed or registered anew.
        let_go: gateway names that their owner took away or moved: only their files may go.
    """

    steps: tuple[Step, ...]
    worlds: tuple[World, ...]
    touched: frozenset[str]
    let_go: frozenset[str]

    @property
    def world(self) -> World:
        """What the users want in the end."""
        return self.worlds[-1]


@dataclass(frozen=True, slots=True)
class _Edit:
    """What a user does: what it is called, the world after it, and whom it is about."""

    do: str
    what: str
    world: World
    touched: frozenset[str] = frozenset()
    let_go: frozenset[str] = frozenset()


_Chance: TypeAlias = random.Random
_Maker: TypeAlias = Callable[[_Chance, World], _Edit | None]


def first_world() -> World:
    """Three trunks that register and two that do not, with two Secrets."""
    world = World(secrets=MappingProxyType({"carrier-a": 0, "carrier-b": 0}))
    for number in range(5):
        secret = "carrier-a" if number % 2 else "carrier-b"
        trunk = Trunk(f"t{number}", f"t{number}", PROFILES[number % 2], number < 3, secret, number)
        world = world.with_trunk(trunk)
    return world


#: What befalls a round for certain, in turn; the rest is chance.
THEMES = ("watches-expire", "crd", "switch-kill", "api-kill", "agent-kill", "disk", "operator-kill", "api-pause")


def plan(seed: int, number: int, world: World, pods: int, without: AbstractSet[str] = frozenset()) -> Round:
    """One round.

    Args:
        seed: of everything.
        number: of the round, from 0.
        world: before it.
        pods: of the fleet; only the first has a disk that can be filled.
        without: kinds of steps that are left out, to close in on what makes a round fail.
    """
    chance = random.Random(f"{seed}/{number}")
    theme = THEMES[(seed + number) % len(THEMES)]
    edits = list(_edits(chance, world, chance.randint(5, 8), crd=theme == "crd"))
    faults = [theme, *chance.sample([t for t in _RANDOM if t != theme], 2)]
    slots: list[list[Step]] = [[] for _ in range(len(edits) + 1)]
    for fault in faults:
        _place(chance, slots, fault, pods)
    steps: list[Step] = []
    worlds: list[World] = []
    now = world
    for slot, edit in zip(slots, [*edits, None], strict=True):
        for step in slot:
            steps.append(step)
            worlds.append(now)
        if edit is not None:
            now = edit.world
            what = str(chance.randrange(pods)) + f"/{edit.what}" if edit.do.startswith("file-") else edit.what
            steps.append(Step(edit.do, what, round(chance.uniform(0, 1.2), 2)))
            worlds.append(now)
    kept = [n for n, step in enumerate(steps) if step.do not in without]
    return Round(
        tuple(steps[n] for n in kept),
        tuple(worlds[n] for n in kept),
        frozenset().union(*(edit.touched for edit in edits)),
        frozenset().union(*(edit.let_go for edit in edits)),
    )


#: Faults that any round may have.
_RANDOM = (
    "operator-kill", "operator-pause", "agent-kill", "agent-pause", "switch-kill", "switch-pause", "esl-drop",
    "api-kill", "api-pause", "watches-expire", "disk",
)  # fmt: skip


def _place(chance: _Chance, slots: list[list[Step]], fault: str, pods: int) -> None:
    """Puts a fault between the edits: as one step that ends by itself, or as a pair."""
    subject, _, how = fault.partition("-")
    begin = chance.randrange(len(slots))
    end = chance.randrange(begin, len(slots))
    pause = round(chance.uniform(0, 0.8), 2)
    if fault in {"api-kill", "api-pause", "watches-expire", "crd", "esl-drop"}:
        pod = str(chance.randrange(pods)) if subject == "esl" else ""
        slots[begin].append(Step(fault, pod, pause, round(chance.uniform(0.2, 2.5), 2)))
        return
    what = str(chance.randrange(pods)) if subject in {"agent", "switch"} else ""
    back = {"kill": "start", "pause": "resume", "": "free"}[how]
    begins = Step(f"{subject}-{how or 'fill'}", what, pause)
    # In one slot the end comes after the beginning, with other faults between them.
    slots[begin].append(begins)
    slots[end].append(Step(f"{subject}-{back}", what, round(chance.uniform(0.2, 1.5), 2)))


def _edits(chance: _Chance, world: World, count: int, *, crd: bool) -> Iterator[_Edit]:
    """Edits one after another; with the CRD about to go, nobody deletes: what he meant could not be told afterwards."""
    makers: list[_Maker] = [m for m in _MAKERS if not (crd and m is _delete)]
    for _ in range(count):
        edit = None
        while edit is None:
            edit = chance.choice(makers)(chance, world)
        world = edit.world
        yield edit
    for secret in world.secrets:
        # Whether it vanished or not: the last word of a round is that every Secret is there.
        yield _Edit("secret-restore", secret, world)


def _create(chance: _Chance, world: World) -> _Edit | None:
    if len(world.trunks) >= MOST_TRUNKS:
        return None
    name = f"n{world.counter}"
    secret = chance.choice(sorted(world.secrets))
    trunk = Trunk(name, name, chance.choice(PROFILES), chance.random() < 0.5, secret, world.counter)
    return _Edit("apply", name, world.with_trunk(trunk), frozenset({name}))


def _change(chance: _Chance, world: World) -> _Edit | None:
    trunk = _any(chance, world, suspended=False)
    new = replace(trunk, tier=world.counter) if trunk else None
    return _changed(world, trunk, new) if trunk and new else None


def _rename(chance: _Chance, world: World) -> _Edit | None:
    trunk = _any(chance, world)
    return _changed(world, trunk, replace(trunk, gateway=f"g{world.counter}")) if trunk else None


def _move(chance: _Chance, world: World) -> _Edit | None:
    trunk = _any(chance, world)
    if trunk is None:
        return None
    return _changed(world, trunk, replace(trunk, profile=PROFILES[1 - PROFILES.index(trunk.profile)]))


def _suspend(chance: _Chance, world: World) -> _Edit | None:
    trunk = _any(chance, world, suspended=False)
    return _changed(world, trunk, replace(trunk, suspended=True)) if trunk else None


def _resume(chance: _Chance, world: World) -> _Edit | None:
    trunk = _any(chance, world, suspended=True)
    return _changed(world, trunk, replace(trunk, suspended=False)) if trunk else None


def _delete(chance: _Chance, world: World) -> _Edit | None:
    trunk = _any(chance, world) if len(world.trunks) > 3 else None
    if trunk is None:
        return None
    left = {name: t for name, t in world.trunks.items() if name != trunk.name}
    names = frozenset({trunk.gateway})
    return _Edit("delete", trunk.name, replace(world, trunks=MappingProxyType(left)), names, names)


def _rotate(chance: _Chance, world: World) -> _Edit | None:
    secret = chance.choice(sorted(world.secrets))
    after = replace(world, secrets=MappingProxyType({**world.secrets, secret: world.secrets[secret] + 1}))
    touched = frozenset(t.gateway for t in world.trunks.values() if t.secret == secret)
    return _Edit("secret-restore", secret, after, touched)


def _vanish(chance: _Chance, world: World) -> _Edit | None:
    return _Edit("secret-vanish", chance.choice(sorted(world.secrets)), world)


def _tamper(kind: str) -> _Maker:
    """Somebody else deletes or edits what is ours: nobody's wish, so no gateway is touched for it."""

    def make(chance: _Chance, world: World) -> _Edit | None:
        trunk = _any(chance, world, suspended=False)
        return _Edit(kind, trunk.name, world) if trunk else None

    return make


_MAKERS: tuple[_Maker, ...] = (
    _create, _change, _change, _rename, _move, _suspend, _resume, _delete, _rotate, _vanish,
    _tamper("configmap-delete"), _tamper("configmap-forge"), _tamper("file-delete"), _tamper("file-garble"),
)  # fmt: skip


def _changed(world: World, before: Trunk, after: Trunk) -> _Edit:
    names = frozenset({before.gateway, after.gateway})
    leaves = (before.gateway, before.profile) != (after.gateway, after.profile) or after.suspended
    return _Edit("apply", after.name, world.with_trunk(after), names, frozenset({before.gateway} if leaves else ()))


def _any(chance: _Chance, world: World, *, suspended: bool | None = None) -> Trunk | None:
    found = [t for _, t in sorted(world.trunks.items()) if suspended in {None, t.suspended}]
    return chance.choice(found) if found else None
