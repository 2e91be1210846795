"""Twilio and ngrok at their worst, while a real ``smsquest serve`` has a number.

Whatever they do, it is said what it was, the number ends where it belongs, and the exit code says
whether it does. The waits of the program are short here (`impatient`).
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path

import pytest
from fake_ngrok.place import agents_of, wait_for
from pretend_twilio import pretend_twilio, served
from program import IMPATIENT

from smsquest_cli.sandbox import NUMBER

OLD = "https://demo.twilio.com/welcome/sms/reply"
THEIRS = "https://calm-fox.ngrok-free.app/sms"
HERE = Path(__file__).parent
NUMBERS = r"/IncomingPhoneNumbers\.json"
NUMBER_ITSELF = r"/IncomingPhoneNumbers/PN"


@pytest.fixture
def twilio(tmp_path, environment):
    """An account with one number that answers with Twilio's demo."""
    with pretend_twilio(tmp_path, webhook_url=OLD) as account:
        environment.update(account.environment, SMSQUEST_HOME=environment["SMSQUEST_HOME"])
        yield account


@pytest.fixture
def hasty(serve):
    """Start a ``serve`` that waits for nothing long."""
    return lambda *arguments, **options: serve(*arguments, command=IMPATIENT, **options)


def problems(listener):
    return [record["id"] for record in listener.records if record["type"] == "problem"]


def wait_for_the_next_second():
    """Twilio's log tells whole seconds: what comes in the one of the start may be older than us."""
    now = time.time()
    wait_for(lambda: int(time.time()) > int(now))


# Twilio's API


def test_one_bad_answer_of_each_kind_is_nobodys_concern(hasty, twilio, address):
    """429, 5xx, a proxy's page, half an answer, none: tried again, and nothing is said of it."""
    twilio.faults.add("GET", NUMBERS, status=429)
    twilio.faults.add("GET", "/v1/Services", status="html")
    twilio.faults.add("GET", "/v1/Configuration/Addresses", status="timeout")
    twilio.faults.add("GET", NUMBER_ITSELF, status="reset")
    twilio.faults.add("POST", NUMBER_ITSELF, status="half")
    listener = hasty(*address)
    assert listener.ready
    assert twilio.number.sms_url == listener.ready["webhook_url"]
    twilio.faults.add("GET", NUMBER_ITSELF, status=503)
    twilio.faults.add("POST", NUMBER_ITSELF, status="half")

    assert listener.stop() == 0
    assert twilio.number.sms_url == OLD
    assert (problems(listener), listener.records[-1]["restored"]) == ([], True)


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (429, "error[W3]: Twilio answered 429"),
        (500, "error[W3]: Twilio answered 500"),
        ("html", "error[W3]: Twilio answered 502"),
        ("half", "error[W2]: Twilio cannot be reached"),
        ("timeout", "error[W2]: Twilio cannot be reached"),
    ],
)
@pytest.mark.parametrize("where", [NUMBERS, NUMBER_ITSELF])
def test_a_bad_day_that_lasts_is_one_line_and_changes_nothing(
    hasty, twilio, address, kind, said, where
):
    """Exit 4 and what it was, whether it begins before the number is looked at or after."""
    twilio.faults.add("GET", where, status=kind, times=None)
    listener = hasty(*address)

    assert listener.wait() == 4
    said_of_it = [
        line for line in listener.stderr.splitlines() if not line.startswith("waiting for Twilio")
    ]
    assert [line.startswith(said) for line in said_of_it] == [True]
    assert (twilio.number.sms_url, twilio.updates()) == (OLD, [])


@pytest.mark.parametrize(("status", "code"), [(400, 4), (401, 3), (403, 4)])
def test_a_number_that_may_not_be_changed_was_not(hasty, twilio, address, home, status, code):
    """Twilio's plain no says why, and leaves nothing to put back."""
    twilio.faults.add("POST", NUMBER_ITSELF, status=status, times=None)
    listener = hasty(*address)

    assert listener.wait() == code
    assert "M1" not in listener.stderr
    assert twilio.number.sms_url == OLD
    assert not [*(home / "journal").glob("*.json")]


def test_a_field_that_is_missing_is_not_put_back_as_nothing(hasty, twilio, address):
    """An answer without the webhook, before or after, does not lose what the number was."""
    lacking = []
    answer = twilio.sandbox.app.wsgi_app

    def changed(environ, start):
        body = b"".join(answer(environ, start))
        if lacking and "/IncomingPhoneNumbers/PN" in environ["PATH_INFO"]:
            return [body.replace(b'"sms_url"', b'"sms_uri"')]
        return [body]

    twilio.sandbox.app.wsgi_app = changed
    listener = hasty(*address)
    url = listener.ready["webhook_url"]
    lacking.append(True)

    assert listener.stop() == 9
    assert "it lacks sms_url" in listener.stderr
    assert (twilio.number.sms_url, problems(listener)) == (url, ["M1"])


