"""Text from outside drives no terminal, whatever shows it: here it is in every place at once."""

from __future__ import annotations

import dataclasses
import io
import re
import shlex
import sys
from datetime import datetime

import pytest
from rich.console import Console

from smsquest_cli import console, events
from smsquest_cli.check import Result
from smsquest_cli.configuring import Change, Outcome
from smsquest_cli.console import Output
from smsquest_cli.doctor import Check
from smsquest_cli.events import MessageState, OutgoingMessage, Problem, Status, Step
from smsquest_cli.journal import JournalEntry
from smsquest_cli.messages import Media
from smsquest_cli.problems import UsageError
from smsquest_cli.sandbox import Exchange
from smsquest_cli.sandbox.courier import Fetch, Hop
from smsquest_cli.sandbox.exchanges import Visit
from smsquest_cli.twiml import TwimlMessage
from smsquest_cli.views import Header
from smsquest_cli.views.check import show_results
from smsquest_cli.views.deliveries import DeliveryTable
from smsquest_cli.views.doctor import show_checks
from smsquest_cli.views.exchanges import ExchangeLines
from smsquest_cli.views.lines import Lines
from smsquest_cli.views.listing import Listing
from smsquest_cli.views.numbers import (
    by_hand,
    show_before,
    show_change,
    show_numbers,
    show_outcomes,
)
from smsquest_cli.views.records import Records
from smsquest_cli.views.replays import replay_view
from smsquest_cli.views.table import Table
from smsquest_cli.wire import Answer, Request

# A title for the window, the same begun with one character, and what is read backwards: short, so
# that a part of it is left wherever a view cuts it.
HOSTILE = "\x1b]\x9b\u202e"
AT = datetime(2026, 11, 22, 10, 0, 12).astimezone()

VALUES = {
    "str": HOSTILE,
    "datetime": AT,
    "int": 30003,
    "float": 4.2,
    "bool": False,
    "tuple[Media, ...]": (Media(HOSTILE, HOSTILE),),
    "tuple[OutgoingMessage, ...]": (OutgoingMessage(HOSTILE, HOSTILE, (HOSTILE,), HOSTILE),),
    "tuple[Step, ...]": (Step(HOSTILE, AT), Step(HOSTILE, AT, 400)),
    "SandboxAccount": None,
}


def made(kind, **given):
    """A *kind* of event, each of its texts `HOSTILE` but for those that are *given* and ours."""
    fields = {
        field.name: VALUES[str(field.type).removesuffix(" | None")]
        for field in dataclasses.fields(kind)
    }
    ours = {"id": "A11", "severity": "warning"} if kind is Problem else {}
    return kind(**{**fields, **ours, **given})


HAPPENED = [
    *map(made, events.EVENT_TYPES.values()),
    made(Status, sid="SM2", error_code=None),
    made(Status, sid="SM3", in_reply_to=None),
    made(MessageState, sid="SM4", error_code=None),
    *[made(events.Tunnel, state=state) for state in ("up", "down", "changed")],
    *[made(events.Number, action=action) for action in ("pointed", "taken-over")],
    made(Problem, severity="error", sid=None),
    made(events.Stopped),  # the live table ends with it
]


def assert_harmless(shown):
    """Nothing is left in *shown* that a terminal obeys, but for the colours and moves of a view."""
    assert shown
    ours = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown)
    assert not {*"\x1b\x9b\u202e\a"} & {*ours}, ours


@pytest.mark.parametrize("width", [24, 70, 160])
@pytest.mark.parametrize("is_terminal", [True, False])
@pytest.mark.parametrize(
    "view",
    [
        lambda out: Table(Header((("server", HOSTILE),)), out=out),
        lambda out: Listing(out=out),
        lambda out: DeliveryTable(out=out),
        lambda out: DeliveryTable(out=out, wide=True),
    ],
    ids=["table", "listing", "deliveries", "wide deliveries"],
)
def test_no_table_of_what_happened_passes_it_on(view, is_terminal, width):
    """Whichever field it stands in, however wide the window is, and in a pipe to ``less -R``."""
    out = Console(
        file=io.StringIO(), force_terminal=is_terminal, width=width, height=60,
        markup=False, emoji=False, highlight=False, legacy_windows=False,
    )  # fmt: skip

    with view(out) as shown:
        shown.show(HAPPENED)
        shown.refresh()

    assert_harmless(out.file.getvalue())


@pytest.mark.parametrize("view", [Lines, Records])
def test_no_line_about_what_happened_passes_it_on(view, capsys):
    """A log that somebody looks at with ``cat`` does nothing either."""
    with view(Header((("server", HOSTILE),))) as shown:
        shown.show(HAPPENED)

    assert_harmless("".join(capsys.readouterr()))


