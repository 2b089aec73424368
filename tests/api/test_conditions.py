"""The table of reasons: each word once, each row complete, and the page that is made from it."""

from __future__ import annotations

import re

from sipgateway.agent import executor
from sipgateway.api.conditions import BY_WORD, FROM_AGENTS, REASONS, ConditionType, Status, rank
from sipgateway.api.conditions_page import conditions_page
from sipgateway.reconcile.fleet import SILENT, STARTING
from sipgateway.reconcile.plan import ProblemKind
from sipgateway.reconcile.registration import ADVICE, Verdict

PAGE = conditions_page()


def test_every_word_stands_once_and_is_one_that_the_crd_takes() -> None:
    assert len(BY_WORD) == len(REASONS)
    for reason in REASONS:
        assert re.fullmatch(r"([A-Z][a-z]+)+", reason.word)


def test_every_row_says_what_is_the_case_how_to_see_it_and_what_to_do() -> None:
    for reason in REASONS:
        assert reason.types
        for text in (reason.meaning, reason.see, reason.action):
            assert text.endswith((".", "`")), (reason.word, text)
            assert "\n" not in text


def test_every_verdict_on_a_registration_has_its_reason() -> None:
    told = {reason.word for reason in FROM_AGENTS if ConditionType.REGISTERED in reason.types}
    assert told == set(Verdict) - {Verdict.NOT_WANTED, Verdict.REGISTERED}
    assert set(ADVICE) <= told
    assert {Verdict.NOT_WANTED, Verdict.REGISTERED} <= BY_WORD.keys()


def test_what_an_agent_finds_on_its_switch_has_its_reason() -> None:
    told = {reason.word for reason in FROM_AGENTS if ConditionType.PROGRAMMED in reason.types}
    assert set(ProblemKind) <= told
    assert executor.switch_config_broken(executor.Reload()).code in told


def test_what_agents_say_is_never_success_and_is_about_one_condition() -> None:
    for reason in FROM_AGENTS:
        assert reason.status is Status.FALSE
        assert len(set(reason.types) - {ConditionType.READY}) == 1


def test_what_stalls_is_worse_than_what_is_tried_again_so_that_ready_tells_it() -> None:
    stalled = max(rank(reason) for reason in FROM_AGENTS if reason.stalled)
    assert stalled < min(rank(reason) for reason in FROM_AGENTS if not reason.stalled)
    for reason in REASONS:
        assert not reason.stalled or reason.status is Status.FALSE


def test_what_is_on_the_way_is_told_last() -> None:
    last = [reason.word for reason in REASONS[-5:]]
    assert last == ["PodStarting", "ConfigMapPending", "Loading", "Pending", "NotProgrammed"]


def test_the_page_has_every_reason_once_and_every_link_leads_to_one() -> None:
    headings = re.findall(r"^### (\S+)$", PAGE, re.MULTILINE)
    assert headings == [reason.word for reason in REASONS]
    links = re.findall(r"\]\(#([^)]+)\)", PAGE)
    assert links == [word.lower() for word in headings]


def test_the_page_says_the_times_that_hold() -> None:
    assert f"{SILENT:.0f} seconds" in PAGE
    assert f"{STARTING:.0f} seconds" in PAGE
