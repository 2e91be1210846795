"""What the app answers: replies and how they fare, redirects, the fallback."""

from __future__ import annotations

import pytest
from apps import URL, App, alerts, saying, states
from twilio.request_validator import RequestValidator

from smsquest_cli.problems import UsageError
from smsquest_cli.sandbox import NUMBER, PHONE, Pace, Sandbox, to_wsgi

OTHER = "+12025550101"
TOKEN = "a-token-of-mine"


# --- replies -------------------------------------------------------------------------------------


def test_a_reply_is_a_message_of_its_own(carried, app):
    """The sender gets it; it is queued, sent, delivered, and calls back about each."""
    app.answers["/sms"] = [saying("Hello!", action="/status?re=1", statusCallback="/status?re=1")]

    exchange = carried.play("hi")

    [reply] = exchange.replies
    message = carried.account.message(reply)
    assert (message.from_, message.to, message.direction) == (NUMBER, PHONE, "outbound-reply")
    assert (message.body, message.in_reply_to, message.status) == (
        "Hello!",
        exchange.sid,
        "delivered",
    )
    assert [one.form["MessageStatus"] for one in app.at("/status")] == [
        "queued",
        "sent",
        "delivered",
    ]
    assert {one.form["MessageSid"] for one in app.at("/status")} == {reply}
    assert app.at("/status")[0].url == "https://app.test/status?re=1"
    assert "RawDlrDoneDate" in app.at("/status")[2].form


def test_the_login_of_the_webhook_holds_for_what_is_relative_to_it(carried, app):
    """As in a browser: same host, same user and password; they are told only when asked for."""
    challenge = (401, {"WWW-Authenticate": "Basic"}, "")
    app.answers = {
        "/sms": [challenge, "<Response><Redirect>next</Redirect></Response>"],
        "/next": [challenge, saying("Hello!", action="status")],
        "/status": [challenge, 204],
    }
    carried.account.number(NUMBER).sms_url = "https://me:secret@app.test/sms"

    exchange = carried.play("hi")

    for path in ("/sms", "/next", "/status"):
        asked, answered, *_ = app.at(path)
        assert "Authorization" not in asked.headers
        assert answered.headers["Authorization"] == "Basic bWU6c2VjcmV0"
    assert "secret" not in repr(exchange)
    [reply] = exchange.replies
    assert {told.url for told in carried.account.message(reply).callbacks} == {
        "https://app.test/status"
    }


def test_twilios_validator_accepts_a_status_callback(carried, app):
    """Callbacks are signed as the webhooks are, query included."""
    app.answers["/sms"] = [saying("Hello!", action="status?re=%20x")]

    carried.play("hi")

    url, told = "https://app.test/status?re=%20x", app.at("/status")[0]
    signature = told.headers["X-Twilio-Signature"]
    assert RequestValidator(TOKEN).validate(url, told.form, signature)


def test_sms_and_mms_replies_call_back_by_different_attributes(carried, app):
    """`action` is for texts, `statusCallback` for media; each stands in for the other."""
    media = "<Media>https://x.test/a.png</Media>"
    app.answers["/sms"] = [
        saying("a", action="/a", statusCallback="/s"),
        saying(media, action="/a", statusCallback="/s"),
        saying("a", statusCallback="/s"),
        saying(media, action="/a"),
    ]

    paths = []
    for _ in range(4):
        app.received.clear()
        carried.play("hi")
        paths.append({one.path for one in app.received} - {"/sms"})

    assert paths == [{"/a"}, {"/s"}, {"/s"}, {"/a"}]


def test_callbacks_by_get(carried, app):
    """`method="GET"` puts the fields of the callback into its query."""
    app.answers["/sms"] = [saying("a", action="/status?x=1", method="GET")]

    carried.play("hi")

    assert [one.method for one in app.at("/status")] == ["GET"] * 3
    assert app.at("/status")[0].form.items() >= {("x", "1"), ("SmsStatus", "queued")}


def test_a_reply_of_a_service_calls_the_services_callback(carried, app):
    """Without attributes the callback of the Messaging Service is used."""
    carried.account.add_service(
        "s",
        NUMBER,
        use_inbound_webhook_on_number=True,
        status_callback="https://app.test/mg-status",
    )
    app.answers["/sms"] = [saying("a")]

    carried.play("hi")

    assert len(app.at("/mg-status")) == 3


