"""Import keeps what the switch does: for any gateway, the manifest makes the simulated switch hold the same values.

The simulator reads XML by the facts and knows nothing of import, so the two judge each other.
"""

from __future__ import annotations

import dataclasses
from typing import Any
from xml.sax.saxutils import quoteattr

from hypothesis import event, given
from hypothesis import strategies as st

from sipgateway.api.accept import accept
from sipgateway.api.parse import parse_sipgateway
from sipgateway.api.resolve import SecretView
from sipgateway.render.preprocessor import preprocess
from sipgateway.render.readback import read_gateways
from sipgateway.render.revision import RevisionKey, revision
from sipgateway.render.switchxml import parse
from sipgateway.render.xml import render
from sipgateway.simulator.gateway import Dropped, LoadedGateway, load
from sipgateway.source.found import find_gateways
from sipgateway.source.importer import import_gateways
from sipgateway.source.xmlfiles import XmlFiles, XmlText
from tests.profiles import thorough

KEY = RevisionKey(b"0123456789abcdef0123456789abcdef")
SETTINGS = {"context": "public", "sip-ip": "192.0.2.1", "enable-rfc-5626": "true"}

#: What import changes on purpose, and says so: `expire-seconds` as text, an unsafe pointer, and what is new each time.
ON_PURPOSE = {"expires_text", "ping_user_agent", "user_agent_epoch", "call_id", "up_since", "ping"}

_NUMBERS = (
    "",
    "0",
    "1",
    "3",
    "4",
    "5",
    "9",
    "30",
    "600",
    "007",
    "-1",
    "+20",
    " 15",
    "60s",
    "1.5",
    "x",
    "0x20",
    "99999",
)
_WORDS = (
    "",
    "true",
    "TRUE",
    "t",
    "yes",
    "on",
    "enable",
    "enabled",
    "active",
    "allow",
    "1",
    "-1",
    "0",
    "0.5",
    "no",
    "x",
)
_USERS = ("", "u", "4989100100", "auto", "AUTO_TO_USER")
_HOSTS = ("", "h.example.com", "h.example.com:5060;transport=tcp", "192.0.2.9:5080")
_VALUES: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("register", "caller-id-in-from", "extension-in-contact", "contact-in-ping", "rfc-5626"), _WORDS),
    **dict.fromkeys(("ping-monitoring", "distinct-to"), _WORDS),
    **dict.fromkeys(("expire-seconds", "retry-seconds", "retry_seconds", "timeout-seconds"), _NUMBERS),
    **dict.fromkeys(("908-retry-seconds", "ping", "reg-id"), _NUMBERS),
    **dict.fromkeys(("ping-min", "ping-max"), ("1", "2", "5", "", "x")),
    **dict.fromkeys(("username", "from-user", "auth-username", "extension"), _USERS),
    "password": ("", "pw", "p&<\"'$${x}"),
    **dict.fromkeys(("realm", "from-domain", "gw-auth-acl"), ("", "example.com", "Auto-Aleg-Full")),
    **dict.fromkeys(("proxy", "register-proxy", "outbound-proxy"), _HOSTS),
    "register-transport": ("udp", "TCP", "tcpX", "sctp", "tls", "x", ""),
    "contact-params": ("", "a=b", ";a=b"),
    "contact-host": ("sip-ip", "h.example.org", "192.0.2.5"),
    "context": ("public", "x"),
    "destination-prefix": ("", "00"),
    "scheme": ("Digest", "digest"),
    "cid-type": ("rpid",),
    "frobnicate": ("x",),
    "Username": ("x",),
}
_PARAMS = st.lists(
    st.sampled_from(sorted(_VALUES)).flatmap(lambda name: st.tuples(st.just(name), st.sampled_from(_VALUES[name]))),
    max_size=12,
)
_VARIABLES = st.lists(
    st.tuples(
        st.sampled_from(["a", "b", "A", "c"]),
        st.sampled_from(["1", "2", "", "${x}"]),
        st.sampled_from([None, "inbound", "outbound", "INBOUND", "both", ""]),
    ),
    max_size=6,
)


@thorough
@given(params=_PARAMS, variables=_VARIABLES, wrapped=st.booleans())
def test_an_imported_gateway_behaves_as_it_did(
    params: list[tuple[str, str]], variables: list[tuple[str, str, str | None]], wrapped: bool
) -> None:
    params = [("username", "u"), ("password", "pw"), ("proxy", "sip.example.com"), *params]
    data = _xml(params, variables, wrapped=wrapped)
    text = XmlText("g.xml", preprocess(data, file="g.xml"), False, {"g.xml": data})
    found, problems = find_gateways(XmlFiles((text,), (), 1))
    assert not problems
    result = import_gateways(found)
    before = _loaded(data)
    if before is None:
        event("the switch drops it")
        assert len(result.left_behind) == 1
        return
    (manifest,) = result.manifests
    if manifest.refused:
        event("refused, a person has to decide")
        return
    event("imported")
    after = _loaded(_rendered(manifest.obj, manifest.secret))
    assert after is not None
    assert _held(after) == _held(before)


def _xml(params: list[tuple[str, str]], variables: list[tuple[str, str, str | None]], *, wrapped: bool) -> bytes:
    def attribute(text: str) -> str:
        return quoteattr(text, {"$": "&#36;"})

    lines = [f"<param name={attribute(name)} value={attribute(value)}/>" for name, value in params]
    inner = [
        f"<variable name={attribute(name)} value={attribute(value)}"
        + ("/>" if direction is None else f" direction={attribute(direction)}/>")
        for name, value, direction in variables
    ]
    if wrapped:
        lines, inner = ["<params>", *lines, "</params>"], ["<variables>", *inner, "</variables>"]
    return "\n".join(["<include>", '<gateway name="acme">', *lines, *inner, "</gateway>", "</include>", ""]).encode()


def _rendered(obj: Any, secret: tuple[str, str, str] | None) -> bytes:
    gateway, findings = parse_sipgateway(obj)
    assert gateway is not None, findings
    views = {}
    if secret is not None:
        name, key, password = secret
        views = {name: SecretView(name, labelled=True, data={key: password.encode()})}
    effective, findings = accept(gateway, views)
    assert effective is not None, findings
    return render(effective, revision(effective, KEY))


def _loaded(data: bytes) -> LoadedGateway | None:
    (read,) = read_gateways(parse(preprocess(data, file="g.xml").data))
    try:
        return load(read, "external", {**SETTINGS, "tls": "true"}, 0.0, 0)
    except Dropped:
        return None


def _held(gateway: LoadedGateway) -> dict[str, Any]:
    held = {f.name: getattr(gateway, f.name) for f in dataclasses.fields(gateway) if f.name not in ON_PURPOSE}
    held["register_contact"] = held["register_contact"].partition(";+sip.instance")[0]  # a new one at each load
    held["scheme"] = held["scheme"].lower()  # mod_sofia keeps it and never uses it (sofia_reg.c takes the challenge's)
    held["set on inbound calls"] = _effect(held.pop("inbound"))
    held["set on outbound calls"] = _effect(held.pop("outbound"))
    return held


def _effect(variables: Any) -> dict[str, str]:
    """What a call's channel has in the end: the last of equal names, without regard to case."""
    return {name.lower(): value for name, value in variables.items() if name != "sipgw_revision"}
