"""The client against an API server that misbehaves in every way that a test can name."""

from __future__ import annotations

import asyncio
import json
import ssl
import time
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from sipgateway.cluster import client
from sipgateway.cluster.access import Access, Token
from sipgateway.cluster.client import Api, ApiError, Page, WatchEvent
from tests.cluster.scripted import Peer, Request, Script, ScriptedServer, config_map, listed, run
from tests.controlplane.certificates import Authority

MAPS = "/api/v1/namespaces/voice/configmaps"


def against(
    script: Script, test: Callable[[Api, ScriptedServer], Awaitable[None]], token: Token | None = None, **options: Any
) -> None:
    async def both() -> None:
        async with ScriptedServer(script) as server, Api(server.access(token), **options) as api:
            await test(api, server)

    run(both())


def error_of(script: Script, call: Callable[[Api], Awaitable[object]]) -> ApiError:
    """What a call ends with."""
    found: list[ApiError] = []

    async def test(api: Api, _: ScriptedServer) -> None:
        with pytest.raises(ApiError) as caught:
            await call(api)
        found.append(caught.value)

    against(script, test)
    return found[0]


def get(api: Api) -> Coroutine[Any, Any, object]:
    return api.get(f"{MAPS}/a")


async def everything(pages: Any) -> list[Page]:
    return [page async for page in pages]


async def all_events(watch: Any) -> list[WatchEvent]:
    return [event async for event in watch]


# What the server says


def test_a_refusal_keeps_the_servers_own_words() -> None:
    async def refuse(_: Request, peer: Peer) -> None:
        await peer.refuse(403, "Forbidden", 'configmaps "a" is forbidden')

    error = error_of(refuse, get)
    assert (error.status, error.reason, error.message) == (403, "Forbidden", 'configmaps "a" is forbidden')
    assert error.is_status
    assert not error.transient


@pytest.mark.parametrize(
    ("status", "reason", "true"),
    [
        (404, "NotFound", {"not_found"}),
        (409, "Conflict", {"conflict"}),
        (409, "AlreadyExists", {"conflict"}),
        (410, "Expired", {"expired"}),
        (429, "TooManyRequests", {"transient"}),
        (500, "InternalError", {"transient"}),
        (503, "ServiceUnavailable", {"transient"}),
        (422, "Invalid", set[str]()),
    ],
)
def test_what_a_refusal_means_for_the_caller(status: int, reason: str, true: set[str]) -> None:
    async def refuse(_: Request, peer: Peer) -> None:
        await peer.refuse(status, reason)

    error = error_of(refuse, get)
    assert {name for name in ("not_found", "conflict", "expired", "transient") if getattr(error, name)} == true


def test_the_page_of_a_proxy_is_no_word_of_the_api_server() -> None:
    async def refuse(_: Request, peer: Peer) -> None:
        await peer.answer(404, b"<html>nothing here</html>")

    error = error_of(refuse, get)
    assert error.not_found
    assert not error.is_status


@pytest.mark.parametrize(
    ("header", "details", "seconds"),
    [("3", 0, 3.0), ("", 7, 7.0), ("100000", 0, 30.0), ("soon", 0, 0.0), ("nan", 0, 0.0), ("-5", 0, 0.0)],
)
def test_how_long_the_server_wants_to_be_left_alone(header: str, details: int, seconds: float) -> None:
    async def refuse(_: Request, peer: Peer) -> None:
        body = {"kind": "Status", "reason": "TooManyRequests", "details": {"retryAfterSeconds": details}}
        await peer.answer(429, body, **({"Retry_After": header} if header else {}))

    assert error_of(refuse, get).retry_after == seconds


# Answers that are none


async def _no_json(_: Request, peer: Peer) -> None:
    await peer.answer(200, b"{cut of")


async def _no_object(_: Request, peer: Peer) -> None:
    await peer.answer(200, [])


async def _short(_: Request, peer: Peer) -> None:
    await peer.send(b'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"a":')
    peer.close()


async def _short_chunks(_: Request, peer: Peer) -> None:
    await peer.stream()
    await peer.chunk(b'{"a":')
    peer.close()


async def _reset(_: Request, peer: Peer) -> None:
    peer.reset()


async def _hang_up(_: Request, peer: Peer) -> None:
    peer.close()


async def _gibberish(_: Request, peer: Peer) -> None:
    await peer.send(b"SSH-2.0-OpenSSH\r\n\r\n")


