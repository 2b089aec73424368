"""Gateways for the tests of this room, from JSON and as a strategy, and a switch that means harm to read them."""

from __future__ import annotations

import json
from pathlib import Path
from types import MappingProxyType
from typing import Any

from hypothesis import strategies as st

from sipgateway.api.gateway import Gateway, Parameter, Target
from sipgateway.api.params import PARAMS
from sipgateway.api.spec import DirectoryUser, Subscription, Variable
from sipgateway.render.preprocessor import preprocess
from sipgateway.render.readback import ReadGateway, read_gateways
from sipgateway.render.revision import RevisionKey
from sipgateway.render.switchxml import parse_fragment

KEY = RevisionKey(b"0123456789abcdef0123456789abcdef")

#: Global variables of a switch that means harm: whatever `$${x}` is left, it does damage.
HOSTILE = MappingProxyType(
    {
        "default_password": "topsecret",
        "x": '"/><param name="register" value="false"/><param name="y" value="',
        "y": "</gateway></gateways>",
        "": "empty",
    }
)

#: What some reader on the way acts on, alone or together with its neighbours.
HAZARDS = (
    "$${default_password}", "$${x}", "$${", "$$", "$", "{", "}", "${caller_id}", "$$${x}", "$${$${x}}",
    "X-PRE-PROCESS", "x-pre-process", "X-", "PRE-", "PROCESS", "<!--#set", "<!--#", "-->", "<!--", "<include>",
    "</include>", "<?", "?>", "<![CDATA[", "]]>", "&", "&amp;", "&#36;", "&#10;", "&lt", ";", "<", ">", '"', "'",
    "/>", "</gateway>", "xmlns", "é", "漢", "😀", "%s", "\\", "ARRAY::", "[0]", "\n", "\r", "\r\n", "\t", " ", "  ",
    "\u0085", "\u2028", "\U0010ffff", "\ufdd0", "\ufffd", "\x7f", '<X-PRE-PROCESS cmd="exec" data="id"/>',
    "<!--#include x-->", "<?xml version='1.0'?>", "<!DOCTYPE a [",
)  # fmt: skip
#: What XML cannot hold.
UNCARRIED = ("\0", "\x01", "\x08", "\x0b", "\x0c", "\x1b", "\x1f", "\ud800", "\udfff", "\ufffe", "\uffff")

_CONTROLS = "".join(chr(n) for n in range(32) if n not in (9, 10, 13))
CARRIED_CHARACTERS = st.characters(exclude_categories=["Cs"], exclude_characters=_CONTROLS + "\ufffe\uffff")
#: Any text that XML can hold, with hazards more often than chance would bring them.
TEXT = st.one_of(
    st.text(CARRIED_CHARACTERS, max_size=20),
    st.lists(st.one_of(st.sampled_from(HAZARDS), st.text(CARRIED_CHARACTERS, max_size=3)), max_size=5).map("".join),
)
#: Any text at all.
ANY_TEXT = st.one_of(
    TEXT,
    st.text(max_size=20),
    st.lists(st.sampled_from([*HAZARDS, *UNCARRIED]), min_size=1, max_size=5).map("".join),
)
_SECONDS = st.one_of(st.none(), st.integers(5, 86_400))


def gateways(text: st.SearchStrategy[str] = TEXT) -> st.SearchStrategy[Gateway]:
    """Any gateway: every text of it is drawn from `text`, accepted by anyone or not."""
    parameter = st.builds(Parameter, st.one_of(st.sampled_from([p.xml for p in PARAMS]), text), text, st.booleans())
    user = st.one_of(st.none(), st.builds(DirectoryUser, text, text))
    variable = st.builds(Variable, text, text, st.sampled_from([None, "inbound", "outbound"]))
    content_type = st.one_of(st.none(), text)
    subscription = st.builds(Subscription, text, _SECONDS, _SECONDS, content_type, st.sampled_from([None, True, False]))
    return st.builds(
        Gateway,
        text,
        st.builds(Target, text, user),
        st.lists(parameter, max_size=4).map(tuple),
        st.lists(variable, max_size=3).map(tuple),
        st.lists(subscription, max_size=2).map(tuple),
    )


def gateway_of(path: Path) -> Gateway:
    """A gateway written as JSON: the short form of the golden files."""
    data: dict[str, Any] = json.loads(path.read_text("utf-8"))
    directory = data.get("directory")
    return Gateway(
        data["name"],
        Target(data.get("profile", "external"), DirectoryUser(**directory) if directory else None),
        tuple(Parameter(name, value, name == "password") for name, value in data.get("parameters", [])),
        tuple(Variable(*variable) for variable in data.get("variables", [])),
        tuple(Subscription(**subscription) for subscription in data.get("subscriptions", [])),
    )


def read_by_a_hostile_switch(data: bytes) -> ReadGateway:
    """What a switch reads whose global variables mean harm, with other gateways before and after."""
    neighbours = b"<include>\n<gateway name='before'/>\n</include>\n", b"<gateway name='after'/>"
    files = [("/conf/1.xml", neighbours[0]), ("/conf/2.xml", data), ("/conf/3.xml", neighbours[1])]
    main = b'<X-PRE-PROCESS cmd="include" data="*.xml"/>\n'
    expanded = preprocess(main, file="/conf/main.xml", variables=HOSTILE, include=lambda _pattern, _cwd: files)
    assert dict(expanded.variables) == dict(HOSTILE)
    assert [d.kind for d in expanded.directives] == ["include"]
    assert not expanded.dropped
    before, found, after = read_gateways(parse_fragment(expanded.data))
    assert (before.name, after.name) == ("before", "after")
    return found
