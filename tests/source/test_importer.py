"""Import: the same gateways again, however the XML looks; what is not carried is said; Secrets hold the passwords."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, event, given
from hypothesis import strategies as st

from sipgateway.api.accept import accept
from sipgateway.api.gateway import Gateway
from sipgateway.api.parse import parse_sipgateway
from sipgateway.api.resolve import SecretView
from sipgateway.render.layout import relative_path
from sipgateway.render.preprocessor import preprocess
from sipgateway.render.revision import RevisionKey, revision
from sipgateway.render.xml import RenderError, render
from sipgateway.source import freeswitch
from sipgateway.source.folder import Folder
from sipgateway.source.found import find_gateways
from sipgateway.source.importer import Manifests, dns_name, import_gateways, object_names
from sipgateway.source.local import accepted
from sipgateway.source.manifests import read_manifests
from sipgateway.source.xmlfiles import XmlFiles, XmlText, read_xml
from tests.canary import Canary
from tests.golden import Golden
from tests.profiles import thorough
from tests.roundtrip.specs import manifests

KEY = RevisionKey(b"0123456789abcdef0123456789abcdef")
EXAMPLES = Path(__file__).resolve().parents[2] / "manifests" / "examples"


def imported(xml: str | bytes, file: str = "g.xml", **options: Any) -> Manifests:
    data = xml.encode() if isinstance(xml, str) else xml
    text = XmlText(file, preprocess(data, file=file), False, {file: data})
    found, findings = find_gateways(XmlFiles((text,), (), 1))
    assert not findings, findings
    return import_gateways(found, **options)


def objects(result: Manifests) -> tuple[list[Mapping[str, object]], Mapping[str, str]]:
    """What of an import is a manifest: not its comments, which name files and lines."""
    return [manifest.obj for manifest in result.manifests], result.secrets()


def effective(obj: Mapping[str, object], password: str | None) -> Gateway:
    parsed, findings = parse_sipgateway(obj)
    assert parsed is not None, findings
    reference = parsed.spec.password_from
    views = {}
    if reference is not None and password is not None:
        data = {reference.key: password.encode()}
        views = {reference.name: SecretView(reference.name, labelled=True, data=data)}
    gateway, findings = accept(parsed, views)
    assert gateway is not None, findings
    return gateway


def meaning(gateway: Gateway) -> object:
    """All that the switch sees, without what is only ours: which values were secret."""
    return (
        gateway.name,
        gateway.target,
        [(p.name, p.value) for p in gateway.parameters],
        gateway.variables,
        gateway.subscriptions,
    )


@thorough
@given(manifests(), st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=20))
def test_what_is_rendered_is_imported_as_the_same_gateway_and_again(manifest: dict[str, Any], password: str) -> None:
    parsed, _ = parse_sipgateway(manifest)
    assume(parsed is not None)
    assert parsed is not None
    views = {"s": SecretView("s", labelled=True, data={"password": password.encode()})}
    original, _ = accept(parsed, views)
    if original is None:
        event("refused")
        return
    event("accepted")
    # What looks like a password stays out of manifests, and a test of its own shows that it does.
    assume(not any(freeswitch._CREDENTIAL.search(variable.name) for variable in original.variables))
    first = round_trip(original)
    (one,) = first.manifests
    again = effective(one.obj, one.secret[2] if one.secret else None)
    assert meaning(again) == meaning(original)
    assert objects(round_trip(again)) == objects(first)
    # What is written is what was meant, for YAML readers too.
    contents = read_manifests(one.text().encode(), "m.yaml")
    assert contents.gateways[0].manifest.obj == one.obj
    for name, text in first.secrets().items():
        (secret,) = read_manifests(text.encode(), "s.yaml").secrets
        assert (secret.secret.name, dict(secret.secret.data)) == (
            name,
            {"password": (one.secret or ("", "", ""))[2].encode()},
        )


def round_trip(gateway: Gateway) -> Manifests:
    try:
        data = render(gateway, revision(gateway, KEY))
    except RenderError:
        assume(False)
        raise
    result = imported(data, relative_path(gateway))
    assert not result.left_behind
    return result


@pytest.mark.parametrize("example", sorted(EXAMPLES.glob("*.yaml")), ids=lambda path: path.stem)
def test_the_examples_survive_the_way_there_and_back(example: Path) -> None:
    for one in accepted(Folder(example).snapshot()).gateways:
        result = round_trip(one.gateway)
        (manifest,) = result.manifests
        assert [f.code for f in manifest.findings if f.code not in {"NameChanged", "UnreadParameter"}] == []
        target = manifest.obj["spec"]
        assert isinstance(target, dict)
        if one.gateway.target.directory is not None:
            target["profile"] = one.gateway.target.profile  # a directory user's file does not say who loads it
        again = effective(manifest.obj, manifest.secret[2] if manifest.secret else None)
        assert meaning(again) == meaning(one.gateway)


# The same gateway in the ways in which people write XML.


@st.composite
def dressed(draw: st.DrawFn) -> tuple[str, str]:
    """(plain XML, the same in some other dress)."""
    params = draw(
        st.lists(
            st.tuples(
                st.sampled_from(["realm", "from-user", "extension", "context", "contact-params", "from-domain"]),
                st.sampled_from(["example.com", "abc", "a;b=c", "x y", "sip-1"]),
            ),
            min_size=1,
            max_size=5,
            unique_by=lambda p: p[0],
        )
    )
    variables = draw(
        st.lists(
            st.tuples(
                st.sampled_from("abcd"),
                st.sampled_from(["1", "é & <x>", '"quoted"', "${x}"]),
                st.sampled_from([None, "inbound", "outbound"]),
            ),
            max_size=3,
            unique_by=lambda v: v[0],
        )
    )
    params = [("register", "false"), ("proxy", "h.example.com"), *params]
    plain = _gateway([_element("param", n, v) for n, v in params], [_variable(*v) for v in variables])
    quote = draw(st.sampled_from("\"'"))
    gap = draw(st.sampled_from([" ", "  ", "\n   ", "\t"]))
    comment = draw(st.sampled_from(["", "<!-- a comment -->", "\n<!--\n<param name='realm' value='no'/>\n-->\n", "\n"]))
    sets: list[str] = []
    dressed_params = []
    for index, (name, value) in enumerate(params):
        if draw(st.booleans()):
            sets.append(f'<X-PRE-PROCESS cmd="set" data="v{index}={_xml(value, quote)}"/>\n')
            value_text = f"$${{v{index}}}"
        else:
            value_text = _xml(value, quote)
        dressed_params.append(f"<param{gap}name={quote}{name}{quote}{gap}value={quote}{value_text}{quote}/>{comment}")
    inner = "".join(dressed_params)
    if draw(st.booleans()):
        inner = f"<params>{comment}{inner}</params>"
    variable_text = "".join(_variable(*v) for v in variables)
    if draw(st.booleans()) or "<params>" in inner:
        variable_text = f"<variables>{variable_text}</variables>" if variables else ""
    order = [inner, variable_text] if draw(st.booleans()) else [variable_text, inner]
    body = f"<gateway name={quote}acme{quote}>{''.join(order)}</gateway>\n"
    if draw(st.booleans()):
        body = f"<gateways>\n{body}</gateways>\n"
    include = draw(st.booleans())
    return plain, "".join(sets) + (f"<include>\n{body}</include>\n" if include else body)


def _xml(value: str, quote: str = '"') -> str:
    text = value.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return text.replace('"', "&quot;").replace("'", "&apos;") if quote else text


def _element(tag: str, name: str, value: str, extra: str = "") -> str:
    return f'<{tag} name="{name}" value="{_xml(value)}"{extra}/>\n'


def _variable(name: str, value: str, direction: str | None) -> str:
    return _element("variable", name, value, f' direction="{direction}"' if direction else "")


def _gateway(params: list[str], variables: list[str]) -> str:
    return f'<include>\n<gateway name="acme">\n{"".join(params + variables)}</gateway>\n</include>\n'


@thorough
@given(dressed())
def test_how_the_xml_is_written_makes_no_difference(pair: tuple[str, str]) -> None:
    plain, other = pair
    first, second = imported(plain), imported(other)
    assert first.manifests
    assert objects(first) == objects(second)


SAMPLE = """<?xml version="1.0"?>
<include>
  <!--/// a gateway as FreeSWITCH's samples have it ///-->
  <X-PRE-PROCESS cmd="set" data="carrier=sip.example.com"/>
  <gateway name="Carrier_A">
  <!--/// account username *required* ///-->
  <param name="username" value="4989100100"/>
  <param name="realm" value="$${carrier}"/>
  <param name="password" value="hunter2 &amp; &quot;more&quot;"/>
  <param name="proxy" value="sip:$${carrier}"/>
  <param name="outbound-proxy" value="sip:sbc.example.com"/>
  <param name="register" value="on"/>
  <param name="register-transport" value="UDP"/>
  <param name="retry-seconds" value="3"/>
  <param name="expire-seconds" value="600s"/>
  <param name="ping" value="3"/>
  <param name="caller-id-in-from" value="ja"/>
  <param name="contact-params" value=""/>
  <param name="cid-type" value="rpid"/>
  <param name="extension" value="auto_to_user"/>
  <param name="username" value="4989100101"/>
  <param name="x-site" value="munich"/>
  <param name="passwort" value="hunter3"/>
  <param name="ping-user-agent" value="me"/>
  <variables>
    <variable name="both" value="1" direction="both"/>
    <variable name="greeting" value="Gr&#252;&#223;e"/>
    <variable name="empty" value=""/>
    <variable name="twice" value="1"/>
    <variable name="twice" value="2" direction="inbound"/>
    <variable name="sip_auth_password" value="hunter4"/>
    <variable name="sipgw_revision" value="1-0-0" direction="outbound"/>
  </variables>
  <variable name="outside" value="1"/>
  </gateway>
  <gateway name="carrier-a">
    <param name="register" value="false"/>
    <param name="proxy" value="$${nobody}sip.example.net"/>
    <param name="username" value="has blank"/>
  </gateway>
  <gateway name="Carrier_A"><param name="register" value="false"/></gateway>
  <gateway name="no credentials"/>
  <gateway name="no-credentials"/>
