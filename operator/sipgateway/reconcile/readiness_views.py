"""What the operator knows of one SipGateway, and what its status shall say: the two ends of readiness.py, as values."""

from __future__ import annotations

from dataclasses import dataclass

from sipgateway.api.conditions import Condition, ConditionType
from sipgateway.errors import Finding


@dataclass(frozen=True, slots=True)
class GatewayView:
    """What the operator knows of one SipGateway.

    Attributes:
        generation: `metadata.generation`.
        gateway_name: the name under which the switches have it: for a held one that of the earlier version.
        suspended: whether it is off the switches on purpose.
        registers: whether the version on the switches registers.
        refusals: why this generation is not accepted; empty when it is.
        warnings: what is odd about it, and accepted.
        config_version: resourceVersion of the ConfigMap that is to be on the switches: that of this generation, or
            the earlier one's for a held gateway and while this one cannot be written. None when there is none.
        held: refused now, but an earlier accepted version stays on the switches.
        writing: True while the ConfigMap of this generation is not written yet; a finding says why it cannot be.
        several_pods_hint: whether to say that many carriers keep one binding when it registers from several pods.
    """

    generation: int
    gateway_name: str
    suspended: bool = False
    registers: bool = True
    refusals: tuple[Finding, ...] = ()
    warnings: tuple[Finding, ...] = ()
    config_version: int | None = None
    held: bool = False
    writing: bool | Finding = False
    several_pods_hint: bool = True


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the status shall say.

    Attributes:
        conditions: Accepted, Programmed, Registered, Ready, and Stalled when it is True.
        registered: the printer column: `2/2`, a dash for a gateway that does not register or is suspended.
        wanted, programmed, registered_on: pods that should have it, that have this generation, that are registered.
        provisional: whether it rests on reports that were not heard anew since the operator started.
    """

    conditions: tuple[Condition, ...]
    registered: str
    wanted: int
    programmed: int
    registered_on: int
    gateway_name: str
    provisional: bool = False

    def condition(self, kind: ConditionType | str) -> Condition | None:
        """The condition of this type; None when it is not there."""
        return next((one for one in self.conditions if one.type == kind), None)

    @property
    def pods(self) -> dict[str, int]:
        """`status.pods`."""
        return {"wanted": self.wanted, "programmed": self.programmed, "registered": self.registered_on}
