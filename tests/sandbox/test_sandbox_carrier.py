"""A phone texts the number: who is called, with what, and what Twilio does by itself."""

from __future__ import annotations

from urllib.parse import parse_qsl

import pytest
from apps import EMPTY, URL, App, alerts, saying, states
from pretend_twilio import served
from twilio.request_validator import RequestValidator

from smsquest_cli.problems import NumberError
from smsquest_cli.sandbox import NUMBER, PHONE, Pace, Sandbox
from smsquest_cli.sandbox.delivery import LoopGuard

OTHER = "+12025550101"
TOKEN = "a-token-of-mine"


# --- the webhook ---------------------------------------------------------------------------------


def test_the_form_of_an_sms(carried, app):
    """Every field of a real capture is there, in its order."""
    exchange = carried.play("Hi & \N{BIRD}")

    pairs = parse_qsl(exchange.request.body.decode(), keep_blank_values=True)
    assert pairs == [
        ("ToCountry", "US"),
        ("ToState", "DC"),
        ("SmsMessageSid", exchange.sid),
        ("NumMedia", "0"),
        ("ToCity", "WASHINGTON"),
        ("FromZip", "20001"),
        ("SmsSid", exchange.sid),
        ("FromState", "DC"),
        ("SmsStatus", "received"),
        ("FromCity", "WASHINGTON"),
        ("Body", "Hi & \N{BIRD}"),
        ("FromCountry", "US"),
        ("To", NUMBER),
        ("ToZip", "20001"),
        ("NumSegments", "1"),
        ("MessageSid", exchange.sid),
        ("AccountSid", carried.account.sid),
        ("From", PHONE),
        ("ApiVersion", "2010-04-01"),
    ]
    assert b"Hi+%26+" in exchange.request.body
    assert app.received[0].headers["User-Agent"] == "TwilioProxy/1.1"
    assert app.received[0].headers["Content-Type"] == "application/x-www-form-urlencoded"


def test_the_form_of_an_mms(carried, app):
    """Media come with their types, the sid begins with MM, the text may be empty."""
    exchange = carried.play(media=["https://x.test/a.gif", "https://x.test/b"])

    form = app.received[0].form
    assert exchange.sid.startswith("MM")
    assert (form["NumMedia"], form["Body"]) == ("2", "")
    assert (form["MediaUrl0"], form["MediaContentType0"]) == ("https://x.test/a.gif", "image/gif")
    assert (form["MediaUrl1"], form["MediaContentType1"]) == ("https://x.test/b", "image/jpeg")


def test_fields_can_be_replaced_and_added(carried, app):
    """Any field of the form can be played; the sid too, as when Twilio sends one twice."""
    sid = "SM" + "1" * 32

    exchange = carried.play("hi", parameters={"FromCity": "OZ", "WaId": "1", "MessageSid": sid})

    assert app.received[0].form.items() >= {("FromCity", "OZ"), ("WaId", "1"), ("SmsSid", sid)}
    assert exchange.sid == sid


def test_numbers_abroad_have_a_country_at_most(carried, app):
    """What Twilio does not know of a number is sent as an empty string."""
    carried.play("hi", from_="+447700900123")
    carried.play("hi", from_="12345")

    first, second = (one.form for one in app.received)
    assert (first["FromCountry"], first["FromCity"], first["FromZip"]) == ("GB", "", "")
    assert second["FromCountry"] == ""


def test_half_a_character_is_replaced(carried, app):
    """What cannot be written in UTF-8 does not stop the message."""
    carried.play("a\ud83d b")

    assert app.received[0].form["Body"] == "a? b"


@pytest.mark.parametrize("method", ["POST", "GET"])
@pytest.mark.parametrize(
    "url", [URL, f"{URL}?a=%2F%20b&c", "https://app.test:8443/sms?x=", f"{URL}/"]
)
def test_twilios_validator_accepts_the_signature(carried, app, method, url):
    """The signature is valid for the URL as it was called, in form and in query."""
    exchange = carried.play("Hi & \N{BIRD} +", url=url, method=method)

    request = exchange.request
    form = dict(parse_qsl(request.body.decode(), keep_blank_values=True))
    validate = RequestValidator(TOKEN).validate
    assert validate(request.url, form, request.header("X-Twilio-Signature"))
    assert bool(request.body) is (method == "POST")
    assert app.received[0].form["Body"] == "Hi & \N{BIRD} +"


