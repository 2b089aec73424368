"""The SipSwitch of one pod: what the keeper and the source know, as the status that the operator reads.

In: `Facts`. Out: the status as JSON, the same for the same facts, in a stable order. No I/O, no clock. Names of
gateways are never cut off; words are, and where there is more than fits, groups of one reason are put together. Where
the names alone do not fit, nothing is told of the pod's gateways but that it is so.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, NamedTuple

from sipgateway.agent.codes import REPORT_TOO_LARGE
from sipgateway.agent.view import SwitchView
from sipgateway.api import limits
from sipgateway.errors import Finding
from sipgateway.reconcile.plan import Problem
from sipgateway.reconcile.registration import Registration, Verdict
from sipgateway.reconcile.state import Wanted

PROGRAMMED = "Programmed"
REGISTERED = "Registered"

#: What a ConfigMap that is not taken is called: the finding's own code stands in the words.
CONFIG_MAP_REFUSED = "ConfigMapRefused"
LOADING = "Loading"

_FINE = frozenset({Verdict.REGISTERED, Verdict.NOT_WANTED})
_REASON = re.compile(r"[A-Z][A-Za-z0-9]{0,63}", re.ASCII)


class Group(NamedTuple):
    """Why gateways are not as they should be; the same for all gateways of the group."""

    about: str
    reason: str
    code: int
    message: str


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of one switch at one moment.

    Attributes:
        wanted: by gateway name, as the cluster wants them.
        refused: by gateway name: why its ConfigMap is not taken.
        view: what the switch has.
        ours: revisions of ours among those that the switch has, by gateway name: see `of_ours`.
        failures, problems: by gateway name, from the keeper.
        storage: why files cannot be written; None when they can.
        unstored: wanted names whose file is not as it should be.
        unreachable: why the switch is not reached; None when it is.
        warning: what is wrong with the way to the switch, though it is reached; None when nothing is.
    """

    phase: str
    agent_version: str
    switch_version: str
    observed: int
    seal_keys: tuple[str, ...]
    wanted: Mapping[str, Wanted]
    refused: Mapping[str, Finding]
    view: SwitchView
    ours: frozenset[str]
    failures: Mapping[str, Finding] = field(default_factory=lambda: MappingProxyType({}))
    problems: Mapping[str, Problem] = field(default_factory=lambda: MappingProxyType({}))
    storage: Finding | None = None
    unreachable: Finding | None = None
    warning: Finding | None = None


def status(facts: Facts) -> dict[str, Any]:
    """The status, but for its heartbeat."""
    view = facts.view
    proved = view.proved(facts.wanted)
    groups: dict[Group, list[str]] = {}
    troubled: set[str] = set()
    for name in facts.wanted.keys() | facts.refused.keys():
        group = _programmed(facts, name, proved=name in proved)
        if group is not None:
            groups.setdefault(group, []).append(name)
            troubled.add(name)
    counts = {"registered": 0, "registering": 0, "failed": 0}
    for name, want in facts.wanted.items():
        if not want.registers:
            continue
        found = facts.view.registrations.get(name, Registration())
        verdict = found.verdict
        if name in proved and verdict in _FINE:
            counts["registered"] += verdict is Verdict.REGISTERED
            continue
        counts["registering" if verdict in {Verdict.PENDING, *_FINE} else "failed"] += 1
        if name not in troubled:  # what is not loaded as wanted counts as not registered anyway
            groups.setdefault(_registered(found), []).append(name)
    problems = _listed(groups)
    unreachable = facts.unreachable
    if problems is None:
        names = sum(map(len, groups.values()))
        unreachable = unreachable or REPORT_TOO_LARGE.finding("", f"{names} gateways are not as they should be.")
    foreign = ghosts = 0
    for name in view.rows:
        copies = view.copies(name)
        if copies and name not in facts.ours:
            foreign += 1
        elif copies > 1 or (copies and name not in facts.wanted):
            ghosts += 1
    return {
        "agentVersion": facts.agent_version[: limits.MAX_AGENT_VERSION],
        **({"switchVersion": facts.switch_version[: limits.MAX_AGENT_VERSION]} if facts.switch_version else {}),
        "phase": facts.phase,
        "observedResourceVersion": str(facts.observed),
        "sealKeys": sorted(facts.seal_keys)[: limits.MAX_SEAL_KEYS],
        "switch": _reach(unreachable, facts.warning),
        "counts": {
            "wanted": len(facts.wanted.keys() | facts.refused.keys()),
            "loaded": len(proved),
            **counts,
            "foreign": foreign,
            "ghosts": ghosts,
        },
        "problems": problems or [],
    }


