"""FreeSWITCH's XML parser: expanded text in, an lxml tree or FreeSWITCH's own error text out.

In: what the pre-processor made (preprocessor.py). Out: an element, or `SwitchXmlError` with the words that stand in
`Reload XML [...]`. What lxml accepts, FreeSWITCH's parser (switch_xml.c, descended from ezxml) reads alike, but for
namespaces and DTDs; what lxml refuses, a model of that parser decides: it is more tolerant, and only its own words and
line numbers are of use to people. The model works on a buffer in place as the original does, because the original
counts lines in what is left of the buffer: a line break inside an attribute is no longer one, `&#10;` has become one.

Limits: default attributes and entities declared in a DTD are not modelled: such entities stay as they are written.
Bytes that an lxml tree cannot hold (controls, invalid UTF-8) become U+FFFD; characters of names that XML does not
know become `_`.
"""

from __future__ import annotations

import re

from lxml import etree

#: FreeSWITCH cuts its error text here, in bytes.
_MAX_ERROR = 127

_SPACE = b" \t\n\v\f\r"
_TO_NAME_END = re.compile(rb"[^\t\r\n />\0]*")
_TO_ATTRIBUTE_END = re.compile(rb"[^\t\r\n =/>\0]*")
_TO_CLOSE_END = re.compile(rb"[^\t\r\n >\0]*")
_TO_SPACE = re.compile(rb"[^\t\r\n \0]*")
_EQUALS = re.compile(rb"[\t\r\n =]*")
_XML_SPACE = re.compile(rb"[\t\r\n ]*")
_SPACES = re.compile(rb"[ \t\n\v\f\r]*")
_TO_MARKUP = re.compile(rb"[^<\0]*")
_WORTH_DECODING = {
    "text": re.compile(rb"[&\r]"),
    "cdata": re.compile(rb"\r"),
    "attribute": re.compile(rb"[&\t\n\v\f\r]"),
}
_PLAIN = re.compile(rb"[^& \t\n\v\f\r\0]*")
_CR_OR_NUL = re.compile(rb"[\r\0]")
_CHARACTER = re.compile(rb"&#(?:x(?:0[xX])?([0-9a-fA-F]{1,20})|([0-9]{1,20}));")
_ENTITIES = {b"&lt;": b"&#60;", b"&gt;": b"&#62;", b"&quot;": b"&#34;", b"&apos;": b"&#39;", b"&amp;": b"&#38;"}
_ENTITY = re.compile(rb"&(?:lt|gt|quot|apos|amp);")
_NOT_IN_TREE = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_NOT_IN_NAME = re.compile(r"[^\w.\-]", re.ASCII)

_STRICT = etree.XMLParser(
    encoding="utf-8",
    resolve_entities=False,
    no_network=True,
    huge_tree=True,
    collect_ids=False,
    remove_comments=True,
    remove_pis=True,
)

#: Documents with these are read by the model: lxml would rename elements, or expand what FreeSWITCH does not.
_UNLIKE = (b"xmlns", b"<!DOCTYPE")


class SwitchXmlError(Exception):
    """FreeSWITCH refuses the document: the old configuration stays in use, nothing new loads (facts 2, 3).

    Args:
        line: the line it names, 1-based, in the expanded text; 0 when it names none.
        text: what stands in `Reload XML [...]`, e.g. `[error near line 29]: unexpected closing tag </gateways>`.
    """

    def __init__(self, line: int, text: str) -> None:
        super().__init__(text)
        self.line = line
        self.text = text


def parse(data: bytes) -> etree._Element:
    """Reads an expanded document as FreeSWITCH does.

    Args:
        data: what the pre-processor made.

    Returns:
        The root element.

    Raises:
        SwitchXmlError: FreeSWITCH refuses it.
    """
    if not data:
        raise SwitchXmlError(0, "Cannot Open log directory or XML Root!")
    if not any(mark in data for mark in _UNLIKE):
        try:
            return parse_strictly(data)
        except etree.XMLSyntaxError:
            pass  # FreeSWITCH may be more tolerant, and has its own words if not
    return _Reader(data).read()


