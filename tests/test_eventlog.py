"""Whatever was recorded is there, once, in its order; for any thread, process and power cut."""

from __future__ import annotations

import errno
import os
import signal
import sqlite3
import stat
import subprocess
import sys
import textwrap
import threading
import time
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import permutations
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from smsquest_cli.eventlog import LogEntry, database, open_log, queries, sqlite_log
from smsquest_cli.events import (
    Inbound,
    MessageState,
    OutgoingMessage,
    Problem,
    Rejected,
    Reply,
    Status,
    Step,
    Stopped,
)
from smsquest_cli.problems import LocalError, UsageError
from smsquest_cli.wire import Request

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
SID = "SM" + "1" * 32
PHONE, NUMBER = "+12025550143", "+12025550100"
REQUEST = Request(
    "POST",
    "https://quest.example/sms?x=%20y",
    (("Host", "quest.example"), ("X-Twilio-Signature", "abc=")),
    b"Body=\xff\x00&From=%2B1",
)


def inbound(sid=SID, *, at=AT, **fields):
    fields = {"from_": PHONE, "to": NUMBER, "body": "hello", **fields}
    return Inbound(ts=at, sid=sid, method="POST", **fields)


def status(value, sid=SID, *, at=AT, **fields):
    return Status(ts=at, sid=sid, status=value, from_=NUMBER, to=PHONE, **fields)


def reply(sid=SID, *, at=AT):
    return Reply(
        ts=at,
        in_reply_to=sid,
        source="reply",
        http_status=200,
        ms=1.5,
        messages=(OutgoingMessage("hi"),),
    )


def events_of(log, after=0, **filters):
    return [stored.event for stored in log.read(after, **filters).events]


@contextmanager
def opened(path, **options):
    with closing(open_log(path, **{"run": "run", **options})) as log:
        yield log


@pytest.fixture
def path(tmp_path):
    return tmp_path / "state" / "events.sqlite3"


@pytest.fixture
def log(path):
    with opened(path) as log:
        yield log


# Recording and reading


def test_events_come_back_in_the_order_in_which_they_were_recorded(log):
    """A reader gets what was appended, at growing positions, and a cursor to read on from."""
    first, second = inbound(), reply()
    recorded = log.append(LogEntry(first, REQUEST), LogEntry(second))

    batch = log.read(0)

    assert recorded == (first, second)
    assert [stored.event for stored in batch.events] == [first, second]
    assert [(s.position, s.run, s.has_request) for s in batch.events] == [
        (1, "run", True),
        (2, "run", False),
    ]
    assert batch.cursor == log.head() == 2
    assert log.read(batch.cursor).events == ()


def test_a_slow_reader_catches_up_in_batches(log):
    """A limit bounds a batch, and its cursor leads to the next; nothing is left out."""
    log.append(*[LogEntry(inbound(f"SM{number:032}")) for number in range(25)])

    seen, cursor = [], 0
    while (batch := log.read(cursor, limit=10)).events:
        seen += batch.events
        cursor = batch.cursor

    assert [stored.position for stored in seen] == list(range(1, 26))


