"""The model of the pre-processor: line by line as switch_xml.c reads, and as facts 4 to 8 and 31 measured it."""

from __future__ import annotations

from collections.abc import Sequence
from types import MappingProxyType

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from sipgateway.errors import Location
from sipgateway.render.preprocessor import MAX_DEPTH, MAX_LINE, Directive, Expanded, preprocess
from sipgateway.render.switchxml import parse_fragment
from tests.profiles import thorough

VARIABLES = MappingProxyType({"x": "VALUE", "inc": "<include>", "tag": "X-PRE-PROCESS", "big": "b" * 1500})

#: What it says about the switch: file, what the XML parser gets.
CASES: dict[str, tuple[bytes, bytes]] = {
    "text without hazards passes": (b"<a>\n  <b/>\r\n</a>", b"<a>\n  <b/>\r\n</a>"),
    "an empty file is empty": (b"", b""),
    # Fact 4
    "a line with <include> goes whole": (b"<include><gateway name='a'/>\n<b/>\n", b"<b/>\n"),
    "a line with </include> goes whole": (b"<a>\n</a></include>\n<b/>\n", b"<a>\n<b/>\n"),
    "a line with <? goes whole": (b"<?xml version='1.0'?><a/>\n<b/>", b"<b/>"),
    "in a value too": (b"<a b='<?'/>\n<c/>", b"<c/>"),
    "in a comment too": (b"<!-- <include> -->\n<c/>", b"<c/>"),
    "<INCLUDE> and <include > are no include": (b"<INCLUDE>\n<include >\n", b"<INCLUDE>\n<include >\n"),
    "a CR ends a line": (b"<include>\r<a/>\n", b"<a/>\n"),
    "a CR LF leaves its LF": (b"<include>\r\n<a/>\r\n", b"\n<a/>\r\n"),
    "an include that a variable brings in stays": (b"a$${inc}b\n", b"a<include>b\n"),
    "behind the first variable nothing is looked for": (b"$${x}</include>\n$${x}<?\n", b"VALUE</include>\nVALUE<?\n"),
    "before the first variable it is": (b"<include>$${x}\n<?$${x}\nend", b"end"),
    "behind a variable that is not closed it is": (b"$${x<include>\nend", b"end"),
    # Fact 5
    "a line with X-PRE-PROCESS that is no tag goes": (b"<a b='X-PRE-PROCESS'/>\n<c/>\n", b"<c/>\n"),
    "in any case": (b"x-pre-process\nX-Pre-Process y\n<c/>", b"<c/>"),
    "at the very beginning": (b"X-PRE-PROCESS <a/>", b""),
    "around a tag nothing is kept": (b"<a/><X-PRE-PROCESS cmd='x'/><b/>\n<c/>", b"<c/>"),
    "one that a variable brings in counts": (b"<a b='$${tag}'/>\n<$${tag} cmd=\"set\" data=\"q=1\"/>\n$${q}", b"1"),
    "of two on a line the first decides": (b'X-PRE-PROCESS <X-PRE-PROCESS cmd="set" data="q=1"/>\n[$${q}]', b"[]"),
    "a tag in a comment is executed": (b'<!-- <X-PRE-PROCESS cmd="set" data="q=1"/> -->\n$${q}', b"1"),
    "X-PRE-PROCES is nothing": (b"X-PRE-PROCES\nXPRE-PROCESS\n", b"X-PRE-PROCES\nXPRE-PROCESS\n"),
    # Fact 6
    "variables are replaced": (b"a$${x}b$${x}c", b"aVALUEbVALUEc"),
    "names ignore case": (b"$${X}", b"VALUE"),
    "an unset one is empty": (b"a$${unset}b$${}c", b"abc"),
    "what they bring in is not looked at again": (
        b'<X-PRE-PROCESS cmd="set" data="q=$$ {x}"/>\n$${q}', b"$$ {x}",
    ),
    "one not closed stays": (b"a$${x\nb", b"a$${x\nb"),
    "an inner one is found then": (b"$${a$${x}\n", b"$${aVALUE\n"),
    "braces nest": (b"$${a{b}c}d", b"d"),
    "a variable does not cross lines": (b"$${\nx}", b"$${\nx}"),
    "$${ with a reference in it is text": (b"a&#36;${x}b $&#36;{x}", b"a&#36;${x}b $&#36;{x}"),
    "${x} is for calls": (b"${x} $x {x}", b"${x} $x {x}"),
    "$$${x} keeps a dollar": (b"$$${x}", b"$VALUE"),
    # Fact 8
    "set trims blanks": (b'<X-PRE-PROCESS cmd="set" data="q  =  1 2 "/>\n[$${q}]', b"[1 2 ]"),
    "set does not decode": (b'<X-PRE-PROCESS cmd="set" data="k=p&amp;w&quot;1"/>\n$${k}', b"p&amp;w&quot;1"),
    "set takes all behind the first =": (b'<X-PRE-PROCESS cmd="set" data="q=a=b"/>\n$${q}', b"a=b"),
    "set to nothing removes": (b'<X-PRE-PROCESS cmd="set" data="x="/>\n[$${x}]', b"[]"),
    "set without = does nothing": (b'<X-PRE-PROCESS cmd="set" data="x"/>\n$${x}', b"VALUE"),
    "set knows variables": (b'<X-PRE-PROCESS cmd="set" data="q=$${x}!"/>\n$${q}', b"VALUE!"),
    "set disarms call variables": (b'<X-PRE-PROCESS cmd="set" data="q=${a} $\\{b} $c"/>\n$${q}', b"%{a} %\\{b} $c"),
    "data before cmd is not found": (b'<X-PRE-PROCESS data="x=1" cmd="set"/>\n$${x}', b"VALUE"),
    "cmd and data in any case": (b'<x-pre-process CMD="SET" DATA="x=1"/>\n$${x}', b"1"),
    "single quotes are no quotes": (b"<X-PRE-PROCESS cmd='set' data='x=1'/>\n$${x}", b"VALUE"),
    "a tag over two lines does nothing": (
        b'<X-PRE-PROCESS cmd="set"\n data="x=1"/>\n$${x}', b' data="x=1"/>\nVALUE',
    ),
    "without its end the tag is still one": (b'<X-PRE-PROCESS cmd="set" data="x=1">\n$${x}', b"1"),
    "an unknown command is nothing": (b'<X-PRE-PROCESS cmd="nonsense" data="x=1"/>\n$${x}', b"VALUE"),
    # The older form
    "<!--# is cut out": (b"a<!--#x y-->b\n", b"ab\n"),
    "<!--#set sets": (b'<!--#set "q=1"-->\n$${q}', b"\n1"),
    "without quotes too": (b"<!--#set q=1-->\n$${q}", b"\n1"),
    "it goes over lines": (b"a<!--#x y\nfoo\n  -->b\nc", b"ab\nc"),
    "its end is not seen behind a variable": (b"<!--#x\n$${x}-->a\n-->b", b"b"),
    "its end's line is read behind the end": (b"<!--#x\n-->a$${x}b\nc", b"a$${xc"),
    "a line with <? in it hides its end": (b"<!--#x\n--><?\nstill\n-->end", b"end"),
    "X-PRE-PROCESS behind its end counts": (b"<!--#x\n-->X-PRE-PROCESS\nend", b"end"),
    "another one on the same line is text": (b"a<!--#x-->b<!--#y-->c", b"ab<!--#y-->c"),
    "a usual comment is text": (b"<!-- a\nb -->", b"<!-- a\nb -->"),
    # Buffers
    "a NUL ends a line, line end and all": (b"a\0b\nc\n", b"ac\n"),
    "a value over the buffer's end is cut with what follows": (
        b"$${big}-$${big}-\nend", (b"b" * 1500 + b"-" + b"b" * 1500)[:2048] + b"end",
    ),
    "text over it brings back the name": (b"$${big}" + b"-" * 600 + b"\nend", b"$${bigend"),
}  # fmt: skip


