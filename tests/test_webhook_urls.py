"""Whose a URL is, and how one is shown."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smsquest_cli.webhook_urls import described, in_ascii, owner_of, shown, web_parts

FLOW = "https://webhooks.twilio.com/v1/Accounts/AC1/Flows/FW1"


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("", "none"),
        ("  ", "none"),
        ("https://demo.twilio.com/welcome/sms/reply", "demo"),
        ("http://DEMO.twilio.com/welcome/sms/reply/", "demo"),
        (FLOW, "studio"),
        ("https://webhooks.twilio.com/v1/Accounts/AC1/Proxy/KS1/Webhooks/Message", "twilio"),
        ("https://handler.twilio.com/twiml/EH1", "twiml-bin"),
        ("https://shop-1234.twil.io/sms", "function"),
        ("https://flex-api.twilio.com/x", "twilio"),
        ("https://brave-otter.ngrok-free.app/sms", "tunnel"),
        ("https://x.ngrok-free.dev./sms", "tunnel"),
        ("https://a.trycloudflare.com", "tunnel"),
        ("https://box.tail1234.ts.net/sms", "tunnel"),
        ("https://abc-5000.euw.devtunnels.ms/sms", "tunnel"),
        ("https://name-5000.app.github.dev/sms", "tunnel"),
        ("https://notngrok.io.example/sms", "production"),
        ("https://myngrok.io/sms", "production"),
        ("http://localhost:5000/sms", "local"),
        ("http://127.0.0.1/sms", "local"),
        ("http://[::1]/sms", "local"),
        ("http://127.1/sms", "local"),
        ("http://0x7f.1/sms", "local"),
        ("http://2130706433/", "local"),
        ("http://8.8.8.8/sms", "production"),
        ("http://192.168.1.7/sms", "local"),
        ("http://printer.local/sms", "local"),
        ("https://api.shop.example/sms", "production"),
        ("https://8.8.8.8/sms", "production"),
        ("http://[broken", "local"),
    ],
)
def test_whose_a_url_is(url, kind):
    """Host and path tell; a name that merely contains a tunnel's is no tunnel."""
    assert owner_of(url).kind == kind
    assert owner_of(url).words


def test_only_nothing_and_the_demo_are_free():
    """Whatever else stands there is somebody's work."""
    assert owner_of("").is_free
    assert owner_of("https://demo.twilio.com/welcome/sms/reply").is_free
    assert not owner_of("http://localhost/").is_free
    assert not owner_of(FLOW).is_free


@pytest.mark.parametrize(
    ("url", "line"),
    [
        ("https://x.example/sms", "https://x.example/sms"),
        ("https://joe:hush@x.example:8443/sms?a=b", "https://***@x.example:8443/sms?a=b"),
        ("https://hush@x.example/", "https://***@x.example/"),
        ("https://[bad", "https://[bad"),
        ("https://joe:hush@[bad", "https://***@[bad"),
        ("htp://joe:hu@sh@x.example/a@b", "htp://***@b"),
        ("joe:hush@x.example/sms", "***@x.example/sms"),
        ("http:/joe:hush@x.example/", "http:/***@x.example/"),
        ("http://joe:hu/sh#@x.example/", "http://***@x.example/"),
    ],
)
def test_a_password_in_a_url_is_not_shown(url, line):
    """Twilio allows user and password in a webhook; screens show neither."""
    assert shown(url) == line


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (
            "http://m\u00fcnchen.example:81/\u00fc%20?a=%26",
            "http://xn--mnchen-3ya.example:81/%C3%BC%20?a=%26",
        ),
        ("https://x.example/sms", None),
        ("m\u00fcnchen.example", None),
        ("http://\u00fc..example/", None),
    ],
)
def test_a_url_is_offered_in_ascii_if_that_is_all_it_lacks(url, expected):
    """Whoever typed an umlaut sees what Twilio would take."""
    assert in_ascii(url) == expected


def test_a_webhook_in_words():
    """Method and address, or that there is nothing."""
    assert described("https://x.example/sms", "POST") == "POST https://x.example/sms"
    assert described("https://x.example/sms") == "https://x.example/sms"
    assert described("", "POST") == "no webhook"
    assert described("https://demo.twilio.com/welcome/sms/reply/") == "Twilio's demo reply"


@given(st.text() | st.from_regex(r"\Ahttps?://\S*\Z"))
def test_any_text_may_stand_there(url):
    """Twilio checks little: whatever a number holds can be classified and shown."""
    assert owner_of(url).kind
    assert isinstance(described(url, "GET"), str)


@given(st.text() | st.from_regex(r"\Ahttps?://\S*\Z"))
def test_what_is_taken_for_a_url_can_be_called(url):
    """Whatever any text is taken apart into has a host and a port that can be read."""
    parts = web_parts(url)
    if parts is not None:
        assert parts.hostname
        assert parts.port is None or 0 < parts.port < 65536


@pytest.mark.parametrize(
    "url",
    ["", "/sms", "sms", "ftp://x.example/", "http://", "http://[x", "http://x:0", "http://x:99999",
     "http://x:y/", "http://x.example/a b", "http://x.example/\n", " http://x.example/"],
)  # fmt: skip
def test_what_is_no_url_on_the_web(url):
    """Neither what is relative nor what cannot be called."""
    assert web_parts(url) is None
