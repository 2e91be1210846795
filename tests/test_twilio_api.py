"""The gateway to Twilio: what it asks, how its answers become values, how refusals become ours."""

from __future__ import annotations

import json
import socket
import threading
import time
from datetime import UTC, datetime, timedelta

import pytest
import requests
from ports import closed_port
from pretend_twilio import pretend_twilio, served

from smsquest_cli import patience
from smsquest_cli.credentials import RestCredentials, Secret
from smsquest_cli.problems import CredentialsError, NumberError, TwilioRefusedError
from smsquest_cli.sandbox import ACCOUNT_SID, NUMBER, PHONE
from smsquest_cli.twilio_api import (
    Application,
    ConversationsAddress,
    PhoneNumber,
    RefusedRequestError,
    TwilioGateway,
)
from smsquest_cli.twilio_api.http import HttpClient, NoAnswerError, RefusalError
from smsquest_cli.twilio_api.refusals import problem_of

LOGIN = RestCredentials(
    account_sid=ACCOUNT_SID, username=ACCOUNT_SID, password=Secret("0" * 32), source="environment"
)


@pytest.fixture
def twilio(tmp_path):
    with pretend_twilio(tmp_path) as twilio:
        yield twilio


@pytest.fixture
def gateway(twilio):
    return twilio.gateway()


def login_at(origin):
    """Credentials for another origin than Twilio's."""
    return RestCredentials(
        account_sid=ACCOUNT_SID,
        username=ACCOUNT_SID,
        password=Secret("0" * 32),
        source=".env line 2",
        origin=origin,
    )


def refused(action, *args, **kwargs):
    """The problem that *action* ends in."""
    with pytest.raises((TwilioRefusedError, CredentialsError, NumberError)) as caught:
        action(*args, **kwargs)
    return caught.value


# Numbers


def test_numbers_become_values(twilio, gateway):
    """What is configured for SMS is there; what is unset is empty, whether null or not."""
    twilio.account.add_number("+12025550101", friendly_name="shop", sms_url="https://x.example/s",
                              sms_method="GET", sms_application_sid="")  # fmt: skip
    twilio.account.add_number("+442071838750", sms=False)

    first, shop, voice = gateway.numbers()

    assert (first.phone_number, first.sms_url, first.name, first.sms) == (NUMBER, "", "", True)
    assert (shop.sms_url, shop.sms_method, shop.name) == ("https://x.example/s", "GET", "shop")
    assert (shop.sms_fallback_url, shop.sms_fallback_method) == ("", "POST")
    assert shop.date_updated.tzinfo is not None
    assert not voice.sms
    assert gateway.number(shop.sid) == shop


@pytest.mark.parametrize(
    ("friendly_name", "name"),
    [("(202) 555-0100", ""), ("+12025550100", ""), ("shop", "shop"), ("Line 0100", "Line 0100"),
     ("", ""), ("4711", "4711"), ("…", "…")],
)  # fmt: skip
def test_twilios_own_name_of_a_number_is_no_name(friendly_name, name):
    """Twilio calls a new number by its digits; that says nothing beside the number."""
    number = PhoneNumber(sid="PN1", phone_number=NUMBER, friendly_name=friendly_name)

    assert number.name == name


def test_an_update_changes_only_what_it_names(twilio, gateway):
    """An empty string clears; the answer is the number as it is then."""
    number = twilio.number
    number.sms_fallback_url = "https://x.example/fallback"
    number.voice_url = "https://x.example/voice"

    pointed = gateway.set_number(number.sid, {"sms_url": "http://127.0.0.1/sms"})

    assert (pointed.sms_url, number.sms_url) == ("http://127.0.0.1/sms", "http://127.0.0.1/sms")
    assert number.sms_fallback_url == "https://x.example/fallback"
    assert number.voice_url == "https://x.example/voice"
    assert gateway.set_number(number.sid, {"sms_url": ""}).sms_url == ""


