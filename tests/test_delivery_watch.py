"""The event log and Twilio's API together tell what became of each message."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count

import pytest

from smsquest_cli.delivery_watch import Deliveries, DeliveryWatch, Selection
from smsquest_cli.delivery_watch.poll import LIST_LIMIT, state_of
from smsquest_cli.eventlog import LogEntry, open_log
from smsquest_cli.events import MessageState, Problem, Reply, Status
from smsquest_cli.problems import CredentialsError, ExpectationError, TwilioRefusedError
from smsquest_cli.twilio_api import SentMessage

NUMBER, PHONE = "+12025550100", "+12025550143"
SID, OTHER = "SM" + "a" * 32, "SM" + "b" * 32
RECENT = timedelta(minutes=10)


def now():
    return datetime.now(UTC)


def callback(status, *, sid=SID, ago=0.0, code=None):
    at = now() - timedelta(seconds=ago)
    return Status(ts=at, sid=sid, status=status, from_=NUMBER, to=PHONE, error_code=code)


def sent_message(status, *, sid=SID, ago=0.0, code=None, direction="outbound-api"):
    """A message as the gateway gives it."""
    at = now() - timedelta(seconds=ago)
    return SentMessage(
        sid=sid,
        direction=direction,
        from_=NUMBER,
        to=PHONE,
        body="Hi",
        status=status,
        error_code=code,
        service_sid=None,
        created=at,
        updated=at,
        sent=None,
    )


class Twilio:
    """The gateway's two questions; answers are the script's, the last one for ever."""

    def __init__(self, *answers, listed=()):
        self.asked, self.numbers = [], []
        self._answers = list(answers)
        self._listed = self.listed_later = listed

    def message(self, sid):
        return self._answer(
            sid, lambda: self._answers.pop(0) if self._answers[1:] else self._answers[0]
        )

    def messages(self, *, since, limit, **number):
        del since
        self.numbers.append(number)
        listed, self._listed = self._listed, self.listed_later
        return self._answer(f"list {limit}", lambda: listed)

    def _answer(self, question, answer):
        self.asked.append(question)
        told = answer()
        if isinstance(told, Exception):
            raise told
        return told


class Shown(list):
    """A view that remembers what the watch showed."""

    def __init__(self):
        super().__init__()
        self.changed = threading.Condition()

    def show(self, batch):
        with self.changed:
            self += batch
            self.changed.notify_all()

    def due(self):
        return None

    def refresh(self):
        """Nothing was put off."""

    @property
    def statuses(self):
        return [event.status for event in self if isinstance(event, MessageState)]

    @property
    def problems(self):
        return [event.id for event in self if isinstance(event, Problem)]

    def wait_for(self, what):
        """Until a status or the id of a problem is among what was shown."""
        with self.changed:
            assert self.changed.wait_for(lambda: what in [*self.statuses, *self.problems], 10)


@pytest.fixture
def log(tmp_path):
    opened = open_log(tmp_path / "events.sqlite3", run="r1")
    yield opened
    opened.close()


@pytest.fixture
def shown():
    return Shown()


def watching(log, shown, *, twilio=None, sids=(), number=None, interval=0.02, **more):
    selection = Selection(since=now() - RECENT, sids=frozenset(sids), number=number)
    return DeliveryWatch(selection, log=log, twilio=twilio, view=shown, interval=interval, **more)


def record(log, *events):
    log.append(*map(LogEntry, events))


def test_once_shows_each_message_once_as_it_stands(log, shown):
    """One state a message, the oldest first, with its whole history."""
    record(log, callback("sent", ago=2), callback("sent", sid=OTHER), callback("delivered"))

    watching(log, shown).once()

    assert [(state.sid, state.status) for state in shown] == [(SID, "delivered"), (OTHER, "sent")]
    assert [step.status for step in shown[0].history] == ["sent", "delivered"]


def test_once_asks_about_what_is_not_final_and_about_nothing_else(log, shown):
    """A delivered message costs no request."""
    record(log, callback("delivered"), callback("sent", sid=OTHER))
    twilio = Twilio(sent_message("delivered", sid=OTHER))

    watching(log, shown, twilio=twilio).once()

    assert twilio.asked == [f"list {LIST_LIMIT}", OTHER]
    assert {state.sid: (state.status, state.source) for state in shown} == {
        SID: ("delivered", "callback"),
        OTHER: ("delivered", "poll"),
    }


def test_a_message_that_only_twilio_knows_is_found(log, shown):
    """Sent by any app or the Console: it is on Twilio's list, with the history its dates tell."""
    twilio = Twilio(listed=[sent_message("delivered", ago=9)])

    watching(log, shown, twilio=twilio).once()

    assert twilio.asked == [f"list {LIST_LIMIT}"]
    assert shown.statuses == ["delivered"]
    assert [step.status for step in shown[0].history] == ["queued", "delivered"]
    assert (shown[0].body, shown[0].source) == ("Hi", "poll")


