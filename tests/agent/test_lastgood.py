"""A version that the switch does not take: the one before it comes back, is told of, and nothing flaps."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from sipgateway.agent import lastgood
from sipgateway.agent.files import ConfFolder
from sipgateway.agent.lastgood import LastGood
from sipgateway.agent.store import Desired, Store
from sipgateway.api.gateway import Gateway, Parameter, Target
from sipgateway.errors import Finding
from sipgateway.reconcile.plan import Kind, Step
from sipgateway.reconcile.state import Wanted
from sipgateway.render.layout import relative_path
from sipgateway.render.revision import revision
from sipgateway.render.xml import render
from tests.agent.bench import Bench, asynchronous, bench

REFUSED = "NewVersionRefused"
BROKEN = b"<include>\n</gateway>\n</include>\n"
NO_TLS = '<param name="sip-port" value="5080"/>'
TLS = f'{NO_TLS}<param name="tls" value="true"/>'


def bindings(one: Bench) -> int:
    simulator = one.only_simulated()
    return len(simulator.registrar(one.registrar).bindings(simulator.switch.now()))


def asides(one: Bench) -> list[str]:
    return sorted(path.name for path in (one.conf / ".sipgw").rglob(f"*{one.mark}*"))


def give_tls(one: Bench, given: bool = True) -> None:
    """The profile `external` has TLS or not; it shows at its next rescan or start."""
    root = one.conf / "freeswitch.xml"
    root.write_text(root.read_text().replace(TLS, NO_TLS).replace(NO_TLS, TLS if given else NO_TLS))


async def proved(one: Bench, gateway: Gateway) -> None:
    """Until this version is proved."""
    mark = revision(gateway, one.key)
    await one.until(lambda: any(r.revision == mark for r in one.reports if r.event == "proved"))


async def put_back(one: Bench, label: str = "a") -> None:
    """Until the last good version is proved again."""
    await one.until(lambda: any("put back" in r.text for r in one.told("proved", label)))


def held_back(one: Bench, label: str = "a") -> list[str]:
    return [r.reason for r in one.told("failed", label)]


async def quiet(one: Bench, seconds: float = 2.5) -> None:
    """For longer than the first retries would wait, nothing goes out that touches a gateway."""
    since = len(one.tap.sent)
    await asyncio.sleep(seconds)
    one.keeper.hint()
    await one.keeper.idle()
    assert [text for text in one.tap.sent[since:] if "profile" in text or "reloadxml" in text] == []


@pytest.mark.parametrize("registers", [False, True])
@asynchronous
async def test_a_new_version_that_the_switch_drops_is_replaced_by_the_last_good_one(
    tmp_path: Path, registers: bool
) -> None:
    async with bench(tmp_path) as one:
        await one.start()
        good = one.gateway("a", registers=registers)
        await one.settle(good, other := one.gateway("b", registers=registers))
        if registers:
            await one.until_rows("a", [("external", "REGED")])
        file, since = one.path(good).read_bytes(), len(one.tap.sent)
        one.want(one.gateway("a", "2", registers=registers, transport="tls"), other)
        await put_back(one)
        await one.converged()
        assert await one.proves(good)
        assert one.path(good).read_bytes() == file
        assert held_back(one) == [REFUSED]
        assert "TLS" in one.told("failed", "a")[0].text
        assert one.keeper.failures.keys() == {good.name}
        assert one.wire("killgw", since) == [f"api sofia profile external killgw {good.name}"]
        assert await one.proves(other)
        if registers:
            await one.until_rows("a", [("external", "REGED")])
            assert one.told("settled", "a")
            if one.simulator is not None:
                assert bindings(one) == 2
        await quiet(one)
        assert asides(one) == []
        await one.settle(mended := one.gateway("a", "3", registers=registers), other)
        assert await one.proves(mended)
        assert one.keeper.failures == {}


@asynchronous
async def test_the_binding_survives_a_refused_version_even_where_unregister_and_register_race(tmp_path: Path) -> None:
    async with bench(tmp_path, registrars=("127.0.0.1:15070=accept,race=1.0",)) as one:
        one.only_simulated()
        await one.start()
        await one.settle(one.gateway("a", registers=True))
        await one.until_rows("a", [("external", "REGED")])
        one.want(one.gateway("a", "2", registers=True, transport="tls"))
        await put_back(one)
        await one.converged()
        await one.until_rows("a", [("external", "REGED")])
        assert bindings(one) == 1


@asynchronous
async def test_taking_a_refused_change_back_touches_nothing_and_is_told(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        await one.start()
        await one.settle(good := one.gateway("a"))
        one.want(one.gateway("a", "2", transport="tls"))
        await put_back(one)
        since = len(one.tap.sent)
        await one.settle(good)
        assert one.keeper.failures == {}
        assert one.told("proved", "a")[-1].kind == "healed"
        assert one.wire("killgw", since) == []
        assert one.wire("rescan", since) == []


@pytest.mark.parametrize("registers", [False, True])
@asynchronous
async def test_a_move_that_the_switch_does_not_take_ends_where_it_began(tmp_path: Path, registers: bool) -> None:
    async with bench(tmp_path) as one:
        await one.start()
        good = one.gateway("a", registers=registers, directory=True)
        await one.settle(good)
        one.want(one.gateway("a", registers=registers, transport="tls"))  # `internal` has TLS, `external` has not
        await put_back(one)
        await one.converged()
        await one.until_rows("a", [("internal", "REGED" if registers else "NOREG")])
        assert await one.proves(good)
        assert list(one.files()) == [relative_path(good, one.folder.layout)]
        for profile in ("internal", "external", "internal", "external"):
            await one.api(f"sofia profile {profile} rescan")
        assert len(await one.rows("a")) == 1


@asynchronous
async def test_a_refused_version_is_not_tried_again_by_the_next_process(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        await one.start()
        await one.settle(good := one.gateway("a"))
        one.want(one.gateway("a", "2", transport="tls"))
        await put_back(one)
        await one.converged()
        since = len(one.tap.sent)
        one.reports.clear()
        await one.restart()
        await one.converged()
        assert await one.proves(good)
        assert held_back(one) == [REFUSED]
        assert one.wire("killgw", since) == []
        assert one.files() == {relative_path(good, one.folder.layout): render(good, revision(good, one.key))}
        await one.settle(mended := one.gateway("a", "3"))
        assert await one.proves(mended)
        one.reports.clear()
        await one.restart()
        await one.converged()
        assert held_back(one) == []


@pytest.mark.parametrize("offline", [False, True])
@asynchronous
async def test_a_process_that_is_killed_before_the_proof_leaves_the_last_good_version_to_be_found(
    tmp_path: Path, offline: bool
) -> None:
    async with bench(tmp_path) as one:
        simulator = one.only_simulated()
        await one.start()
        await one.settle(good := one.gateway("a"))
        await one.stop()
        one.want(one.gateway("a", "2", transport="tls"))
        await one.keeper.write_files()  # and here it is killed
        assert asides(one) == [one.path(good).name]
        assert {path.stat().st_mode & 0o777 for path in (one.conf / ".sipgw").rglob("*.xml")} == {0o640}
        if offline:  # the switch boots with a file that it drops
            assert (await simulator.control.answer({"do": "restart"}))["ok"]
            await one.reconnect_probe()
            assert await one.loaded("a") is None
        await one.restart()
        await put_back(one)
        await one.converged()
        assert await one.proves(good)
        assert asides(one) == []


@asynchronous
async def test_a_process_that_is_killed_in_a_move_leaves_the_way_back_to_be_found(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        await one.start()
        await one.settle(good := one.gateway("a", profile="internal"))
        one.want(one.gateway("a", transport="tls"))
        await one.until(lambda: asides(one) == [one.path(good).name])  # the old copy is about to go
        await one.stop()
        one.reports.clear()
        await one.restart()
        await one.until(lambda: set(held_back(one)) == {"NewVersionRefused"})  # by the second process, or by both
        await one.converged()
        await one.until_rows("a", [("internal", "NOREG")])
        assert await one.proves(good)


def test_a_version_that_is_not_wanted_any_more_when_its_refusal_is_known_is_not_held_against_the_next(
    tmp_path: Path,
) -> None:
    (tmp_path / "conf").mkdir()
    store = Store(ConfFolder(tmp_path / "conf"))
    one, two, three = (_desired(version) for version in "123")
    store.sync(one)
    store.sync(two)
    step = Step(Kind.REPLACE, "a", "external", True, two.revision_of("a"), False, False, "")
    why = Finding("NotLoaded", "", "It did not load.", "Look.")
    known = LastGood(store, lambda _: True)
    assert known.not_taken(step, why, three, 0.0) == why
    assert known.instead(three) is three
    assert known.not_taken(step, why, two, 0.0).code == REFUSED
    assert known.instead(two).files == one.files
    known.review(two, three)
    assert known.instead(three) is three


def test_a_file_that_somebody_took_away_is_no_refusal(tmp_path: Path) -> None:
    (tmp_path / "conf").mkdir()
    store = Store(ConfFolder(tmp_path / "conf"))
    one, two = _desired("1"), _desired("2")
    store.sync(one)
    store.sync(two)
    (path,) = two.files
    (tmp_path / "conf" / path).unlink()
    step = Step(Kind.REPLACE, "a", "external", True, two.revision_of("a"), False, False, "")
    why = Finding("NotLoaded", "", "It did not load.", "Look.")
    known = LastGood(store, lambda _: True)
    assert known.not_taken(step, why, two, 0.0) == why
    assert known.refusals == {}
    store.sync(two)  # and it is seen to be missing
    assert store.folder.read_all() == two.files


def _desired(version: str) -> Desired:
    gateway = Gateway("a", Target("external"), (Parameter("proxy", version), Parameter("register", "false")))
    mark, path = f"1-00000000-{version * 32}", relative_path(gateway)
    return Desired({"a": Wanted("a", "external", mark, False, path)}, {path: render(gateway, mark)}, complete=True)


@asynchronous
async def test_several_versions_that_follow_each_other_fall_back_to_the_one_that_loaded(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        await one.start()
        await one.settle(good := one.gateway("a"))
        for version in ("2", "3", "4"):
            one.want(one.gateway("a", version, transport="tls"))
            await one.until(lambda: one.keeper.failures.get(good.name) is not None)
            await one.keeper.idle()
            assert await one.proves(good)


@asynchronous
async def test_a_version_that_is_proved_when_the_next_is_wanted_already_is_the_one_to_fall_back_to(
    tmp_path: Path,
) -> None:
    async with bench(tmp_path) as one:
        simulator = one.only_simulated()
        await one.start()
        await one.settle(one.gateway("a"))
        await simulator.control.answer({"do": "freeze", "on": True})
        good, since = one.gateway("a", "2"), len(one.tap.sent)
        one.want(good)
        await one.until(lambda: bool(one.wire("killgw", since)))
        one.want(one.gateway("a", "3", transport="tls"))
        await simulator.control.answer({"do": "freeze", "on": False})
        await put_back(one)
        await one.converged()
        assert await one.proves(good)
        assert one.path(good).read_bytes() == render(good, revision(good, one.key))


@asynchronous
async def test_a_first_version_that_the_switch_drops_has_nothing_to_fall_back_to(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        await one.start()
        one.want(one.gateway("a", transport="tls"))
        await one.until(lambda: bool(one.told("failed", "a")))
        one.want(one.gateway("a", "2", transport="tls"))
        await one.until(lambda: one.keeper.failures.keys() == {one.name("a")})
        assert set(held_back(one)) == {"NotLoaded"}
        assert not one.keeper.converged
        await one.settle(mended := one.gateway("a", "3"))
        assert await one.proves(mended)


@asynchronous
async def test_when_the_profile_starts_anew_a_refused_version_gets_another_try(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        one.only_simulated()
        await one.start()
        await one.settle(one.gateway("a"))
        wanted = one.gateway("a", "2", transport="tls")
        one.want(wanted)
        await put_back(one)
        await one.converged()
        give_tls(one)
        await asyncio.sleep(10 / 5)  # a restart within ten seconds of a start is refused (fact 30); speed is 5
        assert "restarting" in await one.api("sofia profile external restart")
        await proved(one, wanted)
        await one.converged()
        assert await one.proves(wanted)


@asynchronous
async def test_when_the_switch_starts_anew_a_refused_version_gets_another_try(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        simulator = one.only_simulated()
        await one.start()
        await one.settle(one.gateway("a"))
        one.want(wanted := one.gateway("a", "2", transport="tls"))
        await put_back(one)
        await one.converged()
        sent, before = len(one.wire("killgw")), one.connections
        one.tap.cut()
        await one.until(lambda: one.connections > before and one.keeper.converged)
        assert len(one.wire("killgw")) == sent  # a lost connection alone is no reason
        give_tls(one)
        assert (await simulator.control.answer({"do": "restart"}))["ok"]
        await proved(one, wanted)
        await one.reconnect_probe()
        assert await one.proves(wanted)


@asynchronous
async def test_after_a_long_while_a_refused_version_gets_another_try(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lastgood, "RETRY_FIRST", 1.0)
    async with bench(tmp_path) as one:
        one.only_simulated()
        await one.start()
        await one.settle(good := one.gateway("a"))
        one.want(wanted := one.gateway("a", "2", transport="tls"))
        await one.until(lambda: len(held_back(one)) >= 2)
        await one.until(lambda: one.keeper.converged)
        assert await one.proves(good)
        assert set(held_back(one)) == {REFUSED}
        assert len(one.wire("killgw")) == 2
        await asyncio.sleep(1.3)  # the wait doubles
        assert len(one.wire("killgw")) == 2
        give_tls(one)
        await proved(one, wanted)
        assert len(one.wire("killgw")) == 3


@asynchronous
async def test_when_the_last_good_version_is_not_taken_either_both_are_tried_until_the_new_one_loads(
    tmp_path: Path,
) -> None:
    async with bench(tmp_path) as one:
        one.only_simulated()
        give_tls(one)
        await one.api("sofia profile external rescan")
        await one.start()
        await one.settle(one.gateway("a", transport="tls"))
        give_tls(one, False)
        one.want(wanted := one.gateway("a", "2", transport="tls"))
        await one.until(lambda: held_back(one)[-1:] == ["NotLoaded"])
        assert one.keeper.last_good.refusals == {}
        sent = len(one.wire("killgw"))
        give_tls(one)
        await one.until(lambda: one.keeper.converged)
        assert await one.proves(wanted)
        assert len(one.wire("killgw")) == sent == 1


@asynchronous
async def test_a_replacement_that_another_definition_defeats_has_its_last_good_file_back(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        await one.start()
        await one.settle(good := one.gateway("a"))
        text = one.path(good).read_bytes()
        copy = one.path(good).with_name(f"000-{one.mark}.xml")
        copy.write_bytes(render(replace(good, variables=()), f"1-{one.key.key_id}-{'0' * 32}"))
        one.want(one.gateway("a", "2"))
        await one.until(lambda: bool(one.told("failed", "a")))
        await quiet(one)
        copy.unlink()
        assert held_back(one) == ["OtherVersionLoaded"]
        assert one.path(good).read_bytes() == text
        assert len(one.wire("killgw")) == 1


# -- files that the switch's own reader refuses ----------------------------------------------------------------------


def want(one: Bench, files: Mapping[str, bytes], *gateways: Gateway) -> None:
    """Wants these gateways, some of them with other bytes: what another source might take for a file."""
    one.want(*gateways)
    desired = one.keeper.desired
    paths = {path: files.get(gateway.name) for gateway in gateways for path in (relative_path(gateway),)}
    changed = {path: data for path, data in paths.items() if data is not None}
    one.keeper.want(Desired(desired.wanted, {**desired.files, **changed}, desired.complete))


@pytest.mark.parametrize("registers", [False, True])
@asynchronous
async def test_a_file_that_the_switchs_reader_refuses_is_withdrawn_and_the_rest_loads(
    tmp_path: Path, registers: bool
) -> None:
    async with bench(tmp_path) as one:
        one.only_simulated()  # on a shared switch it would hold up everybody (fact 3)
        await one.start()
        await one.settle(good := one.gateway("a", registers=registers))
        if registers:
            await one.until_rows("a", [("external", "REGED")])
        file = one.path(good).read_bytes()
        bad, first = one.gateway("a", "2", registers=registers), one.gateway("x")
        fine = [one.gateway(f"n{number}") for number in range(20)]
        want(
            one,
            {bad.name: BROKEN, first.name: BROKEN},
            bad,
            first,
            *fine,
        )
        await one.until(lambda: one.keeper.converged)
        assert {n: f.code for n, f in one.keeper.failures.items()} == dict.fromkeys(
            [bad.name, first.name], "FileBreaksSwitch"
        )
        assert "[error near line" in one.told("failed", "a")[-1].text
        assert [await one.proves(g) for g in (good, *fine)] == [True] * 21
        assert one.path(good).read_bytes() == file
        assert not one.path(first).exists()
        assert await one.api("reloadxml") == "+OK [Success]\n"
        await quiet(one)
        if registers:
            assert one.wire("killgw") == []
        await one.settle(bad, first, *fine)
        assert await one.proves(first)


@asynchronous
async def test_somebody_elses_broken_file_costs_us_none_of_ours(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        one.only_simulated()
        await one.start()
        await one.settle(one.gateway("a"))
        broken = one.conf / "sip_profiles" / "external" / "a-broken.xml"
        broken.write_text("<include>\n<gateway name='x'>\n</include>\n")
        new = [one.gateway("a", "2"), one.gateway("b")]
        one.want(*new)
        await one.until(lambda: {one.name("a"), one.name("b")} <= one.keeper.failures.keys())
        await one.keeper.idle()
        assert {f.code for f in one.keeper.failures.values()} == {"SwitchConfigBroken"}
        assert len(one.files()) == 2
        broken.unlink()
        await one.converged()
        assert [await one.proves(g) for g in new] == [True, True]
        assert asides(one) == []
