"""Sending and finding messages through the REST API, with Twilio's Python SDK."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import requests
from apps import refused, sdk, send
from pretend_twilio import served

from smsquest_cli.sandbox import (
    ACCOUNT_SID,
    NUMBER,
    PHONE,
    SANDBOX_TOKEN,
    Pace,
    Sandbox,
)
from smsquest_cli.sandbox.outbox import new_message

ROOT = f"/2010-04-01/Accounts/{ACCOUNT_SID}"


def test_a_message_is_sent_and_delivered(sandbox, twilio):
    """A created message is queued, then on its way, and at last delivered."""
    created = send(twilio, body="Smile \N{SLIGHTLY SMILING FACE}")
    assert sandbox.carrier.settle(5)
    fetched = twilio.messages(created.sid).fetch()

    assert (created.status, created.date_sent, created.direction) == (
        "queued",
        None,
        "outbound-api",
    )
    assert (fetched.status, fetched.num_segments, fetched.error_code) == ("delivered", "1", None)
    assert fetched.body == "Smile \N{SLIGHTLY SMILING FACE}"
    assert fetched.date_sent.tzinfo is not None
    steps = [step.status for step in sandbox.account.message(created.sid).history]
    assert steps == [
        "queued",
        "sending",
        "sent",
        "delivered",
    ]


@pytest.mark.parametrize("parts", [("", "?user_id=5"), ("", "/my_status"), ("me_2:x@", "/")])
def test_only_a_host_may_have_no_underscore(nobody, twilio, parts):
    """The path, the query and the user name of a callback may."""
    user, path = parts
    url = nobody.replace("//", f"//{user}") + path

    assert send(twilio, status_callback=url).status == "queued"


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"to": ""}, 21604),
        ({"to": "12"}, 21211),
        ({"to": "hello"}, 21211),
        ({"from_": ""}, 21603),
        ({"from_": "hello world!"}, 21212),
        ({"from_": "+12025550199"}, 21606),
        ({"from_": "Shop"}, 21612),
        ({"to": NUMBER}, 21266),
        ({"from_": f"whatsapp:{NUMBER}", "to": f"whatsapp:{PHONE}"}, 63007),
        ({"body": ""}, 21602),
        ({"body": "x" * 1601}, 21617),
        ({"media_url": ["nowhere"]}, 21620),
        ({"media_url": ["http://127.0.0.1/1.png"] * 11}, 21623),
        ({"status_callback": "/status"}, 21609),
        ({"status_callback": "http://my_host/status"}, 21609),
        ({"status_callback": "http://127.0.0.1/" + "x" * 4000}, 21609),
        ({"validity_period": 0}, 21624),
        ({"messaging_service_sid": "MG1"}, 21705),
        ({"from_": None, "messaging_service_sid": "MG" + "1" * 32}, 21701),
        ({"schedule_type": "fixed", "send_at": "2030-01-01T00:00:00Z"}, 35118),
        ({"to": "+15005550001"}, 21211),
        ({"to": "+15005550002"}, 21612),
        ({"to": "+15005550003"}, 21408),
        ({"to": "+15005550004"}, 21610),
        ({"to": "+15005550009"}, 21614),
    ],
)
def test_what_cannot_be_sent(sandbox, twilio, fields, code):
    """A message that Twilio refuses gets its code, and is not in the log."""
    status, refused_with, message = refused(send, twilio, **fields)

    assert (status, refused_with) == (400, code)
    assert "{" not in message
    assert sandbox.account.messages() == []


def test_the_error_is_twilios_json(origin):
    """An error has Twilio's four keys and headers."""
    answer = requests.post(
        f"{origin}{ROOT}/Messages.json",
        data={"From": NUMBER, "To": "+1", "Body": "x"},
        auth=(ACCOUNT_SID, SANDBOX_TOKEN),
        timeout=5,
    )

    assert answer.json() == {
        "code": 21211,
        "message": "The 'To' number +1 is not a valid phone number.",
        "more_info": "https://www.twilio.com/docs/errors/21211",
        "status": 400,
    }
    assert answer.headers["Twilio-Request-Id"].startswith("RQ")
    assert answer.headers["X-API-Domain"] == "api.twilio.com"
    assert {"Twilio-Concurrent-Requests", "Twilio-Request-Duration", "X-Home-Region"} <= set(
        answer.headers
    )


def test_a_us_number_may_be_written_loosely(twilio):
    """Ten digits, with or without brackets, dashes and the 1, are a US number."""
    for written in ("(202) 555-0143", "1-202-555-0143", "202.555.0143"):
        assert send(twilio, to=written).to == PHONE


