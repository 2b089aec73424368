"""The judgements of `sipgw doctor`, one defect at a time: each is named, and what is close to it and well is not."""

from __future__ import annotations

import datetime as dt
import re
from pathlib import Path
from typing import Any

import pytest

from sipgateway.api import reasons
from sipgateway.api.conditions import ConditionType
from sipgateway.api.names import LABEL_KEYS
from sipgateway.api.switch import Problem, SwitchReport
from sipgateway.cli import doctor_checks as checks
from sipgateway.cluster.client import ApiError
from sipgateway.errors import Finding
from sipgateway.kube.records import FleetId, Key
from sipgateway.kube.rotate import Seen
from sipgateway.kube.survey import Gateway, Pod, Written
from sipgateway.reconcile.fleet import PodState, Trouble
from sipgateway.render.keys import FleetKeys

PAGE = Path(__file__).parents[2] / "docs" / "doctor.md"
FLEET = FleetId("voice", "default")
NOW = dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC)
GONE, FORBIDDEN = ApiError(404, "NotFound", "gone"), ApiError(403, "Forbidden", "you may not")
LOST, NEVER = (Finding(word, "", "They are gone.", "Restore them.") for word in ("FleetKeysMissing", "NoFleetKeys"))
NOT_LOADED = Problem(ConditionType.PROGRAMMED, "NotLoaded", 0, "")
BROKEN = Problem(ConditionType.PROGRAMMED, "FileBreaksSwitch", 0, "line 3")


def crd(served: str = "v1alpha1", stored: str = "v1alpha1") -> dict[str, Any]:
    return {"spec": {"versions": [{"name": served, "served": True}]}, "status": {"storedVersions": [stored]}}


def binding(action: str = "Deny", policy: str = "p") -> dict[str, Any]:
    return {"spec": {"policyName": policy, "validationActions": [action]}}


def lease(ago: float, holder: str = "one", clock: float = 0.0) -> dict[str, Any]:
    written = NOW - dt.timedelta(seconds=ago)
    renewed = written + dt.timedelta(seconds=clock)
    fields = [{"fieldsV1": {"f:spec": {}}, "time": written.isoformat()}]
    spec = {"holderIdentity": holder, "leaseDurationSeconds": 15, "renewTime": renewed.isoformat()}
    return {"metadata": {"managedFields": fields}, "spec": spec}


def pod(*, report: SwitchReport | None = None, **state: Any) -> Pod:
    return Pod(FLEET, PodState("fs-0", starting=False, trouble=state.pop("trouble", None), **state), report)


def gateway(name: str, profile: str = "external", *, suspend: bool = False) -> Gateway:
    return Gateway(
        key=Key("voice", name),
        fleet=FLEET,
        name=name,
        profile=profile,
        generation=1,
        suspend=suspend,
        registers=True,
        created=NOW,
        conditions={},
        spec=Written("somebody", NOW),
    )


def report(**said: Any) -> SwitchReport:
    return SwitchReport("fs-0", **({"reachable": True} | said))


def seen(*needed: str) -> tuple[dict[str, Any], Seen]:
    keys = FleetKeys.generate(lambda count: bytes(range(count)))
    ids = frozenset(needed or keys.ids)
    secret = {"metadata": {"labels": {LABEL_KEYS: "default"}}}
    return secret, Seen(keys, "1", {"sipgateway-acme": ids}, {})


def unlabelled() -> tuple[dict[str, Any], Seen]:
    secret, found = seen()
    secret["metadata"]["labels"] = {}
    return secret, found


