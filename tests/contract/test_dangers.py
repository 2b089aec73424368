"""Facts 25 to 41: sections, variables, and what goes wrong."""

from __future__ import annotations

import os

import pytest

from tests.contract.lab import Lab, stamp

LOADED = "Reload XML [Success]\n+OK scan complete\n"


def test_fact_25_directory_gateways_load_on_rescan_of_their_profile(lab: Lab) -> None:
    name = lab.name()
    lab.gateway(name, place="directory")
    assert lab.rescan("external") == LOADED
    assert not lab.loaded(name)
    assert lab.rescan("internal") == LOADED
    assert lab.xml(name)["profile"] == "internal"


def test_fact_26_a_direction_other_than_two_words_sets_nothing(lab: Lab) -> None:
    name = lab.name()
    variables = [("none", "1"), ("in", "1", "InBound"), ("out", "1", "outbound"), ("both", "1", "both")]
    lab.gateway(name, variables=variables)
    lab.rescan()
    found = {v[0]: (lab.value(name, v[0], "ivar"), lab.value(name, v[0], "ovar")) for v in variables}
    assert found == {"none": ("1", "1"), "in": ("1", None), "out": (None, "1"), "both": (None, None)}


@pytest.mark.destructive
@pytest.mark.parametrize("verb", ["register", "unregister"])
def test_fact_28_registering_a_noreg_gateway_leaks_a_lock_and_the_profile_is_lost(lab: Lab, verb: str) -> None:
    if not lab.simulated:
        pytest.skip("the profile would be gone until the switch itself restarts")
    name = lab.name()
    lab.gateway(name, place="internal")
    lab.rescan("internal")
    expected = f"-ERR NOREG gateway [{name}] can't be {verb}ed!\n"
    assert lab.api(f"sofia profile external {verb} {name}") == expected
    assert lab.api("sofia profile internal rescan") == LOADED
    lab.until(lambda: lab.api("sofia profile internal restart").startswith("Reload XML"), 14)
    lab.sleep(6)
    assert lab.rescan("internal") == "Invalid Profile [internal]"
    assert "internal\tprofile" not in lab.api("sofia status")
    lab.restart_switch()


def test_fact_29_rescan_applies_the_profiles_changed_settings(lab: Lab) -> None:
    lab.only_simulated("the profile's own file is not ours")
    before, after = lab.name("before"), lab.name("after")
    root = lab.where.conf / "freeswitch.xml"
    whole = root.read_text()
    lab.gateway(before)
    lab.rescan()
    try:
        root.write_text(whole.replace('name="context" value="public"', 'name="context" value="changed"'))
        lab.gateway(after)
        lab.rescan()
        assert (lab.xml(before)["context"], lab.xml(after)["context"]) == ("public", "changed")
    finally:
        root.write_text(whole)
        lab.rescan()


@pytest.mark.destructive
def test_fact_30_a_restart_takes_seconds_and_is_refused_within_ten_of_a_start(lab: Lab) -> None:
    lab.only_destructive()
    name = lab.name()
    lab.gateway(name, variables=[("v", "1")])
    lab.rescan()
    listener = lab.connect()
    listener.command("event plain CUSTOM sofia::profile_start")
    lab.until(lambda: lab.api("sofia profile external restart") == "Reload XML [Success]\nrestarting: external", 14)
    before = lab.now()
    assert lab.rescan() == "Invalid Profile [external]"
    assert lab.value(name, "v") is None
    event = listener.wait_event(30)
    assert event is not None
    assert event["profile_name"] == "external"
    assert 0.5 < stamp(event) - before < 15
    lab.until(lambda: lab.value(name, "v") == "1", 10)
    reply = lab.api("sofia profile external restart")
    assert reply.startswith("Profile external must be up for at least 10 seconds to stop/restart.\nPlease wait ")


def test_fact_31_a_dangling_link_is_skipped_and_a_dot_file_not_seen(lab: Lab) -> None:
    good, hidden = lab.name("good"), lab.name("hidden")
    link = lab.folder("external") / f"ct{os.getpid()}-dangling.xml"
    link.symlink_to("/nonexistent/ct.xml")
    lab.files.append(link)
    lab.gateway(good)
    hidden_path = lab.folder("external") / f".ct{os.getpid()}-hidden.xml"
    hidden_path.write_text(f'<gateway name="{hidden}"><param name="register" value="false"/></gateway>\n')
    lab.files.append(hidden_path)
    assert lab.rescan() == LOADED
    assert lab.loaded(good)
    assert not lab.loaded(hidden)
    lab.until(lambda: str(link) in lab.log())


