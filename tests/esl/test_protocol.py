"""Bytes in, messages out: whatever the split, whatever the bytes."""

from __future__ import annotations

import contextlib
import itertools
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sipgateway.errors import SwitchError
from sipgateway.esl.protocol import (
    MAX_HEADERS,
    ApiResponse,
    AuthRequest,
    CommandReply,
    Disconnect,
    Event,
    Message,
    Protocol,
    State,
)
from tests.canary import Canary
from tests.esl import transcripts

GREETING = b"Content-Type: auth/request\n\n"
ACCEPTED = b"Content-Type: command/reply\nReply-Text: +OK accepted\n\n"
LOGIN = GREETING + ACCEPTED
GOODBYE = b"Content-Type: text/disconnect-notice\nContent-Length: 13\n\nDisconnected\n"


def response(body: bytes) -> bytes:
    return b"Content-Type: api/response\nContent-Length: %d\n\n%s" % (len(body), body)


def event(head: bytes, body: bytes = b"") -> bytes:
    if body:
        head += b"Content-Length: %d\n" % len(body)
    inner = head + b"\n" + body
    return b"Content-Length: %d\nContent-Type: text/event-plain\n\n%s" % (len(inner), inner)


def feed(chunks: list[bytes], *, max_body: int = 64 * 1024 * 1024) -> tuple[list[Message], State, str | None]:
    """Everything that an observer of the protocol can see after these chunks: messages, state, code of the failure."""
    protocol = Protocol(max_body=max_body)
    messages = [message for chunk in chunks for message in protocol.receive(chunk)]
    return messages, protocol.state, None if protocol.failure is None else protocol.failure.finding.code


def pieces(stream: bytes, cuts: list[int]) -> list[bytes]:
    at = [0, *sorted({c % (len(stream) + 1) for c in cuts}), len(stream)]
    return [stream[a:b] for a, b in itertools.pairwise(at)]


def code_of(stream: bytes) -> str | None:
    return feed([stream])[2]


@pytest.mark.parametrize("name", transcripts.NAMES)
def test_a_real_conversation_gives_a_message_for_each_message(name: str) -> None:
    said = transcripts.switch_messages(name)
    messages, _, failure = feed([b"".join(said)])
    assert failure is None
    assert len(messages) == len(said)
    for raw, message in zip(said, messages, strict=True):
        body = raw.partition(b"\n\n")[2]
        if isinstance(message, ApiResponse):
            assert message.body == body
        if isinstance(message, Event):
            assert len(message.headers) == body.rstrip(b"\n").count(b"\n") + 1


@pytest.mark.parametrize("name", transcripts.NAMES)
def test_a_real_conversation_is_the_same_byte_by_byte_and_at_every_split(name: str) -> None:
    stream = b"".join(transcripts.switch_messages(name))
    whole = feed([stream])
    assert feed([bytes([byte]) for byte in stream]) == whole
    for cut in range(0, len(stream), 7):
        assert feed([stream[:cut], stream[cut:]]) == whole


@given(
    name=st.sampled_from(transcripts.NAMES),
    cuts=st.lists(st.integers(min_value=0, max_value=20_000), max_size=40),
)
def test_a_real_conversation_is_the_same_in_any_chunks(name: str, cuts: list[int]) -> None:
    stream = b"".join(transcripts.switch_messages(name))
    assert feed(pieces(stream, cuts)) == feed([stream])


_PART = st.one_of(
    st.binary(max_size=30),
    st.sampled_from(
        [
            *(GREETING, ACCEPTED, GOODBYE, b"\n", b"\n\n", b"Content-Type: ", b"Content-Length: 5\n", b": "),
            b"Content-Type: command/reply\nReply-Text: -ERR invalid\n\n",
            b"Content-Type: text/rude-rejection\nContent-Length: 24\n\nAccess Denied, go away.\n",
            b"Content-Type: log/data\nContent-Length: 2\n\nxx",
            b"Content-Type: api/response\nContent-Length: 99999999999\n\n",
            b"Content-Type: api/response\nContent-Length: -1\n\n",
        ]
    ),
    st.builds(response, st.binary(max_size=50)),
    st.builds(event, st.binary(max_size=50).map(lambda b: b"A: " + b.replace(b"\n", b"%0A") + b"\n"), st.binary()),
    st.integers(min_value=MAX_HEADERS - 3, max_value=MAX_HEADERS + 3).map(lambda n: b"A: " + b"x" * (n - 3)),
)


@given(
    stream=st.lists(_PART, max_size=8).map(b"".join),
    prefix=st.sampled_from([b"", GREETING, LOGIN]),
    cuts=st.lists(st.integers(min_value=0, max_value=200_000), max_size=20),
)
def test_any_bytes_give_the_same_however_they_are_split_and_never_raise(
    stream: bytes, prefix: bytes, cuts: list[int]
) -> None:
    data = prefix + stream
    whole = feed([data], max_body=10_000)
    assert feed(pieces(data, cuts), max_body=10_000) == whole
    if len(data) < 2000:
        assert feed([bytes([byte]) for byte in data], max_body=10_000) == whole


