"""A small XML document as elements that know where they stand, or why it is not XML.

A DOCTYPE is an error: TwiML has none, and a document's own entities are a way to make a parser eat
all memory.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final
from xml.parsers import expat

AMPERSAND: Final = '"&" must be written &amp;'
LESS_THAN: Final = '"<" must be written &lt;'
HTML_PAGE: Final = "it is an HTML page"
_UNESCAPED: Final = (AMPERSAND, LESS_THAN)
FORBIDDEN: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_CHARSETS: Final = frozenset({"utf-8", "us-ascii", "iso-8859-1", "utf-16"})
_BOM: Final = b"\xef\xbb\xbf"

_LINE_END: Final = re.compile("\r\n|\r|\n")
_AMPERSAND: Final = re.compile(r"&([#\w]*)\Z")
_ENTITY: Final = re.compile(r"&(?!#|(?:amp|lt|gt|quot|apos);)[\w.-]+;?")
_TAG: Final = re.compile(r"[^\s<>/]+")
_ENTITIES: Final = frozenset({"amp", "lt", "gt", "quot", "apos"})
_HTML: Final = re.compile(rb"\s*<(?:!doctype\s+)?html\b", re.IGNORECASE)


class MarkupError(Exception):
    """Not well-formed: where (both counted from 1), and why in words that say what to write.

    ``unescaped`` says whether a character stands there that a library would have escaped.
    """

    def __init__(self, line: int, column: int, reason: str, *, unescaped: bool = False) -> None:
        super().__init__(f"line {line}, column {column}: {reason}")
        self.line = line
        self.column = column
        self.reason = reason
        self.unescaped = unescaped


@dataclass(slots=True)
class Element:
    """One element: its attributes in their order, and its content, texts and elements mixed."""

    name: str
    attributes: dict[str, str]
    line: int
    column: int
    content: list[str | Element] = field(default_factory=list)

    @property
    def children(self) -> list[Element]:
        """The elements in it."""
        return [item for item in self.content if not isinstance(item, str)]

    @property
    def text(self) -> str:
        """The text that stands directly in it."""
        return "".join(item for item in self.content if isinstance(item, str))


def parse(document: bytes, *, charset: str | None = None) -> Element:
    """The root element of *document*; *charset*, if the parser knows it, overrules the document.

    Comments and processing instructions are left out. Raises `MarkupError`.
    """
    if document.startswith(_BOM):
        raise MarkupError(1, 1, "a byte order mark stands before the document; save it without BOM")
    parser = expat.ParserCreate(charset if charset and charset.lower() in _CHARSETS else None)
    parser.buffer_text = True
    top = Element("", {}, 1, 1)
    opened = [top]

    def start(name: str, attributes: dict[str, str]) -> None:
        line, column = parser.CurrentLineNumber, parser.CurrentColumnNumber + 1
        element = Element(name, attributes, line, column)
        opened[-1].content.append(element)
        opened.append(element)

    def end(_name: str) -> None:
        opened.pop()

    def text(characters: str) -> None:
        opened[-1].content.append(characters)

    def doctype(name: str, *_declaration: object) -> None:
        reason = HTML_PAGE if name.lower() == "html" else "a <!DOCTYPE> is not allowed"
        raise MarkupError(parser.CurrentLineNumber, parser.CurrentColumnNumber + 1, reason)

    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = text
    parser.StartDoctypeDeclHandler = doctype
    try:
        parser.Parse(document, True)
    except expat.ExpatError as err:
        raise _explained(document, err, within=opened[-1].name) from None
    except (LookupError, ValueError) as err:  # an encoding that does not exist, or that expat lacks
        raise MarkupError(1, 1, str(err)) from None
    return top.children[0]


def _explained(document: bytes, err: expat.ExpatError, *, within: str) -> MarkupError:
    """What is wrong in words, at the character that has to be mended."""
    if _HTML.match(document):
        return MarkupError(err.lineno, err.offset + 1, HTML_PAGE)
    lines = _LINE_END.split(document.decode("utf-8", "replace"))
    line = lines[err.lineno - 1] if err.lineno <= len(lines) else ""
    before, after = line[: err.offset], line[err.offset :]
    name = expat.errors.messages[err.code]
    column = err.offset + 1
    if name == expat.errors.XML_ERROR_INVALID_TOKEN:
        start, reason = _wrong_character(before, after)
        column = start + 1
    elif name == expat.errors.XML_ERROR_UNDEFINED_ENTITY:
        entity = _ENTITY.search(after)
        column += entity.start() if entity else 0
        reason = f"{entity.group() if entity else '&…;'} is not XML: write the character itself"
    elif name == expat.errors.XML_ERROR_TAG_MISMATCH:
        tag = _TAG.match(after)
        reason = f"</{tag.group() if tag else '…'}> stands where </{within}> must come"
    elif name == expat.errors.XML_ERROR_MISPLACED_XML_PI:
        reason = 'a blank line or text stands before "<?xml"'
    elif name == expat.errors.XML_ERROR_SYNTAX:
        reason = f'a "<" must come first, not "{document.decode("utf-8", "replace").strip()[:20]}"'
    elif name == expat.errors.XML_ERROR_NO_ELEMENTS:
        reason = f"<{within}> is not closed" if within else "it is empty"
    else:
        reason = name
    unescaped = name == expat.errors.XML_ERROR_UNDEFINED_ENTITY or reason in _UNESCAPED
    return MarkupError(err.lineno, column, reason, unescaped=unescaped)


def _wrong_character(before: str, after: str) -> tuple[int, str]:
    """Where the character to mend stands in its line, from 0, and what to write instead."""
    at = len(before)
    if ampersand := _AMPERSAND.search(before):
        known = ampersand[1] in _ENTITIES
        reason = f'"{ampersand[0]}" must end in ";"' if known else AMPERSAND
        return ampersand.start(), reason
    if before.endswith("<") or after.startswith("<"):
        return at - before.endswith("<"), LESS_THAN
    if before.endswith("="):
        return at, "a value must stand in quotes"
    if after.startswith("\N{REPLACEMENT CHARACTER}"):
        return at, "the text is not UTF-8"
    if FORBIDDEN.match(after):
        return at, f"the character U+{ord(after[0]):04X} is not allowed in XML"
    return at, f'"{after[:1]}" cannot stand here'