def test_an_unsigned_request(carried, app):
    """A request can be left unsigned, to see an app refuse it."""
    exchange = carried.play("hi", unsigned=True)

    assert exchange.request.header("X-Twilio-Signature") is None
    assert "X-Twilio-Signature" not in app.received[0].headers


def test_a_number_that_is_not_there(carried):
    """A text to another number names the closest one (N2)."""
    with pytest.raises(NumberError, match=r"N2.*\+12025550100"):
        carried.play("hi", to="+12025550109")


def test_a_channel_is_part_of_the_address(carried, app):
    """A WhatsApp message reaches the number behind the channel's prefix."""
    carried.play("hi", from_=f"whatsapp:{PHONE}", to=f"whatsapp:{NUMBER}")

    assert app.received[0].form["To"] == f"whatsapp:{NUMBER}"


def test_a_number_without_a_webhook(carried):
    """The message is logged and nobody is called."""
    carried.account.number(NUMBER).sms_url = ""

    exchange = carried.play("hi")

    assert (exchange.request, exchange.answer, exchange.document) == (None, None, None)
    assert (exchange.error, exchange.detail, exchange.messages) == (None, "", ())
    assert carried.account.message(exchange.sid).status == "received"


# --- who answers ---------------------------------------------------------------------------------


def test_a_twiml_app_replaces_the_numbers_webhook(carried, app):
    """With an application set, the number's own URLs do not count."""
    application = carried.account.add_application(sms_url="https://app.test/app", sms_method="GET")
    carried.account.number(NUMBER).sms_application_sid = application.sid

    carried.play("hi")

    assert [(one.method, one.path) for one in app.received] == [("GET", "/app")]


def test_a_service_answers_for_its_numbers(carried, app):
    """A Messaging Service's URL is called, unless it defers to the sender's webhook."""
    service = carried.account.add_service("s", NUMBER, inbound_request_url="https://app.test/mg")

    carried.play("hi")
    service.use_inbound_webhook_on_number = True
    carried.play("hi")

    assert [one.path for one in app.received] == ["/mg", "/sms"]
    assert {one.form["MessagingServiceSid"] for one in app.received} == {service.sid}


def test_a_service_without_a_url_drops_the_message(carried, app):
    """The message is not even logged (N5)."""
    carried.account.add_service("s", NUMBER)

    exchange = carried.play("hi")

    assert (exchange.sid, [found.id for found in exchange.findings]) == (None, ["N5"])
    assert (app.received, carried.account.messages()) == ([], [])


def test_a_conversation_takes_the_message(carried, app):
    """A Conversations address that creates conversations keeps the webhook from being called."""
    carried.account.add_address(NUMBER)

    exchange = carried.play("hi")

    assert [found.id for found in exchange.findings] == ["N7"]
    assert app.received == []


def test_another_url_for_once(carried, app):
    """A message can be delivered to any URL, whatever the number is set to."""
    carried.account.add_service("s", NUMBER)

    carried.play("hi", url="https://app.test/else")
    carried.play("hi", url="https://app.test/else", method="GET")

    assert [(one.method, one.path) for one in app.received] == [("POST", "/else"), ("GET", "/else")]


# --- opting out ----------------------------------------------------------------------------------


def test_stop_blocks_and_start_opens(carried, app):
    """Twilio confirms by itself, still calls the webhook, and does not send its replies."""
    app.answers["/sms"] = [saying("Bye", action="https://app.test/status")]

    stopped = carried.play(" stop ")
    blocked = carried.play("hello?")
    started = carried.play("start")

    assert [(exchange.opt_out) for exchange in (stopped, blocked, started)] == [
        "STOP",
        None,
        "START",
    ]
    assert states(carried, stopped) == [("Bye", "failed", 21610)]
    assert states(carried, blocked) == [("Bye", "failed", 21610)]
    assert states(carried, started) == [("Bye", "delivered", None)]
    assert [found.id for found in stopped.findings] == ["D8"]
    confirmations = [m.body for m in carried.account.messages() if m.body.startswith("You have")]
    assert len(confirmations) == 2
    assert carried.account.message(stopped.confirmation).body == confirmations[1]
    assert app.at("/status")[1].form["ErrorCode"] == "21610"
    assert "OptOutType" not in app.at("/sms")[0].form


@pytest.mark.parametrize("text", ["STOP PLEASE", "please stop", "hello"])
def test_only_a_single_word_opts_out(carried, text):
    """More than the keyword does nothing."""
    assert carried.play(text).opt_out is None


def test_a_yes_is_no_news(carried):
    """Who has not opted out gets no confirmation for START; HELP is always answered."""
    assert carried.play("yes").confirmation is None
    assert carried.play("help").confirmation


