"""Any spec at all, drawn from the parameter table: values that fit their grammar, words, bounds, and any text."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from sipgateway.api.params import PARAMS, Grammar, Kind, Param

#: Text with everything in it that a reader on the way could act on.
_WORDS = (
    "$${default_password} $${x $$$${y} ${caller} X-PRE-PROCESS <X-PRE-PROCESS/> x-Pre-Process <!--#exec --> <include> "
    "</include> <?xml &amp; &#36; & < > ' ARRAY:: [ ] transport=tcp sip: ::1 [::1]:5060 ]]> %zz ; ? @ : \\"
)
_CHARACTERS = '"\n\t \x00\x07\x7f\u0085\u2028é漢😀\ud800\ufffe'
HAZARDS = st.sampled_from([*_WORDS.split(), *_CHARACTERS, "\r\n", '<X-PRE-PROCESS cmd="exec" data="id"/>'])
ANY_TEXT = st.one_of(
    st.text(max_size=40),
    st.lists(st.one_of(HAZARDS, st.text(max_size=6)), max_size=6).map("".join),
)
HOST = st.sampled_from(["sip.example.com", "192.0.2.10", "[2001:db8::1]", "example.net", "a-b.example.org"])
PORT = st.sampled_from(["", ":5060", ":5061"])
USER = st.text(alphabet="abcXYZ019-_.!~*'()+", min_size=1, max_size=20)
URI_PARAMS = st.sampled_from(["", ";lr", ";transport=tcp", ";a=b;c"])


def seldom(rare: st.SearchStrategy[Any], usual: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """One in sixteen is rare, so that manifests of many fields are still often accepted."""
    return st.integers(0, 15).flatmap(lambda n: rare if n == 15 else usual)


_FITTING: dict[Grammar, st.SearchStrategy[str]] = {
    Grammar.TEXT: st.text(alphabet="abc $&<>\"'é😀{}X-PRE", max_size=30),
    Grammar.USER: USER,
    Grammar.AUTH_USER: USER,
    Grammar.REALM: HOST,
    Grammar.SCHEME: st.just("Digest"),
    Grammar.HOST: HOST,
    Grammar.HOST_PORT: st.builds(str.__add__, HOST, PORT),
    Grammar.PROXY: st.builds(lambda h, p: h + p, HOST, st.sampled_from(["", ":5060", ":5060;lr", ":5061;a=b"])),
    Grammar.HOST_OR_URI: st.builds(lambda s, h, p: s + h + p, st.sampled_from(["", "sip:"]), HOST, PORT),
    Grammar.URI_PARAMS: st.sampled_from(["line=1", ";line=1", "a;b=c"]),
    Grammar.SECRET: st.text(min_size=1, max_size=30),
}


def value(param: Param) -> st.SearchStrategy[Any]:
    """A value for a row of the table: mostly one that fits."""
    if param.kind is Kind.BOOL:
        return st.booleans()
    if param.kind is Kind.INT:
        low, high = param.minimum or 0, param.maximum or 1000
        return seldom(st.integers(-3, 10), st.integers(max(low, 60), max(min(high, low + 3600), 60)))
    choices = [*param.choices, *param.words]
    fitting = st.sampled_from(choices) if param.choices else _FITTING[param.grammar]
    if choices and not param.choices:
        fitting = st.one_of(fitting, st.sampled_from(choices))
    return seldom(ANY_TEXT, fitting)


_LITERAL = [p for p in PARAMS if not p.secret and p.refused is None]

_PRINTABLE = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1)
VARIABLES = st.lists(
    st.fixed_dictionaries(
        {
            "name": seldom(ANY_TEXT, st.text(alphabet="abcdefgh_XYZ0-", min_size=1, max_size=12)),
            "value": seldom(
                ANY_TEXT, st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1).map("$${x}".join)
            ),
        },
        optional={"direction": seldom(st.just("both"), st.sampled_from(["inbound", "outbound"]))},
    ),
    max_size=4,
    unique_by=lambda v: v["name"].lower(),
)
SUBSCRIPTIONS = st.lists(
    st.fixed_dictionaries(
        {"event": st.sampled_from(["message-summary", "presence", "dialog"])},
        optional={
            "expireSeconds": seldom(st.integers(3, 10), st.integers(60, 4000)),
            "retrySeconds": seldom(st.integers(8, 12), st.integers(10, 100)),
            "contentType": seldom(st.just("a b"), st.just("application/simple-message-summary")),
            "usernameInRequest": st.booleans(),
        },
    ),
    max_size=2,
    unique_by=lambda s: s["event"],
)


@st.composite
def manifests(draw: st.DrawFn) -> dict[str, Any]:
    """A SipGateway as YAML would give it; often acceptable, always well-typed."""
    spec: dict[str, Any] = {"proxy": draw(_FITTING[Grammar.PROXY])}
    for param in draw(st.lists(st.sampled_from(_LITERAL), max_size=6, unique=True)):
        spec[param.field] = draw(value(param))
    if draw(st.booleans()):
        spec["register"] = False
    else:
        spec.setdefault("username", draw(USER))
        spec["passwordFrom"] = {"secretKeyRef": {"name": "s", "key": "password"}}
    if draw(st.booleans()):
        spec["variables"] = draw(VARIABLES)
    if draw(st.integers(0, 4)) == 0:
        spec["subscriptions"] = draw(SUBSCRIPTIONS)
    if draw(st.integers(0, 4)) == 0:
        spec["extraParams"] = [{"name": "x-custom", "value": draw(ANY_TEXT)}]
    if draw(st.integers(0, 6)) == 0:
        spec["directory"] = {"domain": "sipgw.example.com", "user": "trunks"}
    return {
        "apiVersion": "sipgateway.dev/v1alpha1",
        "kind": "SipGateway",
        "metadata": {"name": draw(st.sampled_from(["acme", "a.b-c", "x" * 63]))},
        "spec": spec,
    }