async def _no_name(_: Request, peer: Peer) -> None:
    await peer.answer(200, {"kind": "Status", "metadata": {}, "status": "Success"})


@pytest.mark.parametrize(
    "script", [_no_json, _no_object, _no_name, _short, _short_chunks, _reset, _hang_up, _gibberish]
)
def test_an_answer_that_was_broken_off_may_succeed_later(script: Script) -> None:
    assert error_of(script, get).transient


@pytest.mark.parametrize("method", ["create", "patch", "update"])
def test_what_is_no_object_is_no_answer_to_a_write(method: str) -> None:
    async def answer(_: Request, peer: Peer) -> None:
        await peer.answer(200, {})

    assert error_of(answer, lambda api: getattr(api, method)(MAPS, {})).transient


def test_what_a_group_offers_is_no_object_and_can_be_read() -> None:
    async def answer(_: Request, peer: Peer) -> None:
        await peer.answer(200, {"kind": "APIResourceList", "resources": []})

    async def test(api: Api, _: ScriptedServer) -> None:
        assert (await api.get("/apis/x/v1"))["resources"] == []

    against(answer, test)


def test_a_server_that_does_not_answer_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    async def hang(_request: Request, _peer: Peer) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(client, "_REQUEST", 0.2)
    error = error_of(hang, get)
    assert (error.status, error.reason) == (0, "Unreachable")
    assert error.transient


def test_nobody_there_is_told_with_the_address() -> None:
    async def test() -> None:
        async with Api(Access("http://127.0.0.1:1")) as api:
            with pytest.raises(ApiError, match=r"127\.0\.0\.1:1") as caught:
                await get(api)
        assert caught.value.transient

    run(test())


def test_a_server_with_a_certificate_of_somebody_else_is_not_believed(tmp_path: Path) -> None:
    pair = Authority(tmp_path).sign("server", "kube-apiserver", hosts=("127.0.0.1",))
    other = tmp_path / "other"
    other.mkdir()
    stranger = Authority(other, "stranger")
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(pair.certificate, pair.key)

    async def answer(_: Request, peer: Peer) -> None:
        await peer.answer(200, config_map("a", 1))

    async def test() -> None:
        async with ScriptedServer(answer, tls) as server:
            async with Api(Access(server.url, str(tmp_path / "sipgateway-test-CA.crt"))) as api:
                assert await api.get("/") == config_map("a", 1)
            async with Api(Access(server.url, str(stranger.certificate))) as api:
                with pytest.raises(ApiError, match="CERTIFICATE_VERIFY_FAILED"):
                    await api.get("/")
            assert len(server.requests) == 1

    run(test())


# Who we are


class Rotated:
    """A token that another one took the place of."""

    def __init__(self, *values: str | Exception) -> None:
        self.values = list(values)
        self.reads = 0
        self.token = Token(self.read)

    async def read(self) -> str:
        self.reads += 1
        value = self.values[min(self.reads, len(self.values)) - 1]
        if isinstance(value, Exception):
            raise value
        return value


def accepting(token: str) -> Script:
    async def answer(request: Request, peer: Peer) -> None:
        if request.token == token:
            await peer.answer(200, config_map("a", 1))
        else:
            await peer.refuse(401, "Unauthorized")

    return answer


def test_a_token_that_was_replaced_is_read_again_when_the_old_one_is_refused() -> None:
    rotated = Rotated("old", "new")

    async def test(api: Api, server: ScriptedServer) -> None:
        await get(api)
        await get(api)
        assert [r.token for r in server.requests] == ["old", "new", "new"]

    against(accepting("new"), test, rotated.token)


def test_many_that_are_refused_at_once_read_the_token_once() -> None:
    rotated = Rotated("old", "new", "never")

    async def test(api: Api, _: ScriptedServer) -> None:
        await asyncio.gather(*(get(api) for _ in range(10)))
        assert rotated.reads == 2

    against(accepting("new"), test, rotated.token)


def test_one_that_is_refused_for_good_is_told_so_after_one_more_try() -> None:
    async def test(api: Api, server: ScriptedServer) -> None:
        with pytest.raises(ApiError) as caught:
            await get(api)
        assert caught.value.status == 401
        assert len(server.requests) == 2

    against(accepting("nobody's"), test, Rotated("mine").token)


