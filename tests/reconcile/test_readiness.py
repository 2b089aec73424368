"""Readiness: what a status says in each situation, and the rules that hold in all of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from sipgateway.api.conditions import ConditionType, Status
from sipgateway.api.names import LABEL_SWITCH
from sipgateway.reconcile.readiness import FleetView, GatewayView, Judgement, judge
from tests.golden import Golden
from tests.reconcile.fleets import (
    NOW,
    REFUSED,
    finding,
    fleet,
    fleet_of,
    gateway,
    gateway_of,
    heard,
    pod,
    problem,
)

SITUATIONS = Path(__file__).parent / "golden" / "readiness"


def told(judgement: Judgement) -> str:
    """A judgement as YAML, as `kubectl get -o yaml` shows a status."""
    conditions = [
        {
            "type": str(one.type),
            "status": str(one.status),
            "reason": one.reason,
            "message": one.message,
            "observedGeneration": one.observed_generation,
        }
        for one in judgement.conditions
    ]
    status = {
        "gatewayName": judgement.gateway_name,
        "registered": judgement.registered,
        "pods": judgement.pods,
        "conditions": conditions,
    }
    return yaml.safe_dump(status, sort_keys=False, width=110)


def said(judgement: Judgement) -> dict[str, tuple[str, str]]:
    """Condition type -> (status, reason)."""
    return {str(one.type): (str(one.status), one.reason) for one in judgement.conditions}


def read(name: str) -> dict[str, Any]:
    situation: dict[str, Any] = yaml.safe_load((SITUATIONS / f"{name}.in.yaml").read_text("utf-8"))
    return situation


@pytest.mark.parametrize("name", sorted(p.name.removesuffix(".in.yaml") for p in SITUATIONS.glob("*.in.yaml")))
def test_each_situation_has_its_conditions(name: str, golden: Golden) -> None:
    situation = read(name)
    judgement = judge(gateway_of(situation["gateway"]), fleet_of(situation["pods"]))
    golden(f"{name}.out.yaml", f"# {situation['it']}\n{told(judgement)}")


WELL = fleet(pod("fs-0"), pod("fs-1"))


def refused_on(*names: str, of: int = 2, **fields: Any) -> FleetView:
    """A fleet of `of` old pods in which the registrar refuses the password on some."""
    pods = [pod(f"fs-{n}", **fields) for n in range(of)]
    return fleet(*pods, reports=tuple(heard(p.name, problems=[REFUSED] if p.name in names else []) for p in pods))


def test_a_kubectl_wait_for_ready_ends_when_every_pod_has_it_and_is_registered() -> None:
    judgement = judge(gateway(), WELL)
    ready = judgement.condition("Ready")
    assert ready is not None
    assert (ready.status, ready.observed_generation) == (Status.TRUE, 3)
    assert judgement.condition(ConditionType.STALLED) is None
    assert (judgement.registered, judgement.wanted, judgement.programmed, judgement.registered_on) == ("2/2", 2, 2, 2)


@pytest.mark.parametrize(
    ("reason", "code", "stalled"),
    [
        ("CredentialsRefused", 401, True),
        ("CredentialsRefused", 904, True),
        ("ChallengeFromUnknownAddress", 0, True),
        ("RegistrarUnreachable", 408, False),
        ("RegistrarUnreachable", 503, False),
        ("DnsFailed", 503, False),
        ("Refused", 480, False),
        ("Down", 0, False),
        ("Pending", 0, False),
    ],
)
def test_what_the_user_must_mend_stalls_and_what_is_tried_again_does_not(reason: str, code: int, stalled: bool) -> None:
    view = fleet(pod(), reports=(heard(problems=[problem("Registered", reason, "acme", code=code)]),))
    conditions = said(judge(gateway(), view))
    assert conditions["Registered"] == ("False", reason)
    assert conditions["Ready"] == ("False", reason)
    assert conditions.get("Stalled") == (("True", reason) if stalled else None)


@pytest.mark.parametrize(
    ("reason", "stalled"),
    [
        ("NameTakenOnSwitch", True),
        ("Ghost", True),
        ("OtherVersionLoaded", True),
        ("SwitchConfigBroken", False),
        ("ProfileNotRunning", False),
        ("NotLoaded", False),
        ("ConfigMapRefused", False),
        ("DiskFull", False),
        ("Loading", False),
    ],
)
def test_a_gateway_that_is_not_loaded_says_so_and_is_not_said_to_be_registered(reason: str, stalled: bool) -> None:
    view = fleet(pod(), reports=(heard(problems=[problem("Programmed", reason, "acme")]),))
    conditions = said(judge(gateway(), view))
    assert conditions["Programmed"] == conditions["Ready"] == ("False", reason)
    assert conditions["Registered"] == ("Unknown", "NotProgrammed")
    assert ("Stalled" in conditions) is stalled


def test_a_problem_of_another_gateway_is_not_ones_own() -> None:
    view = fleet(pod(), reports=(heard(problems=[problem("Programmed", "NotLoaded", "beta")]),))
    assert said(judge(gateway(), view))["Ready"] == ("True", "Ready")


@pytest.mark.parametrize("words", ["Registered", "NotRegistering", "Suspended", "AgentSilent", "Ready", "nonsense", ""])
def test_no_word_of_an_agent_makes_a_problem_good(words: str) -> None:
    for about in ("Programmed", "Registered", "Ready", "Sung"):
        view = fleet(pod(), reports=(heard(problems=[problem(about, words, "acme")]),))
        assert said(judge(gateway(), view))["Ready"] == ("False", "ProblemOnSwitch")


def test_what_was_said_of_the_version_before_is_not_said_of_this_one() -> None:
    view = fleet(pod(), reports=(heard(observedResourceVersion="49", problems=[REFUSED]),))
    conditions = said(judge(gateway(), view))
    assert conditions["Programmed"] == ("False", "Loading")
    assert conditions["Registered"] == ("Unknown", "NotProgrammed")
    assert "Stalled" not in conditions


def test_a_report_that_has_come_to_exactly_this_version_counts() -> None:
    view = fleet(pod(), reports=(heard(observedResourceVersion="50"),))
    assert said(judge(gateway(), view))["Ready"] == ("True", "Ready")


def test_resource_versions_are_compared_as_numbers() -> None:
    view = fleet(pod(), reports=(heard(observedResourceVersion="9"),))
    assert said(judge(gateway(config_version=10), view))["Programmed"] == ("False", "Loading")


@pytest.mark.parametrize(("ago", "status"), [(0.0, "True"), (89.9, "True"), (90.0, "Unknown"), (1e9, "Unknown")])
def test_an_agent_counts_for_90_seconds_after_its_heartbeat_last_changed(ago: float, status: str) -> None:
    view = fleet(pod("fs-0"), pod("fs-1"), reports=(heard("fs-0"), heard("fs-1", ago)))
    assert {word[0] for kind, word in said(judge(gateway(), view)).items() if kind != "Accepted"} == {status}


@pytest.mark.parametrize(("age", "status"), [(0.0, "True"), (119.9, "True"), (120.0, "Unknown")])
def test_a_new_pod_turns_nothing_for_120_seconds(age: float, status: str) -> None:
    view = fleet(pod("fs-0"), pod("fs-1", age), reports=(heard("fs-0"),))
    judgement = judge(gateway(), view)
    assert said(judgement)["Ready"][0] == status
    assert judgement.registered == "1/2"


def test_a_new_pod_that_has_it_counts_at_once() -> None:
    judgement = judge(gateway(), fleet(pod("fs-0"), pod("fs-1", 3)))
    assert judgement.registered == "2/2"
    assert "Starting" not in str(judgement.conditions)


def test_a_failure_on_a_new_pod_turns_nothing_while_another_pod_has_the_gateway() -> None:
    pods = (pod("fs-0"), pod("fs-1", 3))
    view = fleet(*pods, reports=(heard("fs-0"), heard("fs-1", problems=[REFUSED])))
    judgement = judge(gateway(), view)
    assert said(judgement)["Ready"] == ("True", "Ready")
    assert judgement.registered == "1/2"


def test_a_failure_on_all_new_pods_is_told_at_once() -> None:
    assert said(judge(gateway(), refused_on("fs-0", "fs-1", age=3)))["Ready"] == ("False", "CredentialsRefused")


def test_new_pods_do_not_hide_that_no_old_pod_has_it() -> None:
    pods = (pod("fs-0"), pod("fs-1", 3))
    view = fleet(*pods, reports=(heard("fs-0", problems=[REFUSED]), heard("fs-1")))
    assert said(judge(gateway(), view))["Ready"] == ("False", "CredentialsRefused")


@pytest.mark.parametrize("phase", ["Succeeded", "Failed"])
def test_a_pod_that_has_ended_does_not_count(phase: str) -> None:
    judgement = judge(gateway(), fleet(pod("fs-0"), pod("fs-1", phase=phase)))
    assert judgement.registered == "1/1"
    assert said(judgement)["Ready"] == ("True", "Ready")


def test_the_pod_says_which_fleet_its_report_belongs_to_and_not_the_report() -> None:
    one = heard()
    assert one.report.switch == "default"
    assert said(judge(gateway(), FleetView.of([pod()], [one], NOW, switch="other")))["Ready"] == ("True", "Ready")


def test_a_report_without_a_pod_counts_for_nothing() -> None:
    assert said(judge(gateway(), fleet(reports=(heard(),))))["Programmed"] == ("Unknown", "NoSwitchPods")


def test_a_report_that_no_pod_owns_counts_for_none() -> None:
    for uid in ("", "uid-fs-0"):
        view = fleet(replace(pod(), uid=uid), reports=(heard(uid=""),))
        assert said(judge(gateway(), view))["Programmed"] == ("Unknown", "AgentSilent")


def test_what_is_refused_is_stalled_whatever_the_pods_say() -> None:
    for view in (WELL, fleet(), refused_on("fs-0")):
        conditions = said(judge(gateway(refusals=(finding(),), config_version=None), view))
        assert conditions["Accepted"] == conditions["Ready"] == ("False", "MissingProxy")
        assert conditions["Stalled"] == ("True", "MissingProxy")
        assert conditions["Programmed"] == conditions["Registered"] == ("False", "NotAccepted")


def test_a_gateway_that_lost_its_name_is_not_told_what_happens_to_the_winner() -> None:
    lost = gateway(refusals=(finding("GatewayNameTaken"),))
    judgement = judge(lost, refused_on("fs-0", "fs-1"))
    assert "403" not in str(judgement.conditions)
    assert (judgement.programmed, judgement.registered) == (0, "0/2")


def test_all_refusals_are_told_and_of_very_many_some() -> None:
    many = tuple(finding(message=f"Refusal {number}.") for number in range(8))
    text = str(judge(gateway(refusals=many), WELL).conditions[0].message)
    assert text.startswith("8 refusals. ")
    assert "Refusal 0." in text
    assert "Refusal 4." in text
    assert "Refusal 5." not in text
    assert text.endswith("And 3 more.")


def test_an_endless_refusal_is_cut() -> None:
    endless = judge(gateway(refusals=(finding(message="long " * 10_000),)), WELL)
    assert max(len(one.message) for one in endless.conditions) <= 4096


def test_a_suspended_gateway_is_not_ready_on_purpose_and_not_stalled() -> None:
    judgement = judge(gateway(suspended=True, config_version=None), refused_on("fs-0"))
    assert {word for kind, word in said(judgement).items() if kind != "Accepted"} == {("False", "Suspended")}
    assert (judgement.registered, judgement.pods) == ("-", {"wanted": 0, "programmed": 0, "registered": 0})


def test_ready_does_not_ask_a_gateway_that_does_not_register_to_be_registered() -> None:
    view = fleet(pod(), reports=(heard(problems=[problem("Registered", "Pending", "acme")]),))
    conditions = said(judge(gateway(registers=False), view))
    assert conditions["Registered"] == ("False", "NotRegistering")
    assert conditions["Ready"] == ("True", "Ready")


def test_a_gateway_that_does_not_register_is_not_ready_where_it_is_not_loaded() -> None:
    view = fleet(pod(), reports=(heard(problems=[problem("Programmed", "NotLoaded", "acme")]),))
    conditions = said(judge(gateway(registers=False), view))
    assert conditions["Registered"] == ("False", "NotRegistering")
    assert conditions["Ready"] == ("False", "NotLoaded")


@pytest.mark.parametrize(
    ("view", "hint"),
    [
        (gateway(), True),
        (gateway(registers=False), False),
        (gateway(several_pods_hint=False), False),
    ],
)
def test_a_registering_gateway_on_several_pods_is_warned_of_one_binding(view: GatewayView, hint: bool) -> None:
    assert ("one binding" in str(judge(view, WELL).conditions)) is hint
    assert "one binding" not in str(judge(view, fleet(pod())).conditions)


def test_without_pods_the_message_says_which_label_to_set() -> None:
    text = judge(gateway(), FleetView.of([], [], NOW, switch="edge")).conditions[1].message
    assert f"{LABEL_SWITCH}: edge" in text
    assert f"{LABEL_SWITCH}: NAME" in judge(gateway(), FleetView()).conditions[1].message


def test_the_text_is_the_same_with_every_heartbeat() -> None:
    first = fleet(pod("fs-0"), pod("fs-1"), reports=(heard("fs-0", 5), heard("fs-1", 40, problems=[REFUSED])))
    later = fleet(pod("fs-0"), pod("fs-1"), reports=(heard("fs-0", 1), heard("fs-1", 2, problems=[REFUSED])))
    assert judge(gateway(), first) == judge(gateway(), later)


def test_times_of_another_patience_are_taken() -> None:
    view = FleetView.of([pod(age=5)], [heard(ago=4)], NOW, starting=2, silent=3)
    assert said(judge(gateway(), view))["Ready"] == ("Unknown", "AgentSilent")
    assert view.recheck_at is None
