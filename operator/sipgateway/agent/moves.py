"""Gateways that move from one profile to another: they left the one and are not on the other yet.

In: steps and what the switch has. Out: the words for the second half of a move.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, field, replace

from sipgateway.agent.view import SwitchView
from sipgateway.reconcile.plan import Kind, Step
from sipgateway.reconcile.state import Wanted


@dataclass(slots=True)
class Moves:
    """Moves whose first half is done, and why they are made, by gateway name."""

    begun: dict[str, str] = field(default_factory=dict)

    def __contains__(self, name: object) -> bool:
        return name in self.begun

    def __len__(self) -> int:
        return len(self.begun)

    def begin(self, steps: Iterable[Step]) -> None:
        """These gateways left their profiles."""
        self.begun |= {step.name: step.why for step in steps}

    def end(self, name: str) -> None:
        """It arrived, or will not."""
        self.begun.pop(name, None)

    def review(self, wanted: Container[str]) -> None:
        """Forgets what is not wanted any more."""
        self.begun = {name: why for name, why in self.begun.items() if name in wanted}

    def worded(self, step: Step) -> Step:
        """The second half of a move in the words of the first."""
        return replace(step, kind=Kind.REPLACE, why=self.begun[step.name]) if step.name in self else step


def leaving(view: SwitchView, wanted: Mapping[str, Wanted]) -> frozenset[str]:
    """Wanted names whose old copy, on another profile, is marked and still there."""
    return frozenset(n for n in view.marks if n in wanted and view.leaving(n, wanted[n].profile))