def test_a_reply_to_somebody_else(carried, app):
    """`to` and `from` are obeyed, if the sender is the account's."""
    carried.account.add_number(OTHER)
    carried.account.add_number("+442071838750", sms=False)
    verbs = [
        f'<Message to="+12025550155" from="{OTHER}">a</Message>',
        '<Message to="nobody">b</Message>',
        '<Message from="+12025550199">c</Message>',
        '<Message from="+442071838750">d</Message>',
        '<Message from="Shop">e</Message>',
        '<Message from="Shop" to="+447700900123">f</Message>',
        '<Message to="(202) 555-0156">g</Message>',
    ]
    app.answers["/sms"] = [f"<Response>{''.join(verbs)}</Response>"]

    exchange = carried.play("hi")

    sent = carried.carrier.states(exchange.replies)
    assert [message.body for message in exchange.messages] == ["a", "f", "g"]
    assert [(reply.to, reply.from_, reply.body) for reply in sent] == [
        ("+12025550155", OTHER, "a"),
        ("+447700900123", "Shop", "f"),
        ("+12025550156", NUMBER, "g"),
    ]
    assert alerts(carried) == [(code, "warning") for code in (14101, 14102, 14108, 14102)]


def test_what_a_reply_cannot_be(carried, app):
    """An empty one is not sent, a bad callback is not called, each with Twilio's alert."""
    app.answers["/sms"] = [
        '<Response><Message/><Message action="http://[x">b</Message></Response>',
    ]

    exchange = carried.play("hi")

    assert states(carried, exchange) == [("b", "delivered", None)]
    assert {14103, 14105} <= {code for code, _ in alerts(carried)}


def test_ten_replies_at_most(carried, app):
    """Of more than ten messages the first ten are sent (14109)."""
    app.answers["/sms"] = [saying(*"abcdefghijklm")]

    exchange = carried.play("hi")

    assert [body for body, *_ in states(carried, exchange)] == list("abcdefghij")
    assert alerts(carried) == [(14109, "warning")]


def test_ten_replies_at_most_whatever_the_number_of_documents(carried, app):
    """The limit is about the inbound message, and is said once (14109)."""
    six = "".join(f"<Message>{n}</Message>" for n in range(6))
    app.answers["/sms"] = [f"<Response>{six}<Redirect>/more</Redirect></Response>"]
    app.answers["/more"] = [f"<Response>{six}</Response>"]

    exchange = carried.play("hi")

    assert len(exchange.replies) == 10
    assert alerts(carried) == [(14109, "warning")]


def test_a_reply_that_is_too_long_fails(carried, app):
    """More than 1,600 characters are not sent (21617)."""
    app.answers["/sms"] = [saying("x" * 1601, action="/status")]

    exchange = carried.play("hi")

    assert [state[1:] for state in states(carried, exchange)] == [("failed", 21617)]
    assert app.at("/status")[-1].form["ErrorCode"] == "21617"


def test_a_trial_account_replies_to_the_sender_only():
    """A trial marks its replies, and strangers do not get any (14111)."""
    app = App(
        {
            "/sms": [
                '<Response><Message>a</Message><Message to="+12025550155">b</Message></Response>'
            ]
        }
    )
    with Sandbox(
        kind="trial", webhook_url=URL, deliver=to_wsgi(app), allow_remote=True, workers=0
    ) as carried:
        exchange = carried.play("hi", from_="+12025550199")

        assert states(carried, exchange) == [
            ("Sent from your Twilio trial account - a", "delivered", None),
            ("Sent from your Twilio trial account - b", "failed", 14111),
        ]


# --- redirects in TwiML and the fallback ---------------------------------------------------------


def test_a_redirect_in_twiml(carried, app):
    """The next document gets the same form; its address is relative to the first one's."""
    app.answers["/sms"] = [
        "<Response><Message>a</Message><Redirect>more/b?x=1</Redirect></Response>"
    ]
    app.answers["/more/b"] = [saying("b", action="status")]

    exchange = carried.play("hi")

    assert [message.body for message in exchange.messages] == ["a", "b"]
    assert [body for body, *_ in states(carried, exchange)] == ["a", "b"]
    assert app.at("/more/b")[0].form["MessageSid"] == exchange.sid
    assert len(app.at("/more/status")) == 3