@pytest.mark.parametrize("trouble", [FileNotFoundError("token"), ValueError("empty")])
def test_a_token_that_cannot_be_read_for_a_moment_stays_as_it_was(trouble: Exception) -> None:
    rotated = Rotated("mine", trouble)

    async def test(api: Api, server: ScriptedServer) -> None:
        await get(api)
        rotated.token._until = 0.0
        await get(api)
        assert rotated.reads == 2
        assert [r.token for r in server.requests] == ["mine", "mine"]

    against(accepting("mine"), test, rotated.token)


def test_a_token_that_was_never_there_is_an_error_and_no_request() -> None:
    async def test(api: Api, server: ScriptedServer) -> None:
        with pytest.raises(ApiError, match="no token") as caught:
            await get(api)
        assert caught.value.transient
        assert not server.requests

    against(accepting("x"), test, Rotated(FileNotFoundError("token")).token)


def test_a_token_shows_nowhere() -> None:
    token = Rotated("s3cret-token").token
    assert "s3cret" not in repr(Access("https://api.example.com", token=token))

    async def test(api: Api, _: ScriptedServer) -> None:
        with pytest.raises(ApiError) as caught:
            await get(api)
        assert "s3cret" not in repr(token)
        assert "s3cret" not in repr(caught.value)

    against(_short, test, token)


# LISTs


def test_a_list_comes_in_pages() -> None:
    async def answer(request: Request, peer: Peer) -> None:
        if request.query.get("continue") == "t":
            await peer.answer(200, listed(7, config_map("b", 2)))
        else:
            await peer.answer(200, listed(7, config_map("a", 1), more="t"))

    async def test(api: Api, server: ScriptedServer) -> None:
        pages = await everything(api.pages(MAPS, selector="x=y", limit=1))
        assert [[o["metadata"]["name"] for o in page.items] for page in pages] == [["a"], ["b"]]
        assert {page.version for page in pages} == {"7"}
        assert {(r.query["limit"], r.query["labelSelector"]) for r in server.requests} == {("1", "x=y")}

    against(answer, test)


@pytest.mark.parametrize(
    "body", [{}, {"metadata": {}}, {"items": []}, {"metadata": {"resourceVersion": "1"}, "items": 1}]
)
def test_what_is_no_list_does_not_say_that_nothing_is_there(body: Any) -> None:
    async def answer(_: Request, peer: Peer) -> None:
        await peer.answer(200, body)

    error = error_of(answer, lambda api: everything(api.pages(MAPS)))
    assert error.transient
    assert not error.is_status


# Watches


def test_events_come_whole_whatever_their_length_and_wherever_they_are_cut() -> None:
    long = config_map("long", 2, text="x" * 300_000)
    raw = b"".join(
        json.dumps({"type": "MODIFIED", "object": obj}).encode() + b"\n" for obj in (config_map("a", 1), long)
    )

    async def answer(_: Request, peer: Peer) -> None:
        await peer.stream()
        for start in range(0, len(raw), 7001):
            await peer.chunk(raw[start : start + 7001])
        await peer.event("BOOKMARK", {"metadata": {"resourceVersion": "9"}})
        await peer.chunk(b"")

    async def test(api: Api, server: ScriptedServer) -> None:
        opened: list[bool] = []
        events = await all_events(api.watch(MAPS, "0", opened=lambda: opened.append(True)))
        assert [(e.type, e.version) for e in events] == [("MODIFIED", "1"), ("MODIFIED", "2"), ("BOOKMARK", "9")]
        assert events[1].object == long
        assert opened == [True]
        assert server.requests[0].query["allowWatchBookmarks"] == "true"

    against(answer, test)