def test_many_numbers_come_page_by_page(twilio, gateway):
    """An account may have more than fit on a page."""
    for last in range(230):
        twilio.account.add_number(f"+1202556{last:04}")

    assert len(gateway.numbers()) == 231


def test_a_twiml_app(twilio, gateway):
    """It is read, or it is None."""
    app = twilio.account.add_application(friendly_name="menu", sms_url="https://x.example/menu")

    assert gateway.application(app.sid) == Application(
        sid=app.sid, friendly_name="menu", sms_url="https://x.example/menu"
    )
    assert gateway.application("AP" + "0" * 32) is None


# Messaging Services, Conversations


def test_the_service_of_a_number(twilio, gateway):
    """It is found by looking into each service, and read and changed by its own fields."""
    dev = twilio.account.add_number("+12025550102")
    twilio.account.add_service("empty")
    shop = twilio.account.add_service("shop", NUMBER, inbound_request_url="https://x.example/in")

    service = gateway.service_of(twilio.number.sid)

    assert (service.sid, service.friendly_name) == (shop.sid, "shop")
    assert (service.inbound_request_url, service.use_inbound_webhook_on_number) == (
        "https://x.example/in",
        False,
    )
    assert gateway.service_of(dev.sid) is None
    assert gateway.memberships() == {twilio.number.sid: service}
    assert gateway.numbers_in(shop.sid) == [NUMBER]
    changed = gateway.set_service(
        shop.sid, {"inbound_request_url": "", "use_inbound_webhook_on_number": True}
    )
    assert (changed.inbound_request_url, changed.use_inbound_webhook_on_number) == ("", True)
    assert gateway.service(shop.sid) == changed


def test_an_account_without_services(twilio, gateway):
    """There is nothing to look into."""
    assert gateway.service_of(twilio.number.sid) is None
    assert gateway.memberships() == {}


def test_a_refusal_inside_a_service_is_not_taken_for_no(twilio, gateway):
    """Only 404 says that the number is not in it."""
    twilio.account.add_service("shop", NUMBER)
    twilio.faults.add("GET", "/PhoneNumbers/", status=400, times=None)

    assert refused(gateway.service_of, twilio.number.sid).id == "W1"


def test_a_conversations_address(twilio, gateway):
    """A number that Conversations knows, and whether a Conversation takes what comes in."""
    address = twilio.account.add_address(NUMBER)

    assert gateway.conversations_address(NUMBER) == ConversationsAddress(
        sid=address.sid, address=NUMBER, enabled=True
    )
    assert gateway.conversations_address("+12025550177") is None
    assert [*gateway.conversations_addresses()] == [NUMBER]


# Messages, alerts, the account


def test_messages_are_sent_and_read(twilio, gateway):
    """What was sent is there, the newest first, by sender and recipient and age."""
    before = datetime.now(UTC)
    first = gateway.send("one", to=PHONE, from_=NUMBER)
    twilio.sandbox.play("hello", timeout=5)
    second = gateway.send(
        "two", to=PHONE, from_=NUMBER, media=["https://x.example/a.png"],
        status_callback="https://x.example/status",
    )  # fmt: skip
    twilio.sandbox.carrier.settle(5)

    assert (first.status, first.direction, first.from_, first.sent) == (
        "queued",
        "outbound-api",
        NUMBER,
        None,
    )
    assert gateway.message(first.sid).sent is not None
    found = gateway.messages(since=before)
    assert [message.body for message in found] == ["two", "hello", "one"]
    assert (found[0].segments, found[1].direction) == (1, "inbound")
    assert [m.sid for m in gateway.messages(from_=NUMBER)] == [second.sid, first.sid]
    assert [m.body for m in gateway.messages(to=NUMBER)] == ["hello"]
    assert [m.body for m in gateway.messages(limit=1)] == ["two"]
    assert gateway.messages(since=before + timedelta(hours=1)) == []


