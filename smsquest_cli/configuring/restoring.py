"""Putting numbers back: what a stopped run left behind, or the last change that was made here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from smsquest_cli.phone_numbers import normalised
from smsquest_cli.pointing import Handling, restore
from smsquest_cli.problems import NotRestoredError, NumberError, SmsquestError
from smsquest_cli.webhook_urls import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from smsquest_cli.credentials import RestCredentials
    from smsquest_cli.events import Event
    from smsquest_cli.journal import Journal, JournalEntry
    from smsquest_cli.twilio_api import TwilioGateway

PATIENCE: Final = 5.0  # seconds: somebody waits at a prompt, and may try again


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one entry: ``restored``, ``left`` to others, ``failed`` or ``planned``."""

    entry: JournalEntry
    outcome: str
    error: NotRestoredError | None = None

    @property
    def words(self) -> str:
        """The same for people."""
        entry = self.entry
        original = entry.original_words(method=True)
        words = {
            "restored": f"restored to {original}  checked",
            "left": "left as it is",
            "failed": f"NOT restored to {original}",
            "planned": f"would be restored to {original} (now {shown(entry.url)})",
        }
        return words[self.outcome]

    def to_json(self) -> dict[str, Any]:
        """The same for programs."""
        return {
            "number": self.entry.number,
            "sid": self.entry.sid,
            "outcome": self.outcome,
            "url": shown(self.entry.original_url) or None,
            "previous": shown(self.entry.url),
        }


def waiting(
    journal: Journal, number: str | None, *, every: bool, login: RestCredentials | None
) -> list[JournalEntry]:
    """The entries to put back: that of *number*, the only one there is, or all with *every*.

    What runs have left comes first; if they have left nothing, a change made on purpose can be
    undone, if it was made with the account of *login*. Raises `NumberError`: M7 if several wait
    and none is named, M4 if a run uses the one that is meant.
    """
    held = journal.entries()
    left = [entry for entry in held if not journal.is_live(entry)]
    undoable = [entry for entry in journal.undoable() if login and _is_of(login, entry)]
    if number is not None:
        entries = [one for one in (*held, *undoable) if _is_meant(number, one)][:1]
    elif every:
        entries = left
    else:
        entries = left or held or undoable
    for entry in entries:
        journal.refuse_live(entry)
    if every or len(entries) < 2:  # noqa: PLR2004
        return entries
    listed = ", ".join(entry.number for entry in entries)
    choice = "Give --all, or name one" if left else "Name one"
    raise NumberError("M7", count=len(entries), candidates=listed, choice=choice)


def put_back(
    connect: Callable[[], TwilioGateway],
    journal: Journal,
    entries: Sequence[JournalEntry],
    *,
    tell: Callable[[Event], object],
) -> Iterator[Outcome]:
    """Put back each of *entries*; if one fails, the others are still put back.

    *connect* gives Twilio's API, or raises `SmsquestError`.
    """
    for entry in entries:
        try:
            yield _put_back(connect, journal, entry, tell)
        except SmsquestError as err:
            yield Outcome(entry=entry, outcome="failed", error=_not_restored(entry, err))


def _put_back(
    connect: Callable[[], TwilioGateway],
    journal: Journal,
    entry: JournalEntry,
    tell: Callable[[Event], object],
) -> Outcome:
    gateway = connect()
    if journal.entry(entry.sid) is None:
        journal.revive(entry)
    done = restore(gateway, entry, journal=journal, handling=Handling(tell=tell, patience=PATIENCE))
    return Outcome(entry=entry, outcome="restored" if done else "left")


def _not_restored(entry: JournalEntry, err: SmsquestError) -> NotRestoredError:
    if isinstance(err, NotRestoredError):
        return err
    return NotRestoredError("M1", number=entry.number, reason=f"{err.id}: {err.line}")


def _is_of(login: RestCredentials, entry: JournalEntry) -> bool:
    return (login.account_sid, login.origin) == (entry.account_sid, entry.origin)


def _is_meant(wanted: str, entry: JournalEntry) -> bool:
    typed = wanted.strip()
    return entry.sid == typed or entry.number in (normalised(typed), f"+{typed.lstrip('+')}")
