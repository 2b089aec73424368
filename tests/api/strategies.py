"""What hypothesis draws: texts with all that hurts, specs that are mostly good, and any JSON at all."""

from __future__ import annotations

import copy
from typing import Any

from hypothesis import strategies as st

from sipgateway.api.grammar import violation
from sipgateway.api.params import BY_FIELD, Grammar, Kind, Param
from sipgateway.api.parse import SPEC_FIELDS, SPEC_PARAMS
from tests.api.builders import CALLS, PASSWORD, REGISTERING, USERNAME

#: Pieces that mean something to SIP, to mod_sofia, or to XML.
_PIECES = (
    *("a", "Z", "0", "-", "_", ".", "!", "~", "*", "'", "(", ")", "&", "=", "+", "$", ",", ";", "?", "/", ":", "@"),
    *("%", "%41", "%zz", "<", ">", '"', "\\", "#", "[", "]", "{", "}", "|", "^", "`", " ", "\t", "\r", "\n", "\r\n"),
    *("\x00", "\x1f", "\x7f", "\x85", "\u00a0", "\u00e9", "\u2028", "\ufffe", "\U0001f4de", "\u017f", "\u212a"),
    *("sip:", "sips:", "SIP:", "transport=", ";transport=tcp", ";lr", ";tag=1", ";gw=x", ";fs_path=", "::", "[::1]"),
    *(":5060", "a.example.com", "192.0.2.1", "2001:db8::1", "${x}", "$${x}", "ARRAY::", "auto-aleg-full", "sip-ip"),
)

#: Any text: short, and made of what hurts as often as of anything.
dirty = st.one_of(
    st.lists(st.sampled_from(_PIECES), max_size=6).map("".join),
    st.text(st.characters(codec="utf-8"), max_size=8),
)

#: Any text, lone surrogates included: what JSON can bring.
any_text = st.one_of(dirty, st.text(max_size=8))


_HOSTS = ("a.example.com", "b", "x-1.example.net.", "192.0.2.1", "[2001:db8::1]", "[::]")
_PARAMETERS = ("", ";lr", ";transport=tcp", ";transport=UDP;lr=on", ";x=y;Z", ";maddr=192.0.2.9")
_host_ports = st.builds(str.__add__, st.sampled_from(_HOSTS), st.sampled_from(("", ":1", ":5060", ":65535")))


def _texts(grammar: Grammar) -> st.SearchStrategy[str]:
    """Short texts of the characters that a grammar of single characters allows."""
    allowed = [c for c in map(chr, range(0x20, 0x250)) if violation(grammar, c) is None] + ["\u2028", "\U0001f4de"]
    return st.text([c for c in allowed if violation(grammar, c) is None], min_size=1, max_size=12)


_ALLOWED = {
    **{g: _texts(g) for g in (Grammar.TEXT, Grammar.USER, Grammar.AUTH_USER, Grammar.REALM)},
    Grammar.HOST: st.sampled_from(("a.example.com", "b-1.example.", "192.0.2.1", "2001:db8::1", "::")),
    Grammar.URI_PARAMS: st.builds(
        str.__add__,
        st.sampled_from(("", ";")),
        st.lists(st.sampled_from(("a", "B=c", "x=(1/2:3)", "y=$&+", "user=phone", "z")), min_size=1, unique=True).map(
            ";".join
        ),
    ),
}


def _good_texts(param: Param) -> st.SearchStrategy[str]:
    if param.choices:
        return st.sampled_from(param.choices)
    if param.grammar is Grammar.HOST_PORT:
        return st.one_of(_host_ports, st.sampled_from(param.words))
    if param.grammar in {Grammar.PROXY, Grammar.HOST_OR_URI}:
        scheme = st.sampled_from(("", "sip:", "SIPS:") if param.grammar is Grammar.HOST_OR_URI else ("",))
        return st.builds("{}{}{}".format, scheme, _host_ports, st.sampled_from(_PARAMETERS))
    drawn = _ALLOWED[param.grammar]
    return st.one_of(st.sampled_from(param.words), drawn) if param.words else drawn


def _good_values(param: Param) -> st.SearchStrategy[Any]:
    if param.kind is Kind.BOOL:
        return st.booleans()
    if param.kind is Kind.INT:
        return st.integers(param.minimum, param.maximum)
    return _good_texts(param)


#: Values that the row's own grammar and bounds allow, by field.
GOOD_VALUES = {param.field: _good_values(param) for param in SPEC_PARAMS}

_scalars = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), any_text)

#: Any JSON at all.
json_values: st.SearchStrategy[Any] = st.recursive(
    _scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(any_text, inner, max_size=4)),
    max_leaves=12,
)