def test_a_message_goes_through_a_service(twilio, gateway):
    """`MG…` as the sender is a Messaging Service, which chooses the number."""
    service = twilio.account.add_service("shop", NUMBER)

    sent = gateway.send("hi", to=PHONE, from_=service.sid)

    assert (sent.service_sid, sent.from_, sent.status) == (service.sid, None, "accepted")


def test_alerts(twilio, gateway):
    """What Twilio held against a webhook, with the code as a number."""
    twilio.account.add_alert(11200, "x", "SM1", request_url="https://x.example/sms")

    [alert] = gateway.alerts(since=datetime.now(UTC) - timedelta(minutes=1))

    assert (alert.code, alert.url, alert.level) == (11200, "https://x.example/sms", "error")
    assert alert.at.tzinfo is not None
    assert gateway.alerts(since=datetime.now(UTC) + timedelta(minutes=1)) == []


def test_the_account(twilio, gateway):
    """The auth token may read it; a Standard API key may not, and that is no error (C3)."""
    twilio.account.kind = "trial"
    by_key = twilio.gateway(**twilio.by_key())

    assert gateway.account().is_trial
    assert by_key.account() is None
    assert by_key.numbers()[0].phone_number == NUMBER


def test_a_refused_token_is_not_taken_for_a_key_without_rights(twilio):
    """For the auth token 20003 is always C2."""
    gateway = twilio.gateway(TWILIO_AUTH_TOKEN="f" * 32)

    assert refused(gateway.account).id == "C2"


# Refusals


def test_a_wrong_token(twilio):
    """E2: the account, the code, and where the token was read; not the token."""
    (twilio.folder / ".env").write_text(f"X=1\nTWILIO_AUTH_TOKEN={'f' * 32}\n")
    problem = refused(twilio.gateway(TWILIO_AUTH_TOKEN="").numbers)

    assert (problem.id, problem.exit_code) == ("C2", 3)
    assert problem.line == (
        "Twilio rejected the credentials for AC00…00 (20003). Source: .env line 2. "
        "Compare with console.twilio.com > Account"
    )
    assert twilio.requests == ["GET /2010-04-01/Accounts/AC" + "0" * 32 +
                               "/IncomingPhoneNumbers.json"]  # fmt: skip


def test_test_credentials(twilio, gateway):
    """C8: they own no numbers."""
    twilio.account.kind = "test"

    assert refused(gateway.numbers).id == "C8"


@pytest.mark.parametrize(
    ("code", "status", "id_", "words"),
    [
        (20003, 401, "C2", "Twilio rejected the credentials for AC00…00 (20003)"),
        (20003, 403, "C2", "(20003)"),
        (401, 401, "C2", "(401)"),
        (20005, 403, "C2", "suspended or closed AC00…00 (20005)"),
        (20008, 403, "C8", "test credentials"),
        (70051, 403, "C4", "may not update the phone number (70051). Grant Phone Numbers: update"),
        (21407, 400, "N11", "+12025550143 has no SMS"),
        (21608, 400, "D5", "+12025550143 is not verified (21608)"),
        (21610, 400, "D8", "+12025550143 opted out (STOP)"),
        (21211, 400, "W1", "refused to update the phone number (400, 21211): nope. See: smsquest"),
    ],
)
def test_a_code_becomes_the_problem_it_means(code, status, id_, words):
    """Each of Twilio's codes that has a remedy of its own is told with that."""
    problem = problem_of(
        RefusalError(status, code, "nope"),
        LOGIN,
        action="update the phone number",
        permission="Phone Numbers: update",
        number=PHONE,
    )

    assert problem.id == id_
    assert words in problem.line


