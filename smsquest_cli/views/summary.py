"""What is said in words: what happened to the number and the tunnel, and what a run came to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rich.text import Text

from smsquest_cli.console import printable
from smsquest_cli.events import Number, Tunnel
from smsquest_cli.explanations import short
from smsquest_cli.views.layout import ARROWS, FAILED

if TYPE_CHECKING:
    from collections.abc import Iterator

    from smsquest_cli.events import Stopped
    from smsquest_cli.inbox import Inbox, Row

MOST: Final = 50  # messages that are listed at the end

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
        return _TUNNEL.get(event.state, "tunnel {state}").format(
            url=event.url or "", state=event.state
        )
    return _NUMBER.get(event.action, "{number} {action}: {url}").format(
        number=event.number, url=event.url or "(nothing)", action=event.action
    )


def closing(inbox: Inbox, stopped: Stopped, *, pointed: bool) -> Iterator[Text]:
    """What is said when a run has stopped: the sums, then each message with its whole SID."""
    failed = f", {inbox.totals.failed} failed" if inbox.totals.failed else ""
    restored = _restored(stopped.restored, pointed=pointed)
    yield Text(
        f"stopped. {stopped.inbound} in, {stopped.outbound} out{failed}. {restored}",
        style=FAILED if stopped.restored is False else "",
    )
    rows = inbox.rows
    for row in rows[-MOST:]:
        yield _ending(row)
    more = inbox.dropped + len(rows[:-MOST])
    if more:
        yield Text(f"+{more} more: smsquest log")


def _restored(restored: bool | None, *, pointed: bool) -> str:  # noqa: FBT001 - three-valued
    if restored is None:
        return (
            "The number was left as it is." if pointed else "Nothing outside this computer changed."
        )
    if restored:
        return "The number's own webhook is back in place."
    return "THE NUMBER WAS NOT PUT BACK: smsquest configure-number --restore"


def _ending(row: Row) -> Text:
    words = " ".join(row.words)
    if row.error_code:
        words = f"{words}: {short(row.error_code)}"
    elif row.failed:
        words = f"{words} !"
    sid = row.sid or "-"
    return Text(
        printable(f"{ARROWS[row.direction]} {sid:<34}  {row.peer:<12}  {words}"),
        style=FAILED if row.failed else "",
    )
