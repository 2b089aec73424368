"""The path of one SipGateway, hop by hop, and the first hop that is behind. A pure function.

In: what `survey.one` read. Out: hops: the manifest's commit, object, acceptance, ConfigMap, each pod, status.
"""

from __future__ import annotations

import datetime as dt
import enum
from dataclasses import dataclass

from sipgateway.api import reasons
from sipgateway.api.conditions import ConditionType, Status
from sipgateway.kube.survey import Gateway, Pod, Published, Survey
from sipgateway.reconcile.fleet import Trouble
from sipgateway.reconcile.readiness import stand


class State(enum.StrEnum):
    """How far a hop is."""

    DONE = "done"
    BEHIND = "behind"  # it is on its way, or nothing is known
    WRONG = "wrong"


@dataclass(frozen=True, slots=True)
class Hop:
    """One step of the way.

    Attributes:
        name: what it is: `ConfigMap`, `pod switch-0`.
        text: what is there, or why not, in the words of who knows.
        at: when it was written, by the API server's clock; None when that is not known.
        took: whole seconds since the hop before; None when that is not known.
    """

    name: str
    state: State
    text: str
    at: dt.datetime | None = None
    took: int | None = None


_STATES = {Status.TRUE: State.DONE, Status.FALSE: State.WRONG, Status.UNKNOWN: State.BEHIND}


def trace(gateway: Gateway, published: Published | None, seen: Survey) -> tuple[Hop, ...]:
    """The hops in the order of the way; several pods are beside one another."""
    hops: list[Hop] = []
    if gateway.commit:
        hops.append(Hop("commit", State.DONE, f"{gateway.commit} {gateway.path}".rstrip()))
    by = f", written by {gateway.spec.by}" if gateway.spec.by else ""
    hops.append(Hop("SipGateway", State.DONE, f"generation {gateway.generation}{by}", gateway.spec.at))
    accepted = _condition(gateway, ConditionType.ACCEPTED, "accepted")
    hops.append(accepted)
    hops.append(_config_map(gateway, published, accepted))
    pods = seen.pods.get(gateway.fleet, ())
    hops += [_pod(gateway, published, pod) for pod in pods]
    if not pods:
        told = "; ".join(seen.unread) or f"no pod is labelled sipgateway.dev/switch={gateway.fleet.switch}"
        hops.append(Hop("pods", State.BEHIND, told))
    hops.append(_condition(gateway, ConditionType.READY, "status"))
    return tuple(hops)


def first_behind(hops: tuple[Hop, ...]) -> Hop | None:
    """The first hop that is not done: where to look."""
    return next((hop for hop in hops if hop.state is not State.DONE), None)


def _condition(gateway: Gateway, kind: ConditionType, name: str) -> Hop:
    status, reason, message = gateway.condition(kind)
    state = _STATES.get(Status(status), State.BEHIND) if status in set(Status) else State.BEHIND
    if gateway.suspend and reason == reasons.SUSPENDED.word:
        state = State.DONE  # as it is wanted
    said = f"{reason}: {message}" if state is not State.DONE and reason else message
    return Hop(name, state, f"{kind}={status} {said}".rstrip())


def _config_map(gateway: Gateway, published: Published | None, accepted: Hop) -> Hop:
    if gateway.suspend:
        left = "is still there though it is suspended" if published else "none: it is suspended"
        return Hop("ConfigMap", State.BEHIND if published else State.DONE, left)
    if published is None:
        return Hop("ConfigMap", State.BEHIND, "is not there")
    what = f"{published.name}, revision {published.revision or 'unreadable'}"
    _, reason, message = gateway.condition(ConditionType.PROGRAMMED)
    if accepted.state is not State.DONE or reason in _NOT_WRITTEN:
        why = f" {message}" if reason in _NOT_WRITTEN else ""
        return Hop("ConfigMap", State.BEHIND, f"an earlier version stays: {what}.{why}", published.written.at)
    took = None
    if gateway.spec.at is not None and published.written.at is not None:
        seconds = int((published.written.at - gateway.spec.at).total_seconds())
        took = seconds if seconds >= 0 else None  # the change asked for no other ConfigMap
    return Hop("ConfigMap", State.DONE, what, published.written.at, took)


_NOT_WRITTEN = frozenset({reasons.CONFIG_MAP_PENDING.word, reasons.CONFIG_MAP_NOT_WRITTEN.word})


def _pod(gateway: Gateway, published: Published | None, pod: Pod) -> Hop:
    name = f"pod {pod.state.name}"
    if gateway.suspend or published is None:
        problem = pod.state.programmed.get(gateway.name)
        against = pod.state.trouble or (Trouble(problem.cause, problem.words) if problem else None)
        if against is None:
            return Hop(name, State.DONE, "not loaded", pod.reported)
        return _against(name, against, pod)
    # A ConfigMap whose content did not change may have a newer version than the one that was proved.
    proved = gateway.condition(ConditionType.PROGRAMMED)[0] == Status.TRUE
    load, register = stand(published.gateway or gateway.name, 0 if proved else published.version, pod.state)
    if register is not None and not gateway.registers and register.reason is not reasons.DOWN:
        register = None
    against = load or register
    if against is not None:
        return _against(name, against, pod)
    text = "loaded and proved, registered" if gateway.registers else "loaded and proved; it does not register"
    return Hop(name, State.DONE, text, pod.reported)


def _against(name: str, trouble: Trouble, pod: Pod) -> Hop:
    text = (
        f"{trouble.reason.word}: {trouble.words}"
        if trouble.words
        else f"{trouble.reason.word}: {trouble.reason.meaning}"
    )
    return Hop(name, _STATES[trouble.reason.status], text, pod.reported)
