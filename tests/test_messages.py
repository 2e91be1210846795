"""Webhook forms become values; what Twilio adds is kept, what it omits not invented."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smsquest_cli.messages import MalformedWebhookError, Media, Message, StatusUpdate

INBOUND = {
    "MessageSid": "SM" + "2" * 32,
    "AccountSid": "AC" + "1" * 32,
    "From": "+12025550143",
    "To": "+12025550100",
    "Body": "Hello",
    "NumMedia": "0",
    "NumSegments": "1",
}
CALLBACK = {
    "MessageSid": "SM" + "2" * 32,
    "MessageStatus": "undelivered",
    "AccountSid": "AC" + "1" * 32,
    "From": "+12025550100",
    "To": "+12025550143",
    "ErrorCode": "30003",
}
ANY_FORM = st.dictionaries(
    st.sampled_from([*INBOUND, *CALLBACK, "SmsSid", "SmsStatus", "MediaUrl0", "New"]), st.text()
)


def test_an_inbound_form_is_read_field_by_field():
    """Twilio's names in snake case, and every parameter as it came."""
    message = Message.from_webhook({**INBOUND, "NumSegments": "3", "Novelty": "x"})

    assert (message.sid, message.account_sid) == (INBOUND["MessageSid"], INBOUND["AccountSid"])
    assert (message.from_, message.to, message.body) == ("+12025550143", "+12025550100", "Hello")
    assert (message.segments, message.media, message.opt_out) == (3, (), None)
    assert (message.error_code, message.error_url) == (None, None)
    assert message.parameters["Novelty"] == "x"


def test_media_come_with_their_types():
    """An address without a type is kept, a gap is skipped, and NumMedia decides how many."""
    message = Message.from_webhook(
        {
            **INBOUND,
            "NumMedia": "3",
            "MediaUrl0": "https://api.twilio.com/a",
            "MediaContentType0": "image/jpeg",
            "MediaUrl2": "https://api.twilio.com/c",
            "MediaUrl3": "https://api.twilio.com/d",
        }
    )

    assert message.media == (
        Media("https://api.twilio.com/a", "image/jpeg"),
        Media("https://api.twilio.com/c"),
    )


def test_no_more_media_are_read_than_twilio_sends():
    """A forged NumMedia does not keep us busy."""
    form = {**INBOUND, "NumMedia": "999999999", **{f"MediaUrl{n}": "u" for n in range(20)}}

    assert len(Message.from_webhook(form).media) == 10


@pytest.mark.parametrize("name", ["MessageSid", "AccountSid", "From", "To"])
@pytest.mark.parametrize("absent", [True, False])
def test_an_inbound_form_without_what_twilio_always_sends_is_malformed(name, absent):
    """Missing or empty, and the exception names it."""
    form = {key: value for key, value in INBOUND.items() if key != name}
    if not absent:
        form[name] = ""

    with pytest.raises(MalformedWebhookError, match=f"no {name}"):
        Message.from_webhook(form)


def test_all_that_is_missing_is_named_at_once():
    """One round of repair is enough."""
    with pytest.raises(MalformedWebhookError, match="no MessageSid and AccountSid and To"):
        Message.from_webhook({"From": "+12025550143"})


@pytest.mark.parametrize(
    ("body", "opt_out"),
    [
        ("STOP", "STOP"),
        (" stop\n", "STOP"),
        ("Unsubscribe", "STOP"),
        ("unstop", "START"),
        ("info", "HELP"),
        ("stop please", None),
        ("", None),
    ],
)
def test_an_opt_out_is_a_single_word(body, opt_out):
    """The keywords of Twilio's default handling, in any case, and nothing around them."""
    assert Message.from_webhook({**INBOUND, "Body": body}).opt_out == opt_out


def test_twilios_own_opt_out_type_wins():
    """Advanced Opt-Out knows keywords that we do not."""
    form = {**INBOUND, "Body": "arrêt", "OptOutType": "STOP"}

    assert Message.from_webhook(form).opt_out == "STOP"


def test_a_request_to_the_fallback_url_says_why():
    """ErrorCode and ErrorUrl come with it."""
    form = {**INBOUND, "ErrorCode": "11200", "ErrorUrl": "https://example.com/sms"}

    message = Message.from_webhook(form)

    assert (message.error_code, message.error_url) == (11200, "https://example.com/sms")


@pytest.mark.parametrize("text", ["", "x", "-1", "1.5", "٣", "²", "1" * 10, " 1"])
def test_a_number_that_is_none_counts_as_absent(text):
    """Strangers may write anything into a number's field."""
    form = {**INBOUND, "NumSegments": text, "NumMedia": text, "ErrorCode": text}

    message = Message.from_webhook(form)

    assert (message.segments, message.media, message.error_code) == (1, (), None)


def test_a_status_callback_is_read_field_by_field():
    """Where the message has got to, and the error code if it failed."""
    assert StatusUpdate.from_webhook(CALLBACK) == StatusUpdate(
        sid=CALLBACK["MessageSid"],
        status="undelivered",
        account_sid=CALLBACK["AccountSid"],
        from_="+12025550100",
        to="+12025550143",
        error_code=30003,
    )


def test_the_older_names_of_a_callback_will_do():
    """SmsSid and SmsStatus say the same; what is empty is absent."""
    update = StatusUpdate.from_webhook({"SmsSid": "SM1", "SmsStatus": "sent", "From": ""})

    assert update == StatusUpdate(sid="SM1", status="sent")


@pytest.mark.parametrize(
    ("form", "words"),
    [
        ({"MessageSid": "SM1"}, "^no MessageStatus$"),
        ({"MessageStatus": "sent"}, "^no MessageSid$"),
        ({}, "^no MessageSid and MessageStatus$"),
    ],
)
def test_a_callback_without_sid_or_status_is_malformed(form, words):
    """The exception names what is missing."""
    with pytest.raises(MalformedWebhookError, match=words):
        StatusUpdate.from_webhook(form)


@given(ANY_FORM)
def test_any_form_is_a_value_or_malformed(form):
    """Never another exception, whatever the fields hold."""
    for read in (Message.from_webhook, StatusUpdate.from_webhook):
        with suppress(MalformedWebhookError):
            assert read(form).sid
