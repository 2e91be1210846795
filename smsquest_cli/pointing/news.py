"""What happens to a number, as events for whoever records and shows them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from smsquest_cli.events import Number, Problem
from smsquest_cli.webhook_urls import described

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from smsquest_cli.events import Event
    from smsquest_cli.journal import JournalEntry


class News:
    """Events that are kept until `tell`: a full disk must not keep a number from being put back."""

    def __init__(self, tell: Callable[[Event], object], now: Callable[[], datetime]) -> None:
        self._tell = tell
        self._now = now
        self._kept: list[Event] = []

    def happened(self, action: str, entry: JournalEntry, url: str) -> None:
        """The number of *entry* was ``pointed`` at *url*, ``restored`` to it, or ``left`` there."""
        previous = entry.url if action == "restored" else entry.original_url
        self._kept.append(
            Number(ts=self._now(), action=action, number=entry.number, url=url, previous=previous)
        )

    def problem(self, problem_id: str, severity: str | None = None, **values: str) -> None:
        """A problem of the catalogue."""
        problem = Problem.of(problem_id, at=self._now(), severity=severity, **values)
        self._kept.append(problem)

    def lost(self, entry: JournalEntry, what: str) -> None:
        """M4: somebody else took the number over."""
        self.problem(
            "M4",
            severity="warning",
            number=entry.number,
            what=f"{what} (seen at {self._now().astimezone():%H:%M})",
            consequence="You receive nothing more; smsquest leaves that as it is",
        )

    def left(self, entry: JournalEntry, url: str) -> None:
        """M6: the number is not put back: it calls *url* now, which somebody else has set."""
        original = entry.original_words()
        self.problem("M6", number=entry.number, url=described(url), original=original)
        self.happened("left", entry, url)

    def gone(self, entry: JournalEntry) -> None:
        """N18: there is nothing to put back any more."""
        service = entry.sid.startswith("MG")
        self.problem(
            "N18", what=f"the Messaging Service of {entry.number}" if service else entry.number
        )

    def locked_out(self, entry: JournalEntry) -> None:
        """C13: Twilio no longer accepts our credentials."""
        time = f"{self._now().astimezone():%H:%M}"
        self.problem("C13", time=time, number=entry.number)

    def tell(self) -> None:
        """Tell all that was kept."""
        while self._kept:
            self._tell(self._kept.pop(0))