def test_an_opt_out_is_about_the_whole_service(carried, app):
    """Who stops one number of a service stops all; Advanced Opt-Out says so in the webhook."""
    carried.account.add_number(OTHER, sms_url=URL)
    carried.account.add_service(
        "s", NUMBER, OTHER, use_inbound_webhook_on_number=True, advanced_opt_out=True
    )
    app.answers["/sms"] = [saying("Bye")]

    carried.play("STOP")
    exchange = carried.play("hi", to=OTHER)

    assert states(carried, exchange) == [("Bye", "failed", 21610)]
    assert [one.form.get("OptOutType") for one in app.received] == ["STOP", None]


# --- numbers that text each other ----------------------------------------------------------------


def test_a_message_to_an_own_number_arrives_there(carried, app):
    """What one number sends to another is received by it, with its own sid."""
    carried.account.add_number(OTHER, sms_url="https://app.test/other")
    app.answers = {"/sms": [saying("psst", to=OTHER)], "/other": [EMPTY]}

    exchange = carried.play("hi")

    [received] = app.at("/other")
    assert (received.form["From"], received.form["Body"]) == (NUMBER, "psst")
    assert received.form["MessageSid"] not in (exchange.sid, *exchange.replies)


def test_two_numbers_that_answer_each_other_are_stopped(carried, app):
    """A loop ends after fifteen messages (14107)."""
    carried.account.add_number(OTHER, sms_url="https://app.test/other")
    app.answers = {"/sms": [saying("ping", to=OTHER)], "/other": [saying("pong")]}

    carried.play("hi")

    assert 14107 in [code for code, _ in alerts(carried)]
    assert len(app.received) < 40
    failed = [m for m in carried.account.messages() if m.status == "failed"]
    assert [message.error_code for message in failed] == [14107]


def test_the_guard_forgets_what_is_long_ago():
    """Only what happened within thirty seconds is a loop."""
    now = [0.0]
    guard = LoopGuard(lambda: now[0])

    counts = [guard.count("+1", "+2"), guard.count("+2", "+1")]
    now[0] = 31.0

    assert (counts, guard.count("+1", "+2"), guard.count("+1", "+3")) == ([1, 2], 1, 1)


def test_an_account_forgets_its_oldest_messages(monkeypatch):
    """A sandbox that runs for weeks does not grow for weeks."""
    monkeypatch.setattr("smsquest_cli.sandbox.account.MAX_MESSAGES", 3)
    with Sandbox(workers=0) as sandbox:
        sids = [sandbox.play("hi").sid for _ in range(4)]

        assert [message.sid for message in sandbox.account.messages()] == sids[:0:-1]


def test_a_number_is_found_by_sid_and_by_number(carried):
    """Wherever a number is named, its sid or its E.164 form will do."""
    number = carried.account.number(NUMBER)

    assert carried.account.number(number.sid) is number
    assert carried.account.number(f"sms:{NUMBER}") is number


def test_a_service_needs_numbers_of_the_account(carried):
    """A Messaging Service cannot be set up with somebody else's number."""
    with pytest.raises(KeyError):
        carried.account.add_service("s", "+12025550199")


# --- with threads, over real HTTP ----------------------------------------------------------------


def test_many_phones_at_once():
    """A sandbox with threads moves many messages at the same time, each in its order."""
    app = App({"/sms": [saying("a", action="/status")]})
    with served(app) as origin, Sandbox(webhook_url=f"{origin}/sms") as sandbox:
        exchanges = [sandbox.carrier.receive(f"+120255503{n:02}", NUMBER, "hi") for n in range(20)]
        assert sandbox.carrier.settle(10)

        for exchange in exchanges:
            [reply] = exchange.replies
            told = [
                o.form["MessageStatus"] for o in app.at("/status") if o.form["MessageSid"] == reply
            ]
            assert told == ["queued", "sent", "delivered"]


def test_closing_ends_what_is_under_way():
    """After closing nothing more happens, and nobody waits."""
    app = App({"/sms": [saying("a")]})
    with served(app) as origin:
        with Sandbox(webhook_url=f"{origin}/sms", pace="real") as sandbox:
            sandbox.carrier.paces["real"] = Pace(60.0, 120.0)
            exchange = sandbox.carrier.receive(PHONE, NUMBER, "hi")

        assert sandbox.carrier.settle(0)
        assert states(sandbox, exchange)[0][1] == "queued"
        sandbox.play("still")  # received, but nothing moves any more
