"""The client against an event socket that misbehaves in every way that a test can name."""

from __future__ import annotations

import asyncio
import gc
import random
import socket
import time
import traceback
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import pytest

from sipgateway.errors import ExitCode, SwitchError
from sipgateway.esl import commands, replies
from sipgateway.esl.client import WINDOW, Client, EventsLost, backoff, connect
from sipgateway.esl.protocol import Event
from tests.canary import Canary
from tests.esl import transcripts
from tests.esl.scripted import (
    GOODBYE,
    GREETING,
    Peer,
    Script,
    ScriptedSwitch,
    echo,
    event,
    replay,
    reply,
    response,
)


def run(test: Coroutine[Any, Any, None]) -> None:
    """Runs a test in a loop of its own, and fails when it takes long or leaves tasks behind."""

    async def bounded() -> None:
        async with asyncio.timeout(30):
            await test
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(bounded(), debug=False)
    gc.collect()


def with_client(script: Script, test: Callable[[Client], Awaitable[None]], **options: Any) -> None:
    async def both() -> None:
        async with ScriptedSwitch(script) as switch, await switch.connect(**options) as client:
            await test(client)

    run(both())


def after_login(script: Script) -> Script:
    async def whole(peer: Peer) -> None:
        await peer.login()
        await script(peer)

    return whole


def read_back(count: int) -> list[commands.Command]:
    return [commands.gateway_variable(f"gw-{i}", "sipgw_revision") for i in range(count)]


async def code_of(call: Awaitable[object]) -> str:
    with pytest.raises(SwitchError) as caught:
        await call
    assert caught.value.exit_code is ExitCode.SWITCH
    return caught.value.finding.code


# calls


@pytest.mark.parametrize("name", [n for n in transcripts.NAMES if n not in {"login", "login-ok"}])
def test_a_real_conversation_can_be_held_again(name: str) -> None:
    async def test(client: Client) -> None:
        for turn in transcripts.turns(name):
            for message in turn.messages:
                said = message.decode().removesuffix("\n\n")
                if turn.ours and said.startswith("event plain CUSTOM "):
                    await client.subscribe(said.split(" ")[3:])
                elif turn.ours and said.startswith("api "):
                    assert await client.api(commands.Command(said)) in transcripts.bodies(name, said[4:])

    with_client(replay(name), test)


def test_events_of_a_real_conversation_come_in_order_between_the_answers() -> None:
    async def test(client: Client) -> None:
        await client.subscribe(["sofia::gateway_add", "sofia::gateway_delete", "sofia::gateway_state"])
        await client.api(commands.rescan("external"))
        states: list[str | None] = []
        async for message in client.events:
            assert isinstance(message, Event)
            read = replies.parse_gateway_event(message)
            assert read is not None
            states.append(read.state or read.kind)
            if read.state == "REGED":
                break
        assert states == ["add", "TRYING", "REGISTER", "REGED"]

    with_client(replay("register-ok"), test)


def test_ten_thousand_commands_are_answered_in_order_with_events_in_between() -> None:
    async def script(peer: Peer) -> None:
        for number in range(10_000):
            await peer.send(event(number) + response((await peer.command()).split()[2]))
        await peer.gone()

    async def test(client: Client) -> None:
        bodies = await client.pipeline(read_back(10_000))
        assert bodies == [f"gw-{i}" for i in range(10_000)]
        await client.close()
        names = [e.headers["Gateway"] async for e in client.events if isinstance(e, Event)]
        assert names == [f"gw-{i}" for i in range(10_000)]

    with_client(after_login(script), test)


def test_no_more_commands_are_in_flight_than_the_window_allows() -> None:
    async def script(peer: Peer) -> None:
        waiting = [await peer.command() for _ in range(WINDOW)]
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(peer.reader.read(1), 0.05)
        await peer.send(b"".join(response(w) for w in waiting))
        for _ in range(2_000 - WINDOW):
            await peer.send(response(await peer.command()))
        await peer.gone()

    async def test(client: Client) -> None:
        assert await client.pipeline(read_back(2_000)) == [c.text for c in read_back(2_000)]

    with_client(after_login(script), test)


def test_a_switch_that_reads_slowly_and_answers_much_does_not_deadlock() -> None:
    async def script(peer: Peer) -> None:
        peer.writer.transport.set_write_buffer_limits(high=0)
        for _ in range(300):
            await peer.command()
            await peer.send(response("x" * 100_000))
        await peer.gone()

    async def test(client: Client) -> None:
        assert {len(b) for b in await client.pipeline(read_back(300))} == {100_000}

    with_client(after_login(script), test)