def test_nobody_is_there_when_the_number_is_to_be_put_back(hasty, smsquest_here, twilio, address):
    """No network at the end: exit 9, and what to do is said; later it is put back."""
    listener = hasty(*address)
    assert listener.ready
    twilio.faults.add("*", ".*", status="reset", times=None)

    assert listener.stop() == 9
    assert f"smsquest configure-number {NUMBER} --restore" in listener.stderr
    assert listener.records[-1]["restored"] is False
    twilio.faults.clear()
    assert smsquest_here("configure-number", "--restore").returncode == 0
    assert twilio.number.sms_url == OLD


# The account


def test_a_token_that_is_rotated_meanwhile_is_named(hasty, smsquest_here, twilio, address):
    """Its signatures are refused, and so are we: said once; the number waits for the new token."""
    listener = hasty(*address)
    assert listener.ready
    token = "f" * 32
    twilio.rotate(token)

    assert twilio.sandbox.play("hello").answer.status == 403
    assert "rotated" in listener.wait_for("rejected", reason="signature")["hint"]
    assert "token rotated?" in listener.wait_for("problem", id="C13")["line"]
    assert listener.stop() == 9
    assert problems(listener) == ["C13", "M1"]
    done = smsquest_here("configure-number", "--restore", env={"TWILIO_AUTH_TOKEN": token})
    assert done.returncode == 0, done.stderr
    assert twilio.number.sms_url == OLD


def test_a_start_with_the_new_token_puts_right_what_the_old_one_left(hasty, twilio, address):
    """M3: the original in the journal is what the next run puts back."""
    former = hasty(*address)
    assert former.ready
    twilio.rotate("f" * 32)
    assert former.stop() == 9

    listener = hasty(*address, env={"TWILIO_AUTH_TOKEN": "f" * 32})
    assert listener.ready
    assert listener.stop() == 0
    assert twilio.number.sms_url == OLD


def test_a_number_that_is_released_meanwhile_is_said_once(hasty, twilio, address, home):
    """It is not asked for again, nothing is put back, and the end is a clean one."""
    listener = hasty(*address)
    assert listener.ready
    twilio.account.numbers.clear()
    listener.wait_for("problem", id="N18")
    asked = len(twilio.requests)

    assert listener.stop() == 0
    assert (problems(listener), listener.records[-1]["restored"]) == (["N18"], None)
    assert len(twilio.requests) == asked
    assert list((home / "journal").glob("*.json")) == []


def test_a_colleague_who_takes_the_number_is_said_while_we_serve(hasty, twilio, address):
    """M4, once, with their address and the time; what they set is left alone."""
    listener = hasty(*address)
    assert listener.ready
    twilio.number.sms_url = THEIRS

    taken = listener.wait_for("number", action="taken-over")

    assert taken["url"] == THEIRS
    assert listener.stop() == 0
    assert problems(listener) == ["M4"]
    assert twilio.number.sms_url == THEIRS


def test_a_message_that_goes_elsewhere_is_noticed(hasty, twilio, address):
    """N7: it is in Twilio's log, and nobody called us; said once, with its SID."""
    listener = hasty(*address)
    assert listener.ready
    wait_for_the_next_second()
    assert twilio.sandbox.play("this one comes").answer.status == 200
    twilio.account.add_address(NUMBER)
    lost = [twilio.sandbox.play("this one does not").sid for _ in range(2)]

    problem = listener.wait_for("problem", id="N7")

    assert f"Twilio logged {lost[0]} at " in problem["line"]
    assert listener.stop() == 0
    assert problems(listener) == ["N7"]
    again = hasty(*address, "--backfill", "1h")
    missed = [again.wait_for("inbound", sid=sid)["missed"] for sid in lost]
    assert missed == [True, True]


def test_a_message_that_was_refused_here_is_not_said_to_have_gone_elsewhere(hasty, twilio, address):
    """It is in Twilio's log and not in ours; what we refused explains it."""
    listener = hasty(*address)
    assert listener.ready
    wait_for_the_next_second()
    twilio.sandbox.play("who is this?", unsigned=True)
    listener.wait_for("rejected")
    asked = len(twilio.requests)
    wait_for(lambda: sum("Messages" in one for one in twilio.requests[asked:]) > 5)

    assert listener.stop() == 0
    assert problems(listener) == []


# The tunnel


@pytest.fixture
def crash(tmp_path):
    """End the agents as a crash does: ``crash("fail=108")``; the next ones have that fault."""

    def crash(fault=""):
        (tmp_path / "faults").write_text(fault)
        for pid in agents_of(tmp_path):
            os.kill(pid, signal.SIGKILL)

    return crash