def test_fact_31_an_include_without_a_match_is_harmless(lab: Lab) -> None:
    name = lab.name()
    include = '<X-PRE-PROCESS cmd="include" data="/nonexistent/ct-*.xml"/>'
    lab.write(f'{include}\n<gateway name="{name}">\n<param name="register" value="false"/>\n</gateway>\n')
    assert lab.rescan() == LOADED
    assert lab.loaded(name)


def test_fact_31_a_log_folder_that_takes_nothing_blocks_everything(lab: Lab) -> None:
    lab.only_simulated("a full log disk cannot be made")
    name = lab.name()
    blocker = lab.where.log.parent / "freeswitch.xml.fsxml.tmp"
    blocker.mkdir()
    try:
        lab.gateway(name)
        assert lab.rescan() == "Reload XML [Cannot Open log directory or XML Root!]\n+OK scan complete\n"
        assert not lab.loaded(name)
    finally:
        blocker.rmdir()


def test_fact_32_names_are_case_sensitive_and_255_bytes_long(lab: Lab) -> None:
    lower = lab.name("case")
    upper, longest, longer = lower.upper(), (lower + "x" * 300)[:255], (lower + "y" * 300)[:256]
    lab.gateway(lower, variables=[("v", "lower")])
    lab.gateway(upper, variables=[("v", "upper")])
    lab.registering(longest)
    lab.registering(longer)
    assert lab.rescan() == LOADED
    assert (lab.value(lower, "v"), lab.value(upper, "v")) == ("lower", "upper")
    # The carrier may refuse so long a Contact, but its answer is heard.
    lab.until_state(longest, "REGED", "FAILED", "FAIL_WAIT")
    lab.sleep(2)
    assert lab.state(longer) == "TRYING"
    for name in (longest, longer):
        lab.kill(name)


@pytest.mark.destructive
def test_fact_32_all_loads_as_a_name_but_acts_on_every_gateway(lab: Lab) -> None:
    lab.only_destructive()
    one, other = lab.name("one"), lab.name("other")
    lab.registering(one, user="u1")
    lab.registering(other, user="u2")
    for name in ("all", "_all_"):
        lab.gateway(name)
    lab.rescan()
    assert lab.loaded("all")
    assert lab.loaded("_all_")
    for name in (one, other):
        lab.until_state(name, "REGED")
    lab.listen()
    assert lab.api("sofia profile external register ALL") == "+OK\n"
    for name in (one, other):
        lab.event(Gateway=name, State="REGISTER")
    assert lab.api("sofia profile external killgw _ALL_") == "+OK every gateway marked for deletion.\n"
    for name in (one, other, "all", "_all_"):
        lab.deletion(name)


def test_fact_33_contact_params_can_put_a_header_on_the_wire(lab: Lab) -> None:
    lab.only_simulated("the REGISTER's headers cannot be seen")
    name = lab.name()
    lab.registering(name, contact_params="a=1>\r\nX-Injected: yes\r\nX-Rest: <")
    lab.rescan()
    lab.until(lambda: len(lab.journal(name)) > 0)
    assert "\r\nX-Injected: yes\r\n" in lab.journal(name)[0]["wire"]


@pytest.mark.parametrize("user", ["a b", "a;b", "a%zz", "a?b", "a\r\nb", "a<b", 'a"b', "a\\b", "a,b"])
def test_fact_33_a_user_name_that_cannot_be_sent_stays_trying(lab: Lab, user: str) -> None:
    name = lab.name()
    lab.registering(name, user=user)
    lab.rescan()
    lab.until_state(name, "TRYING")
    lab.sleep(2.5)
    assert lab.state(name) == "TRYING"
    if lab.simulated:
        assert lab.journal(name) == []


@pytest.mark.parametrize("user", ["a@b", "a:b"])
def test_fact_33_a_user_name_that_is_taken_apart_fails(lab: Lab, user: str) -> None:
    name = lab.name()
    lab.registering(name, user=user)
    lab.rescan()
    lab.until_state(name, "FAILED", "FAIL_WAIT")


@pytest.mark.parametrize(
    ("variables", "name", "expected"),
    [
        ([("v", " leading and trailing \t\n"), ("w", "1")], "v", " leading and trailing \t\n"),
        ([("v", "ARRAY::a|:b")], "v", "ARRAY::a|:b"),
        ([("v", "ARRAY::a")], "v", "a"),
        ([("v", "ARRAY::")], "v", None),
        ([("v", "1"), ("v", "")], "v", None),
        ([("v", "1"), ("V", "2")], "V", "1"),
        ([("v", "${x} $${y} %41")], "v", "${x} $${y} %41"),
        ([("v[0]", "x")], "v", "x"),
        ([("a b", "x")], "a b", None),
    ],
)
def test_fact_33_variables_arrive_but_for_the_events_own_words(
    lab: Lab, variables: list[tuple[str, str]], name: str, expected: str | None
) -> None:
    gateway = lab.name()
    lab.gateway(gateway, variables=variables)
    lab.rescan()
    assert lab.value(gateway, name) == expected


