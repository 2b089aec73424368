"""What is wrong with which gateway: told once, as long as it lasts, and when it may be tried again.

In: findings of steps and problems of the plan. Out: reports, and the moments of the next tries.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from sipgateway.agent.report import Report
from sipgateway.errors import Finding
from sipgateway.reconcile.backoff import Retry
from sipgateway.reconcile.plan import Problem, ProblemKind

#: A second copy counts as a ghost when it is there for so many seconds: somebody's marked copy goes within two (14).
GHOST_PATIENCE = 3.0


@dataclass(slots=True)
class Trouble:
    """What is wrong, by gateway name.

    Attributes:
        report: told of everything that is new.
        problems: what only a person may mend.
        failures: steps that failed, and versions that the switch does not take.
    """

    report: Callable[[Report], None]
    problems: dict[str, Problem] = field(default_factory=dict)
    failures: dict[str, Finding] = field(default_factory=dict)
    _retries: dict[str, Retry] = field(default_factory=dict)
    _ghosts: dict[str, float] = field(default_factory=dict)

    def failed(self, name: str, finding: Finding) -> None:
        """A step of this gateway failed, or waits for something that failed."""
        if self.failures.get(name) != finding:
            self.report(Report.failure(name, finding))
        self.failures[name] = finding

    def later(self, name: str, now: float) -> None:
        """It is not tried again at once."""
        self._retries[name] = Retry.after(self._retries.get(name), now)

    def soon(self, names: Iterable[str]) -> None:
        """Whatever they failed by counts no more."""
        for name in names:
            self._retries.pop(name, None)

    def may(self, name: str, now: float) -> bool:
        """Whether it may be tried."""
        return name not in self._retries or now >= self._retries[name].not_before

    def over(self, name: str, still: Finding | None = None) -> None:
        """A step succeeded. `still`: what is to be said of the gateway nevertheless."""
        self._retries.pop(name, None)
        if still is None:
            self.failures.pop(name, None)
        else:
            self.failures[name] = still

    def mended(self, wrong: Iterable[str]) -> list[str]:
        """Forgets failures of gateways that are not wrong any more. Returns their names."""
        names = list(self.failures.keys() - wrong)
        for name in names:
            self.over(name)
        return names

    def take(self, problems: Iterable[Problem], now: float) -> None:
        """The problems of a plan: all that there are. A ghost is one only when it stays."""
        all_of_them = tuple(problems)
        copies = {p.name for p in all_of_them if p.kind is ProblemKind.GHOST}
        self._ghosts = {name: self._ghosts.get(name, now) for name in copies}
        ghosts = {name for name, since in self._ghosts.items() if now - since >= GHOST_PATIENCE}
        fresh = {p.name: p for p in all_of_them if p.kind is not ProblemKind.GHOST or p.name in ghosts}
        for name, problem in fresh.items():
            if self.problems.get(name) != problem:
                self.report(Report.problem(problem))
        self.problems = fresh

    def moments(self, now: float) -> list[float]:
        """When something is due that no event announces."""
        retries = (r.not_before for n, r in self._retries.items() if n in self.failures and r.not_before > now)
        ghosts = (since + GHOST_PATIENCE for name, since in self._ghosts.items() if name not in self.problems)
        return [*retries, *ghosts]
