"""Lint of FreeSWITCH XML: each thing that the switch would drop, replace or mangle has its line and its words."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sipgateway.errors import Severity
from sipgateway.source.xmllint import XmlLint, lint_xml
from tests.canary import Canary
from tests.golden import Golden
from tests.profiles import thorough

USERNAME, PASSWORD, PROXY, CALLS_ONLY = (
    f'<param name="{name}" value="{value}"/>'
    for name, value in (("username", "u"), ("password", "hunter2"), ("proxy", "h.example.com"), ("register", "false"))
)
GOOD = f"{USERNAME}\n{PASSWORD}\n{PROXY}"
CALLS = f"{CALLS_ONLY}\n{PROXY}"


def gateway(inner: str, name: str = "acme", base: str = GOOD) -> str:
    return f'<include>\n<gateway name="{name}">\n{base}\n{inner}\n</gateway>\n</include>\n'


def param(name: str, value: str, base: str = GOOD) -> str:
    return gateway(f'<param name="{name}" value="{value}"/>', base=base)


#: Name of the golden lines -> one file with one mistake.
MISTAKES = {
    # 2, 3: malformed XML, in the switch's words
    "fact-03-not-closed": "<include>\n<gateway name='x'>\n</include>\n",
    "fact-03-wrong-end": "<include>\n<gateway name='x'>\n</gatway>\n</include>\n",
    "fact-03-quote": '<include>\n<gateway name="x>\n</gateway>\n</include>\n',
    # 4, 5: lines that the pre-processor drops
    "fact-04-include-line": f'<include><gateway name="x">{CALLS}</gateway></include>\n'.replace("\n<", "<"),
    "fact-04-declaration-line": f'<?xml version="1.0"?><gateway name="x">\n{CALLS}</gateway>\n',
    "fact-05-in-a-value": gateway('<variable name="a" value="see X-PRE-PROCESS"/>'),
    "fact-05-before-a-directive": gateway('<param name="ping" value="30"/><X-PRE-PROCESS cmd="set" data="a=b"/>'),
    # 6: global variables
    "fact-06-unset": param("realm", "$${nobody_sets_this}"),
    "fact-06-of-the-switch": param("contact-host", "$${local_ip_v4}"),
    "fact-06-stun": '<X-PRE-PROCESS cmd="stun-set" data="ext=stun:stun.example.com"/>\n'
    + param("contact-host", "$${ext}"),
    "exec": '<X-PRE-PROCESS cmd="exec" data="cat /etc/passwd"/>\n' + gateway(""),
    # 11: names
    "fact-11-blank-in-name": gateway("", name="my gw"),
    "fact-11-empty-name": gateway("", name=""),
    "fact-11-twice": gateway("") + gateway("", base=CALLS),
    # 13: dropped with +OK
    "fact-13-no-password": gateway("", base=USERNAME + PROXY),
    "fact-13-no-username": gateway("", base=PASSWORD + PROXY),
    "fact-13-transport": param("register-transport", "carrier-pigeon"),
    "fact-13-transport-then-another": gateway(
        '<param name="register-transport" value="x"/>\n<param name="register-transport" value="udp"/>'
    ),
    # 24f-h
    "fact-24f-ping-user-agent": param("ping-user-agent", "x"),
    "fact-24g-auto-aleg": param("from-domain", "auto-aleg-full"),
    "fact-24h-sip-in-proxy": gateway(
        "", base='<param name="register" value="false"/>\n<param name="proxy" value="sip:h.example.com"/>'
    ),
    "fact-24h-transports": gateway(
        '<param name="proxy" value="h.example.com:5060;transport=tcp"/>\n'
        '<param name="register-transport" value="udp"/>',
        base=CALLS_ONLY,
    ),
    # 26
    "fact-26-both": gateway('<variables>\n<variable name="a" value="1" direction="both"/>\n</variables>'),
    # 32
    "fact-32-all": gateway("", name="ALL"),
    "fact-32-long": gateway("", name="x" * 256),
    # 33
    "fact-33-username": param("username", "a b", base=CALLS),
    "fact-33-line-break": param("contact-params", "a=b&#13;&#10;X-Evil: 1"),
    "fact-33-array": gateway('<variable name="a" value="ARRAY::1"/>'),
    "fact-33-empty-variable": gateway('<variable name="a" value=""/>'),
    "fact-33-bracket-in-name": gateway('<variable name="a[0]" value="1"/>'),
    # 34
    "fact-34-digest": param("password", "x" * 300),
    # 35
    "fact-35-no-port": param("proxy", "h.example.com;transport=tcp"),
    # 37
    "fact-37-ping-max": gateway(
        "\n".join(f'<param name="{n}" value="{v}"/>' for n, v in (("ping", 30), ("ping-min", 5), ("ping-max", 2))),
        base=CALLS,
    ),
    # gateway-params.md
    "number-replaced": param("retry-seconds", "3"),
    "number-with-unit": param("expire-seconds", "60s"),
    "number-word": param("timeout-seconds", "soon"),
    "number-hex": param("ping", "0x20"),
    "ping-short": param("ping", "3"),
    "ping-negative": param("ping", "-1"),
    "ping-min-empty": gateway('<param name="ping" value="30"/>\n<param name="ping-min" value=""/>', base=CALLS),
    "reg-id-word": gateway('<param name="rfc-5626" value="true"/>\n<param name="reg-id" value="one"/>'),
    "rfc-5626-alone": param("rfc-5626", "true"),
    "word-for-bool": param("caller-id-in-from", "ja"),
    "enable-is-false": param("register", "enable"),
    "empty-register": param("register", ""),
    "empty-contact-host": param("contact-host", ""),
    "transport-prefix": param("register-transport", "tcpX"),
    "typo": param("usernam", "x"),
    "typo-of-password": param("passwort", "hunter2"),
    "case": param("Username", "x"),
    "unknown": param("frobnicate", "x"),
    "cid-type": param("cid-type", "rpid"),
    "no-param-name": gateway('<param value="x"/>'),
    "twice": param("username", "v"),
    "alias-twice": gateway('<param name="retry-seconds" value="20"/>\n<param name="retry_seconds" value="40"/>'),
    "variable-twice": gateway('<variable name="a" value="1"/>\n<variable name="a" value="2"/>'),
    "beside-params": gateway('<params>\n<param name="ping" value="30"/>\n</params>', base=CALLS),
    "unknown-element": gateway('<parameter name="ping" value="30"/>'),
    "unknown-element-inside": gateway('<variables><variabel name="a" value="1"/></variables>'),
    "second-variables": gateway("<variables></variables><variables></variables>"),
    "variable-without-value": gateway('<variable name="a"/>'),
    "subscription-retry": gateway(
        '<subscriptions>\n<subscription event="presence"><param name="retry-seconds" value="3"/></subscription>\n'
        "</subscriptions>"
    ),
    "subscription-unknown": gateway(
        '<subscriptions><subscription event="presence"><param name="x" value="3"/></subscription></subscriptions>'
    ),
    "outside-of-gateways": f'<include>\n<profile name="x">\n<gateway name="g">{CALLS}</gateway>\n</profile></include>',
}


def lint(tmp_path: Path, text: str, **variables: str) -> XmlLint:
    path = tmp_path / "g.xml"
    path.write_text(text)
    return lint_xml(str(path), variables=variables)


def lines(found: XmlLint, root: Path) -> list[str]:
    return [
        str(f).replace(f"{root}/", "") + (" [warning]" if f.severity is Severity.WARNING else "")
        for f in found.findings
    ]


def test_every_mistake_has_a_place_a_reason_and_a_remedy(tmp_path: Path, golden: Golden) -> None:
    text = ""
    for name, xml in MISTAKES.items():
        found = lint(tmp_path, xml)
        assert found.findings, f"nothing is said about {name}"
        text += f"{name}\n" + "".join(f"  {line}\n" for line in lines(found, tmp_path))
    assert "hunter2" not in text
    golden("mistakes.txt", text)


GOOD_FILES = {
    "plain": gateway(""),
    "plain-password": param("password", "anything at all $ &amp; &lt; &quot;", base=USERNAME + PROXY),
    "declaration-on-its-own-line": '<?xml version="1.0"?>\n' + gateway(""),
    "wrappers": gateway(
        "", base=f"<params>\n{GOOD}\n</params>\n<variables>\n<variable name='a' value='1'/>\n</variables>"
    ),
    "false-words": param("caller-id-in-from", "no"),
    "true-words": param("caller-id-in-from", "T"),
    "one-is-true": param("caller-id-in-from", "1"),
    "empty-is-not-set": param("from-user", "") + "<!-- the end -->\n",
    "zero-ping-is-off": param("ping", "0"),
    "transport-in-capitals": param("register-transport", "TCP"),
    "comment": "<!-- <include> X-PRE-PROCESS -->\n" + gateway(""),
    "comment-over-lines": "<!--\n <gateway name='x y'>\n <include>\n-->\n" + gateway(""),
    "disabled-directive": '<XX-PRE-PROCESS cmd="set" data="a=b"/>\n' + gateway(""),
    "variable-set-before": '<X-PRE-PROCESS cmd="set" data="host=h.example.com"/>\n' + param("realm", "$${host}"),
    "directions": gateway(
        '<variable name="a" value="1" direction="INBOUND"/>\n<variable name="a" value="2" direction="outbound"/>'
    ),
    "revision": gateway('<variable name="sipgw_revision" value="1-x" direction="outbound"/>'),
    "directory": f'<include>\n<domain name="d.example.com">\n<user id="u">\n<gateways>\n<gateway name="g">\n{GOOD}\n'
    "</gateway>\n</gateways>\n</user>\n</domain>\n</include>\n",
}


@pytest.mark.parametrize("name", GOOD_FILES)
def test_a_good_file_has_no_findings(name: str, tmp_path: Path) -> None:
    assert lines(lint(tmp_path, GOOD_FILES[name]), tmp_path) == []


def test_a_variable_that_is_given_is_set(tmp_path: Path) -> None:
    xml = param("realm", "$${x}")
    assert [f.code for f in lint(tmp_path, xml).findings] == ["VariableUnset"]
    assert not lint(tmp_path, xml, X="example.com").findings


FREESWITCH = """<?xml version="1.0"?>
<document type="freeswitch/xml">
  <X-PRE-PROCESS cmd="include" data="vars.xml"/>
  <section name="configuration">
    <X-PRE-PROCESS cmd="include" data="autoload_configs/*.xml"/>
  </section>
  <section name="directory">
    <X-PRE-PROCESS cmd="include" data="directory/*.xml"/>
  </section>
