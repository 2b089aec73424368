"""The switch pods of each fleet and what their agents report, kept as one `FleetView` per fleet.

In: Pods and SipSwitches from watches, and the clock as an argument. Out: views, and for each change of one which
SipGateways could be judged otherwise. A report over ten thousand healthy gateways costs what it changes.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass, field

from sipgateway.api.names import AGENT_CONTAINER, LABEL_SWITCH
from sipgateway.api.switch import SwitchReport, parse_switch
from sipgateway.cluster.client import Obj
from sipgateway.kube.records import FleetId, Key
from sipgateway.reconcile.readiness import Affected, FleetView, HeardReport, PodView, affected


@dataclass(slots=True)
class Fleets:
    """All fleets.

    Attributes:
        changed: told of each fleet whose view changed, and of whom that could concern.
        clock: seconds, steady.
        today: seconds since the epoch: only to tell how old a Pod is.
    """

    changed: Callable[[FleetId, Affected], None]
    clock: Callable[[], float]
    today: Callable[[], float]
    _pods: dict[FleetId, dict[str, PodView]] = field(default_factory=dict)
    _fleet_of: dict[Key, FleetId] = field(default_factory=dict)
    _reports: dict[Key, HeardReport] = field(default_factory=dict)
    _views: dict[FleetId, FleetView] = field(default_factory=dict)

    def view(self, fleet: FleetId) -> FleetView:
        """The fleet as it was last looked at."""
        found = self._views.get(fleet)
        if found is None:
            found = self._look(fleet)
            if fleet in self._pods:  # names of fleets without pods cost nothing
                self._views[fleet] = found
        return found

    def reports(self, fleet: FleetId) -> tuple[SwitchReport, ...]:
        """The reports of the fleet's pods."""
        pods = self._pods.get(fleet, {})
        found = (self._reports.get(Key(fleet.namespace, name)) for name in pods)
        return tuple(one.report for one in found if one is not None)

    def take_pod(self, obj: Obj) -> None:
        """A Pod with the fleet's label is there."""
        meta = obj["metadata"]
        key = Key(meta["namespace"], meta["name"])
        switch = (meta.get("labels") or {}).get(LABEL_SWITCH)
        if not switch:
            self.drop_pod(obj)
            return
        fleet = FleetId(key.namespace, switch)
        before = self._fleet_of.get(key)
        if before is not None and before != fleet:
            self.drop_pod(obj)
        known = self._pods.get(fleet, {}).get(key.name)
        first_seen = known.first_seen if known is not None and known.uid == meta["uid"] else self._born(meta)
        pod = pod_view(obj, switch, first_seen)
        self._fleet_of[key] = fleet
        if known != pod:
            self._pods.setdefault(fleet, {})[key.name] = pod
            self.refresh(fleet)

    def drop_pod(self, obj: Obj) -> None:
        """A Pod is gone, or lost the label."""
        meta = obj["metadata"]
        key = Key(meta["namespace"], meta["name"])
        fleet = self._fleet_of.get(key)
        pods = self._pods.get(fleet) if fleet is not None else None
        if fleet is None or pods is None or (key.name in pods and pods[key.name].uid != meta["uid"]):
            return
        pods.pop(key.name, None)
        del self._fleet_of[key]
        if not pods:
            del self._pods[fleet]
        self.refresh(fleet)

    def keep_only_pods(self, uids: frozenset[str], namespace: str | None) -> None:
        """After a whole LIST: what was not in it is gone."""
        for key, fleet in list(self._fleet_of.items()):
            pod = self._pods[fleet][key.name]
            if pod.uid not in uids and namespace in {None, key.namespace}:
                self.drop_pod({"metadata": {"namespace": key.namespace, "name": key.name, "uid": pod.uid}})

    def take_report(self, obj: Obj) -> None:
        """A SipSwitch is there. Only a heartbeat that changed, seen by our own clock, shows that its agent lives."""
        report = parse_switch(obj)
        key = Key(report.namespace, report.pod)
        before = self._reports.get(key)
        now = self.clock()
        if before is None or before.report.uid != report.uid:
            heard = HeardReport(report, now, confirmed=False)
        elif int(before.report.resource_version) >= int(report.resource_version):
            return  # older news, of a LIST that took its time, would look like a heartbeat
        elif before.report.heartbeat != report.heartbeat:
            heard = HeardReport(report, now, confirmed=True)
        else:
            heard = HeardReport(report, before.heard_at, before.confirmed)
        self._reports[key] = heard
        fleet = self._fleet_of.get(key)
        if fleet is not None:
            self.refresh(fleet)

    def drop_report(self, key: Key, uid: str | None = None) -> None:
        """A SipSwitch is gone. With `uid` only that very object."""
        known = self._reports.get(key)
        if known is None or (uid is not None and known.report.uid != uid):
            return
        del self._reports[key]
        if (fleet := self._fleet_of.get(key)) is not None:
            self.refresh(fleet)

    def known_reports(self) -> tuple[Key, ...]:
        """The SipSwitches that are known."""
        return tuple(self._reports)

    def refresh(self, fleet: FleetId) -> None:
        """Looks at a fleet again and tells whom that could concern."""
        before = self._views.get(fleet, FleetView(switch=fleet.switch))  # without one it had no pods
        after = self._look(fleet)
        if fleet in self._pods:
            self._views[fleet] = after
        else:
            self._views.pop(fleet, None)
        touched = affected(before, after)
        if touched:
            self.changed(fleet, touched)

    def due(self) -> float | None:
        """When time alone changes the next view, seconds of the clock; None when it never does."""
        moments = [v.recheck_at for v in self._views.values() if v.recheck_at is not None]
        return min(moments, default=None)

    def tick(self) -> None:
        """Looks at the fleets whose view has changed by time alone."""
        now = self.clock()
        for fleet, view in list(self._views.items()):
            if view.recheck_at is not None and view.recheck_at <= now:
                self.refresh(fleet)

    def _look(self, fleet: FleetId) -> FleetView:
        pods = self._pods.get(fleet, {})
        reports = (self._reports.get(Key(fleet.namespace, name)) for name in pods)
        heard = [one for one in reports if one is not None]
        return FleetView.of(pods.values(), heard, self.clock(), switch=fleet.switch)

    def _born(self, meta: Obj) -> float:
        """When a Pod came to be, by our clock: after a restart of ours an old pod gets no second time to start."""
        try:
            created = dt.datetime.fromisoformat(str(meta.get("creationTimestamp"))).timestamp()
        except ValueError:
            return self.clock()
        return self.clock() - max(self.today() - created, 0.0)


def pod_view(obj: Obj, switch: str, first_seen: float) -> PodView:
    """What matters of a Pod."""
    meta, spec, status = obj["metadata"], obj.get("spec") or {}, obj.get("status") or {}
    containers = (*(spec.get("containers") or ()), *(spec.get("initContainers") or ()))
    conditions = status.get("conditions") or ()
    return PodView(
        name=meta["name"],
        uid=meta["uid"],
        switch=switch,
        first_seen=first_seen,
        ready=any(c.get("type") == "Ready" and c.get("status") == "True" for c in conditions),
        terminating=bool(meta.get("deletionTimestamp")),
        has_agent=any(c.get("name") == AGENT_CONTAINER for c in containers),
        phase=str(status.get("phase") or ""),
    )
