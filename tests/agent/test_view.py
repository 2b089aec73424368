"""What is believed of the switch after its replies and events: marked copies, repairs, aliases, ticks."""

from __future__ import annotations

from sipgateway.agent.view import MARK_LIFE, SwitchView
from sipgateway.esl.replies import AliasRow, GatewayEvent, GatewayRow, ProfileRow, SofiaStatus
from sipgateway.reconcile.plan import plan
from sipgateway.reconcile.registration import Verdict
from sipgateway.reconcile.state import Wanted


def status(*rows: tuple[str, str, str], aliases: tuple[AliasRow, ...] = ()) -> SofiaStatus:
    """(profile, gateway, state) of each row, newest first."""
    profiles = tuple(ProfileRow(p, "RUNNING (0)") for p in ("external", "internal"))
    return SofiaStatus(profiles, tuple(GatewayRow(p, n, "sip:x", s, None) for p, n, s in rows), aliases)


def event(
    kind: str, name: str = "a", profile: str | None = "external", state: str | None = None, at: int = 0
) -> GatewayEvent:
    return GatewayEvent(kind, name, profile, state, "UP" if state else None, None, None, at)  # type: ignore[arg-type]


def seeing(*rows: tuple[str, str, str], revision: str | None = "r1") -> SwitchView:
    view = SwitchView()
    view.status(status(*rows), 0.0)
    for name in sorted(view.unread):
        view.read(name, revision)
    return view


NOREG = ("external", "a", "NOREG")


def test_names_that_were_not_there_before_are_to_be_read() -> None:
    view = SwitchView()
    view.status(status(NOREG), 0.0)
    assert view.unread == {"a"}
    view.read("a", "r1")
    view.status(status(NOREG, ("external", "b", "NOREG")), 1.0)
    assert view.unread == {"b"}
    assert not view.stale


def test_a_copy_that_we_marked_is_not_counted_until_it_is_gone_fact_24b() -> None:
    view = seeing(NOREG)
    for number in (2, 3):
        view.killed("a", 0.1)
        view.loaded_anew("a", "external", f"r{number}", registers=False, now=0.1)
    assert len(view.rows["a"]) == 3
    (loaded,) = view.loaded().values()
    assert (loaded.profiles, loaded.revision, loaded.ghost) == (("external",), "r3", False)
    view.event(event("delete"), 1.0)
    assert view.marked("a")
    view.event(event("delete"), 1.0)
    assert not view.marked("a")
    assert view.rows["a"] == [("external", "NOREG")]
    assert not view.stale


def test_what_is_said_of_a_name_while_a_marked_copy_is_there_does_not_count_fact_17a() -> None:
    view = seeing(("external", "a", "REGED"))
    view.killed("a", 0.1)
    view.loaded_anew("a", "external", "r2", registers=True, now=0.1)
    view.event(GatewayEvent("state", "a", None, "FAILED", "DOWN", 403, "Forbidden", 0), 0.5)
    assert "a" not in view.registrations
    view.event(event("delete"), 1.0)
    assert view.registrations["a"].verdict is Verdict.PENDING


def test_a_mark_that_no_event_ends_is_forgotten_and_shows_as_a_ghost() -> None:
    view = seeing(NOREG)
    view.killed("a", 0.0)
    view.loaded_anew("a", "external", "r2", registers=False, now=0.0)
    view.status(status(NOREG, NOREG), MARK_LIFE + 1)
    assert view.loaded()["a"].ghost


def test_somebody_elses_kill_makes_everything_be_read_again() -> None:
    view = seeing(NOREG)
    view.event(event("delete"), 1.0)
    assert view.stale
    assert view.loaded() == {}


def test_after_somebody_elses_replacement_the_revision_is_read_again() -> None:
    view = seeing(NOREG, NOREG)
    view.event(event("delete"), 1.0)
    view.status(status(NOREG), 1.0)
    assert view.unread == {"a"}


def test_a_listed_name_that_no_look_up_finds_is_marked_and_not_taken() -> None:
    view = seeing(NOREG, revision=None)
    assert view.loaded()["a"].revision is None
    view.unfindable("a", 0.0)
    assert view.loaded() == {}
    todo = plan({"a": Wanted("a", "external", "r1", False, "x")}, view.loaded(), ours=bool, removable=bool)
    assert [(s.kill, s.kind) for s in todo.now] == [(False, "add")]
    view.event(event("delete"), 1.0)
    assert not view.stale


def test_a_name_that_was_asked_for_in_vain_is_asked_for_again_when_it_is_there() -> None:
    view = seeing()
    view.unread.add("a")  # a step failed
    view.read("a", None)
    view.event(event("add"), 1.0)  # somebody else's rescan loads it
    assert view.stale
    view.status(status(NOREG), 1.0)
    assert view.unread == {"a"}


def test_a_profile_that_came_back_is_read_anew_fact_30() -> None:
    view = seeing(NOREG, ("internal", "b", "NOREG"))
    view.event(event("profile_start", ""), 1.0)
    assert view.stale
    view.status(status(NOREG, ("internal", "b", "NOREG")), 1.0)
    assert view.unread == {"a"}


def test_gateways_are_looked_for_under_the_name_that_lists_them() -> None:
    view = SwitchView()
    view.status(status(NOREG, aliases=(AliasRow("outside", "external"),)), 0.0)
    view.read("a", "r1")
    wanted = view.listed({"a": Wanted("a", "outside", "r1", False, "x")})
    todo = plan(wanted, view.loaded(), ours=bool, removable=bool)
    assert (todo.steps, todo.unchanged) == ((), 1)
    view.loaded_anew("b", "outside", "r1", registers=False, now=0.0)
    assert view.is_on("b", "external")


def test_a_tick_shows_in_a_deletion_and_in_reged_after_register() -> None:
    view = seeing(("external", "a", "UNREGED"))
    view.event(event("state", profile=None, state="REGISTER", at=10_300_000), 50.301)
    assert view.ticks == {}
    view.event(event("state", profile=None, state="REGED", at=11_000_000), 51.001)
    assert round(view.ticks["external"].last, 3) == 51.001
    view.event(event("delete", "other", at=12_000_000), 52.2)  # the news came late, the tick did not
    assert round(view.ticks["external"].last, 3) == 52.001


def test_an_ordinary_refresh_is_told_by_events_and_moves_the_row() -> None:
    view = seeing(("external", "a", "REGED"))
    for state in ("UNREGED", "TRYING", "REGISTER", "REGED"):
        view.event(event("state", profile=None, state=state), 1.0)
        assert view.registrations["a"].verdict is Verdict.REGISTERED
    assert view.rows["a"] == [("external", "REGED")]


def test_a_table_that_is_younger_than_the_event_of_a_deletion_is_read_again() -> None:
    view = seeing(NOREG)
    view.killed("a", 0.1)
    view.loaded_anew("a", "external", "r2", registers=False, now=0.1)
    view.status(status(NOREG), 1.0)  # the old copy is gone, the news of it is on its way
    view.event(event("delete"), 1.0)
    assert view.stale
    view.status(status(NOREG), 1.1)
    assert view.unread == {"a"}
    assert view.loaded()["a"].profiles == ("external",)


def test_a_removal_needs_no_second_look() -> None:
    view = seeing(NOREG)
    view.killed("a", 0.1)
    view.read("a", None)
    view.event(event("delete"), 1.0)
    assert not view.stale
    assert view.loaded() == {}
