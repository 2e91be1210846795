"""``smsquest tail-status`` as its user runs it: beside a serve, after one, with Twilio alone."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from datetime import UTC, datetime, timedelta

import pytest
from program import COMMAND

from smsquest_cli.config import Settings
from smsquest_cli.credentials import Secret
from smsquest_cli.eventlog import LogEntry, open_log
from smsquest_cli.events import Status
from smsquest_cli.sandbox import ACCOUNT_SID, NUMBER, PHONE, SANDBOX_TOKEN, Sandbox
from smsquest_cli.server import bind
from smsquest_cli.twilio_api import TwilioGateway

SID, OTHER, THIRD = "SM" + "a" * 32, "SMaaaa" + "b" * 28, "SM" + "c" * 32


def records(done):
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture
def recorded(home):
    """Record callbacks in the log where a serve would have."""
    log = open_log(home / "events.sqlite3", run="earlier")

    def record(*statuses, sid=SID, ago=0.0, code=None):
        at = datetime.now(UTC) - timedelta(seconds=ago)
        log.append(
            *(
                LogEntry(
                    Status(ts=at, sid=sid, status=status, from_=NUMBER, to=PHONE, error_code=code)
                )
                for status in statuses
            )
        )

    yield record
    log.close()


@pytest.fixture
def twilio(tmp_path):
    """A pretend Twilio without a serve, and the environment with which it is reached."""
    listening = bind(0)
    with Sandbox() as sandbox, listening.serving(sandbox.app):
        settings = Settings(
            home=tmp_path,
            store="unused",
            account_sid=ACCOUNT_SID,
            auth_token=Secret(SANDBOX_TOKEN),
            twilio_url=listening.url,
        )
        with TwilioGateway(settings.rest_credentials()) as gateway:
            gateway.environment = {
                "TWILIO_ACCOUNT_SID": ACCOUNT_SID,
                "TWILIO_AUTH_TOKEN": SANDBOX_TOKEN,
                "SMSQUEST_TWILIO_URL": listening.url,
            }
            yield gateway


def test_beside_a_serve_callbacks_and_twilio_make_one_state(serve, smsquest):
    """The reply is told by callbacks, a message of somebody else's app by Twilio; no account."""
    running = serve("--sandbox")
    account = running.ready["sandbox"]
    settings = Settings(
        home="unused",
        store="unused",
        account_sid=account["account_sid"],
        auth_token=Secret(account["auth_token"]),
        twilio_url=account["api_url"],
    )
    with TwilioGateway(settings.rest_credentials()) as theirs:
        silent = theirs.send("From their app", to=PHONE, from_=NUMBER).sid
    smsquest("simulate", "hello", "--pace", "instant")
    reply = running.wait_for("status", status="delivered")

    done = smsquest(
        "tail-status", "--until", "final", "--timeout", "20", "--interval", "0.3", "-o", "json"
    )

    assert done.returncode == 0
    last = {one["sid"]: one for one in records(done) if one["type"] == "message"}
    assert {sid: (one["status"], one["source"], one["body"]) for sid, one in last.items()} == {
        reply["sid"]: ("delivered", "callback", "You said: hello"),
        silent: ("delivered", "poll", "From their app"),
    }
    assert last[reply["sid"]]["in_reply_to"] == reply["in_reply_to"]
    (note,) = [one for one in records(done) if one["type"] == "problem"]
    assert (note["id"], note["severity"], note["sid"]) == ("D4", "note", silent)
    assert running.ready["status_url"] in note["line"]
    assert f"pid {running.ready['pid']}" in done.stderr


def test_a_failure_is_an_exit_code(serve, smsquest_here):
    """8, with the code and its cause in words, in the record and on standard error."""
    running = serve("--sandbox")
    assert running.ready
    smsquest_here("simulate", "hello", "--scenario", "undelivered:30003", "--pace", "instant")
    reply = running.wait_for("status", status="undelivered")["sid"]

    done = smsquest_here("tail-status", reply[:12], "--until", "delivered", "-o", "json")

    assert done.returncode == 8
    *_, state, error = records(done)
    assert (state["sid"], state["status"], state["final"]) == (reply, "undelivered", True)
    assert (state["error_code"], state["error"]) == (30003, "Handset unreachable")
    assert (error["id"], error["sid"]) == ("E3", reply)
    assert "error[E3]" in done.stderr


def test_without_a_serve_and_an_account_the_log_is_read(recorded, smsquest_here):
    """What was recorded can be looked at later; off a terminal it is shown once."""
    recorded("sent", "delivered")
    recorded("sent", sid=THIRD)
    recorded("delivered", sid=OTHER, ago=3600)

    done = smsquest_here("tail-status", "-o", "json")

    assert done.returncode == 0
    assert [(one["sid"], one["status"]) for one in records(done)] == [
        (SID, "delivered"),
        (THIRD, "sent"),
    ]
    assert [step["status"] for step in records(done)[0]["history"]] == ["sent", "delivered"]
    assert "no smsquest serve is running" in done.stderr
    assert "no credentials" in done.stderr


def test_the_time_chooses_messages_and_cuts_none(recorded, smsquest_here):
    """What became of one lately is told with all that came before, and how long it took."""
    recorded("queued", "sent", ago=3600)
    recorded("delivered")

    done = smsquest_here("tail-status", "--since", "10m", "-o", "json")

    (told,) = records(done)
    assert [step["status"] for step in told["history"]] == ["queued", "sent", "delivered"]
    assert told["history"][-1]["elapsed_ms"] >= 3_600_000


