"""What became of each message: the news from callbacks and Twilio's API, joined into one state."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from smsquest_cli.events import Inbound, MessageState, Reply, Status
from smsquest_cli.explanations import short
from smsquest_cli.statuses import Delivery

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from smsquest_cli.events import Event, OutgoingMessage

KEEP: Final = 50_000  # beyond this number, the oldest final messages are forgotten

CALLBACK: Final = "callback"
POLL: Final = "poll"


@dataclass(slots=True)
class _Message:
    sid: str
    direction: str | None = None
    from_: str | None = None
    to: str | None = None
    body: str | None = None
    in_reply_to: str | None = None
    delivery: Delivery = field(default_factory=Delivery)
    told_by_callback: set[str] = field(default_factory=set)

    @property
    def final(self) -> bool:
        return self.delivery.final or self.delivery.current == "received"


class Deliveries:
    """The messages that events told about, in the order in which they became known.

    A message ends up in the same state whatever the order of its events.
    """

    def __init__(self, *, keep: int = KEEP) -> None:
        self._messages: dict[str, _Message] = {}
        self._replies: dict[str, tuple[OutgoingMessage, ...]] = {}
        self._keep = keep

    def __iter__(self) -> Iterator[str]:
        """The SIDs, the first known first."""
        return iter(self._messages)

    def __contains__(self, sid: str) -> bool:
        return sid in self._messages

    def __len__(self) -> int:
        return len(self._messages)

    def apply(self, event: Event) -> str | None:
        """Take in *event*; returns the SID of the message that it has news about, or None."""
        if isinstance(event, Reply):
            self._replies[event.in_reply_to] = event.messages
            if len(self._replies) > self._keep:
                del self._replies[next(iter(self._replies))]
            return None
        if not isinstance(event, Inbound | Status | MessageState):
            return None
        message = self._messages.get(event.sid) or _Message(event.sid)
        before = self._telling(message)
        _take(message, event)
        if event.sid not in self._messages:
            self._make_room()
            self._messages[event.sid] = message
        return None if self._telling(message) == before else event.sid

    def state(self, sid: str, *, at: datetime) -> MessageState:
        """All that is known at *at* about the message *sid*, which must be one of these."""
        message = self._messages[sid]
        delivery = message.delivery
        status = delivery.current or "unknown"
        reply = "outbound-reply" if message.in_reply_to else "outbound-api"
        return MessageState(
            ts=at,
            sid=sid,
            direction=message.direction or reply,
            from_=message.from_,
            to=message.to,
            body=self._body(message),
            status=status,
            final=message.final,
            history=delivery.steps,
            error_code=delivery.error_code,
            error=short(delivery.error_code) if delivery.error_code else None,
            in_reply_to=message.in_reply_to,
            source=CALLBACK if status in message.told_by_callback else POLL,
        )

    def called_back(self, sid: str) -> bool:
        """Whether a status callback of the message *sid* ever came here."""
        return bool(self._messages[sid].told_by_callback)

    def _body(self, message: _Message) -> str | None:
        if message.body is not None:
            return message.body
        # Callbacks do not say which <Message> of a reply they are about.
        replies = self._replies.get(message.in_reply_to or "", ())
        return replies[0].body if len(replies) == 1 else None

    def _telling(self, message: _Message) -> tuple[object, ...]:
        """The parts of *message* that a reader would see change."""
        delivery = message.delivery
        return (
            delivery.current,
            delivery.error_code,
            len(delivery.steps),
            message.from_,
            message.to,
            self._body(message),
        )

    def _make_room(self) -> None:
        if len(self._messages) < self._keep:
            return
        over = next((sid for sid, message in self._messages.items() if message.final), None)
        if over is not None:
            del self._messages[over]


def _take(message: _Message, event: Inbound | Status | MessageState) -> None:
    message.from_ = message.from_ or event.from_
    message.to = message.to or event.to
    if isinstance(event, Inbound):
        message.direction, message.body = "inbound", event.body
        message.delivery = message.delivery.advance("received", at=event.ts)
        message.told_by_callback.add("received")
        return
    message.in_reply_to = message.in_reply_to or event.in_reply_to
    if isinstance(event, MessageState):
        message.direction = message.direction or event.direction
        message.body = event.body if message.body is None else message.body
    message.delivery = message.delivery.told(event)
    if isinstance(event, Status) or event.source == CALLBACK:
        message.told_by_callback.add(event.status)
