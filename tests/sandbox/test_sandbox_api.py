"""Who may use the sandbox's REST API, its errors, its bad days, and its control routes."""

from __future__ import annotations

import json
import re

import pytest
import requests
from apps import refused, sdk, send
from pretend_twilio import served
from twilio.base.exceptions import TwilioException

from smsquest_cli.sandbox import (
    ACCOUNT_SID,
    NUMBER,
    PHONE,
    SANDBOX_TOKEN,
    Exchange,
    Sandbox,
)
from smsquest_cli.wire import Request, call_wsgi

ROOT = f"/2010-04-01/Accounts/{ACCOUNT_SID}"


@pytest.mark.parametrize(
    ("auth", "message"),
    [
        (None, "Authentication Error - No credentials provided"),
        ((f" {ACCOUNT_SID}", SANDBOX_TOKEN), "Authentication Error - invalid username"),
        ((ACCOUNT_SID, "wrong"), "Authenticate"),
        ((ACCOUNT_SID, ""), "Authenticate"),
        (("AC" + "1" * 32, SANDBOX_TOKEN), "Authenticate"),
        (("SK" + "1" * 32, SANDBOX_TOKEN), "Authenticate"),
    ],
)
def test_wrong_credentials_are_refused(origin, auth, message):
    """Without the right token nothing is told, and no browser is asked for one."""
    answer = requests.get(f"{origin}{ROOT}/Messages.json", auth=auth, timeout=5)

    assert (answer.status_code, answer.json()["code"]) == (401, 20003)
    assert answer.json()["message"] == message
    assert "WWW-Authenticate" not in answer.headers


@pytest.mark.parametrize("sid", [f"AC{'1' * 32}", f"{ACCOUNT_SID}.json", f"{ACCOUNT_SID}x", "AC.1"])
@pytest.mark.parametrize("resource", [".json", "/Messages.json"])
def test_another_account_is_not_ours_to_read(origin, sid, resource):
    """The account in the path must be the one of the credentials."""
    path = f"/2010-04-01/Accounts/{sid}{resource}"

    answer = requests.get(origin + path, auth=(ACCOUNT_SID, SANDBOX_TOKEN), timeout=5)

    assert answer.json()["code"] == 20003


def test_api_keys(sandbox, origin):
    """A Standard key may do all but read the account; a Main key may do that too."""
    standard, main = sandbox.account.add_key(), sandbox.account.add_key(standard=False)

    with sdk(origin, standard.sid, standard.secret, ACCOUNT_SID) as twilio:
        assert len(twilio.incoming_phone_numbers.list()) == 1
        assert refused(twilio.api.accounts(ACCOUNT_SID).fetch)[:2] == (401, 20003)
        with pytest.raises(TwilioException):
            twilio.api.accounts.list()
    with sdk(origin, main.sid, main.secret, ACCOUNT_SID) as twilio:
        assert twilio.api.accounts(ACCOUNT_SID).fetch().type == "Full"
        assert [account.sid for account in twilio.api.accounts.list()] == [ACCOUNT_SID]
    assert standard.secret not in repr(standard)


def test_the_sandbox_takes_the_developers_own_token():
    """With another token, the constant one is worth nothing."""
    with Sandbox(auth_token="secret-of-mine") as sandbox, served(sandbox.app) as origin:
        with sdk(origin, ACCOUNT_SID, "secret-of-mine") as twilio:
            assert twilio.incoming_phone_numbers.list()
        with sdk(origin, ACCOUNT_SID, SANDBOX_TOKEN) as twilio:
            assert refused(twilio.api.accounts(ACCOUNT_SID).fetch)[0] == 401
    assert "secret-of-mine" not in repr(sandbox.account)