@pytest.fixture
def ngrok(tmp_path, environment, crash):
    """The options of a ``serve`` with an ngrok tunnel; none of its agents is to be left."""
    agent = tmp_path / "ngrok"
    agent.write_text(
        "#!/bin/sh\n"
        f'FAKE_NGROK_FAULTS="$(cat {tmp_path}/faults)" exec {HERE}/fake_ngrok/fake_ngrok.py "$@"\n'
    )
    agent.chmod(0o755)
    environment.update(
        PYNGROK_NGROK_PATH=str(agent),
        NGROK_AUTHTOKEN="2abcdefgh1_ABCDEFGH1",
        FAKE_NGROK_WEB_ADDR="127.0.0.1:0",
        PATH=f"{Path(sys.executable).parent}:{environment['PATH']}",
    )
    crash()
    yield ("--port", 0)
    left = agents_of(tmp_path)
    crash()
    assert left == []


def test_an_agent_that_is_killed_comes_back(hasty, twilio, ngrok, crash):
    """Down and up are said, messages come in again, and the number was never left."""
    listener = hasty(*ngrok)
    url = listener.ready["webhook_url"]
    crash()
    listener.wait_for("tunnel", state="up", after=listener.wait_for("tunnel", state="down"))

    assert twilio.sandbox.play("hello again").answer.status == 200
    assert listener.wait_for("inbound")["body"] == "hello again"
    assert twilio.number.sms_url == url
    assert listener.stop() == 0
    assert problems(listener) == ["T6"]
    assert twilio.number.sms_url == OLD


def test_an_address_that_is_not_to_be_had_again_takes_the_number_along(hasty, twilio, ngrok, crash):
    """T5: a random address is another one after a crash; what is put back is the first original."""
    listener = hasty(*ngrok)
    former = listener.ready["webhook_url"]
    crash("unowned")
    moved = listener.wait_for("problem", id="T5")

    assert twilio.number.sms_url in moved["line"]
    assert twilio.number.sms_url != former
    assert twilio.sandbox.play("hello there").answer.status == 200
    assert listener.stop() == 0
    assert problems(listener) == ["T6", "T5"]
    assert twilio.number.sms_url == OLD


@pytest.mark.parametrize(("status", "said"), [(503, "W3"), (401, "C2")])
def test_a_number_follows_its_tunnel_once_twilio_takes_it(
    hasty, twilio, ngrok, crash, status, said
):
    """What Twilio refuses when the tunnel moves is said once, and tried until it is done."""
    listener = hasty(*ngrok)
    former = listener.ready["webhook_url"]
    twilio.faults.add("POST", NUMBER_ITSELF, status=status, times=None)
    crash("unowned")
    listener.wait_for("problem", id=said)
    tried = len(twilio.updates())
    wait_for(lambda: len(twilio.updates()) > tried + 3)
    twilio.faults.clear()
    moved = listener.wait_for("problem", id="T5")

    assert twilio.number.sms_url in moved["line"]
    assert twilio.number.sms_url != former
    assert listener.stop() == 0, listener.stderr
    assert problems(listener) == ["T6", said, "T5"]
    assert twilio.number.sms_url == OLD


@pytest.mark.parametrize(
    ("fault", "said", "reason"),
    [
        ("fail=108,abrupt", ["T6", "T4", "T22"], "no agent session left"),
        ("connect=334", ["T6", "T4", "T22"], "is already online"),
        ("unowned", ["T6", "T15", "T22"], "ERR_NGROK_313"),
        ("offline", ["T6", "T22"], "no such host"),
        ("fail=107,abrupt", ["T6", "T22"], "107: revoked or reset"),
    ],
)
def test_a_tunnel_that_is_refused_when_it_is_to_come_back(
    hasty, twilio, ngrok, crash, address, fault, said, reason
):
    """Said while it is tried, and at the end (T22); exit 6, the number put back, no agent left."""
    listener = hasty(*ngrok, "--domain", address[-1])
    assert listener.ready
    crash(fault)

    assert listener.wait() == 6
    assert "error[T22]" in listener.stderr
    assert reason in listener.stderr
    assert problems(listener) == said
    assert (listener.records[-1]["reason"], listener.records[-1]["restored"]) == ("tunnel", True)
    assert twilio.number.sms_url == OLD


# What answers in our place


def portal(_environ, start):
    start("200 OK", [("Content-Type", "text/html")])
    return [b"<html>Welcome to the hotel</html>"]


def login(_environ, start):
    start("302 Found", [("Location", "http://login.hotel.example/?from=here")])
    return []


def another_run(_environ, start):
    start("200 OK", [("Content-Type", "application/json")])
    return [json.dumps({"ok": True, "run": "somebody's"}).encode()]


@pytest.mark.parametrize(
    ("app", "said"),
    [
        (portal, "[T19]: {url} does not lead to this smsquest (another server answers HTTP 200"),
        (login, "[T19]: {url} does not lead to this smsquest (HTTP 302 to login.hotel.example"),
        (another_run, "[T12]: {url} also serves another process"),
    ],
)
def test_somebody_else_who_answers_at_the_address_is_found_out(hasty, twilio, app, said):
    """A login page of the network, another server or run: named before a number is touched."""
    with served(app) as url:
        listener = hasty("--port", 0, "--public-url", url)
        code = listener.wait()

    assert code == 6
    assert said.format(url=url) in listener.stderr
    assert twilio.updates() == []
