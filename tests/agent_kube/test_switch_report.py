"""The SipSwitch's status: what is said of gateways, in which order, and what is never cut off."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sipgateway.agent import executor, refusal
from sipgateway.agent.switch_report import CONFIG_MAP_REFUSED, LOADING, Facts, status
from sipgateway.agent.view import SwitchView
from sipgateway.api import limits
from sipgateway.api.conditions import FROM_AGENTS
from sipgateway.api.crd_switch import switch_status_schema
from sipgateway.api.switch import parse_switch
from sipgateway.errors import Finding
from sipgateway.reconcile.plan import Kind, Problem, ProblemKind, Step
from sipgateway.reconcile.registration import ADVICE, Registration, Verdict
from sipgateway.reconcile.state import Wanted
from tests.golden import Golden

UNREACHABLE = Finding("SwitchUnreachable", "", "Cannot connect.", "Check that FreeSWITCH runs.")
WARNING = Finding("DefaultPassword", "", "The event socket has FreeSWITCH's own password.", "Change it.")


def wanted(name: str, *, registers: bool = True) -> Wanted:
    return Wanted(name, "external", f"rev-{name}", registers, f"sip_profiles/external/sipgw-{name}.xml")


def facts(*gateways: Wanted, states: dict[str, str] | None = None, **more: Any) -> Facts:
    """All of these loaded as they are wanted and registered, unless `states` says otherwise; None: not loaded."""
    view = SwitchView(stale=False)
    states = {g.name: "REGED" if g.registers else "NOREG" for g in gateways} | (states or {})
    for name, state in states.items():
        if state:
            view.rows[name] = [("external", state)]
            view.revisions[name] = f"rev-{name}"
            view.registrations[name] = Registration().seen(state, 0.0)
    base = Facts(
        phase="Running",
        agent_version="0.1.0",
        switch_version="1.10.12",
        observed=4711,
        seal_keys=("1f2e3d4c",),
        wanted={g.name: g for g in gateways},
        refused={},
        view=view,
        ours=frozenset(view.revisions),
    )
    return replace(base, **more)


def valid(said: dict[str, Any]) -> dict[str, Any]:
    """What the API server takes: the CRD's schema, and no more than it lists."""
    body = {"heartbeat": "2026-01-01T00:00:00Z", **said}
    schema = json.loads(json.dumps(switch_status_schema()))
    jsonschema.validate(body, schema)
    assert body.keys() <= schema["properties"].keys()
    return said


def problems(said: dict[str, Any]) -> list[tuple[str, str, int, list[str]]]:
    return [(p["about"], p["reason"], p.get("code", 0), p["gateways"]) for p in valid(said)["problems"]]


def test_a_switch_on_which_all_is_well_names_no_gateway() -> None:
    said = valid(status(facts(wanted("a"), wanted("b", registers=False))))
    assert said["problems"] == []
    assert said["counts"] == {
        "wanted": 2, "loaded": 2, "registered": 1, "registering": 0, "failed": 0, "foreign": 0, "ghosts": 0
    }  # fmt: skip
    assert said["switch"] == {"reachable": True, "reason": "", "message": ""}


def test_gateways_of_one_trouble_stand_in_one_group_in_a_stable_order(golden: Golden) -> None:
    names = ["zeta", "alpha", "beta", "gamma", "delta", "eps", "eta", "theta"]
    states = {"gamma": "", "delta": "TRYING"}
    one = facts(*map(wanted, names), states=states)
    for name in ("zeta", "alpha"):
        one.view.registrations[name] = Registration().event("FAILED", up=False, status=403, phrase="Forbidden", now=0.0)
    one.view.registrations["beta"] = Registration().event("FAILED", up=False, status=503, phrase="DNS Error", now=0.0)
    not_loaded = "The switch read its configuration, but did not load {0} into profile external."
    said = status(
        replace(
            one,
            failures={n: Finding("NotLoaded", "", not_loaded.format(n), "Check it.") for n in ("eps", "eta")},
            problems={"theta": Problem(ProblemKind.NAME_TAKEN, "theta", "theta is taken.", "Rename it.")},
            refused={"forged": Finding("ConfigMapForged", "", "The ConfigMap's MAC does not verify.", "")},
        )
    )
    golden("groups.out.json", json.dumps(valid(said), indent=1) + "\n")


