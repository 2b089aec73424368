"""YAML and JSON as kubectl reads them, with lines, and whatever people or attackers write."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sipgateway.errors import Finding
from sipgateway.source import documents
from sipgateway.source.documents import read_documents
from sipgateway.source.emit import emit
from tests.profiles import thorough


def values(text: str | bytes, file: str = "f.yaml") -> list[object]:
    data = text.encode() if isinstance(text, str) else text
    parsed, findings = read_documents(data, file)
    assert not findings, findings
    assert not any(one.findings for one in parsed)
    return [one.value for one in parsed]


def refusal(text: str | bytes, file: str = "f.yaml") -> Finding:
    data = text.encode() if isinstance(text, str) else text
    parsed, findings = read_documents(data, file)
    assert not parsed
    (finding,) = findings
    return finding


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("on", True),
        ("yes", True),
        ("y", True),
        ("Off", False),
        ("NO", False),
        ("true", True),
        ("~", None),
        ("", None),
        ("null", None),
        ("0", 0),
        ("-5", -5),
        ("+5", 5),
        ("0600", 384),
        ("0o17", 15),
        ("0x1f", 31),
        ("-0b101", -5),
        ("1_000", 1000),
        ("08", 8.0),
        ("1.5", 1.5),
        ("1e3", 1000.0),
        ("1" * 40, float("1" * 40)),
        (".inf", float("inf")),
        ("2001-01-01", "2001-01-01"),
        ("12:30", "12:30"),
        ("1.2.3.4", "1.2.3.4"),
        ("nope", "nope"),
        ("yesterday", "yesterday"),
        ('"on"', "on"),
        ("'0600'", "0600"),
        ("!!str 5", "5"),
        ("!!int 5", 5),
        ("|\n  a\n  b\n", "a\nb\n"),
    ],
)
def test_a_plain_scalar_is_what_kubectl_takes_it_for(written: str, read: object) -> None:
    assert values(f"a: {written}") == [{"a": read}]


def test_documents_lists_anchors_and_merge_keys_are_understood() -> None:
    text = "%YAML 1.2\n---\nbase: &b {x: 1, y: 2}\nc: {<<: *b, y: 3}\nd: {<<: [*b, {z: 9}]}\n...\n"
    first, second = values(f"{text}---\n# nothing\n---\n- 1\n")
    assert first == {"base": {"x": 1, "y": 2}, "c": {"x": 1, "y": 3}, "d": {"x": 1, "y": 2, "z": 9}}
    assert second == [1]


@pytest.mark.parametrize("data", [b"", b"\n\n", b"# a comment\n", b"---\n---\n", b"\xef\xbb\xbf"])
def test_a_file_without_content_has_no_documents(data: bytes) -> None:
    assert values(data) == []


def test_a_byte_order_mark_and_windows_line_ends_do_no_harm() -> None:
    assert values(b"\xef\xbb\xbfa: b\r\nc: d\r\n") == [{"a": "b", "c": "d"}]


@pytest.mark.parametrize("indent", [None, 1, "\t"])
@given(value=st.dictionaries(st.text(max_size=8), st.text(max_size=20), min_size=1))
def test_json_is_read_as_json_with_its_escapes(indent: Any, value: dict[str, str]) -> None:
    clean = {
        k.encode("utf-8", "replace").decode(): v.encode("utf-8", "replace").decode() for k, v in value.items()
    } or {"a": "b"}
    for ascii_only in (True, False):
        written = json.dumps(clean, indent=indent, ensure_ascii=ascii_only)
        if "\x7f" in written or any("\x80" <= c <= "\x9f" or c in "\ufffe\uffff" for c in written):
            continue  # not allowed in YAML as they are
        assert values(written, "f.json") == [clean]


@pytest.mark.parametrize(
    ("text", "code", "line", "words"),
    [
        ("a: 1\nb:\n\tc: 2\n", "BadYaml", 3, "a tab stands in the indentation"),
        ("a: [1,\n", "BadYaml", 2, "flow"),
        ("a: b: c", "BadYaml", 1, "mapping values are not allowed"),
        ("a: 'x", "BadYaml", 1, "end of stream"),
        ("x: 1\na: \x01", "BadYaml", 2, "a control character"),
        ('{"a": "\\ud83d"}', "BadYaml", 1, "invalid Unicode"),
        (b"a: 1\nb: \xff\n", "NotUtf8", 2, "byte 8 is not UTF-8"),
        ("a: b".encode("utf-16"), "NotUtf8", 1, "is not UTF-8"),
        ("a: !!python/object/apply:os.system [id]", "YamlTag", 1, "a tag"),
        ("a: !hunter2", "YamlTag", 1, "a tag"),
        ("a: 1\nb: *hunter2", "TooComplex", 2, "an alias"),
        ("a: &a [*a]", "TooComplex", 1, "an alias"),
        ("a: 1\n? [x]\n: 1", "TooComplex", 2, "a key that is not a word"),
        ("a: " + "[" * 500, "TooComplex", 1, "levels deep"),
        ("[" * 1_000_000, "TooComplex", 1, "levels deep"),
        ("a: " + "{b: " * 100, "TooComplex", 1, "levels deep"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_what_cannot_be_read_is_refused_with_its_line(text: str | bytes, code: str, line: int, words: str) -> None:
    finding = refusal(text, "f.json" if text[:1] == "{" else "f.yaml")
    assert finding.code == code
    assert finding.location is not None
    assert finding.location.line == line
    assert words in finding.message
    assert "hunter2" not in str(finding), "an unquoted password that begins with ! or * must not be shown"


def test_a_yaml_bomb_is_refused() -> None:
    lines = ["l0: &l0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 10)}]" for n in range(1, 10)]
    assert "aliases add more than" in refusal("\n".join(lines)).message


def test_too_many_values_and_too_big_files_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "MAX_NODES", 100)
    assert "more than 100 values" in refusal("- x\n" * 101).message
    monkeypatch.setattr(documents, "MAX_BYTES", 2 * 1024 * 1024)
    finding = refusal(b"#" * (2 * 1024 * 1024 + 1))
    assert (finding.code, finding.message) == ("FileTooBig", "2 MiB; 2 MiB are allowed.")


def test_a_duplicate_key_taints_its_document_only() -> None:
    (first, second), findings = read_documents(b"a: 1\nb:\n  c: 1\n  c: 2\n---\na: 1\n", "f.yaml")
    assert not findings
    (finding,) = first.findings
    assert (finding.code, finding.message) == ("DuplicateKey", "c stands twice.")
    assert str(finding.location) == "f.yaml:4"
    assert not second.findings


def test_every_field_is_found_at_its_line_in_every_document() -> None:
    text = "spec:\n  list:\n    - name: x\n      value: |\n        t\n    - {name: y}\n  last: z\n"
    (_, second), _ = read_documents(f"# head\na: 1\n---\n# more\n{text}".encode(), "f.yaml")
    where = {
        "": 5,
        "spec": 5,
        "spec.list": 6,
        "spec.list[0]": 7,
        "spec.list[0].name": 7,
        "spec.list[0].value": 8,
        "spec.list[1].name": 10,
        "spec.list[1].missing": 10,
        "spec.list[7].name": 6,
        "spec.last": 11,
        "spec.missing.deep[3]": 5,
        "nothing": 5,
    }
    assert {path: second.document.locate(path).line for path in where} == where
    assert second.document.read() == second.value


def test_how_a_scalar_is_written_is_known_only_where_it_is_no_text() -> None:
    ((one,), _) = read_documents(b"a: on\nb: 'on'\nc: text\nd: 0600\n", "f.yaml")
    assert [one.document.unquoted(key) for key in "abcd"] == ["on", None, None, "0600"]
    assert one.ambiguous


@thorough
@given(st.binary(max_size=300))
def test_no_bytes_at_all_make_the_reader_fail(data: bytes) -> None:
    parsed, findings = read_documents(data, "f.yaml")
    assert not (parsed and findings)
    for one in parsed:
        one.document.locate("spec.name")


_YAML_ISH = st.lists(
    st.sampled_from(
        [*"abc:-[]{}&*!|>'\"#%@` \n\t,?~=<", "\n  ", "\n- ", ": ", "&a ", "*a ", "<<: ", "!!str ", "---\n", "0x"]
    ),
    max_size=40,
).map("".join)


@thorough
@given(_YAML_ISH)
def test_no_text_that_looks_like_yaml_makes_the_reader_fail(text: str) -> None:
    parsed, _ = read_documents(text.encode(), "f.yaml")
    for one in parsed:
        assert one.document.read() == one.value
        one.document.locate("a.b[0]")


_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30) | st.sampled_from(
    [
        "on",
        "y",
        "~",
        "0600",
        "1e3",
        "2001-01-01",
        "12:30",
        "- x",
        "a: b",
        "#",
        " x ",
        "",
        "null",
        "=",
        "<<",
        "\x85",
        "!x",
        "*x",
    ]
)
_SCALAR = _TEXT | st.booleans() | st.integers(-(10**9), 10**9) | st.none()
_OBJECT = st.dictionaries(
    _TEXT,
    st.recursive(
        _SCALAR,
        lambda inner: (
            st.lists(st.dictionaries(_TEXT, _SCALAR, max_size=3), max_size=3)
            | st.dictionaries(_TEXT, inner, max_size=3)
        ),
        max_leaves=8,
    ),
    min_size=1,
    max_size=5,
)


@thorough
@given(_OBJECT, st.lists(_TEXT, max_size=3))
def test_what_is_written_reads_back_as_it_was(value: dict[str, Any], comments: list[str]) -> None:
    keys = list(value)
    text = emit(value, {"": comments, keys[-1]: comments, f"{keys[-1]}[0]": comments})
    assert values(text) == [value]
