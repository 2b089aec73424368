"""Conditions of a SipGateway, and what may be asked of the table of reasons (reasons.py).

In: nothing. Out: `Condition` values, `REASONS` and their order.
"""

from __future__ import annotations

from dataclasses import dataclass

from sipgateway.api import reasons
from sipgateway.api.reasons import ConditionType, Reason, Status

__all__ = ["BY_WORD", "FROM_AGENTS", "REASONS", "Condition", "ConditionType", "Reason", "Status", "rank"]


@dataclass(frozen=True, slots=True)
class Condition:
    """One answer. When it last changed is not part of it: that is known where the old one is (readiness_merge.py).

    Attributes:
        reason: a word of `REASONS`, or the code of a refusal.
        message: why, for people, and what to do. Equal inputs give equal text: no times, no ages.
        observed_generation: `metadata.generation` that it speaks of.
    """

    type: ConditionType
    status: Status
    reason: str
    message: str
    observed_generation: int


#: Every reason, in the order of docs/conditions.md. Of those that can meet on one gateway, the worst stands first.
REASONS: tuple[Reason, ...] = tuple(value for value in vars(reasons).values() if isinstance(value, Reason))

#: Word -> reason.
BY_WORD: dict[str, Reason] = {reason.word: reason for reason in REASONS}

#: What an agent may say of a gateway. Any other word of his is a ProblemOnSwitch: none of them makes good what is not.
FROM_AGENTS: frozenset[Reason] = frozenset(
    {
        reasons.CREDENTIALS_REFUSED,
        reasons.CHALLENGE_FROM_UNKNOWN_ADDRESS,
        reasons.NAME_TAKEN_ON_SWITCH,
        reasons.OTHER_VERSION_LOADED,
        reasons.NEW_VERSION_REFUSED,
        reasons.FILE_BREAKS_SWITCH,
        reasons.GHOST,
        reasons.SWITCH_CONFIG_BROKEN,
        reasons.PROFILE_NOT_RUNNING,
        reasons.NOT_LOADED,
        reasons.STILL_LOADED,
        reasons.CONFIG_MAP_REFUSED,
        reasons.DISK_FULL,
        reasons.FILE_ACCESS,
        reasons.FOLDER_IS_LINK,
        reasons.REFUSED,
        reasons.DNS_FAILED,
        reasons.REGISTRAR_UNREACHABLE,
        reasons.DOWN,
        reasons.LOADING,
        reasons.PENDING,
    }
)

_RANK = {reason: rank for rank, reason in enumerate(REASONS)}


def rank(reason: Reason) -> int:
    """How bad a reason is: the lowest is the worst."""
    return _RANK[reason]
