"""A number pointed here, and put back whatever happens.

The journal is written before the first change; the change is read back; on the way out the old
values are written again, but only if the number still points at us, and read back too. Whatever
fails in between, the number is as it was or the journal is on disk.
"""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from smsquest_cli.events import Number, Problem
from smsquest_cli.journal import URL_FIELDS, Entry
from smsquest_cli.problems import NotRestoredError, NumberError, SmsquestError
from smsquest_cli.twilio_api import RefusedRequestError
from smsquest_cli.webhook_urls import described

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from smsquest_cli.events import Event
    from smsquest_cli.journal import Fields, Journal
    from smsquest_cli.twilio_api import PhoneNumber, Service, TwilioGateway

RESTORE_SECONDS: Final = 10.0
RETRY_SECONDS: Final = 1.0
NOT_FOUND: Final = 20404
NO_URL_FOR_FALLBACK: Final = 21406


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What is changed so that messages to ``number`` come here: it, or its Messaging Service."""

    sid: str
    number: str
    account_sid: str
    origin: str | None
    before: Fields  # the fields that change, as they are now

    @classmethod
    def of_number(
        cls, number: PhoneNumber, *, account_sid: str, origin: str | None = None
    ) -> Target:
        """*number* itself; a TwiML app that answers for it is detached."""
        before: dict[str, str | bool] = {
            "sms_url": number.sms_url,
            "sms_method": number.sms_method,
        }
        if number.sms_application_sid:
            before["sms_application_sid"] = number.sms_application_sid
        if number.sms_fallback_url and not number.sms_url:
            # Twilio cannot store a fallback alone again (N13): it goes when the URL goes.
            before["sms_fallback_url"] = ""
        return cls(
            sid=number.sid,
            number=number.phone_number,
            account_sid=account_sid,
            origin=origin,
            before=before,
        )

    @classmethod
    def of_service(
        cls,
        service: Service,
        number: PhoneNumber,
        *,
        account_sid: str,
        origin: str | None = None,
    ) -> Target:
        """The Messaging *service* that answers for *number*."""
        return cls(
            sid=service.sid,
            number=number.phone_number,
            account_sid=account_sid,
            origin=origin,
            before={
                "inbound_request_url": service.inbound_request_url,
                "inbound_method": service.inbound_method,
                "use_inbound_webhook_on_number": service.use_inbound_webhook_on_number,
            },
        )

    @property
    def url(self) -> str:
        """What is called now."""
        return str(self.before[URL_FIELDS[self.sid[:2]]])

    def pointed(self, url: str, method: str = "POST") -> Fields:
        """The fields with which *url* is called."""
        if self.sid.startswith("MG"):
            return {
                "inbound_request_url": url,
                "inbound_method": method,
                "use_inbound_webhook_on_number": False,
            }
        detached = {"sms_application_sid": ""} if "sms_application_sid" in self.before else {}
        return {"sms_url": url, "sms_method": method, **detached}


class Pointing:
    """A number that points here; safe to use from several threads."""

    def __init__(
        self,
        gateway: TwilioGateway,
        journal: Journal,
        target: Target,
        *,
        record: Callable[[Event], None],
    ) -> None:
        self.target = target
        self.original_url = target.url
        self.restored: bool | None = None
        self.taken_over = False
        self._gateway = gateway
        self._journal = journal
        self._record = record
        self._entry: Entry | None = None
        self._lock = threading.Lock()

    def begin(self, url: str) -> None:
        """Journal what is there, point the number at *url*, and read it back.

        Raises `NumberError` (M4) where another run has the number and N16 where the change was not
        confirmed, or what the journal and Twilio raise.
        """
        target = self.target
        former = self._journal.entry(target.sid)
        original: dict[str, str | bool] = dict(target.before)
        ours: tuple[str, ...] = (url,)
        if former is not None:
            self._journal.refuse_live(former)
            if target.url in former.ours:  # what a killed run found wins over what it left
                original, ours = {**original, **former.original}, (*former.ours, url)
            else:
                self._left(former, target.url, "somebody changed it")
                former = None
        self._entry = self._journal.signed(
            Entry(
                sid=target.sid,
                number=target.number,
                account_sid=target.account_sid,
                original=original,
                ours=ours,
                started=datetime.now(UTC),
                pid=0,
                origin=target.origin,
            )
        )
        if not self._journal.write(self._entry, replacing=former):
            self._entry = None
            raise NumberError(
                "M4",
                number=target.number,
                what="was taken by another smsquest at this moment",
                consequence="Try again",
            )
        self.original_url = self._entry.original_url
        self._point(url)

    def repoint(self, url: str) -> None:
        """Point the number at another *url* of ours; what it looked like before stays known."""
        with self._lock:
            entry = self._entry
            if entry is None or self.taken_over:
                return
            moved = replace(entry, ours=(*entry.ours, url))
            self._journal.write(moved, replacing=entry)
            self._entry = moved
            self._point(url)

    def check(self) -> str | None:
        """The URL that somebody else has pointed the number at meanwhile; None while it is ours."""
        with self._lock:
            if self._entry is None or self.taken_over:
                return None
            now = str(read(self._gateway, self._entry)[self._entry.url_field])
            if now in self._entry.ours:
                return None
            self.taken_over = True
            return now

    def keep(self) -> None:
        """Leave the number pointing here; the journal can still put it back."""
        with self._lock:
            if self._entry is not None:
                self._journal.write(replace(self._entry, kept=True), replacing=self._entry)
                self._record(self._happened("left", self._entry.url, self.original_url))

    def end(self, *, give_up: Callable[[], bool]) -> None:
        """Put the number back and read it back; raises `NotRestoredError` (M1)."""
        with self._lock:
            if self._entry is None:
                return
            try:
                outcome = restore(
                    self._gateway, self._journal, self._entry, give_up=give_up, record=self._record
                )
            except NotRestoredError:
                self.restored = False
                raise
            self.restored = True if outcome == "restored" else None

    def _point(self, url: str) -> None:
        assert self._entry is not None
        wanted = self.target.pointed(url)
        write(self._gateway, self._entry.sid, wanted)
        found = read(self._gateway, self._entry)
        if any(found[name] != value for name, value in wanted.items() if name in found):
            raise NumberError(
                "N16",
                number=self.target.number,
                url=url,
                found=described(str(found[self._entry.url_field])),
            )
        self._record(self._happened("pointed", url, self.original_url))

    def _happened(self, action: str, url: str, previous: str) -> Number:
        return Number(
            ts=datetime.now(UTC),
            action=action,
            number=self.target.number,
            url=url or None,
            previous=previous or None,
        )

    def _left(self, entry: Entry, url: str, outcome: str) -> None:
        self._journal.archive(entry, outcome)
        self._record(_changed_by_others(entry, url))


@contextmanager
def pointed_at(
    gateway: TwilioGateway,
    journal: Journal,
    target: Target,
    url: str,
    *,
    keep: bool = False,
    give_up: Callable[[], bool] = lambda: False,
    record: Callable[[Event], None] = lambda _event: None,
) -> Iterator[Pointing]:
    """Point *target* at *url* while the block runs; then put it back, unless it is to *keep*.

    *give_up* ends the tries to put it back (the journal stays then); *record* is told what is done.
    Raises what `Pointing.begin` and `Pointing.end` raise.
    """
    pointing = Pointing(gateway, journal, target, record=record)
    try:
        pointing.begin(url)
        yield pointing
    except BaseException:
        pointing.end(give_up=give_up)
        raise
    if keep and not pointing.taken_over:
        pointing.keep()
    else:
        pointing.end(give_up=give_up)


def restore(
    gateway: TwilioGateway,
    journal: Journal,
    entry: Entry,
    *,
    give_up: Callable[[], bool] = lambda: False,
    record: Callable[[Event], None] = lambda _event: None,
    seconds: float = RESTORE_SECONDS,
) -> str:
    """Put back what *entry* tells of and read it back: ``restored``, or ``left`` to somebody else.

    Tried for *seconds*; raises `NotRestoredError` (M1) then, with the journal kept.
    """
    deadline = time.monotonic() + seconds
    while True:
        try:
            outcome = _put_back(gateway, journal, entry, record)
        except SmsquestError as err:
            if isinstance(err, RefusedRequestError) and err.code == NOT_FOUND:
                journal.archive(entry, "the number is gone")
                record(_changed_by_others(entry, "nothing: it is not on the account any more"))
                return "left"
            reason = err.line
        else:
            if outcome is not None:
                return outcome
            reason = "Twilio took the change, but does not show it"
        if give_up() or time.monotonic() > deadline:
            raise NotRestoredError("M1", number=entry.number, reason=reason)
        threading.Event().wait(RETRY_SECONDS)


def read(gateway: TwilioGateway, entry: Entry) -> Fields:
    """The fields that *entry* is about, as Twilio says they are now."""
    found = gateway.service(entry.sid) if entry.sid.startswith("MG") else gateway.number(entry.sid)
    names = {entry.url_field, *entry.original}
    return {name: getattr(found, name) for name in names}


def write(gateway: TwilioGateway, sid: str, fields: Fields) -> None:
    """Change *fields* of the number or Messaging Service *sid*."""
    if sid.startswith("MG"):
        gateway.set_service(sid, fields)
    else:
        gateway.set_number(sid, {name: str(value) for name, value in fields.items()})


def _put_back(
    gateway: TwilioGateway, journal: Journal, entry: Entry, record: Callable[[Event], None]
) -> str | None:
    """One try: what became of it, or None where Twilio does not show what it was told."""
    now = read(gateway, entry)
    url = str(now[entry.url_field])
    if url not in entry.ours and not _same(now, entry.original):
        journal.archive(entry, "left")
        record(_changed_by_others(entry, url))
        record(_number("left", entry, url))
        return "left"
    if not _same(now, entry.original):
        write(gateway, entry.sid, entry.original)
        if not _same(read(gateway, entry), entry.original):
            return None
    journal.clear(entry)
    record(_number("restored", entry, entry.original_url))
    return "restored"


def _same(found: Mapping[str, str | bool], wanted: Mapping[str, str | bool]) -> bool:
    return all(found.get(name) == value for name, value in wanted.items())


def _number(action: str, entry: Entry, url: str) -> Number:
    return Number(
        ts=datetime.now(UTC),
        action=action,
        number=entry.number,
        url=url or None,
        previous=entry.url,
    )


def _changed_by_others(entry: Entry, url: str) -> Problem:
    return Problem.of(
        "M6",
        at=datetime.now(UTC),
        number=entry.number,
        url=described(url),
        original=described(entry.original_url),
    )
