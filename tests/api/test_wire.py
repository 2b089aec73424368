"""No accepted value puts a byte outside its place into a SIP message: RFC 3261 is the judge (fact 33)."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from sipgateway.api import accept
from sipgateway.api.gateway import Gateway, Parameter, Target
from sipgateway.api.grammar import violation
from sipgateway.api.params import PARAMS, Grammar, Kind
from sipgateway.api.parse import parse_sipgateway
from tests.api import sip_judge, strategies
from tests.api.builders import CALLS, REGISTERING, changed, gateway, manifest, secrets
from tests.api.cases import CASES, Case
from tests.api.sip_judge import NotSipError, Uri
from tests.api.wire import Wire
from tests.profiles import thorough


def judge(effective: Gateway) -> None:
    """Reads every request of a gateway, and says that each value stands where it belongs and nowhere else."""
    wire = Wire(effective)
    host, port = sip_judge.host_and_port(wire.proxy.split(";")[0])

    register = sip_judge.parse_request(wire.register())
    names = [name for name, _ in register.headers if name != "Route"]
    assert names == ["From", "To", "Contact", "Expires", "Authorization"]
    _is_at(register.uri, None, host, port)
    _judge_address(
        register.get("From"), effective.get("from-user") or wire.username, effective.get("from-domain"), wire
    )
    contact = sip_judge.address(register.get("Contact"))
    in_contact = effective.get("extension-in-contact") == "true"
    user = (effective.get("extension") or wire.username) if in_contact else f"gw+{effective.name}"
    assert contact.uri.user == user
    assert contact.uri.params[-2:] == (("transport", wire.transport), ("gw", effective.name))
    assert [name.lower() for name, _ in contact.uri.params].count("transport") == 1
    assert int(register.get("Expires")) >= 5
    _judge_authorization(register.get("Authorization"), wire)
    to = sip_judge.address(register.get("To"))
    assert "tag" not in {name.lower() for name, _ in to.params}
    if effective.get("distinct-to") == "true":
        _is_at(to.uri, wire.username, host, port)

    options = sip_judge.parse_request(wire.options())
    _is_at(options.uri, None, host, port)
    assert {name for name, _ in options.headers} <= {"Route", "From", "To", "Contact"}
    assert sip_judge.address(options.get("From")).uri.user is None

    invite = sip_judge.parse_request(wire.invite())
    _is_at(invite.uri, f"{effective.get('destination-prefix') or ''}15550123", host, port)
    assert sip_judge.address(invite.get("To")).uri == invite.uri
    for request in (register, options, invite):
        for name, value in request.headers:
            if name == "Route":
                route = sip_judge.address(value)
                assert route.uri.user is None
                assert not route.params

    for subscription, data in zip(effective.subscriptions, wire.subscribe(), strict=True):
        request = sip_judge.parse_request(data)
        assert sip_judge.event_type(request.get("Event")) == subscription.event
        if subscription.content_type is not None:
            assert sip_judge.media_type(request.get("Accept")) == subscription.content_type


def _is_at(uri: Uri, user: str | None, host: str, port: int | None) -> None:
    assert (uri.scheme, uri.user, uri.host, uri.port) == ("sip", user, host, port)


def _judge_address(text: str, user: str, domain: str | None, wire: Wire) -> None:
    parsed = sip_judge.address(text)
    assert not parsed.params
    host, port = sip_judge.host_and_port((domain or wire.proxy).split(";")[0])
    _is_at(parsed.uri, user, host, port)


def _judge_authorization(text: str, wire: Wire) -> None:
    scheme, blank, rest = text.partition(" ")
    assert (scheme, blank) == ("Digest", " ")
    username, comma, rest = rest.removeprefix("username=").partition('", realm=')
    assert comma
    assert sip_judge.quoted_string(username + '"') == wire.auth_username
    realm, comma, _ = rest.partition('", nonce=')
    assert comma
    assert sip_judge.quoted_string(realm + '"') == wire.realm


@thorough
@given(strategies.specs())
@example(changed(REGISTERING, proxy="a.example.com:5060;lr;x=y'z", distinctTo=True))
@example(changed(CALLS, proxy="[::1]:1", destinationPrefix="+", fromUser="$"))
def test_an_accepted_spec_makes_only_messages_of_the_grammar(spec: dict[str, Any]) -> None:
    parsed, _ = parse_sipgateway(manifest(spec))
    assume(parsed is not None)
    assert parsed is not None
    effective, _ = accept.accept(parsed, secrets())
    assume(effective is not None)
    assert effective is not None
    judge(effective)


@pytest.mark.parametrize(
    "case", [c for c in CASES if not c.refusals and c.id != "digest of 251 visible bytes"], ids=lambda case: case.id
)
def test_an_accepted_manifest_of_the_table_makes_only_messages_of_the_grammar(case: Case) -> None:
    effective, findings = accept.accept(gateway(case.spec, name=case.name), secrets())
    assert effective is not None, findings
    judge(effective)


_IN_MESSAGES = [
    p for p in PARAMS if p.kind is Kind.TEXT and p.grammar not in {Grammar.TEXT, Grammar.SECRET} and not p.choices
]


@thorough
@given(strategies.any_text)
@example("%41")
@example("a\u2028b")
@example("\ud800")
@example("")
@example("::ffff:192.0.2.1")
def test_any_text_is_refused_or_stays_in_its_place_whatever_the_parameter(text: str) -> None:
    for param in _IN_MESSAGES:
        if violation(param.grammar, text) is not None:
            continue
        others = {"username": "acme", "proxy": "a.example.com", "realm": "carrier", "distinct-to": "true"}
        values = {**others, param.xml: text}
        judge(Gateway("acme", Target("external"), tuple(Parameter(name, value) for name, value in values.items())))


_HEADER_NAMES = st.one_of(st.sampled_from(("X-A", "P-Asserted-Identity", "x")), strategies.dirty)


@thorough
@given(_HEADER_NAMES, strategies.dirty)
@example("X-A", "1\r\nVia: 2")
@example("X: 1\r\nVia", "2")
def test_a_variable_that_becomes_a_header_becomes_one_header(name: str, value: str) -> None:
    spec = changed(CALLS, variables=[{"name": f"sip_h_{name}", "value": value}])
    parsed, _ = parse_sipgateway(manifest(spec))
    effective = None if parsed is None else accept.accept(parsed, {})[0]
    if effective is not None:
        request = sip_judge.parse_request(Wire(effective).invite())
        assert [header for header, _ in request.headers] == ["From", "To", "Contact", name]
        assert request.headers[-1] == (name, value)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("contact-params", "a=b\r\nX-Evil: 1"),
        ("username", "a b"),
        ("username", "a@b"),
        ("username", "a>b"),
        ("proxy", "sip:a.example.com"),
        ("proxy", "a.example.com?X-Evil=1"),
        ("proxy", "a.example.com;tag=1"),
        ("from-domain", "a>\r\nX-Evil: 1"),
        ("auth-username", 'a", realm="x'),
        ("realm", 'a"b'),
        ("contact-host", "[::1]"),
        ("contact-params", "transport=tcp"),
        ("contact-params", "a;"),
        ("outbound-proxy", "a.example.com>,<sip:b.example.com"),
        ("destination-prefix", "9 9"),
    ],
)
def test_the_judge_refuses_what_fact_33_warns_of(field: str, value: str) -> None:
    values = {"username": "acme", "proxy": "a.example.com", "distinct-to": "true", field: value}
    bad = Gateway("acme", Target("external"), tuple(Parameter(name, text) for name, text in values.items()))
    with pytest.raises((NotSipError, AssertionError)):
        judge(bad)


@pytest.mark.parametrize(
    "data",
    [
        b"REGISTER sip:a SIP/2.0\r\n\r\n\r\n",
        b"REGISTER sip:a SIP/2.0\r\nA:b\r\n\r\n",
        b"REGISTER sip:a SIP/2.0\r\nA: b\n\r\n\r\n",
        b"REGISTER sip:a b SIP/2.0\r\n\r\n",
        b"REGISTER https://example.com SIP/2.0\r\n\r\n",
        b"REGISTER sip:a_b SIP/2.0\r\n\r\n",
        b"REGISTER sip:1.2.3 SIP/2.0\r\n\r\n",
        b"REGISTER sip:1.2.3.400 SIP/2.0\r\n\r\n",
        b"REGISTER sip:a:99999 SIP/2.0\r\n\r\n",
        b"REGISTER sip:[::1 SIP/2.0\r\n\r\n",
        b"REGISTER sip:a;;b SIP/2.0\r\n\r\n",
        b"REGISTER sip:a SIP/2.0\r\nA: \xff\r\n\r\n",
    ],
)
def test_the_judge_refuses_what_is_not_sip(data: bytes) -> None:
    with pytest.raises(NotSipError):
        sip_judge.parse_request(data)