TEXTS = st.text(max_size=20) | st.text(st.characters(), max_size=5)  # lone surrogates too
MOMENTS = st.datetimes(
    min_value=datetime(1970, 1, 2),  # noqa: DTZ001 - made aware by the strategy
    max_value=datetime(2100, 1, 1),  # noqa: DTZ001
    timezones=st.just(UTC),
).map(lambda at: at.replace(microsecond=at.microsecond // 1000 * 1000))
EVENTS = st.one_of(
    st.builds(inbound, TEXTS.filter(bool), at=MOMENTS, body=TEXTS, from_=TEXTS, to=TEXTS),
    st.builds(reply, TEXTS, at=MOMENTS),
    st.builds(Rejected, ts=MOMENTS, path=TEXTS, method=TEXTS, reason=TEXTS, hint=TEXTS),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(EVENTS, max_size=4))
def test_any_event_comes_back_as_it_was(log, news):
    """Every character that can come in a webhook survives the way to the disk and back."""
    before = log.head()

    recorded = log.append(*[LogEntry(event) for event in news])

    assert tuple(events_of(log, before)) == recorded


def test_the_raw_request_is_kept_byte_for_byte(log):
    """What is replayed is what came: method, URL, headers and body."""
    log.append(LogEntry(inbound(), REQUEST))

    assert log.request_of(SID) == REQUEST
    assert log.request_of("SM" + "9" * 32) is None


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(st.from_regex(r"[A-Za-z-]+", fullmatch=True), st.text(max_size=9)))
def test_any_headers_are_kept(log, headers):
    """Whatever a header holds comes back in its place; of a line end a blank is left."""
    sid = f"SM{log.head()}"
    log.append(LogEntry(inbound(sid), replace(REQUEST, headers=tuple(headers.items()))))

    kept = [(name, value.replace("\n", " ")) for name, value in headers.items()]
    assert log.request_of(sid).headers == tuple(kept)


def test_the_request_of_a_message_is_twilios_own_and_of_callbacks_the_newest(log):
    """A replay does not take the place of the original; a delivery is told by its last callback."""
    again = replace(REQUEST, body=b"edited")
    log.append(LogEntry(inbound(), REQUEST), LogEntry(inbound(), again))
    last = replace(REQUEST, body=b"last")
    log.append(LogEntry(status("sent", "SM2"), REQUEST), LogEntry(status("delivered", "SM2"), last))
    log.append(
        LogEntry(status("delivered", "SM2"), again), LogEntry(status("edited", "SM2"), again)
    )

    assert log.request_of(SID) == REQUEST
    assert log.request_of("SM2") == last


# What Twilio repeats


def test_a_message_that_comes_again_is_a_duplicate(log):
    """The first is the message, whoever sends it again; a message found by backfill was none."""
    log.append(LogEntry(inbound("SM9", missed=True)))

    first, second = log.append(LogEntry(inbound()), LogEntry(inbound()))
    (late,) = log.append(LogEntry(inbound("SM9")))

    assert (first.duplicate, second.duplicate, late.duplicate) == (False, True, False)


def test_a_status_is_told_what_it_changes(log):
    """Each callback knows the status before and now, and the time since the first."""
    log.append(LogEntry(status("queued", in_reply_to="SM0")))
    later = AT + timedelta(seconds=2)

    (sent,) = log.append(LogEntry(status("sent", at=later)))

    assert (sent.previous, sent.current, sent.stale, sent.duplicate) == (
        "queued",
        "sent",
        False,
        False,
    )
    assert (sent.elapsed_ms, sent.in_reply_to) == (2000, "SM0")


def test_a_late_status_moves_nothing_back(log):
    """`sent` after `delivered` is stale, not a duplicate, and the message stays delivered."""
    log.append(LogEntry(status("delivered")))

    (late,) = log.append(LogEntry(status("sent")))

    assert (late.previous, late.current, late.stale) == ("delivered", "delivered", True)
    assert not late.duplicate


def test_a_callback_that_comes_again_is_a_duplicate(log):
    """A callback is told by SID and status together: the next status is none."""
    first, again, other = log.append(*map(LogEntry, map(status, ("sent", "sent", "delivered"))))

    assert (first.duplicate, again.duplicate, other.duplicate) == (False, True, False)
    assert not again.stale


def test_a_message_that_was_sent_is_where_its_callbacks_begin(log):
    """What `send` recorded counts as the status before the first callback, and repeats none."""
    step = Step("queued", AT)
    sent = MessageState(ts=AT, sid=SID, direction="outbound-api", status="queued", history=(step,))
    log.append(LogEntry(sent))

    queued, delivered = log.append(
        LogEntry(status("queued", at=AT + timedelta(seconds=1))),
        LogEntry(status("delivered", at=AT + timedelta(seconds=3))),
    )

    assert (queued.duplicate, queued.previous, queued.stale) == (False, "queued", False)
    assert (delivered.previous, delivered.elapsed_ms) == ("queued", 3000)


@pytest.mark.parametrize("order", [*permutations(("queued", "sent", "undelivered"))])
def test_the_order_of_callbacks_does_not_matter(log, order):
    """However they arrive, the delivery that they make is the same."""
    for value in order:
        log.append(LogEntry(status(value, error_code=30003 if value == "undelivered" else None)))

    recorded = [stored.event for stored in log.read(0).events]
    assert recorded[-1].current == "undelivered"
    assert [event.status for event in recorded] == [*order]
    assert recorded[order.index("undelivered")].error_code == 30003


def test_a_clock_that_was_set_back_breaks_nothing(log):
    """Order is that of recording, times since the first are never negative."""
    before = AT - timedelta(days=1)
    _, sent = log.append(LogEntry(status("queued")), LogEntry(status("sent", at=before)))

    assert sent.elapsed_ms == 0
    assert [event.status for event in events_of(log)] == ["queued", "sent"]


def test_what_another_process_recorded_counts(path, log):
    """Two processes, one log: a status that the other recorded is the one before."""
    with opened(path, run="other") as other:
        log.append(LogEntry(status("queued", in_reply_to="SM0")))
        other.append(LogEntry(status("sent")))
        (delivered,) = log.append(LogEntry(status("delivered")))
        (again,) = other.append(LogEntry(status("delivered")))

    assert (delivered.previous, again.previous) == ("sent", "delivered")
    assert again.duplicate
    assert again.in_reply_to == "SM0"


def test_much_more_is_known_than_is_remembered(log, monkeypatch):
    """A message that fell out of memory is read again from the disk."""
    monkeypatch.setattr("smsquest_cli.eventlog.sqlite_log.KEEP_KNOWN", 3)
    log.append(LogEntry(status("sent")))
    log.append(*[LogEntry(inbound(f"SM{number}")) for number in range(10)])

    (again,) = log.append(LogEntry(status("sent")))

    assert again.duplicate


# Filters

SIDS = ["SM" + letter * 32 for letter in "ab"]
PEOPLE = [PHONE, NUMBER, "+12025550199"]
MIXED = st.lists(
    st.tuples(
        st.sampled_from(["inbound", "reply", "status", "problem", "rejected"]),
        st.sampled_from(SIDS),
        st.sampled_from(PEOPLE),
        st.sampled_from(PEOPLE),
        st.integers(-5, 5),
        st.booleans(),
    ),
    max_size=12,
)
FILTERS = st.fixed_dictionaries(
    {},
    optional={
        "types": st.sets(st.sampled_from(["inbound", "reply", "problem", "rejected", "stopped"])),
        "sids": st.sets(st.sampled_from([*SIDS, "SM0"])),
        "since": st.integers(-6, 6).map(lambda seconds: AT + timedelta(seconds=seconds)),
        "number": st.sampled_from(PEOPLE),
        "run": st.sampled_from(["run", "other"]),
    },
)


def made(kind, sid, sender, recipient, seconds):
    at = AT + timedelta(seconds=seconds)
    match kind:
        case "inbound":
            return inbound(sid, at=at, from_=sender, to=recipient)
        case "reply":
            return reply(sid, at=at)
        case "status":
            return replace(status("sent", sid, at=at), from_=sender, to=recipient)
        case "problem":
            return Problem(ts=at, id="R1", severity="note", line="!", sid=sid)
    return Rejected(ts=at, path="/sms", method="POST", reason="unsigned")


def fits(stored, numbers, *, types=None, sids=None, since=None, number=None, run=None):
    event = stored.event
    sid = getattr(event, "sid", getattr(event, "in_reply_to", None))
    return (
        (types is None or event.type in types)
        and (sids is None or sid in sids)
        and (since is None or event.ts >= since)
        and (run is None or stored.run == run)
        and (number is None or number in numbers[stored.position])
    )


@settings(max_examples=60)
@given(MIXED, FILTERS, st.integers(1, 5))
def test_a_filter_finds_exactly_what_fits(tmp_path_factory, mixed, filters, limit):
    """Filters combine; read in batches of any size they give what fits, and nothing twice."""
    path = tmp_path_factory.mktemp("log") / "events.sqlite3"
    numbers, known = {}, {}
    with opened(path) as log, opened(path, run="other") as other:
        for position, (kind, sid, sender, recipient, seconds, ours) in enumerate(mixed, start=1):
            (log if ours else other).append(LogEntry(made(kind, sid, sender, recipient, seconds)))
            if kind in ("inbound", "status"):
                known.setdefault(sid, (sender, recipient))
            numbers[position] = known.get(sid, ()) if kind != "rejected" else ()

        found, cursor = [], 0
        while (batch := log.read(cursor, limit=limit, **filters)).cursor != cursor:
            found += batch.events
            cursor = batch.cursor

        assert found == [s for s in log.read(0).events if fits(s, numbers, **filters)]


@pytest.mark.parametrize(
    "wanted",
    [
        queries.Filter(),
        queries.Filter(run="run", since=1),
        queries.Filter(types={"inbound", "status"}),
        queries.Filter(types={"rejected", "problem"}),
        queries.Filter(number=PHONE, types={"inbound"}),
        queries.Filter(sids={SID}, number=PHONE, since=1),
    ],
)
def test_no_query_reads_the_whole_log(log, wanted):
    """A million rows stay fast: each query walks an index in its order and stops at its limit."""
    query, values = queries.select(wanted, 5, 10)

    plan = [row[3] for row in log._reader.execute(f"EXPLAIN QUERY PLAN {query}", values)]

    assert not any(step.startswith("SCAN") for step in plan)
    assert wanted.sids is not None or not any("TEMP B-TREE" in step for step in plan)


def test_a_beginning_finds_its_sids(log):
    """The newest come first; a beginning of nothing finds nothing."""
    log.append(LogEntry(inbound("SMab1")), LogEntry(inbound("SMab2")), LogEntry(inbound("SMb")))
    log.append(LogEntry(status("sent", "SMab1")))

    assert log.sids("SMab") == ["SMab1", "SMab2"]
    assert log.sids("MM") == []
    assert log.sids("SM%") == log.sids("SM_") == []


# Waiting


def test_an_append_wakes_a_reader_at_once(log):
    """A waiting reader of the same process learns of news without delay."""
    woken = []
    waiting = threading.Thread(target=lambda: woken.append(log.wait(0, 10)))
    waiting.start()

    log.append(LogEntry(inbound()))
    waiting.join(5)

    assert woken == [True]


def test_another_process_wakes_a_reader_soon(path, log):
    """The live table is a reader like any other: what another process records is shown too."""
    with opened(path, run="other") as other:
        timer = threading.Timer(0.05, other.append, [LogEntry(inbound())])
        timer.start()
        started = time.monotonic()

        assert log.wait(0, 10)
        assert time.monotonic() - started < 2
        timer.join()


def test_whoever_waits_for_this_process_alone_is_not_woken_by_others(path, log):
    """And so needs not look for them."""
    head = log.head()
    with opened(path, run="other") as other:
        other.append(LogEntry(inbound()))

    assert not log.wait(head, 0.3, others=False)
    assert log.wait(head, 10)

    log.append(LogEntry(inbound("SM2")))
    assert log.wait(log.head() - 1, 10, others=False)


def test_waiting_for_nothing_ends_in_time_and_costs_nothing(log):
    """An idle reader looks ten times a second at a counter and at nothing else."""
    before = time.thread_time()

    assert not log.wait(log.head(), 0.5)

    assert time.thread_time() - before < 0.1


# The file


def test_messages_are_for_their_owner_only(path):
    """0600 files in a 0700 folder, also where the file was open to others before."""
    path.parent.mkdir(mode=0o755, parents=True)
    path.touch(mode=0o644)
    with opened(path) as log, opened(path.parent / "new" / "events.db") as new:
        log.append(LogEntry(inbound()))
        new.append(LogEntry(inbound()))
        files = [*path.parent.glob("events*"), *(path.parent / "new").iterdir()]

        assert len(files) == 6
        assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
        assert stat.S_IMODE((path.parent / "new").stat().st_mode) == 0o700
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o755  # not ours to change


@pytest.mark.parametrize("suffix", ["", "-wal"])
def test_a_symbolic_link_is_refused(path, tmp_path, suffix):
    """Nobody has us write where they point."""
    path.parent.mkdir()
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    Path(f"{path}{suffix}").symlink_to(victim)

    with pytest.raises(LocalError, match=r"L1: .*symbolic link"):
        open_log(path, run="run")
    assert victim.read_bytes() == b"precious"


def test_a_folder_is_no_event_log(tmp_path):
    """A folder in the place of the file is said to be one."""
    with pytest.raises(LocalError, match=r"L1: .* is not a file"):
        open_log(tmp_path, run="run")


def test_a_place_that_cannot_be_made_is_said(tmp_path):
    """A file in the place of the folder: the error names the file and the way out."""
    (tmp_path / "file").touch()

    with pytest.raises(LocalError, match=r"L1: .*--store"):
        open_log(tmp_path / "file" / "events.db", run="run")


def test_the_database_of_another_program_is_left_alone(tmp_path):
    """Somebody's own database is neither used nor set aside."""
    path = tmp_path / "app.db"
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE precious (x)")

    with pytest.raises(LocalError, match="another program"):
        open_log(path, run="run")
    assert [file.name for file in tmp_path.glob("app.db*")] == ["app.db"]


def test_a_file_that_is_no_database_is_left_alone(tmp_path):
    """A mistyped name costs nobody their notes: they are not set aside as a damaged log."""
    path = tmp_path / "notes.txt"
    path.write_text("precious " * 999)

    with pytest.raises(LocalError, match="no event log"):
        open_log(path, run="run")
    assert path.read_text() == "precious " * 999


def test_what_a_newer_version_has_written_is_left_alone(path, log):
    """An older smsquest does not guess at a schema that it does not know."""
    log.append(LogEntry(inbound()))
    log._writer.execute("PRAGMA user_version = 99")

    with pytest.raises(LocalError, match="newer smsquest"):
        open_log(path, run="run")


def test_a_type_of_a_newer_version_is_skipped(log):
    """Unknown records do not stop a reader."""
    log.append(LogEntry(inbound()), LogEntry(inbound("SM2")))
    log._writer.execute("""UPDATE events SET record = '{"type": "x"}' WHERE position = 1""")

    batch = log.read(0)

    assert [stored.position for stored in batch.events] == [2]
    assert batch.cursor == 2


@pytest.mark.parametrize(
    "location",
    ["redis://user:secret@host/0", "file:///tmp/secret", "sqlite://secret", "", ":memory:"],
)
def test_other_stores_are_a_usage_error(location):
    """The error says what is possible, and shows nothing that may be a password."""
    with pytest.raises(UsageError, match=r"U6.*sqlite:///path") as raised:
        open_log(location, run="run")
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize("url", ["sqlite:///x.db", "sqlite:///{folder}/x.db"])
def test_a_sqlite_url_is_a_path(tmp_path, monkeypatch, url):
    """Three slashes begin a relative path, four an absolute one, as in other tools."""
    monkeypatch.chdir(tmp_path)
    with opened(url.format(folder=tmp_path)) as log:
        log.append(LogEntry(inbound()))

    assert (tmp_path / "x.db").stat().st_size > 0


# Damage, and a full disk


def damage(path, kind):
    content = bytearray(path.read_bytes())
    if kind == "garbage":
        content[:] = b"not a database" * 400
    elif kind == "truncated":
        del content[len(content) // 2 :]
    else:
        content[8192:] = bytes(len(content) - 8192)
    path.write_bytes(content)
    return bytes(content)


@pytest.mark.parametrize("kind", ["garbage", "truncated", "zeros"])
def test_a_damaged_log_is_set_aside_and_a_fresh_one_begun(path, kind):
    """What is damaged is kept for inspection and said (L2); the next message is recorded."""
    with opened(path) as log:
        log.append(*[LogEntry(inbound(f"SM{number}"), REQUEST) for number in range(200)])
    content = damage(path, kind)

    with opened(path, now=lambda: AT) as log:
        log.append(LogEntry(inbound()))
        told = events_of(log)

    (aside,) = path.parent.glob("*.damaged-*")
    assert aside.read_bytes() == content
    assert [event.type for event in told] == ["problem", "inbound"]
    assert told[0] == log.notes[0]
    assert (told[0].id, aside.name in told[0].line) == ("L2", True)


def test_damage_where_no_row_is_read_is_found_too(path):
    """A lookup by SID would miss messages: the index is looked at as well."""
    with opened(path) as log:
        log.append(*[LogEntry(inbound(f"SM{number}"), REQUEST) for number in range(50)])
        root = "SELECT rootpage FROM sqlite_master WHERE name = 'events_sid'"
        (page,) = log._writer.execute(root).fetchone()
        (size,) = log._writer.execute("PRAGMA page_size").fetchone()
    with path.open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(bytes(size))

    with opened(path) as log:
        assert [note.id for note in log.notes] == ["L2"]


def test_what_another_process_has_set_aside_is_not_set_aside_again(path):
    """Of two that find the same damage one renames; the other uses what the first has begun."""
    with opened(path) as log:
        log.append(LogEntry(inbound()))
    damaged = path.stat().st_ino
    path.rename(path.with_name("set-aside"))

    with opened(path) as fresh:
        fresh.append(LogEntry(inbound("SM2")))
        database._set_aside(path, damaged, AT)

    assert path.exists()


def test_a_damaged_log_takes_its_wal_along(path):
    """While another process has it open its WAL is there: it is none of the fresh log's."""
    with opened(path) as first:
        first.append(*[LogEntry(inbound(f"SM{number}"), REQUEST) for number in range(200)])
        first._writer.execute("PRAGMA wal_checkpoint(RESTART)").fetchall()
        first.append(LogEntry(inbound("SM-in-the-wal")))
        damage(path, "zeros")
        with opened(path, now=lambda: AT) as second:
            second.append(LogEntry(inbound("SM-fresh")))
            assert [event.type for event in events_of(second)] == ["problem", "inbound"]

    assert [*path.parent.glob("*.damaged-*-wal")]


@settings(max_examples=25)
@given(lost=st.integers(min_value=1, max_value=30_000), zeroed=st.booleans())
def test_a_power_cut_costs_no_more_than_what_had_not_reached_the_disk(
    tmp_path_factory, lost, zeroed
):
    """The end of the file that is written to is missing or empty: all before it is there."""
    path = tmp_path_factory.mktemp("cut") / "events.sqlite3"
    after = path.with_name("after.sqlite3")
    with opened(path) as log:
        sids = [f"SM{number}" for number in range(20)]
        for sid in sids:
            log.append(LogEntry(inbound(sid), REQUEST))
        for suffix in ("", "-wal"):
            content = Path(f"{path}{suffix}").read_bytes()
            if suffix:
                kept = max(0, len(content) - lost)
                content = content[:kept] + bytes(len(content) - kept if zeroed else 0)
            Path(f"{after}{suffix}").write_bytes(content)

    with opened(after) as log:
        found = [event.sid for event in events_of(log)]
        log.append(LogEntry(inbound("SM-new")))

        assert found == sids[: len(found)]
        assert len(found) >= len(sids) - 1 - lost // 4096  # each takes a page or more
        assert (log.notes, log.read(len(found)).events[-1].event.sid) == ((), "SM-new")


def later_schema(*statements):
    """The steps to a schema of a later version."""
    return (*database.MIGRATIONS, statements)


def test_a_log_of_an_older_version_is_brought_up_to_date(path, monkeypatch):
    """What it holds stays, and the step is taken once."""
    with opened(path) as log:
        log.append(LogEntry(inbound(), REQUEST))
    monkeypatch.setattr(
        database, "MIGRATIONS", later_schema("ALTER TABLE events ADD COLUMN later TEXT")
    )

    for _ in range(2):
        with opened(path) as log:
            assert (events_of(log), log.notes) == ([inbound()], ())
            assert log.request_of(SID) == REQUEST


def test_a_log_that_cannot_be_brought_up_to_date_stays_as_it_is(path, monkeypatch):
    """All of a step or nothing: the older program can go on with it."""
    with opened(path) as log:
        log.append(LogEntry(inbound()))
    with monkeypatch.context() as patched:
        patched.setattr(
            database, "MIGRATIONS", later_schema("CREATE TABLE half (x)", "CREATE TABLE events (x)")
        )
        with pytest.raises(LocalError, match="L1"):
            open_log(path, run="run")

    with opened(path) as log:
        assert events_of(log) == [inbound()]
        assert log._rows("SELECT count(*) FROM sqlite_master WHERE name = 'half'") == [(0,)]


def test_a_healthy_log_has_nothing_to_note(log):
    """No note where nothing is wrong."""
    assert log.notes == ()


def test_a_full_disk_is_said_and_stops_whoever_waits(log):
    """L3: nothing is confirmed that is not recorded, and the run learns of it."""
    log.append(LogEntry(inbound()))
    pages = log._writer.execute("PRAGMA page_count").fetchone()[0]
    log._writer.execute(f"PRAGMA max_page_count = {pages}")

    with pytest.raises(LocalError, match="L3"):
        log.append(*[LogEntry(inbound(f"SM{number}"), REQUEST) for number in range(99)])
    with pytest.raises(LocalError, match="L3"):
        log.wait(log.head(), 5)
    assert log.head() == 1


def test_what_was_not_recorded_is_not_remembered(log):
    """After a failure the same message is no duplicate of what never reached the disk."""
    pages = log._writer.execute("PRAGMA page_count").fetchone()[0]
    log._writer.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(LocalError, match="L3"):
        log.append(
            LogEntry(inbound()),
            LogEntry(status("sent", "SM2"), replace(REQUEST, body=bytes(100_000))),
        )
    log._writer.execute(f"PRAGMA max_page_count = {pages + 999}")

    first, sent = log.append(LogEntry(inbound()), LogEntry(status("sent", "SM2")))

    assert not first.duplicate
    assert not sent.duplicate


class SlowDisk:
    """A disk that confirms nothing until it is `released`; counts how often it was asked."""

    def __init__(self):
        self.asked, self.released = [], threading.Event()
        self.busy = threading.Event()

    def sync(self, handle):
        self.asked.append(os.fstat(handle))
        self.busy.set()
        assert self.released.wait(20)


@pytest.fixture
def disk(monkeypatch):
    disk = SlowDisk()
    monkeypatch.setattr(sqlite_log, "sync_content", disk.sync)
    yield disk
    disk.released.set()


def test_synced_is_what_the_disk_has_confirmed(path, log, disk):
    """The file that commits go to is synced, once for each time that something is new."""
    disk.released.set()
    log.append(LogEntry(inbound()))
    assert disk.asked == []

    log.sync()
    log.sync()

    (asked,) = disk.asked
    assert os.path.samestat(asked, Path(f"{path}-wal").stat())
    log.append(LogEntry(inbound()))
    log.sync()
    assert len(disk.asked) == 2


def test_the_disk_is_really_asked(path, log, monkeypatch):
    """First for the names of new files, which no power cut leaves without their folder."""
    asked = []

    def noted(sync, handle):
        asked.append(os.fstat(handle))
        sync(handle)

    for name in {"fsync", "fdatasync"} & {*dir(os)}:
        monkeypatch.setattr(os, name, partial(noted, getattr(os, name)))
    for _ in range(2):
        log.append(LogEntry(inbound()))
        log.sync()

    wal = Path(f"{path}-wal").stat()
    expected = [path.parent.stat(), wal, wal]
    assert [*map(os.path.samestat, asked, expected)] == [True] * 3
    assert len(asked) == 3


def test_a_power_cut_does_not_tear_the_file_which_does_not_grow_for_ever(log):
    """What is copied from the WAL waits for the disk; the WAL itself is bounded."""
    for connection in (log._writer, log._reader):
        assert connection.execute("PRAGMA synchronous").fetchone() == (1,)  # NORMAL
    assert log._writer.execute("PRAGMA journal_size_limit").fetchone() == (database.WAL_BYTES,)


def test_nobody_who_appends_or_reads_waits_for_the_disk(log, disk):
    """Only who asks for it waits; what came meanwhile shares the next wait."""
    log.append(LogEntry(inbound()))
    first = threading.Thread(target=log.sync)
    first.start()
    assert disk.busy.wait(20)

    log.append(*[LogEntry(inbound(f"SM{number}")) for number in range(5)])
    assert len(events_of(log)) == 6
    others = [threading.Thread(target=log.sync) for _ in range(5)]
    for other in others:
        other.start()
    disk.released.set()
    for thread in (first, *others):
        thread.join(20)

    assert len(disk.asked) == 2


@pytest.mark.parametrize(("error", "id_"), [(errno.ENOSPC, "L3"), (errno.EIO, "L1")])
def test_a_disk_that_refuses_is_said_and_stops_whoever_waits(log, monkeypatch, error, id_):
    """What is not on the disk is not confirmed, and the run learns of it."""

    def refuse(_handle):
        raise OSError(error, os.strerror(error))

    monkeypatch.setattr(sqlite_log, "sync_content", refuse)
    log.append(LogEntry(inbound()))

    for _ in range(2):
        with pytest.raises(LocalError, match=id_):
            log.sync()
    with pytest.raises(LocalError, match=id_):
        log.wait(log.head(), 5)


def test_a_locked_log_is_said(path, monkeypatch):
    """Another program that keeps the file locked is the reason given, before Twilio gives up."""
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.05)
    with opened(path) as log, closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")

        with pytest.raises(LocalError, match=r"L1: .*locked"):
            log.append(LogEntry(inbound()))


def test_a_locked_log_is_said_at_the_start(path, monkeypatch):
    """A file that another program has for itself is not waited for for ever."""
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.05)
    path.parent.mkdir()
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")

        with pytest.raises(LocalError, match=r"L1: .*locked"):
            open_log(path, run="run")