def parse_fragment(data: bytes) -> etree._Element:
    """Reads an expanded file that others include: any number of elements side by side.

    Args:
        data: what the pre-processor made of the file.

    Returns:
        An element `gateways` that holds them, as the profile that includes the file does.

    Raises:
        SwitchXmlError: FreeSWITCH would refuse any document that includes it.
    """
    return parse(b"<gateways>" + data + b"</gateways>")


def parse_strictly(data: bytes) -> etree._Element:
    """Reads a document that must be well-formed XML, in UTF-8 whatever it says itself; comments are left out.

    Raises:
        etree.XMLSyntaxError: it is not.
    """
    return etree.fromstring(data, _STRICT)


def _utf16(data: bytes) -> bytes:
    """FreeSWITCH converts UTF-16 with a byte order mark, and no other encoding."""
    if data[:1] not in (b"\xfe", b"\xff") or len(data) <= 3:
        return data
    return data[2:].decode("utf-16-be" if data[:1] == b"\xfe" else "utf-16-le", "replace").encode()


def _value(text: bytes) -> str:
    return _NOT_IN_TREE.sub("\ufffd", text.decode("utf-8", "replace"))


def _name(text: bytes) -> str:
    name = _NOT_IN_NAME.sub("_", text.decode("utf-8", "replace"))
    return name if name[:1].isalpha() or name[:1] == "_" else f"_{name}"