def test_messages_are_found_by_number_and_date(sandbox, twilio):
    """The list has the newest first and filters by To, From and DateSent."""
    sids = [send(twilio, to=f"+1202555019{n}").sid for n in range(3)]
    assert sandbox.carrier.settle(5)
    now = datetime.now(UTC)

    def found(**filters):
        return [message.sid for message in twilio.messages.list(**filters)]

    assert found() == sids[::-1]
    assert found(limit=1) == sids[2:]
    assert found(to="+12025550191") == [sids[1]]
    assert found(from_=NUMBER) == sids[::-1]
    assert found(from_="+12025550199") == []
    assert found(date_sent_after=now - timedelta(hours=1)) == sids[::-1]
    assert found(date_sent_after=now + timedelta(hours=1)) == []
    assert found(date_sent_before=now - timedelta(hours=1)) == []
    assert found(date_sent_before=now + timedelta(hours=1)) == sids[::-1]
    assert found(date_sent=now.date()) == sids[::-1]
    assert found(date_sent=now.date() - timedelta(days=9)) == []


@pytest.mark.parametrize(("sign", "days"), [("<", 0), (">", 0), ("", 0), ("<", 1), (">", -1)])
def test_a_mere_date_means_all_of_the_day(sandbox, twilio, origin, sign, days):
    """On or before a day includes the day, and so does on or after."""
    sandbox.carrier.pace = "real"
    send(twilio)  # not sent yet: it has no such date
    sandbox.carrier.pace = "instant"
    sent = send(twilio)
    assert sandbox.carrier.settle(5, [sent.sid])
    day = datetime.now(UTC).date() + timedelta(days=days)

    answer = requests.get(
        f"{origin}{ROOT}/Messages.json",
        params={f"DateSent{sign}": f"{day}"},
        auth=(ACCOUNT_SID, SANDBOX_TOKEN),
        timeout=5,
    )

    assert [message["sid"] for message in answer.json()["messages"]] == [sent.sid]


def test_a_page_does_not_shift_when_messages_arrive(twilio):
    """What is sent while somebody turns pages moves nothing."""
    sids = [send(twilio).sid for _ in range(4)]

    page = twilio.messages.page(page_size=2)
    send(twilio)
    following = [message.sid for message in page.next_page()]

    assert following == [sids[1], sids[0]]


def test_a_message_is_redacted_and_deleted(sandbox, twilio):
    """`Body=` empties the text, delete removes it; neither before it is finished."""
    sandbox.carrier.paces["real"] = Pace(30.0, 60.0)
    sandbox.carrier.pace = "real"
    waiting = send(twilio)
    sandbox.carrier.pace = "instant"
    done = send(twilio)
    assert sandbox.carrier.settle(5, [done.sid])

    redacted = twilio.messages(done.sid).update(body="")

    assert redacted.body == ""
    assert refused(twilio.messages(waiting.sid).update, body="")[:2] == (409, 20009)
    assert refused(twilio.messages(waiting.sid).delete)[:2] == (409, 20009)
    assert refused(twilio.messages(done.sid).update, body="other")[:2] == (400, 20001)
    assert twilio.messages(done.sid).delete()
    assert refused(twilio.messages(done.sid).fetch)[:2] == (404, 20404)


def test_media_belong_to_a_message(twilio, origin):
    """An MMS has an MM sid, its media, and leads to where they really are."""
    sent = send(twilio, media_url=["http://127.0.0.1:9/a.png", "http://127.0.0.1:9/b"], body=None)
    [first, second] = twilio.messages(sent.sid).media.list()
    fetched = twilio.messages(sent.sid).media(first.sid).fetch()
    content = requests.get(
        origin + fetched.uri.removesuffix(".json"),
        auth=(ACCOUNT_SID, SANDBOX_TOKEN),
        allow_redirects=False,
        timeout=5,
    )

    assert sent.sid.startswith("MM")
    assert (sent.num_media, first.content_type, second.content_type) == (
        "2",
        "image/png",
        "image/jpeg",
    )
    assert (content.status_code, content.headers["Location"]) == (307, "http://127.0.0.1:9/a.png")
    assert refused(twilio.messages(sent.sid).media("ME1").fetch)[1] == 20404


def test_status_callbacks_of_a_plain_message(sandbox, twilio, app, app_url):
    """A plain API message calls back twice, for sent and delivered, signed."""
    message = send(twilio, status_callback=f"{app_url}/status?order=7")

    assert sandbox.carrier.settle(5)
    assert [one.form["MessageStatus"] for one in app.at("/status")] == ["sent", "delivered"]
    assert app.received[0].form.items() >= {
        ("MessageSid", message.sid),
        ("SmsSid", message.sid),
        ("SmsStatus", "sent"),
        ("To", PHONE),
        ("From", NUMBER),
        ("AccountSid", ACCOUNT_SID),
        ("ApiVersion", "2010-04-01"),
    }
    assert app.received[0].url.endswith("/status?order=7")
    assert "X-Twilio-Signature" in app.received[0].headers


def test_who_is_told_when_the_message_names_nobody(sandbox, twilio, app, app_url):
    """Without a StatusCallback the TwiML app is told, or the Messaging Service."""
    application = sandbox.account.add_application(message_status_callback=f"{app_url}/app")
    service = sandbox.account.add_service("shop", NUMBER, status_callback=f"{app_url}/service")

    send(twilio, application_sid=application.sid)
    send(twilio, from_=None, messaging_service_sid=service.sid)
    send(twilio, application_sid=application.sid, status_callback=f"{app_url}/own")

    assert sandbox.carrier.settle(5)
    assert [one.form["MessageStatus"] for one in app.at("/app")] == ["sent", "delivered"]
    statuses = [one.form["MessageStatus"] for one in app.at("/service")]
    assert statuses == ["queued", "sent", "delivered"]
    assert app.at("/service")[0].form["MessagingServiceSid"] == service.sid
    assert len(app.at("/own")) == 2


