"""What the log knows about a message, and what a further entry about it means in that light."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from smsquest_cli.eventlog.rows import milliseconds
from smsquest_cli.events import Inbound, MessageState, Status
from smsquest_cli.statuses import Delivery

if TYPE_CHECKING:
    from datetime import datetime

    from smsquest_cli.events import Event


@dataclass(slots=True)
class Known:
    """All that earlier entries tell about one message."""

    received: bool = False  # its own webhook came; a backfill does not count
    sender: str | None = None
    recipient: str | None = None
    in_reply_to: str | None = None
    delivery: Delivery = field(default_factory=Delivery)
    called_back: set[str] = field(default_factory=set)

    def take(self, event: Event) -> Event:
        """Learn from *event*, and return it as it should be recorded."""
        if isinstance(event, Inbound):
            return self._inbound(event)
        if isinstance(event, Status):
            return self._status(event)
        if isinstance(event, MessageState):
            self._state(event)
        return event

    def _inbound(self, event: Inbound) -> Event:
        self._numbers(event.from_, event.to)
        duplicate = self.received
        self.received = self.received or not event.missed
        return replace(event, duplicate=True) if duplicate else event

    def _status(self, event: Status) -> Event:
        before = self.delivery
        after = before.told(event)
        duplicate = event.status in self.called_back
        self._numbers(event.from_, event.to)
        self.in_reply_to = self.in_reply_to or event.in_reply_to
        self.called_back.add(event.status)
        self.delivery = after
        return replace(
            event,
            previous=before.current,
            current=after.current,
            stale=not duplicate and after.current not in (event.status, None),
            duplicate=duplicate,
            in_reply_to=self.in_reply_to,
            elapsed_ms=self._elapsed(event.ts),
        )

    def _state(self, event: MessageState) -> None:
        self._numbers(event.from_, event.to)
        self.in_reply_to = self.in_reply_to or event.in_reply_to
        self.delivery = self.delivery.told(event)

    def _numbers(self, sender: str | None, recipient: str | None) -> None:
        self.sender = self.sender or sender
        self.recipient = self.recipient or recipient

    def _elapsed(self, at: datetime) -> int:
        """Milliseconds since the first step; a clock that was set back makes it 0."""
        return max(0, milliseconds(at - min(step.ts for step in self.delivery.steps)))
