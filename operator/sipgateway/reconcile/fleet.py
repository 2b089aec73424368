"""What a fleet's pods say, looked at once for all of its gateways: which pods count, and what is known on each.

In: pods, the reports of their agents, and the operator's own steady clock as an argument. Out: a `FleetView`, which
every gateway of the fleet is judged by (readiness.py), and what can be judged otherwise when the view changes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from sipgateway.api import reasons
from sipgateway.api.conditions import Reason
from sipgateway.api.switch import Problem, SwitchReport

#: Seconds in which a new pod may start: it counts, but turns nothing.
STARTING = 120.0

#: Seconds without a change of the heartbeat (every 30 s) after which nothing that an agent said counts.
SILENT = 90.0

#: Phases of a Pod that will never run again.
_ENDED = frozenset({"Succeeded", "Failed"})


@dataclass(frozen=True, slots=True)
class PodView:
    """A pod that carries the fleet's label.

    Attributes:
        first_seen: when it came to be. After a restart of the operator this is `now` minus the age that its
            creationTimestamp tells, not the moment of the first LIST: an old pod gets no second time to start.
        terminating: whether it has a deletionTimestamp: it does not count any more.
        has_agent: whether a container of it is the agent.
        phase: `status.phase`.
    """

    name: str
    uid: str
    switch: str
    first_seen: float
    ready: bool = True
    terminating: bool = False
    has_agent: bool = True
    phase: str = "Running"

    @property
    def counts(self) -> bool:
        """Whether the fleet has it: it neither leaves nor has ended."""
        return not self.terminating and self.phase not in _ENDED


@dataclass(frozen=True, slots=True)
class HeardReport:
    """A report and when its agent was last heard.

    Attributes:
        heard_at: when the heartbeat was last seen to change; at first sight, that moment.
        confirmed: whether it was seen to change since the operator started. What it says may be long out of date
            until then: it may keep a condition True, and makes none True (readiness_merge.py).
    """

    report: SwitchReport
    heard_at: float
    confirmed: bool = True


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why a gateway is not as it should be on a pod: the reason, and somebody's own words."""

    reason: Reason
    words: str = ""


def _nothing() -> Mapping[str, Problem]:
    return MappingProxyType({})


@dataclass(frozen=True, slots=True)
class PodState:
    """What is known of one pod that counts.

    Attributes:
        starting: whether it is so young that it turns nothing.
        trouble: why nothing is known of any gateway there; None when the agent's report counts.
        observed: resourceVersion up to which ConfigMaps were handled.
        programmed, registered: gateway name -> what the agent says against that condition.
    """

    name: str
    starting: bool
    trouble: Trouble | None
    observed: int = 0
    programmed: Mapping[str, Problem] = field(default_factory=_nothing, repr=False)
    registered: Mapping[str, Problem] = field(default_factory=_nothing, repr=False)


@dataclass(frozen=True, slots=True)
class FleetView:
    """The pods of a fleet that count, by name.

    Attributes:
        switch: the fleet's name, for messages.
        leaving: whether there are others, which are being deleted or have ended.
        provisional: whether some pod's report may be old: it was not heard anew since the operator started.
        recheck_at: next moment at which time alone changes this view; None when it never does.
    """

    pods: tuple[PodState, ...] = ()
    switch: str = ""
    leaving: bool = False
    provisional: bool = False
    recheck_at: float | None = None

    @staticmethod
    def of(
        pods: Iterable[PodView],
        reports: Iterable[HeardReport],
        now: float,
        *,
        switch: str = "",
        starting: float = STARTING,
        silent: float = SILENT,
    ) -> FleetView:
        """Looks at a fleet once.

        Args:
            pods: the pods of one namespace with one label. The Pod says which fleet it is of, never its report.
            reports: at least the reports of these pods; one whose owner is not that Pod's uid is ignored.
            now: seconds of the clock that `first_seen` and `heard_at` are of.
            switch: the fleet's name.
            starting: seconds in which a pod may start.
            silent: seconds after which an agent is silent.
        """
        heard = {(one.report.pod, one.report.owner_uid): one for one in reports}
        states: list[PodState] = []
        moments: list[float] = []
        leaving = provisional = False
        for pod in sorted(pods, key=lambda p: (p.name, p.uid)):
            if not pod.counts:
                leaving = True
                continue
            one = heard.get((pod.name, pod.uid)) if pod.uid else None
            silent_at = None if one is None else one.heard_at + silent
            moments += [moment for moment in (silent_at, pod.first_seen + starting) if moment is not None]
            fresh = one if silent_at is not None and now < silent_at else None
            young = now < pod.first_seen + starting
            # A report cannot be older than its pod: of a pod that starts there are no old news.
            provisional = provisional or (fresh is not None and not fresh.confirmed and not young)
            states.append(_state(pod, fresh, starting=young))
        coming = [moment for moment in moments if moment > now]
        return FleetView(tuple(states), switch, leaving, provisional, min(coming, default=None))