def test_test_credentials_pretend_only():
    """With test credentials a send is checked and nothing else is possible (20008)."""
    with (
        Sandbox(kind="test", number=None) as sandbox,
        served(sandbox.app) as origin,
        sdk(origin, ACCOUNT_SID, SANDBOX_TOKEN) as twilio,
    ):
        sent = send(twilio, from_="+15005550006")
        codes = {
            last: refused(send, twilio, from_=f"+1500555000{last}")[1] for last in (1, 7, 8, 5)
        }

        assert sent.status == "queued"
        assert codes == {1: 21212, 7: 21606, 8: 21611, 5: 21606}
        assert refused(send, twilio, messaging_service_sid="MG" + "1" * 32)[1] == 20008
        assert refused(twilio.messages(sent.sid).fetch)[:2] == (403, 20008)
        bought = twilio.incoming_phone_numbers.create(phone_number="+15005550006")
        assert bought.phone_number == "+15005550006"
        for number, code in (("+15005550000", 21422), ("+15005550001", 21421)):
            assert refused(twilio.incoming_phone_numbers.create, phone_number=number)[1] == code
        assert sandbox.account.messages() == []
        assert not sandbox.account.numbers


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "attacker.example"},
        {"Host": "127.0.0.1.attacker.example:80"},
        {"Host": "[::1"},
        {"Origin": "https://attacker.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_no_web_page_gets_in(origin, headers):
    """A page in a browser is refused before its credentials are looked at."""
    answer = requests.post(
        f"{origin}{ROOT}/Messages.json",
        headers=headers,
        auth=(ACCOUNT_SID, SANDBOX_TOKEN),
        timeout=5,
    )

    assert answer.status_code == 403
    assert not [name for name in answer.headers if name.startswith("Access-Control")]


@pytest.mark.parametrize("host", ["localhost:80", "127.0.0.1", "[::1]:4010"])
def test_every_name_of_this_computer_is_served(origin, host):
    """The loopback names and addresses are all the same to the API."""
    answer = requests.get(
        f"{origin}{ROOT}/Messages.json",
        headers={"Host": host},
        auth=(ACCOUNT_SID, SANDBOX_TOKEN),
        timeout=5,
    )

    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/2010-04-01/Nothing.json", 404, 20404),
        ("GET", f"{ROOT}/Messages.json/", 404, 20404),
        ("GET", f"{ROOT}//Messages.json", 404, 20404),
        ("PUT", f"{ROOT}/Messages.json", 405, 20004),
        ("OPTIONS", f"{ROOT}/Messages.json", 405, 20004),
    ],
)
def test_what_is_not_there(origin, method, path, status, code):
    """Unknown resources and methods get Twilio's errors."""
    answer = requests.request(method, origin + path, auth=(ACCOUNT_SID, SANDBOX_TOKEN), timeout=5)

    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.json()["message"] in (
        "Method not allowed",
        f"The requested resource {path} was not found",
    )


def test_a_body_that_is_too_large_is_refused(origin):
    """More than a mebibyte is not read."""
    answer = requests.post(
        f"{origin}{ROOT}/Messages.json",
        data={"Body": "x" * (1 << 20) + "x"},
        auth=(ACCOUNT_SID, SANDBOX_TOKEN),
        timeout=5,
    )

    assert answer.status_code == 413


@pytest.mark.parametrize("path", [f"{ROOT}/Messages.json?DateSent%3E=x", "/v1/Alerts?EndDate=x"])
def test_a_date_that_is_none_is_refused(sandbox, origin, path):
    """Filters by date are checked."""
    sandbox.account.add_alert(11200, "x", "SM1")
    sandbox.play("hi")

    answer = requests.get(origin + path, auth=(ACCOUNT_SID, SANDBOX_TOKEN), timeout=5)

    assert (answer.status_code, answer.json()["code"]) == (400, 20001)


def test_faults_come_as_often_as_asked(sandbox, twilio):
    """A fault hits the requests it fits, so many times, and then the API is well again."""
    sandbox.faults.add("GET", r"/Messages/", status=503, times=2)
    message = send(twilio)

    statuses = [refused(twilio.messages(message.sid).fetch)[:2] for _ in range(2)]

    assert statuses == [(503, 20503)] * 2
    assert twilio.messages(message.sid).fetch().sid == message.sid


def test_too_many_requests(sandbox, twilio):
    """429 has Twilio's code for it, and nothing was done."""
    sandbox.faults.add("*", r"Messages\.json$", status=429, times=None)

    assert refused(send, twilio)[:2] == (429, 20429)
    sandbox.faults.clear()
    assert twilio.messages.list() == []


def test_a_proxys_error_page(sandbox, twilio):
    """Something in between may answer HTML."""
    sandbox.faults.add("GET", r"IncomingPhoneNumbers", status="html")

    with pytest.raises(TwilioException) as caught:
        twilio.incoming_phone_numbers.list()

    assert caught.value.args[1].status_code == 502


@pytest.mark.parametrize("kind", ["reset", "half"])
def test_a_connection_that_breaks(sandbox, twilio, kind):
    """The connection may be cut before the answer, or in the middle of it."""
    sandbox.faults.add("GET", r"IncomingPhoneNumbers", status=kind)

    with pytest.raises((requests.ConnectionError, requests.exceptions.ChunkedEncodingError)):
        twilio.incoming_phone_numbers.list()

    assert twilio.incoming_phone_numbers.list()


def test_an_answer_that_does_not_come(sandbox, origin):
    """A held request keeps its client waiting until the faults are cleared."""
    sandbox.faults.add("GET", r"IncomingPhoneNumbers", status="timeout")

    with pytest.raises(requests.exceptions.ReadTimeout):
        requests.get(f"{origin}{ROOT}/IncomingPhoneNumbers.json", timeout=0.2)

    sandbox.faults.clear()


def test_a_cut_connection_without_a_socket(sandbox):
    """In process there is no connection to cut: the call itself breaks."""
    sandbox.faults.add("GET", "/", status="reset")

    with pytest.raises(ConnectionResetError):
        call_wsgi(sandbox.app, Request("GET", "http://127.0.0.1/"))