def test_a_big_log_is_not_read_through_at_the_start(path, monkeypatch):
    """Of a big file only the end is looked at; damage there is found all the same."""
    with opened(path) as log:
        log.append(*[LogEntry(inbound(f"SM{number}"), REQUEST) for number in range(200)])
    monkeypatch.setattr(database, "CHECK_BYTES", 0)
    with opened(path) as log:
        assert log.notes == ()
    damage(path, "zeros")

    with opened(path) as log:
        assert [note.id for note in log.notes] == ["L2"]


def test_a_closed_log_takes_nothing(log):
    """After the end nothing is accepted that would be lost."""
    log.close()

    with pytest.raises(LocalError, match="L1"):
        log.append(LogEntry(inbound()))
    log.close()  # again, by whoever also thinks of it


def test_an_event_that_is_none_harms_no_other(log):
    """Our own bug in one thread is raised there, and the log goes on."""
    with pytest.raises(AttributeError):
        log.append(LogEntry("no event"))

    assert log.append(LogEntry(inbound())) == (inbound(),)


# Pruning


def test_what_is_older_than_a_month_is_forgotten(path, monkeypatch):
    """Old messages go, the newest stay however old a wrong clock makes them, numbering goes on."""
    monkeypatch.setattr(database, "KEEP_EVENTS", 2)
    old = AT - timedelta(days=31)
    with opened(path, now=lambda: AT) as log:
        log.append(*[LogEntry(inbound(f"SM{number}", at=old)) for number in range(5)])
        log.append(LogEntry(inbound("SMnew", at=AT)))

    with opened(path, now=lambda: AT) as log:
        kept = [stored.position for stored in log.read(0).events]
        log.append(LogEntry(inbound("SMnext")))

        assert kept == [5, 6]
        assert log.head() == 7


