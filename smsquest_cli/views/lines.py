"""The lines view: one line per event, for logs, pipes and people without a table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Self

from smsquest_cli import console
from smsquest_cli.console import problem_line
from smsquest_cli.events import (
    Event,
    Inbound,
    MessageState,
    Number,
    Problem,
    Ready,
    Rejected,
    Reply,
    Status,
    Stopped,
    Tunnel,
)
from smsquest_cli.explanations import short
from smsquest_cli.inbox import OPT_OUTS, Inbox
from smsquest_cli.printable import printable
from smsquest_cli.statuses import FAILURE
from smsquest_cli.views.words import happening, rejection, way

if TYPE_CHECKING:
    from collections.abc import Sequence

    from smsquest_cli.events import Event, Step
    from smsquest_cli.views import Header

IN: Final = "<--"
OUT: Final = "-->"
NEWS: Final = "..."
BAD: Final = "!!!"


class Lines:
    """Writes each event as one line with stable columns: time, mark, SID, peer, what happened."""

    def __init__(self, header: Header | None = None) -> None:
        self._header = header
        self._inbox = Inbox()  # knows what an event does not say: whom a reply is for, its way

    def __enter__(self) -> Self:
        for line in self._header or ():
            console.say(line)
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is left behind."""

    def show(self, batch: Sequence[Event]) -> None:
        """Write *batch*."""
        for event in batch:
            self._inbox.apply(event)
            at = event.ts.astimezone().strftime("%Y-%m-%d %H:%M:%S")
            console.write_line(f"{at}  {self._line(event)}")

    def due(self) -> None:
        """Nothing is put off."""

    def refresh(self) -> None:
        """Nothing was put off."""

    def _line(self, event: Event) -> str:
        match event:
            case Inbound():
                line = _about(IN, event.sid, event.from_, *_inbound(event))
            case Reply():
                line = self._reply(event)
            case Status():
                line = self._status(event)
            case MessageState():
                line = _state(event)
            case Rejected():
                line = f"{BAD} {rejection(event)}"
            case Problem():
                line = _problem(event)
            case Number() | Tunnel():
                line = f"{NEWS} {happening(event)}"
            case Ready():
                line = f"{NEWS} {_ready(event)}"
            case Stopped():
                line = f"{NEWS} {_stopped(event)}"
        return line

    def _reply(self, event: Reply) -> str:
        row = self._inbox.row(event.in_reply_to)
        texts = [_quoted(message.body, len(message.media)) for message in event.messages]
        said = " ".join(texts) or "(no message)"
        took = f"[{event.http_status}] {event.ms:.0f} ms"
        return _about(OUT, event.in_reply_to, row.peer if row else "", said, took, event.source)

    def _status(self, event: Status) -> str:
        row = self._inbox.row(event.sid)
        failed = event.status in FAILURE
        parts = [event.status]
        if event.error_code:
            parts.append(f"{event.error_code} {short(event.error_code)}")
        parts.append(_way(row.delivery.steps if row else ()))
        if event.duplicate:
            parts.append("(repeated)")
        elif event.stale:
            parts.append(f"(late: it is {event.current})")
        return _about(BAD if failed else NEWS, event.sid, event.to or "", *parts)


def _about(mark: str, sid: str, peer: str, *parts: str) -> str:
    """A line about one message; whoever reads it finds the SID and the peer in their columns."""
    return printable("  ".join([f"{mark} {sid:<34}", f"{peer:<12}", *filter(None, parts)]))


def _quoted(body: str, media: int) -> str:
    return f'"{body}"' + (f" +{media} media" if media else "")


def _inbound(event: Inbound) -> list[str]:
    return [
        _quoted(event.body, len(event.media)),
        f"{event.segments} seg",
        f"sig {event.signature}" if not event.missed else "missed",
        OPT_OUTS.get(event.opt_out, event.opt_out) if event.opt_out else "",
        "(repeated)" if event.duplicate else "",
    ]


def _state(event: MessageState) -> str:
    body = _quoted(event.body, 0) if event.body is not None else ""
    status = event.status
    if event.error_code:
        status += f" {event.error_code} {event.error or short(event.error_code)}"
    mark = BAD if event.status in FAILURE else NEWS
    return _about(mark, event.sid, event.peer, status, _way(event.history), body)


def _way(steps: Sequence[Step]) -> str:
    """The way of a message that has moved on since its first status."""
    return way(steps) if len(steps) > 1 else ""


def _problem(event: Problem) -> str:
    mark = NEWS if event.severity == "note" else BAD
    about = f"{printable(event.sid):<34}  " if event.sid else ""
    return f"{mark} {about}{problem_line(event.id, event.severity, event.line)}"


def _ready(event: Ready) -> str:
    number = f"  {event.number}" if event.number else ""
    app = f"  forwards to {event.forward_to}" if event.forward_to else ""
    unchecked = "" if event.verify else "  SIGNATURES ARE NOT CHECKED"
    return printable(f"ready ({event.mode}){number}  {event.webhook_url}{app}{unchecked}")


def _stopped(event: Stopped) -> str:
    restored = {None: "", True: " restored=yes", False: " restored=NO"}[event.restored]
    counts = f"in={event.inbound} out={event.outbound} problems={event.problems}"
    return printable(f"stopped ({event.reason}) {counts}{restored}")
