"""What a code is: a stable word for one kind of refusal or warning, and the maker of its findings."""

from __future__ import annotations

from dataclasses import dataclass

from sipgateway.errors import Finding, Severity


@dataclass(frozen=True, slots=True)
class Code:
    """One stable code.

    Attributes:
        name: CamelCase word, usable as a condition's reason.
        meaning: what was found, for docs/codes.md.
        why: what FreeSWITCH (or Kubernetes) would do with it, citing docs/switch-facts.md by number.
        action: what to do, an imperative sentence; the default of each finding.
        severity: error (refused) or warning.
    """

    name: str
    meaning: str
    why: str
    action: str
    severity: Severity = Severity.ERROR

    def finding(self, field: str, message: str, action: str | None = None) -> Finding:
        """A finding of this code.

        Args:
            field: path such as `spec.variables[0].name`.
            message: what is wrong here and what would happen. Never a secret value.
            action: what to do here; None takes the code's.
        """
        return Finding(self.name, field, message, self.action if action is None else action, self.severity)

    def because(self, field: str, what: str, action: str | None = None) -> Finding:
        """A finding that says `what`, and then why that is refused or warned of."""
        return self.finding(field, f"{what} {self.why}", action)
