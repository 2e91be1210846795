"""Events fold into one row per message, which late or repeated callbacks never move back."""

from __future__ import annotations

import pickle
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smsquest_cli.events import (
    Inbound,
    MessageState,
    OutgoingMessage,
    Problem,
    Rejected,
    Reply,
    Status,
    Step,
)
from smsquest_cli.inbox import Inbox
from smsquest_cli.messages import Media
from smsquest_cli.statuses import FINAL, rank

AT = datetime(2026, 11, 22, 10, 0, 12, tzinfo=UTC)
PHONE = "+12025550143"
OTHER = "+12025550188"
NUMBER = "+12025550100"
HERE = "https://x.ngrok-free.app/status"


def inbound(sid="SM1", body="hello", **more):
    return Inbound(ts=AT, sid=sid, from_=PHONE, to=NUMBER, body=body, method="POST", **more)


def reply(*bodies, to=None, sid="SM1", source="reply", status=200, ms=3.2, callback=HERE):
    messages = tuple(OutgoingMessage(body, to, status_callback=callback) for body in bodies)
    return Reply(
        ts=AT, in_reply_to=sid, source=source, http_status=status, ms=ms, messages=messages
    )


def status(word, sid="SM2", *, after=0.0, re="SM1", to=PHONE, **more):
    ts = AT + timedelta(seconds=after)
    return Status(ts=ts, sid=sid, status=word, in_reply_to=re, to=to, **more)


def state(sid, word, *, body, to=PHONE, direction="outbound-api", **more):
    return MessageState(
        ts=AT, sid=sid, direction=direction, from_=NUMBER, to=to, body=body, status=word, **more
    )


def folded(*events, **options):
    inbox = Inbox(**options)
    for event in events:
        inbox.apply(event)
    return inbox


def test_a_message_and_its_reply_are_two_rows():
    """The reply has its text at once, and gets its SID and status from the first callback."""
    inbox = folded(inbound(), reply("You said: hello"))
    before = inbox.rows[1]

    inbox.apply(status("queued"))

    first, second = inbox.rows
    assert (first.direction, first.sid, first.peer, first.body) == ("in", "SM1", PHONE, "hello")
    assert first.words == ("answered 200",)
    assert (before.sid, before.peer, before.words) == (None, PHONE, ("replied",))
    assert (second.sid, second.body, second.words) == ("SM2", "You said: hello", ("queued",))
    assert (inbox.totals.inbound, inbox.totals.outbound) == (1, 1)


def waits_for_app():
    return Problem.of("A17", at=AT, about="SM1", address="127.0.0.1:5000", sid="SM1")


@pytest.mark.parametrize(
    ("events", "words", "failed"),
    [
        ([inbound()], ("received",), False),
        ([inbound(), reply(source="app", ms=37.6)], ("app 200 38ms",), False),
        ([inbound(), reply(source="app", status=405)], ("app 405 3ms",), True),
        ([inbound(opt_out="STOP"), reply("x")], ("opted out",), False),
        ([inbound(opt_out="START")], ("opted in",), False),
        ([inbound(opt_out="HELP")], ("asked for help",), False),
        ([inbound(missed=True)], ("missed",), False),
        ([inbound(missed=True), inbound()], ("received",), False),
        ([inbound(), reply(), inbound(duplicate=True)], ("answered 200", "repeated ×2"), False),  # noqa: RUF001
        ([inbound(), waits_for_app()], ("app down, retrying",), False),
        ([inbound(), waits_for_app(), reply(source="app", ms=9)], ("app 200 9ms",), False),
        (
            [
                inbound(),
                waits_for_app(),
                reply(source="none"),
                Problem.of("T8", at=AT, about="SM1", address="127.0.0.1:5000"),
            ],
            ("app unreachable",),
            True,
        ),
    ],
)
def test_an_inbound_row_says_what_was_done(events, words, failed):
    """In words, and whether it is a trouble."""
    (row,) = [row for row in folded(*events).rows if row.direction == "in"]

    assert (row.words, row.failed) == (words, failed)


CALLBACKS = st.lists(
    st.builds(
        status,
        st.sampled_from(["queued", "sending", "sent", "delivered", "undelivered", "read", "odd"]),
        after=st.integers(0, 30).map(lambda tenths: tenths / 10),
        error_code=st.sampled_from([None, 30003, 30005]),
    ),
    max_size=5,
    unique_by=lambda event: event.status,
)