class _Reader:
    """One document. `buffer` ends in a NUL and is written to as FreeSWITCH writes to it."""

    def __init__(self, data: bytes) -> None:
        self.buffer = bytearray(_utf16(data))
        self.last = self.buffer[-1:]  # the last byte is replaced by the NUL; a `>` there counts as read
        self.buffer[-1:] = b"\0"
        self.root: etree._Element | None = None
        self.open: list[tuple[bytes, etree._Element]] = []
        self._data = data
        self._counted = 0
        self._source_line = 1

    def read(self) -> etree._Element:
        """Reads the whole document.

        Raises:
            SwitchXmlError: FreeSWITCH refuses it.
        """
        buffer = self.buffer
        position = _skip(_TO_MARKUP, buffer, 0)
        if not buffer[position]:
            raise self._error(position, b"root tag missing")
        begin = position
        while True:
            begin = position + 1
            position = self._markup(begin)
            if not buffer[position]:
                break
            buffer[position] = 0
            begin = position = position + 1
            if not buffer[position]:
                break
            position = _skip(_TO_MARKUP, buffer, position)
            if not buffer[position]:
                break
            if position > begin and self.open:
                buffer[position] = 0
                self._decode(begin, "text")
        if self.root is None:
            raise self._error(begin, b"root tag missing")
        if self.open:
            raise self._error(begin, b"unclosed tag <%s>" % self.open[-1][0])
        return self.root

    def _markup(self, begin: int) -> int:
        """Reads what follows a `<`; the result is where its last byte stands, or the end."""
        buffer = self.buffer
        first = buffer[begin]
        if bytes((first,)).isalpha() or first in b"_:" or first > 0x7F:
            return self._tag(begin)
        if first == ord("/"):
            return self._closing_tag(begin)
        if buffer.startswith(b"!--", begin):
            end = self._find(b"--", begin + 3)
            if end < 0 or (buffer[end + 2] and buffer[end + 2] != ord(">")) or not self._is_end(end + 2):
                raise self._error(begin, b"unclosed <!--")
            return end + 2
        if buffer.startswith(b"![CDATA[", begin):
            end = self._find(b"]]>", begin)
            if end < 0:
                raise self._error(begin, b"unclosed <![CDATA[")
            if self.open and end > begin + 8:
                buffer[end] = 0
                self._decode(begin + 8, "cdata")
            return end + 2
        if buffer.startswith(b"!DOCTYPE", begin):
            return self._doctype(begin)
        if first == ord("?"):
            return self._instruction(begin)
        raise self._error(begin, b"unexpected <")

    def _tag(self, begin: int) -> int:
        """An opening or self-closing tag."""
        buffer = self.buffer
        if self.root is not None and not self.open:
            raise self._error(begin, b"markup outside of root element")
        position = _skip(_TO_NAME_END, buffer, begin)
        name = bytes(buffer[begin:position])
        while buffer[position] in _SPACE and buffer[position]:
            buffer[position] = 0
            position += 1
        attributes: dict[bytes, bytes] = {}
        while buffer[position] and buffer[position] not in b"/>":
            position = self._attribute(begin, position, attributes)
        self_closing = buffer[position] == ord("/")
        if self_closing:
            buffer[position] = 0
            position += 1
        if (buffer[position] and buffer[position] != ord(">")) or not self._is_end(position):
            raise self._error(begin, b"missing >")
        self._element(name, attributes, self._line_of(begin), self_closing=self_closing)
        return position

    def _attribute(self, begin: int, position: int, attributes: dict[bytes, bytes]) -> int:
        """One attribute; of equal names the first counts. Without `=` or quotes its value is empty."""
        buffer = self.buffer
        end = _skip(_TO_ATTRIBUTE_END, buffer, position)
        name, value = bytes(buffer[position:end]), b""
        position = end
        if buffer[position] == ord("=") or (buffer[position] and buffer[position] in _SPACE):
            buffer[position] = 0
            position = _skip(_EQUALS, buffer, position + 1)
            quote = buffer[position]
            if quote and quote in b"\"'":
                start = position + 1
                position = self._find(bytes((quote,)), start)
                if position < 0:
                    raise self._error(begin, b"missing %c" % quote)
                buffer[position] = 0
                position += 1
                value = self._decode(start, "attribute")
        attributes.setdefault(name, value)
        return _skip(_SPACES, buffer, position)

    def _element(self, name: bytes, attributes: dict[bytes, bytes], line: int, *, self_closing: bool) -> None:
        if self.open:
            element = etree.SubElement(self.open[-1][1], _name(name))
        else:
            element = self.root = etree.Element(_name(name))
        element.sourceline = min(line, 65_535)  # type: ignore[assignment]  # the stubs say `...`
        for attribute, value in attributes.items():
            element.set(_name(attribute), _value(value))
        if not self_closing:
            self.open.append((name, element))

    def _closing_tag(self, begin: int) -> int:
        buffer = self.buffer
        position = _skip(_TO_CLOSE_END, buffer, begin + 1)
        if not self._is_end(position):
            raise self._error(begin + 1, b"missing >")
        name = bytes(buffer[begin + 1 : position])
        if not self.open or self.open[-1][0] != name:
            buffer[position] = 0
            raise self._error(position, b"unexpected closing tag </%s>" % name)
        self.open.pop()
        return _skip(_XML_SPACE, buffer, position)

    def _doctype(self, begin: int) -> int:
        """A document type: skipped, with its internal subset."""
        buffer = self.buffer
        position = begin
        subset = False
        while buffer[position]:
            if not subset and buffer[position] == ord(">"):
                break
            after = _skip(_XML_SPACE, buffer, position + 1)
            if subset and buffer[position] == ord("]") and buffer[after] == ord(">"):
                position = after
                break
            subset = subset or buffer[position] == ord("[")
            position += 1
        if not self._is_end(position):
            raise self._error(begin, b"unclosed <!DOCTYPE")
        return position

    def _instruction(self, begin: int) -> int:
        """A processing instruction: skipped; the end of its target and its own end are marked in the buffer."""
        buffer = self.buffer
        end = self._find(b"?>", begin)
        if end < 0:
            end = buffer.index(0, begin) - 1
            if self.last != b">" or buffer[end] != ord("?"):
                raise self._error(begin, b"unclosed <?")
        buffer[end] = 0
        target_end = _skip(_TO_SPACE, buffer, begin + 1)
        if buffer[target_end]:
            buffer[target_end] = 0
        return end + 1

    def _is_end(self, position: int) -> bool:
        """Whether a tag may end here: at any byte, or at the document's end when that was a `>`."""
        return bool(self.buffer[position]) or self.last == b">"

    def _find(self, text: bytes, start: int) -> int:
        """Like `strstr`: -1 when a NUL comes first."""
        found = self.buffer.find(text, start)
        return found if found < 0 or self.buffer.find(b"\0", start, found) < 0 else -1

    def _line_of(self, position: int) -> int:
        """The line of a tag as people count it; positions come in ascending order."""
        self._source_line += self._data.count(b"\n", self._counted, position)
        self._counted = position
        return self._source_line

    def _error(self, position: int, text: bytes) -> SwitchXmlError:
        line = self.buffer.count(b"\n", 0, position) + 1
        message = (b"[error near line %d]: " % line + text)[:_MAX_ERROR]
        return SwitchXmlError(line, message.decode("utf-8", "replace"))

    def _decode(self, start: int, kind: str) -> bytes:
        """Decodes the string at `start`, up to its NUL, in its place; what is behind the new end stays as it is.

        Args:
            start: position of the string.
            kind: `text`, `cdata`, or `attribute`, whose white space becomes blanks.
        """
        area = self.buffer
        end = area.index(0, start)
        if _WORTH_DECODING[kind].search(area, start, end) is None:
            return bytes(area[start:end])
        _normalise_line_ends(area, start)
        position = start
        while True:
            position = _skip(_PLAIN, area, position)
            if not area[position]:
                return bytes(area[start:position])
            if area[position] != ord("&"):
                if kind == "attribute":
                    area[position] = ord(" ")
            elif kind != "cdata" and (encoded := _character(area, position)):
                after = area.index(b";", position) + 1
                area[position : position + len(encoded)] = encoded
                position += len(encoded)
                _close_up(area, position, after)
                continue
            elif kind != "cdata" and (entity := _ENTITY.match(area, position)):
                reference = _ENTITIES[entity.group()]
                if len(reference) > len(entity.group()):  # goes on in a copy, and the place stays as it is
                    area = area[start : area.index(0, start) + 1]
                    position -= start
                    start = 0
                    area[position : position + len(entity.group())] = reference
                else:
                    _close_up(area, position + len(reference), entity.end())
                    area[position : position + len(reference)] = reference
                continue
            position += 1


