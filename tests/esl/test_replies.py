"""Answers of real switches, answers that their source can give, and any text at all."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sipgateway.errors import SwitchError
from sipgateway.esl import replies
from sipgateway.esl.protocol import Event, Protocol
from sipgateway.esl.replies import AliasRow, GatewayEvent, GatewayRow, GatewayStatus, ProfileRow
from tests.esl import transcripts

LINE = "=" * 97
HEADER = f"{'Name':>25}\t   Type\t  {'Data':>40}\tState\n{LINE}\n"


def row(name: str, kind: str, data: str, state: str) -> str:
    """A row as mod_sofia formats it (S: cmd_status)."""
    return f"{name:>25}\t{kind}\t  {data:>40}\t{state}\n"


def table(*rows: str, profiles: int = 1, aliases: int = 0) -> str:
    return (
        f"{HEADER}{''.join(rows)}{LINE}\n"
        f"{profiles} profile{'' if profiles == 1 else 's'} {aliases} alias{'' if aliases == 1 else 'es'}\n"
    )


def xml(**fields: str) -> str:
    return "  <gateway>\n" + "".join(f"    <{k}>{v}</{k}>\n" for k, v in fields.items()) + "  </gateway>\n"


DECLARATION = '<?xml version="1.0" encoding="ISO-8859-1"?>\n'


def code_of(parse: Callable[[str], object], body: str) -> str:
    with pytest.raises(SwitchError) as caught:
        parse(body)
    assert "\n" not in str(caught.value)
    return caught.value.finding.code


# rescan, reloadxml


def test_fact_2_success_is_the_first_line() -> None:
    (_, good) = transcripts.bodies("malformed", "sofia profile external rescan")
    scan = replies.parse_rescan(good)
    assert (scan.reloaded, scan.error, scan.error_line, scan.profile_missing, scan.scan_error) == (
        True,
        None,
        None,
        False,
        None,
    )
    assert scan.raw == good


def test_fact_2_scan_complete_proves_nothing() -> None:
    (bad, _) = transcripts.bodies("malformed", "sofia profile external rescan")
    assert bad.endswith("+OK scan complete\n")
    scan = replies.parse_rescan(bad)
    assert not scan.reloaded
    assert scan.error == "[error near line 48]: unexpected closing tag </gateways>"
    assert scan.error_line == 48


def test_fact_2_reloadxml_says_the_same() -> None:
    bad, good = (replies.parse_reloadxml(body) for body in transcripts.bodies("malformed", "reloadxml"))
    assert (bad.reloaded, bad.error_line) == (False, 48)
    assert (good.reloaded, good.error) == (True, None)


def test_fact_24d_a_profile_that_is_not_there_reloads_nothing() -> None:
    (body,) = transcripts.bodies("errors", "sofia profile nosuch rescan")
    scan = replies.parse_rescan(body)
    assert (scan.reloaded, scan.profile_missing, scan.error) == (False, True, "Invalid Profile [nosuch]")


def test_fact_31_a_full_log_disk_is_an_error_without_a_line() -> None:
    scan = replies.parse_rescan("Reload XML [Cannot Open log directory or XML Root!]\n+OK scan complete\n")
    assert (scan.reloaded, scan.error, scan.error_line) == (False, "Cannot Open log directory or XML Root!", None)


def test_a_profile_that_has_no_configuration_any_more_was_not_scanned() -> None:
    scan = replies.parse_rescan("Reload XML [Success]\n-ERR cannot find config for profile external\n")
    assert (scan.reloaded, scan.scan_error) == (True, "-ERR cannot find config for profile external")


@pytest.mark.parametrize(
    "body",
    [
        "",
        "+OK scan complete\n",
        "Reload XML [Success]",
        "-ERR no reply\n",
        "x\nReload XML [Success]\n+OK scan complete\n",
        "Reload XML [Success] or not\n+OK scan complete\n",
        "Reload XML []\n+OK scan complete\n",
    ],
)
def test_an_answer_of_another_shape_is_no_success(body: str) -> None:
    scan = replies.parse_rescan(body)
    assert not scan.reloaded
    assert scan.error is not None


def test_an_error_text_cannot_pass_for_success() -> None:
    scan = replies.parse_rescan("Reload XML [[error near line 3]: unclosed tag <Success]\n+OK scan complete\n")
    assert (scan.reloaded, scan.error_line) == (False, 3)
    assert not replies.parse_reloadxml("+OK [Success]\nx]\n").reloaded


# killgw, register


def test_fact_14_killgw_marks_or_finds_none() -> None:
    assert [replies.parse_killgw(b) for b in transcripts.bodies("remove", "sofia profile external killgw plain1")] == [
        True
    ]
    (none,) = transcripts.bodies("errors", "sofia profile external killgw nosuch")
    assert replies.parse_killgw(none) is False
    assert replies.parse_killgw("Invalid Profile [nosuch]") is False


def test_killgw_of_every_gateway_is_never_taken_for_ours() -> None:
    assert code_of(replies.parse_killgw, "+OK every gateway marked for deletion.\n") == "SwitchConfused"


def test_fact_28_register_says_whether_it_was_taken() -> None:
    (noreg,) = transcripts.bodies("errors", "sofia profile external register plain1")
    (unknown,) = transcripts.bodies("errors", "sofia profile external register nosuch")
    assert "NOREG" in noreg
    assert [replies.parse_register(body) for body in (noreg, unknown, "+OK\n")] == [False, False, True]


# variables, version


def test_fact_24c_no_reply_is_no_gateway_or_no_variable() -> None:
    assert replies.parse_variable("-ERR no reply\n") is None


@given(st.text(min_size=1).filter(lambda v: v != replies.NO_REPLY and not v.endswith("Command not found!\n")))
def test_every_other_value_of_a_variable_arrives_exactly(value: str) -> None:
    assert replies.parse_variable(value) == value
    assert replies.parse_global_variable(value) == value


@pytest.mark.parametrize("value", ["-ERR no reply", "-ERR x", " ", "\n", "-ERR other Command not found!\n"])
def test_a_value_that_looks_like_an_error_is_a_value(value: str) -> None:
    assert replies.parse_variable(value) == value


def test_the_version_is_one_word() -> None:
    said = "FreeSWITCH Version 1.10.12-release-10222002881-a88d069d6f~64bit (-release-10222002881-a88d069d6f 64bit)\n"
    assert replies.parse_version(said) == "1.10.12-release-10222002881-a88d069d6f~64bit"
    assert code_of(replies.parse_version, "+OK\n") == "SwitchConfused"


# sofia status


def test_fact_20_every_row_of_a_real_table_is_read() -> None:
    (body,) = transcripts.bodies("login-ok", "sofia status")
    status = replies.parse_sofia_status(body)
    assert status.profiles == (ProfileRow("external", "RUNNING (0)"), ProfileRow("internal", "RUNNING (0)"))
    assert status.gateways == (
        GatewayRow("external", "prov", "sip:alice@127.0.0.1:5070", "REGED", None),
        *[GatewayRow("internal", "prov", "sip:FreeSWITCH@5.6.7.8", "NOREG", None)] * 4,
        GatewayRow("internal", "dirgw", "sip:FreeSWITCH@1.2.3.4", "NOREG", None),
    )
    assert status.aliases == ()


def test_fact_39_the_retry_is_no_part_of_the_state() -> None:
    body = transcripts.bodies("remove", "sofia status")[0]
    rows = {r.name: (r.state, r.retry_seconds) for r in replies.parse_sofia_status(body).gateways}
    assert rows["reg3"] == ("FAILED", 4)
    assert rows["reg2"] == ("FAIL_WAIT", 2)
    never = table(row("external::a", "gateway", "sip:a@example.com", "TRYING (retry: NEVER)"))
    assert replies.parse_sofia_status(never).gateways == (
        GatewayRow("external", "a", "sip:a@example.com", "TRYING", None),
    )


def test_aliases_tls_rows_and_long_names_are_read() -> None:
    long = "g" * 255
    body = table(
        row("external", "profile", "sip:mod_sofia@192.0.2.1:5080", "RUNNING (3)"),
        row("external", "profile", "sip:mod_sofia@192.0.2.1:5081", "RUNNING (3) (TLS)"),
        row(f"external::{long}", "gateway", "sip:" + "u" * 100 + "@example.com", "REGED"),
        row("192.0.2.1", "  alias", "external", "ALIASED"),
        aliases=1,
    )
    status = replies.parse_sofia_status(body)
    assert status.profiles == (ProfileRow("external", "RUNNING (3)"), ProfileRow("external", "RUNNING (3) (TLS)"))
    assert status.gateways == (GatewayRow("external", long, "sip:" + "u" * 100 + "@example.com", "REGED", None),)
    assert status.aliases == (AliasRow("192.0.2.1", "external"),)


def test_a_profile_with_colons_and_a_username_with_tabs_do_not_shift_columns() -> None:
    body = table(row("a::b::gw", "gateway", "sip:x\ty\tDOWN@example.com", "REGED"))
    (gateway,) = replies.parse_sofia_status(body).gateways
    assert gateway == GatewayRow("a::b", "gw", "sip:x\ty\tDOWN@example.com", "REGED", None)


def test_a_switch_without_profiles_has_an_empty_table() -> None:
    assert replies.parse_sofia_status(table(profiles=0)) == replies.SofiaStatus((), (), ())


@pytest.mark.parametrize(
    "body",
    [
        "",
        "-ERR no reply\n",
        HEADER,
        table()[:-30],
        table().replace("Name", "Nome"),
        "Invalid Syntax!\n",
        f"{LINE}\n0 profiles",
    ],
)
def test_a_table_without_its_end_never_says_that_nothing_is_loaded(body: str) -> None:
    assert code_of(replies.parse_sofia_status, body) == "SwitchConfused"


STATES = ["UNREGED", "TRYING", "REGISTER", "REGED", "UNREGISTER", "FAILED", "FAIL_WAIT", "EXPIRED", "NOREG", "DOWN"]
ROWS = st.builds(
    GatewayRow,
    profile=st.from_regex(r"\A[A-Za-z0-9_.:\-]{1,40}(?<!:)\Z"),
    name=st.from_regex(r"\A[\w.\-]{1,60}\Z"),
    data=st.text(st.characters(exclude_characters="\n", exclude_categories=["Cs"])).map(lambda t: "sip:" + t),
    state=st.sampled_from(STATES),
    retry_seconds=st.none() | st.integers(min_value=0, max_value=10**9),
)


@given(st.lists(ROWS, max_size=6))
def test_every_table_that_mod_sofia_can_write_is_read_back(rows: list[GatewayRow]) -> None:
    body = table(
        *(
            row(
                f"{r.profile}::{r.name}",
                "gateway",
                r.data,
                r.state + ("" if r.retry_seconds is None else f" (retry: {r.retry_seconds}s)"),
            )
            for r in rows
        )
    )
    assert list(replies.parse_sofia_status(body).gateways) == rows


# sofia xmlstatus


def test_a_real_gateway_is_read() -> None:
    (body,) = transcripts.bodies("add-noreg", "sofia xmlstatus gateway plain1")
    assert replies.parse_gateway_xml(body) == GatewayStatus(
        "plain1", "external", "NOREG", "UP", None, "<sip:gw+plain1@127.0.0.1:5080;transport=udp;gw=plain1>"
    )
    (none,) = transcripts.bodies("add-noreg", "sofia xmlstatus gateway nosuch")
    assert replies.parse_gateway_xml(none) is None


def test_all_real_gateways_are_read_ghosts_included() -> None:
    (body,) = transcripts.bodies("errors", "sofia xmlstatus gateways")
    found = list(replies.parse_all_gateways(body))
    assert [g.name for g in found] == ["reg3", "reg2", "reg1", "plain1", "prov", "prov", "prov", "prov", "dirgw"]
    assert [(g.state, g.status, g.retry_seconds) for g in found[:3]] == [
        ("FAILED", "DOWN", 4),
        ("FAIL_WAIT", "DOWN", 2),
        ("REGED", "UP", None),
    ]


@pytest.mark.parametrize("user", ["a&b", "a<b", "]]>", "&#0;", "</username>", "<state>REGED</state>", "\udcff", "<!--"])
def test_fact_39_a_username_breaks_no_other_field(user: str) -> None:
    body = DECLARATION + xml(
        name="a",
        profile="p",
        username=user,
        contact="&lt;sip:x&amp;lt;@y&gt;",
        state="TRYING",
        status="DOWN",
        retry="NEVER",
    )
    assert replies.parse_gateway_xml(body) == GatewayStatus("a", "p", "TRYING", "DOWN", None, "<sip:x&lt;@y>")


def test_a_username_with_lines_of_its_own_changes_neither_name_nor_state() -> None:
    user = "x\n    <name>b</name>\n    <profile>q</profile>\n    <state>REGED</state>\n    <status>UP</status>\n"
    body = DECLARATION + xml(name="a", profile="p", username=user, state="FAILED", status="DOWN", retry="7s")
    assert replies.parse_gateway_xml(body) == GatewayStatus("a", "p", "FAILED", "DOWN", 7, "")


@pytest.mark.parametrize("body", ["", "-ERR no reply\n", DECLARATION, DECLARATION + xml(name="a")[:-3]])
def test_a_part_of_a_gateway_is_an_error(body: str) -> None:
    assert code_of(replies.parse_gateway_xml, body) == "SwitchConfused"


def test_a_part_of_the_list_is_an_error_before_the_first_gateway_is_given() -> None:
    whole = DECLARATION + "<gateways>\n" + xml(name="a") + xml(name="b") + "</gateways>\n"
    assert [g.name for g in replies.parse_all_gateways(whole)] == ["a", "b"]
    assert list(replies.parse_all_gateways(DECLARATION + "<gateways>\n</gateways>\n")) == []
    assert code_of(replies.parse_all_gateways, whole[:-5]) == "SwitchConfused"


# a module that is not loaded

PARSERS: list[Callable[[str], object]] = [
    replies.parse_rescan,
    replies.parse_reloadxml,
    replies.parse_killgw,
    replies.parse_register,
    replies.parse_variable,
    replies.parse_global_variable,
    replies.parse_version,
    replies.parse_sofia_status,
    replies.parse_gateway_xml,
    lambda body: list(replies.parse_all_gateways(body)),
]


@pytest.mark.parametrize(
    ("parse", "command"),
    [
        (replies.parse_rescan, "sofia"),
        (replies.parse_killgw, "sofia"),
        (replies.parse_register, "sofia"),
        (replies.parse_sofia_status, "sofia"),
        (replies.parse_gateway_xml, "sofia"),
        (replies.parse_all_gateways, "sofia"),
        (replies.parse_variable, "sofia_gateway_data"),
        (replies.parse_reloadxml, "reloadxml"),
        (replies.parse_version, "version"),
        (replies.parse_global_variable, "global_getvar"),
    ],
)
def test_a_module_that_is_not_loaded_is_not_a_gateway_that_is_gone(
    parse: Callable[[str], object], command: str
) -> None:
    assert code_of(parse, f"-ERR {command} Command not found!\n") == "SwitchNotReady"


_WORDS = st.sampled_from(
    [
        "Reload XML [",
        "]",
        "+OK ",
        "-ERR ",
        "Command not found!",
        "\n",
        "\t",
        HEADER,
        LINE,
        "0 profiles 0 aliases",
        DECLARATION,
        "<gateway>",
        "    <state>",
        "</state>",
        "  </gateway>\n",
        "</gateways>\n",
        "gateway",
        "::",
        " (retry: ",
        "s)",
        "[error near line 9]",
    ]
)


@given(
    st.one_of(st.text(), st.lists(_WORDS | st.text(max_size=5), max_size=12).map("".join), st.binary().map(bytes.hex))
)
def test_no_text_makes_a_parser_raise_anything_but_a_switch_error(body: str) -> None:
    for parse in PARSERS:
        try:
            parse(body)
        except SwitchError as error:
            assert error.finding.code in {"SwitchConfused", "SwitchNotReady"}  # noqa: PT017


# events


def events_of(name: str) -> list[GatewayEvent]:
    stream = b"".join(transcripts.switch_messages(name))
    found = [replies.parse_gateway_event(m) for m in Protocol().receive(stream) if isinstance(m, Event)]
    return [event for event in found if event is not None]


def test_fact_22_events_of_a_refused_registration() -> None:
    events = events_of("register-refused")
    assert [(e.kind, e.state, e.status, e.phrase) for e in events[:4]] == [
        ("add", None, None, None),
        ("state", "TRYING", None, None),
        ("state", "FAILED", 904, "Operation has no matching challenge "),
        ("state", "FAIL_WAIT", None, None),
    ]
    assert events[0] == GatewayEvent("add", "reg2", "external", None, None, None, None, 1795419645321906)
    assert {(e.gateway, e.profile, e.ping_status) for e in events if e.kind == "state"} == {("reg2", None, "DOWN")}


def test_fact_14_a_deletion_names_its_profile() -> None:
    deleted = [e for e in events_of("remove") if e.kind == "delete"]
    assert [(e.gateway, e.profile) for e in deleted] == [(n, "external") for n in ("plain1", "reg3", "reg2", "reg1")]


def test_facts_30_and_35_profile_start_and_ignored_challenge() -> None:
    start = Event({"Event-Subclass": "sofia::profile_start", "profile_name": "external", "module_name": "mod_sofia"})
    assert replies.parse_gateway_event(start) == GatewayEvent(
        "profile_start", "", "external", None, None, None, None, 0
    )
    challenge = Event({"Event-Subclass": "sofia::gateway_invalid_digest_req", "Gateway": "a", "profile-name": "p"})
    assert replies.parse_gateway_event(challenge) == GatewayEvent(
        "invalid_digest_req", "a", "p", None, None, None, None, 0
    )


def test_an_event_of_another_kind_is_none_of_ours() -> None:
    assert replies.parse_gateway_event(Event({"Event-Name": "HEARTBEAT"})) is None
    assert replies.parse_gateway_event(Event({"Event-Name": "CUSTOM", "Event-Subclass": "sofia::register"})) is None


@given(st.dictionaries(st.sampled_from(["Gateway", "State", "Status", "Phrase", "Event-Date-Timestamp"]), st.text()))
def test_any_headers_make_an_event(headers: dict[str, str]) -> None:
    event = replies.parse_gateway_event(Event(headers | {"Event-Subclass": "sofia::gateway_state"}))
    assert event is not None
    assert event.gateway == headers.get("Gateway", "")
    assert event.timestamp >= 0


# how long it takes


def test_ten_thousand_rows_are_read_in_a_fraction_of_a_second() -> None:
    body = table(*(row(f"external::gw-{i:05}", "gateway", f"sip:u{i}@example.com", "REGED") for i in range(10_000)))
    seconds = min(_seconds(replies.parse_sofia_status, body) for _ in range(3))
    assert seconds < 0.5


def _seconds(parse: Callable[[str], object], body: str) -> float:
    start = time.process_time()
    parse(body)
    return time.process_time() - start