def test_the_operator_reads_what_is_written() -> None:
    one = facts(wanted("a"), wanted("b"), states={"a": ""})
    one.view.registrations["b"] = Registration().event("FAILED", up=False, status=401, phrase="No", now=0.0)
    obj = {"metadata": {"name": "p"}, "status": {"heartbeat": "2026-01-01T00:00:00Z", **status(one)}}
    report = parse_switch(obj)
    assert not report.unreadable
    assert report.programmed.keys() == {"a"}
    assert report.registered.keys() == {"b"}
    assert report.observed == 4711
    assert report.seal_keys == {"1f2e3d4c"}
    assert report.reachable


def test_a_gateway_that_is_not_loaded_yet_is_loading() -> None:
    assert problems(status(facts(wanted("a"), states={"a": ""}))) == [("Programmed", "Loading", 0, ["a"])]


def test_a_gateway_on_another_profile_than_the_wanted_one_is_loading() -> None:
    one = facts(wanted("a"))
    one.view.rows["a"] = [("internal", "REGED")]
    assert problems(status(one)) == [("Programmed", "Loading", 0, ["a"])]


def test_an_earlier_version_is_not_what_is_wanted() -> None:
    one = facts(wanted("a"))
    one.view.revisions["a"] = "another"
    assert problems(status(one)) == [("Programmed", "Loading", 0, ["a"])]


def test_a_full_disk_is_named_for_the_gateways_that_are_not_loaded_for_it() -> None:
    full = Finding("DiskFull", "", "No space left on device.", "Make room.")
    said = status(facts(wanted("a"), wanted("b"), states={"a": ""}, storage=full))
    assert problems(said) == [("Programmed", "DiskFull", 0, ["a"])]


def test_a_gateway_that_waits_for_an_answer_is_pending() -> None:
    said = status(facts(wanted("a"), states={"a": "TRYING"}))
    assert problems(said) == [("Registered", "Pending", 0, ["a"])]
    assert said["counts"]["registering"] == 1


def test_a_switch_that_is_not_reached_says_why() -> None:
    said = valid(status(facts(unreachable=UNREACHABLE)))
    assert said["switch"] == {
        "reachable": False,
        "reason": "SwitchUnreachable",
        "message": "Cannot connect. Check that FreeSWITCH runs.",
    }


def test_gateways_of_others_and_ghosts_are_counted_and_named_nowhere() -> None:
    one = facts(wanted("a"), states={"theirs": "REGED", "left": "REGED"})
    said = status(replace(one, ours=frozenset({"a", "left"})))
    assert said["counts"]["foreign"] == 1
    assert said["counts"]["ghosts"] == 1
    assert problems(said) == []


def test_names_are_never_cut_off_and_words_are() -> None:
    many = [wanted(f"g{n:05d}") for n in range(limits.MAX_PROBLEM_GATEWAYS + 5)]
    said = status(facts(*many, states={g.name: "" for g in many}))
    assert [len(p["gateways"]) for p in said["problems"]] == [limits.MAX_PROBLEM_GATEWAYS, 5]
    assert {n for p in said["problems"] for n in p["gateways"]} == {g.name for g in many}
    long = Finding("DiskFull", "", "x" * 5000, "")
    said = status(facts(wanted("a"), states={"a": ""}, storage=long))
    assert len(valid(said)["problems"][0]["message"]) == limits.MAX_MESSAGE


def test_more_words_than_fit_are_put_together_and_every_name_stays() -> None:
    many = [wanted(f"g{n:05d}") for n in range(2 * limits.MAX_PROBLEMS)]
    one = facts(*many)
    for n, gateway in enumerate(many):
        one.view.registrations[gateway.name] = Registration().event(
            "FAILED", up=False, status=403, phrase=f"No, {n}", now=0.0
        )
    said = valid(status(one))
    assert len(said["problems"]) <= limits.MAX_PROBLEMS
    assert {n for p in said["problems"] for n in p["gateways"]} == {g.name for g in many}
    assert {p["reason"] for p in said["problems"]} == {"CredentialsRefused"}