def _skip(pattern: re.Pattern[bytes], area: bytearray, position: int) -> int:
    found = pattern.match(area, position)
    return found.end() if found else position


def _close_up(area: bytearray, target: int, source: int) -> None:
    """Moves the string at `source`, NUL included, left to `target`."""
    length = area.index(0, source) + 1 - source
    area[target : target + length] = area[source : source + length]


def _normalise_line_ends(area: bytearray, start: int) -> None:
    """CR LF and CR become LF. After a CR at the string's very end FreeSWITCH goes on behind it; so does this."""
    position = start
    while (found := _CR_OR_NUL.search(area, position)) and area[found.start()]:
        position = found.start()
        while area[position] == ord("\r"):
            area[position] = ord("\n")
            position += 1
            if area[position] == ord("\n"):
                _close_up(area, position, position + 1)
        position += 1


def _character(area: bytearray, position: int) -> bytes:
    """The bytes of a character reference, empty when it is none: UTF-8 as it was in 1993, up to 31 bits."""
    found = _CHARACTER.match(area, position)
    if found is None:
        return b""
    code = int(found[1], 16) if found[1] else int(found[2])
    if not 0 < code <= 0x7FFF_FFFF:
        return b""
    if code < 0x80:
        return bytes((code,))
    more = (code.bit_length() - 2) // 5
    head = (0xFF << (7 - more)) & 0xFF | code >> 6 * more
    return bytes((head, *(0x80 | code >> 6 * i & 0x3F for i in reversed(range(more)))))
