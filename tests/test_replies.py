"""The replies of smsquest itself: Twilio's TwiML, made from a template and a message."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from urllib.parse import urljoin

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twilio.twiml.messaging_response import MessagingResponse

from smsquest_cli import twiml
from smsquest_cli.events import OutgoingMessage
from smsquest_cli.messages import Message
from smsquest_cli.problems import UsageError
from smsquest_cli.replies import no_reply, text_reply, twiml_reply

STATUS_URL = 'https://abc.ngrok-free.app/status?re=SM1&x="<'
XML_TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]) | st.just("\n"))
ANY_TEXTS = st.text(st.characters(exclude_categories=[]))


def message(body="Hello", **parameters) -> Message:
    return Message.from_webhook(
        {
            "MessageSid": "SM1",
            "AccountSid": "AC1",
            "From": "+12025550143",
            "To": "+12025550100",
            "Body": body,
            **parameters,
        }
    )


def read(answer) -> twiml.TwimlDocument:
    return twiml.read(200, "text/xml", answer.twiml)


def sent(document: twiml.TwimlDocument) -> tuple[OutgoingMessage, ...]:
    """What *document* sends; that statuses come to us is told by no record."""
    found = [message.outgoing(STATUS_URL) for message in document.messages]
    return tuple(
        replace(one, status_callback=None) if one.status_callback == STATUS_URL else one
        for one in found
    )


@given(XML_TEXTS.filter(str.strip))
def test_a_text_is_answered_as_twilios_library_would_write_it(body):
    """Byte for byte, both callbacks included."""
    expected = MessagingResponse()
    expected.message(f"You said: {body}", action=STATUS_URL, status_callback=STATUS_URL)

    answer = text_reply("You said: {Body}")(message(body), STATUS_URL)

    assert answer.twiml == str(expected).encode()


@given(ANY_TEXTS, ANY_TEXTS)
def test_any_text_makes_twiml_that_sends_what_the_answer_says(body, literal):
    """Control characters, lone surrogates, markup: what XML forbids is replaced."""
    template = re.sub(r"([{}])", r"\1\1", literal) + "{Body}"

    answer = text_reply(template)(message(body), STATUS_URL)

    document = read(answer)
    assert document.error is None
    assert sent(document) == answer.messages
    assert all(m.action == m.status_callback == STATUS_URL for m in document.messages)


def test_a_template_may_use_any_field_of_the_webhook():
    """An absent field is empty, and doubled braces are braces."""
    rule = text_reply("{From}>{To} {ProfileName}{Nonsense}{{Body}} {Body}{Body}}}")

    answer = rule(message("hi", ProfileName="Ada"), STATUS_URL)

    assert answer.messages == (OutgoingMessage("+12025550143>+12025550100 Ada{Body} hihi}"),)


def test_a_field_is_no_template():
    """What a stranger writes is never filled in itself."""
    answer = text_reply("{Body}")(message("{From} {{ {"), STATUS_URL)

    assert answer.messages == (OutgoingMessage("{From} {{ {"),)


def test_line_ends_arrive_as_line_feeds():
    """As XML reads them; and a NUL arrives as U+FFFD."""
    answer = text_reply("a\r\nb {Body}")(message("c\rd\0e"), STATUS_URL)

    assert answer.messages == (OutgoingMessage("a\nb c\nd\N{REPLACEMENT CHARACTER}e"),)
    assert sent(read(answer)) == answer.messages


@pytest.mark.parametrize(("template", "body"), [("{Body}", ""), ("", "x"), (" {Body}\n", " ")])
def test_nothing_to_say_is_nothing_to_send(template, body):
    """Twilio refuses an empty <Message> (14103)."""
    answer = text_reply(template)(message(body), STATUS_URL)

    assert answer.messages == ()
    assert read(answer) == twiml.TwimlDocument()


@pytest.mark.parametrize(
    "template", ["{", "}", "x {Body", "{}", "{0}", "{Body!r}", "{ Body }", "{{Body}", "{Body}}"]
)
def test_a_brace_that_stands_alone_is_a_usage_error(template):
    """U6, before anything is listening; so it is in a document."""
    with pytest.raises(UsageError, match="U6: --reply cannot be") as caught:
        text_reply(template)
    assert caught.value.exit_code == 2
    with pytest.raises(UsageError, match="U6: --twiml cannot be"):
        twiml_reply(f"<Response><Message>{template}</Message></Response>")
    with pytest.raises(UsageError, match="U6: --twiml cannot be"):
        twiml_reply(f"<Response><Message to='{template}'>x</Message></Response>")


def test_no_reply_is_an_empty_response():
    """As Twilio's library writes it, in meaning."""
    answer = no_reply()(message(), STATUS_URL)

    assert answer.messages == ()
    assert ET.canonicalize(answer.twiml.decode()) == ET.canonicalize(str(MessagingResponse()))