async def _expired(_: Request, peer: Peer) -> None:
    await peer.stream()
    await peer.event("ERROR", {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old"})


async def _gone(_: Request, peer: Peer) -> None:
    await peer.refuse(410, "Gone")


@pytest.mark.parametrize("script", [_expired, _gone])
def test_a_watch_from_too_long_ago_is_told(script: Script) -> None:
    assert error_of(script, lambda api: all_events(api.watch(MAPS, "1"))).expired


@pytest.mark.parametrize("line", [b"{}\n", b"[]\n", b'{"type":"ADDED","object":{}}\n', b"<html>\n", b'"ERROR"\n'])
def test_what_is_no_event_ends_the_watch_and_may_be_tried_again(line: bytes) -> None:
    async def answer(_: Request, peer: Peer) -> None:
        await peer.stream()
        await peer.chunk(line)

    error = error_of(answer, lambda api: all_events(api.watch(MAPS, "1")))
    assert error.transient
    assert not error.expired


def test_a_watch_that_falls_silent_ends_as_if_its_time_were_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Perhaps nothing happens. It is no failure, and must not be told as one every minute."""

    async def answer(_: Request, peer: Peer) -> None:
        await peer.stream()
        await peer.event("BOOKMARK", {"metadata": {"resourceVersion": "9"}})
        await asyncio.Event().wait()

    async def test(api: Api, _: ScriptedServer) -> None:
        assert [e.version for e in await all_events(api.watch(MAPS, "1"))] == ["9"]

    monkeypatch.setattr(client, "SILENCE", 0.2)
    against(answer, test)


def test_a_watch_that_nobody_accepts_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    async def hang(_request: Request, _peer: Peer) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(client, "SILENCE", 0.2)
    assert error_of(hang, lambda api: all_events(api.watch(MAPS, "1"))).transient


def test_watches_take_no_connection_away_from_requests() -> None:
    async def answer(request: Request, peer: Peer) -> None:
        if "watch" in request.query:
            await peer.stream()
            await asyncio.Event().wait()
        await peer.answer(200, config_map("a", 1))

    async def test(api: Api, server: ScriptedServer) -> None:
        watches = [asyncio.create_task(all_events(api.watch(MAPS, "1"))) for _ in range(5)]
        await server.wait_for(5, "GET")
        await get(api)
        for watch in watches:
            watch.cancel()
        await asyncio.gather(*watches, return_exceptions=True)

    against(answer, test, connections=1)


# Writes


class LostError(Exception):
    pass


def test_a_write_asks_when_it_has_its_connection_and_is_not_sent_when_the_answer_is_no() -> None:
    may = [True]
    release = asyncio.Event()

    def check() -> None:
        if not may[0]:
            raise LostError

    async def answer(request: Request, peer: Peer) -> None:
        if request.method == "GET":
            await release.wait()
        await peer.answer(200, config_map("a", 1))

    async def test(api: Api, server: ScriptedServer) -> None:
        writer = api.guarded(check)
        await writer.patch(f"{MAPS}/a", {})
        reading = asyncio.create_task(get(api))  # it has the only connection: the write has to wait for it
        await server.wait_for(1, "GET")
        writing = asyncio.create_task(writer.patch(f"{MAPS}/a", {}))
        for _ in range(20):  # it has got as far as it can
            await asyncio.sleep(0)
        may[0] = False
        release.set()
        await reading
        with pytest.raises(LostError):
            await writing
        await get(writer)  # reading stays free
        await api.patch(f"{MAPS}/a", {})
        assert len(server.made("PATCH")) == 2

    against(answer, test, connections=1)


def test_a_write_on_a_new_connection_asks_too() -> None:
    async def answer(_: Request, peer: Peer) -> None:
        await peer.answer(200, config_map("a", 1))

    def check() -> None:
        raise LostError

    async def test(api: Api, server: ScriptedServer) -> None:
        writer = api.guarded(check)
        for call in (
            writer.create(MAPS, {}),
            writer.patch(f"{MAPS}/a", {}),
            writer.update(f"{MAPS}/a", {}),
            writer.delete(f"{MAPS}/a", uid="u"),
        ):
            with pytest.raises(LostError):
                await call
        assert not server.requests

    against(answer, test)


def test_a_write_that_is_refused_for_its_token_asks_again_before_it_is_sent_anew() -> None:
    asked: list[float] = []

    def check() -> None:
        asked.append(time.monotonic())
        if len(asked) > 1:
            raise LostError

    async def test(api: Api, server: ScriptedServer) -> None:
        with pytest.raises(LostError):
            await api.guarded(check).patch(f"{MAPS}/a", {})
        assert [r.token for r in server.requests] == ["old"]

    against(accepting("new"), test, Rotated("old", "new").token)


def test_a_deletion_names_exactly_what_was_seen() -> None:
    async def answer(_: Request, peer: Peer) -> None:
        await peer.answer(200, {"kind": "Status"})

    async def test(api: Api, server: ScriptedServer) -> None:
        await api.delete(f"{MAPS}/a", uid="u-1", version="5")
        assert server.requests[0].object == {"preconditions": {"uid": "u-1", "resourceVersion": "5"}}

    against(answer, test)
