"""The client and the parsers against the simulated switch, which knows nothing of them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from sipgateway.errors import SwitchError
from sipgateway.esl import commands, replies
from sipgateway.esl.client import Client, connect
from sipgateway.esl.protocol import Event
from sipgateway.esl.replies import GatewayEvent
from sipgateway.simulator import Simulator, SimulatorConfig

SUBCLASSES = ["sofia::gateway_add", "sofia::gateway_delete", "sofia::gateway_state"]


def gateway(name: str, revision: str, *, register: bool = False) -> str:
    return (
        f'<include>\n<gateway name="{name}">\n<param name="proxy" value="192.0.2.10"/>\n'
        f'<param name="username" value="u"/>\n<param name="password" value="pw-{name}"/>\n'
        f'<param name="register" value="{str(register).lower()}"/>\n'
        f'<variables>\n<variable name="sipgw_revision" value="{revision}" direction="outbound"/>\n</variables>\n'
        "</gateway>\n</include>\n"
    )


@pytest.fixture
def conf(tmp_path: Path) -> Path:
    return tmp_path / "conf"


def on_switch(conf: Path, test: Callable[[Client, Path], Awaitable[None]]) -> None:
    async def whole() -> None:
        async with (
            asyncio.timeout(60),
            Simulator(SimulatorConfig(conf=conf, init=True, tick=0.05)) as simulator,
            await connect(*simulator.esl_address, "ClueCon") as client,
        ):
            await test(client, conf / "sip_profiles" / "external")

    asyncio.run(whole())


async def until(client: Client, wanted: Callable[[GatewayEvent], bool]) -> GatewayEvent:
    """The first event that is wanted."""
    async for message in client.events:
        assert isinstance(message, Event)
        event = replies.parse_gateway_event(message)
        if event is not None and wanted(event):
            return event
    raise AssertionError("the connection ended")


def test_a_gateway_is_added_read_back_killed_and_gone(conf: Path) -> None:
    async def test(client: Client, folder: Path) -> None:
        await client.subscribe(SUBCLASSES)
        (folder / "a.xml").write_text(gateway("a", "1-00000000-first"))
        scan, revision, missing = await client.pipeline(
            [
                commands.rescan("external"),
                commands.gateway_variable("a", "sipgw_revision"),
                commands.gateway_variable("b", "sipgw_revision"),
            ]
        )
        assert replies.parse_rescan(scan).reloaded
        assert replies.parse_variable(revision) == "1-00000000-first"
        assert replies.parse_variable(missing) is None
        added = await until(client, lambda e: e.kind == "add")
        assert (added.gateway, added.profile) == ("a", "external")
        status = replies.parse_sofia_status(await client.api(commands.status()))
        assert [(g.profile, g.name, g.state) for g in status.gateways] == [("external", "a", "NOREG")]
        one = replies.parse_gateway_xml(await client.api(commands.gateway_status("a")))
        assert one is not None
        assert (one.name, one.profile, one.state, one.status) == ("a", "external", "NOREG", "UP")
        assert list(replies.parse_all_gateways(await client.api(commands.all_gateways()))) == [one]
        (folder / "a.xml").unlink()
        assert replies.parse_reloadxml(await client.api(commands.reloadxml())).reloaded
        killed, again = await client.pipeline([commands.killgw("external", "a")] * 2)
        assert (replies.parse_killgw(killed), replies.parse_killgw(again)) == (True, False)
        deleted = await until(client, lambda e: e.kind == "delete")
        assert (deleted.gateway, deleted.profile) == ("a", "external")
        assert deleted.timestamp > added.timestamp
        assert replies.parse_gateway_xml(await client.api(commands.gateway_status("a"))) is None

    on_switch(conf, test)


def test_a_registering_gateway_comes_up_and_can_be_registered_anew(conf: Path) -> None:
    async def test(client: Client, folder: Path) -> None:
        await client.subscribe(SUBCLASSES)
        (folder / "r.xml").write_text(gateway("r", "1-00000000-r", register=True))
        assert replies.parse_rescan(await client.api(commands.rescan("external"))).reloaded
        up = await until(client, lambda e: e.state == "REGED")
        assert (up.gateway, up.profile, up.ping_status) == ("r", None, "UP")
        assert replies.parse_register(await client.api(commands.register("external", "r")))
        again = await until(client, lambda e: e.state == "REGED")
        assert again.timestamp > up.timestamp

    on_switch(conf, test)


def test_broken_xml_is_seen_behind_scan_complete(conf: Path) -> None:
    async def test(client: Client, folder: Path) -> None:
        (folder / "bad.xml").write_text("<include>\n<gateway name='x'>\n</gateways>\n</include>\n")
        body = await client.api(commands.rescan("external"))
        assert body.endswith("+OK scan complete\n")
        scan = replies.parse_rescan(body)
        assert not scan.reloaded
        assert scan.error is not None
        assert "unexpected closing tag </gateways>" in scan.error
        assert scan.error_line
        assert replies.parse_reloadxml(await client.api(commands.reloadxml())).error == scan.error
        assert replies.parse_rescan(await client.api(commands.rescan("nosuch"))).profile_missing

    on_switch(conf, test)


def test_the_small_questions_are_answered(conf: Path) -> None:
    async def test(client: Client, folder: Path) -> None:
        version, alive, variable, none = await client.pipeline(
            [
                commands.version(),
                commands.alive(),
                commands.global_variable("default_password"),
                commands.global_variable("nosuch"),
            ]
        )
        assert replies.parse_version(version)[0].isdigit()
        assert alive.startswith("UP ")
        assert replies.parse_global_variable(variable) == "topsecret"
        assert replies.parse_global_variable(none) is None

    on_switch(conf, test)


def test_two_thousand_gateways_are_read_back_in_one_pipeline(conf: Path) -> None:
    async def test(client: Client, folder: Path) -> None:
        names = [f"gw-{i:04}" for i in range(2_000)]
        for name in names:
            (folder / f"{name}.xml").write_text(gateway(name, f"1-00000000-{name}"))
        scan, *bodies = await client.pipeline(
            [commands.rescan("external"), *(commands.gateway_variable(n, "sipgw_revision") for n in names)]
        )
        assert replies.parse_rescan(scan).reloaded
        assert [replies.parse_variable(b) for b in bodies] == [f"1-00000000-{n}" for n in names]

    on_switch(conf, test)


def test_a_wrong_password_is_refused(conf: Path) -> None:
    async def whole() -> None:
        async with Simulator(SimulatorConfig(conf=conf, init=True)) as simulator:
            with pytest.raises(SwitchError) as caught:
                await connect(*simulator.esl_address, "wrong")
            assert caught.value.finding.code == "SwitchRefusedPassword"

    asyncio.run(whole())