def expand(data: bytes) -> Expanded:
    return preprocess(data, file="/conf/a.xml", variables=VARIABLES)


@pytest.mark.parametrize("case", CASES)
def test_the_switch_reads(case: str) -> None:
    given_data, expected = CASES[case]
    assert expand(given_data).data == expected


def test_a_line_beyond_the_largest_buffer_is_cut_and_loses_the_byte_at_the_cut() -> None:
    data = b"a" * (MAX_LINE - 1) + b"\n" + b"b" * MAX_LINE + b"c<include>\nend"
    expanded = expand(data)
    assert expanded.data == b"a" * (MAX_LINE - 1) + b"\n" + b"b" * MAX_LINE + b"end"
    assert expanded.dropped == (Location("/conf/a.xml", 2),)


def files(**contents: bytes | None) -> list[tuple[str, bytes | None]]:
    return [(f"/conf/{name}.xml", content) for name, content in contents.items()]


@pytest.mark.parametrize("include", [b'<X-PRE-PROCESS cmd="include" data="d/*.xml"/>', b'<!--#include "d/*.xml"-->'])
def test_included_files_stand_in_the_place_of_the_include(include: bytes) -> None:
    asked: list[tuple[str, str]] = []

    def included(pattern: str, cwd: str) -> Sequence[tuple[str, bytes | None]]:
        asked.append((pattern, cwd))
        return files(b=b"<include>\n  <b/>\n</include>\n", c=b"$${x}no end", d=None)

    expanded = preprocess(b"before\n" + include + b"\nafter", file="/conf/a.xml", variables=VARIABLES, include=included)
    rest = b"\n" if include.startswith(b"<!--") else b""  # the older form keeps what is behind it, and writes it first
    assert expanded.data == b"before\n" + rest + b"  <b/>\nVALUEno endafter"
    assert asked == [("d/*.xml", "/conf")]
    assert expanded.unopened == (("/conf/d.xml", Location("/conf/a.xml", 2)),)
    lines = ["a.xml:1", *(["a.xml:2"] if rest else []), "b.xml:2", "c.xml:1"]
    assert [str(line) for line in expanded.lines] == [f"/conf/{line}" for line in lines]