def test_fact_34_a_long_digest_is_cut_and_refused(lab: Lab) -> None:
    short, long = lab.name("short"), lab.name("long")
    lab.listen()
    # Digest:"REALM":USER:pw-USER is 255 bytes long with a user of 116 and the realm 127.0.0.1.
    lab.registering(short, user="s" * 60)
    lab.registering(long, user="l" * 130)
    lab.rescan()
    lab.until_state(short, "REGED")
    assert lab.event(Gateway=long, State="FAILED")["Status"] == "403"


def test_fact_35_a_challenge_from_elsewhere_is_not_answered(lab: Lab) -> None:
    name = lab.name()
    lab.listen()
    lab.registering(name, gw_auth_acl="ct-no-such-list")
    lab.rescan()
    event = lab.event(subclass="gateway_invalid_digest_req", Gateway=name)
    assert event["profile-name"] == "external"
    assert event["realm"]
    lab.sleep(2)
    assert lab.state(name) == "TRYING"


def test_fact_35_the_address_is_compared_with_the_proxies(lab: Lab) -> None:
    lab.only_simulated("a registrar cannot be told to challenge from elsewhere")
    name, mended = lab.name("odd"), lab.name("mended")
    odd = "192.0.2.35:5060"
    lab.control("registrar", address=odd, set={"challenge_from": "192.0.2.99", "realm": "odd"})
    lab.listen()
    lab.registering(name, proxy=odd)
    lab.registering(mended, proxy=odd, outbound_proxy="192.0.2.99")
    bare = lab.name("bare")
    lab.registering(bare, proxy="127.0.0.1;transport=udp", register_proxy="192.0.2.36")
    lab.control("registrar", address="192.0.2.36:5060", set={"challenge_from": "127.0.0.1", "realm": "odd"})
    lab.rescan()
    lab.event(subclass="gateway_invalid_digest_req", Gateway=name)
    lab.event(subclass="gateway_invalid_digest_req", Gateway=bare)
    lab.until_state(mended, "REGED")
    assert lab.state(name) == "TRYING"


def test_fact_36_a_refresh_is_no_loss(lab: Lab) -> None:
    name = lab.name()
    lab.registering(name)
    lab.rescan()
    lab.until_state(name, "REGED")
    lab.listen()
    assert lab.api(f"sofia profile external register {name}") == "+OK\n"
    states = [lab.event(subclass="gateway_state", Gateway=name) for _ in range(3)]
    assert [event["State"] for event in states] == ["TRYING", "REGISTER", "REGED"]
    assert {event["Ping-Status"] for event in states} == {"UP"}
    assert stamp(states[2]) - stamp(states[0]) == pytest.approx(1.0, abs=0.2)


def test_fact_36_failed_carries_the_status_and_fail_wait_does_not(lab: Lab) -> None:
    name = lab.name()
    lab.listen()
    lab.registering(name, user="badbob")
    lab.rescan()
    failed = lab.event(Gateway=name, State="FAILED")
    waiting = lab.event(Gateway=name, State="FAIL_WAIT")
    assert failed["Status"] == "403"
    assert failed["Phrase"] == "Forbidden"
    assert "Status" not in waiting


def test_fact_36_a_name_that_does_not_resolve_is_the_switchs_own_503(lab: Lab) -> None:
    name = lab.name()
    lab.listen()
    lab.registering(name, proxy="ct-nowhere.invalid")
    lab.rescan()
    try:
        failed = lab.event(seconds=10, Gateway=name, State="FAILED")
    except AssertionError:
        lab.only_simulated("its resolver does not answer at all")
        raise
    assert (failed["Status"], failed["Phrase"]) == ("503", "DNS Error")


def test_fact_37_an_unanswered_ping_takes_a_noreg_gateway_down_by_count(lab: Lab) -> None:
    name = lab.name()
    lab.gateway(name, {"proxy": "127.0.0.1:15999", "ping": "5"})
    lab.rescan()
    assert lab.xml(name)["status"] == "UP"
    lab.until(lambda: lab.xml(name)["status"] == "DOWN", 12)
    assert lab.state(name) == "NOREG"


def test_fact_37_one_failed_ping_takes_a_registered_gateway_down(lab: Lab) -> None:
    lab.only_simulated("a registrar cannot be told to ignore pings")
    name = lab.name()
    deaf = "192.0.2.37:5060"
    lab.control("registrar", address=deaf, set={"options": 503, "realm": "deaf"})
    lab.listen()
    lab.registering(name, proxy=deaf, ping="5", ping_max="9", ping_min="1")
    lab.rescan()
    lab.until_state(name, "REGED")
    waiting = lab.event(Gateway=name, State="FAIL_WAIT", seconds=20)
    assert waiting["Ping-Status"] == "DOWN"