def test_inbound_messages_are_not_deliveries(log, shown):
    """They are shown where they are asked for by SID."""
    heard = sent_message("received", direction="inbound")

    watching(log, shown, twilio=Twilio(listed=[heard])).once()
    assert shown == []

    watching(log, shown, twilio=Twilio(heard), sids=[SID]).once()
    assert [(state.direction, state.final) for state in shown] == [("inbound", True)]


def test_only_the_messages_of_the_number_are_shown(log, shown):
    """--number leaves the others out, whoever told of them."""
    record(log, callback("sent"))

    watching(log, shown, number="+12025550999").once()
    watching(log, shown, number=NUMBER).once()

    assert shown.statuses == ["sent"]


def test_twilio_is_asked_for_both_directions_of_a_number(log, shown):
    """Its list knows a sender or a recipient, not "either"."""
    twilio = Twilio(listed=[sent_message("delivered")])

    watching(log, shown, twilio=twilio, number=PHONE).once()

    assert twilio.numbers == [{"from_": PHONE}, {"to": PHONE}]
    assert shown.statuses == ["delivered"]


def test_a_callback_that_comes_while_the_past_is_read_is_not_lost(log, shown):
    """The text of a reply stands with its message, so there are two things to read."""
    heard = "SM" + "2" * 32
    reply = Reply(ts=now(), in_reply_to=heard, source="reply", http_status=200, ms=1)
    record(log, reply, replace(callback("sent"), in_reply_to=heard))

    class Busy:
        """The log; a callback is recorded right before the second reading."""

        def __getattr__(self, name):
            return getattr(log, name)

        def read(self, after, **options):
            if options.get("sids") == [heard]:
                record(log, callback("delivered"))
            return log.read(after, **options)

    watching(Busy(), shown, sids=[SID]).follow(until="delivered", timeout=10)

    assert shown.statuses[-1] == "delivered"


def test_older_messages_are_not_shown_unless_named(log, shown):
    """--since bounds what is looked at; a SID is a SID."""
    record(log, callback("delivered", ago=3600))

    watching(log, shown).once()
    assert shown == []

    watching(log, shown, sids=[SID]).once()
    assert shown.statuses == ["delivered"]


def test_following_shows_a_callback_at_once(log, shown, tmp_path):
    """Within 250 ms of the callback, also when another process recorded it."""
    watch = watching(log, shown)
    thread = threading.Thread(target=lambda: watch.follow(until="final", timeout=20), daemon=True)
    thread.start()
    serve = open_log(tmp_path / "events.sqlite3", run="r2")
    record(serve, callback("sent"))
    shown.wait_for("sent")

    delays = []
    for status in ("partially_delivered", "delivered"):
        started = time.monotonic()
        record(serve, callback(status))
        shown.wait_for(status)
        delays.append(time.monotonic() - started)

    assert min(delays) < 0.25  # a busy machine may take its time once
    thread.join(10)
    serve.close()
    assert shown.statuses == ["sent", "partially_delivered", "delivered"]


@pytest.mark.parametrize(
    ("until", "status"), [("final", "delivered"), ("delivered", "read"), ("sent", "sent")]
)
def test_until_is_reached(log, shown, until, status):
    """It returns, and shows no more than there was."""
    record(log, callback("queued"), callback(status))

    watching(log, shown).follow(until=until, timeout=10)

    assert shown.statuses == [status]


@pytest.mark.parametrize("status", ["failed", "undelivered", "canceled"])
@pytest.mark.parametrize("until", ["final", "sent", "delivered"])
def test_until_is_not_reached_by_a_failure(log, shown, until, status):
    """What failed is said, with its code and cause, in the exit code too."""
    record(log, callback(status, code=30003))

    with pytest.raises(ExpectationError) as caught:
        watching(log, shown).follow(until=until, timeout=10)

    assert caught.value.exit_code == 8
    assert caught.value.id == "E3"
    assert f"SMaa…aa is {status} (30003): Handset unreachable" in caught.value.line
    assert shown.statuses == [status]