def _programmed(facts: Facts, name: str, *, proved: bool) -> Group | None:
    """What speaks against Programmed: the source first, then what a person must mend, then what is tried again."""
    if (refusal := facts.refused.get(name)) is not None:
        return Group(PROGRAMMED, CONFIG_MAP_REFUSED, 0, _cut(refusal.message))
    if (problem := facts.problems.get(name)) is not None:
        return Group(PROGRAMMED, _word(problem.kind), 0, _neutral(f"{problem.message} {problem.action}", name))
    if (failure := facts.failures.get(name)) is not None:
        return Group(PROGRAMMED, _word(failure.code), 0, _neutral(f"{failure.message} {failure.action}", name))
    if proved:
        return None
    if facts.storage is not None:
        return Group(PROGRAMMED, _word(facts.storage.code), 0, _cut(facts.storage.message))
    return Group(PROGRAMMED, LOADING, 0, "")


def _registered(found: Registration) -> Group:
    verdict = Verdict.PENDING if found.verdict in _FINE else found.verdict
    code = found.status if found.status is not None and found.status >= 300 else 0
    return Group(REGISTERED, verdict.value, code, _cut(found.phrase if code else ""))


def _reach(unreachable: Finding | None, warning: Finding | None) -> dict[str, Any]:
    finding = unreachable or warning
    if finding is None:
        return {"reachable": True, "reason": "", "message": ""}
    words = _cut(f"{finding.message} {finding.action}".strip())
    return {"reachable": unreachable is None, "reason": _word(finding.code), "message": words}


def _listed(groups: Mapping[Group, list[str]]) -> list[dict[str, Any]] | None:
    """The problems; None when their gateways' names are more than an object takes."""
    found = dict(groups)
    # Half of the entries are for long lists, which are continued in a second one.
    if len(found) > limits.MAX_PROBLEMS // 2 or _bytes(found) > limits.MAX_PROBLEM_BYTES:
        found = {}
        for group, names in groups.items():
            found.setdefault(group._replace(code=0, message="Several answers; each switch's log has them."), []).extend(
                names
            )
        if _bytes(found) > limits.MAX_PROBLEM_BYTES:
            return None
    entries: list[dict[str, Any]] = []
    for group in sorted(found):
        names = sorted(found[group])
        entries += [
            {
                "about": group.about,
                "reason": group.reason,
                **({"code": group.code} if group.code else {}),
                "message": group.message,
                "gateways": names[start : start + limits.MAX_PROBLEM_GATEWAYS],
            }
            for start in range(0, len(names), limits.MAX_PROBLEM_GATEWAYS)
        ]
    return entries


def _bytes(groups: Mapping[Group, list[str]]) -> int:
    """About how much these take in etcd, never less: Go writes `<`, `>` and `&` as six characters."""
    size = 0
    for group, names in groups.items():
        words = json.dumps(group.message)
        entries = len(names) // limits.MAX_PROBLEM_GATEWAYS + 1
        size += entries * (len(words) + 5 * sum(map(words.count, "<>&")) + 256) + sum(map(len, names)) + 3 * len(names)
    return size


def _neutral(text: str, name: str) -> str:
    """Words that are the same for all gateways that are told them, so that they make one group."""
    return _cut(re.sub(rf"(?<![\w.\-]){re.escape(name)}(?![\w\-])", "it", text))


def _word(code: str) -> str:
    return code if _REASON.fullmatch(code) else "ProblemOnSwitch"


def _cut(text: str) -> str:
    return text if len(text) <= limits.MAX_MESSAGE else f"{text[: limits.MAX_MESSAGE - 3]}..."


def of_ours(names: Iterable[str], revisions: Mapping[str, str | None], key_id: str, key_of: Any) -> frozenset[str]:
    """Names of which the switch has a revision that was made with this key."""
    return frozenset(n for n in names if (r := revisions.get(n)) is not None and key_of(r) == key_id)
