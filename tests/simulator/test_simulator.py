"""What the simulator adds to a switch: driven time, the control door, faults, speed; and its own small parts."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sipgateway.simulator import DrivenClock, RealClock, Simulator, SimulatorConfig
from sipgateway.simulator.events import Event
from sipgateway.simulator.registrar import parse_registrar
from sipgateway.simulator.words import atoi, host_of, is_gateway_name, is_true, separate, url_encode

_GATEWAY = """\
<include>
  <gateway name="{name}">
    <param name="username" value="u-{name}"/>
    <param name="password" value="pw-u-{name}"/>
    <param name="proxy" value="192.0.2.1:5060"/>
    <param name="register" value="{register}"/>
    <variable name="sipgw_revision" value="{revision}" direction="outbound"/>
  </gateway>
</include>
"""


def write(folder: Path, name: str, revision: str = "1", *, register: bool = True) -> Path:
    path = folder / "sip_profiles" / "external" / f"{name}.xml"
    path.write_text(_GATEWAY.format(name=name, revision=revision, register="true" if register else "false"))
    return path


def driven(folder: Path, **more: Any) -> Simulator:
    registrars = more.pop("registrars", ("192.0.2.1:5060=accept",))
    return Simulator(SimulatorConfig(folder, init=True, clock=DrivenClock(), registrars=registrars, **more))


def test_one_of_a_thousand_is_replaced_and_999_are_untouched(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with driven(tmp_path) as simulator:
            for number in range(1000):
                write(tmp_path, f"g{number}")
            await simulator.api("sofia profile external rescan")
            await simulator.advance(3)
            journal = simulator.switch.network.journal
            events: list[Event] = []
            simulator.switch.listeners.append(events.append)
            before = len(journal)
            write(tmp_path, "g500", "2")
            await simulator.api("sofia profile external killgw g500")
            await simulator.api("sofia profile external rescan")
            await simulator.advance(3)
            assert {message.gateway for message in journal[before:]} == {"g500"}
            assert {dict(event.headers)["Gateway"] for event in events if event.name == "CUSTOM"} == {"g500"}
            assert await simulator.api("sofia_gateway_data g500 ovar sipgw_revision") == "2"

    asyncio.run(scenario())


def test_rescanning_a_thousand_unchanged_gateways_is_quick(tmp_path: Path) -> None:
    async def scenario() -> float:
        async with driven(tmp_path) as simulator:
            for number in range(1000):
                write(tmp_path, f"g{number}", register=False)
            await simulator.api("sofia profile external rescan")
            took = []
            for _ in range(5):
                start = time.perf_counter()
                await simulator.api("sofia profile external rescan")
                took.append(time.perf_counter() - start)
            return min(took)

    assert asyncio.run(scenario()) < 0.15


@pytest.mark.parametrize("phase", [0.05, 0.5, 0.95])
def test_the_outbound_gap_is_two_seconds_minus_the_time_since_the_tick(tmp_path: Path, phase: float) -> None:
    async def scenario() -> float:
        async with driven(tmp_path) as simulator:
            write(tmp_path, "g")
            await simulator.api("sofia profile external rescan")
            await simulator.advance(4 + phase)
            await simulator.api("sofia profile external killgw g")
            await simulator.api("sofia profile external rescan")
            await simulator.advance(3)
            ((start, end),) = simulator.switch.availability.gaps("g", simulator.switch.now())
            return end - start

    assert asyncio.run(scenario()) == pytest.approx(2.0 - phase, abs=0.01)


def test_a_file_changed_within_the_same_size_and_second_is_read_again(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with driven(tmp_path) as simulator:
            for revision in "123456789":
                write(tmp_path, "g", revision, register=False)
                await simulator.api("sofia profile external killgw g")
                await simulator.api("sofia profile external rescan")
                assert await simulator.api("sofia_gateway_data g ovar sipgw_revision") == revision

    asyncio.run(scenario())


def test_the_error_line_is_that_of_the_whole_tree_though_files_are_cached(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with driven(tmp_path) as simulator:
            for number in range(20):
                write(tmp_path, f"g{number:02}", register=False)
            (tmp_path / "sip_profiles/external/zz.xml").write_text('<gateway name="zz">\n</gateways>\n')
            reply = await simulator.api("reloadxml")
            expanded = (simulator.switch.config.log_folder / "freeswitch.xml.fsxml").read_text().split("\n")
            line = 1 + next(n for n, text in enumerate(expanded) if "</gateways>" in text and "zz" in expanded[n - 1])
            assert reply == f"+OK [[error near line {line}]: unexpected closing tag </gateways>]\n"
            assert not simulator.switch.find_gateway("g00")

    asyncio.run(scenario())


async def _ask(where: str, **request: Any) -> Any:
    reader, writer = await asyncio.open_unix_connection(where)
    writer.write(json.dumps(request).encode() + b"\n")
    answer = json.loads(await reader.readline())
    writer.close()
    await writer.wait_closed()
    return answer


def test_the_control_door_tells_and_changes(tmp_path: Path) -> None:
    async def scenario() -> None:
        door = str(tmp_path / "door")
        async with driven(tmp_path, control=door) as simulator:
            write(tmp_path, "g")
            await simulator.api("sofia profile external rescan")
            await _ask(door, do="advance", seconds=3)
            journal = (await _ask(door, do="journal", gateway="g"))["result"]
            assert [(m["method"], m["authorised"], m["status"]) for m in journal] == [
                ("REGISTER", False, 401),
                ("REGISTER", True, 200),
            ]
            assert "pw-u-g" not in json.dumps(journal)
            (binding,) = (await _ask(door, do="bindings"))["result"]
            assert binding["user"] == "u-g"
            await _ask(door, do="registrar", address="192.0.2.1:5060", set={"passwords": {"u-g": "new"}}, forget=True)
            assert (await _ask(door, do="bindings"))["result"] == []
            await simulator.api("sofia profile external register g")
            await _ask(door, do="advance", seconds=2)
            assert "FAIL" in await simulator.api("sofia status")
            assert (await _ask(door, do="call", gateway="g"))["result"] == "-ERR GATEWAY_DOWN\n"
            assert (await _ask(door, do="commands"))["result"][0]["text"] == "api sofia profile external rescan"
            assert not (await _ask(door, do="nosuch"))["ok"]
            assert not (await _ask(door, do="registrar", address="x:1", set={"nosuch": 1}))["ok"]
            assert not (await _ask(door, do="availability"))["ok"]
            assert (await _ask(door, do="restart"))["result"] is True

    asyncio.run(scenario())


def test_faults_cut_freeze_and_thaw_connections(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with driven(tmp_path) as simulator:
            reader, writer = await asyncio.open_connection(*simulator.esl_address)
            await reader.readuntil(b"\n\n")
            writer.write(b"auth ClueCon\n\n")
            assert b"+OK accepted" in await reader.readuntil(b"\n\n")
            await simulator.control.answer({"do": "freeze"})
            writer.write(b"api status\n\n")
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(reader.readuntil(b"\n\n"), 0.1)
            await simulator.control.answer({"do": "freeze", "on": False})
            assert b"api/response" in await reader.readuntil(b"\n\n")
            assert (await simulator.control.answer({"do": "drop", "refuse": True}))["result"] == 1
            with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
                await reader.readuntil(b"never said")
            writer.close()

    asyncio.run(scenario())


def test_the_process_says_where_it_is_and_ends_at_sigterm(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "sipgateway", "simulator", "--init", "--conf", str(tmp_path / "conf")]
    command += ["--esl", "127.0.0.1:0", "--registrar", "*=silent"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        ready = json.loads(process.stdout.readline())
        assert ready["esl"].startswith("127.0.0.1:")
        process.terminate()
        assert process.wait(10) == 0


@pytest.mark.parametrize("words", ["", "=accept", "host:port=accept", "192.0.2.1:5060=nomode", "192.0.2.1:1=403,no=1"])
def test_a_registrar_that_cannot_be_read_is_refused(words: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse_registrar(words)


def test_a_faster_clock_runs_ahead_of_the_machine() -> None:
    clock = RealClock(1000)
    start = clock.now()
    deadline = time.monotonic() + 5
    while clock.now() - start < 5:
        assert time.monotonic() < deadline
    assert time.monotonic() < deadline - 4


@pytest.mark.parametrize(
    ("uri", "host"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("192.0.2.1:5060;transport=udp", "192.0.2.1"),
        ("192.0.2.1;transport=udp", "192.0.2.1;transport=udp"),
        ("sip:carrier.example.com:5060", "carrier.example.com"),
        ("[2001:db8::1]:5060", "[2001:db8::1]"),
        ("", None),
    ],
)
def test_the_host_that_a_challenge_is_compared_with(uri: str, host: str | None) -> None:
    assert host_of(uri) == host


@given(st.text(max_size=40))
def test_words_take_any_text(text: str) -> None:
    assert isinstance(is_true(text), bool)
    assert -(2**31) <= atoi(text) < 2**31
    assert isinstance(is_gateway_name(text), bool)
    assert len(separate(text, 4)) <= 4
    assert all(" " < character < "\x7f" for character in url_encode(text))
