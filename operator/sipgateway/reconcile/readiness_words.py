"""The messages of conditions: which pods are not fine, worst first, in the switch's own words, and what to do.

In: findings, and pods with their troubles. Out: text. Equal inputs give equal text: nothing in it comes from a clock.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sipgateway.api import reasons
from sipgateway.api.conditions import rank
from sipgateway.api.names import LABEL_SWITCH
from sipgateway.errors import Finding
from sipgateway.reconcile.fleet import FleetView, Trouble

#: Of several, so many are named; the rest is counted.
MOST_PODS = 3
MOST_TROUBLES = 3
MOST_FINDINGS = 5

#: Characters of a message; the CRD allows more.
MOST_TEXT = 4096

ONE_BINDING = (
    "Each pod registers on its own; many carriers keep one binding per account, so inbound calls may reach only the "
    "pod that registered last."
)


def refused_text(refusals: Sequence[Finding], *, held: bool) -> str:
    """All refusals, and whether an earlier version goes on."""
    count = f"{len(refusals)} refusals. " if len(refusals) > 1 else ""
    stays = " An earlier accepted version stays on the switches." if held else ""
    return cut(f"{count}{_findings(refusals)}{stays}")


def accepted_text(warnings: Sequence[Finding]) -> str:
    """That there is no refusal, and all warnings."""
    if not warnings:
        return "The manifest is accepted."
    word = "Warning" if len(warnings) == 1 else f"{len(warnings)} warnings"
    return cut(f"The manifest is accepted. {word}: {_findings(warnings)}")


def no_pods(fleet: FleetView) -> str:
    """That no pod counts, and what to do."""
    label = f"{LABEL_SWITCH}: {fleet.switch or 'NAME'}"
    if fleet.leaving:
        said = f"All pods with the label {label} are being deleted or have ended."
    else:
        said = f"No pod in this namespace has the label {label}."
    return f"{said} {reasons.NO_SWITCH_PODS.action}"


def pods_text(fine: int, total: int, counting: Sequence[tuple[str, Trouble]], starting: Sequence[str]) -> str:
    """Such as `on 1 of 3 pods. fs-1: CredentialsRefused (403 Forbidden). Starting: fs-2.`, to stand in a sentence."""
    text = f"on {fine} of {total} {'pod' if total == 1 else 'pods'}."
    if counting:
        text = f"{text} {_troubles(counting)}"
    if starting:
        text = f"{text} Starting: {names(starting)}."
    return text


def names(pods: Sequence[str]) -> str:
    """`fs-0, fs-1, fs-2 and 4 more`."""
    more = f" and {len(pods) - MOST_PODS} more" if len(pods) > MOST_PODS else ""
    return f"{', '.join(pods[:MOST_PODS])}{more}"


def cut(text: str) -> str:
    """At most MOST_TEXT characters."""
    return text if len(text) <= MOST_TEXT else f"{text[: MOST_TEXT - 3]}..."


def _troubles(counting: Sequence[tuple[str, Trouble]]) -> str:
    """Pods with the same trouble stand together, the worst trouble first."""
    groups: dict[tuple[int, str, str], list[str]] = {}
    for pod, trouble in counting:
        groups.setdefault((rank(trouble.reason), trouble.reason.word, trouble.words), []).append(pod)
    parts = [f"{names(pods)}: {_because(word, words)}." for (_, word, words), pods in sorted(groups.items())]
    rest = sum(len(pods) for _, pods in sorted(groups.items())[MOST_TROUBLES:])
    more = [f"And {rest} more {'pod' if rest == 1 else 'pods'}."] if rest else []
    return " ".join([*parts[:MOST_TROUBLES], *more])


def _because(word: str, words: str) -> str:
    return f"{word} ({words.rstrip('.')})" if words else word


def _findings(findings: Sequence[Finding]) -> str:
    more = f" And {len(findings) - MOST_FINDINGS} more." if len(findings) > MOST_FINDINGS else ""
    return " ".join(_finding_texts(findings[:MOST_FINDINGS])) + more


def _finding_texts(findings: Iterable[Finding]) -> Iterable[str]:
    for finding in findings:
        where = f"{finding.field}: " if finding.field else ""
        yield f"{finding.code}: {where}{finding.message} {finding.action}".rstrip()
