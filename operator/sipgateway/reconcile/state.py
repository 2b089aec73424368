"""What is wanted of a switch and what it was seen to have, as frozen values: the plan's two inputs."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Wanted:
    """One gateway that the switch shall have.

    Attributes:
        name: gateway name on the switch.
        profile: profile that loads it.
        revision: what read-back must show (render.revision).
        registers: whether it REGISTERs.
        path: its file, relative to the configuration folder.
        registrar: the host that its REGISTER goes to, for pacing; two gateways are the same whatever it says.
    """

    name: str
    profile: str
    revision: str
    registers: bool
    path: str
    registrar: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Loaded:
    """What the switch was seen to have under one name, marked copies left out (fact 24b).

    Attributes:
        name: gateway name.
        profiles: the profile of each live copy; more than one copy is a ghost (fact 11).
        state: registration state of the copy that look-ups find, as `sofia status` words it.
        revision: value of `sipgw_revision` of that copy; None when it has none.
    """

    name: str
    profiles: tuple[str, ...]
    state: str
    revision: str | None

    @property
    def registers(self) -> bool:
        """Every state but NOREG belongs to a gateway that registers (fact 21)."""
        return self.state != "NOREG"

    @property
    def ghost(self) -> bool:
        """Whether the switch holds more copies than it can be told to drop (fact 11)."""
        return len(self.profiles) > 1
