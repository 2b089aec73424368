"""Readiness: what a SipGateway's status says, judged from what is wanted and what the pods of its fleet reported.

In: a `GatewayView` and a `FleetView`. Out: a `Judgement`: conditions, counts, text. A pure function: equal inputs give
equal text, so a status is written only when something changed. Silence is never success. A pod that starts counts,
but turns nothing while another pod has the gateway, so that a pod that rolls does not turn ten thousand gateways.
"""

from __future__ import annotations

from dataclasses import dataclass

from sipgateway.api import reasons
from sipgateway.api.conditions import Condition, ConditionType, Reason, Status, rank
from sipgateway.errors import Finding
from sipgateway.reconcile.fleet import (
    SILENT,
    STARTING,
    Affected,
    FleetView,
    HeardReport,
    PodState,
    PodView,
    Trouble,
    affected,
)
from sipgateway.reconcile.readiness_merge import Merged, StatusChange, Transition, merge_conditions, merge_status
from sipgateway.reconcile.readiness_views import GatewayView, Judgement
from sipgateway.reconcile.readiness_words import ONE_BINDING, accepted_text, cut, no_pods, pods_text, refused_text

__all__ = [
    "SILENT",
    "STARTING",
    "Affected",
    "FleetView",
    "GatewayView",
    "HeardReport",
    "Judgement",
    "Merged",
    "PodView",
    "StatusChange",
    "Transition",
    "affected",
    "judge",
    "merge_conditions",
    "merge_status",
    "stand",
]


@dataclass(frozen=True, slots=True)
class _Answer:
    """One condition before it has a generation; `reason` is None for the code of a refusal, which is the worst."""

    status: Status
    word: str
    text: str
    reason: Reason | None

    @property
    def rank(self) -> int:
        return -1 if self.reason is None else rank(self.reason)

    @property
    def stalled(self) -> bool:
        return self.status is Status.FALSE and (self.reason is None or self.reason.stalled)


@dataclass(frozen=True, slots=True)
class _Pods:
    """How the pods stand to one of the two questions: loaded, registered.

    Attributes:
        fine: how many are as they should be.
        text: the pods that are, and those that are not.
        worst: what turns the condition; None when nothing does.
    """

    fine: int
    text: str
    worst: Trouble | None


_NOWHERE = _Pods(0, "on no pod.", None)
_LOADING = Trouble(reasons.LOADING)
_NOT_PROGRAMMED = Trouble(reasons.NOT_PROGRAMMED)


def judge(gateway: GatewayView, fleet: FleetView) -> Judgement:
    """Judges one gateway."""
    loaded, registered = _look(gateway, fleet)
    answers = {
        ConditionType.ACCEPTED: _accepted(gateway),
        ConditionType.PROGRAMMED: _programmed(gateway, fleet, loaded),
        ConditionType.REGISTERED: _registered(gateway, fleet, registered),
    }
    ready = _ready(tuple(answers.values()), loaded if not gateway.registers else registered)
    answers[ConditionType.READY] = ready
    if ready.stalled:
        answers[ConditionType.STALLED] = _Answer(Status.TRUE, ready.word, ready.text, ready.reason)
    suspended = gateway.suspended and not gateway.held
    wanted = 0 if suspended else len(fleet.pods)
    counted = gateway.registers and not suspended
    return Judgement(
        tuple(Condition(kind, a.status, a.word, a.text, gateway.generation) for kind, a in answers.items()),
        f"{registered.fine}/{wanted}" if counted else "-",
        wanted,
        0 if gateway.held or gateway.writing else loaded.fine,
        registered.fine if counted else 0,
        gateway.gateway_name,
        fleet.provisional,
    )


def _on_switches(gateway: GatewayView) -> bool:
    """Whether some version of it shall be on the switches, so that what their agents say of its name is about it."""
    if gateway.config_version is None:
        return False
    return gateway.held or not (gateway.suspended or gateway.refusals)


def _look(gateway: GatewayView, fleet: FleetView) -> tuple[_Pods, _Pods]:
    """How the pods stand: loaded, and registered."""
    version = gateway.config_version
    if version is None or not _on_switches(gateway):
        return _NOWHERE, _NOWHERE
    name = gateway.gateway_name
    loads: list[tuple[PodState, Trouble]] = []
    registers: list[tuple[PodState, Trouble]] = []
    for pod in fleet.pods:
        load, register = stand(name, version, pod)
        if load is not None:
            loads.append((pod, load))
        if register is not None:
            registers.append((pod, register))
    if not gateway.registers:  # it can still be held down by pings (fact 37)
        registers = [(pod, trouble) for pod, trouble in registers if trouble.reason is reasons.DOWN]
    return _weigh(fleet, loads), _weigh(fleet, registers)


def stand(name: str, version: int, pod: PodState) -> tuple[Trouble | None, Trouble | None]:
    """How a gateway stands in one pod: what is against its being loaded, and against its being registered.

    Args:
        name: on the switch.
        version: resourceVersion of the ConfigMap that is to be loaded.
        pod: one of the fleet.
    """
    if pod.trouble is not None:
        return pod.trouble, pod.trouble
    if pod.observed < version:
        return _LOADING, _NOT_PROGRAMMED
    if (problem := pod.programmed.get(name)) is not None:
        return Trouble(problem.cause, problem.words), _NOT_PROGRAMMED
    if (problem := pod.registered.get(name)) is not None:
        return None, Trouble(problem.cause, problem.words)
    return None, None


