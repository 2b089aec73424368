"""The keeper on a switch: what it does to gateways, and what it leaves alone (docs/switch-facts.md)."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from sipgateway.agent.files import ConfFolder
from sipgateway.errors import Finding, StorageError
from sipgateway.reconcile.registration import Verdict
from sipgateway.render.xml import render
from tests.agent.bench import Bench, asynchronous, bench

#: Everything that a keeper may ever say to a switch.
FIXED = re.compile(
    r"api (sofia status|sofia xmlstatus gateway \S+|sofia_gateway_data \S+ ovar sipgw_revision"
    r"|sofia profile \S+ (rescan|killgw \S+|register \S+)|reloadxml|global_getvar core_uuid)"
    r"|event plain CUSTOM( sofia::[a-z_]+)+"
)


def assert_fixed_list(one: Bench) -> None:
    strange = [text for text in one.tap.sent if not FIXED.fullmatch(text)]
    assert strange == []
    assert one.tap.sent


class _Full(ConfFolder):
    """A folder on a disk without room; test_files.py has real ones."""

    def write_all(self, files: Mapping[str, bytes]) -> None:
        assert files
        raise StorageError(Finding("DiskFull", "", "No space left on device.", "Make room."))


@asynchronous
async def test_a_gateway_is_added_proved_and_written(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        await one.start()
        gateway = one.gateway("a")
        await one.settle(gateway)
        assert await one.proves(gateway)
        assert one.path(gateway).stat().st_mode & 0o777 == 0o640
        assert [r.kind for r in one.told("proved", "a")] == ["add"]
        assert one.wire("killgw") == []
        assert len(one.wire("sofia profile external rescan")) == 1
        assert_fixed_list(one)


@asynchronous
async def test_a_gateway_that_does_not_register_is_replaced_at_once_and_never_told_to_register(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        await one.start()
        await one.settle(one.gateway("a"), one.gateway("b"))
        since = len(one.tap.sent)
        await one.settle(changed := one.gateway("a", "2"), one.gateway("b"))
        assert await one.proves(changed)
        assert one.wire("killgw", since) == [f"api sofia profile external killgw {changed.name}"]
        assert len(one.wire("sofia profile external rescan", since)) == 1
        assert one.wire("sofia profile external register") == []
        assert_fixed_list(one)


@asynchronous
async def test_a_registering_gateway_is_replaced_and_its_binding_made_sure_of(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        await one.start()
        await one.settle(one.gateway("a", registers=True))
        await one.until_rows("a", [("external", "REGED")])
        since = len(one.tap.sent)
        changed = one.gateway("a", "2", registers=True)
        await one.settle(changed)
        assert await one.proves(changed)
        assert len(one.wire("killgw", since)) == 1
        assert len(one.wire("sofia profile external register", since)) == 1
        assert one.told("settled", "a")
        await one.until_rows("a", [("external", "REGED")])
        if one.simulator is not None:
            (registrar,) = [r for a, r in one.simulator.switch.network.registrars.items() if a == one.registrar]
            assert len(registrar.bindings(one.simulator.switch.now())) == 1
        assert_fixed_list(one)


@asynchronous
async def test_a_removed_gateway_goes_from_the_folder_the_tree_and_the_switch(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        await one.start()
        kept, gone = one.gateway("kept"), one.gateway("gone", registers=True)
        await one.settle(kept, gone)
        path, since = one.path(gone), len(one.tap.sent)
        await one.settle(kept)
        assert not path.exists()
        assert await one.loaded("gone") is None
        assert one.wire("reloadxml", since) != []
        assert one.wire("rescan", since) == []
        await one.until_rows("gone", [])
        await one.api("sofia profile external rescan")
        assert await one.rows("gone") == []
        assert await one.proves(kept)
        assert_fixed_list(one)


@pytest.mark.parametrize("registers", [False, True])
@asynchronous
async def test_a_gateway_that_moves_leaves_one_copy_behind(tmp_path: Path, registers: bool) -> None:
    async with bench(tmp_path) as one:
        await one.start()
        await one.settle(one.gateway("a", registers=registers))
        there = one.gateway("a", registers=registers, directory=True)
        await one.settle(there)
        state = "REGED" if registers else "NOREG"
        await one.until_rows("a", [("internal", state)])
        assert one.path(there).exists()
        assert len(list(one.conf.rglob(f"*{one.mark}*"))) == 1
        await one.settle(back := one.gateway("a", registers=registers))
        await one.until_rows("a", [("external", state)])
        assert await one.proves(back)
        for profile in ("internal", "external", "internal", "external"):  # a key left behind would make a ghost each
            await one.api(f"sofia profile {profile} rescan")
        assert await one.rows("a") == [("external", state)]
        assert one.keeper.problems == {}
        assert_fixed_list(one)


@asynchronous
async def test_a_move_beside_a_new_gateway_of_the_other_profile_makes_no_ghost(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        await one.start()
        await one.settle(one.gateway("a", registers=True))
        await one.settle(one.gateway("a", registers=True, directory=True), one.gateway("b", directory=True))
        await one.until_rows("a", [("internal", "REGED")])
        await one.until_rows("b", [("internal", "NOREG")])
        assert one.keeper.problems == {}


@asynchronous
async def test_a_gateway_may_cease_to_register_and_begin_again(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        await one.start()
        await one.settle(one.gateway("a", registers=True))
        await one.until_rows("a", [("external", "REGED")])
        since = len(one.tap.sent)
        await one.settle(one.gateway("a"))
        await one.until_rows("a", [("external", "NOREG")])
        assert one.wire("register", since) == []
        await one.settle(one.gateway("a", "2"))
        assert one.wire("register", since) == []
        await one.settle(one.gateway("a", registers=True))
        await one.until_rows("a", [("external", "REGED")])
        assert one.wire("register", since) == []
        assert_fixed_list(one)


@pytest.mark.parametrize("registers", [False, True])
@asynchronous
async def test_several_edits_within_a_second_end_with_the_newest(tmp_path: Path, registers: bool) -> None:
    async with bench(tmp_path) as one:
        await one.start()
        await one.settle(one.gateway("a", registers=registers))
        newest = one.gateway("a")
        for version in range(2, 8):
            newest = one.gateway("a", str(version), registers=registers)
            one.want(newest)
            await asyncio.sleep(0.03)
        await one.converged()
        assert await one.proves(newest)
        await one.until_rows("a", [("external", "REGED" if registers else "NOREG")])
        assert one.told("failed") == []
        assert one.keeper.problems == {}
        assert_fixed_list(one)


@asynchronous
async def test_a_gateway_that_somebody_kills_is_repaired_and_reported(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        await one.start()
        gateway = one.gateway("a")
        await one.settle(gateway)
        await one.api(f"sofia profile external killgw {gateway.name}")
        await one.until(lambda: len(one.told("proved", "a")) == 2)
        assert one.told("proved", "a")[-1].kind == "repair"
        assert await one.proves(gateway)
        assert one.wire("killgw") == []


@asynchronous
async def test_a_gateway_that_somebody_loads_in_another_version_is_put_right(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        await one.start()
        gateway = one.gateway("a")
        await one.settle(gateway)
        text = one.path(gateway).read_bytes()
        one.path(gateway).write_bytes(render(gateway, f"1-{one.key.key_id}-{'0' * 32}"))
        await one.api(f"sofia profile external killgw {gateway.name}")
        await one.api("sofia profile external rescan")
        one.keeper._resync.at = 0.0
        await one.until(lambda: len(one.told("proved", "a")) >= 2 and one.keeper.converged)
        assert await one.proves(gateway)
        assert one.path(gateway).read_bytes() == text


FOREIGN = """<include>
<gateway name="{name}">
<param name="register" value="false"/>
<param name="proxy" value="192.0.2.1"/>
</gateway>
</include>
"""


async def foreign(one: Bench, label: str, profile: str = "external", *, rescan: bool = True) -> Path:
    """Somebody else's gateway in a file of its own, loaded."""
    path = one.conf / "sip_profiles" / profile / f"z-{one.mark}-{label}.xml"
    path.write_text(FOREIGN.format(name=one.name(label)))
    if rescan:
        assert (await one.api(f"sofia profile {profile} rescan")).startswith("Reload XML [Success]")
    return path