def test_more_bytes_than_etcd_takes_are_put_together_and_every_name_stays() -> None:
    names = [f"g{n:05d}-".ljust(128, "x") for n in range(10_000)]
    failures = {
        n: Finding("NotLoaded", "", "\N{TELEPHONE SIGN}<" * 500 + str(i % 400), "") for i, n in enumerate(names)
    }
    said = valid(status(facts(*map(wanted, names), failures=failures)))
    assert len(json.dumps(said)) < 1_500_000
    assert [n for p in said["problems"] for n in p["gateways"]] == names
    assert said["switch"]["reachable"] is True


def test_where_the_names_alone_are_more_than_etcd_takes_nothing_is_said_to_be_well() -> None:
    names = [f"g{n:05d}-".ljust(255, "x") for n in range(10_000)]
    failures = {n: Finding("NotLoaded", "", "It did not load.", "") for n in names[:9000]}
    said = valid(status(facts(*map(wanted, names), failures=failures)))
    assert (said["problems"], said["switch"]["reachable"]) == ([], False)
    assert said["switch"]["reason"] == "ReportTooLarge"
    assert "9000 gateways" in said["switch"]["message"]
    assert said["counts"]["loaded"] == 10_000
    assert parse_switch({"metadata": {"name": "fs-0"}, "status": said}).reachable is False


@pytest.mark.parametrize("code", ["bad word", "", "lower", "X" * 65, "Ünicode"])
def test_a_code_that_is_no_word_is_none_that_the_api_server_would_refuse(code: str) -> None:
    said = status(facts(wanted("a"), failures={"a": Finding(code, "", "m", "")}))
    assert problems(said) == [("Programmed", "ProblemOnSwitch", 0, ["a"])]


def test_every_word_that_an_agent_says_of_a_gateway_has_its_row_in_the_table() -> None:
    step = Step(Kind.REPLACE, "a", "external", True, "r", True, True, "changed")
    said = [executor.profile_not_running(step), executor.switch_config_broken(executor.Reload("unexpected tag", 3))]
    said += [executor._not_loaded(step), executor._other_revision(step), executor._still_there(step)]
    said += [refusal.new_version_refused("a", said[0]), refusal.file_breaks_switch("a", "unexpected tag", kept=True)]
    words = {finding.code for finding in said} | set(ProblemKind) | set(ADVICE) | {"DiskFull", "FileAccess"}
    words |= {"FolderIsLink", Verdict.PENDING, CONFIG_MAP_REFUSED, LOADING}
    assert {reason.word for reason in FROM_AGENTS} == words


NAMES = st.from_regex(r"[A-Za-z0-9_.\-]{1,12}", fullmatch=True)


@given(st.lists(NAMES, max_size=8, unique=True), st.data())
def test_the_same_facts_in_another_order_give_the_same_status(names: list[str], data: st.DataObject) -> None:
    words = st.sampled_from(["", "x", "the switch did not load {} at all", "{}", "a{}b"])
    failing = {n: Finding("NotLoaded", "", data.draw(words).format(n), "") for n in names if data.draw(st.booleans())}
    other = data.draw(st.permutations(names))
    one = status(facts(*map(wanted, names), failures=failing))
    two = status(facts(*map(wanted, other), failures={n: failing[n] for n in other if n in failing}))
    assert json.dumps(valid(one)) == json.dumps(two)
    assert {n for p in one["problems"] for n in p["gateways"]} == failing.keys()
    assert all(re.fullmatch(r"[A-Z]\w*", p["reason"]) for p in one["problems"])


def test_what_is_wrong_with_the_way_to_a_switch_that_is_reached_is_told_and_takes_nothing_away() -> None:
    one = facts(wanted("a"), warning=WARNING)
    said = valid(status(one))
    assert said["switch"]["reachable"] is True
    assert said["switch"]["reason"] == "DefaultPassword"
    assert "Change it." in said["switch"]["message"]
    assert said["problems"] == []
    assert valid(status(replace(one, unreachable=UNREACHABLE)))["switch"]["reason"] == "SwitchUnreachable"