@given(
    headers=st.dictionaries(
        st.from_regex(r"\A[A-Za-z][A-Za-z_-]{0,20}\Z").filter(lambda n: n.lower() != "content-length"),
        st.text(min_size=1).map(lambda t: t.encode("utf-8", "replace")),
        max_size=8,
    ),
    body=st.binary(max_size=100),
)
def test_every_header_of_an_event_arrives_decoded_and_its_body_exactly(headers: dict[str, bytes], body: bytes) -> None:
    head = b"".join(
        name.encode() + b": " + b"".join(b"%%%02X" % byte for byte in value) + b"\n" for name, value in headers.items()
    )
    messages, _, failure = feed([LOGIN + event(head, body)])
    got = messages[-1]
    assert failure is None
    assert isinstance(got, Event)
    assert got.body == body
    assert {n: v.encode("utf-8", "surrogateescape") for n, v in got.headers.items() if n != "Content-Length"} == headers


@given(st.binary(max_size=300))
def test_any_body_arrives_exactly_as_bytes_and_as_text(body: bytes) -> None:
    got = feed([LOGIN + response(body)])[0][-1]
    assert isinstance(got, ApiResponse)
    assert got.body == body
    assert got.text.encode("utf-8", "surrogateescape") == body


def test_the_states_follow_the_login() -> None:
    protocol = Protocol()
    seen = [(protocol.state, protocol.receive(data)) for data in (GREETING, ACCEPTED, GOODBYE, b"")]
    assert seen == [
        (State.WAIT_GREETING, [AuthRequest()]),
        (State.WAIT_AUTH, [CommandReply("+OK accepted")]),
        (State.READY, [Disconnect("Disconnected")]),
        (State.CLOSED, []),
    ]
    assert protocol.failure is None


def test_a_wrong_password_is_a_reply_and_a_goodbye() -> None:
    messages, state, failure = feed([b"".join(transcripts.switch_messages("login"))])
    assert messages[:2] == [AuthRequest(), CommandReply("-ERR invalid")]
    assert isinstance(messages[2], Disconnect)
    assert (state, failure) == (State.CLOSED, None)


def test_after_the_goodbye_nothing_counts() -> None:
    protocol = Protocol()
    protocol.receive(LOGIN + GOODBYE + response(b"late"))
    assert protocol.receive(response(b"later")) == []
    assert protocol.failure is None


def test_a_refusal_by_acl_says_what_to_correct() -> None:
    said = b"Content-Type: text/rude-rejection\nContent-Length: 24\n\nAccess Denied, go away.\n"
    protocol = Protocol()
    assert protocol.receive(said) == []
    assert protocol.failure is not None
    assert protocol.failure.finding.code == "SwitchRefusedAddress"
    assert "apply-inbound-acl" in protocol.failure.finding.action


def test_what_precedes_an_error_is_still_given() -> None:
    messages, state, failure = feed([LOGIN + response(b"+OK\n") + b"HTTP/1.1 400 Bad Request\r\n\n\n"])
    assert messages[-1] == ApiResponse(b"+OK\n")
    assert state is State.CLOSED
    assert failure is not None


@pytest.mark.parametrize(
    "said", [b"SSH-2.0-OpenSSH_9.6\r\n", b"HTTP/1.1 200 OK\r\n", b"220 mail.example.com\r\n", b"\0"]
)
def test_another_service_is_recognised_by_its_first_bytes_though_no_empty_line_comes(said: bytes) -> None:
    assert code_of(said) == "NotAnEventSocket"


@pytest.mark.parametrize(
    "said",
    [
        ACCEPTED,
        response(b"x"),
        event(b"Event-Name: CUSTOM\n"),
        GREETING + GREETING,
        GREETING + response(b"x"),
        GREETING + event(b"Event-Name: CUSTOM\n"),
        LOGIN + GREETING,
        LOGIN + b"Content-Type: text/html\n\n",
        LOGIN + b"Reply-Text: +OK\n\n",
        LOGIN + b"no header\n\n",
    ],
)
def test_a_message_that_is_not_due_is_an_error(said: bytes) -> None:
    assert code_of(said) == "NotAnEventSocket"


@pytest.mark.parametrize("length", [b"-1", b"x", b"1e3", b"+5", b"1_0", "\u0663".encode(), b""])
def test_a_length_that_is_no_number_is_an_error(length: bytes) -> None:
    assert code_of(LOGIN + b"Content-Type: api/response\nContent-Length: " + length + b"\n\n") == "NotAnEventSocket"


def test_a_body_over_the_limit_is_refused_before_it_is_read_and_one_at_the_limit_is_not() -> None:
    protocol = Protocol(max_body=100)
    assert len(protocol.receive(LOGIN + response(b"x" * 100))) == 3
    protocol.receive(b"Content-Type: api/response\nContent-Length: 101\n\n")
    assert protocol.failure is not None
    assert protocol.failure.finding.code == "AnswerTooLarge"