@asynchronous
async def test_somebody_elses_gateway_of_our_name_is_left_alone_until_it_goes(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        theirs = await foreign(one, "a")
        await one.start()
        ours, other = one.gateway("a"), one.gateway("b")
        await one.settle(ours, other)
        assert [p.kind for p in one.keeper.problems.values()] == ["NameTakenOnSwitch"]
        assert [r.reason for r in one.told("problem", "a")] == ["NameTakenOnSwitch"]
        assert await one.loaded("a") is None
        assert await one.proves(other)
        assert not one.path(ours).exists()
        assert one.wire("killgw") == []
        theirs.unlink()
        await one.api(f"sofia profile external killgw {ours.name}")
        await one.until(lambda: bool(one.told("proved", "a")))
        assert await one.proves(ours)


@asynchronous
async def test_adopting_takes_somebody_elses_gateway_over(tmp_path: Path) -> None:
    async with bench(tmp_path, adopt=True) as one:
        theirs = await foreign(one, "a")
        await foreign(one, "c")
        await one.start()
        theirs.unlink()
        await one.settle(ours := one.gateway("a"))
        assert await one.proves(ours)
        assert await one.rows("c") == [("external", "NOREG")]
        assert one.wire("killgw") == [f"api sofia profile external killgw {ours.name}"]


@asynchronous
async def test_a_definition_that_comes_back_is_not_killed_a_second_time(tmp_path: Path) -> None:
    async with bench(tmp_path, adopt=True) as one:
        theirs = await foreign(one, "a")
        theirs.rename(theirs.with_name("000-" + theirs.name))  # it stands before ours, so the switch takes it
        await one.start()
        ours = one.gateway("a")
        one.want(ours)
        await one.until(lambda: any(r.reason == "NameTakenOnSwitch" for r in one.told("problem", "a")))
        one.keeper.hint()
        await one.keeper.idle()
        assert "not killed a second time" in one.told("problem", "a")[-1].text
        assert one.wire("killgw") == [f"api sofia profile external killgw {ours.name}"]


@asynchronous
async def test_a_replacement_that_another_definition_defeats_is_not_tried_for_ever(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        await one.start()
        before = one.gateway("a")
        await one.settle(before)
        copy = one.path(before).with_name(f"000-{one.mark}.xml")
        copy.write_bytes(one.path(before).read_bytes())
        one.want(one.gateway("a", version="2"))
        await one.until(lambda: any(r.reason == "OtherVersionLoaded" for r in one.told("failed", "a")))
        copy.unlink()
        sent = len(one.wire("killgw"))
        await asyncio.sleep(2.5)  # longer than the first retries would wait
        assert len(one.wire("killgw")) == sent == 1
        await one.settle(last := one.gateway("a", version="3"))
        assert await one.proves(last)


@asynchronous
async def test_a_ghost_is_reported_and_left_alone(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        one.only_simulated()  # only a profile restart clears a ghost from a real switch (fact 11)
        await one.start()
        ours = one.gateway("a")
        await one.settle(ours)
        await foreign(one, "a", "internal")
        one.keeper.view.stale = True
        one.keeper.hint()
        await one.until(lambda: bool(one.told("problem", "a")))
        assert one.told("problem", "a")[0].reason == "Ghost"
        assert await one.proves(ours)
        assert one.wire("killgw") == []


@asynchronous
async def test_gateways_of_others_do_no_harm_whatever_their_names(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        one.only_simulated()
        path = one.conf / "sip_profiles" / "external" / "z.xml"
        path.write_text("".join(FOREIGN.format(name=name) for name in ("all", "_ALL_", "x" * 256)))
        await one.api("sofia profile external rescan")
        await one.start()
        await one.settle(ours := one.gateway("a"))
        assert await one.proves(ours)
        assert_fixed_list(one)


class Turns:
    """It is always our turn."""

    ours = True

    def __init__(self) -> None:
        self.asked: list[bool] = []

    def need(self, *, to_begin: bool, begun: bool) -> None:
        del begun
        if [to_begin] != self.asked[-1:]:
            self.asked.append(to_begin)


@asynchronous
async def test_while_the_tree_is_broken_nothing_of_ours_is_touched_and_it_heals_by_itself(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        one.only_simulated()  # on a shared switch it would hold up everybody (fact 3)
        await one.start()
        plain, registering, gone = one.gateway("a"), one.gateway("b", registers=True), one.gateway("c")
        await one.settle(plain, registering, gone)
        await one.until_rows("b", [("external", "REGED")])
        one.keeper.gate.turn = turns = Turns()
        broken = one.conf / "sip_profiles" / "external" / "a-broken.xml"
        broken.write_text("<include>\n<gateway name='x'>\n</include>\n")
        since = len(one.tap.sent)
        new = [one.gateway("a"), one.gateway("b", "2", registers=True), one.gateway("d")]
        one.want(*new)
        await one.until(lambda: {one.name(n) for n in "bcd"} <= one.keeper.failures.keys())
        assert {f.code for f in one.keeper.failures.values()} == {"SwitchConfigBroken"}
        assert "[error near line" in one.told("failed", "b")[0].text
        late = one.gateway("e")
        one.want(*new, late)
        await one.until(lambda: one.name("e") in one.keeper.failures)
        await asyncio.sleep(1.5)
        assert one.wire("killgw", since) == []
        assert not one.keeper.converged
        assert turns.asked == [True, False]  # the other pods are not kept waiting for what cannot be begun
        assert [await one.proves(g) for g in (plain, registering, gone)] == [True, True, True]
        broken.unlink()
        await one.converged()
        assert [await one.proves(g) for g in (*new, late)] == [True] * 4
        assert await one.loaded("c") is None
        assert len(one.wire("killgw", since)) == 2


@asynchronous
async def test_after_a_lost_connection_everything_is_proved_anew_and_nothing_replaced(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        await one.start()
        gateways = [one.gateway("a"), one.gateway("b", registers=True)]
        await one.settle(*gateways)
        await one.until_rows("b", [("external", "REGED")])
        since, before = len(one.tap.sent), one.connections
        one.tap.cut()
        await one.until(lambda: one.connections > before and one.keeper.converged)
        assert one.wire("killgw", since) == []
        assert one.wire("rescan", since) == []
        assert len(one.wire("sofia_gateway_data", since)) >= 2


@asynchronous
async def test_after_the_switchs_restart_everything_is_proved_anew_and_nothing_replaced(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        simulator = one.only_simulated()
        await one.start()
        gateways = [one.gateway("a"), one.gateway("b", registers=True)]
        await one.settle(*gateways)
        since, before = len(one.tap.sent), one.connections
        assert (await simulator.control.answer({"do": "restart"}))["ok"]
        await one.until(lambda: one.connections > before and one.keeper.converged)
        await one.reconnect_probe()
        assert [await one.proves(g) for g in gateways] == [True, True]
        assert one.wire("killgw", since) == []
        assert one.wire("rescan", since) == []


@asynchronous
async def test_a_change_made_while_the_switch_was_away_is_loaded_by_its_start_and_only_proved(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        simulator = one.only_simulated()
        await one.start()
        await one.settle(one.gateway("a"))
        await simulator.control.answer({"do": "drop", "refuse": True})
        await one.until(lambda: not one.keeper.connected)
        changed = one.gateway("a", "2")
        one.want(changed)
        await one.keeper.write_files()
        since = len(one.tap.sent)
        await simulator.control.answer({"do": "restart"})
        await simulator.control.answer({"do": "drop", "refuse": False})
        await one.until(lambda: one.keeper.converged)
        await one.reconnect_probe()
        assert await one.proves(changed)
        assert one.wire("killgw", since) == []


@asynchronous
async def test_a_file_that_is_damaged_while_the_switch_is_away_is_right_before_it_comes_back(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        await one.start()
        a, b = one.gateway("a"), one.gateway("b")
        await one.settle(a, b)
        right = one.files()
        await one.only_simulated().control.answer({"do": "drop", "refuse": True})
        await one.until(lambda: not one.keeper.connected)
        await one.keeper.write_files()
        one.path(a).write_bytes(b'<include>\n<gateway name="')
        one.path(b).unlink()
        async with asyncio.timeout(5):
            while one.files() != right:
                await one.keeper.write_files()  # as the link calls it between its tries


@asynchronous
async def test_a_profile_that_is_not_there_holds_up_nobody_else(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        await one.start()
        lost, fine = one.gateway("a", profile="nosuch"), one.gateway("b")
        one.want(lost, fine)
        await one.until(lambda: bool(one.told("proved", "b")) and one.name("a") in one.keeper.failures)
        assert one.keeper.failures[one.name("a")].code == "ProfileNotRunning"
        assert await one.proves(fine)
        assert not one.keeper.converged


@asynchronous
async def test_a_profile_restart_is_waited_out_and_nothing_replaced(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        one.only_simulated()
        await one.start()
        gateways = [one.gateway("a"), one.gateway("b", registers=True)]
        await one.settle(*gateways)
        await asyncio.sleep(10 / 5)  # a restart within ten seconds of a start is refused (fact 30); speed is 5
        assert "restarting" in await one.api("sofia profile external restart")
        since = len(one.tap.sent)
        await asyncio.sleep(0)
        one.want(*gateways, more := one.gateway("c"))
        await one.until(lambda: one.keeper.converged and not one.keeper.failures)
        await one.until_rows("b", [("external", "REGED")])
        assert [await one.proves(g) for g in (*gateways, more)] == [True] * 3
        assert one.wire("killgw", since) == []
        failed = {r.gateway for r in one.told("failed")}
        assert {r.gateway for r in one.told("proved") if r.kind == "healed"} <= failed
        last = {r.gateway: r.event for r in one.reports if r.event in {"proved", "failed"}}
        assert set(last.values()) == {"proved"}
        assert one.keeper.problems == {}


@asynchronous
async def test_a_wrong_password_is_reported_once_and_a_right_one_mends_it(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        await one.start()
        wrong = one.gateway("a", registers=True, user=f"bad{one.mark}", password="wrong")
        await one.settle(wrong)
        await one.until(lambda: any(r.reason == Verdict.CREDENTIALS_REFUSED for r in one.told("registration", "a")))
        await asyncio.sleep(0.5)
        assert [r.reason for r in one.told("registration", "a")] == [Verdict.CREDENTIALS_REFUSED]
        since = asyncio.get_running_loop().time()
        await one.settle(one.gateway("a", registers=True))
        await one.until(lambda: one.told("registration", "a")[-1].reason == Verdict.REGISTERED)
        assert asyncio.get_running_loop().time() - since < 5


@asynchronous
async def test_a_challenge_from_an_unknown_address_has_its_own_verdict_fact_35(tmp_path: Path) -> None:
    async with bench(tmp_path, registrars=("192.0.2.9:5060=accept,challenge_from=192.0.2.77",)) as one:
        one.only_simulated()
        await one.start()
        await one.settle(one.gateway("a", registers=True, proxy="192.0.2.9"))
        await one.until(lambda: bool(one.told("registration", "a")))
        (report,) = one.told("registration", "a")
        assert report.reason == Verdict.CHALLENGE_IGNORED
        assert "gwAuthAcl" in report.text


@asynchronous
async def test_an_incomplete_source_removes_nothing(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        await one.start()
        kept, gone = one.gateway("kept"), one.gateway("gone")
        await one.settle(kept, gone)
        one.want(kept, complete=False)
        await one.converged()
        assert await one.proves(gone)
        assert one.path(gone).exists()
        one.want(kept, held=[gone.name])
        await one.converged()
        assert await one.proves(gone)
        assert one.path(gone).exists()
        assert one.wire("killgw") == []


@asynchronous
async def test_a_gateway_that_moves_in_an_incomplete_source_leaves_no_file_behind(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        await one.start()
        await one.settle(here := one.gateway("a"))
        one.want(there := one.gateway("a", directory=True), complete=False)
        await one.converged()
        assert not one.path(here).exists()
        assert await one.proves(there)
        await one.until_rows("a", [("internal", "NOREG")])


@asynchronous
async def test_a_full_disk_touches_no_gateway_and_heals_by_itself(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        await one.start()
        before = one.gateway("a")
        await one.settle(before)
        path = one.path(before)
        folder = path.parent.stat().st_mode
        since = len(one.tap.sent)
        one.keeper.store.folder = _Full(one.folder.root, one.folder.layout)
        one.want(after := one.gateway("a", "2"))
        await one.until(lambda: one.keeper.storage is not None)
        await asyncio.sleep(0.3)
        assert one.told("failed", None)[0].reason == "DiskFull"
        assert await one.proves(before)
        assert one.wire("killgw", since) == []
        assert not one.keeper.converged
        one.keeper.store.folder = one.folder
        await one.converged()
        assert await one.proves(after)
        assert path.parent.stat().st_mode == folder


@asynchronous
async def test_a_folder_that_cannot_be_written_holds_up_no_other(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        one.only_simulated()
        await one.start()
        (one.conf / "sip_profiles/internal").rmdir()
        (one.conf / "sip_profiles/internal").symlink_to(tmp_path)
        blocked, fine = one.gateway("a", profile="internal"), one.gateway("b")
        one.want(blocked, fine)
        await one.until(lambda: bool(one.told("proved", "b")) and one.keeper.storage is not None)
        assert one.keeper.storage is not None
        assert one.keeper.storage.code == "FolderIsLink"
        assert await one.loaded("a") is None
        assert [name for name in os.listdir(tmp_path) if name.startswith("sipgw-")] == []  # noqa: PTH208
        (one.conf / "sip_profiles/internal").unlink()
        await one.converged()
        assert await one.proves(blocked)


@asynchronous
async def test_a_gateway_that_fails_is_tried_again_alone(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        one.only_simulated()
        await one.start()
        good = one.gateway("good")
        bad = replace(one.gateway("bad", registers=True), parameters=())  # no user, no password: dropped (fact 13)
        one.want(good, bad)
        await one.until(lambda: one.name("bad") in one.keeper.failures and bool(one.told("proved", "good")))
        assert one.keeper.failures[one.name("bad")].code == "NotLoaded"
        since = len(one.tap.sent)
        await asyncio.sleep(3.5)  # retries after one and two seconds more
        assert 1 <= len(one.wire("rescan", since)) <= 2
        assert one.wire(f"sofia_gateway_data {one.name('good')}", since) == []
        one.want(good, mended := one.gateway("bad"))
        await one.converged()
        assert await one.proves(mended)