def test_variables_set_in_an_included_file_hold_behind_the_include() -> None:
    def included(pattern: str, cwd: str) -> Sequence[tuple[str, bytes | None]]:
        return [(f"{cwd}/vars/{pattern}", b'<X-PRE-PROCESS cmd="set" data="Q=1"/>')]

    expanded = preprocess(
        b'[$${q}]\n<X-PRE-PROCESS cmd="include" data="v.xml"/>\n[$${q}]', file="/c/a.xml", include=included
    )
    assert expanded.data == b"[]\n[1]"
    assert dict(expanded.variables) == {"Q": "1"}


def test_an_include_in_an_included_file_starts_from_that_files_folder() -> None:
    def included(pattern: str, cwd: str) -> Sequence[tuple[str, bytes | None]]:
        return [(f"{cwd}/{pattern}", b'<!--#include "d/c.xml"-->' if pattern == "d/b.xml" else cwd.encode())]

    expanded = preprocess(b'<!--#include "d/b.xml"-->', file="/conf/a.xml", include=included)
    assert expanded.data == b"/conf/d"


def test_a_file_that_includes_itself_ends_at_the_depth_where_the_switch_gives_up() -> None:
    def included(_pattern: str, _cwd: str) -> Sequence[tuple[str, bytes | None]]:
        return files(a=b'line\n<X-PRE-PROCESS cmd="include" data="a.xml"/>\n')

    expanded = preprocess(b'<X-PRE-PROCESS cmd="include" data="a.xml"/>\n', file="/conf/a.xml", include=included)
    assert expanded.data == b"line\n" * MAX_DEPTH


def test_without_an_includer_an_include_matches_nothing() -> None:
    assert expand(b'a\n<X-PRE-PROCESS cmd="include" data="*.xml"/>\nb').data == b"a\nb"


@pytest.mark.parametrize("kind", ["exec", "exec-set", "env-set", "stun-set"])
def test_commands_are_told_and_never_carried_out(kind: str) -> None:
    expanded = expand(b'\n<X-PRE-PROCESS cmd="%s" data="q=$HOME $${x}"/>\n[$${q}]' % kind.encode())
    assert expanded.data == b"\n[]"
    assert expanded.directives == (Directive(kind, "q=$HOME VALUE", Location("/conf/a.xml", 2)),)
    assert dict(expanded.variables) == dict(VARIABLES)


def test_directives_are_told_in_order_with_their_lines() -> None:
    expanded = expand(
        b'<!--#exec "date"-->\n\n<x-pre-process CMD="Set" data="a=1"/>\n<!--#env-set "a=$B"-->\n<!--#x-->'
    )
    assert [(d.kind, d.argument, d.location.line) for d in expanded.directives] == [
        ("exec", "date", 1),
        ("set", "a=1", 3),
    ]


@pytest.mark.parametrize(
    ("data", "lines"),
    [
        (b"<include>\n  </include> \n<?xml version='1.0'?>\n<!-- <include> -->\n", []),
        (b"<include><gateway/></include>\n", [1]),
        (b"\n<?xml version='1.0'?><a/>\n", [2]),
        (b"<a b='X-PRE-PROCESS'/>\n<!-- X-PRE-PROCESS -->\n", [1]),
        (b'<X-PRE-PROCESS cmd="set" data="a=1"/>\n<X-PRE-PROCESS cmd="set" data="a=1"/> <b/>\n', [2]),
        (b'<!-- <X-PRE-PROCESS cmd="set" data="a=1"/> -->\n', []),
        (b'<X-PRE-PROCESS\n cmd="set" data="a=1"/>\n', [1]),
        (b"<X-PRE-PROCESS cmd='set' data='a=1'/>\n", [1]),
        (b"<!--#set a=1-->\n<!--#a\nb\n-->\n", []),
        (b"ok\0lost\n", [1]),
        (b"$${big}$${big}lost", [1]),
    ],
)
def test_lines_whose_content_is_lost_are_told(data: bytes, lines: list[int]) -> None:
    assert [place.line for place in expand(data).dropped] == lines