_variables = st.lists(
    st.fixed_dictionaries(
        {
            "name": st.one_of(st.sampled_from(("a", "A", "b", "sip_h_X-A", "SIP_rh_a", "sipgw_revision")), dirty),
            "value": st.one_of(st.just("1"), dirty),
        },
        optional={"direction": st.sampled_from(("inbound", "outbound", "both"))},
    ),
    max_size=3,
)
_subscriptions = st.lists(
    st.fixed_dictionaries(
        {"event": st.one_of(st.sampled_from(("presence", "Presence", "message-summary")), dirty)},
        optional={
            "expireSeconds": st.integers(0, 100_000),
            "retrySeconds": st.integers(0, 100_000),
            "contentType": st.one_of(st.just("a/b"), dirty),
            "usernameInRequest": st.booleans(),
        },
    ),
    max_size=2,
)
_extra_params = st.lists(
    st.fixed_dictionaries(
        {"name": st.one_of(st.sampled_from(("x", "X", "proxy", "Password", "cid-type")), dirty), "value": dirty}
    ),
    max_size=2,
)
_names = st.one_of(st.sampled_from(("acme", "all", "ALL", "sip.example.com", "a..b")), dirty)

_OWN: dict[str, st.SearchStrategy[Any]] = {
    "switch": st.one_of(st.just("default"), dirty),
    "profile": st.one_of(st.just("external"), dirty),
    "gatewayName": _names,
    "placement": st.sampled_from(("All", "One")),
    "directory": st.fixed_dictionaries({"domain": st.one_of(st.just("a.example.com"), dirty), "user": dirty}),
    "suspend": st.booleans(),
    "usernameFrom": st.just(USERNAME),
    "passwordFrom": st.just(PASSWORD),
    "variables": _variables,
    "subscriptions": _subscriptions,
    "extraParams": _extra_params,
}


_ROWS = tuple(param.field for param in SPEC_PARAMS if param.refused is None)


@st.composite
def specs(draw: st.DrawFn, *, dirt: bool = True) -> dict[str, Any]:
    """A spec of JSON types: a good base, a few good fields, and with `dirt` at most two fields of anything."""
    spec: dict[str, Any] = dict(draw(st.sampled_from((REGISTERING, CALLS))))
    for field in draw(st.lists(st.sampled_from(_ROWS), max_size=4, unique=True)):
        spec[field] = draw(GOOD_VALUES[field])
    if not dirt:
        return spec
    for field in draw(st.lists(st.sampled_from(SPEC_FIELDS), max_size=2)):
        if field in _OWN:
            spec[field] = draw(_OWN[field])
        elif BY_FIELD[field].kind is Kind.INT:
            spec[field] = draw(st.integers(-2, 100_000))
        elif BY_FIELD[field].kind is Kind.TEXT:
            spec[field] = draw(dirty)
    for field in draw(st.lists(st.sampled_from(sorted(spec)), max_size=1)):
        del spec[field]
    return spec


#: Any JSON that an API server can be sent: no lone surrogates, integers of 64 bits.
_sent: st.SearchStrategy[Any] = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(2**63), 2**63 - 1), st.floats(-1e9, 1e9), dirty),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(dirty, inner, max_size=3)),
    max_leaves=6,
)
_field_names = st.one_of(
    st.sampled_from((*SPEC_FIELDS, "password", "cid-type", "expire-seconds", "name", "value", "event", "direction")),
    dirty,
)


@st.composite
def broken(draw: st.DrawFn) -> dict[str, Any]:
    """A spec in which one place, however deep, holds any JSON, lacks a field, has one too many or is too long."""
    spec: dict[str, Any] = copy.deepcopy(draw(specs()))
    places: list[tuple[Any, Any]] = []

    def walk(value: Any) -> None:
        inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        for key, child in inner:
            places.append((value, key))
            walk(child)

    walk(spec)
    into, key = draw(st.sampled_from(places))
    how = draw(st.sampled_from(("anything", "gone", "more", "long")))
    if how == "gone":
        del into[key]
    elif how == "more":
        inside = into[key] if isinstance(into[key], dict) else spec
        inside[draw(_field_names)] = draw(_sent)
    elif how == "long":
        unit = draw(st.sampled_from(("a", "\u00e9", "a.", "\U0001f4de")))
        into[key] = unit * (
            draw(st.sampled_from((63, 64, 128, 253, 255, 1024, 2048))) // len(unit) + draw(st.integers(-1, 1))
        )
    else:
        into[key] = draw(_sent)
    return spec


#: Names of objects, good and bad.
object_names = st.one_of(
    st.sampled_from(
        ("acme", "all", "sip.example.com", "192.0.2.7", "a..b", "Acme", "_all_", "a" * 242, "a" * 243, "a" * 254)
    ),
    dirty.filter(bool),
)