def test_a_length_with_thousands_of_digits_is_refused() -> None:
    said = LOGIN + b"Content-Type: api/response\nContent-Length: " + b"9" * 5000 + b"\n\n"
    assert code_of(said) == "AnswerTooLarge"
    inner = b"Content-Length: " + b"9" * 5000 + b"\n\nbody"
    whole = LOGIN + b"Content-Type: text/event-plain\nContent-Length: %d\n\n%s" % (len(inner), inner)
    assert feed([whole])[2] is None


def test_the_body_of_an_event_ends_where_its_own_length_says() -> None:
    inner = b"Event-Name: CUSTOM\nContent-Length: 4\n\nbodyrest"
    whole = LOGIN + b"Content-Type: text/event-plain\nContent-Length: %d\n\n%s" % (len(inner), inner)
    got = feed([whole])[0][-1]
    assert isinstance(got, Event)
    assert got.body == b"body"


def test_headers_without_an_end_are_refused_at_64_kib() -> None:
    head = b"Content-Type: api/response\nX: "
    fits = head + b"x" * (MAX_HEADERS - len(head))
    assert feed([LOGIN + fits + b"\n\n"])[2] is None
    assert feed([LOGIN + fits + b"\n", b"\n"])[2] is None
    assert code_of(LOGIN + fits + b"x\n\n") == "AnswerTooLarge"
    assert code_of(LOGIN + fits + b"xx") == "AnswerTooLarge"


def test_a_header_name_counts_in_any_case_and_empty_lines_between_messages_do_not() -> None:
    messages, _, failure = feed([b"\n\n\n" + GREETING + b"\n\n" + ACCEPTED.lower().replace(b"+ok", b"+OK") + b"\n"])
    assert messages == [AuthRequest(), CommandReply("+OK accepted")]
    assert failure is None


def test_events_in_formats_that_nobody_asked_for_are_passed_over() -> None:
    messages, state, _ = feed([LOGIN + b"Content-Type: text/event-json\nContent-Length: 2\n\n{}" + response(b"x")])
    assert messages[2:] == [ApiResponse(b"x")]
    assert state is State.READY


@pytest.mark.parametrize(("size", "length"), [(1, 300_000), (1500, 16_000_000)])
def test_a_large_body_in_small_pieces_takes_linear_time(size: int, length: int) -> None:
    stream = LOGIN + response(b"x" * length)
    protocol = Protocol()
    start = time.process_time()
    for at in range(0, len(stream), size):
        protocol.receive(stream[at : at + size])
        if time.process_time() - start > 4:  # copying what is there for each piece takes a minute
            pytest.fail(f"not done after {at} of {len(stream)} bytes")


def test_ten_thousand_messages_at_once_take_linear_time() -> None:
    stream = LOGIN + response(b"1-0a0b0c0d-" + b"f" * 32) * 10_000
    start = time.process_time()
    messages = Protocol().receive(stream)
    assert len(messages) == 10_002
    assert time.process_time() - start < 1.0


@pytest.mark.parametrize("password", ["", "a\nexit", "a\r", "a\0b", "a\ud800"])
def test_a_password_that_is_not_one_line_is_refused_without_showing_it(password: str, canary: Canary) -> None:
    secret = password and canary.password + password
    with pytest.raises(SwitchError) as caught:
        Protocol().send_auth(secret)
    assert caught.value.finding.code == "PasswordUnusable"
    assert caught.value.__cause__ is None
    assert canary.password not in f"{caught.value!r} {caught.value} {caught.value.__context__!r}"


def test_a_password_is_sent_byte_for_byte() -> None:
    assert Protocol().send_auth(" p w:\u00e9\udcff") == b"auth  p w:\xc3\xa9\xff\n\n"


@given(st.text())
def test_one_command_is_one_command(text: str) -> None:
    sent = b""
    with contextlib.suppress(SwitchError):
        sent = Protocol().send_command(text)
    sendable = not set(text) & set("\n\r\0")  # hypothesis draws no surrogates here
    assert bool(sent) is sendable
    assert sent == (text.encode() + b"\n\n" if sendable else b"")


def test_a_subclass_cannot_bring_another_command() -> None:
    assert Protocol().send_subscribe(["sofia::gateway_add", "b"]) == b"event plain CUSTOM sofia::gateway_add b\n\n"
    for subclasses in ([], [""], ["a b"], ["a\nexit"], ["a\tb"], ["a\0"]):
        with pytest.raises(SwitchError):
            Protocol().send_subscribe(subclasses)


def test_the_protocol_does_not_show_what_it_read() -> None:
    protocol = Protocol()
    protocol.receive(LOGIN + b"Content-Type: api/response\nContent-Length: 100\n\nhunter2")
    assert repr(protocol) == "<Protocol READY>"
