"""Which steps that make gateways REGISTER may go out now: so many a second and registrar, and pod by pod.

In: steps that are ready otherwise. Out: those that must wait, and until when. Batches are the only way to pace (fact
40): what is loaded by one rescan registers in the same second. A replacement of a gateway that works takes it down for
a second (fact 15), so it waits until it is this pod's turn, and the other pods of the fleet carry the calls meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from sipgateway.agent.settling import Settling
from sipgateway.agent.view import SwitchView
from sipgateway.reconcile.plan import Step
from sipgateway.reconcile.registration import Registration, Verdict

#: Seconds for which REGISTERs are counted together.
_WINDOW = 1.0

#: Seconds after which a replaced gateway that comes to no end does not keep the turn any more: a REGISTER without an
#: answer has failed after 32 (64 times T1, RFC 3261 section 17.1.2.2).
_PATIENCE = 45.0

#: Seconds between looks at replaced gateways that no event asked for.
_LOOK = 0.5


class Turn(Protocol):
    """Whose turn it is among the pods of a fleet."""

    @property
    def ours(self) -> bool:
        """Whether replacements of working gateways may be begun now."""

    def need(self, *, to_begin: bool, begun: bool) -> None:
        """Whether we have replacements to begin, and whether some are begun and not ended. Must not block."""


@dataclass(slots=True)
class Gate:
    """One switch's gate.

    Attributes:
        rate: gateways that may begin to REGISTER in one second at one registrar; 0 for no limit.
        turn: None where there is nobody to take turns with.
        begun: gateways that were replaced in our turn and have not come to an end, and since when.
        waiting: names that wait for their turn.
        paced: names that wait for their second.
    """

    rate: int = 0
    turn: Turn | None = None
    begun: dict[str, float] = field(default_factory=dict)
    waiting: frozenset[str] = frozenset()
    paced: frozenset[str] = frozenset()
    _windows: dict[str, tuple[float, int]] = field(default_factory=dict)

    @property
    def closed_to(self) -> frozenset[str]:
        """Names that wait."""
        return self.waiting | self.paced

    def choose(
        self,
        steps: Iterable[Step],
        timed: Sequence[Step],
        moves: Iterable[Step],
        *,
        view: SwitchView,
        registrar: Callable[[str], str],
        now: float,
        asks: bool = True,
    ) -> None:
        """Decides who waits; `closed_to` has their names.

        Args:
            steps: what would go out at once.
            timed: replacements whose new copy registers.
            moves: from one profile to another.
            view: what the switch has.
            registrar: the registrar of a gateway.
            now: seconds of the event loop's clock.
            asks: whether these steps could go out if it were our turn; a turn for nothing only keeps others waiting.
        """
        disruptive = [s for s in (*timed, *moves) if _works(view, s)]
        ours = self.turn is None or self.turn.ours
        self.waiting = frozenset() if ours else frozenset(s.name for s in disruptive)
        if self.turn is not None:
            self.turn.need(to_begin=asks and bool(disruptive), begun=bool(self.begun))
        self.paced = frozenset(self._too_many([*steps, *timed, *moves], registrar, now))

    def sent(self, steps: Iterable[Step], *, view: SwitchView, registrar: Callable[[str], str], now: float) -> None:
        """These go out now."""
        for step in steps:
            if self.turn is not None and (step.moves or step.timed) and _works(view, step):
                self.begun[step.name] = now
            if step.registers:
                host = registrar(step.name)
                start, count = self._window(host, now)
                self._windows[host] = (start, count + 1)

    def end(self, view: SwitchView, settling: Settling, wanted: Callable[[str], bool], now: float) -> None:
        """Forgets gateways that are UP again, or failed on their own account, or are not waited for."""
        for name, since in list(self.begun.items()):
            coming = view.marked(name) or name in settling or name not in view.rows or _is_coming(view, name)
            if not (coming and wanted(name)) or now - since > _PATIENCE:
                del self.begun[name]
        for host in [h for h, (start, _) in self._windows.items() if now - start >= _WINDOW]:
            del self._windows[host]

    def moments(self, now: float) -> list[float]:
        """When to look though no event comes."""
        found = [start + _WINDOW for start, _ in self._windows.values()] if self.paced else []
        return [*found, now + _LOOK] if self.begun else found

    def _too_many(self, steps: Iterable[Step], registrar: Callable[[str], str], now: float) -> Iterable[str]:
        left: dict[str, int] = {}
        for step in steps:
            if not step.registers or not self.rate or step.name in self.waiting:
                continue
            host = registrar(step.name)
            room = left.setdefault(host, self.rate - self._window(host, now)[1])
            if room <= 0:
                yield step.name
            left[host] = room - 1

    def _window(self, host: str, now: float) -> tuple[float, int]:
        start, count = self._windows.get(host, (now, 0))
        return (start, count) if now - start < _WINDOW else (now, 0)


def _is_coming(view: SwitchView, name: str) -> bool:
    """Whether it neither serves nor has failed: a 200 alone lets no call out (fact 15)."""
    found = view.registrations.get(name, Registration())
    return found.verdict is Verdict.PENDING or (found.verdict is Verdict.REGISTERED and not found.serving)


def _works(view: SwitchView, step: Step) -> bool:
    """Whether the loaded copy serves: a NOREG copy is UP, a registering one when it is registered."""
    if not step.registered:
        return True
    registration = view.registrations.get(step.name)
    return registration is not None and registration.verdict is Verdict.REGISTERED
