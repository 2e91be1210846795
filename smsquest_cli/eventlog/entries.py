"""What goes into the event log and what comes out of it, and the log's protocol."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

    from smsquest_cli.events import Event, Problem
    from smsquest_cli.wire import Request


@dataclass(frozen=True, slots=True)
class LogEntry:
    """An event to record, with the raw request that brought it, if there is one."""

    event: Event
    request: Request | None = None


@dataclass(frozen=True, slots=True)
class Stored:
    """A recorded event: its position in the log, and the run that recorded it."""

    position: int
    run: str
    event: Event
    has_request: bool = False


@dataclass(frozen=True, slots=True)
class Batch:
    """Events in their order, and the cursor from which to read on."""

    events: tuple[Stored, ...]
    cursor: int


class EventLog(Protocol):
    """Where events are recorded and read; safe to use from any thread."""

    @property
    def start(self) -> int:
        """The position of the newest event when the log was opened, before its notes."""

    @property
    def notes(self) -> tuple[Problem, ...]:
        """What had to be done to open the log (L2); it is recorded too."""

    def append(self, *entries: LogEntry) -> tuple[Event, ...]:
        """Record *entries* together and return their events as recorded.

        From then on they survive this process. A message or callback that is already known is
        recorded as a ``duplicate``; a status also says what the message counted as before, and
        what it counts as now. Raises `LocalError`.
        """

    def sync(self) -> None:
        """Wait until all that is recorded by now would survive a power cut too.

        Raises `LocalError`.
        """

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
        """Up to *limit* events after the position *after* that meet every given condition.

        An event meets *sids* by the message that it is about, and *number* by either number of
        that message. With fewer than *limit* events the cursor is at the end of the log.
        """

    def wait(self, after: int, timeout: float, *, others: bool = True) -> bool:
        """Wait up to *timeout* seconds for something after *after*; returns whether there is.

        News from other processes is looked for ten times a second, unless *others* is False.
        Raises the `LocalError` that keeps this process from recording, once it has met one.
        """

    def head(self) -> int:
        """The position of the newest event, 0 in an empty log."""

    def request_of(self, sid: str) -> Request | None:
        """The request that first brought the message *sid*, else its newest status callback.

        Of the callbacks one counts that was news: what came again or late may be a replay.
        """

    def sids(self, prefix: str) -> list[str]:
        """The SIDs that begin with *prefix*, the newest first, at most twenty."""

    def close(self) -> None:
        """Finish what is being recorded and let go of the file."""