def test_redirects_without_end(carried, app):
    """After fifty documents Twilio gives up (14106)."""
    app.answers["/sms"] = ['<Response><Redirect method="GET">/sms</Redirect></Response>']

    exchange = carried.play("hi")

    assert len(exchange.visits) == 50
    assert [one.method for one in app.received[:2]] == ["POST", "GET"]
    assert (14106, "error") in alerts(carried)


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (500, 11200),
        ((200, {"Content-Type": "application/json"}, "{}"), 12300),
        ("<Response>", 12100),
    ],
)
def test_the_fallback_is_asked_when_the_webhook_fails(carried, app, answer, code):
    """The fallback is told why, and its TwiML is executed."""
    app.answers = {"/sms": [answer], "/fallback": [saying("sorry")]}
    carried.account.number(NUMBER).sms_fallback_url = "https://app.test/fallback"

    exchange = carried.play("hi")

    form = app.at("/fallback")[0].form
    assert (form["ErrorCode"], form["ErrorUrl"], form["Body"]) == (str(code), URL, "hi")
    assert states(carried, exchange) == [("sorry", "delivered", None)]
    assert exchange.error == code
    assert "N15" in [found.id for found in exchange.findings]
    assert (code, "error") in alerts(carried)
    assert code in [alert.code for alert in exchange.alerts]


def test_without_a_fallback_the_error_is_logged(carried, app):
    """A failing fallback is no reason to ask again, and the message stays received."""
    app.answers = {"/sms": [500], "/fallback": [500]}
    carried.account.number(NUMBER).sms_fallback_url = "https://app.test/fallback"

    exchange = carried.play("hi")

    assert len(exchange.visits) == 2
    assert exchange.replies == ()
    assert carried.account.message(exchange.sid).status == "received"


# --- scenarios -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("scenario", "callbacks", "final", "code"),
    [
        (None, ["queued", "sent", "delivered"], "delivered", None),
        ("delivered", ["queued", "sent", "delivered"], "delivered", None),
        ("undelivered", ["queued", "sent", "undelivered"], "undelivered", 30003),
        ("undelivered:30005", ["queued", "sent", "undelivered"], "undelivered", 30005),
        ("failed", ["queued", "failed"], "failed", 30008),
        ("Failed:30001", ["queued", "failed"], "failed", 30001),
        ("sent", ["queued", "sent"], "sent", None),
        ("out-of-order", ["delivered", "sent", "queued"], "delivered", None),
        (
            "duplicate",
            ["queued", "queued", "sent", "sent", "delivered", "delivered"],
            "delivered",
            None,
        ),
        ("lost", ["queued", "sent"], "delivered", None),
    ],
)
def test_how_delivery_goes(carried, app, scenario, callbacks, final, code):
    """Each scenario makes its callbacks and ends as its name says."""
    app.answers["/sms"] = [saying("a", action="/status")]

    exchange = carried.play("hi", scenario=scenario)

    told = app.at("/status")
    assert [one.form["MessageStatus"] for one in told] == callbacks
    assert states(carried, exchange) == [("a", final, code)]
    failed = [one.form.get("ErrorCode") for one in told if one.form["MessageStatus"] == final]
    assert set(failed) <= {str(code) if code else None}
    tokens = [one.headers["I-Twilio-Idempotency-Token"] for one in told]
    assert len(set(tokens)) == len(set(callbacks))


def test_an_unknown_pace(carried):
    """There are two paces (U6)."""
    with pytest.raises(UsageError, match=r"U6.*instant or real"):
        carried.play("hi", pace="slow")


@pytest.mark.parametrize(
    "text", ["", "sunny", "delivered:30003", "failed:x", "failed:", "failed:1"]
)
def test_an_unknown_scenario(carried, text):
    """What is no scenario is refused with the list of those there are (U6)."""
    with pytest.raises(UsageError, match=r"U6.*undelivered\[:CODE\].*out-of-order"):
        carried.play("hi", scenario=text)


def test_the_real_pace_takes_its_time(carried, app):
    """At real pace a message is not delivered at once."""
    carried.carrier.paces["real"] = Pace(0.2, 0.4)
    app.answers["/sms"] = [saying("a")]

    exchange = carried.carrier.receive(PHONE, NUMBER, "hi", pace="real")

    assert not carried.carrier.settle(0.02)
    ((_, status, _),) = states(carried, exchange)
    assert status in ("queued", "sending")
    assert carried.carrier.settle(5, exchange.replies)
    assert states(carried, exchange) == [("a", "delivered", None)]


def test_a_callback_that_is_refused_is_an_alert(carried, app):
    """A status URL that answers with an error is in the debugger; the message goes on."""
    app.answers = {"/sms": [saying("a", action="/status")], "/status": [404]}

    exchange = carried.play("hi")

    assert states(carried, exchange) == [("a", "delivered", None)]
    assert alerts(carried) == [(11200, "warning")] * 3
    made = carried.account.message(exchange.replies[0]).callbacks
    assert [(one.status, one.answer, one.error_code) for one in made] == [
        ("queued", 404, 11200),
        ("sent", 404, 11200),
        ("delivered", 404, 11200),
    ]
