"""Facts 20 to 24 and 24d to 24h: reading state; events; what a restart remembers."""

from __future__ import annotations

import re
import time
import urllib.parse

import pytest

from tests.contract.lab import Lab, stamp

LINE = "=" * 97


def test_fact_20_status_lists_and_xmlstatus_describes(lab: Lab) -> None:
    name = lab.name()
    lab.gateway(name, variables=[("both", "1"), ("out", "2", "outbound")])
    lab.rescan()
    lines = lab.api("sofia status").split("\n")
    assert lines[0] == f"{'Name':>25}\t   Type\t  {'Data':>40}\tState"
    assert lines[1] == LINE
    assert lines[-3] == LINE
    assert re.fullmatch(r"\d+ profiles? \d+ alias(es)?", lines[-2])
    assert lab.rows(name) == [f"{'external::' + name:>25}\tgateway\t  {'sip:FreeSWITCH@192.0.2.10':>40}\tNOREG"]
    fields = list(lab.xml(name))
    assert fields[:5] == ["name", "profile", "scheme", "realm", "username"]
    assert fields[-4:] == ["calls-in", "calls-out", "failed-calls-in", "failed-calls-out"]
    every = lab.api("sofia xmlstatus gateways")
    assert f"    <name>{name}</name>\n" in every
    assert [lab.value(name, "both", kind) for kind in ("ivar", "ovar", "var")] == ["1", "1", "1"]
    assert [lab.value(name, "out", kind) for kind in ("ivar", "ovar", "var")] == [None, "2", "2"]


def test_fact_21_register_means_a_200_and_becomes_reged_at_the_next_tick(lab: Lab) -> None:
    name = lab.name()
    lab.listen()
    lab.registering(name)
    lab.rescan()
    assert lab.state(name) in {"UNREGED", "TRYING", "REGISTER", "REGED"}
    trying = lab.event(subclass="gateway_state", Gateway=name)
    register = lab.event(subclass="gateway_state", Gateway=name)
    reged = lab.event(subclass="gateway_state", Gateway=name)
    assert [e["State"] for e in (trying, register, reged)] == ["TRYING", "REGISTER", "REGED"]
    assert [e["Ping-Status"] for e in (trying, register, reged)] == ["DOWN", "DOWN", "UP"]
    assert stamp(reged) - stamp(trying) == pytest.approx(1.0, abs=0.1)
    assert lab.xml(name)["status"] == "UP"


def test_fact_22_state_events_name_no_profile_and_are_url_encoded(lab: Lab) -> None:
    name = lab.name()
    lab.listen()
    lab.registering(name)
    lab.rescan()
    add = lab.event(subclass="gateway_add", Gateway=name)
    assert add["profile-name"] == "external"
    state = lab.event(Gateway=name, State="REGISTER")
    assert (state["Status"], state["Phrase"]) == ("200", "OK")
    assert "profile-name" not in state
    assert "Event-Subclass: sofia%3A%3Agateway_state\n" in state["_raw"]
    order = [line.split(":")[0] for line in state["_raw"].strip().split("\n")]
    assert order[:3] == ["Event-Subclass", "Event-Name", "Core-UUID"]
    assert order[-7:] == [
        "Gateway",
        "State",
        "Ping-Status",
        "Register-Network-IP",
        "Register-Network-Port",
        "Phrase",
        "Status",
    ]


def test_fact_23_the_wait_grows_with_the_failures(lab: Lab) -> None:
    name = lab.name()
    lab.registering(name, user="badretry", retry_seconds="5")
    lab.rescan()
    for count, seconds in enumerate((5, 10, 15) if lab.simulated else (5, 10), start=1):
        line = f"{name} Failed Registration [403], setting retry to {seconds} seconds."
        lab.until_logged(line, seconds=10 + 5 * count)


