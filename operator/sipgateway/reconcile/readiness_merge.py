"""The status that stands on the object against the one that shall stand there: what to write, if anything.

In: JSON as the API server has it, and what was judged. Out: JSON, whether it differs, and what turned. Conditions of
other types, fields of other versions, and times of conditions that did not turn are kept. Nothing here reads a clock.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from sipgateway.api.conditions import Condition, ConditionType, Status
from sipgateway.reconcile.readiness_views import Judgement

#: The CRD's bound. Of more than that the last of somebody else's goes: a status that is refused tells nobody anything.
MAX_CONDITIONS = 16

_OURS = frozenset(ConditionType)


@dataclass(frozen=True, slots=True)
class Transition:
    """A condition that turned: another status, or another reason for the same one. Worth an Event.

    Attributes:
        condition: as it is now.
        before: its status before; empty when it was not there.
        reason_before: its reason before.
    """

    condition: Condition
    before: str
    reason_before: str


class Merged(NamedTuple):
    """What `status.conditions` shall be.

    Attributes:
        conditions: the list, ours first and in their order.
        changed: whether it differs from what is there in more than order.
        transitions: the conditions that turned. Stalled that is dropped is none: Ready says it.
    """

    conditions: list[dict[str, Any]]
    changed: bool
    transitions: tuple[Transition, ...]


class StatusChange(NamedTuple):
    """What `status` shall be.

    Attributes:
        status: the whole of it; fields that are not ours are kept.
        changed: whether it differs from what is there.
        urgent: whether it is news: a condition turned, or speaks of another generation. Counts and words alone may
            wait a minute or two, so that a pod that rolls, which takes `2/2` to `1/2` and back, costs no write.
        transitions: the conditions that turned.
    """

    status: dict[str, Any]
    changed: bool
    urgent: bool
    transitions: tuple[Transition, ...]


#: Conditions that are True only because an agent said so.
_LEAN_ON_REPORTS = frozenset({ConditionType.PROGRAMMED, ConditionType.REGISTERED, ConditionType.READY})


def merge_conditions(
    existing: object, wanted: Iterable[Condition], now_text: str, *, provisional: bool = False
) -> Merged:
    """Brings the conditions that are there to those that are wanted.

    Args:
        existing: `status.conditions` as it is; anything that is no list of conditions counts as none.
        wanted: what was judged.
        now_text: the time for what turned, RFC 3339.
        provisional: whether it was judged by reports from before the operator's start. No condition but Accepted
            becomes True by them: what is there stays until the agents are heard.
    """
    merged, _ = _bring(existing, wanted, now_text, provisional=provisional)
    return merged


def merge_status(existing: object, judgement: Judgement, now_text: str) -> StatusChange:
    """Brings a whole `status` to what was judged.

    Args:
        existing: `status` as it is; anything that is no object counts as none.
        judgement: what was judged. A provisional one makes nothing better than it is (see `merge_conditions`).
        now_text: the time for what turned, RFC 3339.
    """
    before: dict[str, Any] = dict(existing) if isinstance(existing, Mapping) else {}
    merged, kept_back = _bring(
        before.get("conditions"), judgement.conditions, now_text, provisional=judgement.provisional
    )
    told = {
        "observedGeneration": judgement.conditions[0].observed_generation,
        "gatewayName": judgement.gateway_name,
    }
    counts = {"registered": judgement.registered, "pods": judgement.pods}
    if kept_back:
        counts = {name: before.get(name, count) for name, count in counts.items()}
    status = {**before, **told, **counts, "conditions": merged.conditions}
    fields = any(before.get(name) != value for name, value in {**told, **counts}.items())
    news = bool(merged.transitions) or any(before.get(name) != value for name, value in told.items())
    urgent = news or _generations(before.get("conditions")) != _generations(merged.conditions)
    return StatusChange(status, merged.changed or fields, urgent, merged.transitions)


def _generations(conditions: object) -> dict[object, object]:
    """Our conditions and the generations that they speak of."""
    listed = conditions if isinstance(conditions, list) else []
    ours = (one for one in listed if isinstance(one, Mapping) and one.get("type") in _OURS)
    return {one.get("type"): one.get("observedGeneration") for one in ours}


def _bring(existing: object, wanted: Iterable[Condition], now_text: str, *, provisional: bool) -> tuple[Merged, bool]:
    """The conditions, and whether some were kept back until an agent is heard."""
    listed = existing if isinstance(existing, list) else []
    there: dict[str, dict[str, Any]] = {}
    for entry in listed:
        if isinstance(entry, Mapping) and isinstance(entry.get("type"), str):
            there.setdefault(entry["type"], dict(entry))
    changed = len(there) != len(listed)
    out: list[dict[str, Any]] = []
    transitions: list[Transition] = []
    kept_back = False
    for condition in wanted:
        before = there.get(condition.type)
        leans = provisional and condition.status is Status.TRUE and condition.type in _LEAN_ON_REPORTS
        if leans and (before is None or before.get("status") != Status.TRUE):
            kept_back = True
            out += [] if before is None else [before]
            continue
        merged, turned = _merge(before, condition, now_text)
        out.append(merged)
        changed = changed or merged != before
        transitions += [] if turned is None else [turned]
    stalled = there.get(ConditionType.STALLED)
    if stalled is not None and all(one["type"] != ConditionType.STALLED for one in out):
        generation = out[0].get("observedGeneration") if out else None
        stays = kept_back and stalled.get("observedGeneration") == generation  # a mended version is stalled no more
        out += [stalled] if stays else []
        changed = changed or not stays
    others = [entry for kind, entry in there.items() if kind not in _OURS]
    kept = others[: MAX_CONDITIONS - len(out)]
    return Merged([*out, *kept], changed or len(kept) != len(others), tuple(transitions)), kept_back


def _merge(
    before: Mapping[str, Any] | None, condition: Condition, now_text: str
) -> tuple[dict[str, Any], Transition | None]:
    status = None if before is None else before.get("status")
    reason = None if before is None else before.get("reason")
    since = None if before is None or status != condition.status else before.get("lastTransitionTime")
    merged = {
        **(before or {}),
        "type": str(condition.type),
        "status": str(condition.status),
        "observedGeneration": condition.observed_generation,
        "lastTransitionTime": since if isinstance(since, str) and since else now_text,
        "reason": condition.reason,
        "message": condition.message,
    }
    if (status, reason) == (condition.status, condition.reason):
        return merged, None
    return merged, Transition(condition, str(status or ""), str(reason or ""))