def test_forgetting_does_not_delay_a_start(path, monkeypatch):
    """What there is no time for waits for the next one."""
    monkeypatch.setattr(database, "KEEP_EVENTS", 1)
    monkeypatch.setattr(database, "PRUNE_SECONDS", 0.0)
    with opened(path, now=lambda: AT) as log:
        old = AT - timedelta(days=31)
        log.append(*[LogEntry(inbound(f"SM{number}", at=old)) for number in range(9)])

    with opened(path, now=lambda: AT) as log:
        assert len(events_of(log)) == 9


def test_a_log_that_grew_too_big_loses_its_oldest(path, monkeypatch):
    """The file stays within its size; the oldest go first."""
    with opened(path) as log:
        at = datetime.now(UTC)
        for number in range(60):
            log.append(LogEntry(inbound(f"SM{number}", at=at), replace(REQUEST, body=b"x" * 9000)))
    monkeypatch.setattr(database, "KEEP_EVENTS", 2)
    monkeypatch.setattr(database, "KEEP_BYTES", 200_000)
    monkeypatch.setattr(database, "PRUNE_AT_ONCE", 7)

    with opened(path) as log:
        left = [stored.position for stored in log.read(0).events]

    assert 2 < len(left) < 25
    assert left == list(range(61 - len(left), 61))


