"""The event log in a SQLite file.

An append is one transaction. It hands its pages to the system, and from then on they survive this
process. To survive a power cut they have to reach the disk: `SqliteLog.sync` waits for that, once
for all that was appended meanwhile, and delays nobody who appends or reads.
"""

from __future__ import annotations

import os
import threading
import time
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from smsquest_cli.eventlog import queries
from smsquest_cli.eventlog.database import connect, errors_of, open_database, transaction
from smsquest_cli.eventlog.entries import Batch, LogEntry, Stored
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
from smsquest_cli.files import NO_LINK, sync_content, sync_folder
from smsquest_cli.problems import LocalError

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Collection, Iterator
    from pathlib import Path
    from typing import Self

    from smsquest_cli.events import Event
    from smsquest_cli.wire import Request

POLL_SECONDS: Final = 0.1  # how soon a reader learns of what another process recorded
SIGNAL_SECONDS: Final = 0.25  # how soon a signal is seen that came to another thread
KEEP_KNOWN: Final = 4096

_INSERT: Final = f"INSERT INTO events ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"  # noqa: S608


class SqliteLog:
    """The event log at *path*; see `EventLog`."""

    def __init__(
        self, path: Path, writer: sqlite3.Connection, reader: sqlite3.Connection, *, run: str
    ) -> None:
        self._path = path
        self._run = run
        self._start = 0
        self._notes: tuple[Problem, ...] = ()

        self._writer = writer
        self._writing = threading.Lock()
        self._appended = 0  # the number of appends
        self._known: dict[str, Known] = {}
        self._known_version = -1

        self._wal = os.open(f"{path}-wal", os.O_RDWR | NO_LINK)  # where commits go
        self._syncing = threading.Lock()
        self._synced = 0  # how many of them are on the disk

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
            log._newest = log._start = log.head()
        if damage is not None:
            log._notes = (Problem.of("L2", at=at, **damage),)
            log.append(*[LogEntry(note) for note in log._notes])
        return log

    @property
    def start(self) -> int:
        """The position at which the log was opened."""
        return self._start

    @property
    def notes(self) -> tuple[Problem, ...]:
        """What had to be done to open the log."""
        return self._notes

    # Recording

    def append(self, *entries: LogEntry) -> tuple[Event, ...]:
        """Record *entries* together; see `EventLog`."""
        with self._writing:
            try:
                with self._failing(), transaction(self._writer):
                    self._forget_if_others_wrote()
                    recorded = [self._take(entry) for entry in entries]
                    self._writer.executemany(_INSERT, [row for row, _ in recorded])
                    (newest,) = self._writer.execute(queries.HEAD).fetchone()
            except BaseException:
                self._known.clear()  # it holds what was not recorded after all
                raise
            self._appended += 1
        self._tell(newest=newest)
        return tuple([event for _, event in recorded])

    def sync(self) -> None:
        """Wait for the disk; see `EventLog`."""
        wanted = self._appended
        with self._syncing:
            if self._synced >= wanted:
                return  # the thread before us has synced ours as well
            reached = self._appended
            with self._failing():
                if not self._synced:
                    sync_folder(self._path.parent)  # the files may be new
                sync_content(self._wal)
            self._synced = reached

    @contextmanager
    def _failing(self) -> Iterator[None]:
        """Turn errors in the block into a `LocalError`, and report it to waiting readers too."""
        try:
            with errors_of(self._path):
                yield
        except LocalError as err:
            self._tell(failure=err)
            raise

    def _take(self, entry: LogEntry) -> tuple[Row, Event]:
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
        """Up to *limit* events after *after* that meet every given condition; see `EventLog`."""
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
        """*after*, or a later position if everything up to there is older than *since*."""
        following = self._reader.execute(queries.NEXT_TS, (after,)).fetchone()
        if following is None or following[0] >= since:
            return after
        (first,) = self._reader.execute(queries.FIRST_SINCE, (since,)).fetchone()
        return max(after, head if first is None else first - 1)

    def wait(self, after: int, timeout: float, *, others: bool = True) -> bool:
        """Wait up to *timeout* seconds for something after *after*; see `EventLog`."""
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
        """The request that first brought the message, else its newest callback that was news."""
        rows = self._rows(queries.REQUEST, column(sid))
        return request_of(*rows[0]) if rows else None

    def sids(self, prefix: str) -> list[str]:
        """The SIDs that begin with *prefix*, the newest first."""
        return [sid for (sid,) in self._rows(queries.SIDS, column(prefix), f"{prefix}\U0010ffff")]

    def _rows(self, query: str, *values: object) -> list[Any]:
        with self._reading, errors_of(self._path):
            return self._reader.execute(query, values).fetchall()

    def close(self) -> None:
        """Finish what is under way and let go of the file."""
        with self._writing, self._syncing, self._reading:
            if self._wal >= 0:
                os.close(self._wal)
            self._wal = -1
            self._reader.close()
            self._writer.close()


def _recall(connection: sqlite3.Connection, sid: str) -> Known:
    """All that the log tells about the message *sid*."""
    known = Known()
    for (record,) in connection.execute(queries.HISTORY, (column(sid),)):
        if (event := event_of(record)) is not None:
            known.take(event)
    return known