def test_messages_can_be_named_by_their_first_characters(recorded, smsquest_here):
    """Six of them, if unique; or as the table shows a SID; however old the message is."""
    recorded("delivered", sid=SID, ago=36000)
    recorded("delivered", sid=OTHER)

    for name in (SID, SID[:7], "SMaa…aa", "SMaa...aa"):
        done = smsquest_here("tail-status", name, "-o", "json")
        assert [one["sid"] for one in records(done)] == [SID]


@pytest.mark.parametrize(
    ("name", "problem", "words"),
    [
        ("SMffffff", "U1", "begins with SMffffff. Recent ones: smsquest log"),
        (f"{SID[:20]}9{SID[21:]}", "U1", f"did you mean {SID}?"),
        ("SMaaaa", "U2", OTHER),
        ("SMaa", "U2", f"at least 6 characters ({OTHER}, {SID})"),
        ("", "U2", "at least 6 characters\n"),
    ],
)
def test_a_name_that_fits_no_or_several_messages_is_refused(
    recorded, smsquest_here, name, problem, words
):
    """Exit 2, with the candidates."""
    recorded("delivered", sid=SID)
    recorded("delivered", sid=OTHER)

    done = smsquest_here("tail-status", name)

    assert (done.returncode, done.stdout) == (2, "")
    assert f"error[{problem}]" in done.stderr
    assert words in done.stderr


def test_twilio_alone_can_be_asked(twilio, smsquest_here):
    """No serve, no log: SIDs, their beginnings and the list come from Twilio."""
    sid = twilio.send("Hi", to=PHONE, from_=NUMBER).sid
    options = ("--source", "twilio", "-o", "json")

    for name in ((), (sid,), (sid[:8],)):
        done = smsquest_here("tail-status", *name, *options, env=twilio.environment)
        assert [(one["sid"], one["body"], one["source"]) for one in records(done)] == [
            (sid, "Hi", "poll")
        ]

    unknown = smsquest_here("tail-status", "SM" + "f" * 32, *options, env=twilio.environment)
    assert (unknown.returncode, records(unknown)[0]["id"]) == (2, "U1")


def test_the_store_alone_can_be_read(twilio, recorded, smsquest_here):
    """--source store asks Twilio nothing."""
    twilio.send("Hi", to=PHONE, from_=NUMBER)
    recorded("sent")

    done = smsquest_here("tail-status", "--source", "store", "-o", "json", env=twilio.environment)

    assert [one["sid"] for one in records(done)] == [SID]
    assert "--source store" in done.stderr


def test_a_time_out_is_an_exit_code(recorded, smsquest_here):
    """8, and how far it got."""
    recorded("sent")

    done = smsquest_here("tail-status", "--until", "delivered", "--timeout", ".1", "-o", "json")

    assert done.returncode == 8
    assert [one["type"] for one in records(done)] == ["message", "problem"]
    assert records(done)[-1]["sid"] == SID
    assert "error[E1]: not delivered within 0.1 s: SMaa…aa is sent" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--once", "--until", "final"), "--until"),
        ((SID, "--number", PHONE), "a SID and --number exclude each other"),
        (("--since", ""), "--since"),
        (("--since", "yesterday"), "yesterday"),
        (("--interval", "0"), "--interval"),
        (("--timeout", "soon"), "soon"),
        (("--until", "read"), "--until"),
    ],
)
def test_what_makes_no_sense_is_a_usage_error(smsquest_here, arguments, words):
    """Exit 2, naming what was wrong."""
    done = smsquest_here("tail-status", *arguments)

    assert (done.returncode, done.stdout) == (2, "")
    assert words in done.stderr


def test_without_credentials_twilio_cannot_be_the_source(smsquest_here):
    """Exit 3."""
    done = smsquest_here("tail-status", "--source", "twilio")

    assert done.returncode == 3
    assert "error[C1]" in done.stderr


def test_with_wrong_credentials_the_log_is_read_all_the_same(recorded, smsquest_here):
    """What is wrong with them is said, as a warning."""
    recorded("sent")

    done = smsquest_here("tail-status", "-o", "json", env={"TWILIO_ACCOUNT_SID": ACCOUNT_SID})

    assert (done.returncode, records(done)[0]["status"]) == (0, "sent")
    assert "warning[C2]" in done.stderr


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_it_follows_until_it_is_stopped(recorded, environment, tmp_path, number, code):
    """A callback shows within 250 ms though another process recorded it; a signal ends it."""
    recorded("sent")
    process = subprocess.Popen(
        [*COMMAND, "tail-status", "--follow", "-o", "json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        cwd=tmp_path,
        start_new_session=True,
    )
    with process:
        assert json.loads(process.stdout.readline())["status"] == "sent"

        delays = []
        for status in ("partially_delivered", "delivered", "read"):
            started = time.monotonic()
            recorded(status)
            assert json.loads(process.stdout.readline())["status"] == status
            delays.append(time.monotonic() - started)
        assert min(delays) < 0.25  # a busy machine may take its time once

        process.send_signal(number)
        rest, errors = process.communicate(timeout=10)
    assert (process.returncode, rest, "Traceback" in errors) == (code, "", False)