def test_a_key_and_its_region_are_named():
    """Credentials are valid in one region: a key that is refused says in which it was tried."""
    login = RestCredentials(
        account_sid=ACCOUNT_SID, username="SK" + "2" * 32, password=Secret("x"),
        source="environment", region="ie1", edge="dublin",
    )  # fmt: skip

    problem = problem_of(RefusalError(401, 20003, "x"), login, action="a", permission="p")

    assert "API key SK22…22 for AC00…00 (20003, region ie1)" in problem.line


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("/status", "relative"),
        ("ftp://x.example/", "relative"),
        ("https://my_host.example/status", "underscore in host"),
        ("https://x.example/" + "a" * 4000, "too long"),
        ("https://x/status", "Twilio does not take its host, x"),
        ("https://x?user_id=5", "Twilio does not take its host, x"),
    ],
)
def test_why_a_status_callback_is_refused(url, reason):
    """N10 says what is wrong with the address."""
    problem = problem_of(
        RefusalError(400, 21609, ""), LOGIN, action="a", permission="p", callback=url
    )

    assert (problem.id, problem.line.endswith(reason)) == ("N10", True)


def test_sending_says_what_is_wrong(twilio, gateway):
    """Trial, opted out and bad callbacks are told as such, the rest with Twilio's words."""
    twilio.account.opt_out(NUMBER, "+12025550188", out=True)

    assert refused(gateway.send, "x", to="+12025550188", from_=NUMBER).id == "D8"
    assert refused(gateway.send, "x", to=PHONE, from_=NUMBER, status_callback="/s").id == "N10"
    problem = refused(gateway.send, "x", to="123", from_=NUMBER)
    assert isinstance(problem, RefusedRequestError)
    assert (problem.code, problem.exit_code) == (21211, 4)
    assert problem.line.endswith("(400, 21211): The 'To' number 123 is not a valid phone number. "
                                 "See: smsquest explain 21211")  # fmt: skip
    twilio.account.kind = "trial"
    assert refused(gateway.send, "x", to="+12025550177", from_=NUMBER).id == "D5"


# Bad days


@pytest.mark.parametrize("fault", [503, 429, 500, "html", "half", "reset"])
def test_what_may_be_repeated_is_tried_again(twilio, gateway, fault):
    """One bad answer to a question, or to an update that may come twice, is nobody's concern."""
    twilio.faults.add("*", "Numbers", status=fault)
    numbers = gateway.numbers()
    twilio.faults.add("POST", "Numbers", status=fault)

    gateway.set_number(numbers[0].sid, {"sms_url": "http://127.0.0.1/sms"})

    assert twilio.number.sms_url == "http://127.0.0.1/sms"
    assert len(twilio.pauses) == 2
    assert twilio.pauses[0] == (1.0 if fault == 429 else 0.2)  # 429 says how long


def test_a_service_may_be_updated_again(twilio, gateway):
    """Its update says the same twice."""
    service = twilio.account.add_service("shop", NUMBER)
    twilio.faults.add("POST", "/v1/Services/")

    gateway.set_service(service.sid, {"use_inbound_webhook_on_number": True})

    assert service.use_inbound_webhook_on_number


@pytest.mark.parametrize("fault", [503, 429, "html", "half", "reset"])
def test_a_message_is_never_sent_twice(twilio, fault):
    """Nobody knows whether it went out, so it is not tried again."""
    gateway = twilio.gateway(timeout=0.5)
    twilio.faults.add("POST", "Messages", status=fault)

    problem = refused(gateway.send, "x", to=PHONE, from_=NUMBER)

    assert problem.id in ("W2", "W3")
    assert len(twilio.requests) == 1


def test_a_bad_day_that_lasts_is_told_after_three_tries(twilio, gateway):
    """W3 says which request, and where to see how Twilio is."""
    twilio.faults.add("GET", "Numbers", status=503, times=None)

    problem = refused(gateway.numbers)

    assert (problem.id, problem.exit_code) == ("W3", 4)
    assert problem.line == (
        "Twilio answered 503 to list the phone numbers: busy or in trouble. Try again in a minute "
        "(status.twilio.com)"
    )
    assert len(twilio.requests) == 3
    assert twilio.pauses == pytest.approx([0.2, 0.6])


