"""A model of FreeSWITCH's XML parser: what it accepts, and its own words for what it does not.

In: an expanded document. Out: an lxml tree, or `SwitchXmlError` with the switch's text (facts 2, 3). lxml reads what
both agree on, which is nearly everything; what lxml refuses is read again by the rules of the switch's parser, which
is looser: text before the root, stray `&`, `<` in values.
"""

from __future__ import annotations

import re

from lxml import etree

_SPACE = b"\t\r\n "
_NAME_END = re.compile(rb"[\t\r\n />]|$")
_ATTR_END = re.compile(rb"[\t\r\n =/>]|$")
_REFERENCE = re.compile(r"&(?:#(?P<dec>[0-9]+)|#x(?P<hex>[0-9A-Fa-f]+)|(?P<name>lt|gt|quot|apos|amp));")
_STRICT = etree.XMLParser(
    resolve_entities=False, no_network=True, huge_tree=True, remove_comments=True, remove_pis=True
)
_NAMES = {"lt": "<", "gt": ">", "quot": '"', "apos": "'", "amp": "&"}


class SwitchXmlError(ValueError):
    """The switch's parser refuses a document.

    Attributes:
        line: 1-based line of the expanded document.
        text: what the switch prints, e.g. `[error near line 29]: unexpected closing tag </gateways>`.
    """

    def __init__(self, line: int, what: str) -> None:
        self.line = line
        self.text = f"[error near line {line}]: {what}"
        super().__init__(self.text)


def parse(data: bytes) -> etree._Element:
    """Parses an expanded document as FreeSWITCH does.

    Raises:
        SwitchXmlError: the switch would refuse it.
    """
    if b"<!DOCTYPE" not in data:
        try:
            return etree.fromstring(data, _STRICT)
        except (etree.XMLSyntaxError, ValueError):
            pass
    return _Loose(data).parse()


class _Loose:
    """The switch's own reading, tag by tag."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.root: etree._Element | None = None
        self.open: list[tuple[bytes, etree._Element]] = []

    def parse(self) -> etree._Element:
        data = self.data
        position = data.find(b"<")
        if position < 0 or position == len(data) - 1:
            raise self._error(0, "root tag missing")
        while position >= 0:
            start = position + 1
            byte = data[start : start + 1]
            if byte.isalpha() or byte in (b"_", b":") or byte > b"\x7f":
                end = self._start(start)
            elif byte == b"/":
                end = self._end(start)
            elif data.startswith(b"!--", start):
                end = self._skip(start, start + 3, b"-->", "unclosed <!--")
            elif data.startswith(b"![CDATA[", start):
                end = self._skip(start, start + 8, b"]]>", "unclosed <![CDATA[")
            elif data.startswith(b"!DOCTYPE", start):
                end = self._doctype(start)
            elif byte == b"?":
                end = self._skip(start, start + 1, b"?>", "unclosed <?")
            else:
                raise self._error(start, "unexpected <")
            position = data.find(b"<", end)
        if self.open:
            raise self._error(len(data), f"unclosed tag <{_text(self.open[-1][0])}>")
        if self.root is None:
            raise self._error(len(data), "root tag missing")
        return self.root

    def _start(self, start: int) -> int:
        data = self.data
        if self.root is not None and not self.open:
            raise self._error(start, "markup outside of root element")
        position = self._until(_NAME_END, start)
        name = data[start:position]
        attributes: dict[str, str] = {}
        position = self._blanks(position)
        while position < len(data) and data[position : position + 1] not in (b"/", b">"):
            end = self._until(_ATTR_END, position)
            key, value = data[position:end], b""
            position = end
            if data[position : position + 1] in (b"=", b" ", b"\t", b"\r", b"\n"):
                while position < len(data) and data[position : position + 1] in (b"=", b" ", b"\t", b"\r", b"\n"):
                    position += 1
                quote = data[position : position + 1]
                if quote in (b'"', b"'"):
                    close = data.find(quote, position + 1)
                    if close < 0:
                        raise self._error(start, f"missing {_text(quote)}")
                    value = data[position + 1 : close]
                    position = close + 1
            elif end == position and not key:
                position += 1
            attributes.setdefault(_text(key), _value(value))
            position = self._blanks(position)
        element = self._element(start, name, attributes)
        if data[position : position + 1] == b"/":
            if data[position + 1 : position + 2] != b">":
                raise self._error(start, "missing >")
            return position + 2
        if data[position : position + 1] != b">":
            raise self._error(start, "missing >")
        self.open.append((name, element))
        return position + 1

    def _element(self, start: int, name: bytes, attributes: dict[str, str]) -> etree._Element:
        try:
            if self.open:
                element = etree.SubElement(self.open[-1][1], _text(name))
            else:
                element = self.root = etree.Element(_text(name))
            element.sourceline = self._line(start)  # type: ignore[assignment]  # the stub says `...`
            for key, value in attributes.items():
                if key:
                    element.set(key, value)
        except ValueError:
            raise self._error(start, f"unexpected text in <{_text(name)[:60]}>") from None
        return element

    def _end(self, start: int) -> int:
        close = self._until(re.compile(rb"[\t\r\n >]|$"), start + 1)
        name = self.data[start + 1 : close]
        if close >= len(self.data):
            raise self._error(start + 1, "missing >")
        if not self.open or self.open[-1][0] != name:
            raise self._error(close + 1, f"unexpected closing tag </{_text(name)}>")
        self.open.pop()
        return close + 1

    def _skip(self, start: int, position: int, end: bytes, what: str) -> int:
        found = self.data.find(end, position)
        if found < 0:
            raise self._error(start, what)
        return found + len(end)

    def _doctype(self, start: int) -> int:
        bracket, close = self.data.find(b"[", start), self.data.find(b">", start)
        if 0 <= bracket < close:
            close = self.data.find(b">", max(self.data.find(b"]", bracket), bracket))
        if close < 0:
            raise self._error(start, "unclosed <!DOCTYPE")
        return close + 1

    def _until(self, pattern: re.Pattern[bytes], position: int) -> int:
        found = pattern.search(self.data, position)
        return found.start() if found else len(self.data)

    def _blanks(self, position: int) -> int:
        while position < len(self.data) and self.data[position] in _SPACE:
            position += 1
        return position

    def _line(self, position: int) -> int:
        return self.data.count(b"\n", 0, position) + 1

    def _error(self, position: int, what: str) -> SwitchXmlError:
        return SwitchXmlError(self._line(position), what)


def _value(raw: bytes) -> str:
    text = _text(raw).replace("\r\n", "\n").replace("\r", "\n")
    text = text.translate({9: " ", 10: " ", 11: " ", 12: " "})
    return _REFERENCE.sub(_character, text)


def _character(found: re.Match[str]) -> str:
    if found["name"]:
        return _NAMES[found["name"]]
    code = int(found["dec"]) if found["dec"] else int(found["hex"], 16)
    return chr(code) if 0 < code < 0x110000 and not 0xD800 <= code < 0xE000 else found[0]


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")
