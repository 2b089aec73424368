"""The model of the XML parser: what it takes, the words and lines of what it refuses, and where it agrees with lxml."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from lxml import etree

from sipgateway.render.switchxml import SwitchXmlError, parse, parse_fragment, parse_strictly
from tests.render.gateways import CARRIED_CHARACTERS, HAZARDS

TRANSCRIPTS = Path(__file__).parents[1] / "transcripts"

Tree = tuple[str, tuple[tuple[str, str], ...], tuple["Tree", ...]]


def tree(element: etree._Element) -> Tree:
    attributes = tuple((str(name), str(value)) for name, value in element.items())
    return str(element.tag), attributes, tuple(tree(child) for child in element)


#: Documents that it refuses: document, line, words.
REFUSED: dict[str, tuple[bytes, int, str]] = {
    "wrong closing tag": (b"<gateways>\n<gateway>\n</gateways>", 3, "unexpected closing tag </gateways>"),
    "closing tag without an opening one": (b"<a/></b>", 1, "unexpected closing tag </b>"),
    "closing tag with a blank in front": (b"<a></ a>", 1, "unexpected closing tag </>"),
    "case matters": (b"<a></A>", 1, "unexpected closing tag </A>"),
    "no closing tag": (b"<a>\n<b/>\n<c>\n", 3, "unclosed tag <c>"),
    "nothing but text": (b"text\n", 1, "root tag missing"),
    "nothing but a comment": (b"<!-- a -->\n", 1, "root tag missing"),
    "two roots": (b"<a/>\n<b/>", 2, "markup outside of root element"),
    "tag not ended": (b"<a\n", 1, "missing >"),
    "slash inside a tag": (b"<a/b='c'>", 1, "missing >"),
    "quote not ended": (b"<a b='c>\n</a>", 1, "missing '"),
    "double quote not ended": (b'<a b="c>\n</a>', 1, 'missing "'),
    "no name": (b"<a>\n<1/></a>", 2, "unexpected <"),
    "two dashes in a comment": (b"<a>\n<!-- a -- b --></a>", 2, "unclosed <!--"),
    "comment not ended": (b"<a><!-- a ></a>", 1, "unclosed <!--"),
    "three dashes end no comment": (b"<a><!-- a ---></a>", 1, "unclosed <!--"),
    "CDATA not ended": (b"<a><![CDATA[ ]]</a>", 1, "unclosed <![CDATA["),
    "instruction not ended": (b"<a/>\n<?x >", 2, "unclosed <?"),
    "DOCTYPE not ended": (b"<!DOCTYPE a [\n <a/ ", 1, "unclosed <!DOCTYPE"),
    "a long name is cut": (b"<a></" + b"b" * 200 + b">", 1, "unexpected closing tag </" + "b" * 81),
    # Lines are counted in what parsing has left of the text
    "a line break in an attribute does not count": (b"<a b='1\n2\n3'>\n</c>", 2, "unexpected closing tag </c>"),
    "nor one behind the tag's name": (b"<a\n\n b='1'>\n</c>", 2, "unexpected closing tag </c>"),
    "&#10; counts": (b"<a b='1&#10;2'>\n</c>", 3, "unexpected closing tag </c>"),
    "CR LF counts once": (b"<a>\r\n</c>", 2, "unexpected closing tag </c>"),
    "CR counts": (b"<a>x\ry\r</c>", 3, "unexpected closing tag </c>"),
    "what a reference leaves behind counts again": (b"<a>&amp;\nx\n</c>", 5, "unexpected closing tag </c>"),
}

#: Documents that lxml refuses and it takes: document, tree.
TAKEN: dict[str, tuple[bytes, Tree]] = {
    "text before the root": (b"hello <a/>", ("a", (), ())),
    "text behind the root": (b"<a/>hello", ("a", (), ())),
    "whatever the last byte is": (b"<a/>x", ("a", (), ())),
    "unquoted values are empty": (b"<a b=c/>", ("a", (("b", ""), ("c", "")), ())),
    "attributes without a value": (b"<a b c='1'/>", ("a", (("b", ""), ("c", "1")), ())),
    "of equal attributes the first": (b"<a b='1' b='2'/>", ("a", (("b", "1"),), ())),
    "no blank between attributes": (b"<a b='1'c='2'/>", ("a", (("b", "1"), ("c", "2")), ())),
    "< in a value": (b"<a b='<c>'/>", ("a", (("b", "<c>"),), ())),
    "a stray &": (b"<a b='a&b&;'/>", ("a", (("b", "a&b&;"),), ())),
    "unknown entities stay": (b"<a b='&foo;&#;&#x;&#0;'/>", ("a", (("b", "&foo;&#;&#x;&#0;"),), ())),
    "known ones do not": (b"<a b='&foo;&lt;&gt;&amp;&quot;&apos;'/>", ("a", (("b", "&foo;<>&\"'"),), ())),
    "none is decoded twice": (b"<a b='&foo;&amp;lt;&amp;#36;'/>", ("a", (("b", "&foo;&lt;&#36;"),), ())),
    "an upper-case X is no hex": (b"<a b='&#X41;&#x41;'/>", ("a", (("b", "&#X41;A"),), ())),
    "white space becomes blanks": (b"<a b='&x\t\n\r\n\x0b&#9;&#10;&#13;'/>", ("a", (("b", "&x    \t\n\r"),), ())),
    "junk behind a closing tag's name": (b"<a><b></b x></a>", ("a", (), (("b", (), ()),))),
    "namespaces are no such thing": (
        b"<x:a xmlns:x='u' xmlns='v'><x:b/></x:a>",
        ("x_a", (("xmlns_x", "u"), ("xmlns", "v")), (("x_b", (), ()),)),
    ),
    "a DTD is skipped": (b"<!DOCTYPE a [<!ELEMENT a ANY>]>\n<a/>", ("a", (), ())),
    "DOCTYPE without a subset": (b"<!DOCTYPE a SYSTEM 'x'><a/>", ("a", (), ())),
    "UTF-16 with a mark": (b"\xff\xfe" + "<a b='é'/>".encode("utf-16-le"), ("a", (("b", "é"),), ())),
    "what a tree cannot hold is replaced": (b"<a b='\xff\x01&#1;'/>", ("a", (("b", "\ufffd\ufffd\ufffd"),), ())),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_the_switch_refuses(case: str) -> None:
    data, line, words = REFUSED[case]
    with pytest.raises(SwitchXmlError) as refusal:
        parse(data)
    assert refusal.value.line == line
    assert refusal.value.text == f"[error near line {line}]: {words}"
    assert len(refusal.value.text) < 128


@pytest.mark.parametrize("case", TAKEN)
def test_the_switch_takes_what_lxml_does_not(case: str) -> None:
    data, expected = TAKEN[case]
    assert tree(parse(data)) == expected


def test_an_empty_document_is_answered_like_a_missing_one() -> None:
    with pytest.raises(SwitchXmlError) as refusal:
        parse(b"")
    assert (refusal.value.line, refusal.value.text) == (0, "Cannot Open log directory or XML Root!")


def test_the_words_are_those_of_the_recorded_switch() -> None:
    recorded = re.search(r"Reload XML \[(\[.*?\].*)\]\n", (TRANSCRIPTS / "malformed.txt").read_text("utf-8"))
    assert recorded is not None
    before = b"\n" * 46
    with pytest.raises(SwitchXmlError) as refusal:
        parse(b"<gateways>" + before + b"<gateway name='bad'>\n</gateways>")
    assert refusal.value.text == recorded[1]


def test_a_fragment_may_hold_any_number_of_elements() -> None:
    assert [child.tag for child in parse_fragment(b"<a/>\n<b/>")] == ["a", "b"]
    assert [child.tag for child in parse_fragment(b"")] == []
    with pytest.raises(SwitchXmlError, match=r"line 2\]: unexpected closing tag </gateways>"):
        parse_fragment(b"<a>\n")


def test_lines_of_elements_are_those_of_the_text() -> None:
    for extra in (b"", b" d=e"):  # read by lxml, and by the model
        root = parse(b"<a>\n<b/>\ntext\n\n<c" + extra + b"/></a>")
        assert [str(element.sourceline) for element in root.iter()] == ["1", "2", "5"]


def test_a_declared_encoding_does_not_matter() -> None:
    document = "<?xml version='1.0' encoding='iso-8859-1'?><a b='é'/>".encode()
    assert parse(document).get("b") == "é"


def test_entities_of_a_dtd_are_never_expanded() -> None:
    document = b"<!DOCTYPE a [<!ENTITY e 'boo'><!ENTITY f SYSTEM 'file:///etc/hostname'>]><a b='&e;&f;'>&e;&f;</a>"
    assert parse(document).get("b") == "&e;&f;"


NAMES = st.sampled_from(["gateway", "param", "a", "b-c", "d.e", "_f"])
VALUES = st.lists(st.one_of(st.sampled_from(HAZARDS), st.text(CARRIED_CHARACTERS, max_size=4)), max_size=4).map("".join)


@st.composite
def documents(draw: st.DrawFn, depth: int = 3) -> bytes:
    """Well-formed documents in many ways of writing."""

    def space(least: int = 0) -> str:
        return "".join(draw(st.lists(st.sampled_from([" ", "\n", "\t", "\r\n"]), min_size=least, max_size=3)))

    def attribute(name: str) -> str:
        quote = draw(st.sampled_from("\"'"))
        escapes = {"&": "&amp;", "<": "&lt;", quote: "&#x22;" if quote == '"' else "&apos;"}
        if draw(st.booleans()):
            escapes |= {"\n": "&#xA;", "\t": "&#9;", "\r": "&#13;", ">": "&gt;", "é": "&#233;", "😀": "&#x1F600;"}
        value = "".join(escapes.get(c, c) for c in draw(VALUES))
        return f"{space(1)}{name}{space()}={space()}{quote}{value}{quote}"

    def between() -> str:
        return draw(
            st.sampled_from(["", "\n", "a&amp;&#10;", "<!--c>-c-->", "<!---->", "<?pi a?b??>", "<![CDATA[<&]]>"])
        )

    def element(level: int) -> str:
        name = draw(NAMES)
        attributes = "".join(attribute(n) for n in draw(st.lists(NAMES, unique=True, max_size=2)))
        children = draw(st.lists(st.none(), max_size=2)) if level else []
        inside = between() + "".join(element(level - 1) + between() for _ in children)
        if not inside and draw(st.booleans()):
            return f"<{name}{attributes}{space()}/>"
        return f"<{name}{attributes}{space()}>{inside}</{name}{space()}>"

    outside = st.sampled_from(["", "\n", "<!-- c -->", "<?pi?>"])
    return (draw(outside) + element(depth) + draw(outside)).encode()


@given(documents())
@example(b'<a b="\r">\n</a\r\n><?pi?>')
def test_the_model_reads_well_formed_documents_as_lxml_does(data: bytes) -> None:
    """What lxml takes is not given to the model: right only because they agree. Text in front forces the model."""
    assert tree(parse(b"text" + data)) == tree(parse_strictly(data))


SHARDS = st.sampled_from(
    [
        b"<", b">", b"/", b"=", b'"', b"'", b"<a>", b"</a>", b"<b/>", b"<a b='", b"<!--", b"-->", b"--", b"<![CDATA[",
        b"]]>", b"<!DOCTYPE a", b"[", b"]", b"?>", b"&lt;", b"&#10;", b"&#x110000;", b"&#xD800;", b"&", b";", b"\0",
        b"<?", b"\r", b"\n", b" ", b"\t", b"\x0b", b"a", b"\xc3\xa9", b"\xff", b"xmlns='u'", b"p:q=''",
    ]
)  # fmt: skip


@given(st.one_of(st.binary(max_size=40), st.lists(SHARDS, max_size=15).map(b"".join)))
def test_any_bytes_are_taken_or_refused_with_words(data: bytes) -> None:
    try:
        element = parse(data)
    except SwitchXmlError as refused:
        words = re.compile(r"\[error near line ([0-9]+)\]: .+|Cannot Open log directory or XML Root!()", re.DOTALL)
        match = words.fullmatch(refused.text)
        assert match is not None
        assert int(match[1] or 0) == refused.line  # noqa: PT017
        return
    assert tree(parse_strictly(etree.tostring(element))) == tree(element)
