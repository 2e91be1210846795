"""Events in words, for the views that people read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from smsquest_cli.events import Number, Tunnel
from smsquest_cli.explanations import short
from smsquest_cli.printable import printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from smsquest_cli.events import Rejected, Step, Stopped
    from smsquest_cli.inbox import Inbox, Row

MOST: Final = 50  # messages that are listed at the end
STEP: Final = " · "  # between the steps of a way
ARROWS: Final = {"in": "←", "out": "→"}

_TUNNEL: Final = {
    "up": "tunnel up: {url}",
    "down": "tunnel down: trying to bring it back",
    "changed": "tunnel back at another address: {url}",
}
_NUMBER: Final = {
    "pointed": "{number} now calls {url}",
    "restored": "{number} restored to {url}",
    "left": "{number} left as it is: {url}",
    "taken-over": "{number} was pointed somewhere else: {url}",
}


def happening(event: Number | Tunnel) -> str:
    """*event* in a sentence."""
    if isinstance(event, Tunnel):
        sentence = _TUNNEL.get(event.state, "tunnel {state}")
        return printable(sentence.format(url=event.url or "", state=event.state))
    sentence = _NUMBER.get(event.action, "{number} {action}: {url}")
    url = event.url or "(no webhook)"
    return printable(sentence.format(number=event.number, url=url, action=event.action))


def way(steps: Sequence[Step]) -> str:
    """``queued 0.0 · sent 0.4 s``: the statuses and when each was seen; empty without *steps*."""
    seen = [f"{printable(step.status)} {max(step.elapsed_ms, 0) / 1000:.1f}" for step in steps]
    return STEP.join(seen) + (" s" if seen else "")


def outcome(row: Row) -> str:
    """How *row* stands, with the error in words."""
    words = " ".join(row.words)
    if row.error_code:
        return printable(f"{words}: {short(row.error_code)}")
    return printable(words) + (" !" if row.failed else "")


def troubles(failed: int, problems: int, rejected: int) -> list[str]:
    """``1 failed``, ``2 problems``, ``3 rejected``: only the counts above zero."""
    named = "problem" if problems == 1 else "problems"
    told = ((failed, "failed"), (problems, named), (rejected, "rejected"))
    return [f"{count} {word}" for count, word in told if count]


def rejection(event: Rejected) -> str:
    """What was refused and why: ``rejected  POST /sms  signature: …``."""
    times = f" ({event.count} times)" if event.count > 1 else ""
    hint = f": {event.hint}" if event.hint else ""
    return printable(f"rejected  {event.method} {event.path}  {event.reason}{hint}{times}")


def closing(inbox: Inbox, stopped: Stopped, *, touched: bool) -> Iterator[tuple[str, bool]]:
    """The lines to show when a run has stopped, each with whether it is bad news.

    First the sums, then each message with its whole SID, ready to be copied.
    """
    sums = [f"{stopped.inbound} in", f"{stopped.outbound} out"]
    told = ", ".join(
        [*sums, *troubles(inbox.totals.failed, stopped.problems, inbox.totals.rejected)]
    )
    yield f"stopped. {told}. {_put_back(stopped, touched=touched)}", stopped.restored is False
    rows = inbox.rows
    for row in rows[-MOST:]:
        start = f"{ARROWS[row.direction]} {row.sid or '-':<34}  {row.peer:<12}"
        yield f"{printable(start)}  {outcome(row)}", row.failed
    more = inbox.dropped + len(rows[:-MOST])
    if more:
        yield f"+{more} more: smsquest log", False


def _put_back(stopped: Stopped, *, touched: bool) -> str:
    if stopped.restored:
        return "The number's own webhook is back in place."
    if stopped.restored is not None:
        return "THE NUMBER WAS NOT PUT BACK: smsquest configure-number --restore"
    return "The number was left as it is." if touched else "Nothing outside this computer changed."