</document>
"""


def profile(name: str, inner: str = "", domains: str = "") -> str:
    return (
        f'<profile name="{name}">\n<gateways>\n<X-PRE-PROCESS cmd="include" data="{name}/*.xml"/>\n{inner}</gateways>\n'
        f'<domains>{domains}</domains>\n<settings>\n<param name="tls" value="false"/>\n</settings>\n</profile>\n'
    )


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A configuration as FreeSWITCH has it, with a mistake of each kind that only the whole shows."""
    root = tmp_path / "conf"
    includes = '<X-PRE-PROCESS cmd="include" data="../sip_profiles/*.xml"/>'
    user = f'<user id="u">\n<gateways>\n<gateway name="of-user">\n{GOOD}\n</gateway>\n</gateways>\n</user>\n'
    files = {
        "freeswitch.xml": FREESWITCH,
        "vars.xml": '<include>\n<X-PRE-PROCESS cmd="set" data="domain=d.example.com"/>\n</include>\n',
        "autoload_configs/sofia.conf.xml": f'<configuration name="sofia.conf">\n<profiles>\n{includes}\n</profiles>\n'
        "</configuration>\n",
        "autoload_configs/other.conf.xml": '<configuration name="other.conf">\n<gateways>\n<gateway name="a b"/>\n'
        "</gateways>\n</configuration>\n",
        "sip_profiles/external.xml": profile("external", domains='<domain name="all" parse="true"/>'),
        "sip_profiles/internal.xml": profile("internal", domains='<domain name="$${domain}" parse="true"/>'),
        "sip_profiles/external/a.xml": gateway("", name="a"),
        "sip_profiles/external/tls.xml": gateway('<param name="register-transport" value="tls"/>', name="tls"),
        "sip_profiles/internal/a.xml": gateway("", name="a"),
        "directory/default.xml": f'<include>\n<domain name="$${{domain}}">\n{user}</domain>\n</include>\n',
        "directory/other.xml": f'<domain name="e.example.com">\n<groups><group name="g"><users>\n'
        f"{user.replace('of-user', 'of-other')}</users></group></groups>\n</domain>\n",
    }
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (root / "sip_profiles" / "external" / "dangling.xml").symlink_to("nowhere")
    return root