# Threads and processes


def test_threads_append_together_and_nothing_is_lost(log):
    """Many threads at once: each gets its own events back, numbered once."""
    results = []

    def work(thread):
        for number in range(40):
            event = inbound(f"SM{thread}-{number}")
            results.append(log.append(LogEntry(event), LogEntry(reply(event.sid)))[0] == event)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)

    stored = log.read(0).events
    assert results == [True] * 320
    assert [one.position for one in stored] == list(range(1, 641))
    assert all(
        one.event.sid == two.event.in_reply_to
        for one, two in zip(stored[::2], stored[1::2], strict=True)
    )


def test_a_failure_is_told_to_every_thread(log):
    """Nobody believes to be recorded who is not."""
    log._writer.execute("PRAGMA query_only = 1")
    failed = []

    def work(number):
        try:
            log.append(LogEntry(inbound(f"SM{number}")))
        except LocalError as err:
            failed.append(err.id)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)

    assert failed == ["L1"] * 8


WRITER = """
    import sys
    from datetime import UTC, datetime
    from smsquest_cli.eventlog import LogEntry, open_log
    from smsquest_cli.events import Inbound, Status

    path, name, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
    log = open_log(path, run=name)
    number = 0
    while number < count:
        sid, at = f"SM{name}-{number}", datetime.now(UTC)
        log.append(
            LogEntry(Inbound(ts=at, sid=sid, from_="+1", to="+2", body="", method="POST")),
            LogEntry(Status(ts=at, sid="SMshared", status="sent")),
        )
        print(sid, flush=True)
        number += 1
"""


