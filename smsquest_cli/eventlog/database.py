"""The database file: private, of our schema, not too big; a damaged one is set aside."""

from __future__ import annotations

import errno
import os
import sqlite3
import stat
import time
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

from smsquest_cli.eventlog.queries import RARE
from smsquest_cli.eventlog.rows import since_epoch
from smsquest_cli.files import NO_LINK
from smsquest_cli.problems import LocalError, reason_of

if TYPE_CHECKING:
    from collections.abc import Iterator

BUSY_SECONDS: Final = 5.0  # Twilio waits 15 s for an answer
WAL_BYTES: Final = 16 << 20  # from here on it is written back, and some requests wait for that
KEEP_DAYS: Final = 30
KEEP_BYTES: Final = 1 << 30
KEEP_EVENTS: Final = 10_000  # these stay, however old a wrong clock makes them look
PRUNE_AT_ONCE: Final = 5_000
PRUNE_SECONDS: Final = 0.5  # pruning must not delay the start
CHECK_BYTES: Final = 16 << 20  # up to here nobody notices the time of a whole check

APPLICATION_ID: Final = 0x736D7371  # "smsq": a database of another program is left alone

# Each step takes the schema one version further (PRAGMA user_version); never change one.
MIGRATIONS: Final = (
    (
        """
        CREATE TABLE events (
            position INTEGER PRIMARY KEY AUTOINCREMENT,
            run TEXT NOT NULL,
            ts INTEGER NOT NULL,     -- ms since 1970; the order is that of position, not of ts
            type TEXT NOT NULL,
            sid TEXT,                -- of the message it is about
            sender TEXT,
            recipient TEXT,
            record TEXT NOT NULL,    -- the JSON record
            request TEXT,            -- method and URL, then the headers, a line each
            body BLOB
        )
        """,
        "CREATE INDEX events_sid ON events (sid) WHERE sid IS NOT NULL",
        "CREATE INDEX events_ts ON events (ts)",
        # For types that a reader looks for among very many others.
        f"CREATE INDEX events_rare ON events (type) WHERE {RARE}",
        "CREATE INDEX events_sender ON events (sender) WHERE sender IS NOT NULL",
        "CREATE INDEX events_recipient ON events (recipient) WHERE recipient IS NOT NULL",
        f"PRAGMA application_id = {APPLICATION_ID}",
    ),
)

_DAMAGE: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_MAGIC: Final = b"SQLite format 3\0"
_SUFFIXES: Final = frozenset({".sqlite3", ".sqlite", ".db"})
_BUSY: Final = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})
_REASONS: Final = {
    **dict.fromkeys(_DAMAGE, "it is damaged"),
    **dict.fromkeys(_BUSY, "another program keeps it locked"),
    sqlite3.SQLITE_READONLY: "it cannot be written",
    sqlite3.SQLITE_CANTOPEN: "it cannot be opened",
    sqlite3.SQLITE_PERM: "it cannot be opened",
}


# The oldest events, except those that stay; and of these only the ones older than a given time.
_SURPLUS: Final = (
    "SELECT position FROM events "
    "WHERE position <= (SELECT max(position) FROM events) - ? ORDER BY position LIMIT ?"
)
_OUTDATED: Final = (
    "SELECT position FROM events INDEXED BY events_ts WHERE ts < ? "
    "AND position <= (SELECT max(position) FROM events) - ? ORDER BY ts LIMIT ?"
)


class DamagedError(sqlite3.DatabaseError):
    """A check has found damage that SQLite itself had not met yet."""

    sqlite_errorcode = sqlite3.SQLITE_CORRUPT


def open_database(path: Path, *, at: datetime) -> tuple[sqlite3.Connection, dict[str, str] | None]:
    """A connection to the database at *path*, ready for writing; and the values of L2, if any.

    Old events are pruned on the way. Raises `LocalError`.
    """
    with errors_of(path):
        for suffix in ("", "-wal", "-shm"):
            _refuse_symlink(path, Path(f"{path}{suffix}"))
        file = _make_private(path)
        try:
            return _opened(path, at), None
        except sqlite3.DatabaseError as err:
            if _code(err) not in _DAMAGE:
                raise
            if not _was_ours(path):
                reason = "it is no event log, nor any database"
                raise LocalError("L1", path=path, reason=reason) from err
            aside = _set_aside(path, file, at)
            _make_private(path)
            note = {"path": str(path), "reason": str(err), "aside": str(aside)}
            return _opened(path, at), note


def connect(path: Path) -> sqlite3.Connection:
    """A further connection to the database at *path*."""
    connection = sqlite3.connect(
        path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
    )
    try:
        # In WAL mode a commit then survives the process; a power cut may lose the newest commits
        # unless they are synced. The file stays whole in any case.
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA temp_store = MEMORY")
    except sqlite3.Error:
        connection.close()
        raise
    return connection


@contextmanager
def errors_of(path: Path) -> Iterator[None]:
    """Turn errors of the database at *path* into a `LocalError`."""
    try:
        yield
    except sqlite3.Error as err:
        code = _code(err)
        if code == sqlite3.SQLITE_FULL:
            raise LocalError("L3", path=path) from err
        raise LocalError("L1", path=path, reason=_REASONS.get(code, str(err))) from err
    except OSError as err:
        if err.errno in _FULL:
            raise LocalError("L3", path=path) from err
        raise LocalError("L1", path=path, reason=reason_of(err)) from err