@given(CALLBACKS, st.sampled_from(sorted(FINAL)), st.data())
def test_the_order_of_callbacks_does_not_matter(others, final, data):
    """Whatever the order in which callbacks come, once or twice, the final row is the same."""
    others = [event for event in others if event.status != final]
    callbacks = [*others, status(final, after=2, error_code=30003)]
    shuffled = data.draw(st.permutations(callbacks))
    again = data.draw(st.lists(st.sampled_from(shuffled), max_size=3))

    expected = folded(inbound(), reply("hi"), *callbacks)
    found = folded(inbound(), reply("hi"), *shuffled, *again)

    assert found.rows == expected.rows
    assert found.totals == expected.totals
    assert found.rows[1].delivery.current == max((e.status for e in callbacks), key=rank)


@given(CALLBACKS, st.data())
def test_the_order_does_not_matter_for_a_message_of_an_app(others, data):
    """Nor for a message that is no reply: its row is as old as its first callback."""
    callbacks = [
        status(event.status, "SM9", after=index, re=None, to=OTHER)
        for index, event in enumerate([*others, status("failed")])
    ]
    shuffled = data.draw(st.permutations(callbacks))

    assert folded(*shuffled).rows == folded(*callbacks).rows


def test_a_callback_never_moves_a_message_back():
    """D2: sent after delivered changes nothing that is seen, and is kept in its way."""
    inbox = folded(inbound(), reply("hi"), status("delivered", after=1), status("sent", after=2))

    row = inbox.row("SM2")

    assert row.words == ("delivered",)
    assert [step.status for step in row.delivery.steps] == ["sent", "delivered"]


def test_callbacks_of_several_replies_find_their_rows_in_order():
    """Callbacks do not say which <Message> they are about: the first SID is the first message."""
    inbox = folded(inbound(), reply("one", "two"), status("queued", "SMa"), status("queued", "SMb"))

    assert [(row.sid, row.body) for row in inbox.rows[1:]] == [("SMa", "one"), ("SMb", "two")]


def test_a_callback_that_overtakes_the_answer_waits_for_its_text():
    """The row is there at once; the answer fills it in and makes no second one."""
    inbox = folded(inbound(), status("sent"), reply("hi"), status("delivered"))

    assert [(row.sid, row.body, row.words) for row in inbox.rows[1:]] == [
        ("SM2", "hi", ("delivered",))
    ]
    assert inbox.totals.outbound == 1


def test_a_callback_without_an_origin_belongs_to_the_oldest_of_the_new_replies():
    """Replies that overlap are told apart by their order."""
    one = folded(inbound(), reply("hi"), status("sent", re=None))
    two = folded(inbound(), reply("hi", "ho"), status("sent", re=None))

    assert [row.body for row in one.rows] == ["hello", "hi"]
    assert [(row.body, row.sid) for row in two.rows[1:]] == [
        ("hi", "SM2"),
        ("ho", None),
    ]


@pytest.mark.parametrize("elsewhere", [None, "https://x.ngrok-free.app/statusx"])
def test_a_callback_is_of_no_reply_that_has_not_asked_for_it(elsewhere):
    """The row of one whose callbacks go elsewhere, or nowhere, never takes those of another."""
    inbox = folded(inbound(), reply("lost", callback=elsewhere))
    for event in (inbound("SM7"), reply("heard", sid="SM7"), status("delivered", re=None)):
        inbox.apply(event)

    assert [(row.body, row.sid) for row in inbox.rows if row.direction == "out"] == [
        ("lost", None),
        ("heard", "SM2"),
    ]


def test_a_callback_may_be_of_a_reply_that_named_no_address():
    """Its Messaging Service has a status callback of its own."""
    inbox = folded(inbound(), reply("hi", callback=None), status("sent", re=None))

    assert [(row.body, row.sid) for row in inbox.rows[1:]] == [("hi", "SM2")]
    assert inbox.totals.outbound == 1


def test_a_repeated_message_does_not_double_its_replies():
    """S8: Twilio came again, and was answered the same."""
    inbox = folded(inbound(), reply("hi"), inbound(duplicate=True), reply("hi"))

    assert len(inbox.rows) == 2
    assert (inbox.totals.inbound, inbox.totals.outbound) == (1, 1)


def test_a_message_of_which_an_earlier_run_knew_is_not_counted():
    """A late callback has a row, but it is no message of this run."""
    inbox = folded(status("delivered", re=None, previous="sent"), inbound("SM7", duplicate=True))

    assert [row.sid for row in inbox.rows] == ["SM2", "SM7"]
    assert (inbox.totals.inbound, inbox.totals.outbound) == (0, 0)


def test_the_state_of_a_message_brings_its_text_and_history():
    """What ``send`` records, and what Twilio's API tells."""
    history = (Step("queued", AT), Step("sent", AT + timedelta(seconds=1)))

    row = folded(state("SM5", "sent", body="Łódź", history=history)).row("SM5")

    assert (row.peer, row.body, row.encoding, row.words) == (PHONE, "Łódź", "UCS-2", ("sent",))
    assert [step.elapsed_ms for step in row.delivery.steps] == [0, 1000]


