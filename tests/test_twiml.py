"""A reply is read as Twilio reads it: what is sent, what is warned of, what is given up."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twilio.twiml.messaging_response import MessagingResponse

from smsquest_cli.events import Problem
from smsquest_cli.twiml import (
    Finding,
    Redirect,
    TwimlDocument,
    TwimlMessage,
    read,
    resolve,
)

URL = "https://abc.ngrok-free.app/hooks/sms?x=1"
TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cn"]), min_size=1)


def xml(body: str, *, url: str | None = None) -> TwimlDocument:
    return read(200, "text/xml", body.encode(), url=url)


def response(*verbs: str) -> str:
    return f"<Response>{''.join(verbs)}</Response>"


def found(document: TwimlDocument) -> list[tuple[str, int | None]]:
    return [(finding.id, finding.code) for finding in document.findings]


@given(
    TEXTS.filter(str.strip), st.sampled_from([None, "+12025550143"]), st.lists(TEXTS, max_size=3)
)
def test_what_twilios_library_writes_is_read_back(body, to, media):
    """Text, recipient, callbacks and media of each message."""
    media = [item.strip() for item in media if item.strip()]
    reply = MessagingResponse()
    message = reply.message(body, to=to, action="/status", status_callback="/status")
    for item in media:
        message.media(item)

    document = xml(str(reply))

    assert document == TwimlDocument(
        (TwimlMessage(body, to, None, "/status", "/status", None, tuple(media)),)
    )


@pytest.mark.parametrize("kind", ["text/xml", "application/xml", "Text/XML; charset=utf-8"])
def test_xml_of_either_type_is_twiml(kind):
    """Whatever the case and the parameters of the type."""
    assert read(200, kind, b"<Response/>") == TwimlDocument()


def test_the_charset_of_the_content_type_counts():
    """A document in Latin-1 is read as such when the header says so."""
    body = response("<Message>é</Message>").encode("latin-1")

    assert read(200, 'text/xml; q=1; charset="iso-8859-1"', body).messages[0].body == "é"
    assert found(read(200, "text/xml", body)) == [("R2", 12100)]


def test_no_content_is_no_reply():
    """204 says that nothing is to be sent, and nothing is wrong with it."""
    assert read(204, None, b"") == TwimlDocument()


def test_an_empty_body_is_no_reply_that_should_say_so():
    """Whatever its type; R11 tells how."""
    assert found(read(200, "text/html", b" \n")) == [("R11", None)]
    assert read(200, None, b"").error is None


@pytest.mark.parametrize(
    ("status", "error"),
    [
        *((status, None) for status in (301, 302, 303, 307)),
        *((status, 11216) for status in (300, 304, 308)),
        *((status, 11200) for status in (400, 404, 500, 503)),
    ],
)
def test_a_status_other_than_success_holds_no_twiml(status, error):
    """Four redirects are followed; all else sends Twilio to the fallback URL."""
    document = read(status, "text/xml", response("<Message>x</Message>").encode())

    assert (document.messages, document.error) == ((), error)


def test_plain_text_is_sent_as_it_is():
    """R3: a bare "OK" reaches the person who wrote."""
    document = read(200, "text/plain; charset=utf-8", b"OK")

    assert document.messages == (TwimlMessage("OK"),)
    assert (document.error, document.findings[0].severity) == (None, "warning")
    assert document.findings[0].line == (
        'your app replied the text "OK", not TwiML: <Response><Message>…</Message></Response> as '
        "text/xml is an answer, <Response/> is none"
    )


def test_plain_text_of_any_charset_is_decoded():
    """One that nobody knows counts as UTF-8."""
    assert read(200, "text/plain; charset=latin-1", b"\xe9").messages[0].body == "é"
    assert read(200, "text/plain; charset=x-none", b"\xc3\xa9").messages[0].body == "é"


def test_html_that_is_twiml_is_accepted_with_a_warning():
    """R1: Flask's ``return str(response)`` works today, and Twilio says it should not."""
    document = read(200, "text/html; charset=utf-8", response("<Message>x</Message>").encode())

    assert document.messages == (TwimlMessage("x"),)
    assert (found(document), document.error) == ([("R1", None)], None)
    assert document.findings[0].severity == "warning"


def test_html_that_is_plain_text_is_none():
    """R3 as an error: nothing is sent."""
    document = read(200, "text/html", b"OK")

    assert (document.messages, document.error) == ((), 12100)
    assert document.findings[0] == Finding("R3", {"text": "OK"}, 12100)
    assert document.findings[0].severity == "error"


@pytest.mark.parametrize("kind", ["application/json", "image/png", "text/csv; charset=utf-8"])
def test_another_type_is_given_up(kind):
    """R1 with Twilio's 12300, whatever the body holds."""
    document = read(200, kind, b"<Response/>")

    assert (found(document), document.error) == ([("R1", 12300)], 12300)
    assert document.findings[0].severity == "error"
    assert document.findings[0].line.startswith(f"your app replied {kind.partition(';')[0]}; ")


