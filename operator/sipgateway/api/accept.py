"""Whether a SipGateway is accepted: an ordered tuple of small pure checks, of which all findings are reported.

In: a parsed SipGateway, or the effective gateway with the values of Secrets. Out: refusals (errors) and warnings, each
with a stable code, the field's path, why (what FreeSWITCH would do, by fact), and what to do. Never a secret value.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from sipgateway.api.checks import credentials, lists, names, parameters, together
from sipgateway.api.checks.reading import Check
from sipgateway.api.gateway import Gateway
from sipgateway.api.resolve import SecretView, resolve
from sipgateway.api.spec import SipGateway
from sipgateway.errors import Finding, Severity

#: Every check of a SipGateway, in the order of its findings.
CHECKS: tuple[Check, ...] = (*names.CHECKS, *parameters.CHECKS, *together.CHECKS, *lists.CHECKS)


def check(gateway: SipGateway) -> tuple[Finding, ...]:
    """All refusals and warnings that need no other object."""
    return tuple(finding for one in CHECKS for finding in one(gateway))


def check_effective(gateway: Gateway) -> tuple[Finding, ...]:
    """All refusals and warnings that need the values of Secrets."""
    return tuple(finding for one in credentials.CHECKS for finding in one(gateway))


def is_refused(findings: Iterable[Finding]) -> bool:
    """Whether there is a refusal among the findings."""
    return any(finding.severity is Severity.ERROR for finding in findings)


def accept(gateway: SipGateway, secrets: Mapping[str, SecretView]) -> tuple[Gateway | None, tuple[Finding, ...]]:
    """The whole way from a SipGateway to what the renderer takes: checked, resolved, checked again.

    Args:
        gateway: a parsed SipGateway.
        secrets: the Secrets of its namespace by name.

    Returns:
        The effective gateway, or None when anything is refused; and all findings, warnings included.
    """
    findings = check(gateway)
    effective, missing = resolve(gateway, secrets)
    findings += missing
    if effective is not None:
        findings += check_effective(effective)
    return (None if is_refused(findings) else effective), findings