def test_a_whole_configuration_is_read_as_the_switch_reads_it(tree: Path, golden: Golden) -> None:
    found = lint_xml(str(tree), variables={})
    assert found.gateways == 5
    golden("tree.txt", "\n".join(lines(found, tree)) + "\n")


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("<include>\n<gateway name='x'>\n\n</include>\n", 4, "unexpected closing tag"),
        ("<include>\n<gateway name='x'>\n</gatway>\n</include>\n", 3, "</gatway>"),
        ("<include>\n</gateway>\n</include>\n", 2, "</gateway>"),
        (gateway("", name="x") + "<\n", 9, ""),
    ],
    ids=["not-closed", "wrong-end", "not-opened", "at-the-end"],
)
def test_of_a_whole_configuration_the_file_that_is_malformed_is_named(
    tree: Path, text: str, line: int, words: str
) -> None:
    bad = tree / "sip_profiles" / "external" / "b.xml"
    bad.write_text(text)
    found = lint_xml(str(tree), variables={})
    (finding,) = [f for f in found.findings if f.code == "MalformedXml"]
    assert finding.location is not None
    assert finding.location.file == str(bad)
    assert abs(finding.location.line - line) <= 1
    assert words in finding.message


def test_a_configuration_that_is_malformed_in_its_root_says_where(tree: Path) -> None:
    root = tree / "freeswitch.xml"
    root.write_text(root.read_text().replace("</document>", "</dokument>"))
    (finding,) = [f for f in lint_xml(str(tree), variables={}).findings if f.code == "MalformedXml"]
    assert finding.location is not None
    assert finding.location.file == str(root)


