"""Events become JSON records and come back the same; the records are what other programs read."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smsquest_cli import events
from smsquest_cli.events import (
    EVENT_TYPES,
    Inbound,
    MessageState,
    OutgoingMessage,
    Problem,
    Ready,
    Reply,
    SandboxAccount,
    Step,
    from_record,
    timestamp,
    to_record,
)
from smsquest_cli.messages import Media

AT = datetime(2026, 1, 2, 3, 4, 5, 678_000, tzinfo=UTC)
MOMENTS = st.datetimes(timezones=st.just(UTC)).map(
    lambda at: at.replace(microsecond=at.microsecond // 1000 * 1000)
)
for cls in (*EVENT_TYPES.values(), Media, OutgoingMessage, Step, SandboxAccount):
    hints = get_type_hints(cls, {**vars(events), "Media": Media})
    known = {name: MOMENTS for name in ("ts",) if name in hints}
    floats = {"ms": st.floats(0, 1e6)} if "ms" in hints else {}
    st.register_type_strategy(cls, st.builds(cls, **known, **floats))
EVENTS = st.one_of(*(st.from_type(cls) for cls in EVENT_TYPES.values()))


@given(EVENTS)
def test_an_event_comes_back_from_its_record(event):
    """Whatever its type and values, through JSON text."""
    assert from_record(json.loads(json.dumps(to_record(event)))) == event


@given(EVENTS)
def test_a_record_begins_with_version_time_and_type(event):
    """And holds JSON's own types, in the order of the class."""
    record = to_record(event)

    assert list(record)[:3] == ["v", "ts", "type"]
    assert (record["v"], record["type"]) == (1, event.type)
    assert str(record["ts"]).endswith("Z")
    assert json.loads(json.dumps(record)) == record


@given(EVENTS, st.dictionaries(st.text(), st.integers()))
def test_fields_of_a_later_version_are_skipped(event, more):
    """A reader of today reads what a writer of tomorrow adds."""
    record = to_record(event)

    assert from_record({**more, **record, "v": 2}) == event


def test_an_inbound_message_is_recorded_under_twilios_names():
    """``from_`` is ``from``; media are objects, and the defaults are written out."""
    event = Inbound(
        ts=AT,
        sid="SM1",
        from_="+12025550143",
        to="+12025550100",
        body="Hello",
        method="POST",
        media=(Media("https://example.com/a", "image/png"),),
    )

    assert to_record(event) == {
        "v": 1,
        "ts": "2026-01-02T03:04:05.678Z",
        "type": "inbound",
        "sid": "SM1",
        "from": "+12025550143",
        "to": "+12025550100",
        "body": "Hello",
        "method": "POST",
        "media": [{"url": "https://example.com/a", "content_type": "image/png"}],
        "segments": 1,
        "encoding": "GSM-7",
        "signature": "valid",
        "opt_out": None,
        "duplicate": False,
        "missed": False,
    }


def test_what_is_inside_an_event_is_recorded_too():
    """The messages of a reply, the steps of a delivery, the account of a sandbox."""
    reply = Reply(
        ts=AT, in_reply_to="SM1", source="reply", http_status=200, ms=1.5,
        messages=(OutgoingMessage("x", None, ("u",)),),
    )  # fmt: skip
    state = MessageState(
        ts=AT, sid="SM1", direction="outbound-reply", status="sent",
        history=(Step("sent", AT, 7),),
    )  # fmt: skip
    ready = Ready(
        ts=AT, mode="sandbox", pid=1, webhook_url="w", status_url="s", local_url="l",
        sandbox=SandboxAccount("a", "AC1", "+1", "+2"),
    )  # fmt: skip

    assert to_record(reply)["messages"] == [
        {"body": "x", "to": None, "media": ["u"], "status_callback": None}
    ]
    assert to_record(state)["history"] == [
        {"status": "sent", "ts": "2026-01-02T03:04:05.678Z", "elapsed_ms": 7}
    ]
    assert to_record(ready)["sandbox"] == {
        "api_url": "a", "account_sid": "AC1", "number": "+1", "phone": "+2", "auth_token": None,
    }  # fmt: skip
    for event in (reply, state, ready):
        assert from_record(to_record(event)) == event


def test_times_are_written_in_utc_to_the_millisecond():
    """Wherever the clock stands."""
    east = datetime(2026, 1, 2, 3, 4, 5, 999_999, tzinfo=timezone(timedelta(hours=2)))

    assert timestamp(east) == "2026-01-02T01:04:05.999Z"


GOOD = to_record(
    Inbound(ts=AT, sid="SM1", from_="+1", to="+2", body="", method="POST", media=(Media("u"),))
)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"type": "novelty"}, "no such type of record: 'novelty'"),
        ({"type": None}, "no such type"),
        ({"type": ["inbound"]}, "no such type"),
        ({"ts": "yesterday"}, "not a record of type inbound: Invalid isoformat"),
        ({"ts": "2026-01-02T03:04:05"}, "no time zone"),
        ({"ts": 5}, "ts is of type int"),
        ({"sid": None}, "sid is of type NoneType"),
        ({"segments": "1"}, "segments is of type str"),
        ({"duplicate": 1}, "duplicate is of type int"),
        ({"media": None}, "media is of type NoneType"),
        ({"media": "u"}, "media is of type str"),
        ({"media": ["u"]}, "Media expected"),
        ({"media": [{"url": 1}]}, "url is of type int"),
        ({"media": [{}]}, "url"),
    ],
)
def test_what_is_no_record_is_a_value_error(change, words):
    """An unknown type, and a field of the wrong kind, also inside of another."""
    with pytest.raises(ValueError, match=words):
        from_record({**GOOD, **change})


@pytest.mark.parametrize("key", ["ts", "type", "sid", "from", "to", "body", "method"])
def test_a_record_without_what_it_needs_is_a_value_error(key):
    """What has a default may be missing."""
    with pytest.raises(ValueError, match="record"):
        from_record({name: value for name, value in GOOD.items() if name != key})


@pytest.mark.parametrize("key", ["v", "media", "segments", "encoding", "duplicate", "missed"])
def test_a_record_of_an_earlier_version_is_read(key):
    """Fields that came later have their defaults."""
    assert from_record({name: value for name, value in GOOD.items() if name != key}).sid == "SM1"


def test_a_problem_is_made_of_the_catalogue():
    """Its severity and line, unless the place knows better how grave it is."""
    problem = Problem.of("R5", at=AT, about="SM1", count=14)

    assert (problem.id, problem.sid, problem.severity) == ("R5", "SM1", "warning")
    assert problem.line == "14 <Message> verbs; Twilio sends the first 10 (14109)"
    assert Problem.of("R4", at=AT, severity="note").severity == "note"
