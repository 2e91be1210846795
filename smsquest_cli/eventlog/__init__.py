"""The event log: everything that happened, in the order in which it was recorded.

One writer path, many readers: whoever shows or waits reads with a cursor, in this process or in
another. What was appended survives the process, what was synced survives a power cut. The default
is a SQLite file (`sqlite_log`).
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

from smsquest_cli.eventlog.entries import Batch, EventLog, LogEntry, Stored
from smsquest_cli.problems import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

__all__ = ["Batch", "EventLog", "LogEntry", "Stored", "log_file", "open_log"]

_URL: Final = re.compile(r"\A([A-Za-z][A-Za-z0-9+.-]*)://")
_SQLITE: Final = "sqlite:///"


def open_log(
    location: str | Path, *, run: str, now: Callable[[], datetime] | None = None
) -> EventLog:
    """The event log at *location*, for the run with the id *run*; made if there is none.

    *location* is a path or ``sqlite:///path`` (a fourth slash begins an absolute path). Raises
    `UsageError` (U6) for another kind of URL and `LocalError` (L1, L3) if the file cannot be
    used. A damaged file is set aside, and the log says so in its ``notes``.
    """
    from smsquest_cli.eventlog.sqlite_log import SqliteLog

    return SqliteLog.open(log_file(str(location)), run=run, now=now)


def log_file(location: str) -> Path:
    """The absolute path of the event log at *location*; raises `UsageError` as `open_log` does."""
    scheme = _URL.match(location)
    path = location.removeprefix(_SQLITE) if scheme else location
    if path == location and scheme:
        # Only the scheme is shown: the rest may hold a password.
        raise UsageError("U6", option=_OPTION, value=f"{scheme[0]}…", expected=_EXPECTED)
    if path in ("", ":memory:"):
        raise UsageError("U6", option=_OPTION, value=location, expected=_EXPECTED)
    try:
        return Path(path).expanduser().absolute()
    except RuntimeError as err:  # ~somebody whom this computer does not know
        raise UsageError("U6", option=_OPTION, value=location, expected=_EXPECTED) from err


_OPTION: Final = "--store or SMSQUEST_STORE"
_EXPECTED: Final = "a path or sqlite:///path (a file that several commands can share)"