def test_the_state_of_a_message_is_that_of_a_reply_with_its_text_only():
    """A text to the same number that says something else is another message."""
    inbox = folded(inbound(), reply("hi"), state("SM5", "sent", body="else"))
    inbox.apply(state("SM6", "delivered", body="hi"))

    assert [(row.sid, row.body) for row in inbox.rows[1:]] == [("SM6", "hi"), ("SM5", "else")]


def test_an_inbound_message_known_from_the_api_is_an_inbound_row():
    """Its peer is who sent it."""
    event = state("SM5", "received", body="hey", to=NUMBER, direction="inbound")

    (row,) = folded(event).rows

    assert (row.direction, row.peer) == ("in", NUMBER)


def test_whom_a_reply_is_for_is_learnt_from_its_callbacks():
    """Where the message that it answers is not known, as after a restart."""
    by_callback = folded(reply("hi"), status("sent"))
    by_api = folded(reply("hi"), state("SM2", "sent", body="hi", in_reply_to="SM1"))

    assert [row.peer for row in folded(reply("hi")).rows] == [""]
    assert [row.peer for row in (*by_callback.rows, *by_api.rows)] == [PHONE, PHONE]


def test_the_api_and_callbacks_tell_of_the_same_message():
    """Whoever comes first; a callback for a reply that is known by its text is not lost."""
    inbox = folded(
        status("queued", "SM5", re=None),
        state("SM5", "sent", body="hello"),
        state("SM5", "delivered", body="hello"),
    )

    (row,) = inbox.rows
    assert (row.body, row.words) == ("hello", ("delivered",))
    assert inbox.totals.outbound == 1


def test_texts_and_media_are_measured():
    """Segments of a reply are counted as Twilio will."""
    media = Media("https://example.com/cat.jpg", "image/jpeg")

    rows = folded(inbound(media=(media,), segments=2), reply("é" * 161, "ł" * 71)).rows

    assert [(row.media, row.segments, row.encoding) for row in rows] == [
        (1, 2, "GSM-7"),
        (0, 2, "GSM-7"),
        (0, 2, "UCS-2"),
    ]


def test_what_goes_wrong_is_counted():
    """Failures by message, rejections by request, problems unless they are notes."""
    inbox = folded(
        inbound(),
        reply("hi"),
        status("undelivered", error_code=30003),
        status("undelivered", error_code=30003),
        Rejected(ts=AT, path="/sms", method="POST", reason="unsigned", count=3),
        Problem(ts=AT, id="A11", severity="error", line="…", sid="SM1"),
        Problem(ts=AT, id="D8", severity="note", line="…", sid="SM2"),
    )

    totals = inbox.totals
    assert (totals.failed, totals.rejected, totals.problems) == (1, 3, 1)
    assert [row.failed for row in inbox.rows] == [True, True]
    assert inbox.rows[1].words == ("undelivered", "30003")


def test_only_the_newest_rows_are_kept():
    """The totals know of all; a callback for a row that is gone begins no second message."""
    events = [
        event
        for index in range(30)
        for event in (inbound(f"SM{index}"), reply("hi", sid=f"SM{index}"))
    ]

    inbox = folded(*events, keep=10)
    inbox.apply(Problem(ts=AT, id="A11", severity="error", line="…", sid="SM0"))

    assert [row.sid for row in inbox.rows if row.sid] == [f"SM{index}" for index in range(25, 30)]
    assert (inbox.dropped, inbox.totals.inbound, inbox.totals.outbound) == (50, 30, 30)


def test_replies_are_forgotten_one_by_one():
    """Those that are left still get their callbacks."""
    inbox = folded(inbound(), reply("one", "two", "three"), keep=3)
    inbox.apply(inbound("SM8"))

    inbox.apply(status("queued", "SMa"))

    assert [(row.sid, row.body) for row in inbox.rows] == [
        ("SMa", "two"),
        (None, "three"),
        ("SM8", "hello"),
    ]


def test_twenty_thousand_events_take_no_more_memory_than_a_thousand():
    """A run may last for weeks."""
    inbox = Inbox(keep=50)

    def feed(first, last):
        for index in range(first, last):
            sid = f"SM{index:032x}"
            for event in (
                inbound(sid),
                reply("hi", sid=sid),
                status("sent", f"SN{index:032x}", re=sid),
                status("sent", f"SO{index:032x}", re=None, to=OTHER),
            ):
                inbox.apply(event)
        return len(pickle.dumps(inbox))  # all that it holds on to

    before = feed(0, 250)
    after = feed(250, 5_000)

    assert after < 1.05 * before
