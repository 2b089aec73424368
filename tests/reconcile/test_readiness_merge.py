"""What is written to a status: only what changed, with everybody else's left alone."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sipgateway.api.conditions import ConditionType, Status
from sipgateway.reconcile.readiness import FleetView, Judgement, judge, merge_conditions, merge_status
from tests.reconcile.fleets import NOW, REFUSED, finding, fleet, gateway, heard, pod

BEFORE, AFTER = "2026-01-01T00:00:00Z", "2026-01-01T00:05:00Z"

WELL = judge(gateway(), fleet(pod("fs-0"), pod("fs-1")))
ILL = judge(gateway(), fleet(pod("fs-0"), pod("fs-1"), reports=(heard("fs-0"), heard("fs-1", problems=[REFUSED]))))
ROLLING = judge(gateway(), fleet(pod("fs-0"), pod("fs-1", 5), reports=(heard("fs-0"),)))
NEXT = judge(gateway(generation=4), fleet(pod("fs-0"), pod("fs-1")))
#: Well, by a report that was not heard anew since the operator started.
OLD_NEWS = judge(gateway(), fleet(pod("fs-0"), reports=(heard("fs-0", confirmed=False),)))

FOREIGN = {"type": "Synced", "status": "True", "lastTransitionTime": BEFORE, "reason": "Synced", "message": "by others"}


def written(judgement: Judgement, existing: object = None, now: str = BEFORE) -> dict[str, Any]:
    return merge_status(existing, judgement, now).status


def by_type(conditions: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {one["type"]: one for one in conditions}


def test_a_first_status_holds_everything_and_every_condition_turned() -> None:
    change = merge_status(None, WELL, BEFORE)
    assert change.changed
    assert change.urgent
    assert list(change.status) == ["observedGeneration", "gatewayName", "registered", "pods", "conditions"]
    assert change.status["pods"] == {"wanted": 2, "programmed": 2, "registered": 2}
    assert [(one.condition.type, one.before) for one in change.transitions] == [
        ("Accepted", ""),
        ("Programmed", ""),
        ("Registered", ""),
        ("Ready", ""),
    ]
    assert {one["lastTransitionTime"] for one in change.status["conditions"]} == {BEFORE}


@pytest.mark.parametrize("judgement", [WELL, ILL, ROLLING, OLD_NEWS])
def test_the_same_judgement_again_writes_nothing(judgement: Judgement) -> None:
    status = written(judgement)
    change = merge_status(status, judgement, AFTER)
    assert (change.changed, change.urgent, change.transitions) == (False, False, ())
    assert change.status == status


def test_the_time_of_a_transition_stays_while_the_status_does() -> None:
    status = written(ILL, written(WELL), AFTER)
    times = {kind: one["lastTransitionTime"] for kind, one in by_type(status["conditions"]).items()}
    assert times == {
        "Accepted": BEFORE,
        "Programmed": BEFORE,
        "Registered": AFTER,
        "Ready": AFTER,
        "Stalled": AFTER,
    }


def test_another_reason_for_the_same_status_is_news_and_no_transition_of_time() -> None:
    pending = judge(gateway(), fleet(pod(), reports=(heard(observedResourceVersion="1"),)))
    refused = judge(gateway(refusals=(finding(),), config_version=None), fleet(pod()))
    change = merge_status(written(pending), refused, AFTER)
    ready = by_type(change.status["conditions"])["Ready"]
    assert (ready["status"], ready["reason"], ready["lastTransitionTime"]) == ("False", "MissingProxy", BEFORE)
    turned = {one.condition.type: (one.before, one.reason_before) for one in change.transitions}
    assert turned[ConditionType.READY] == ("False", "Loading")
    assert change.urgent


def test_stalled_goes_when_it_is_not_true_any_more() -> None:
    merged, changed, transitions = merge_conditions(written(ILL)["conditions"], WELL.conditions, AFTER)
    assert "Stalled" not in by_type(merged)
    assert changed
    assert {one.condition.type for one in transitions} == {ConditionType.REGISTERED, ConditionType.READY}


def test_conditions_and_fields_of_others_are_kept() -> None:
    status = written(WELL) | {"laterField": {"a": 1}}
    status["conditions"] = [FOREIGN, *status["conditions"]]
    change = merge_status(status, WELL, AFTER)
    assert not change.changed
    after = written(ILL, status, AFTER)
    assert by_type(after["conditions"])["Synced"] == FOREIGN
    assert after["laterField"] == {"a": 1}


def test_a_field_that_a_newer_version_put_into_a_condition_is_kept() -> None:
    status = written(WELL)
    status["conditions"][0]["later"] = 7
    change = merge_status(status, ILL, AFTER)
    assert by_type(change.status["conditions"])["Accepted"]["later"] == 7


def test_of_too_many_conditions_ours_stay() -> None:
    others = [FOREIGN | {"type": f"Other{number}"} for number in range(12)]
    merged, changed, _ = merge_conditions([*written(WELL)["conditions"], *others], ILL.conditions, AFTER)
    assert len(merged) == 16
    assert changed
    assert [one["type"] for one in merged[:5]] == [*ConditionType]


def test_a_pod_that_rolls_changes_the_counts_which_can_wait() -> None:
    change = merge_status(written(WELL), ROLLING, AFTER)
    assert change.status["registered"] == "1/2"
    assert (change.changed, change.urgent, change.transitions) == (True, False, ())
    assert by_type(change.status["conditions"])["Ready"]["lastTransitionTime"] == BEFORE
    assert not merge_status(written(WELL), WELL, AFTER).changed


def test_another_generation_is_news_though_nothing_turned() -> None:
    change = merge_status(written(WELL), NEXT, AFTER)
    assert (change.changed, change.urgent, change.transitions) == (True, True, ())
    assert change.status["observedGeneration"] == 4
    assert {one["observedGeneration"] for one in change.status["conditions"]} == {4}
    assert {one["lastTransitionTime"] for one in change.status["conditions"]} == {BEFORE}


def test_an_operator_that_starts_writes_nothing_about_healthy_gateways() -> None:
    unheard = judge(
        gateway(),
        fleet(pod("fs-0"), pod("fs-1"), reports=(heard("fs-0", confirmed=False), heard("fs-1", confirmed=False))),
    )
    assert not merge_status(written(WELL), unheard, AFTER).changed


def test_an_operator_that_starts_takes_no_old_report_for_success() -> None:
    silent = judge(gateway(), fleet(pod("fs-0"), reports=(heard("fs-0", 91),)))
    status = written(silent)
    change = merge_status(status, OLD_NEWS, AFTER)
    assert not change.changed
    assert change.status == status
    heard_again = judge(gateway(), fleet(pod("fs-0")))
    assert by_type(written(heard_again, status, AFTER)["conditions"])["Ready"]["status"] == "True"


def test_an_operator_that_starts_says_nothing_of_a_new_gateway_until_an_agent_is_heard() -> None:
    assert set(by_type(written(OLD_NEWS)["conditions"])) == {"Accepted"}


def test_an_operator_that_starts_keeps_stalled_with_what_it_belongs_to() -> None:
    status = written(ILL)
    unheard = judge(gateway(), fleet(pod("fs-0"), reports=(heard("fs-0", confirmed=False),)))
    change = merge_status(status, unheard, AFTER)
    assert by_type(change.status["conditions"])["Stalled"]["reason"] == "CredentialsRefused"
    assert (change.status["registered"], change.transitions) == (status["registered"], ())


def test_an_operator_that_starts_tells_bad_news_of_old_reports() -> None:
    unheard = judge(gateway(), fleet(pod("fs-0"), reports=(heard("fs-0", confirmed=False, problems=[REFUSED]),)))
    assert by_type(written(unheard, written(WELL), AFTER)["conditions"])["Ready"]["status"] == "False"


json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["type", "status", "reason", "conditions", "pods", "lastTransitionTime", "registered"]),
            inner | st.sampled_from(["Ready", "Accepted", "True", "False"]),
            max_size=5,
        )
    ),
    max_leaves=20,
)


@given(json, st.sampled_from([WELL, ILL, ROLLING, NEXT, OLD_NEWS]))
def test_any_status_is_brought_to_what_is_judged_and_then_stays(existing: object, judgement: Judgement) -> None:
    change = merge_status(existing, judgement, BEFORE)
    types = [one["type"] for one in change.status["conditions"]]
    assert len(types) == len(set(types)) <= 16
    if not judgement.provisional:
        told = by_type(change.status["conditions"])
        for one in judgement.conditions:
            assert (told[one.type]["status"], told[one.type]["message"]) == (one.status, one.message)
    again = merge_status(change.status, judgement, AFTER)
    assert not again.changed
    assert again.transitions == ()


@given(json)
def test_old_news_make_no_condition_true(existing: object) -> None:
    listed = existing.get("conditions") if isinstance(existing, dict) else None
    true = {
        one["type"]
        for one in (listed if isinstance(listed, list) else [])
        if isinstance(one, dict) and isinstance(one.get("type"), str) and one.get("status") == "True"
    }
    for one in written(OLD_NEWS, existing, AFTER)["conditions"]:
        if one["type"] in {"Programmed", "Registered", "Ready"} and one.get("status") == Status.TRUE:
            assert one["type"] in true


def test_a_fleet_is_provisional_until_each_of_its_agents_was_heard_or_is_silent() -> None:
    pods = [pod("fs-0"), pod("fs-1")]
    one, other = heard("fs-0", confirmed=False), heard("fs-1", 10, confirmed=False)
    assert FleetView.of(pods, [one, other], NOW).provisional
    assert FleetView.of(pods, [heard("fs-0"), other], NOW).provisional
    assert not FleetView.of(pods, [heard("fs-0"), other], NOW + 80).provisional
    assert not FleetView.of(pods[:1], [heard("fs-0"), other], NOW).provisional


def test_a_pod_that_starts_has_no_old_news() -> None:
    young = judge(gateway(), fleet(pod("fs-0", 20), reports=(heard("fs-0", confirmed=False),)))
    assert by_type(written(young)["conditions"])["Ready"]["status"] == "True"
