"""A message counts as the furthest status it was seen in, however the callbacks arrive."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise, permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smsquest_cli.statuses import FAILURE, FINAL, SUCCESS, Delivery, rank

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
OUTBOUND = [
    "accepted",
    "scheduled",
    "queued",
    "sending",
    "sent",
    "partially_delivered",
    "a status of next year",
    "delivered",
    "canceled",
    "undelivered",
    "failed",
    "read",
]
STATUSES = st.sampled_from([*OUTBOUND, "receiving", "received"]) | st.text(max_size=8)
CODES = st.none() | st.sampled_from([30003, 30005, 30008])
UPDATES = st.lists(st.tuples(STATUSES, CODES), max_size=9)


def delivery_of(updates) -> Delivery:
    delivery = Delivery()
    for seconds, (status, code) in enumerate(updates):
        delivery = delivery.advance(status, at=AT + timedelta(seconds=seconds), error_code=code)
    return delivery


def test_statuses_rank_in_the_order_of_a_life():
    """From accepted to read; what Twilio may add tomorrow ranks below what is final."""
    assert all(rank(before) < rank(after) for before, after in pairwise(OUTBOUND))
    assert rank("receiving") < rank("received")


@given(st.lists(STATUSES, min_size=2, max_size=2, unique=True))
def test_no_two_statuses_have_the_same_rank(pair):
    """The order is total, so no tie is decided by who came first."""
    assert rank(pair[0]) != rank(pair[1])


def test_final_statuses_are_the_successes_and_the_failures():
    """A delivery is over when it succeeded or failed; `sent` and `received` are neither."""
    assert frozenset({"delivered", "read", "failed", "undelivered", "canceled"}) == FINAL
    assert frozenset() == SUCCESS & FAILURE


@given(UPDATES, st.randoms(use_true_random=False))
def test_the_order_of_arrival_does_not_matter(updates, random):
    """Any permutation of the same updates ends in the same status, error and set of statuses."""
    shuffled = list(updates)
    random.shuffle(shuffled)

    one, other = delivery_of(updates), delivery_of(shuffled)

    assert (one.current, one.error_code) == (other.current, other.error_code)
    assert [step.status for step in one.steps] == [step.status for step in other.steps]


@pytest.mark.parametrize("order", [*permutations(["queued", "sent", "undelivered"])])
def test_every_order_of_a_failed_delivery_tells_the_same(order):
    """The textbook case, all six ways."""
    delivery = delivery_of((s, 30003 if s == "undelivered" else None) for s in order)

    assert (delivery.current, delivery.error_code, delivery.final) == ("undelivered", 30003, True)
    assert [step.status for step in delivery.steps] == ["queued", "sent", "undelivered"]


@given(UPDATES, STATUSES, CODES)
def test_the_current_status_never_goes_back(updates, status, code):
    """One more update raises the status or leaves it, and an error once known stays known."""
    before = delivery_of(updates)

    after = before.advance(status, at=AT, error_code=code)

    assert before.current is None or rank(after.current) >= rank(before.current)
    assert before.error_code is None or after.error_code is not None


@given(UPDATES.filter(bool), st.data())
def test_a_repeated_callback_changes_nothing(updates, data):
    """Twilio may send one callback twice; the second leaves even the times alone."""
    delivery = delivery_of(updates)
    status, code = data.draw(st.sampled_from(updates))

    assert delivery.advance(status, at=AT + timedelta(days=1), error_code=code) == delivery


@given(UPDATES)
def test_steps_hold_each_status_once_by_rank(updates):
    """The history is the life of the message, not the order in which it was told."""
    delivery = delivery_of(updates)

    assert [s.status for s in delivery.steps] == sorted({s for s, _ in updates}, key=rank)
    assert all(delivery.saw(status) for status, _ in updates)
    assert delivery.final == (delivery.current in FINAL)


def test_elapsed_time_counts_from_the_earliest_step():
    """A late `sent` shows when it came, and none of the times is negative."""
    delivery = Delivery().advance("delivered", at=AT + timedelta(milliseconds=400))

    delivery = delivery.advance("sent", at=AT + timedelta(milliseconds=1400))
    late = delivery.advance("queued", at=AT)

    assert [step.elapsed_ms for step in delivery.steps] == [1000, 0]
    assert [step.elapsed_ms for step in late.steps] == [0, 1400, 400]


def test_the_error_of_the_graver_status_wins():
    """`failed` says what became of the message; an `undelivered` that comes late does not."""
    delivery = delivery_of([("failed", 30008), ("undelivered", 30003), ("read", None)])

    assert (delivery.current, delivery.error_code) == ("read", 30008)


def test_nothing_is_known_of_a_message_at_first():
    """An empty delivery has no status and is not final."""
    assert (Delivery().current, Delivery().final, Delivery().saw("sent")) == (None, False, False)