def test_fact_24_a_restarted_switch_knows_the_files_only(lab: Lab) -> None:
    lab.only_simulated("the switch cannot be restarted from here")
    kept, gone = lab.name("kept"), lab.name("gone")
    lab.registering(kept)
    path = lab.gateway(gone)
    lab.rescan()
    lab.until_state(kept, "REGED")
    lab.remove(path)
    lab.restart_switch()
    lab.until_state(kept, "REGED")
    assert not lab.loaded(gone)


def test_fact_24d_error_replies(lab: Lab) -> None:
    name = lab.name("nosuch")
    assert lab.api(f"sofia profile {name} rescan") == f"Invalid Profile [{name}]"
    assert lab.api(f"sofia profile {name} killgw x") == f"Invalid Profile [{name}]"
    assert lab.api(f"sofia status gateway {name}") == "Invalid Gateway!\n"
    assert lab.api(f"sofia xmlstatus gateway {name}") == "Invalid Gateway!\n"
    assert lab.api("nosuchcmd") == "-ERR nosuchcmd Command not found!\n"
    assert lab.api("sofia profile external killgw") == "-ERR missing gw name\n"
    assert lab.api(f"sofia profile external register {name}") == "Invalid gateway!\n"
    assert lab.api("sofia profile external register") == "No gateway name provided!\n"
    assert lab.api(f"sofia profile external startgw {name}").endswith(f"+OK start gateway {name} complete\n")
    assert lab.api("sofia profile external") == "Invalid Args!\n"
    assert lab.api(f"sofia_gateway_data {name} ovar v") == "-ERR no reply\n"
    assert lab.api("sofia nosuch") == "Unknown Command [nosuch]\n"
    assert lab.api("sofia status nosuch x") == "Invalid Syntax!\n"
    assert lab.api("sofia profile external nosuch") == "-ERR Unknown command!\n"
    assert lab.api("global_getvar ct_never_set") == "-ERR no reply\n"
    assert lab.api("uuid_kill ct-nosuch") == "-ERR No such channel!\n"
    assert lab.api(f"originate sofia/gateway/{name}/1 &park()") == "-ERR INVALID_GATEWAY\n"
    assert lab.api("sofia_gateway_data") == "-ERR Parameter missing\n"


def test_fact_24e_pipelined_commands_are_answered_in_order(lab: Lab) -> None:
    names = [lab.name("pipe") for _ in range(50)]
    for number, name in enumerate(names):
        lab.gateway(name, variables=[("v", str(number))])
    lab.rescan()
    for name in names:
        lab.esl.send(f"api sofia_gateway_data {name} ovar v")
    assert [lab.esl.reply()["_body"] for _ in names] == [str(number) for number in range(50)]
    assert "sipgw" not in lab.api("sofia xmlstatus gateways").split(f"<name>{names[0]}</name>")[1][:900]


def test_fact_24f_a_ping_user_agent_is_lost_with_the_next_reload(lab: Lab) -> None:
    lab.only_simulated("the ping's headers cannot be seen")
    name = lab.name()
    lab.gateway(name, {"proxy": lab.where.registrar, "ping": "5", "ping-user-agent": "ct-agent"})
    lab.rescan()
    lab.until(lambda: len(lab.journal(name, "OPTIONS")) > 0, 10)
    lab.api("reloadxml")
    seen = len(lab.journal(name, "OPTIONS"))
    lab.until(lambda: len(lab.journal(name, "OPTIONS")) > seen, 10)
    agents = [message["user_agent"] for message in lab.journal(name, "OPTIONS")]
    assert agents[0] == "ct-agent"
    assert not agents[-1]