def control(sandbox, origin, route, content, token=None):
    answer = requests.post(
        f"{origin}/_smsquest/{route}",
        data=content if isinstance(content, str) else json.dumps(content),
        headers={
            "X-Smsquest-Token": sandbox.control_token if token is None else token,
            "Content-Type": "application/json",
        },
        timeout=10,
    )
    return answer.status_code, answer.json()


def test_a_phone_is_played_from_another_process(sandbox, origin, app, app_url):
    """Whoever knows the control token can text the number."""
    app.answers["/sms"] = ["<Response><Message>Hello!</Message></Response>"]
    sandbox.account.number(NUMBER).sms_url = f"{app_url}/sms"

    status, record = control(
        sandbox, origin, "inbound",
        {"from": PHONE, "to": NUMBER, "body": "hi", "parameters": {"FromCity": "OZ"},
         "media": ["http://127.0.0.1/a.gif"], "scenario": "undelivered:30005", "pace": "instant"},
    )  # fmt: skip
    exchange = Exchange.from_record(record)
    assert sandbox.carrier.settle(5, exchange.replies)
    [reply] = sandbox.carrier.states(exchange.replies)

    assert status == 200
    assert app.at("/sms")[0].form["FromCity"] == "OZ"
    assert exchange.request.body == exchange.visits[0].fetch.request.body
    assert exchange.answer.body == b"<Response><Message>Hello!</Message></Response>"
    assert [message.body for message in exchange.document.messages] == ["Hello!"]
    assert (reply.body, reply.status, reply.error_code) == ("Hello!", "undelivered", 30005)
    steps = [step.status for step in reply.history]
    assert steps == ["queued", "sending", "sent", "undelivered"]


def test_an_exchange_is_the_same_after_the_journey(nobody, sandbox, app, app_url):
    """The JSON of an exchange holds all of it."""
    app.answers["/sms"] = ["<Response><Message/></Response>"]
    exchanges = [
        sandbox.play("hi", url=f"{app_url}/sms"),
        sandbox.play("STOP", url=f"{nobody}/"),
        sandbox.play("hi"),
    ]

    for exchange in exchanges:
        again = Exchange.from_record(json.loads(json.dumps(exchange.to_record())))
        assert again == exchange


@pytest.mark.parametrize(
    ("content", "status", "found"),
    [
        ({"from": PHONE, "to": "+12025550109"}, 422, "N2"),
        ({"from": PHONE, "to": NUMBER, "scenario": "sunny"}, 422, "U6"),
        ({"from": PHONE}, 400, "to is missing"),
        ({"from": PHONE, "to": NUMBER, "pace": "slow"}, 400, "pace must be one of"),
        ("[]", 400, "a JSON object is expected"),
        ("nonsense", 400, "a JSON object is expected"),
    ],
)
def test_what_a_phone_cannot_do(sandbox, origin, content, status, found):
    """A bad request to the phone says what is wrong with it."""
    got, answer = control(sandbox, origin, "inbound", content)

    assert got == status
    assert found in json.dumps(answer)


@pytest.mark.parametrize("token", ["", "0" * 64, "\xe4"])
def test_nobody_plays_without_the_control_token(sandbox, origin, token):
    """Twilio's credentials do not open the control routes, only their own token does."""
    status, answer = control(
        sandbox, origin, "inbound", {"from": PHONE, "to": NUMBER}, token=token.encode("latin-1")
    )

    assert (status, answer["code"]) == (403, 20403)
    assert sandbox.account.messages() == []


def test_every_sandbox_has_a_control_token_of_its_own():
    """Who knows that of one run, or its source, plays in no other."""
    with Sandbox(workers=0) as one, Sandbox(workers=0) as other:
        assert one.control_token != other.control_token
        assert re.fullmatch("[0-9a-f]{64}", one.control_token)


def test_reset_forgets_everything():
    """After a reset the account is as new, the same sids included."""
    with Sandbox(seed=3, webhook_url="http://127.0.0.1:1/sms", workers=0) as sandbox:
        before = sandbox.account.number(NUMBER).sid
        sandbox.account.number(NUMBER).sms_url = ""
        sandbox.account.add_service("shop", NUMBER)
        sandbox.account.add_address(NUMBER)
        sandbox.play("STOP")
        sandbox.carrier.receive(PHONE, NUMBER, "HELP")

        sandbox.reset()

        [number] = sandbox.account.numbers.values()
        assert (number.sid, number.sms_url) == (before, "http://127.0.0.1:1/sms")
        assert sandbox.account.messages() == []
        assert not sandbox.account.services
        assert not sandbox.account.alerts
        assert sandbox.carrier.settle(0)
        assert not sandbox.account.opted_out(NUMBER, None, PHONE)


def test_the_same_seed_makes_the_same_sids():
    """With a seed the sids do not depend on chance, nor on how many callbacks there were."""

    def sids(scenario):
        with Sandbox(seed=5, workers=0) as sandbox:
            first = sandbox.play("HELP", scenario=scenario)
            return first.sid, first.confirmation, sandbox.play("hi").sid

    assert sids("delivered") == sids("failed")
