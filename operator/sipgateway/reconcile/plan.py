"""The plan: wanted against loaded, one step per gateway that is not as it should be.

In: `Wanted` and `Loaded` values. Out: steps in the order in which they are carried out, and problems that no
command of ours may mend. Nothing here knows ESL; the facts that decide the order are docs/switch-facts.md.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from sipgateway.reconcile.state import Loaded, Wanted

#: How many gateways are killed before one rescan: the first of them is gone until the last one is killed (fact 24e).
KILLS = 500


class Kind(enum.StrEnum):
    """What a step does to its gateway."""

    ADD = "add"
    REPLACE = "replace"
    REPAIR = "repair"
    REMOVE = "remove"


class ProblemKind(enum.StrEnum):
    """What the plan reports and leaves alone."""

    GHOST = "Ghost"
    NAME_TAKEN = "NameTakenOnSwitch"


@dataclass(frozen=True, slots=True)
class Step:
    """One gateway to change.

    Attributes:
        kind: what is done.
        name: gateway name.
        profile: profile to rescan; for a removal the profile that still has it.
        kill: whether `killgw` is sent first (a loaded copy is in the way, fact 1).
        revision: what read-back must show afterwards; None for a removal.
        registered: whether the old copy registers, so that its un-REGISTER races with the new REGISTER (fact 16).
        registers: whether the new copy registers, so that it is DOWN until the second tick (fact 15).
        why: for people, in their words.
        moves: whether the loaded copy is on another profile.
        adopts: whether it takes the place of a gateway that somebody else loaded.
    """

    kind: Kind
    name: str
    profile: str
    kill: bool
    revision: str | None
    registered: bool
    registers: bool
    why: str
    moves: bool = False
    adopts: bool = False

    @property
    def timed(self) -> bool:
        """Whether it waits for the switch's tick: it takes a working gateway DOWN for a second (fact 15)."""
        return self.kill and self.kind is not Kind.REMOVE and self.registers and not self.moves

    @property
    def settles(self) -> bool:
        """Whether fact 17's third step, `register`, must follow: both copies use the same binding (fact 16)."""
        return self.kind is not Kind.REMOVE and self.registered and self.registers and not self.moves


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that only a person may mend.

    Attributes:
        name: gateway name.
        message: what is wrong.
        action: what to do.
    """

    kind: ProblemKind
    name: str
    message: str
    action: str


@dataclass(frozen=True, slots=True)
class Plan:
    """Steps by the moment at which they are carried out, and the problems.

    Attributes:
        now: adds, repairs, and replacements whose new copy does not register: at once, one rescan per profile.
        timed: replacements whose new copy registers: just before the profile's tick (fact 15).
        moves: from one profile to another: `killgw` first, and the `rescan` only when the old copy is gone. At once,
            the switch would keep a key of the old profile that nothing clears, and a later move back would make
            ghosts (docs/design.md, "Moving between profiles").
        removals: after a reload that no longer has them (fact 24c).
        unchanged: how many wanted gateways are proved as they should be.
    """

    now: tuple[Step, ...] = ()
    timed: tuple[Step, ...] = ()
    moves: tuple[Step, ...] = ()
    removals: tuple[Step, ...] = ()
    problems: tuple[Problem, ...] = ()
    unchanged: int = 0

    @property
    def groups(self) -> tuple[tuple[Step, ...], ...]:
        """The steps as `now`, `timed`, `moves` and `removals`."""
        return self.now, self.timed, self.moves, self.removals

    @property
    def steps(self) -> tuple[Step, ...]:
        """All steps."""
        return (*self.now, *self.timed, *self.moves, *self.removals)


def plan(
    wanted: Mapping[str, Wanted],
    loaded: Mapping[str, Loaded],
    *,
    ours: Callable[[str], bool],
    removable: Callable[[str], bool],
    known: AbstractSet[str] = frozenset(),
    adopt: bool = False,
    unadopted: AbstractSet[str] = frozenset(),
) -> Plan:
    """Decides what to do with each gateway.

    Args:
        wanted: what the switch shall have, by gateway name.
        loaded: what it was seen to have, by gateway name.
        ours: whether a revision was made with our key; a gateway without one is somebody else's.
        removable: whether there is evidence that nobody wants this gateway (never just its absence).
        known: names that were proved before, so that a missing one is a repair and not an add.
        adopt: take over gateways of our names that somebody else loaded.
        unadopted: names that were tried to take over in vain: their old definition was loaded again.

    Returns:
        The plan. Names that are neither wanted nor ours are left out of it.
    """
    now: list[Step] = []
    timed: list[Step] = []
    moves: list[Step] = []
    removals: list[Step] = []
    problems: list[Problem] = []
    unchanged = 0
    for name, want in wanted.items():
        have = loaded.get(name)
        if have is not None and have.ghost:
            problems.append(_ghost(have))
        mine = have is not None and have.revision is not None and ours(have.revision)
        if have is not None and not mine and (not adopt or name in unadopted):
            problems.append(_taken(have, tried=name in unadopted))
            continue
        step = _step(want, have, adopted=have is not None and not mine, known=name in known)
        if step is None:
            unchanged += 1
        elif step.moves:
            moves.append(step)
        elif step.timed:
            timed.append(step)
        else:
            now.append(step)
    for name, have in loaded.items():
        if name in wanted or have.revision is None or not ours(have.revision) or not removable(name):
            continue
        if have.ghost:
            problems.append(_ghost(have))
        removals.append(
            Step(Kind.REMOVE, name, have.profiles[0], True, None, have.registers, False, "its manifest is gone")
        )
    return Plan(tuple(now), tuple(timed), tuple(moves), tuple(removals), tuple(problems), unchanged)


def by_profile(steps: Iterable[Step]) -> dict[str, list[Step]]:
    """Steps grouped by the profile that is rescanned for them: one rescan each (fact 10)."""
    groups: dict[str, list[Step]] = {}
    for step in steps:
        groups.setdefault(step.profile, []).append(step)
    return groups


def batch(steps: Iterable[Step], kills: int = KILLS) -> tuple[list[Step], bool]:
    """As many steps as go out together: what needs no `killgw` is free, since one rescan loads all of it.

    Returns:
        The steps, and whether others are left for the next batch.
    """
    taken: list[Step] = []
    left = False
    for step in steps:
        if step.kill and not kills:
            left = True
            continue
        kills -= step.kill
        taken.append(step)
    return taken, left


def _step(want: Wanted, have: Loaded | None, *, adopted: bool, known: bool) -> Step | None:
    if have is None:
        kind, why = (Kind.REPAIR, "it is not loaded any more") if known else (Kind.ADD, "it is new")
        return Step(kind, want.name, want.profile, False, want.revision, False, want.registers, why)
    if have.revision == want.revision and want.profile in have.profiles:
        return None
    if adopted:
        why = "it takes the place of a gateway that was not ours"
    elif want.profile not in have.profiles:
        why = f"it moves from profile {have.profiles[0]} to {want.profile}"
    else:
        why = "its parameters changed"
    moves = want.profile not in have.profiles
    return Step(
        Kind.REPLACE, want.name, want.profile, True, want.revision, have.registers, want.registers, why, moves, adopted
    )


def _ghost(have: Loaded) -> Problem:
    where = ", ".join(have.profiles)
    return Problem(
        ProblemKind.GHOST,
        have.name,
        f"The switch holds {len(have.profiles)} copies of this gateway (profiles: {where}); each registers, and no "
        "command reaches all of them (fact 11).",
        "Remove the second definition from the switch's XML, then restart the profile in a quiet hour: "
        f"`sofia profile {have.profiles[-1]} restart`.",
    )


def _taken(have: Loaded, *, tried: bool) -> Problem:
    if tried:
        return Problem(
            ProblemKind.NAME_TAKEN,
            have.name,
            f"{have.name} is still defined in the switch's own XML: when it was to be taken over, profile "
            f"{have.profiles[0]} loaded that definition again. It is not killed a second time.",
            "Remove the old definition; saving the manifest again, or a restart with --adopt, then tries anew.",
        )
    return Problem(
        ProblemKind.NAME_TAKEN,
        have.name,
        f"Profile {have.profiles[0]} already has a gateway of this name that sipgateway did not load.",
        "Remove its definition from the switch's own XML first, then start with --adopt: with both in place the switch "
        "loads the old one again. If sipgateway did load it, this is not the --conf it used: its revision.key differs.",
    )
