"""What a test wants to know afterwards: commands, calls, and when a call through a gateway would have failed.

In: notes of the switch. Out: plain records for the control port and for Python.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from sipgateway.simulator.gateway import LoadedGateway


@dataclass(frozen=True, slots=True)
class Command:
    """A command that came over the event socket.

    Attributes:
        at: seconds since the epoch when it ran.
        text: `api` or `bgapi` and the rest, as it came; never a password (auth is not kept).
        reply: first line of the reply.
        spent: seconds of the processor that the simulator's process had taken when it began: what else passes between
            two commands on a busy machine is not the switch's.
    """

    at: float
    text: str
    reply: str
    spent: float


@dataclass(slots=True)
class Call:
    """A call through a gateway.

    Attributes:
        uuid: of the channel.
        gateway: the very copy that it went out through; its replacement is another one (fact 18).
        number: that was dialled.
        since, until: seconds since the epoch; `until` None while it is up.
        bye: a BYE was sent for it.
    """

    uuid: str
    gateway: LoadedGateway
    number: str
    since: float
    until: float | None = None
    bye: bool = False


@dataclass(slots=True)
class Availability:
    """When calls through a name could go out: `UP`, `DOWN` (GATEWAY_DOWN) or `GONE` (INVALID_GATEWAY)."""

    changes: dict[str, list[tuple[float, str]]] = field(default_factory=dict)

    def note(self, name: str, at: float, how: str) -> None:
        """Keeps a change; the same as before is none."""
        history = self.changes.setdefault(name, [])
        if not history or history[-1][1] != how:
            history.append((at, how))

    def gaps(self, name: str, now: float) -> tuple[tuple[float, float], ...]:
        """Times in which a call would have failed, after the gateway was UP first. Pairs of seconds since the epoch.

        Two that touch are one: DOWN and GONE are the same to a caller.
        """
        found: list[tuple[float, float]] = []
        start: float | None = None
        was_up = False
        for at, how in self.changes.get(name, ()):
            if how == "UP":
                if start is not None and at > start:
                    found.append((start, at))
                start, was_up = None, True
            elif was_up and start is None:
                start = at
        if start is not None:
            found.append((start, now))
        return tuple(found)