</include>
"""


def texts(result: Manifests) -> str:
    documents = [manifest.text() for manifest in result.manifests]
    return "---\n".join([*documents, *result.secrets().values()]) + "".join(one.text() for one in result.left_behind)


def test_a_sample_with_every_oddity_becomes_manifests_that_say_so(golden: Golden) -> None:
    result = imported(SAMPLE, "conf/sip_profiles/external/sample.xml")
    text = texts(result)
    golden("sample.out.yaml", text)
    manifests_only = text.partition("kind: Secret")[0]
    for word in ("hunter2", "hunter3", "hunter4"):
        assert word not in manifests_only
    assert "hunter3" not in text
    assert "hunter4" not in text


def test_all_passwords_can_go_into_one_secret() -> None:
    two = "".join(
        f'<gateway name="g{n}"><param name="username" value="u"/><param name="password" value="pw{n}"/></gateway>\n'
        for n in (1, 2)
    )
    result = imported(two, secret_name="trunks", namespace="voice")
    (secret,) = read_manifests(result.secrets()["trunks"].encode(), "s.yaml").secrets
    assert secret.namespace == "voice"
    assert dict(secret.secret.data) == {"g1": b"pw1", "g2": b"pw2"}
    for manifest in result.manifests:
        gateway, _ = parse_sipgateway(manifest.obj)
        assert gateway is not None
        assert gateway.namespace == "voice"
        assert gateway.spec.password_from is not None
        assert gateway.spec.password_from.name == "trunks"
        assert gateway.spec.password_from.key == gateway.name


@pytest.mark.parametrize(
    ("file", "profile", "user"),
    [
        ("g.xml", "external", None),
        ("conf/sip_profiles/pstn/g.xml", "pstn", None),
        ("sip_profiles/pstn/g.xml", "pstn", None),
        ("directory_gateways/d.example.com/u/g.xml", "external", ("d.example.com", "u")),
        ("directory_gateways/d.example.com/a%2Fb/g.xml", "external", ("d.example.com", "a/b")),
    ],
)
def test_a_files_place_says_where_its_gateways_belong(file: str, profile: str, user: tuple[str, str] | None) -> None:
    xml = '<gateway name="g"><param name="register" value="false"/></gateway>'
    spec = imported(xml, file).manifests[0].obj["spec"]
    assert isinstance(spec, dict)
    assert spec["profile"] == profile
    expected = {"domain": user[0], "user": user[1]} if user else None
    assert spec.get("directory") == expected


def test_a_gateway_that_no_profile_loads_is_imported_suspended(tmp_path: Path) -> None:
    (tmp_path / "freeswitch.xml").write_text(
        '<document>\n<section name="configuration">\n<configuration name="sofia.conf">\n<profiles>\n'
        '<profile name="internal"><domains><domain name="other.example.com" parse="true"/></domains></profile>\n'
        '</profiles>\n</configuration>\n</section>\n<section name="directory">\n<domain name="d.example.com">\n'
        '<user id="u"><gateways><gateway name="g"><param name="register" value="false"/></gateway></gateways></user>\n'
        "</domain>\n</section>\n</document>\n"
    )
    found, _ = find_gateways(read_xml(str(tmp_path), {}))
    (manifest,) = import_gateways(found).manifests
    assert manifest.obj["spec"] == {
        "profile": "external",
        "suspend": True,
        "directory": {"domain": "d.example.com", "user": "u"},
        "register": False,
    }
    assert "# NoProfile: the switch does not load it today. So it is suspended." in manifest.text()


@given(st.sets(st.text(alphabet="aAbB0_.-", min_size=1, max_size=6), max_size=12))
def test_every_gateway_gets_a_name_of_its_own_that_kubernetes_allows(names: set[str]) -> None:
    result = object_names(names)
    assert set(result) == names
    assert len(set(result.values())) == len(names)
    for gateway, name in result.items():
        assert re.fullmatch(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*", name)
        if dns_name(gateway) == gateway:
            assert name == gateway
    assert object_names(sorted(names, reverse=True)) == result


def test_a_name_of_255_characters_becomes_one_that_fits() -> None:
    name = dns_name("X" * 255)
    assert len(name) == 240
    assert name != dns_name("x" * 254 + "Y")


def test_passwords_are_in_secrets_and_nowhere_else(canary: Canary) -> None:
    escaped = canary.password.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")
    sample = SAMPLE.replace("hunter2 &amp; &quot;more&quot;", escaped)
    result = imported(sample.replace("hunter3", escaped).replace("hunter4", escaped))
    text = result.secrets()["carrier-a-2-credentials"]
    (secret,) = read_manifests(text.encode(), "s.yaml").secrets
    assert secret.secret.data["password"].decode() == canary.password
    canary.assert_absent(
        repr(result),
        *(manifest.text() for manifest in result.manifests),
        *(one.text() for one in result.left_behind),
        *(str(finding) for manifest in result.manifests for finding in manifest.findings),
    )
