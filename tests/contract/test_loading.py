"""Facts 1 to 13 of docs/switch-facts.md: files and names."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from tests.contract.lab import Lab

DONE = "+OK scan complete\n"
LOADED = "Reload XML [Success]\n" + DONE
BROKEN = '<include>\n<gateway name="ct-broken">\n</gateways>\n</include>\n'


def test_fact_01_rescan_only_adds(lab: Lab) -> None:
    name = lab.name()
    path = lab.gateway(name, variables=[("v", "1")])
    assert lab.rescan() == LOADED
    assert lab.value(name, "v") == "1"

    lab.gateway(name, variables=[("v", "2")], path=path)
    assert lab.rescan() == LOADED
    assert lab.value(name, "v") == "1"
    lab.until(lambda: f"Ignoring duplicate gateway '{name}'" in lab.log())

    lab.remove(path)
    assert lab.rescan() == LOADED
    assert lab.loaded(name)


def test_fact_02_first_line_is_the_truth(lab: Lab) -> None:
    kept, fresh = lab.name("kept"), lab.name("fresh")
    lab.gateway(kept)
    lab.rescan()
    bad = lab.write(BROKEN)
    lab.gateway(fresh)
    replies = (
        lab.rescan(),
        lab.api(f"sofia profile external startgw {fresh}"),
        lab.api("reloadxml"),
    )
    error = replies[0].split("\n")[0].removeprefix("Reload XML [").removesuffix("]")
    assert error.startswith("[error near line ")
    assert error.endswith("]: unexpected closing tag </gateways>")
    assert replies[0] == f"Reload XML [{error}]\n{DONE}"
    assert replies[1] == f"Reload XML [{error}]\n+OK start gateway {fresh} complete\n"
    assert replies[2] == f"+OK [{error}]\n"
    assert lab.loaded(kept)
    assert not lab.loaded(fresh)

    lab.remove(bad)
    assert lab.api("reloadxml") == "+OK [Success]\n"
    assert lab.rescan() == LOADED
    assert lab.loaded(fresh)


def test_fact_03_one_malformed_file_blocks_all_profiles(lab: Lab) -> None:
    name = lab.name()
    bad = lab.write(BROKEN)
    lab.gateway(name, place="internal")
    assert lab.rescan("internal").startswith("Reload XML [[error near line ")
    assert not lab.loaded(name)
    lab.remove(bad)
    assert lab.rescan("internal") == LOADED
    assert lab.loaded(name)


def test_fact_04_lines_with_include_or_a_declaration_are_dropped_whole(lab: Lab) -> None:
    one_line, declared, bare = lab.name("one"), lab.name("declared"), lab.name("bare")
    params = '<param name="register" value="false"/>'
    lab.write(f'<include><gateway name="{one_line}">{params}</gateway></include>\n')
    lab.write(f'<?xml version="1.0"?><gateway name="{declared}">{params}</gateway>\n')
    lab.write(f'<gateway name="{bare}">{params}</gateway>\n')
    assert lab.rescan() == LOADED
    assert not lab.loaded(one_line)
    assert not lab.loaded(declared)
    assert lab.loaded(bare)


def test_fact_05_lines_with_the_preprocessor_word_are_dropped(lab: Lab) -> None:
    name = lab.name()
    lab.write(
        f'<include>\n<gateway name="{name}">\n<param name="register" value="false"/>\n'
        '<variable name="dropped" value="an x-Pre-Process inside"/>\n'
        '<variable name="before" value="1"/><X-PRE-PROCESS cmd="set" data="ct_unused=1"/>'
        '<variable name="after" value="1"/>\n'
        '<!--#set "ct_unused=2" --><variable name="comment" value="kept"/>\n'
        '<variable name="last" value="1"/>\n</gateway>\n</include>\n'
    )
    assert lab.rescan() == LOADED
    assert [lab.value(name, v) for v in ("dropped", "before", "after", "last")] == [None, None, None, "1"]


def test_fact_06_global_variables_are_expanded_unless_the_dollar_is_an_entity(lab: Lab) -> None:
    secret = lab.api("global_getvar default_password").removesuffix("\n")
    name = lab.name()
    lab.write(
        f'<include>\n<gateway name="{name}">\n<param name="register" value="false"/>\n'
        '<variable name="expanded" value="a$${default_password}b"/>\n'
        '<variable name="literal" value="a&#36;${default_password}b"/>\n'
        '<variable name="unset" value="a$${ct_never_set}b"/>\n</gateway>\n</include>\n'
    )
    lab.rescan()
    assert secret
    assert lab.value(name, "expanded") == f"a{secret}b"
    assert lab.value(name, "literal") == "a$${default_password}b"
    assert lab.value(name, "unset") == "ab"


def test_fact_07_entities_and_utf8_arrive_exactly(lab: Lab) -> None:
    name = lab.name()
    lab.write(
        f'<include>\n<gateway name="{name}">\n<param name="register" value="false"/>\n'
        '<variable name="v" value="&lt;&amp;&quot;&#10;&#36;äß€𝄞"/>\n</gateway>\n</include>\n'
    )
    lab.rescan()
    assert lab.value(name, "v") == '<&"\n$äß€𝄞'


def test_fact_08_a_set_value_is_pasted_as_text_before_the_parser(lab: Lab) -> None:
    name = lab.name()
    lab.write(
        '<include>\n<X-PRE-PROCESS cmd="set" data="ct_pasted=  p&amp;w&quot;1 2 "/>\n'
        f'<gateway name="{name}">\n<param name="register" value="false"/>\n'
        '<variable name="v" value="$${ct_pasted}"/>\n</gateway>\n</include>\n'
    )
    lab.rescan()
    assert lab.value(name, "v") == 'p&w"1 2 '


def test_fact_09_the_expanded_xml_with_passwords_is_readable_by_all(lab: Lab) -> None:
    expanded = Path(lab.api("global_getvar log_dir").strip()) / "freeswitch.xml.fsxml"
    if not expanded.exists():
        pytest.skip("the switch's log folder is not on this machine")
    name = lab.name()
    lab.gateway(name, {"password": "ct-visible-password"})
    lab.rescan()
    assert "ct-visible-password" in expanded.read_text()
    assert stat.S_IMODE(expanded.stat().st_mode) == 0o644


def test_fact_10_many_gateways_load_by_one_rescan_and_the_next_adds_none(lab: Lab) -> None:
    names = [lab.name("many") for _ in range(100)]
    for name in names:
        lab.gateway(name)
    lab.listen()
    assert lab.rescan() == LOADED
    status = lab.api("sofia status")
    assert all(f"::{name}\t" in status for name in names)
    for name in names:
        lab.event(subclass="gateway_add", Gateway=name)
    assert lab.rescan() == LOADED
    assert lab.log().count(f"Ignoring duplicate gateway '{names[0]}'") <= 1
    assert all(len(lab.rows(name)) == 1 for name in names[:5])


@pytest.mark.parametrize("bad", ["with blank", "with:colon", "ümlaut", "", "a@b", "a;b", "a/b", "a+b"])
def test_fact_11_another_name_is_dropped_without_a_word(lab: Lab, bad: str) -> None:
    good = lab.name("dots.and_under-score")
    lab.gateway(f"{good}{bad}" if bad else "")
    lab.gateway(good)
    assert lab.rescan() == LOADED
    assert lab.loaded(good)
    if bad:
        assert f"::{good}{bad}\t" not in lab.api("sofia status")
    lab.until(lambda: "Ignoring invalid name" in lab.log())


@pytest.mark.destructive
def test_fact_11_a_name_of_another_profile_becomes_a_ghost_at_each_rescan(lab: Lab) -> None:
    lab.only_destructive()
    name = lab.name("ghost")
    owner = lab.gateway(name, {"proxy": "192.0.2.10"}, place="external")
    lab.rescan("external")
    ghost = lab.gateway(name, {"proxy": "192.0.2.20"}, place="internal")
    for copies in range(1, 5):
        assert lab.rescan("internal") == LOADED
        assert len(lab.rows(name)) == 1 + copies
    assert lab.xml(name)["profile"] == "external"
    lab.remove(owner)
    lab.remove(ghost)
    assert lab.kill(name) == "+OK gateway marked for deletion.\n"
    lab.until(lambda: len(lab.rows(name)) == 4)
    assert lab.kill(name) == "-ERR no such gateway.\n"
    lab.until(lambda: lab.api("sofia profile internal restart").startswith("Reload XML"), 12)
    lab.until(lambda: not lab.rows(name) and "internal\tprofile" in lab.api("sofia status"), 12)


def test_fact_12_killgw_ignores_the_profile_that_it_is_told(lab: Lab) -> None:
    name = lab.name()
    path = lab.gateway(name, place="internal")
    lab.rescan("internal")
    assert lab.xml(name)["profile"] == "internal"
    lab.remove(path)
    assert lab.kill(name, "external") == "+OK gateway marked for deletion.\n"
    lab.until(lambda: not lab.rows(name))


@pytest.mark.parametrize(
    ("what", "params"),
    [
        ("no-username", {"register": "true", "password": "x"}),
        ("no-password", {"register": "true", "username": "x"}),
        ("tls", {"register-transport": "tls"}),
        ("unknown", {"register-transport": "carrier-pigeon"}),
    ],
)
def test_fact_13_an_incomplete_gateway_is_dropped_with_ok(lab: Lab, what: str, params: dict[str, str]) -> None:
    name = lab.name(what)
    lab.gateway(name, params)
    assert lab.rescan() == LOADED
    assert not lab.rows(name)
    lab.until(lambda: "REQUIRED!" in lab.log() or "ERROR: unsupported transport" in lab.log())


@pytest.mark.parametrize(
    ("word", "registers"),
    [
        *((word, True) for word in ("TRUE", "t", "on", "enabled", "-1", "2.5")),
        *((word, False) for word in ("enable", "0", " 1", "ja", "")),
    ],
)
def test_fact_13_which_words_are_true(lab: Lab, word: str, registers: bool) -> None:
    """Without a username a registering gateway is dropped: that shows how the word was read."""
    name = lab.name()
    lab.gateway(name, {"register": word})
    lab.rescan()
    assert lab.loaded(name) is not registers


def test_fact_13_registering_is_the_default(lab: Lab) -> None:
    name = lab.name()
    lab.write(f'<include>\n<gateway name="{name}">\n<param name="proxy" value="192.0.2.10"/>\n</gateway>\n</include>\n')
    assert lab.rescan() == LOADED
    assert not lab.loaded(name)