def test_until_waits_for_all_messages(log, shown):
    """One failure does not hide what becomes of the rest."""
    record(log, callback("failed"), callback("sent", sid=OTHER))
    watch = watching(log, shown)
    errors = []

    def follow():
        with pytest.raises(ExpectationError) as caught:
            watch.follow(until="delivered", timeout=20)
        errors.append(caught.value.id)

    thread = threading.Thread(target=follow, daemon=True)
    thread.start()
    shown.wait_for("sent")
    record(log, callback("delivered", sid=OTHER))
    thread.join(10)

    assert errors == ["E3"]
    assert shown.statuses == ["failed", "sent", "delivered"]


def test_until_waits_for_what_only_twilio_knows(log, shown):
    """All that the log tells may be final, and a message of somebody else still on its way."""
    record(log, callback("delivered"))
    twilio = Twilio(listed=[sent_message("sent", sid=OTHER)])
    twilio.listed_later = [sent_message("delivered", sid=OTHER)]

    watching(log, shown, twilio=twilio).follow(until="final", timeout=20)

    assert shown.statuses == ["delivered", "sent", "delivered"]


def test_a_time_out_says_how_far_it_got(log, shown):
    """What was waited for, how long, and what there is instead."""
    record(log, callback("sent"))

    with pytest.raises(ExpectationError) as caught:
        watching(log, shown).follow(until="delivered", timeout=0.05)
    assert caught.value.line == "not delivered within 0.05 s: SMaa…aa is sent"

    with pytest.raises(ExpectationError) as caught:
        watching(log, shown, sids=[OTHER]).follow(until="final", timeout=0.05)
    assert caught.value.line == "not final within 0.05 s: no message"


def test_following_without_a_goal_ends_with_the_time(log, shown):
    """Nothing was expected, so nothing failed."""
    record(log, callback("sent"))

    watching(log, shown).follow(timeout=0.05)

    assert shown.statuses == ["sent"]


def test_a_lost_callback_is_made_up_for_by_asking(log, shown):
    """After some patience Twilio is asked about a message that callbacks left hanging."""
    record(log, callback("sent"))
    twilio = Twilio(sent_message("sent"), sent_message("delivered"))

    watching(log, shown, twilio=twilio).follow(until="final", timeout=20)

    assert [(state.status, state.source) for state in shown if isinstance(state, MessageState)] == [
        ("sent", "callback"),
        ("sent", "callback"),  # now with its text
        ("delivered", "poll"),
    ]
    assert shown[-1].body == "Hi"
    assert shown.problems == []


def test_a_final_message_is_not_asked_about(log, shown):
    """Polite: only what is not final costs requests."""
    record(log, callback("delivered"))
    twilio = Twilio(sent_message("delivered"))

    watching(log, shown, twilio=twilio, sids=[SID]).follow(timeout=0.5)

    assert twilio.asked.count(SID) <= 1


def test_without_callbacks_it_says_that_it_asks_and_how_to_get_some(log, shown):
    """D4: once, with the address at which callbacks would come in."""
    twilio = Twilio(sent_message("sent"), listed=[sent_message("sent")])
    url = "https://abc.ngrok-free.app/status"

    watching(log, shown, twilio=twilio, status_url=url).follow(timeout=1.5)

    assert shown.problems == ["D4"]
    note = next(event for event in shown if isinstance(event, Problem))
    assert (note.sid, note.severity) == (SID, "note")
    assert url in note.line


def test_a_message_just_sent_may_take_its_time_to_call_back(log, shown):
    """The log knows it from `send`; its callbacks may be on their way."""
    record(log, state_of(sent_message("queued"), at=now()))
    twilio = Twilio(sent_message("queued"))

    watching(log, shown, twilio=twilio, interval=60).once()

    assert shown.problems == []


def test_long_sent_is_explained(log, shown):
    """D1: after five minutes at sent, once."""
    record(log, callback("sent", ago=361))

    watching(log, shown).follow(timeout=0.5)

    assert shown.problems == ["D1"]
    assert '"sent" for 6 min' in shown[-1].line


