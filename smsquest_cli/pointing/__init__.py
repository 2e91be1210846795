"""Pointing a number here, and putting it back: whatever happens, one of two things holds.

Either the number is as it was, or the journal on disk says what it was. The order makes it so:
journal, change, read back; on the way out compare, restore, read back, clear the journal.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from smsquest_cli.credentials import masked
from smsquest_cli.pointing.pointing import Handling, Pointing
from smsquest_cli.pointing.resource import Resource
from smsquest_cli.problems import NotRestoredError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from smsquest_cli.diagnosis import Route
    from smsquest_cli.journal import Journal, JournalEntry
    from smsquest_cli.twilio_api import TwilioGateway

__all__ = ["Handling", "Pointing", "Resource", "pointed_at", "restore"]


@contextmanager
def pointed_at(
    gateway: TwilioGateway,
    route: Route,
    url: str,
    *,
    journal: Journal,
    handling: Handling | None = None,
    keep: bool = False,
) -> Iterator[Pointing]:
    """Have the number of *route* (or the service that answers for it) call *url* during the block.

    The original is put back on the way out, unless somebody else has changed the number; with
    *keep* our URL stays, and so does the entry in the journal. Raises `NumberError` (M4, N16),
    `LocalError` (L4) and Twilio's refusals, and `NotRestoredError` (M1) on the way out.
    """
    pointing = Pointing(gateway, journal, handling or Handling())
    try:
        pointing.point(route, url)
    except BaseException:
        pointing.put_back()
        raise
    try:
        yield pointing
    finally:
        if keep:
            pointing.keep()
        else:
            pointing.put_back()


def restore(
    gateway: TwilioGateway,
    entry: JournalEntry,
    *,
    journal: Journal,
    handling: Handling | None = None,
) -> bool | None:
    """Put back the original of *entry*: True if done, None if the number is somebody else's now.

    Raises `NumberError` (M4) while the run that made it is still there, and `NotRestoredError`.
    """
    login = gateway.login
    if (entry.account_sid, entry.origin) != (login.account_sid, login.origin):
        place = f" at {entry.origin}" if entry.origin else ""
        reason = f"it belongs to {masked(entry.account_sid)}{place}, not to the account in use"
        raise NotRestoredError("M1", number=entry.number, reason=reason)
    pointing = Pointing(gateway, journal, handling or Handling())
    pointing.take_over(entry)
    try:
        pointing.put_back()
    except NotRestoredError:
        pointing.give_back(entry)
        raise
    return pointing.restored