@dataclass(frozen=True, slots=True)
class Affected:
    """Which gateways can be judged otherwise than before.

    Attributes:
        everything: all of the fleet's.
        names: gateway names.
        versions: (above, up to): those whose config_version lies between; None when there are none. All of them were
            not proved on some pod, so it is enough to look through those with `programmed` less than `wanted`.
    """

    everything: bool = False
    names: frozenset[str] = frozenset()
    versions: tuple[int, float] | None = None

    def touches(self, gateway_name: str, config_version: int | None) -> bool:
        """Whether this gateway is one of them."""
        if self.everything or gateway_name in self.names:
            return True
        if self.versions is None or config_version is None:
            return False
        above, up_to = self.versions
        return above < config_version <= up_to

    def __bool__(self) -> bool:
        return self.everything or bool(self.names) or self.versions is not None


#: All gateways of the fleet.
_EVERYTHING = Affected(everything=True)


def affected(old: FleetView, new: FleetView) -> Affected:
    """Which gateways a change of the fleet can concern: a report over 10,000 healthy gateways names what changed."""
    if (old.switch, old.provisional, len(old.pods)) != (new.switch, new.provisional, len(new.pods)):
        return _EVERYTHING
    if not new.pods:
        return Affected(everything=old.leaving is not new.leaving)
    names: set[str] = set()
    ranges: list[tuple[int, float]] = []
    for before, after in zip(old.pods, new.pods, strict=True):
        if before.name != after.name or before.trouble != after.trouble:
            return _EVERYTHING
        if before.starting is not after.starting:
            if after.trouble is not None:
                return _EVERYTHING
            # What is fine there stays so; the rest was passed over, or is from now on.
            names |= before.programmed.keys() | before.registered.keys()
            ranges.append((before.observed, float("inf")))
        if after.trouble is not None:
            continue
        if after.observed < before.observed:
            return _EVERYTHING  # what was proved is not any more: the agent or the switch began anew
        if after.observed > before.observed:
            ranges.append((before.observed, after.observed))
        names |= _differences(before.programmed, after.programmed)
        names |= _differences(before.registered, after.registered)
    versions = (min(low for low, _ in ranges), max(high for _, high in ranges)) if ranges else None
    return Affected(names=frozenset(names), versions=versions)


def _differences(before: Mapping[str, Problem], after: Mapping[str, Problem]) -> set[str]:
    if before is after:
        return set()
    there = {name for name, problem in before.items() if after.get(name) != problem}
    return there | {name for name in after if name not in before}


def _state(pod: PodView, heard: HeardReport | None, *, starting: bool) -> PodState:
    trouble = _trouble(pod, heard, starting=starting)
    if trouble is not None or heard is None:
        return PodState(pod.name, starting, trouble)
    report = heard.report
    return PodState(pod.name, starting, None, report.observed, report.programmed, report.registered)


def _trouble(pod: PodView, heard: HeardReport | None, *, starting: bool) -> Trouble | None:
    """Why nothing that the agent of this pod may have said counts; None when it does."""
    if heard is None:
        if not starting and pod.phase not in {"Running", ""}:
            return Trouble(reasons.POD_NOT_RUNNING, pod.phase)
        if not pod.has_agent:
            return Trouble(reasons.POD_WITHOUT_AGENT)
        if starting:
            return Trouble(reasons.POD_STARTING)
        return Trouble(reasons.AGENT_SILENT, "" if pod.ready else "the pod is not ready")
    report = heard.report
    if report.unreadable:
        return Trouble(reasons.REPORT_UNREADABLE, report.unreadable)
    match report.phase:
        case "Starting" | "":
            return Trouble(reasons.AGENT_STARTING)
        case "Draining":
            return Trouble(reasons.AGENT_DRAINING)
        case "Running":
            pass
        case _:
            return Trouble(reasons.REPORT_UNREADABLE, f"phase {report.phase}")
    if not report.reachable:
        return Trouble(reasons.SWITCH_UNREACHABLE, report.reachable_message or report.reachable_reason)
    return None
