"""Sending: how a text travels is said before, where callbacks go, what Twilio refuses."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from smsquest_cli import outbox
from smsquest_cli.config import Settings
from smsquest_cli.credentials import Secret
from smsquest_cli.events import Ready
from smsquest_cli.outbox import Draft
from smsquest_cli.problems import TwilioRefusedError, UsageError
from smsquest_cli.runs import Run
from smsquest_cli.sandbox import ACCOUNT_SID, NUMBER, PHONE, SANDBOX_TOKEN, Sandbox
from smsquest_cli.server import bind
from smsquest_cli.twilio_api import TwilioGateway

QUOTE = "\N{RIGHT SINGLE QUOTATION MARK}"
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.fixture
def sandbox():
    with Sandbox() as pretended:
        yield pretended


@pytest.fixture
def settings(sandbox, tmp_path):
    """Settings of somebody whose Twilio is the sandbox, reached over HTTP by the real SDK."""
    listening = bind(0)
    with listening.serving(sandbox.app):
        yield Settings(
            home=tmp_path,
            store=str(tmp_path / "events.sqlite3"),
            account_sid=ACCOUNT_SID,
            auth_token=Secret(SANDBOX_TOKEN),
            twilio_url=listening.url,
        )


@pytest.fixture
def twilio(settings):
    with TwilioGateway(settings.rest_credentials()) as gateway:
        yield gateway


def run_in(mode):
    ready = Ready(
        ts=NOW,
        mode=mode,
        pid=1,
        number=NUMBER,
        webhook_url="https://abc.ngrok-free.app/sms",
        status_url="https://abc.ngrok-free.app/status",
        local_url="http://127.0.0.1:8767",
    )
    return Run("r1", ready, "events.sqlite3")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("Hello quest!", "1 segment · GSM-7 · 12 characters"),
        ("x", "1 segment · GSM-7 · 1 character"),
        ("x" * 161, "2 segments · GSM-7 · 161 characters"),
        ("😀", "1 segment · UCS-2 · 1 character"),
    ],
)
def test_how_a_text_travels_is_said(body, words):
    """Segments, encoding, length."""
    assert outbox.preview(body) == words


def test_the_characters_that_make_a_text_longer_are_named():
    """D9: which, where, and what it would be without them."""
    note = outbox.note_on(f"It{QUOTE}s " + "x" * 100 + " 😀", at=NOW)

    assert (note.id, note.severity) == ("D9", "note")
    assert note.line == (
        f'your text: 2 segments of UCS-2 because of "{QUOTE}" at 3, "😀" at 107 (GSM-7 would be 1)'
    )
    assert outbox.note_on("It's", at=NOW) is None


def test_a_character_that_shows_nothing_is_named_by_its_code():
    """It is not to be seen in the text either."""
    for hidden in ("\u200b", "\u00a0"):
        note = outbox.note_on("a" * 40 + hidden + "b" * 40, at=NOW)
        assert f"because of U+{ord(hidden):04X} at 41 (" in note.line


def test_what_costs_nothing_is_not_noted():
    """One segment either way; the preview says the encoding."""
    assert outbox.note_on("Hello → quest", at=NOW) is None


def test_of_many_such_characters_a_few_are_named():
    """Each once, where it stands first; the line stays one line."""
    note = outbox.note_on(f"{QUOTE}{QUOTE}—…x→{QUOTE}" + "x" * 70, at=NOW)

    assert f'because of "{QUOTE}" at 1, "—" at 3, "…" at 4 and 1 more (' in note.line


def test_parts_of_an_emoji_are_not_named_by_themselves():
    """A family is three people, not joiners and selectors that nobody sees."""
    family = "\N{WOMAN}\N{ZERO WIDTH JOINER}\N{GIRL}\N{VARIATION SELECTOR-16}"
    note = outbox.note_on(family + "x" * 70, at=NOW)

    assert 'because of "\N{WOMAN}" at 1, "\N{GIRL}" at 3 (' in note.line


def test_callbacks_go_to_the_running_serve(settings):
    """Unless it is told otherwise."""
    assert (
        outbox.callback_for(None, run_in("tunnel"), settings) == run_in("tunnel").ready.status_url
    )
    assert outbox.callback_for("none", run_in("tunnel"), settings) is None
    assert outbox.callback_for(None, None, settings) is None
    assert outbox.callback_for("https://x.example/s", None, settings) == "https://x.example/s"


def test_callbacks_go_to_this_computer_only_where_twilio_is_on_it(settings):
    """A serve without a tunnel cannot be called by the real Twilio."""
    real = replace(settings, twilio_url=None)

    assert outbox.callback_for(None, run_in("local"), settings) is not None
    assert outbox.callback_for(None, run_in("local"), real) is None


@pytest.mark.parametrize(
    "url",
    [
        "/status",
        "status",
        "ftp://x.example/",
        "https://ada:lovelace@a_b.example/",
        "http://[x",
        "https://x.example:99999/",
        "https://x.example/a b",
        "https://x.example/" + "x" * 4000,
    ],
)
def test_a_status_callback_that_twilio_cannot_use_is_refused_at_once(settings, url):
    """N10, before anything is sent, and without the password that may be in it."""
    with pytest.raises(UsageError) as caught:
        outbox.callback_for(url, None, settings)

    assert caught.value.id == "N10"
    assert "lovelace" not in caught.value.line


def test_the_sender_is_the_one_given_or_set_or_the_only_one(settings, twilio):
    """With one number there is nothing to choose."""
    assert outbox.sender_for("+12025550111", None, settings, twilio) == "+12025550111"
    set_up = replace(settings, number="+12025550122")
    assert outbox.sender_for(None, None, set_up, twilio) == "+12025550122"
    assert outbox.sender_for(None, None, settings, twilio) == NUMBER


def test_the_sender_is_the_number_of_the_running_serve(settings, twilio, sandbox):
    """Where there are several, one replies from the one that is listened to."""
    sandbox.account.add_number("+12025550133")
    run = run_in("public")
    serving = replace(run, ready=replace(run.ready, number="+12025550133"))

    set_up = replace(settings, number="+12025550122")
    assert outbox.sender_for(None, serving, set_up, twilio) == "+12025550133"
    assert outbox.sender_for("+12025550111", serving, set_up, twilio) == "+12025550111"


def test_a_number_may_be_typed_as_people_do(settings, twilio, sandbox):
    """Blanks and dashes go; names, services and channels stay as they are."""
    (number,) = sandbox.account.numbers.values()

    assert outbox.sender_for("1 202 555 0100", None, settings, twilio) == NUMBER
    assert outbox.sender_for("MyShop", None, settings, twilio) == "MyShop"
    assert outbox.sender_for("MG" + "1" * 32, None, settings, twilio) == "MG" + "1" * 32
    assert outbox.sender_for(number.sid, None, settings, twilio) == NUMBER


def test_a_message_is_sent(twilio):
    """What Twilio took, at the time at which it took it."""
    draft = Draft(body="Hi", to=PHONE, sender=NUMBER)

    state = outbox.send(twilio, draft, at=NOW)

    assert (state.direction, state.from_, state.to, state.body) == (
        "outbound-api",
        NUMBER,
        PHONE,
        "Hi",
    )
    assert [(step.status, step.ts) for step in state.history] == [(state.status, NOW)]
    assert twilio.message(state.sid).body == "Hi"


def test_who_has_opted_out_is_not_sent_to(twilio, sandbox):
    """D8, with Twilio's reason."""
    sandbox.carrier.receive(PHONE, NUMBER, "STOP")

    with pytest.raises(TwilioRefusedError) as caught:
        outbox.send(twilio, Draft(body="Hi", to=PHONE, sender=NUMBER), at=NOW)

    assert caught.value.id == "D8"
    assert caught.value.exit_code == 4
