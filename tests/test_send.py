"""``smsquest send`` as its user runs it: in the sandbox, with the serve as its status callback."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing

import pytest

from smsquest_cli.cli.send import _with_status
from smsquest_cli.eventlog import open_log
from smsquest_cli.sandbox import NUMBER, PHONE, Sandbox, Scenario
from smsquest_cli.server import bind

LONG = "Hello → quest" + "!" * 60


def records(done):
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture
def twilio():
    """A pretend Twilio without a serve, and the environment with which it is reached."""
    listening = bind(0)
    with Sandbox() as sandbox, listening.serving(sandbox.app):
        sandbox.environment = {
            "TWILIO_ACCOUNT_SID": sandbox.account.sid,
            "TWILIO_AUTH_TOKEN": sandbox.account.auth_token,
            "SMSQUEST_TWILIO_URL": listening.url,
        }
        yield sandbox


def test_a_message_is_sent_and_followed_to_its_end(serve, smsquest):
    """In the sandbox: no account, callbacks come to the serve, whose log has the text too."""
    running = serve("--sandbox")
    assert running.ready

    done = smsquest("send", LONG, "--to", PHONE, "--wait", "-o", "json")

    assert done.returncode == 0
    note, *states = records(done)
    assert (note["id"], note["severity"]) == ("D9", "note")
    assert "2 segments · UCS-2 · 73 characters" in done.stderr
    assert [state["status"] for state in states] == ["queued", "sent", "delivered"]
    assert {state["source"] for state in states[1:]} == {"callback"}
    assert (states[-1]["from"], states[-1]["to"], states[-1]["body"]) == (
        NUMBER,
        PHONE,
        LONG,
    )
    assert states[-1]["final"]
    shown = running.wait_for("message", body=LONG)
    assert running.wait_for("status", status="delivered")["sid"] == shown["sid"]


@pytest.mark.parametrize("wait", [[], ["--wait"]])
def test_a_message_that_is_out_is_named_though_it_cannot_be_recorded(
    twilio, smsquest_here, tmp_path, monkeypatch, wait
):
    """L1 and exit 7, but nobody sends it again because its SID was never said."""
    store = tmp_path / "events.sqlite3"
    open_log(store, run="").close()
    monkeypatch.setattr("smsquest_cli.eventlog.database.BUSY_SECONDS", 0.05)
    with closing(sqlite3.connect(store)) as locked:
        locked.execute("BEGIN IMMEDIATE")
        env = {**twilio.environment, "SMSQUEST_STORE": str(store)}
        done = smsquest_here("send", "pay me", "--to", PHONE, *wait, "-o", "json", env=env)

    assert done.returncode == 7
    (sent,) = twilio.account.messages()
    assert [r["sid"] for r in records(done) if r["type"] == "message"] == [sent.sid]


def test_the_text_may_come_from_standard_input(twilio, smsquest):
    """`-`; the last line end is the shell's."""
    done = smsquest(
        "send", "-", "--to", PHONE, "-o", "json", input="two\nlines\n", env=twilio.environment
    )

    (state,) = records(done)
    assert (done.returncode, state["body"]) == (0, "two\nlines")
    (message,) = twilio.account.messages()
    assert (message.body, message.callback) == ("two\nlines", None)


def test_the_callback_may_go_elsewhere(nobody, twilio, smsquest_here):
    """--status-callback takes any URL that Twilio can use, and no other."""
    arguments = ("send", "Hi", "--to", PHONE, "--from", NUMBER, "--status-callback")

    done = smsquest_here(*arguments, f"{nobody}/status", env=twilio.environment)
    refused = smsquest_here(*arguments, "/status", env=twilio.environment)

    (message,) = twilio.account.messages()
    assert (done.returncode, message.callback.url) == (0, f"{nobody}/status")
    assert (refused.returncode, "error[N10]" in refused.stderr) == (2, True)


def test_a_failure_is_an_exit_code(twilio, smsquest_here):
    """--wait: 8 for a message that was not delivered; without callbacks Twilio is asked."""
    twilio.carrier.scenario = Scenario.parse("undelivered:30005")

    done = smsquest_here("send", "Hi", "--to", PHONE, "--wait", env=twilio.environment)

    assert done.returncode == 8
    assert "is undelivered (30005): Unknown handset" in done.stderr


def test_records_name_the_message_that_failed(twilio, smsquest_here):
    """The SID of E3 stands in its own field, in full."""
    twilio.carrier.scenario = Scenario.parse("failed")

    done = smsquest_here(
        "send", "Hi", "--to", PHONE, "--wait", "-o", "json", env=twilio.environment
    )

    *_, state, error = [json.loads(line) for line in done.stdout.splitlines()]
    assert (error["id"], error["sid"]) == ("E3", state["sid"])


def test_who_opted_out_is_named(twilio, smsquest_here):
    """D8: exit 4, and nothing is sent."""
    twilio.carrier.receive(PHONE, NUMBER, "STOP")

    done = smsquest_here("send", "Hi", "--to", PHONE, env=twilio.environment)

    assert (done.returncode, done.stdout) == (4, "")
    assert "error[D8]" in done.stderr


def test_without_credentials_and_a_serve_nothing_is_sent(smsquest_here):
    """Exit 3, with the way to the sandbox."""
    done = smsquest_here("send", "Hi", "--to", PHONE)

    assert done.returncode == 3
    assert "error[C1]" in done.stderr


@pytest.mark.parametrize(
    ("command", "code"),
    [("send hi --to +12025550143", 3), ("replay last", 3), ("configure-number", 3),
     ("tail-status -o json", 0), ("simulate hi", 0)],
)  # fmt: skip
def test_a_sandbox_with_a_token_of_its_own_is_told(serve, smsquest_here, command, code):
    """C14: that the other window needs the same token, if it cannot do without."""
    own = {"TWILIO_AUTH_TOKEN": "f" * 32}
    assert serve("--sandbox", env=own).ready
    smsquest_here("simulate", "hello", "--pace", "instant", env=own)

    alone = smsquest_here(*command.split())
    together = smsquest_here(*command.split(), env=own)

    assert (alone.returncode, together.returncode) == (code, 0)
    assert ("[C14]: the running sandbox" in alone.stderr) == (not command.startswith("simulate"))
    assert "[C" not in together.stderr


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("hi --to 1 --wait", "hi --to 1 --wait=final"),
        ("hi --wait --to 1", "hi --wait=final --to 1"),
        ("--wait hi --to 1", "--wait=final hi --to 1"),
        ("hi --to 1 --wait delivered", "hi --to 1 --wait delivered"),
        ("hi --to 1 --wait=sent", "hi --to 1 --wait=sent"),
        ("--to 1 -- --wait", "--to 1 -- --wait"),
        ("", ""),
    ],
)
def test_wait_may_stand_without_a_status(typed, meant):
    """It means the final one then."""
    assert [*_with_status(typed.split())] == meant.split()