def test_an_answer_of_ten_megabytes_arrives_whole() -> None:
    async def script(peer: Peer) -> None:
        await peer.command()
        await peer.send(response("0123456789" * 1_000_000))
        await peer.gone()

    async def test(client: Client) -> None:
        assert await client.api(commands.all_gateways()) == "0123456789" * 1_000_000

    with_client(after_login(script), test)


def test_bytes_that_are_no_utf8_survive() -> None:
    async def script(peer: Peer) -> None:
        await peer.command()
        await peer.send(b"Content-Type: api/response\nContent-Length: 3\n\n\xff\xe9A")
        await peer.gone()

    async def test(client: Client) -> None:
        body = await client.api(commands.version())
        assert body.encode("utf-8", "surrogateescape") == b"\xff\xe9A"

    with_client(after_login(script), test)


def test_calls_of_several_tasks_each_get_their_own_answers() -> None:
    async def test(client: Client) -> None:
        async def ask(number: int) -> None:
            wanted = [commands.gateway_variable(f"t{number}-{i}", "v") for i in range(number)]
            assert await client.pipeline(wanted) == [c.text.removeprefix("api ") for c in wanted]

        await asyncio.gather(*(ask(n) for n in (1, 700, 2, 0, 300, 5)))

    with_client(echo, test)


def test_a_cancelled_call_does_not_shift_the_answers_of_the_next() -> None:
    async def test(client: Client) -> None:
        for number in range(20):
            call = asyncio.ensure_future(client.pipeline(read_back(600)))
            for _ in range(number):
                await asyncio.sleep(0)
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
            assert await client.api(commands.rescan("external")) == "sofia profile external rescan"

    with_client(echo, test)


# login


def test_a_wrong_password_is_an_error_that_does_not_show_it(canary: Canary) -> None:
    async def script(peer: Peer) -> None:
        await peer.send(GREETING)
        assert await peer.command() == f"auth {canary.password}"
        await peer.send(reply("-ERR invalid") + GOODBYE)

    async def test() -> None:
        async with ScriptedSwitch(script) as switch:
            with pytest.raises(SwitchError) as caught:
                await connect("127.0.0.1", switch.port, canary.password)
        assert caught.value.finding.code == "SwitchRefusedPassword"
        canary.assert_absent("".join(traceback.format_exception(caught.value)), repr(caught.value))

    run(test())


def test_a_client_shows_neither_password_nor_answers(canary: Canary) -> None:
    async def test(client: Client) -> None:
        await client.api(commands.version())
        canary.assert_absent(repr(client), repr(vars(client)).replace("ClueCon", canary.password))

    with_client(echo, test)


def test_a_password_that_is_not_one_line_never_leaves_us() -> None:
    async def script(peer: Peer) -> None:
        await peer.send(GREETING)
        with pytest.raises(EOFError):
            await peer.command()

    async def test() -> None:
        async with ScriptedSwitch(script) as switch:
            assert await code_of(connect("127.0.0.1", switch.port, "pw\n\napi fsctl shutdown")) == "PasswordUnusable"

    run(test())


def test_a_refusal_by_acl_is_told_apart_from_a_lost_connection() -> None:
    async def script(peer: Peer) -> None:
        await peer.send(b"Content-Type: text/rude-rejection\nContent-Length: 24\n\nAccess Denied, go away.\n")

    async def test() -> None:
        async with ScriptedSwitch(script) as switch:
            assert await code_of(switch.connect()) == "SwitchRefusedAddress"

    run(test())


@pytest.mark.parametrize(
    ("said", "code"),
    [
        (b"SSH-2.0-OpenSSH_9.6\r\n", "NotAnEventSocket"),
        (b"", "SwitchDisconnected"),
        (GREETING[:10], "SwitchDisconnected"),
        (GOODBYE, "SwitchDisconnected"),
        (GREETING + GREETING, "NotAnEventSocket"),
    ],
)
def test_what_is_no_event_socket_is_said_at_once(said: bytes, code: str) -> None:
    async def script(peer: Peer) -> None:
        await peer.send(said)

    async def test() -> None:
        async with ScriptedSwitch(script) as switch:
            assert await code_of(switch.connect(timeout=20)) == code

    run(test())


