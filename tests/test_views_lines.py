"""The lines view: one line per event, with stable columns and whole SIDs."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

import pytest

from smsquest_cli.console import Output
from smsquest_cli.events import (
    Inbound,
    MessageState,
    Number,
    OutgoingMessage,
    Problem,
    Ready,
    Rejected,
    Reply,
    Status,
    Step,
    Stopped,
    Tunnel,
)
from smsquest_cli.messages import Media
from smsquest_cli.views import Header, make_view

AT = datetime(2026, 11, 22, 10, 0, 12).astimezone()
PHONE = "+12025550143"
NUMBER = "+12025550100"
SID = "SM3f" + "0" * 28 + "9c"
REPLY = "SM41" + "0" * 28 + "0b"
NOW = "2026-11-22 10:00:12"


@pytest.fixture
def shown(capsys):
    """The lines that events are shown as."""

    def show(*events):
        with make_view(Output.LINES) as view:
            view.show(events)
            view.refresh()
            assert view.due() is None
        return capsys.readouterr().out.splitlines()

    return show


def inbound(body="hello", **more):
    return Inbound(ts=AT, sid=SID, from_=PHONE, to=NUMBER, body=body, method="POST", **more)


def status(word, after=0.0, **more):
    ts = AT + timedelta(seconds=after)
    return Status(ts=ts, sid=REPLY, status=word, to=PHONE, in_reply_to=SID, **more)


def test_a_conversation_reads_line_by_line(shown):
    """A message, what it was answered, and how far the answer got, by the clock of the wall."""
    reply = Reply(
        ts=AT,
        in_reply_to=SID,
        source="reply",
        http_status=200,
        ms=4.2,
        messages=(OutgoingMessage("You said: hello"),),
    )

    lines = shown(inbound(), reply, status("queued"), status("sent", 0.4), status("delivered", 1.5))

    assert [line.removeprefix(NOW) for line in lines[:3]] == [
        f'  <-- {SID}  {PHONE}  "hello"  1 seg  sig valid',
        f'  --> {SID}  {PHONE}  "You said: hello"  [200] 4 ms  reply',
        f"  ... {REPLY}  {PHONE}  queued",
    ]
    assert lines[4] == (
        f"2026-11-22 10:00:13  ... {REPLY}  {PHONE}  delivered  "
        "queued 0.0 · sent 0.4 · delivered 1.5 s"
    )


@pytest.mark.parametrize(
    ("event", "end"),
    [
        (inbound("STOP", opt_out="STOP"), '"STOP"  1 seg  sig valid  opted out'),
        (inbound(missed=True), '"hello"  1 seg  missed'),
        (inbound(duplicate=True), '"hello"  1 seg  sig valid  (repeated)'),
        (inbound("", media=(Media("https://x.example/1", None),)), '"" +1 media  1 seg'),
        (inbound(segments=3, signature="unchecked"), '"hello"  3 seg  sig unchecked'),
        (inbound("a\nb\x1b[2J\u202e"), '"a␊b␛[2J⟨RLO⟩"  1 seg  sig valid'),
    ],
)
def test_an_inbound_line_says_what_is_special(shown, event, end):
    """And nothing in a message breaks the line or reaches the terminal."""
    (line,) = shown(event)

    assert line.startswith(f"{NOW}  <-- {SID}  {PHONE}  ")
    assert end in line


@pytest.mark.parametrize(
    ("event", "line"),
    [
        (
            status("undelivered", error_code=30003),
            f"!!! {REPLY}  {PHONE}  undelivered  30003 Handset unreachable",
        ),
        (
            status("sent", current="delivered", stale=True),
            f"... {REPLY}  {PHONE}  sent  (late: it is delivered)",
        ),
        (
            status("sent", current="sent", duplicate=True),
            f"... {REPLY}  {PHONE}  sent  (repeated)",
        ),
        (
            MessageState(
                ts=AT,
                sid=REPLY,
                direction="outbound-api",
                from_=NUMBER,
                to=PHONE,
                body="Your code",
                status="failed",
                history=(Step("queued", AT), Step("failed", AT, 400)),
                error_code=21610,
                error="Recipient has opted out",
            ),
            (
                f"!!! {REPLY}  {PHONE}  failed 21610 Recipient has opted out  "
                'queued 0.0 · failed 0.4 s  "Your code"'
            ),
        ),
        (
            MessageState(ts=AT, sid=SID, direction="inbound", from_=PHONE, status="received"),
            f"... {SID}  {PHONE}  received",
        ),
        (
            Rejected(ts=AT, path="/sms", method="POST", reason="signature", hint="http", count=3),
            "!!! rejected  POST /sms  signature: http (3 times)",
        ),
        (
            Rejected(ts=AT, path="/sms", method="GET", reason="unsigned"),
            "!!! rejected  GET /sms  unsigned",
        ),
        (
            Problem(ts=AT, id="A11", severity="error", line="your app answered 500", sid=SID),
            f"!!! {SID}  error[A11]: your app answered 500",
        ),
        (
            Problem(ts=AT, id="M3", severity="note", line="not clean"),
            "... note[M3]: not clean",
        ),
        (Tunnel(ts=AT, state="up", url="https://a.example"), "... tunnel up: https://a.example"),
        (Tunnel(ts=AT, state="odd"), "... tunnel odd"),
        (
            Number(ts=AT, action="pointed", number=NUMBER, url="https://a.example/sms"),
            f"... {NUMBER} now calls https://a.example/sms",
        ),
        (
            Number(ts=AT, action="restored", number=NUMBER),
            f"... {NUMBER} restored to (no webhook)",
        ),
        (
            Ready(
                ts=AT,
                mode="sandbox",
                pid=1,
                number=NUMBER,
                webhook_url="http://127.0.0.1:1/sms",
                status_url="http://127.0.0.1:1/status",
                local_url="http://127.0.0.1:1",
                forward_to="http://127.0.0.1:5000/sms",
                verify=False,
            ),
            (
                f"... ready (sandbox)  {NUMBER}  http://127.0.0.1:1/sms"
                "  forwards to http://127.0.0.1:5000/sms  SIGNATURES ARE NOT CHECKED"
            ),
        ),
        (
            Stopped(ts=AT, reason="terminate", inbound=1, outbound=2, problems=3),
            "... stopped (terminate) in=1 out=2 problems=3",
        ),
        (
            Stopped(ts=AT, reason="interrupt", restored=False),
            "... stopped (interrupt) in=0 out=0 problems=0 restored=NO",
        ),
    ],
)
def test_every_event_has_its_line(shown, event, line):
    """Failures and problems have a mark that one can search for."""
    assert shown(event) == [f"{NOW}  {line}"]


def test_an_answer_without_a_message_says_so(shown):
    """Also when the message that it answers is not known here."""
    reply = Reply(ts=AT, in_reply_to=SID, source="app", http_status=500, ms=12.4)

    assert shown(reply) == [f"{NOW}  --> {SID}  {'':<12}  (no message)  [500] 12 ms  app"]


def test_the_header_is_talk(capsys):
    """It goes to standard error; standard output has the events only."""
    header = Header((("server", "http://127.0.0.1:1/sms"), ("", "  smsquest simulate")))

    with make_view(Output.LINES, header=header):
        pass

    out, err = capsys.readouterr()
    assert out == ""
    assert err == "server    http://127.0.0.1:1/sms\n  smsquest simulate\n"


def test_lines_never_wrap_and_have_no_colour(shown):
    """However long, off a terminal as on it."""
    (line,) = shown(inbound("x" * 3000))

    assert len(line) > 3000
    assert not re.search(r"\x1b", line)