def _weigh(fleet: FleetView, troubled: list[tuple[PodState, Trouble]]) -> _Pods:
    """Which trouble turns the condition: the worst of the pods that had time to start, or of all when none is fine."""
    total = len(fleet.pods)
    fine = total - len(troubled)
    if not troubled:
        return _Pods(fine, pods_text(fine, total, (), ()), None)
    counting = [(pod.name, trouble) for pod, trouble in troubled if not pod.starting or not fine]
    starting = [pod.name for pod, _ in troubled if pod.starting and fine]
    worst = min((trouble for _, trouble in counting), key=lambda trouble: rank(trouble.reason), default=None)
    return _Pods(fine, pods_text(fine, total, counting, starting), worst)


def _accepted(gateway: GatewayView) -> _Answer:
    if gateway.refusals:
        text = refused_text(gateway.refusals, held=gateway.held)
        return _Answer(Status.FALSE, gateway.refusals[0].code, text, None)
    return _is(reasons.ACCEPTED, accepted_text(gateway.warnings))


def _programmed(gateway: GatewayView, fleet: FleetView, loaded: _Pods) -> _Answer:
    if gateway.held:
        is_on = f" It is loaded {loaded.text}" if _on_switches(gateway) and fleet.pods else ""
        held = reasons.HELD_LAST_GOOD
        return _is(held, f"This version is refused; an earlier one stays on the switches.{is_on} {held.action}")
    if gateway.suspended:
        return _taken_off(gateway, fleet)
    if gateway.refusals:
        return _is(reasons.NOT_ACCEPTED, f"It is refused, so no switch has it. {reasons.NOT_ACCEPTED.action}")
    if isinstance(gateway.writing, Finding):
        said = f"{gateway.writing.message} {gateway.writing.action}".strip()
        return _is(reasons.CONFIG_MAP_NOT_WRITTEN, cut(f"The ConfigMap of this version is not written: {said}"))
    if gateway.writing or gateway.config_version is None:
        return _is(reasons.CONFIG_MAP_PENDING, "The ConfigMap of this version is not written yet.")
    if not fleet.pods:
        return _is(reasons.NO_SWITCH_PODS, no_pods(fleet))
    if loaded.worst is None:
        return _is(reasons.PROGRAMMED, f"Loaded {loaded.text}")
    return _is(loaded.worst.reason, f"Loaded {loaded.text} {loaded.worst.reason.action}")


def _taken_off(gateway: GatewayView, fleet: FleetView) -> _Answer:
    """Of a suspended one: whether it is off the switches, as far as they say."""
    if isinstance(gateway.writing, Finding):
        said = f"{gateway.writing.message} {gateway.writing.action}".strip()
        return _is(reasons.CONFIG_MAP_NOT_WRITTEN, cut(f"The ConfigMap is not removed: {said}"))
    left = [
        (pod, Trouble(problem.cause, problem.words))
        for pod in fleet.pods
        if pod.trouble is None and (problem := pod.programmed.get(gateway.gateway_name)) is not None
    ]
    there = _weigh(fleet, left)
    if there.worst is not None:
        return _is(
            there.worst.reason, f"It is to be off the switches: so it is {there.text} {there.worst.reason.action}"
        )
    return _is(reasons.SUSPENDED, f"It is taken off the switches. {reasons.SUSPENDED.action}")


def _registered(gateway: GatewayView, fleet: FleetView, registered: _Pods) -> _Answer:
    if gateway.suspended and not gateway.held:
        return _is(reasons.SUSPENDED, f"It is taken off the switches. {reasons.SUSPENDED.action}")
    if gateway.refusals and not gateway.held:
        return _is(reasons.NOT_ACCEPTED, f"It is refused, so no switch has it. {reasons.NOT_ACCEPTED.action}")
    about = "An earlier version: registered" if gateway.held or gateway.writing else "Registered"
    if not gateway.registers:
        if registered.worst is None:
            text = "register is false, so it does not register; Ready does not ask for it."
            return _is(reasons.NOT_REGISTERING, text)
        about = "It does not register. Up"
    if not _on_switches(gateway):
        return _is(reasons.NOT_PROGRAMMED, "This version is not on the switches yet.")
    if not fleet.pods:
        return _is(reasons.NO_SWITCH_PODS, no_pods(fleet))
    if registered.worst is None:
        hint = f" {ONE_BINDING}" if len(fleet.pods) > 1 and gateway.several_pods_hint else ""
        return _is(reasons.REGISTERED, f"{about} {registered.text}{hint}")
    return _is(registered.worst.reason, f"{about} {registered.text} {registered.worst.reason.action}")


def _ready(answers: tuple[_Answer, ...], pods: _Pods) -> _Answer:
    """The worst of the others. A gateway that does not register is ready without."""
    bad = [a for a in answers if a.status is not Status.TRUE and a.reason is not reasons.NOT_REGISTERING]
    if bad:
        return min(bad, key=lambda answer: answer.rank)
    return _is(reasons.READY, f"Ready {pods.text}")


def _is(reason: Reason, text: str) -> _Answer:
    return _Answer(reason.status, reason.word, text, reason)