def test_no_answer_in_time(twilio):
    """A request waits for as long as it was told to, not for ever."""
    twilio.faults.add("GET", "Numbers", status="timeout", times=None)
    gateway = twilio.gateway(timeout=0.2)

    problem = refused(gateway.numbers)

    assert (problem.id, "no answer in 0.2 s" in problem.line) == ("W2", True)


def test_who_waits_for_twilio_is_told_for_what(twilio, monkeypatch):
    """A silent screen would look like a hanging program."""
    monkeypatch.setattr(patience, "SECONDS", 0.001)
    told = []

    def hear(line):
        told.append(line)
        twilio.faults.clear()  # which answers now

    twilio.faults.add("GET", "Numbers", status="timeout")
    with TwilioGateway(twilio.settings().rest_credentials(), say=hear) as gateway:
        assert gateway.numbers()

    assert told == ["waiting for Twilio to list the phone numbers …"]


def test_nobody_listens():
    """A refused connection names the host and the reason."""
    with closed_port() as port:
        origin = f"http://127.0.0.1:{port}"
        gateway = TwilioGateway(login_at(origin), pause=lambda _seconds: None)
        problem = refused(gateway.numbers)

    assert problem.id == "W2"
    assert problem.line.startswith(f"Twilio cannot be reached at {origin[7:]} (Connection refused)")
    gateway.close()


def answering(status="200 OK", kind="application/json", body=b"", **headers):
    """A server that answers everything so."""

    def app(_environ, start):
        start(status, [("Content-Type", kind), *headers.items()])
        return [body]

    return served(app)


NUMBERS_PAGE = {"incoming_phone_numbers": [], "next_page_uri": None, "uri": "/x", "page": 0}


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ({"kind": "text/html", "body": b"<html>Log in</html>"},
         "something else than Twilio answered: 200, text/html"),
        ({"body": b"[1, 2"}, "something else than Twilio answered: 200, application/json"),
        ({"body": b"[]"}, "something else than Twilio answered: 200, application/json"),
        ({"status": "403 Forbidden", "kind": "text/html; charset=utf-8", "body": b"<p>no"},
         "something else than Twilio answered: 403, text/html"),
        ({"status": "302 Found", "Location": "http://wifi.example/login"},
         "a redirect to wifi.example (302), perhaps a login page"),
        ({"status": "304 Not Modified"}, "a redirect to nowhere (304)"),
        ({"body": b"{}"}, "its answer is none of Twilio's"),
        ({"body": json.dumps({**NUMBERS_PAGE, "incoming_phone_numbers": [7]}).encode()},
         "its answer is none of Twilio's"),
        ({"body": json.dumps({**NUMBERS_PAGE, "surprise": 1}).encode()},
         "its answer is none of Twilio's: Page Records can not be deserialized"),
    ],
)  # fmt: skip
def test_what_is_not_twilios_answer_is_told_as_such(answer, words):
    """Login pages, proxies, half answers: W2, not a traceback."""
    with answering(**answer) as origin:
        gateway = TwilioGateway(login_at(origin), pause=lambda _seconds: None)
        problem = refused(gateway.numbers)
        gateway.close()

    assert problem.id == "W2"
    assert words in problem.line


@pytest.mark.parametrize(
    ("sid", "content", "words"),
    [
        ("PN1", {}, "it lacks the sid PN1"),
        ("PN1", {"sid": "PN2", "sms_url": ""}, "it lacks the sid PN1"),
        ("PN1", {"sid": "PN1", "sms_url": "", "sms_method": "POST"}, "sms_application_sid"),
        ("MG1", {"sid": "MG1", "inbound_method": "POST"}, "it lacks inbound_request_url"),
    ],
)
def test_a_webhook_that_is_not_told_is_not_taken_for_an_empty_one(sid, content, words):
    """The SDK would: then nothing would be saved of it, and nothing put back."""
    with answering(body=json.dumps(content).encode()) as origin:
        gateway = TwilioGateway(login_at(origin), pause=lambda _seconds: None)
        read = gateway.number if sid.startswith("PN") else gateway.service
        problem = refused(lambda: read(sid))
        gateway.close()

    assert problem.id == "W2"
    assert words in problem.line