def test_no_type_is_given_up():
    """R1, which Twilio shows as a failed retrieval."""
    document = read(200, None, b"<Response/>")

    assert (found(document), document.error) == ([("R1", 11200)], 11200)


def test_what_is_not_well_formed_is_shown_where_it_stands():
    """R2: line, column and what to write."""
    document = xml("<Response>\n<Message>\n  Tom & Jerry</Message></Response>")

    assert document.error == 12100
    assert document.findings[0].line == (
        'reply is not XML: line 3, column 7: "&" must be written &amp; (12100).'
        " MessagingResponse() escapes it for you"
    )


@pytest.mark.parametrize(
    "body",
    [
        "\n<?xml version='1.0'?><Response/>",
        "\ufeff<?xml version='1.0'?><Response/>",
        "<!DOCTYPE html><html><body>Traceback</body></html>",
        "<!DOCTYPE r [<!ENTITY a 'aaaa'><!ENTITY b '&a;&a;'>]><Response>&b;</Response>",
        "OK",
        "<Response><Message>I <3 you</Message></Response>",
        "<Response><Message>x</Response>",
    ],
)
@pytest.mark.parametrize("kind", ["text/xml", "text/html"])
def test_everything_that_twilio_cannot_parse_is_given_up(kind, body):
    """A blank line or mark in front, an HTML page, entities, an unescaped character."""
    document = read(200, kind, body.encode())

    assert (document.messages, document.error) == ((), 12100)


@pytest.mark.parametrize("root", ["response", "Message", "html"])
def test_the_root_is_response_spelt_so(root):
    """R9: well-formed is not enough."""
    document = xml(f"<{root}/>")

    assert (found(document), document.error) == ([("R9", 12100)], 12100)


def test_a_reply_of_more_than_64_kb_is_given_up():
    """R10: at exactly 64 kB it is still read."""
    filling = " " * (65_536 - len(response("<!--", "-->")))

    document = xml(response("<!--", filling, " -->"))

    assert (found(document), document.error) == ([("R10", 11750)], 11750)
    assert xml(response("<!--", filling, "-->")) == TwimlDocument()


def test_an_empty_message_is_not_sent():
    """R4: neither text nor media, blanks notwithstanding."""
    document = xml(response("<Message/>", "<Message> \n</Message>", "<Message>x</Message>"))

    assert document.messages == (TwimlMessage("x"),)
    assert found(document) == [("R4", 14103), ("R4", 14103)]


def test_ten_messages_are_sent():
    """R5: and the rest is not."""
    document = xml(response(*(f"<Message>{n}</Message>" for n in range(14))))

    assert [message.body for message in document.messages] == [str(n) for n in range(10)]
    assert document.findings == (Finding("R5", {"count": 14}, 14109),)


def test_bodies_and_media_of_an_indented_message_are_joined():
    """The blanks that indent them are no text."""
    document = xml(
        response(
            "\n  <Message>\n    <Body>one </Body>\n    <Body>two</Body>\n",
            "    <Media> https://example.com/a.png </Media>\n    <Media/>\n  </Message>\n",
        )
    )

    assert document == TwimlDocument(
        (TwimlMessage("one two", media=("https://example.com/a.png",)),)
    )


def test_more_than_ten_media_are_too_many():
    """R13: the first ten go."""
    document = xml(response("<Message>", *["<Media>u</Media>"] * 12, "</Message>"))

    assert len(document.messages[0].media) == 10
    assert document.findings == (Finding("R13", {"count": 12}, 21623),)


@pytest.mark.parametrize(("length", "findings"), [(1600, []), (1601, [("R17", 21617)])])
def test_a_text_longer_than_twilio_sends_is_noted(length, findings):
    """R17: in TwiML and in plain text alike."""
    assert found(xml(response(f"<Message>{'x' * length}</Message>"))) == findings
    assert found(read(200, "text/plain", b"x" * length))[1:] == findings


def test_a_redirect_ends_the_document():
    """R14: verbs after it are never reached."""
    document = xml(
        response(
            "<Message>x</Message>",
            "<Redirect method='get'> /next </Redirect>",
            "<Message>y</Message>",
            "<Redirect>z</Redirect>",
        )
    )

    assert document.messages == (TwimlMessage("x"),)
    assert document.redirect == Redirect("/next", "GET")
    assert document.findings == (Finding("R14", {"count": 2}),)


def test_a_redirect_to_no_url_is_noted():
    """R12: it is followed all the same, and fails there."""
    document = xml(response("<Redirect>ftp://example.com</Redirect>"))

    assert document.redirect == Redirect("ftp://example.com")
    assert found(document) == [("R12", None)]
    assert 'Redirect "ftp://example.com" ends the conversation' in document.findings[0].line


