"""Changing a number's webhook for good: looked at, asked, journaled, changed, read back."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from smsquest_cli.diagnosis import brought_along, concern_about
from smsquest_cli.journal import FIELDS, SET, URL_FIELDS
from smsquest_cli.pointing import Resource
from smsquest_cli.problems import NumberError, UsageError
from smsquest_cli.twilio_api import RefusedRequestError

if TYPE_CHECKING:
    from smsquest_cli.diagnosis import Concern, Route
    from smsquest_cli.journal import Fields, Journal, JournalEntry
    from smsquest_cli.twilio_api import TwilioGateway

MOVING: Final = ("sms_url", "sms_application_sid", "inbound_request_url")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """The webhook to give a number; an empty URL means none, None leaves a field alone."""

    url: str
    method: str = "POST"
    fallback_url: str | None = None
    fallback_method: str | None = None
    via_service: bool = False
    temporary: bool = False  # the URL is that of a run, and gone when it stops


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A change to a number or to its Messaging Service; the user must confirm its *concern*.

    *before* and *after* hold the same fields; ``former`` is the journal's entry so far.
    """

    number: str
    sid: str
    before: Fields
    after: Fields
    concern: Concern | None = None
    former: JournalEntry | None = None
    temporary: bool = False

    @property
    def is_needed(self) -> bool:
        """Whether anything is different afterwards."""
        return self.before != self.after

    @property
    def moves(self) -> bool:
        """Whether messages go to another address afterwards."""
        return any(name in self.changed for name in MOVING)

    @property
    def changed(self) -> dict[str, str | bool]:
        """The fields that are different afterwards."""
        return {name: value for name, value in self.after.items() if self.before[name] != value}


def plan(gateway: TwilioGateway, journal: Journal, route: Route, wanted: Wanted) -> Change:
    """The change that makes the messages for *route* go where they are *wanted*.

    Raises `NumberError`: N4, N5 and N11 if the number cannot be used so, M4 if a run has it.
    """
    if obstacle := route.obstacle(via_service=wanted.via_service):
        raise obstacle
    holder = route.service or route.number
    names = FIELDS[holder.sid[:2]]
    before = {name: getattr(holder, name) for name in names}
    after = {**before, **_fields(route, wanted)}
    former = journal.entry(holder.sid)
    if former is not None:
        journal.refuse_live(former)
    change = Change(
        number=route.number.phone_number,
        sid=holder.sid,
        before=before,
        after=after,
        former=former,
        temporary=wanted.temporary,
    )
    if change.moves:
        others = brought_along(gateway, route)
        ours = former.ours if former else ()
        concern = concern_about(route, ours=ours, others=others, for_good=True)
        change = replace(change, concern=concern)
    return change


def apply(gateway: TwilioGateway, journal: Journal, change: Change) -> None:
    """Make *change* and read it back; ``--restore`` can undo it.

    Raises `NumberError`: N16 if Twilio does not confirm it or somebody else was quicker, M4 if
    another run was; and whatever Twilio and the journal raise.
    """
    resource = Resource(gateway, change.sid, change.number)
    url = str(change.after[URL_FIELDS[change.sid[:2]]])
    if (found := resource.read()) != change.before:
        raise resource.unconfirmed(url, found)
    entry = _entry(gateway, journal, change)
    if not journal.write(entry, replacing=change.former):
        what = "was taken by another smsquest at this moment"
        raise NumberError("M4", number=change.number, what=what, consequence="Try again")
    try:
        resource.write(change.changed)
    except RefusedRequestError:  # nothing was changed
        _forget(journal, entry, change.former)
        raise
    resource.confirm(change.changed, url)
    _settle(journal, entry, change)


def _fields(route: Route, wanted: Wanted) -> dict[str, str | bool]:
    """The fields to set."""
    if route.service is not None:
        if wanted.fallback_url is not None or wanted.fallback_method is not None:
            raise UsageError("U5", first="--via-service", second="--fallback-url")
        return {"inbound_request_url": wanted.url, "inbound_method": wanted.method}
    fields: dict[str, str | bool] = {
        "sms_url": wanted.url,
        "sms_method": wanted.method,
        "sms_application_sid": "",
    }
    if wanted.fallback_url is not None:
        fields["sms_fallback_url"] = wanted.fallback_url
    if wanted.fallback_method is not None:
        fields["sms_fallback_method"] = wanted.fallback_method
    if not wanted.url:
        fields["sms_fallback_url"] = ""  # Twilio cannot hold one alone (21406)
    return fields


def _entry(gateway: TwilioGateway, journal: Journal, change: Change) -> JournalEntry:
    """The entry for the journal: an original that a former run saved wins over what it left."""
    original = {name: change.before[name] for name in change.changed}
    url_field = URL_FIELDS[change.sid[:2]]
    original[url_field] = change.before[url_field]
    ours: tuple[str, ...] = (str(change.after[url_field]),)
    former = change.former
    if former is not None and change.before[url_field] in former.ours:
        original = {**original, **former.original}
        ours = (*former.ours, *ours)
    return journal.begin(
        sid=change.sid, number=change.number, login=gateway.login, original=original, ours=ours
    )


def _settle(journal: Journal, entry: JournalEntry, change: Change) -> None:
    """The change is made: keep in the journal only what ``--restore`` needs."""
    if all(change.after[name] == value for name, value in entry.original.items()):
        journal.clear(entry)  # it is as it was before us
        return
    done = replace(entry, kept=True, process=None)  # no run will put it back
    journal.write(done, replacing=entry)
    if not change.temporary:
        journal.archive(done, SET)


def _forget(journal: Journal, entry: JournalEntry, former: JournalEntry | None) -> None:
    if former is None:
        journal.clear(entry)
    else:
        journal.write(former, replacing=entry)
