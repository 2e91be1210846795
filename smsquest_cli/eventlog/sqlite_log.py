"""The event log in a SQLite file: one transaction for all that threads append at once.

A commit waits for the disk. Whoever appends while one is under way queues up, and the next commit
takes all of them: under load the disk is waited for once for many messages, and a single message
never waits for others.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from smsquest_cli.eventlog import queries
from smsquest_cli.eventlog.database import (
    DURABLE,
    SWIFT,
    connect,
    errors_of,
    open_database,
    transaction,
)
from smsquest_cli.eventlog.entries import Batch, Entry, Stored
from smsquest_cli.eventlog.known import Known
from smsquest_cli.eventlog.rows import (
    COLUMNS,
    Row,
    column,
    event_of,
    request_of,
    row_of,
    since_epoch,
    subject,
)
from smsquest_cli.events import Problem
from smsquest_cli.problems import LocalError

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Collection
    from contextlib import AbstractContextManager
    from pathlib import Path
    from typing import Self

    from smsquest_cli.events import Event
    from smsquest_cli.statuses import Delivery
    from smsquest_cli.wire import Request

POLL_SECONDS: Final = 0.1  # how soon a reader learns of what another process recorded
SIGNAL_SECONDS: Final = 0.25  # how soon a signal is seen that came to another thread
KEEP_KNOWN: Final = 4096
CLOSE_SECONDS: Final = 10.0

_INSERT: Final = f"INSERT INTO events ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"  # noqa: S608


class _Pending:
    """What one thread wants recorded; it waits until somebody has done so, or told it to."""

    __slots__ = ("_turn", "durable", "entries", "error", "events")

    def __init__(self, entries: tuple[Entry, ...], *, durable: bool) -> None:
        self.entries = entries
        self.durable = durable
        self.events: tuple[Event, ...] | None = None
        self.error: BaseException | None = None
        self._turn = threading.Lock()
        self._turn.acquire()

    @property
    def done(self) -> bool:
        return self.events is not None or self.error is not None

    def wait(self) -> None:
        self._turn.acquire()

    def wake(self) -> None:
        self._turn.release()


class SqliteLog:
    """The event log at *path*; see `EventLog`."""

    def __init__(
        self, path: Path, writer: sqlite3.Connection, reader: sqlite3.Connection, *, run: str
    ) -> None:
        self._path = path
        self._run = run
        self._notes: tuple[Problem, ...] = ()

        self._writer = writer  # used by whoever leads
        self._durable = True  # as it was opened
        self._queue: deque[_Pending] = deque()
        self._queued = threading.Condition()
        self._leading = False
        self._closed = False
        self._known: dict[str, Known] = {}
        self._known_version = -1

        self._reader = reader
        self._reading = threading.Lock()
        self._reader_version = -1

        self._news = threading.Condition()
        self._newest = 0
        self._failure: LocalError | None = None

    @classmethod
    def open(cls, path: Path, *, run: str, now: Callable[[], datetime] | None = None) -> Self:
        """Open the log at *path*; raises `LocalError`."""
        at = now() if now else datetime.now(UTC)
        writer, damage = open_database(path, at=at)
        with errors_of(path):
            log = cls(path, writer, connect(path), run=run)
            log._newest = log.head()
        if damage is not None:
            log._notes = (Problem.of("L2", at=at, **damage),)
            log.append(*[Entry(note) for note in log._notes])
        return log

    @property
    def notes(self) -> tuple[Problem, ...]:
        """What had to be done to open the log."""
        return self._notes

    # Recording

    def append(self, *entries: Entry, durable: bool = True) -> tuple[Event, ...]:
        """Record *entries* together; see `EventLog`."""
        pending = _Pending(entries, durable=durable)
        with self._queued:
            if self._closed:
                raise LocalError("L1", path=self._path, reason="it is closed")
            self._queue.append(pending)
            led, self._leading = self._leading, True
        if led:
            pending.wait()
        if not pending.done:
            self._lead(pending)
        if pending.error is not None:
            raise pending.error
        assert pending.events is not None
        return pending.events

    def _lead(self, own: _Pending) -> None:
        """Record all that is queued, *own* too, then let the next thread do the same."""
        with self._queued:
            group = [*self._queue]
            self._queue.clear()
        try:
            self._commit(group)
        finally:
            with self._queued:
                if self._queue:
                    self._queue[0].wake()
                else:
                    self._leading = False
                    self._queued.notify_all()
            for pending in group:
                if pending is not own:
                    pending.wake()

    def _commit(self, group: list[_Pending]) -> None:
        try:
            with errors_of(self._path), self._transaction(group):
                self._forget_if_others_wrote()
                recorded = [[self._take(entry) for entry in pending.entries] for pending in group]
                rows = [row for pairs in recorded for row, _ in pairs]
                self._writer.executemany(_INSERT, rows)
                (newest,) = self._writer.execute(queries.HEAD).fetchone()
        except BaseException as err:
            self._known.clear()  # which holds what was not recorded after all
            for pending in group:
                pending.error = err
            if not isinstance(err, LocalError):
                raise
            self._tell(failure=err)
        else:
            for pending, pairs in zip(group, recorded, strict=True):
                pending.events = tuple([event for _, event in pairs])
            self._tell(newest=newest)

    def _transaction(self, group: list[_Pending]) -> AbstractContextManager[None]:
        """One that waits for the disk if anybody in *group* has to."""
        durable = any(pending.durable for pending in group)
        if durable != self._durable:
            self._writer.execute(DURABLE if durable else SWIFT)
            self._durable = durable
        return transaction(self._writer)

    def _take(self, entry: Entry) -> tuple[Row, Event]:
        """The row of *entry*, and its event as recorded."""
        event = entry.event
        numbers: tuple[str | None, str | None] = (None, None)
        if sid := subject(event):
            known = self._knowledge(sid)
            event = known.take(event)
            numbers = (known.sender, known.recipient)
        return row_of(event, run=self._run, numbers=numbers, request=entry.request), event

    def _knowledge(self, sid: str) -> Known:
        known = self._known.get(sid)
        if known is None:
            known = _recall(self._writer, sid)
            if len(self._known) >= KEEP_KNOWN:
                self._known.clear()
            self._known[sid] = known
        return known

    def _forget_if_others_wrote(self) -> None:
        (version,) = self._writer.execute("PRAGMA data_version").fetchone()
        if version != self._known_version:
            self._known.clear()
            self._known_version = version

    def _tell(self, *, newest: int = 0, failure: LocalError | None = None) -> None:
        with self._news:
            self._newest = max(self._newest, newest)
            self._failure = failure or self._failure
            self._news.notify_all()

    # Reading

    def read(
        self,
        after: int,
        *,
        limit: int = 1000,
        types: Collection[str] | None = None,
        run: str | None = None,
        sids: Collection[str] | None = None,
        since: datetime | None = None,
        number: str | None = None,
    ) -> Batch:
        """Up to *limit* events after *after* to which all that is given applies."""
        first = None if since is None else since_epoch(since)
        wanted = queries.Filter(types=types, run=run, sids=sids, since=first, number=number)
        with self._reading, errors_of(self._path), transaction(self._reader, "DEFERRED"):
            (head,) = self._reader.execute(queries.HEAD).fetchone()
            start = after if first is None else self._skip(after, first, head)
            rows = self._reader.execute(*queries.select(wanted, start, limit)).fetchall()
        events = [
            Stored(position, run, event, bool(has_request))
            for position, run, record, has_request in rows
            if (event := event_of(record)) is not None
        ]
        return Batch(tuple(events), rows[-1][0] if len(rows) == limit else max(after, head))

    def _skip(self, after: int, since: int, head: int) -> int:
        """*after*, or the last position before which everything is older than *since*."""
        following = self._reader.execute(queries.NEXT_TS, (after,)).fetchone()
        if following is None or following[0] >= since:
            return after
        (first,) = self._reader.execute(queries.FIRST_SINCE, (since,)).fetchone()
        return max(after, head if first is None else first - 1)

    def wait(self, after: int, timeout: float, *, others: bool = True) -> bool:
        """Wait up to *timeout* seconds for something after *after*; whether there is something."""
        deadline = time.monotonic() + timeout
        while True:
            if others and self._newest <= after:
                self._look_at_others()
            with self._news:
                if self._failure is not None:
                    raise self._failure
                if self._newest > after:
                    return True
                left = deadline - time.monotonic()
                if left <= 0:
                    return False
                self._news.wait(min(left, POLL_SECONDS if others else SIGNAL_SECONDS))

    def _look_at_others(self) -> None:
        """Learn of what other processes have recorded."""
        with self._reading, errors_of(self._path):
            (version,) = self._reader.execute("PRAGMA data_version").fetchone()
            if version == self._reader_version:
                return
            (newest,) = self._reader.execute(queries.HEAD).fetchone()
            self._reader_version = version
        with self._news:
            self._newest = max(self._newest, newest)

    def head(self) -> int:
        """The position of the newest event."""
        newest: int = self._rows(queries.HEAD)[0][0]
        return newest

    def request_of(self, sid: str) -> Request | None:
        """The request that first brought the message, else its newest status callback."""
        rows = self._rows(queries.REQUEST, column(sid))
        return request_of(*rows[0]) if rows else None

    def sids(self, prefix: str) -> list[str]:
        """The SIDs that begin with *prefix*, the newest first."""
        return [sid for (sid,) in self._rows(queries.SIDS, column(prefix), f"{prefix}\U0010ffff")]

    def delivery(self, sid: str) -> Delivery | None:
        """How far the message has got; None where nothing is known of its way."""
        with self._reading, errors_of(self._path):
            delivery = _recall(self._reader, sid).delivery
        return delivery if delivery.steps else None

    def _rows(self, query: str, *values: object) -> list[Any]:
        with self._reading, errors_of(self._path):
            return self._reader.execute(query, values).fetchall()

    def close(self) -> None:
        """Finish what is being recorded and let go of the file."""
        with self._queued:
            self._closed = True
            self._queued.wait_for(lambda: not self._leading, CLOSE_SECONDS)
        with self._reading:
            self._reader.close()
        self._writer.close()


def _recall(connection: sqlite3.Connection, sid: str) -> Known:
    """All that the log tells of the message *sid*."""
    known = Known()
    for (record,) in connection.execute(queries.HISTORY, (column(sid),)):
        if (event := event_of(record)) is not None:
            known.take(event)
    return known