@pytest.mark.parametrize(
    ("verb", "what", "hint"),
    [
        ("<message>x</message>", "<message> in <Response>", "did you mean <Message>?"),
        ("<Sms>x</Sms>", "<Sms> in <Response>", "did you mean <Message>?"),
        ("<Reply/>", "<Reply> in <Response>", "allowed: <Message>, <Redirect>"),
        ("<Body>x</Body>", "<Body> in <Response>", "allowed: <Message>, <Redirect>"),
        ("<Message><b>x</b>y</Message>", "<b> in <Message>", "allowed: <Body>, <Media>"),
        ("<Message><Body>x<br/></Body></Message>", "<br> in <Body>", "allowed: none"),
        (
            "<Message status_callback='/s'>x</Message>",
            'the attribute "status_callback" of <Message>',
            'did you mean "statusCallback"?',
        ),
        (
            "<Redirect to='x'>/y</Redirect>",
            'the attribute "to" of <Redirect>',
            'allowed: "method"',
        ),
        ("hello", "text outside of <Message>", "put it into <Message>"),
    ],
)
def test_what_twiml_does_not_have_is_ignored_with_a_warning(verb, what, hint):
    """R15: Twilio logs 12200 and goes on with the rest."""
    document = xml(response("\n", verb, "<Message>z</Message>"))

    assert document.error is None
    assert "z" in [message.body for message in document.messages] or document.redirect
    assert document.findings[0].id == "R15"
    assert document.findings[0].code == 12200
    assert (document.findings[0].values["what"], document.findings[0].values["hint"]) == (
        what,
        hint,
    )


def test_namespaces_are_nobodys_mistake():
    """Documents that name a schema are common."""
    document = xml(
        "<Response xmlns:xsi='http://www.w3.org/2001/XMLSchema-instance'"
        " xsi:noNamespaceSchemaLocation='x.xsd' xmlns='y'/>"
    )

    assert document == TwimlDocument()


def test_a_verb_for_calls_is_named_as_such():
    """R16: the voice webhook answered the message."""
    document = xml("<Response>\n<Say>hello</Say></Response>")

    assert document.findings == (Finding("R16", {"element": "Say", "line": 2}, 14110),)


@pytest.mark.parametrize(
    ("attribute", "value", "code"),
    [
        ("method", "PUT", 14104),
        ("action", "mailto:me@example.com", 14105),
        ("statusCallback", "https://under_score.example.com/s", 14105),
        ("statusCallback", "https://[", 14105),
        ("action", "https:///s", 14105),
    ],
)
@pytest.mark.parametrize("url", [None, URL])
def test_an_invalid_value_is_ignored_with_a_warning(attribute, value, code, url):
    """R12: the message is sent without it."""
    document = xml(response(f"<Message {attribute}='{value}'>x</Message>"), url=url)

    assert document.messages == (TwimlMessage("x"),)
    assert found(document) == [("R12", code)]


def test_relative_addresses_are_shown_resolved():
    """R8: against the webhook's URL, as Twilio does; absolute ones need no word."""
    document = xml(
        response(
            "<Message action='/status' statusCallback='https://example.com/s'>x</Message>",
            "<Redirect>next</Redirect>",
        ),
        url=URL,
    )

    assert [finding.values["url"] for finding in document.findings] == [
        "https://abc.ngrok-free.app/status",
        "https://abc.ngrok-free.app/hooks/next",
    ]
    assert {finding.id for finding in document.findings} == {"R8"}


@pytest.mark.parametrize(
    ("reference", "absolute"),
    [
        ("/status", "https://abc.ngrok-free.app/status"),
        ("status?a=1", "https://abc.ngrok-free.app/hooks/status?a=1"),
        ("../x", "https://abc.ngrok-free.app/x"),
        ("//example.com/s", "https://example.com/s"),
        (" http://example.com/s ", "http://example.com/s"),
        ("", URL),
    ],
)
def test_a_reference_is_resolved_as_in_a_browser(reference, absolute):
    """Relative to the document that holds it."""
    assert resolve(URL, reference) == absolute


@given(st.integers(200, 599), st.none() | st.text(max_size=30), st.binary(max_size=60))
def test_no_answer_makes_the_reader_raise(status, content_type, body):
    """An app may answer anything; each finding has its line."""
    document = read(status, content_type, body)

    assert all(finding.line for finding in document.findings)


@given(st.text("<>/&;='\" \nResponseMagdia", max_size=60))
def test_no_document_makes_the_reader_raise(inside):
    """Nor does any text between the tags."""
    document = xml(response(inside), url=URL)

    assert all(finding.line for finding in document.findings)


def test_a_long_value_is_shortened_in_a_line():
    """A whole page does not fit where one looks for a hint."""
    document = read(200, "text/plain", b"word  \n" * 30)

    assert document.findings[0].values["text"] == "word word word word word word word word…"


def test_a_finding_becomes_a_record():
    """With the id, severity and line of the catalogue."""
    at = datetime(2026, 1, 2, tzinfo=UTC)

    assert Finding("R4", {}, 14103).problem(at=at, sid="SM1") == Problem(
        ts=at,
        id="R4",
        severity="warning",
        line="<Message> without text or media (14103); use <Response/> for no answer",
        sid="SM1",
    )