def test_fact_24g_an_aleg_domain_stands_literally_in_pings_and_registers(lab: Lab) -> None:
    name = lab.name()
    lab.registering(name, from_domain="auto-aleg-domain", ping="5")
    lab.rescan()
    assert lab.xml(name)["from"] == "<sip:alice@auto-aleg-domain>"
    if lab.simulated:
        lab.until(lambda: len(lab.journal(name, "OPTIONS")) > 0, 12)
        ping = lab.journal(name, "OPTIONS")[0]
        assert ping["from_"] == ping["to"] == "<sip:auto-aleg-domain>"
        assert lab.journal(name)[0]["from_"] == "<sip:alice@auto-aleg-domain>"
        lab.until_state(name, "REGED")
        lab.api(f"originate sofia/gateway/{name}/1000 &park()")
        assert "auto-aleg" not in lab.journal(name, "INVITE")[0]["from_"]


def test_fact_24h_a_proxy_with_a_scheme_doubles_it_in_the_request(lab: Lab) -> None:
    name, plain = lab.name("scheme"), lab.name("transport")
    lab.registering(name, proxy=f"sip:{lab.where.registrar}")
    lab.registering(plain, proxy=f"{lab.where.registrar};transport=udp", register_transport="tcp")
    lab.rescan()
    assert lab.xml(name)["proxy"] == f"sip:{lab.where.registrar}"
    assert lab.xml(plain)["proxy"] == f"sip:{lab.where.registrar};transport=udp"
    lab.sleep(2.5)
    assert lab.state(name) != "REGED"
    if lab.simulated:
        lab.until_state(plain, "REGED")
        assert lab.journal(plain)[0]["request_uri"] == f"sip:{lab.where.registrar};transport=udp"


def test_fact_27_the_event_socket_greets_authenticates_and_says_goodbye(lab: Lab) -> None:
    assert lab.esl.greeting["_head"] == "Content-Type: auth/request"
    assert lab.esl.accepted["_head"] == "Content-Type: command/reply\nReply-Text: +OK accepted"
    wrong = lab.connect("wrong-password")
    assert wrong.accepted["Reply-Text"] == "-ERR invalid"
    notice = wrong.frame()
    assert notice["_head"] == "Content-Type: text/disconnect-notice\nContent-Length: 67"
    assert notice["_body"] == "Disconnected, goodbye.\nSee you at ClueCon! http://www.cluecon.com/\n"
    other = lab.connect()
    assert other.command("nosuch")["Reply-Text"] == "-ERR command not found"
    assert other.command("event plain")["Reply-Text"] == "-ERR no keywords supplied"
    assert other.command("noevents")["Reply-Text"] == "-ERR not listening for events"
    assert other.command("event plain BACKGROUND_JOB")["Reply-Text"] == "+OK event listener enabled plain"
    job = other.command("bgapi sofia profile ct-nosuch rescan")
    assert job["Reply-Text"] == f"+OK Job-UUID: {job['Job-UUID']}"
    event = other.wait_event(5)
    assert event is not None
    assert (event["Event-Name"], event["Job-UUID"]) == ("BACKGROUND_JOB", job["Job-UUID"])
    assert (event["Job-Command"], event["Job-Command-Arg"]) == ("sofia", "profile ct-nosuch rescan")
    assert event["_body"] == "Invalid Profile [ct-nosuch]"
    assert other.command("nixevent BACKGROUND_JOB")["Reply-Text"] == "+OK events nixed"
    assert other.command("noevents")["Reply-Text"] == "+OK no longer listening for events"
    assert other.command("exit")["Reply-Text"] == "+OK bye"
    assert other.frame()["Content-Type"] == "text/disconnect-notice"


def test_fact_27_the_tick_goes_on_while_a_connection_is_busy(lab: Lab) -> None:
    name = lab.name()
    path = lab.gateway(name)
    lab.rescan()
    lab.listen()
    lab.remove(path)
    lab.kill(name)
    deadline = time.monotonic() + 2.5 / lab.where.speed
    while time.monotonic() < deadline:
        lab.esl.send("api sofia status")
        lab.esl.reply()
    assert urllib.parse.unquote(lab.deletion(name)["Gateway"]) == name
