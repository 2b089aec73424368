"""What the keeper tells: one frozen value per thing that happened, for a log line or a table's cell. No secrets."""

from __future__ import annotations

from dataclasses import dataclass

from sipgateway.errors import Finding, Severity
from sipgateway.reconcile.plan import Problem, Step
from sipgateway.reconcile.registration import ADVICE, Registration, Verdict
from sipgateway.reconcile.state import Wanted

#: Verdicts that are on the way to another, or follow from the manifest.
_NO_NEWS = frozenset({Verdict.PENDING, Verdict.NOT_WANTED})


@dataclass(frozen=True, slots=True)
class Report:
    """One thing that happened.

    Attributes:
        level: `info`, `warning` or `error`.
        event: stable word: proved, failed, problem, registration, settled, refused, switch, source.
        gateway: gateway name, empty when it is about the whole.
        text: for people.
        reason: stable code or verdict.
        profile, revision, kind: of the step, where there is one.
        seconds: how long it took, None when nothing was timed.
        file, line, field: where in the source, of what was refused or warned of.
    """

    level: str
    event: str
    gateway: str
    text: str
    reason: str = ""
    profile: str = ""
    revision: str = ""
    kind: str = ""
    seconds: float | None = None
    file: str = ""
    line: int = 0
    field: str = ""

    @staticmethod
    def found(finding: Finding) -> Report:
        """Something in the source is refused or warned of."""
        event = "refused" if finding.severity is Severity.ERROR else "warned"
        place = finding.location
        return Report(
            finding.severity,
            event,
            "",
            str(finding),
            finding.code,
            file=place.file if place else "",
            line=place.line if place else 0,
            field=finding.field,
        )

    @staticmethod
    def proved(step: Step, seconds: float) -> Report:
        """Read-back showed what a step wanted."""
        text = f"{step.kind}: {step.why}"
        return Report("info", "proved", step.name, text, "", step.profile, step.revision or "", step.kind, seconds)

    @staticmethod
    def healed(wanted: Wanted) -> Report:
        """What failed before is as it should be, without a step of ours: a profile that came back has loaded it."""
        text = "it is loaded by now"
        return Report("info", "proved", wanted.name, text, "", wanted.profile, wanted.revision, "healed")

    @staticmethod
    def failure(name: str, finding: Finding) -> Report:
        """A step, or the folder, failed; it is tried again."""
        return Report("error", "failed", name, f"{finding.message} {finding.action}", finding.code)

    @staticmethod
    def problem(problem: Problem) -> Report:
        """Something that only a person may mend."""
        return Report("warning", "problem", problem.name, f"{problem.message} {problem.action}", problem.kind)

    @staticmethod
    def settled(name: str) -> Report:
        """The binding of a replaced gateway was made sure of (fact 17)."""
        return Report("info", "settled", name, "sent REGISTER once more, so that the carrier keeps the new binding")

    @staticmethod
    def news(name: str, before: Registration | None, after: Registration | None) -> Report | None:
        """What an event made of a registration, if that is worth telling."""
        if after is None or after.verdict in _NO_NEWS or (before is not None and before.verdict is after.verdict):
            return None
        return Report.registration(name, after)

    @staticmethod
    def registration(name: str, registration: Registration) -> Report:
        """A registration's verdict changed."""
        verdict = registration.verdict
        said = f" ({registration.status} {registration.phrase})" if registration.status not in {None, 200} else ""
        advice = ADVICE.get(verdict, "")
        level = "info" if verdict in {Verdict.REGISTERED, Verdict.PENDING, Verdict.NOT_WANTED} else "warning"
        return Report(level, "registration", name, f"{verdict}{said}. {advice}".strip(), verdict)