DOCUMENT = """<?xml version="1.0" encoding="ISO-8859-1"?>
<!-- {a comment} -->
<Response>
  <Message to="{From}" from="+12025550100">Dear {ProfileName} &amp; co</Message>
  <Message action="/mine"><Body>{Body}</Body><Media> {MediaUrl0} </Media><Media/></Message>
  <Message>{Missing}</Message>
  <Message><![CDATA[<{Body}>]]><Extra>x</Extra></Message>
  <Unknown/>
  <Redirect>/next?b={{{Body}}}</Redirect>
  <Message>never</Message>
</Response>
"""


def test_a_document_is_filled_in_and_sends_what_the_answer_says():
    """Placeholders in texts and attributes, CDATA and nouns; media and recipients."""
    answer = twiml_reply(DOCUMENT)(
        message("1 < 2 & \"3'", ProfileName="Ada <3", MediaUrl0="https://e.com/?a=1&b"),
        STATUS_URL,
    )

    document = read(answer)
    assert sent(document) == answer.messages
    assert answer.messages == (
        OutgoingMessage("Dear Ada <3 & co", "+12025550143"),
        OutgoingMessage(
            "1 < 2 & \"3'", None, ("https://e.com/?a=1&b",), urljoin(STATUS_URL, "/mine")
        ),
        OutgoingMessage("<1 < 2 & \"3'>"),
    )
    assert document.redirect == twiml.Redirect("/next?b={1 < 2 & \"3'}")


def test_a_message_of_a_document_gets_the_callbacks_that_it_lacks():
    """One that asks for its own keeps it."""
    answer = twiml_reply(DOCUMENT)(message(), STATUS_URL)

    assert [(m.action, m.status_callback) for m in read(answer).messages] == [
        (STATUS_URL, STATUS_URL),
        ("/mine", None),
        (STATUS_URL, STATUS_URL),
    ]


@given(ANY_TEXTS, ANY_TEXTS)
def test_any_field_keeps_a_document_well_formed(body, name):
    """Nothing that a stranger writes gets out of its place."""
    answer = twiml_reply(DOCUMENT)(message(body, ProfileName=name), STATUS_URL)

    document = read(answer)
    assert document.error is None
    assert sent(document) == answer.messages


@given(ANY_TEXTS)
def test_an_address_that_is_none_hinders_no_answer(body):
    """What stands in ``action`` may come from a stranger's text."""
    document = '<Response><Message action="http://[{Body}/x">hi</Message></Response>'

    (sent,) = twiml_reply(document)(message(body), STATUS_URL).messages

    assert sent.body == "hi"


def test_a_document_sends_ten_messages_at_most():
    """As Twilio does."""
    document = f"<Response>{'<Message>x</Message>' * 12}</Response>"

    assert len(twiml_reply(document)(message(), STATUS_URL).messages) == 10


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        ("<Response><Message>Tom & Jerry</Message></Response>", 'TwiML (line 1, column 24: "&"'),
        ("<html/>", "TwiML in <Response>"),
        ("<!DOCTYPE r><Response/>", "is not allowed"),
        ("hello {Body}", 'a "<" must come first'),
    ],
)
def test_a_document_that_is_no_twiml_is_a_usage_error(document, reason):
    """U6 with the file's name and the place, before anything is listening."""
    with pytest.raises(UsageError, match=re.escape(reason)) as caught:
        twiml_reply(document, name="reply.xml")

    assert caught.value.line.startswith('--twiml cannot be "reply.xml"')