@contextmanager
def transaction(connection: sqlite3.Connection, kind: str = "IMMEDIATE") -> Iterator[None]:
    """One transaction, committed at the end of the block or rolled back."""
    connection.execute(f"BEGIN {kind}")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        with suppress(sqlite3.Error):  # some errors have rolled back already
            connection.execute("ROLLBACK")
        raise


def _was_ours(path: Path) -> bool:
    """Whether the unreadable file at *path* may be a log: by its name or its first bytes."""
    if path.suffix in _SUFFIXES:
        return True
    with path.open("rb") as file:
        return file.read(len(_MAGIC)) == _MAGIC


def _refuse_symlink(path: Path, part: Path) -> None:
    """Refuse a link (L1): it would have us write, with our rights, where somebody else points."""
    try:
        mode = part.lstat().st_mode
    except FileNotFoundError:
        return
    if stat.S_ISLNK(mode):
        raise LocalError("L1", path=path, reason=f"{part.name} is a symbolic link")
    if not stat.S_ISREG(mode):
        raise LocalError("L1", path=path, reason=f"{part.name} is not a file")


def _make_private(path: Path) -> int:
    """Make sure that *path* is a file for this user only; returns its inode."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle = os.open(path, os.O_RDWR | os.O_CREAT | NO_LINK, 0o600)
    try:
        if hasattr(os, "fchmod"):
            os.fchmod(handle, 0o600)
        return os.fstat(handle).st_ino
    finally:
        os.close(handle)


def _opened(path: Path, at: datetime) -> sqlite3.Connection:
    connection = connect(path)
    try:
        _use_wal(connection)
        _migrate(connection, path)
        _look_over(connection, path)
        _prune(connection, at)
    except BaseException:
        connection.close()
        raise
    return connection


def _use_wal(connection: sqlite3.Connection) -> None:
    """Switch to WAL; if several processes do so at once, SQLite does not wait by itself."""
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute(f"PRAGMA journal_size_limit = {WAL_BYTES}")
            connection.execute(f"PRAGMA wal_autocheckpoint = {WAL_BYTES >> 12}")  # pages of 4 kB
        except sqlite3.OperationalError as err:
            if _code(err) not in _BUSY or time.monotonic() >= deadline:
                raise
            time.sleep(0.02)
        else:
            return


def _migrate(connection: sqlite3.Connection, path: Path) -> None:
    ours = _pragma(connection, "application_id") == APPLICATION_ID
    if ours and _version(connection) == len(MIGRATIONS):
        return
    with transaction(connection):
        tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        if tables and _pragma(connection, "application_id") != APPLICATION_ID:
            raise LocalError("L1", path=path, reason="it is a database of another program")
        version = _version(connection)
        if version > len(MIGRATIONS):
            raise LocalError("L1", path=path, reason="a newer smsquest has written it")
        for statements in MIGRATIONS[version:]:
            for statement in statements:
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")


def _look_over(connection: sqlite3.Connection, path: Path) -> None:
    """Raise now if something is wrong with the file, not when the first message comes."""
    if path.stat().st_size <= CHECK_BYTES:
        (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        if verdict != "ok":
            raise DamagedError(verdict.removeprefix("*** in database main ***\n"))
    connection.execute("SELECT * FROM events ORDER BY position DESC LIMIT 100").fetchall()


def _prune(connection: sqlite3.Connection, at: datetime) -> None:
    """Delete events older than a month, and the oldest ones while the file holds too much."""
    oldest = since_epoch(at - timedelta(days=KEEP_DAYS))
    deadline = time.monotonic() + PRUNE_SECONDS
    while time.monotonic() < deadline:
        query, limits = _OUTDATED, [oldest, KEEP_EVENTS, PRUNE_AT_ONCE]
        if _used_bytes(connection) > KEEP_BYTES:
            query, limits = _SURPLUS, [KEEP_EVENTS, PRUNE_AT_ONCE]
        doomed = connection.execute(query, limits).fetchall()
        if not doomed:
            return
        with transaction(connection):
            connection.executemany("DELETE FROM events WHERE position = ?", doomed)


def _used_bytes(connection: sqlite3.Connection) -> int:
    pages = _pragma(connection, "page_count") - _pragma(connection, "freelist_count")
    return pages * _pragma(connection, "page_size")


def _set_aside(path: Path, file: int, at: datetime) -> Path:
    """Rename the damaged *file* at *path*, unless another process has done so already."""
    stamp = at.astimezone(UTC).strftime("%Y%m%dT%H%M%S")
    aside = path.with_name(f"{path.name}.damaged-{stamp}-{os.getpid()}")
    if path.stat().st_ino == file:
        path.rename(aside)
        for suffix in ("-wal", "-shm"):
            with suppress(FileNotFoundError):
                Path(f"{path}{suffix}").rename(f"{aside}{suffix}")
    return aside


def _version(connection: sqlite3.Connection) -> int:
    return _pragma(connection, "user_version")


def _pragma(connection: sqlite3.Connection, name: str) -> int:
    (value,) = connection.execute(f"PRAGMA {name}").fetchone()
    return int(value)


def _code(err: sqlite3.Error) -> int:
    """The primary result code of SQLite; the library's own errors have none."""
    return getattr(err, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