def test_fact_37_ping_max_below_ping_min_never_comes_up_again(lab: Lab) -> None:
    lab.only_simulated("a registrar cannot be told to ignore pings")
    name = lab.name()
    deaf = "192.0.2.38:5060"
    lab.control("registrar", address=deaf, set={"options": 503, "realm": "deaf"})
    lab.gateway(name, {"proxy": deaf, "ping": "5", "ping-max": "1", "ping-min": "2"})
    lab.rescan()
    lab.until(lambda: lab.xml(name)["status"] == "DOWN", 12)
    lab.control("registrar", address=deaf, set={"options": 200})
    lab.sleep(14)
    assert lab.xml(name)["pingcount"] == "1"
    assert lab.xml(name)["status"] == "DOWN"


def test_fact_38_unregister_leaves_down_and_up_and_register_mends_it(lab: Lab) -> None:
    name = lab.name()
    lab.registering(name)
    lab.rescan()
    lab.until_state(name, "REGED")
    assert lab.api(f"sofia profile external unregister {name}") == "+OK\n"
    lab.until_state(name, "DOWN")
    lab.until(lambda: lab.xml(name)["status"] == "UP")
    assert lab.state(name) == "DOWN"
    assert lab.api(f"sofia profile external register {name}") == "+OK\n"
    lab.until_state(name, "REGED")


def test_fact_38_one_time_nonces_keep_the_binding_of_a_removed_gateway(lab: Lab) -> None:
    lab.only_simulated("what the registrar keeps cannot be asked")
    name = lab.name()
    once = "192.0.2.39:5060"
    lab.control("registrar", address=once, set={"once_nonce": True, "realm": "once"})
    path = lab.registering(name, proxy=once)
    lab.rescan()
    lab.until_state(name, "REGED")
    lab.remove(path)
    lab.kill(name)
    lab.until(lambda: not lab.rows(name))
    last = lab.journal(name)[-1]
    assert (last["expires"], last["status"]) == (0, 401)
    assert lab.bindings(name) == 1


def test_fact_39_a_waiting_state_says_when_it_retries(lab: Lab) -> None:
    name = lab.name()
    lab.registering(name, user="badbob", retry_seconds="30")
    lab.rescan()
    lab.until_state(name, "FAIL_WAIT")
    assert lab.rows(name)[0].split("\t")[-1].startswith("FAIL_WAIT (retry: ")
    assert lab.xml(name)["retry"].endswith("s")


def test_fact_39_a_username_is_not_escaped_in_xmlstatus(lab: Lab) -> None:
    name = lab.name()
    path = lab.gateway(name, {"username": "a&b"})
    lab.rescan()
    text = lab.api(f"sofia xmlstatus gateway {name}")
    lab.remove(path)
    lab.kill(name)
    assert "<username>a&b</username>" in text
    assert "<from>&lt;sip:a&amp;b@192.0.2.10&gt;</from>" in text


def test_fact_39_a_replacement_zeroes_the_call_counters(lab: Lab) -> None:
    name = lab.name()
    lab.gateway(name, {"proxy": lab.where.registrar})
    lab.rescan()
    call = lab.api(f"originate sofia/gateway/{name}/echo &park()").split()[1]
    assert lab.xml(name)["calls-out"] == "1"
    lab.api(f"uuid_kill {call}")
    lab.replace(name)
    assert lab.xml(name)["calls-out"] == "0"


def test_fact_40_gateways_of_one_rescan_register_in_the_same_tick(lab: Lab) -> None:
    names = [lab.name("burst") for _ in range(50)]
    for name in names:
        lab.registering(name, user=f"u{name}")
    lab.listen()
    lab.rescan()
    stamps = [stamp(lab.event(Gateway=name, State="TRYING")) for name in names]
    assert max(stamps) - min(stamps) < 0.3


def test_fact_41_a_variable_is_set_on_the_calls_channel(lab: Lab) -> None:
    name = lab.name()
    lab.gateway(name, {"proxy": lab.where.registrar}, [("ct_mark", "42", "outbound"), ("ct_in", "1", "inbound")])
    lab.rescan()
    call = lab.api(f"originate sofia/gateway/{name}/echo &park()").split()[1]
    assert lab.api(f"uuid_getvar {call} ct_mark") == "42"
    assert lab.api(f"uuid_getvar {call} ct_in") == "_undef_"
    lab.api(f"uuid_kill {call}")