def an_exchange(*, status=200, answered=True, field="Body", texts=(HOSTILE,)):
    """A message that an app answered with *texts*, or not at all."""
    form = f"From={HOSTILE}&To={HOSTILE}&{field}={HOSTILE}&X{HOSTILE}={HOSTILE}"
    headers = (("Host", HOSTILE), ("Content-Type", HOSTILE))
    request = Request("POST", f"http://127.0.0.1/sms/{HOSTILE}", headers, form.encode())
    answer = Answer(status, headers, HOSTILE.encode()) if answered else None
    fetch = Fetch((Hop(request, answer),), detail=HOSTILE)
    return Exchange(
        sid="SM1", from_=HOSTILE, to=HOSTILE, body=HOSTILE,
        visits=(Visit(fetch, None),), messages=tuple(map(TwimlMessage, texts)),
    )  # fmt: skip


@pytest.mark.parametrize("show_request", [True, False])
@pytest.mark.parametrize(
    "exchange",
    [
        an_exchange(),
        an_exchange(status=500, texts=()),
        an_exchange(answered=False, texts=()),
        an_exchange(field="MessageStatus"),
    ],
    ids=["replies", "an error", "no answer", "a status"],
)
def test_what_an_app_says_is_only_shown(exchange, show_request, capsys):
    """`simulate` and `replay` show an app of somebody else, whatever it answers."""
    ExchangeLines(show_request).answered(exchange)
    texts = ((OutgoingMessage(HOSTILE),), ())
    replay_view("lines").differs(exchange, {"type": (HOSTILE, None), "messages": texts})
    replay_view("lines").differs(exchange, {"type": (None, HOSTILE), "messages": texts[::-1]})

    assert_harmless("".join(capsys.readouterr()))


NUMBER = {
    "sms_url": f"https://x.example/{HOSTILE}", "sms_method": HOSTILE,
    "sms_application_sid": HOSTILE, "sms_fallback_url": HOSTILE, "sms_fallback_method": HOSTILE,
}  # fmt: skip
SERVICE = {
    "inbound_request_url": f"https://x.example/{HOSTILE}", "inbound_method": HOSTILE,
    "use_inbound_webhook_on_number": False,
}  # fmt: skip


def an_entry(**original):
    return JournalEntry(
        sid="PN" + "1" * 32, number=HOSTILE, account_sid="AC" + "0" * 32,
        original={"sms_url": "", "sms_method": "POST", **original}, ours=(HOSTILE,),
        started=AT, pid=1,
    )  # fmt: skip


@pytest.mark.parametrize("fields", [NUMBER, SERVICE], ids=["number", "service"])
def test_what_an_account_holds_is_only_shown(fields, capsys):
    """Whoever may set a name or a webhook in Twilio's Console does not rule our terminals."""
    before = dict.fromkeys(fields, "")
    change = Change(number="+12025550100", sid="PN1", before=before, after=fields)

    show_change(change, Output.TABLE, made=True)
    show_before(change)
    show_outcomes([Outcome(entry=an_entry(), outcome="left")], Output.TABLE)
    account = (("account", "AC1"), ("name", HOSTILE), ("credentials", HOSTILE))
    show_numbers(account, [], Output.TABLE)

    assert_harmless("".join(capsys.readouterr()))


def test_the_command_by_hand_is_one_command_whatever_the_url_is():
    """It is pasted into a shell: nothing in an address ends the quotes around it."""
    words = shlex.split(by_hand(an_entry(sms_url="https://x.example/'; rm -rf ~; '")))

    assert words[:3] == ["curl", "-X", "POST"]
    assert "SmsUrl=https://x.example/%27; rm -rf ~; %27" in words
    assert "rm" not in words


@pytest.mark.parametrize("output", [Output.TABLE, Output.LINES, Output.JUNIT, Output.JSON])
def test_what_a_check_found_is_only_shown(output, capsys):
    """`check` and `doctor` tell what others answered, and how to put it right."""
    states = ("ok", "problem", "skipped")
    show_results(
        HOSTILE,
        [Result("id", "Title", state, HOSTILE, problem="A3", fix=HOSTILE) for state in states],
        output,
        titles=["Title"],
    )
    show_checks(
        [
            Check(id="id", state=state, line=HOSTILE, fix=HOSTILE, source=HOSTILE)
            for state in states
        ],
        output,
    )

    assert_harmless("".join(capsys.readouterr()))


def test_what_is_said_and_asked_is_printable(capsys, monkeypatch):
    """Each way to standard error, and the pages that are printed."""
    console.say(HOSTILE)
    console.print_text(HOSTILE)
    console.show_problem(made(Problem))
    console.show_error(UsageError("U5", first=HOSTILE, second="--x"), output="json")
    monkeypatch.setattr(console, "can_ask", lambda: True)
    monkeypatch.setattr(sys, "stdin", io.StringIO("1\nn\n"))
    console.choose(HOSTILE, [HOSTILE])
    with pytest.raises(console.DeclinedError):
        console.confirm(HOSTILE, UsageError("U5", first="--a", second="--b"))

    assert_harmless("".join(capsys.readouterr()))