def test_a_name_as_sender(twilio):
    """Outside of North America letters may stand for the sender."""
    assert send(twilio, from_="Shop", to="+447700900123").from_ == "Shop"


def test_numbers_that_text_each_other_through_the_api_are_stopped(sandbox, twilio):
    """More than fifteen messages between two own numbers are a loop (14107)."""
    sandbox.account.add_number("+12025550101")

    sids = [send(twilio, to="+12025550101").sid for _ in range(16)]
    assert sandbox.carrier.settle(5)

    codes = [twilio.messages(sid).fetch().error_code for sid in sids]
    assert codes == [None] * 15 + [14107]


def test_a_service_chooses_the_sender(sandbox, twilio):
    """A service message is accepted without a sender, and sent from one of its numbers."""
    empty = sandbox.account.add_service("empty")
    service = sandbox.account.add_service("shop", NUMBER)

    accepted = twilio.messages.create(messaging_service_sid=service.sid, to=PHONE, body="hi")
    assert sandbox.carrier.settle(5)
    sent = accepted.fetch()

    assert (accepted.status, accepted.from_, accepted.num_segments) == ("accepted", None, "0")
    assert (sent.status, sent.from_, sent.num_segments) == ("delivered", NUMBER, "1")
    assert refused(send, twilio, from_=empty.sid)[1] == 21704


def test_a_scheduled_message_can_be_cancelled(sandbox, twilio, app, app_url):
    """A message for later waits, and is cancelled once only."""
    service = sandbox.account.add_service("shop", NUMBER, status_callback=f"{app_url}/status")
    later = datetime.now(UTC) + timedelta(hours=1)

    def schedule(**fields):
        return send(
            twilio, from_=None, messaging_service_sid=service.sid, schedule_type="fixed", **fields
        )

    message = schedule(send_at=later)
    assert message.status == "scheduled"
    assert message.update(status="canceled").status == "canceled"
    assert sandbox.carrier.settle(5)
    assert [one.form["MessageStatus"] for one in app.at("/status")] == ["canceled"]
    assert refused(message.update, status="canceled")[:2] == (400, 30409)
    assert refused(schedule)[1] == 35111
    assert refused(schedule, send_at="soon")[1] == 35114
    assert refused(schedule, send_at=datetime.now(UTC))[1] == 35114


def test_a_scheduled_message_is_sent_in_time():
    """When its time has come a scheduled message goes out, unless cancelled."""
    with Sandbox(workers=0) as sandbox:
        sandbox.account.add_service("shop", NUMBER, use_inbound_webhook_on_number=True)
        message = sandbox.account.add_message(_scheduled(sandbox))
        sandbox.carrier.send(message, delay=0.0)
        cancelled = sandbox.account.add_message(_scheduled(sandbox))
        sandbox.carrier.send(cancelled, delay=0.0)
        assert sandbox.carrier.cancel(cancelled)
        just = sandbox.account.add_message(_scheduled(sandbox))
        sandbox.carrier.send(just)
        assert sandbox.carrier.cancel(just)

        other = sandbox.carrier.receive(PHONE, NUMBER, "HELP")  # something that is waited for
        assert sandbox.carrier.settle(5)

        assert other.sid
        assert message.status == "delivered"
        assert (cancelled.status, just.status) == ("canceled", "canceled")


def _scheduled(sandbox):
    [service] = sandbox.account.services
    form = {
        "To": PHONE, "MessagingServiceSid": service, "Body": "hi", "ScheduleType": "fixed",
        "SendAt": (datetime.now(UTC) + timedelta(hours=1)).isoformat(),
    }  # fmt: skip
    message, delay = new_message(sandbox.account, form, [])
    assert delay > 3000
    return message


def test_a_trial_account_sends_to_verified_numbers_only():
    """A trial marks its texts and refuses strangers (21608)."""
    with (
        Sandbox(kind="trial") as sandbox,
        served(sandbox.app) as origin,
        sdk(origin, ACCOUNT_SID, SANDBOX_TOKEN) as twilio,
    ):
        message = send(twilio)
        status, code, words = refused(send, twilio, to="+12025550155")

        assert message.body == "Sent from your Twilio trial account - hi"
        assert (status, code) == (400, 21608)
        assert words.count("+12025550155") == 2
        assert twilio.api.accounts(ACCOUNT_SID).fetch().type == "Trial"


def test_an_opt_out_blocks_until_start(sandbox, twilio):
    """After STOP a send is refused (21610), after START it is not."""
    sandbox.play("stop")
    assert refused(send, twilio)[:2] == (400, 21610)

    sandbox.play("START")
    assert send(twilio).status == "queued"