def test_a_server_that_does_not_greet_is_given_up_in_time() -> None:
    async def test() -> None:
        async with ScriptedSwitch(Peer.gone) as switch:
            assert await code_of(switch.connect(timeout=0.05)) == "SwitchSilent"

    run(test())


def test_where_nothing_listens_the_address_is_named() -> None:
    async def test() -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        with pytest.raises(SwitchError, match=f"127.0.0.1:{port}") as caught:
            await connect("127.0.0.1", port, "x")
        assert caught.value.finding.code == "SwitchUnreachable"
        for host, bad in (("127.0.0.1", 70_000), ("a..b", 8021), ("x" * 300, 8021)):
            assert await code_of(connect(host, bad, "x")) == "SwitchUnreachable"

    run(test())


# loss


@pytest.mark.parametrize("last_words", [b"", GOODBYE, response("half")[:-2], b"nonsense\n\n"])
def test_a_lost_connection_fails_all_waiting_calls_at_once(last_words: bytes) -> None:
    async def script(peer: Peer) -> None:
        for _ in range(3):
            await peer.send(response(await peer.command()))
        await peer.command()
        await peer.send(last_words)

    async def test(client: Client) -> None:
        calls = [client.pipeline(read_back(500)), *(client.api(commands.status()) for _ in range(10))]
        async with asyncio.timeout(5):
            ended = await asyncio.gather(*calls, return_exceptions=True)
        expected = "NotAnEventSocket" if last_words.startswith(b"n") else "SwitchDisconnected"
        assert {e.finding.code for e in ended if isinstance(e, SwitchError)} == {expected}
        assert all(isinstance(e, SwitchError) for e in ended)
        assert client.failure is not None
        assert await code_of(client.api(commands.status())) == expected
        assert [e async for e in client.events] == []

    with_client(after_login(script), test)


def test_a_reset_fails_the_waiting_call() -> None:
    async def script(peer: Peer) -> None:
        await peer.command()
        sock = peer.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        peer.writer.transport.abort()

    async def test(client: Client) -> None:
        assert await code_of(client.api(commands.status())) == "SwitchDisconnected"

    with_client(after_login(script), test)


def test_a_late_answer_ends_the_connection_so_that_no_later_call_gets_it() -> None:
    async def script(peer: Peer) -> None:
        await peer.command()
        await peer.gone()

    async def test(client: Client) -> None:
        assert await code_of(client.api(commands.status(), timeout=0.05)) == "SwitchSilent"
        assert await code_of(client.api(commands.version())) == "SwitchSilent"

    with_client(after_login(script), test)


def test_the_time_limit_is_per_answer_and_not_for_the_whole_pipeline() -> None:
    async def script(peer: Peer) -> None:
        for _ in range(6):
            await peer.command()
            await asyncio.sleep(0.1)
            await peer.send(response("x"))
        await peer.gone()

    async def test(client: Client) -> None:
        assert len(await client.pipeline(read_back(6), timeout=0.5)) == 6

    with_client(after_login(script), test)


def test_an_answer_that_nobody_asked_for_ends_the_connection() -> None:
    async def script(peer: Peer) -> None:
        await peer.command()
        await peer.send(response("a") + response("b"))
        await peer.gone()

    async def test(client: Client) -> None:
        assert await client.api(commands.status()) == "a"
        assert await code_of(client.api(commands.status())) == "SwitchConfused"

    with_client(after_login(script), test)


def test_a_refused_command_ends_the_connection() -> None:
    async def script(peer: Peer) -> None:
        await peer.command()
        await peer.send(reply("-ERR permission denied"))
        await peer.gone()

    async def test(client: Client) -> None:
        assert await code_of(client.api(commands.status())) == "SwitchConfused"

    with_client(after_login(script), test)


def test_an_answer_over_all_limits_ends_the_connection() -> None:
    async def script(peer: Peer) -> None:
        await peer.command()
        await peer.send(b"Content-Type: api/response\nContent-Length: 100000000\n\n")
        await peer.gone()

    async def test(client: Client) -> None:
        assert await code_of(client.api(commands.all_gateways())) == "AnswerTooLarge"

    with_client(after_login(script), test)