def test_an_outage_is_said_once_and_waited_out(log, shown):
    """429 and 5xx: the watch goes on, asks more rarely, and hears of the end."""
    record(log, callback("sent"))
    busy = TwilioRefusedError("W3", status=429, action="fetch the message")
    twilio = Twilio(busy, busy, sent_message("delivered"), listed=[])

    watching(log, shown, twilio=twilio).follow(until="final", timeout=20)

    assert shown.problems == ["W3"]
    assert shown.statuses[-1] == "delivered"
    assert twilio.asked.count(SID) == 3


def test_without_credentials_the_log_goes_on_alone(log, shown):
    """A refusal for good is a warning; callbacks still come."""
    record(log, callback("sent"))
    refusal = CredentialsError("C2", what="Twilio rejected AC12…9f (20003)", source="environment")
    twilio = Twilio(refusal, listed=refusal)

    watch = watching(log, shown, twilio=twilio)
    thread = threading.Thread(target=lambda: watch.follow(until="final", timeout=20), daemon=True)
    thread.start()
    shown.wait_for("C2")
    record(log, callback("delivered"))
    thread.join(10)

    assert shown.statuses[-1] == "delivered"
    assert shown.problems == ["C2"]
    assert len(twilio.asked) == 1


@pytest.mark.parametrize("way", ["once", "follow"])
def test_where_twilio_is_the_only_source_its_refusal_ends_the_watch(shown, way):
    """There is nothing else to go on with."""
    refusal = CredentialsError("C2", what="Twilio rejected AC12…9f (20003)", source="environment")

    with pytest.raises(CredentialsError):
        getattr(watching(None, shown, twilio=Twilio(listed=refusal)), way)()


def test_twilio_alone_is_a_source(shown):
    """--source twilio: without an event log."""
    twilio = Twilio(sent_message("queued"), sent_message("sent"), sent_message("delivered"))

    watching(None, shown, twilio=twilio, sids=[SID]).follow(until="final", timeout=20)

    assert shown.statuses == ["queued", "sent", "delivered"]
    assert shown.problems == []


def test_an_idle_watch_costs_next_to_nothing(log, shown):
    """Less than half a percent of a core while nothing happens."""
    record(log, callback("delivered"))
    twilio = Twilio(listed=[])
    watch = watching(log, shown, twilio=twilio, interval=5)
    costs = []
    while not costs or (costs[-1] >= 0.02 and len(costs) < 4):  # other threads may be at work
        before = time.process_time()
        watch.follow(timeout=2)
        costs.append(time.process_time() - before)

    assert min(costs) < 0.01 + 0.005 * 2


def test_it_does_not_grow_for_ever(log, shown, monkeypatch):
    """What is final makes room for what is new; what is under way stays."""
    monkeypatch.setattr("smsquest_cli.delivery_watch.watch.KEEP", 5)
    watch = watching(log, shown)
    watch._deliveries = Deliveries(keep=10)
    record(log, callback("sent"))
    record(log, *[callback("delivered", sid=f"SM{index:032x}") for index in range(50)])

    watch.follow(timeout=0.05)

    assert SID in watch._states
    assert len(watch._states) == 10


def test_a_hundred_messages_are_not_asked_about_one_by_one(log, shown):
    """The list answers for all of them."""
    sids = [f"SM{index:032x}" for index in range(100)]
    record(log, *[callback("sent", sid=sid) for sid in sids])
    listed = [sent_message("delivered", sid=sid) for sid in sids]
    twilio = Twilio(sent_message("sent"), listed=listed)

    watching(log, shown, twilio=twilio).follow(until="final", timeout=20)

    assert twilio.asked == [f"list {LIST_LIMIT}"]


def test_what_twilios_dates_tell():
    """A message first seen when it is delivered still has a beginning and a middle."""
    ticks = count()
    at = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    created, sent, updated = (at + timedelta(seconds=next(ticks)) for _ in range(3))
    message = replace(
        sent_message("delivered"),
        created=created,
        sent=sent,
        updated=updated,
        service_sid="MG" + "1" * 32,
    )

    state = state_of(message, at=at + RECENT)

    assert [(step.status, step.ts) for step in state.history] == [
        ("accepted", created),
        ("sent", sent),
    ]
    assert state.ts == updated
    known = state_of(message, at=at + RECENT, known_since=at)
    assert (known.history, known.ts) == ((), updated)
    late = updated + timedelta(seconds=0.5)  # by our clock; Twilio's dates have no fractions
    assert state_of(message, at=at + RECENT, known_since=late).ts == late
