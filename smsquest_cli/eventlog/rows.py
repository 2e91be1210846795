"""An event as a row of the database and back."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, NamedTuple

from smsquest_cli.events import (
    Inbound,
    MessageState,
    Problem,
    Reply,
    Status,
    from_record,
    to_record,
)
from smsquest_cli.wire import Request

if TYPE_CHECKING:
    from datetime import timedelta

    from smsquest_cli.events import Event

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
# ASCII only: this way a lone surrogate, which no database takes, becomes an escape.
_encode: Final = json.JSONEncoder(separators=(",", ":")).encode

COLUMNS: Final = "run, ts, type, sid, sender, recipient, record, request, body"


class Row(NamedTuple):
    """One row, in the order of `COLUMNS`."""

    run: str
    ts: int
    type: str
    sid: str | None
    sender: str | None
    recipient: str | None
    record: str
    request: str | None
    body: bytes | None


def row_of(
    event: Event, *, run: str, numbers: tuple[str | None, str | None], request: Request | None
) -> Row:
    """The row of *event*; *numbers* are sender and recipient of the message it is about."""
    return Row(
        run,
        since_epoch(event.ts),
        event.type,
        column(subject(event)),
        column(numbers[0]),
        column(numbers[1]),
        _encode(to_record(event)),
        None if request is None else _head_of(request),
        None if request is None else request.body,
    )


def event_of(record: str) -> Event | None:
    """The event of a row's *record*; None if a newer version recorded it."""
    try:
        return from_record(json.loads(record))
    except ValueError:
        return None


def request_of(head: str, body: bytes) -> Request:
    """The raw request of a row."""
    first, *lines = head.split("\n")
    method, _, url = first.partition(" ")
    headers = [line.partition(": ") for line in lines]
    return Request(method, url, tuple((name, value) for name, _, value in headers), body)


def _head_of(request: Request) -> str:
    """Method, URL and headers, a line each."""
    lines = [f"{request.method} {request.url}"]
    lines += [f"{name}: {value}" for name, value in request.headers]
    # No server lets a line end through; no harm if one does.
    return column("\n".join([line.replace("\n", " ") for line in lines])) or ""


def subject(event: Event) -> str | None:
    """The SID of the message that *event* is about, or None."""
    if isinstance(event, Reply):
        return event.in_reply_to
    if isinstance(event, Inbound | Status | MessageState | Problem):
        return event.sid
    return None


def since_epoch(at: datetime) -> int:
    """*at* as the column ``ts`` has it."""
    return milliseconds(at - _EPOCH)


def milliseconds(span: timedelta) -> int:
    """Whole milliseconds of *span*, rounded down."""
    return (span.days * 86400 + span.seconds) * 1000 + span.microseconds // 1000


def column(text: str | None) -> str | None:
    """*text* as a column can hold it; lone surrogates become question marks."""
    if text is None or text.isascii():
        return text
    return text.encode("utf-8", "replace").decode()