def test_closing_twice_and_calling_afterwards_is_harmless() -> None:
    async def test(client: Client) -> None:
        waiting = asyncio.ensure_future(client.api(commands.status()))
        await asyncio.sleep(0)
        await client.close()
        await client.close()
        assert await code_of(waiting) == "SwitchDisconnected"
        assert await code_of(client.api(commands.status())) == "SwitchDisconnected"

    with_client(after_login(Peer.gone), test)


# events


def test_a_reader_that_is_behind_is_told_how_many_events_it_lost() -> None:
    async def script(peer: Peer) -> None:
        await peer.command()
        await peer.send(b"".join(event(n) for n in range(25)) + response("x"))
        await peer.gone()

    async def test(client: Client) -> None:
        await client.api(commands.status())
        await client.close()
        seen = [e.headers["Gateway"] if isinstance(e, Event) else e async for e in client.events]
        assert seen == [EventsLost(20), *(f"gw-{n}" for n in range(20, 25))]

    with_client(after_login(script), test, max_events=10)


def test_no_event_is_lost_up_to_the_limit() -> None:
    async def script(peer: Peer) -> None:
        await peer.command()
        await peer.send(b"".join(event(n) for n in range(10)) + response("x"))
        await peer.gone()

    async def test(client: Client) -> None:
        await client.api(commands.status())
        await client.close()
        assert [e.headers["Gateway"] async for e in client.events if isinstance(e, Event)] == [
            f"gw-{n}" for n in range(10)
        ]

    with_client(after_login(script), test, max_events=10)


def test_a_waiting_reader_of_events_ends_with_the_connection() -> None:
    async def script(peer: Peer) -> None:
        await peer.command()
        await peer.send(event(1))

    async def test(client: Client) -> None:
        async def read() -> list[Event | EventsLost]:
            return [e async for e in client.events]

        reading = asyncio.ensure_future(read())
        await asyncio.sleep(0)
        assert await code_of(client.api(commands.status())) == "SwitchDisconnected"
        assert len(await reading) == 1

    with_client(after_login(script), test)


def test_a_refused_subscription_is_an_error_and_the_connection_stands() -> None:
    async def script(peer: Peer) -> None:
        assert await peer.command() == "event plain CUSTOM sofia::gateway_add"
        await peer.send(reply("-ERR permission denied"))
        await peer.command()
        await peer.send(response("x"))
        await peer.gone()

    async def test(client: Client) -> None:
        with pytest.raises(SwitchError, match="permission denied"):
            await client.subscribe(["sofia::gateway_add"])
        assert await client.api(commands.status()) == "x"

    with_client(after_login(script), test)


# the rest


def test_the_kernel_watches_the_connection() -> None:
    async def test(client: Client) -> None:
        sock = client._writer.get_extra_info("socket")
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1

    with_client(echo, test)


def test_reconnects_wait_longer_each_time_with_full_jitter_and_a_limit() -> None:
    source = random.Random(1)
    waits = {attempt: [backoff(attempt, source) for _ in range(200)] for attempt in (1, 2, 5, 7, 50, 10_000)}
    assert {a: round(max(w), 1) for a, w in waits.items()} == {1: 0.1, 2: 0.2, 5: 1.6, 7: 5.0, 50: 5.0, 10_000: 5.0}
    assert all(min(w) >= 0.05 for w in waits.values())
    assert min(waits[50]) < 0.3
    assert backoff(3, random.Random(7)) == backoff(3, random.Random(7))


def test_ten_thousand_pipelined_answers_cost_little_of_our_time() -> None:
    async def test() -> None:
        left, right = socket.socketpair()
        server = asyncio.create_task(_canned(right, 10_000))
        reader, writer = await asyncio.open_connection(sock=left, limit=256 * 1024)
        client = Client(reader, writer, max_events=10)
        await client.login("x", 5)
        wanted = read_back(10_000)
        start = time.process_time()
        assert len(await client.pipeline(wanted)) == 10_000
        assert time.process_time() - start < 3
        await client.close()
        await server

    run(test())


async def _canned(sock: socket.socket, count: int) -> None:
    reader, writer = await asyncio.open_connection(sock=sock)
    peer = Peer(reader, writer)
    await peer.send(GREETING)
    await peer.command()
    await peer.send(reply("+OK accepted"))
    answer = response("1-0a0b0c0d-" + "f" * 32)
    for _ in range(count):
        await peer.command()
        writer.write(answer)
    await peer.gone()
    writer.close()
    await writer.wait_closed()
