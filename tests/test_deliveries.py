"""Callbacks and polls, in any order, come to one state of each message."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smsquest_cli import statuses
from smsquest_cli.delivery_watch.deliveries import Deliveries
from smsquest_cli.events import Inbound, MessageState, OutgoingMessage, Reply, Status, Step, Stopped

T0 = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
SID = "SM" + "a" * 32
HEARD = "SM" + "1" * 32

STATUSES = sorted(statuses._LEVELS)  # the thirteen of Twilio


def at(seconds):
    return T0 + timedelta(seconds=seconds)


def callback(status, seconds=0.0, *, sid=SID, code=None, re=None):
    return Status(
        ts=at(seconds),
        sid=sid,
        status=status,
        from_="+12025550100",
        to="+12025550143",
        error_code=code,
        in_reply_to=re,
    )


def poll(status, seconds=0.0, *, sid=SID, code=None, body="Hi", history=()):
    return MessageState(
        ts=at(seconds),
        sid=sid,
        direction="outbound-api",
        from_="+12025550100",
        to="+12025550143",
        body=body,
        status=status,
        history=history,
        error_code=code,
        source="poll",
    )


def state_after(*events, sid=SID):
    deliveries = Deliveries()
    for event in events:
        deliveries.apply(event)
    return deliveries.state(sid, at=T0)


def test_callbacks_make_a_history():
    """Each status once, with the time that passed since the first."""
    state = state_after(callback("queued"), callback("sent", 0.4), callback("delivered", 2.1))

    assert (state.status, state.final, state.source) == ("delivered", True, "callback")
    assert [(step.status, step.elapsed_ms) for step in state.history] == [
        ("queued", 0),
        ("sent", 400),
        ("delivered", 2100),
    ]
    assert (state.direction, state.from_, state.to) == (
        "outbound-api",
        "+12025550100",
        "+12025550143",
    )


def test_a_late_callback_moves_nothing_back():
    """After delivered comes sent: still delivered, and the history has both."""
    state = state_after(callback("delivered", 1), callback("sent", 2))

    assert state.status == "delivered"
    assert [step.status for step in state.history] == ["sent", "delivered"]


def test_a_failure_says_why_in_words():
    """The code stays, and the first words of its explanation stand beside it."""
    state = state_after(callback("sent"), callback("undelivered", 1, code=30003))

    assert (state.final, state.error_code, state.error) == (True, 30003, "Handset unreachable")


def test_a_poll_fills_in_what_callbacks_do_not_tell():
    """The body and a lost callback come from Twilio's own record."""
    state = state_after(callback("sent"), poll("delivered", 5, body="Hello"))

    assert (state.status, state.body, state.source) == ("delivered", "Hello", "poll")


def test_the_history_of_a_record_counts():
    """What `send` or Twilio's dates told of earlier statuses is kept."""
    state = state_after(poll("sent", 1, history=(Step("queued", T0), Step("sent", at(1)))))

    assert [step.status for step in state.history] == ["queued", "sent"]


def test_a_reply_gives_its_text_to_the_message():
    """Callbacks have no body; the reply of which they tell has one."""
    reply = Reply(
        ts=T0,
        in_reply_to=HEARD,
        source="reply",
        http_status=200,
        ms=1.0,
        messages=(OutgoingMessage("You said: hi"),),
    )

    state = state_after(reply, callback("sent", re=HEARD))

    assert (state.body, state.direction, state.in_reply_to) == (
        "You said: hi",
        "outbound-reply",
        HEARD,
    )


def test_of_several_replies_no_text_is_guessed():
    """Which <Message> a callback is about is not known, so nothing is claimed."""
    reply = Reply(
        ts=T0,
        in_reply_to=HEARD,
        source="twiml",
        http_status=200,
        ms=1.0,
        messages=(OutgoingMessage("one"), OutgoingMessage("two")),
    )

    assert state_after(reply, callback("sent", re=HEARD)).body is None


def test_an_inbound_message_is_final_when_received():
    """It has no callbacks; it is there."""
    inbound = Inbound(
        ts=T0, sid=SID, from_="+12025550143", to="+12025550100", body="hi", method="POST"
    )

    state = state_after(inbound)

    assert (state.direction, state.status, state.final, state.body) == (
        "inbound",
        "received",
        True,
        "hi",
    )


def test_only_news_is_reported():
    """A doubled callback changes nothing; neither does what is not about a message."""
    deliveries = Deliveries()

    told = [
        deliveries.apply(event)
        for event in (
            callback("sent"),
            callback("sent", 1),
            callback("delivered", 2),
            poll("delivered", 3, body="Hi"),
            Stopped(ts=T0, reason="interrupt"),
        )
    ]

    assert told == [SID, None, SID, SID, None]
    assert list(deliveries) == [SID]
    assert SID in deliveries
    assert deliveries.called_back(SID)


@pytest.mark.parametrize("status", [*STATUSES, "a_status_of_next_year"])
def test_every_status_is_shown_and_six_are_final(status):
    """All thirteen of Twilio's, and those that it may add."""
    state = state_after(callback(status))

    assert state.status == status
    assert state.final == (
        status in {"delivered", "undelivered", "failed", "canceled", "read", "received"}
    )


UPDATES = [
    callback("queued", 0),
    callback("sent", 1),
    callback("sent", 2),
    poll("sent", 3),
    callback("delivered", 4),
]


@pytest.mark.parametrize("count", range(1, len(UPDATES)))
def test_any_order_ends_the_same(count):
    """Late, doubled or lost: with the final callback among them the final row is equal."""
    ends = set()

    for kept in permutations(UPDATES, count):
        order = [*kept, UPDATES[-1]]
        for events in permutations(order, len(order)):
            state = state_after(*events)
            ends.add((state.status, state.final, state.error_code, state.source))

    assert ends == {("delivered", True, None, "callback")}


@given(st.data())
def test_any_updates_in_any_order_end_the_same(data):
    """The final status, code, source and set of statuses do not depend on the order."""
    status = st.sampled_from([*STATUSES, "new_one"])
    code = st.sampled_from([None, 30003, 30005])
    events = data.draw(
        st.lists(
            st.builds(callback, status, st.integers(0, 9), code=code)
            | st.builds(poll, status, st.integers(0, 9), code=code),
            min_size=1,
            max_size=8,
        )
    )
    shuffled = data.draw(st.permutations(events))

    states = [state_after(*order) for order in (events, shuffled)]

    first, second = (
        (s.status, s.final, s.error_code, s.error, s.source, {step.status for step in s.history})
        for s in states
    )
    assert first == second


def test_it_does_not_grow_for_ever():
    """Final messages make room for new ones; one that is on its way is never forgotten."""
    deliveries = Deliveries(keep=10)
    deliveries.apply(callback("sent", sid="SM-pending"))

    for index in range(100):
        deliveries.apply(callback("delivered", sid=f"SM{index}"))
        deliveries.apply(
            Reply(ts=T0, in_reply_to=f"SM{index}", source="none", http_status=200, ms=1.0)
        )

    assert len(deliveries) == 10
    assert [*deliveries][:: len(deliveries) - 1] == ["SM-pending", "SM99"]
