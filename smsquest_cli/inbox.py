"""The messages of a run: events folded into one row per message.

Late, repeated and reordered callbacks never move a row back: it ends up the same whatever the
order was. Only the newest rows are kept, so that a long run does not grow; the totals count
everything.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final, Literal

from smsquest_cli.events import Inbound, MessageState, Problem, Rejected, Reply, Status
from smsquest_cli.segments import GSM_7, segment
from smsquest_cli.statuses import FAILURE, Delivery
from smsquest_cli.webhook_urls import PATHS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from smsquest_cli.events import Event, OutgoingMessage

KEEP: Final = 500  # rows; more than any window shows
TIMES: Final = "\N{MULTIPLICATION SIGN}"
APP_UNREACHABLE: Final = "T8"
WAITS_FOR_APP: Final = "A17"
OVERLAP: Final = timedelta(seconds=10)  # within which callbacks of several replies may begin

OPT_OUTS: Final = {"STOP": "opted out", "START": "opted in", "HELP": "asked for help"}
_FIRST_ERROR: Final = 400  # of the HTTP statuses


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A message and how it stands; ``peer`` is the other side's number.

    A reply has no ``sid`` until its first status callback tells it.
    """

    direction: Literal["in", "out"]
    at: datetime
    peer: str = ""
    sid: str | None = None
    body: str = ""
    media: int = 0
    segments: int = 1
    encoding: str = GSM_7
    delivery: Delivery = field(default_factory=Delivery)
    in_reply_to: str | None = None
    asks: bool | None = None  # True: for callbacks here; False: elsewhere; None: it does not say
    answer: Reply | None = None  # the answer to an inbound message
    opt_out: str | None = None
    missed: bool = False
    repeats: int = 0  # how often an inbound message came again
    waits: bool = False  # for an app that is not there
    trouble: str | None = None  # the id of the first problem with it that is an error

    @property
    def error_code(self) -> int | None:
        """Twilio's code for why it failed."""
        return self.delivery.error_code

    @property
    def failed(self) -> bool:
        """Whether it will not arrive, or was not answered as it should be."""
        refused = self.answer is not None and self.answer.http_status >= _FIRST_ERROR
        return self.delivery.current in FAILURE or bool(self.trouble) or refused

    @property
    def words(self) -> tuple[str, ...]:
        """How it stands: what matters most first."""
        return tuple(self._outbound_words() if self.direction == "out" else self._inbound_words())

    def _outbound_words(self) -> Iterator[str]:
        if self.delivery.current:
            yield self.delivery.current
        else:
            yield "replied" if self.in_reply_to else "sent"
        if self.error_code:
            yield str(self.error_code)

    def _inbound_words(self) -> Iterator[str]:
        if self.missed:
            yield "missed"
        elif self.opt_out:
            yield OPT_OUTS.get(self.opt_out, self.opt_out)
        elif self.trouble == APP_UNREACHABLE:
            yield "app unreachable"
        elif self.answer is None:
            yield "app down, retrying" if self.waits else "received"
        elif self.answer.source == "none" and self.answer.http_status >= _FIRST_ERROR:
            yield "app gave no answer"
        elif self.answer.source == "app":
            yield f"app {self.answer.http_status} {self.answer.ms:.0f}ms"
        else:
            yield f"answered {self.answer.http_status}"
        if self.repeats:
            yield f"repeated {TIMES}{self.repeats + 1}"


@dataclass(slots=True)
class Totals:
    """The totals, including rows that are no longer kept."""

    inbound: int = 0
    outbound: int = 0
    failed: int = 0
    rejected: int = 0
    problems: int = 0


