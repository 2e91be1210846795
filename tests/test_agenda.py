"""Twilio is asked politely: what is settled never, what is quiet ever more rarely."""

from __future__ import annotations

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smsquest_cli.delivery_watch.agenda import LISTING, LONGEST_WAIT, Agenda, Inquiry


def test_a_message_is_asked_for_when_it_is_due_and_not_before():
    """`expect` says when; until then there is nothing to ask."""
    agenda = Agenda(interval=5, now=0, listing=False)

    agenda.expect("SM1", at=3)

    assert agenda.next(2.9) is None
    assert agenda.wait(1) == 2
    assert agenda.next(3) == "SM1"


def test_a_settled_message_is_not_asked_for_again():
    """Of a final message nothing more is to be learnt."""
    agenda = Agenda(interval=5, now=0, listing=False)
    agenda.expect("SM1", at=0)

    agenda.settle("SM1")

    assert agenda.next(100) is None
    assert agenda.wait(100) is None


def test_a_callback_puts_the_question_off():
    """While callbacks come there is nothing to ask."""
    agenda = Agenda(interval=5, now=0, listing=False)
    agenda.expect("SM1", at=1)

    agenda.expect("SM1", at=16)

    assert agenda.next(15) is None
    assert agenda.next(16) == "SM1"


def test_without_news_the_questions_become_rare_and_with_news_frequent_again():
    """The time between two questions grows to a bound; a change brings it back to the interval."""
    agenda = Agenda(interval=5, now=0, listing=False)
    agenda.expect("SM1", at=0)
    now, waits = 0.0, []

    for _ in range(10):
        agenda.answered("SM1", news=False, now=now)
        waits.append(agenda.wait(now))
        now += waits[-1]
    agenda.answered("SM1", news=True, now=now)

    assert waits == sorted(waits)
    assert waits[0] > 5
    assert waits[-1] == LONGEST_WAIT
    assert agenda.wait(now) == 5


def test_many_messages_are_asked_for_at_once():
    """One list in the place of many requests; what it does not answer is asked for singly."""
    agenda = Agenda(interval=5, now=0, listing=True)
    for index in range(20):
        agenda.expect(f"SM{index}", at=0)

    assert agenda.next(0) == LISTING
    agenda.answered(LISTING, news=True, now=0)
    for index in range(13):
        agenda.answered(f"SM{index}", news=False, now=0)
    assert agenda.next(0) == "SM13"


def test_a_failure_stops_all_questions_for_a_while_that_doubles():
    """429 and 5xx mean: later. An answer ends it."""
    agenda = Agenda(interval=5, now=0, listing=True)

    pauses = [agenda.failed(now=0) for _ in range(6)]

    assert pauses == [10, 20, 40, 60, 60, 60]
    assert agenda.next(59) is None
    assert agenda.wait(10) == 50
    assert agenda.next(60) == LISTING
    agenda.answered(LISTING, news=True, now=60)
    assert agenda.failed(now=60) == 10


@given(
    st.lists(
        st.tuples(st.sampled_from("abcdefgh"), st.floats(0, 100), st.booleans(), st.booleans())
    ),
    st.booleans(),
)
def test_nothing_is_asked_more_often_than_the_interval(steps, listing):
    """Whatever happens, two askings of one question are an interval apart."""
    agenda = Agenda(interval=5, now=0, listing=listing)
    now, asked = 0.0, {}

    for name, passed, news, fails in steps:
        now += passed
        agenda.expect(name, at=now) if name not in asked else None
        question = agenda.next(now)
        if question is None:
            continue
        assert now - asked.get(question, -5) >= 5 - 1e-9
        asked[question] = now
        if fails:
            agenda.failed(now=now)
            asked[question] = now
        else:
            agenda.answered(question, news=news, now=now)


def test_an_inquiry_answers_without_making_anybody_wait():
    """The call runs in a thread of its own; its answer is there when it is there."""
    inquiry, gate = Inquiry(), threading.Event()

    inquiry.ask("SM1", lambda: gate.wait(10))

    assert inquiry.answer() is None
    assert inquiry.pending
    gate.set()
    assert inquiry.answer(timeout=10) == ("SM1", True)
    assert not inquiry.pending
    assert inquiry.answer() is None


def test_an_inquiry_raises_where_the_answer_is_taken():
    """A failure in the thread reaches the one who asked, and the next question is answered."""
    inquiry = Inquiry()

    inquiry.ask("SM1", lambda: 1 / 0)

    with pytest.raises(ZeroDivisionError):
        inquiry.answer(timeout=10)
    inquiry.ask("SM2", lambda: 2)
    assert inquiry.answer(timeout=10) == ("SM2", 2)