@pytest.mark.parametrize(
    ("content", "code", "message"),
    [
        ({"code": 21211, "message": "\x1b[31mBad\x1b[0m\nnumber."}, 21211, "[31mBad [0m number"),
        ({"code": "21211", "message": "x"}, 21211, "x"),
        ({"message": None}, 400, "no reason given"),
        ({"code": 20001, "message": "x" * 999}, 20001, "x" * 160),
        ({"type": "https://x", "title": "Bad", "status": 400, "code": 20001, "detail": "very"},
         20001, "Bad: very"),
    ],
)  # fmt: skip
def test_every_form_of_a_refusal_is_read(content, code, message):
    """Twilio's own form, RFC 9457, and what lacks a code; never with control characters."""
    with answering(status="400 Bad Request", body=json.dumps(content).encode()) as origin:
        gateway = TwilioGateway(login_at(origin))
        problem = refused(gateway.numbers)
        gateway.close()

    assert (problem.id, problem.code) == ("W1", code)
    assert f"{code}): {message}." in problem.line


def test_nobody_waits_as_long_as_twilio_may_ask():
    """What it says in `Retry-After` is heeded, within what somebody at a prompt bears."""
    pauses = []
    with answering("429 Too Many Requests", body=b"{}", **{"Retry-After": "3600"}) as origin:
        gateway = TwilioGateway(login_at(origin), pause=pauses.append)
        assert refused(gateway.numbers).id == "W3"
        gateway.close()

    assert pauses == [2.0, 2.0]


def test_the_tries_end_with_the_time(twilio, monkeypatch):
    """Of a Twilio that takes long for each of its errors no third answer is waited for."""
    clock, ahead = time.monotonic, []
    monkeypatch.setattr("time.monotonic", lambda: clock() + 100 * len(ahead))
    twilio.faults.add("GET", "Numbers", status=503, times=None)
    gateway = twilio.connected(login_at(twilio.origin), in_process=True)
    gateway._http._pause = ahead.append

    assert refused(gateway.numbers).id == "W3"
    assert len(twilio.requests) == 2


def test_the_clock_is_compared_with_twilios(gateway):
    """Every answer tells Twilio's time."""
    assert gateway.clock_offset is None

    gateway.numbers()

    assert gateway.clock_offset == pytest.approx(0, abs=5)


@pytest.mark.parametrize("zone", ["GMT", "-0000", "+0000"])
def test_a_wrong_clock_is_seen(zone):
    """How far ahead our clock is, in seconds; an answer without a date tells nothing."""
    client = HttpClient(pause=lambda _seconds: None)

    client._compare_clocks({})
    assert client.clock_offset is None
    client._compare_clocks({"Date": f"Thu, 01 Jan 1970 00:01:00 {zone}"})

    assert client.clock_offset == pytest.approx(time.time() - 60, abs=30)
    client.close()