CASES: dict[str, tuple[list[checks.Check], list[str]]] = {
    "the CRD is not there": ([checks.crd("c", GONE)], ["CrdMissing"]),
    "the CRD serves another version": ([checks.crd("c", crd("v2"))], ["CrdMissing"]),
    "the CRD has objects of another version": ([checks.crd("c", crd(stored="v1"))], ["CrdOldVersion"]),
    "the CRD cannot be read": ([checks.crd("c", FORBIDDEN)], ["CannotCheck"]),
    "the CRD is well": ([checks.crd("c", crd())], []),
    "the policy is not there": ([checks.policy("p", GONE, [])], ["PolicyMissing"]),
    "the policy is not bound": ([checks.policy("p", {}, [binding(policy="q")])], ["PolicyMissing"]),
    "the policy only warns": ([checks.policy("p", {}, [binding("Warn")])], ["PolicyMissing"]),
    "bindings cannot be read": ([checks.policy("p", {}, FORBIDDEN)], ["CannotCheck"]),
    "the policy is well": ([checks.policy("p", {}, [binding()])], []),
    "a right is missing": ([checks.rights("a", "voice", {"list pods": False})], ["OperatorRightMissing"]),
    "no operator ever": (checks.lease("l", GONE, NOW), ["LeaseNotHeld"]),
    "the operator is gone": (checks.lease("l", lease(31), NOW), ["LeaseNotHeld"]),
    "the operator left": (checks.lease("l", lease(1, ""), NOW), ["LeaseNotHeld"]),
    "the operator's clock": (checks.lease("l", lease(1, clock=-11), NOW), ["ClockSkew"]),
    "the operator is well": (checks.lease("l", lease(29, clock=9), NOW), []),
    "no pods": (checks.fleets([gateway("a")], {}), ["FleetWithoutPods"]),
    "no pods and nothing wanted": (checks.fleets([gateway("a", suspend=True)], {}), []),
    "pods of nobody": (checks.fleets([], {FLEET: [pod()]}), ["PodsWithoutGateways"]),
    "a pod without an agent": ([checks.pod(pod(trouble=Trouble(reasons.POD_WITHOUT_AGENT)))], ["SwitchPodTrouble"]),
    "a pod that is well": ([checks.pod(pod())], []),
    "the switch's own password": (
        checks.socket(pod(report=report(reachable_reason="DefaultPassword", reachable_message="m"))),
        ["SocketUnsafe"],
    ),
    "a password of its own": (checks.socket(pod(report=report())), []),
    "a switch that is not reached": (
        checks.socket(pod(report=report(reachable=False, reachable_reason="SwitchUnreachable"))),
        [],
    ),
    "nothing of a profile is loaded": (
        checks.loading(pod(programmed={"a": NOT_LOADED, "b": NOT_LOADED}), [gateway("a"), gateway("b")], frozenset()),
        ["IncludeLineMissing"],
    ),
    "one of two is not loaded": (
        checks.loading(pod(programmed={"a": NOT_LOADED}), [gateway("a"), gateway("b")], frozenset()),
        ["NotLoadedInPod"],
    ),
    "the one with TLS is not loaded": (
        checks.loading(pod(programmed={"a": NOT_LOADED}), [gateway("a"), gateway("b")], frozenset({"a"})),
        ["TlsProfile"],
    ),
    "all are with TLS and not loaded": (
        checks.loading(pod(programmed={"a": NOT_LOADED}), [gateway("a")], frozenset({"a"})),
        ["TlsProfile"],
    ),
    "a file that the switch does not read": (
        checks.loading(pod(programmed={"a": BROKEN}), [gateway("a"), gateway("b")], frozenset()),
        ["NotLoadedInPod"],
    ),
    "somebody else's is not loaded": (
        checks.loading(pod(programmed={"z": NOT_LOADED}), [gateway("a")], frozenset()),
        [],
    ),
    "the keys lack their label": ([checks.keys(FLEET, *unlabelled())], ["KeysUnlabelled"]),
    "a key is needed that is not there": ([checks.keys(FLEET, *seen("deadbeef"))], ["KeysNotThose"]),
    "the keys are gone": ([checks.keys(FLEET, GONE, LOST)], ["FleetKeysMissing"]),
    "there never were keys": ([checks.keys(FLEET, GONE, NEVER)], ["NoFleetKeys"]),
    "the keys cannot be read": ([checks.keys(FLEET, FORBIDDEN, FORBIDDEN)], ["CannotCheck"]),
    "the keys are well": ([checks.keys(FLEET, *seen())], []),
}


@pytest.mark.parametrize("case", CASES)
def test_a_defect_is_named_and_what_is_well_is_not(case: str) -> None:
    found, expected = CASES[case]
    assert [one.finding.code for one in found if one.finding] == expected
    assert all(one.text or one.finding for one in found)


def test_each_finding_that_the_docs_name_has_its_case() -> None:
    rows = re.findall(r"^\|.*\|(.*)\|$", PAGE.read_text(), re.MULTILINE)
    named = {word for row in rows for word in re.findall(r"`([A-Z]\w+)`", row)}
    assert len(named) > 10
    assert named - {code for _, expected in CASES.values() for code in expected} == set()