def test_every_output_line_knows_where_it_came_from() -> None:
    expanded = expand(b"<include>\r\n<a>\r\n<!--#x\n\n-->b\n</include>\nc\nlast")
    assert expanded.data == b"\n<a>\r\nb\nc\nlast"
    assert [place.line for place in expanded.lines] == [1, 2, 5, 7, 8]
    assert [expanded.locate(n).line for n in range(1, 7)] == [1, 2, 5, 7, 8, 9]
    assert expanded.locate(3).file == "/conf/a.xml"


def test_an_error_of_the_parser_is_found_in_the_file_that_has_it() -> None:
    contents = files(a=b"<include>\n<gateway name='a'>\n</gateway>\n", b=b"<gateway>\n</gateways>\n")
    expanded = preprocess(
        b'<a>\n<X-PRE-PROCESS cmd="include" data="*.xml"/>\n</a>', file="/conf/m.xml", include=lambda *_: contents
    )
    wrong = expanded.data.split(b"\n").index(b"</gateways>") + 1
    assert str(expanded.locate(wrong)) == "/conf/b.xml:2"


PIECES = st.sampled_from(
    [
        b"<include>", b"</include>", b"<?", b"$${x}", b"$${", b"$${tag}", b"$${inc}", b"$${big}", b"}", b"\n", b"\r\n",
        b"\r", b"X-PRE-PROCESS", b"<X-PRE-PROCESS ", b'cmd="set" data="q=1"', b"/>", b"<!--#", b"<!--#set q=1", b"-->",
        b"\0", b"$${q}", b"abc", b" ", b"\xc3\xa9", b"\xff", b'"', b"y" * 900,
    ]
)  # fmt: skip
DOCUMENTS = st.lists(PIECES, max_size=25).map(b"".join)


@thorough
@given(DOCUMENTS)
def test_a_file_is_the_same_read_in_one_piece_or_included_behind_untouched_lines(data: bytes) -> None:
    """Lines without hazards are copied in bulk, the others one by one: where they stand must not matter."""
    alone = expand(data)
    quiet = b"<a>text</a>\n" * 3
    shifted = expand(quiet + data)
    assert shifted.data == quiet + alone.data
    assert [p.line for p in shifted.lines[3:]] == [p.line + 3 for p in alone.lines]
    assert [p.line for p in shifted.dropped] == [p.line + 3 for p in alone.dropped]
    included = preprocess(
        b'<X-PRE-PROCESS cmd="include" data="a.xml"/>',
        file="/conf/m.xml",
        variables=VARIABLES,
        include=lambda *_: [("/conf/a.xml", data)],
    )
    assert (included.data, included.lines, included.variables) == (alone.data, alone.lines, alone.variables)


@given(DOCUMENTS)
@example(b"a\rb\r\n\r")
def test_every_output_line_has_exactly_one_origin(data: bytes) -> None:
    expanded = expand(data)
    ends_open = not expanded.data.endswith(b"\n") and expanded.data != b""
    assert len(expanded.lines) == expanded.data.count(b"\n") + ends_open
    assert all(1 <= place.line <= data.count(b"\n") + 1 for place in expanded.lines)


@given(st.binary(max_size=60))
def test_bytes_without_hazards_pass_unchanged(data: bytes) -> None:
    hazards = (b"<include>", b"</include>", b"<?", b"$${", b"<!--#", b"\0", b"x-pre-process")
    assume(not any(hazard in data.lower() for hazard in hazards))
    expanded = expand(data)
    assert expanded.data == data
    assert (expanded.directives, expanded.dropped) == ((), ())


@given(DOCUMENTS, st.text(max_size=5), st.text(max_size=20))
def test_a_file_without_an_expansion_does_not_depend_on_variables(data: bytes, name: str, value: str) -> None:
    data = data.replace(b"$${", b"$")
    assert preprocess(data, file="a", variables={name: value}).data == preprocess(data, file="a").data


def test_a_gateway_in_include_lines_is_read_as_a_gateway() -> None:
    expanded = expand(b"<?xml version='1.0'?>\n<include>\n<gateway name='$${x}'/>\n</include>\n")
    (gateway,) = parse_fragment(expanded.data)
    assert gateway.get("name") == "VALUE"