def test_a_proxy_is_not_asked_for_this_computer(gateway, monkeypatch):
    """`HTTP_PROXY` does not stand between us and a sandbox on this computer."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.delenv("NO_PROXY", raising=False)

    assert gateway.numbers()


def test_a_proxy_is_named_without_its_password(monkeypatch):
    """What is said of a proxy that does not work holds nothing secret."""
    monkeypatch.delenv("NO_PROXY", raising=False)
    with closed_port() as port:
        monkeypatch.setenv("HTTP_PROXY", f"http://user:hush@127.0.0.1:{port}")
        gateway = TwilioGateway(login_at("http://twilio.example"), pause=lambda _seconds: None)
        problem = refused(gateway.numbers)

    assert "the proxy: " in problem.line
    assert "Connection refused" in problem.line
    assert "hush" not in problem.line
    gateway.close()


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (requests.ReadTimeout("x"), "no answer in 3 s"),
        (requests.ConnectionError(), "ConnectionError"),
        (requests.exceptions.InvalidProxyURL("bad //u:p@host here"), "bad //host here"),
    ],
)
def test_the_words_of_what_went_wrong(monkeypatch, error, words):
    """They are found as far inside as they are, and are short."""
    client = HttpClient(timeout=3, pause=lambda _seconds: None)
    monkeypatch.setattr("twilio.http.http_client.TwilioHttpClient.request", _raising(error))

    with pytest.raises(NoAnswerError) as caught:
        client.request("POST", "https://api.twilio.com/2010-04-01/x.json")

    assert caught.value.reason == words
    client.close()


def _raising(error):
    def request(*_args, **_kwargs):
        raise error

    return request


def test_a_name_that_nobody_knows(monkeypatch):
    """DNS has its own words: the usual cause is no network at all."""

    def unknown(*_args, **_options):
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    gateway = TwilioGateway(login_at("http://twilio.invalid"), pause=lambda _seconds: None)

    problem = refused(gateway.numbers)

    assert "twilio.invalid (its name is not known here (DNS))" in problem.line
    gateway.close()


def test_path_and_query_go_to_the_other_origin_unchanged(twilio, gateway, monkeypatch):
    """`SMSQUEST_TWILIO_URL` replaces scheme and host, also of the pages of a v1 list."""
    monkeypatch.setattr("smsquest_cli.twilio_api.gateway.PAGE", 2)
    numbers = [f"+1202555010{index}" for index in range(5)]
    for number in numbers:
        twilio.account.add_address(number)

    assert sorted(gateway.conversations_addresses()) == numbers
    assert twilio.requests == ["GET /v1/Configuration/Addresses"] * 3


def test_the_environment_has_no_say(twilio, monkeypatch):
    """What the SDK reads from the process's environment does not slip past the settings."""
    monkeypatch.setenv("TWILIO_REGION", "ie1")
    monkeypatch.setenv("TWILIO_EDGE", "dublin")

    client = twilio.gateway()._client

    assert (client.region, client.edge) == (None, None)
    assert client.get_hostname("https://api.twilio.com/x") == "https://api.twilio.com/x"


def test_region_and_edge_reach_the_sdk(tmp_path):
    """Both are in the name of the host."""
    with pretend_twilio(tmp_path) as twilio:
        client = twilio.gateway(TWILIO_REGION="ie1", TWILIO_EDGE="dublin")._client

        assert client.get_hostname("https://api.twilio.com/x") == (
            "https://api.dublin.ie1.twilio.com/x"
        )


def test_no_secret_is_in_a_repr(twilio):
    """Neither the gateway nor its errors show the token."""
    gateway = twilio.gateway(TWILIO_AUTH_TOKEN="f" * 32)

    problem = refused(gateway.numbers)

    assert "f" * 32 not in f"{gateway!r} {gateway.login!r} {problem!r} {problem.__cause__!r}"


def test_a_gateway_may_be_used_by_several_threads(twilio):
    """Services are looked into at once, a poll runs beside the rest."""
    for index in range(12):
        twilio.account.add_service(f"s{index}")
    with twilio.gateway() as gateway:
        threads = [threading.Thread(target=gateway.memberships) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert gateway.service_of(twilio.number.sid) is None


def test_a_gateway_that_was_not_used_is_closed_too(twilio):
    """There is nothing to close then, and nothing is opened for it."""
    with twilio.gateway():
        assert twilio.requests == []


def test_without_credentials_there_is_no_gateway(tmp_path):
    """C1 comes at once, before the SDK is imported."""
    with pretend_twilio(tmp_path) as twilio, pytest.raises(CredentialsError, match="C1"):
        twilio.gateway(TWILIO_ACCOUNT_SID="", TWILIO_AUTH_TOKEN="")