def writer(path, name, count):
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(WRITER), str(path), name, str(count)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
    )


def test_several_processes_share_a_log_from_its_first_moment(path):
    """All create, open and write the same file at once; one of many callbacks is the first."""
    path.parent.mkdir()
    processes = [writer(path, name, 60) for name in "abc"]
    told = [process.communicate(timeout=30)[0].split() for process in processes]

    assert [process.returncode for process in processes] == [0, 0, 0]
    assert [len(lines) for lines in told] == [60, 60, 60]
    with opened(path) as log:
        statuses = [event.duplicate for event in events_of(log, types=["status"])]
        assert len(events_of(log, types=["inbound"])) == 180
        assert sorted(statuses) == [False] + [True] * 179


def test_what_was_acknowledged_survives_sigkill(path):
    """A process that is killed in the middle of its work has lost nothing that it had recorded."""
    path.parent.mkdir()
    process = writer(path, "a", 10**9)
    told = [process.stdout.readline().strip() for _ in range(200)]
    process.send_signal(signal.SIGKILL)
    told += process.communicate(timeout=10)[0].split()

    with opened(path) as log:
        recorded = {stored.event.sid for stored in log.read(0, limit=10**6).events}
        log.append(LogEntry(Stopped(ts=AT, reason="error")))

    assert set(told) <= recorded