def test_several_paths_are_put_together_and_count_once(tree: Path) -> None:
    part = tree / "sip_profiles" / "external"
    (part / "dangling.xml").unlink()
    (tree.parent / "more.xml").write_text(gateway("", name="a"))
    both = lint_xml(str(tree), str(part), str(part / "a.xml"), variables={})
    assert both.gateways == lint_xml(str(tree), variables={}).gateways
    doubled = lint_xml(str(part / "a.xml"), str(tree.parent / "more.xml"), variables={})
    assert [f.code for f in doubled.findings] == ["DuplicateGateway"]


def test_a_part_of_a_configuration_knows_its_variables_and_its_profile(tree: Path) -> None:
    (tree / "sip_profiles" / "external" / "b.xml").write_text(
        gateway('<param name="realm" value="$${domain}"/>', name="b")
    )
    found = lint_xml(str(tree / "sip_profiles" / "external" / "b.xml"), variables={})
    assert (found.gateways, found.findings) == (1, ())


def test_nothing_outside_of_the_configuration_is_read(tmp_path: Path) -> None:
    outside = tmp_path / "outside.xml"
    outside.write_text(gateway("", name="outside"))
    inside = tmp_path / "conf"
    inside.mkdir()
    (inside / "link.xml").symlink_to(outside)
    (inside / "a.xml").write_text(
        f'<include>\n<X-PRE-PROCESS cmd="include" data="../outside.xml"/>\n'
        f'<X-PRE-PROCESS cmd="include" data="{outside}"/>\n<X-PRE-PROCESS cmd="include" data="link.xml"/>\n</include>\n'
    )
    found = lint_xml(str(inside), variables={})
    assert [f.code for f in found.findings] == ["IncludeOutside"] * 3
    assert found.gateways == 0


def test_files_that_include_each_other_end(tmp_path: Path) -> None:
    for name, other in (("a", "b"), ("b", "a")):
        (tmp_path / f"{name}.xml").write_text(
            f'<include>\n<X-PRE-PROCESS cmd="include" data="{other}.xml"/>\n</include>\n{gateway("", name=name)}'
        )
    found = lint_xml(str(tmp_path), variables={})
    assert found.files == 2


def test_includes_that_multiply_are_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sipgateway.source.xmlfiles.MAX_INCLUDED", 50)
    twice = '<X-PRE-PROCESS cmd="include" data="b.xml"/>\n<X-PRE-PROCESS cmd="include" data="b.xml"/>\n'
    (tmp_path / "b.xml").write_text(twice)
    (tmp_path / "a.xml").write_text(twice)
    found = lint_xml(str(tmp_path / "a.xml"), variables={})
    assert "IncludeLoop" in {f.code for f in found.findings}


def test_no_password_is_in_any_finding(tmp_path: Path, canary: Canary) -> None:
    secret = canary.password.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")
    for name, xml in MISTAKES.items():
        found = lint(
            tmp_path,
            xml.replace("hunter2", secret).replace('name="password" value="p"', f'name="password" value="{secret}"'),
        )
        canary.assert_absent(name, *map(str, found.findings), repr(found))


_PIECES = [
    *[
        "<include>",
        "</include>",
        "<gateway name='a'>",
        "</gateway>",
        "<params>",
        "</params>",
        "<variables>",
        "</variables>",
    ],
    *[
        "<gateways>",
        "</gateways>",
        '<param name="ping" value="',
        '<variable name="',
        '" value="',
        '"/>',
        "\n",
        "x",
        "&",
        "$${x}",
    ],
    *[
        "<?xml ?>",
        "<!--",
        "-->",
        "<!--#",
        '<X-PRE-PROCESS cmd="set" data="x=',
        "<user id='u'>",
        "</user>",
        "\x00",
        "é",
        "\ud800",
    ],
    *[
        "<subscriptions>",
        "<subscription event='e'>",
        "</subscription>",
        "</subscriptions>",
        "<!DOCTYPE x [",
        "]>",
        "<![CDATA[",
        "]]>",
    ],
]


@thorough
@given(st.lists(st.sampled_from(_PIECES), max_size=25).map("".join) | st.text(max_size=50))
def test_no_text_makes_lint_fail(text: str) -> None:
    data = text.encode("utf-8", "surrogatepass")
    found = lint_xml("-", variables={}, stdin=data)
    assert all(finding.code and finding.location is not None for finding in found.findings)
