"""XML is read into elements, or refused with the place and the character to mend."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smsquest_cli.markup import FORBIDDEN, MarkupError, parse

NAMES = st.sampled_from(["Response", "Message", "a", "é"])
TEXTS = st.text(max_size=6).map(lambda text: FORBIDDEN.sub("?", text))


@st.composite
def trees(draw, depth=3):
    element = ET.Element(draw(NAMES), draw(st.dictionaries(NAMES, TEXTS, max_size=2)))
    element.text = draw(TEXTS)
    for child in draw(st.lists(trees(depth - 1), max_size=2)) if depth else ():
        child.tail = draw(TEXTS)
        element.append(child)
    return element


def content(element):
    """What the standard library read, in the shape of ours: adjacent texts are one."""
    parts = [element.text or ""]
    for child in element:
        parts += [content(child), child.tail or ""]
    return (element.tag, element.attrib, [part for part in parts if part])


def ours(element):
    parts = []
    for item in element.content:
        if isinstance(item, str) and parts and isinstance(parts[-1], str):
            parts[-1] += item
        else:
            parts.append(item if isinstance(item, str) else ours(item))
    return (element.name, element.attributes, parts)


@given(trees())
def test_a_document_is_read_as_the_standard_library_reads_it(tree):
    """The same names, attributes, texts and nesting."""
    document = ET.tostring(tree, encoding="utf-8")

    assert ours(parse(document)) == content(ET.fromstring(document))


def test_an_element_knows_where_it_stands():
    """Line and column of its "<", both counted from 1."""
    root = parse("<Response>\n é<Message/>text<a/></Response>".encode())

    assert (root.line, root.column) == (1, 1)
    assert [(child.name, child.line, child.column) for child in root.children] == [
        ("Message", 2, 3),
        ("a", 2, 17),
    ]
    assert root.text == "\n étext"


def test_comments_and_instructions_are_left_out():
    """A CDATA section is text like any other."""
    root = parse(b"<?xml version='1.0'?><!-- a --><r><?b c?>x<!-- <y/> --><![CDATA[<z>]]></r>")

    assert (root.text, root.children) == ("x<z>", [])


@pytest.mark.parametrize(
    ("document", "line", "column", "reason"),
    [
        ("<r>\n\n<m>Tom &amp; Tom & Jerry</m></r>", 3, 18, '"&" must be written &amp;'),
        ("<r>?a=1&b=2</r>", 1, 8, '"&" must be written &amp;'),
        ("<r>x &jerry</r>", 1, 6, '"&" must be written &amp;'),
        ("<r>x &amp y</r>", 1, 6, '"&amp" must end in ";"'),
        ("<r>I <3 you</r>", 1, 6, '"<" must be written &lt;'),
        ("<r>a < b</r>", 1, 6, '"<" must be written &lt;'),
        ("<r a='x<y'/>", 1, 8, '"<" must be written &lt;'),
        ("<r>&amp;&nbsp;</r>", 1, 9, "&nbsp; is not XML: write the character itself"),
        ("<r a='&amp; &nbsp;'/>", 1, 13, "&nbsp; is not XML: write the character itself"),
        ("<r a=+1/>", 1, 6, "a value must stand in quotes"),
        ("<r>\x01</r>", 1, 4, "the character U+0001 is not allowed in XML"),
        ("<r></ r>", 1, 6, '" " cannot stand here'),
        ("<r><m></r>", 1, 9, "</r> stands where </m> must come"),
        ("<r><m>", 1, 7, "<m> is not closed"),
        ("<r/><r/>", 1, 5, "junk after document element"),
        ("\n<?xml version='1.0'?><r/>", 2, 1, 'a blank line or text stands before "<?xml"'),
        ("OK, done", 1, 1, 'a "<" must come first, not "OK, done"'),
        ("", 1, 1, "it is empty"),
        (" \n ", 2, 2, "it is empty"),
        ("<html><br></html>", 1, 13, "it is an HTML page"),
        ("<!doctype html><p>", 1, 1, "it is an HTML page"),
        ("<!DOCTYPE html>\n<html></html>", 1, 15, "it is an HTML page"),
        ("<!DOCTYPE r [<!ENTITY a 'b'>]><r>&a;</r>", 1, 13, "a <!DOCTYPE> is not allowed"),
        ("\ufeff<r/>", 1, 1, "a byte order mark stands before the document; save it without BOM"),
        ("<?xml version='1.0' encoding='x-none'?><r/>", 1, 1, "unknown encoding: x-none"),
    ],
)
def test_what_is_not_well_formed_is_explained_where_it_stands(document, line, column, reason):
    """R2: line, column, and what to write instead."""
    with pytest.raises(MarkupError) as caught:
        parse(document.encode())

    assert (caught.value.line, caught.value.column, caught.value.reason) == (line, column, reason)
    assert str(caught.value) == f"line {line}, column {column}: {reason}"


def test_text_that_is_not_utf8_is_said_to_be_none():
    """Unless the document or its Content-Type says what it is."""
    body = "<r>é</r>".encode("latin-1")

    with pytest.raises(MarkupError, match="not UTF-8"):
        parse(body)
    assert parse(body, charset="ISO-8859-1").text == "é"
    assert parse(b"<?xml version='1.0' encoding='latin-1'?>" + body).text == "é"
    assert parse("<r>é</r>".encode(), charset="x-none").text == "é"


@pytest.mark.parametrize("encoding", ["shift-jis", "utf-7"])
def test_an_encoding_that_expat_lacks_is_no_crash(encoding):
    """Python's own codecs go further than the parser's."""
    with pytest.raises(MarkupError):
        parse(f"<?xml version='1.0' encoding='{encoding}'?><r/>".encode())


@given(st.binary() | st.text("<>&;/!?'\"=ab \n-[]#x1\ufeff").map(str.encode))
def test_any_bytes_are_a_document_or_an_error_with_a_place(body):
    """Never another exception."""
    with suppress(MarkupError):
        assert parse(body).name


def test_deep_nesting_is_read_without_recursion():
    """An answer within Twilio's 64 kB cannot exhaust the stack."""
    assert parse(b"<a>" * 9000 + b"</a>" * 9000).name == "a"