class Inbox:
    """Rows and totals of the events that were applied; *keep* bounds the rows."""

    def __init__(self, *, keep: int = KEEP) -> None:
        self.totals = Totals()
        self._keep = keep
        self._rows: dict[int, Row] = {}
        self._next = 0
        self._by_sid: dict[str, int] = {}
        self._replies: dict[str, list[int]] = {}  # the rows that answer a message
        self._unclaimed: dict[int, None] = {}  # the rows of replies whose SID is not yet known

    @property
    def rows(self) -> tuple[Row, ...]:
        """The rows that are kept, the oldest first."""
        return tuple(self._rows.values())

    @property
    def dropped(self) -> int:
        """How many older rows are no longer kept."""
        return self._next - len(self._rows)

    def row(self, sid: str) -> Row | None:
        """The row of the message *sid*, if it is kept."""
        key = self._by_sid.get(sid)
        return None if key is None else self._rows[key]

    def apply(self, event: Event) -> None:
        """Fold *event* in; one that is about no message only changes the totals."""
        match event:
            case Inbound():
                self._inbound(event)
            case Reply():
                self._reply(event)
            case Status():
                self._status(event)
            case MessageState():
                self._state(event)
            case Rejected():
                self.totals.rejected += event.count
            case Problem():
                self._problem(event)

    def _inbound(self, event: Inbound) -> None:
        known = self._by_sid.get(event.sid)
        if known is not None:
            row = self._rows[known]
            again = 0 if row.missed or event.missed else 1
            missed = row.missed and event.missed
            self._rows[known] = replace(row, repeats=row.repeats + again, missed=missed)
            return
        if not event.duplicate:
            self.totals.inbound += 1
        self._add(
            Row(
                direction="in",
                at=event.ts,
                peer=event.from_,
                sid=event.sid,
                body=event.body,
                media=len(event.media),
                segments=event.segments,
                encoding=event.encoding,
                opt_out=event.opt_out,
                missed=event.missed,
                repeats=1 if event.duplicate else 0,
            )
        )

    def _reply(self, event: Reply) -> None:
        """An answer; if its message came again, the messages of the first answer stay."""
        self._change(event.in_reply_to, lambda row: replace(row, answer=event))
        claimed = self._replies.get(event.in_reply_to, [])
        if any(self._rows[key].body for key in claimed):
            return
        inbound = self.row(event.in_reply_to)
        early = iter([*claimed])  # callbacks that came before the answer was recorded
        for message in event.messages:
            key = next(early, None)
            if key not in self._rows:
                key = self._add(
                    Row(direction="out", at=event.ts, in_reply_to=event.in_reply_to), unclaimed=True
                )
                self.totals.outbound += 1
            self._rows[key] = _with_text(self._rows[key], message, inbound.peer if inbound else "")

    def _status(self, event: Status) -> None:
        key = self._by_sid.get(event.sid)
        if key is None:
            key = self._claim(event.sid, event.in_reply_to, event.to, at=event.ts)
        if key is None:
            key = self._unheard_of(event, known=event.previous is not None)
        row = self._rows[key]
        if row.direction == "out" and row.in_reply_to is None:
            row = replace(row, at=min(row.at, event.ts))
        if not row.peer and event.to:
            row = replace(row, peer=event.to)
        self._deliver(key, row, row.delivery.told(event))

    def _state(self, event: MessageState) -> None:
        """News from ``send`` or Twilio's API; it brings the text as well."""
        key = self._by_sid.get(event.sid)
        if key is None:
            key = self._claim(event.sid, event.in_reply_to, event.to, at=event.ts, body=event.body)
        if key is None:
            key = self._unheard_of(event, known=False)
        row = self._rows[key]
        if event.body and not row.body:
            split = segment(event.body)
            row = replace(row, body=event.body, segments=split.segments, encoding=split.encoding)
        if not row.peer:
            row = replace(row, peer=event.peer)
        self._deliver(key, row, row.delivery.told(event))

    def _deliver(self, key: int, row: Row, delivery: Delivery) -> None:
        before, after = row.delivery.current in FAILURE, delivery.current in FAILURE
        self.totals.failed += after - before
        self._rows[key] = replace(row, delivery=delivery)

    def _problem(self, event: Problem) -> None:
        if event.severity != "note":
            self.totals.problems += 1
        if event.sid and event.id == WAITS_FOR_APP:
            self._change(event.sid, lambda row: replace(row, waits=True))
        if event.sid and event.severity == "error":
            self._change(event.sid, lambda row: replace(row, trouble=row.trouble or event.id))

    def _claim(
        self,
        sid: str,
        in_reply_to: str | None,
        peer: str | None,
        *,
        at: datetime,
        body: str | None = None,
    ) -> int | None:
        """The row of the reply that turns out to be *sid*: the first that fits, or None.

        If nothing ties the two together, it is the oldest of the recent replies to *peer*: the
        callbacks of an older one would have come long before. A reply that asked for callbacks here
        goes before one that did not say (its Messaging Service may have asked); a reply whose
        callbacks go elsewhere never fits.
        """
        if in_reply_to:
            fitting = [key for key in self._replies.get(in_reply_to, ()) if key in self._unclaimed]
        else:
            fitting = [key for key in self._unclaimed if self._rows[key].peer == peer]
            if body is None:
                fitting = [key for key in fitting if self._rows[key].asks is not False]
                fitting = [key for key in fitting if self._rows[key].asks] or fitting
            if len(fitting) > 1:
                fitting = [key for key in fitting if at - self._rows[key].at < OVERLAP] or fitting
        if body is not None:
            fitting = [key for key in fitting if self._rows[key].body == body]
        if not fitting:
            return None
        key = fitting[0]
        del self._unclaimed[key]
        self._by_sid[sid] = key
        self._rows[key] = replace(self._rows[key], sid=sid)
        return key

    def _unheard_of(self, event: Status | MessageState, *, known: bool) -> int:
        """A new row for a message that is not a reply of ours; *known* if it was counted before."""
        inbound = isinstance(event, MessageState) and event.is_inbound
        if not known and inbound:
            self.totals.inbound += 1
        elif not known:
            self.totals.outbound += 1
        return self._add(
            Row(
                direction="in" if inbound else "out",
                at=event.ts,
                peer=event.peer if isinstance(event, MessageState) else event.to or "",
                sid=event.sid,
                in_reply_to=event.in_reply_to,
            )
        )

    def _change(self, sid: str, change: Callable[[Row], Row]) -> None:
        key = self._by_sid.get(sid)
        if key is not None:
            self._rows[key] = change(self._rows[key])

    def _add(self, row: Row, *, unclaimed: bool = False) -> int:
        key = self._next
        self._next += 1
        self._rows[key] = row
        if row.sid:
            self._by_sid[row.sid] = key
        if row.in_reply_to:
            self._replies.setdefault(row.in_reply_to, []).append(key)
        if unclaimed:
            self._unclaimed[key] = None
        if len(self._rows) > self._keep:
            self._forget(next(iter(self._rows)))
        return key

    def _forget(self, key: int) -> None:
        row = self._rows.pop(key)
        self._unclaimed.pop(key, None)
        if row.sid:
            del self._by_sid[row.sid]
        if row.in_reply_to:
            siblings = self._replies[row.in_reply_to]
            siblings.remove(key)
            if not siblings:
                del self._replies[row.in_reply_to]


def _with_text(row: Row, message: OutgoingMessage, peer: str) -> Row:
    split, callback = segment(message.body), message.status_callback
    return replace(
        row,
        peer=row.peer or message.to or peer,
        body=message.body,
        media=len(message.media),
        asks=callback.partition("?")[0].endswith((*PATHS,)) if callback else None,
        segments=split.segments,
        encoding=split.encoding,
    )
