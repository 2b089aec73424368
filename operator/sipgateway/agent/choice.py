"""Which steps of a plan may go out in one pass, and which wait: for a retry, a file, a turn, an old copy, a profile.

In: a plan, and everything that a step may have to wait for. Out: steps.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sipgateway.agent.executor import profile_not_running
from sipgateway.agent.filing import Filing
from sipgateway.agent.gate import Gate
from sipgateway.agent.lastgood import LastGood
from sipgateway.agent.moves import Moves
from sipgateway.agent.settling import Settling
from sipgateway.agent.store import Desired
from sipgateway.agent.tree import Tree
from sipgateway.agent.trouble import Trouble
from sipgateway.agent.view import SwitchView
from sipgateway.reconcile.plan import Plan, Step


@dataclass(frozen=True, slots=True)
class Choice:
    """Everything that the steps of one pass may have to wait for."""

    desired: Desired
    view: SwitchView
    trouble: Trouble
    last_good: LastGood
    moves: Moves
    settling: Settling
    gate: Gate
    filing: Filing
    tree: Tree
    now: float

    def close(self, todo: Plan) -> None:
        """Decides which must wait for their second or their turn; the second half of a move and a put-back never do."""
        self.gate.end(self.view, self.settling, self.desired.wanted.__contains__, self.now)
        steps, timed, moves, _ = (list(filter(self._may_come, group)) for group in todo.groups)
        steps = [s for s in steps if s.name not in self.moves and s.name not in self.last_good.refusals]
        stored = self.filing.trouble is None or any(s.moves or self._stored(s) for s in (*timed, *moves))
        asks = stored and (not self.tree.broken or self.now >= self.tree.tried_again_at)
        self.gate.choose(steps, timed, moves, view=self.view, registrar=self._registrar, now=self.now, asks=asks)

    def _may_come(self, step: Step) -> bool:
        """Whether it is neither waiting for its next try nor known to be in vain (no flapping)."""
        return self.trouble.may(step.name, self.now) and not self.last_good.in_vain(step)

    def _stored(self, step: Step) -> bool:
        """Whether its file is right: a rescan loads what stands there."""
        return self.filing.store.holds(self.desired, step)

    def allowed(self, steps: Iterable[Step]) -> list[Step]:
        """Those that need not wait."""
        return [
            s
            for s in steps
            if self._may_come(s)
            and s.name not in self.gate.closed_to
            and (s.moves or self._stored(s))
            and (s.kill or not self.view.leaving(s.name, s.profile))
        ]

    def with_target(self, moves: Iterable[Step]) -> list[Step]:
        """Moves that have where to go: without that profile the gateway would only be lost."""
        found: list[Step] = []
        for step in moves:
            if step.profile in self.view.profiles:
                found.append(step)
            else:
                self.trouble.failed(step.name, profile_not_running(step))
                self.trouble.later(step.name, self.now)
        return found

    def sent(self, steps: Iterable[Step], now: float) -> None:
        """These go out."""
        self.gate.sent(steps, view=self.view, registrar=self._registrar, now=now)

    def _registrar(self, name: str) -> str:
        wanted = self.desired.wanted.get(name)
        return "" if wanted is None else wanted.registrar
