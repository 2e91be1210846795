"""`Pointing`: one number while it calls us, from the journal's first word to its last."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, TypeVar

from smsquest_cli.credentials import masked
from smsquest_cli.journal import URL_FIELDS
from smsquest_cli.patience import unless_quick
from smsquest_cli.pointing import fields
from smsquest_cli.pointing.news import News
from smsquest_cli.pointing.resource import PAUSE, Resource, holds
from smsquest_cli.problems import (
    CredentialsError,
    NotRestoredError,
    NumberError,
    SmsquestError,
    TwilioRefusedError,
)
from smsquest_cli.twilio_api import RefusedRequestError
from smsquest_cli.webhook_urls import PATHS, SMS, described

if TYPE_CHECKING:
    from collections.abc import Callable

    from smsquest_cli.diagnosis import Route
    from smsquest_cli.events import Event
    from smsquest_cli.journal import Fields, Journal, JournalEntry
    from smsquest_cli.twilio_api import TwilioGateway

T = TypeVar("T")

FALLBACK_WITHOUT_URL: Final = 21406
PATIENCE: Final = 10.0  # seconds for which putting back is tried
TRANSIENT: Final = ("W2", "W3", "N16")  # problems that may be gone in a moment
CLAIMS: Final = 5  # tries to get at a journal entry while others change it


@dataclass(frozen=True, slots=True, kw_only=True)
class Handling:
    """Whom a pointing tells what happens, and how long it tries to put the number back.

    *tell* gets each event, to be recorded and shown; *say* is told what is waited for if putting
    back takes longer than a second. *last_call* is called right before the first change; if it
    raises, nothing is changed. *give_up* is asked while the number is being put back: True ends
    the attempts before *patience* does, which is in seconds as *pause* is, between two of them.
    """

    tell: Callable[[Event], object] = lambda _event: None
    say: Callable[[str], object] = lambda _line: None
    last_call: Callable[[], object] = lambda: None
    give_up: Callable[[], bool] = lambda: False
    patience: float = PATIENCE
    pause: float = PAUSE
    now: Callable[[], datetime] = lambda: datetime.now(UTC)


class Pointing:
    """A number, or the Messaging Service that answers for it, that was made to call us.

    ``restored`` is True once it was put back and read back, False if that failed, None while
    there is nothing to put back or it is somebody else's. All methods may be called by any thread.
    """

    def __init__(self, gateway: TwilioGateway, journal: Journal, handling: Handling) -> None:
        self.restored: bool | None = None
        self.taken_over = False
        self._gateway = gateway
        self._journal = journal
        self._handling = handling
        self._entry: JournalEntry | None = None
        self._unsure = False  # whether an unconfirmed change may still take effect
        self._covered = False
        self._locked_out = False
        self._news = News(handling.tell, handling.now)
        self._changing = threading.RLock()

    @property
    def original_words(self) -> str:
        """What answered before, and will again."""
        return self._held.original_words()

    def urls(self) -> frozenset[str]:
        """Every URL of ours that Twilio has called for the number."""
        bases = [url.removesuffix(SMS) for url in self._held.ours]
        return frozenset(base + path for base in bases for path in PATHS)

    def point(self, route: Route, url: str, *, owner: int | None = None) -> None:
        """Have the number call *url*, on behalf of the process *owner* (this one).

        Raises as `pointed_at` does; then `put_back` must be called.
        """
        with self._changing:
            self._change(self._claim(route, url, owner))
            self._news.happened("pointed", self._held, url)
            self._news.tell()

    def repoint(self, url: str) -> None:
        """The tunnel has another address: have the number call *url*; the original stays.

        Raises Twilio's refusals; then it may be called again.
        """
        with self._changing:
            self.check()
            if self.taken_over or self.restored is not None:
                return
            ours = [one for one in self._held.ours if one != url]
            self._write_journal(replace(self._held, ours=(*ours, url)))
            self._change({self._held.url_field: url})
            self._news.problem("T5", number=self._held.number, url=url)
            self._news.happened("pointed", self._held, url)
            self._news.tell()

    def check(self) -> bool:
        """Whether it still calls us; a change by somebody else is reported, and then it is theirs.

        Also True if Twilio cannot be asked just now; a refusal of our credentials is reported.
        """
        with self._changing:
            if self.taken_over or self.restored is not None:  # what we put back is no news
                return False
            try:
                current = self._resource.read()
            except CredentialsError:
                if not self._locked_out:
                    self._news.locked_out(self._held)
                    self._news.tell()
                self._locked_out = True
                return True
            except SmsquestError as err:
                if isinstance(err, RefusedRequestError) and err.is_missing:
                    self._news.gone(self._held)
                    self._leave("gone")
                    self._news.tell()
                return not self.taken_over
            self._locked_out = False
            url = str(current[self._held.url_field])
            if url in self._held.ours:
                return not self._is_covered(current)
            self._news.lost(self._held, f"was re-pointed to {described(url)}")
            self._news.happened("taken-over", self._held, url)
            self._leave("taken-over")
            self._news.tell()
            return False

    def keep(self) -> None:
        """Leave it, on purpose; ``configure-number --restore`` can still put it back."""
        with self._changing:
            if not self.taken_over:
                self._write_journal(replace(self._held, kept=True, process=None))
                self._news.happened("left", self._held, self._held.url)
                self._news.tell()

    def take_over(self, entry: JournalEntry) -> None:
        """Make *entry* ours; raises `NumberError` (M4) while its own run is still there."""
        self._journal.refuse_live(entry)
        self._entry = entry
        self._write_journal(self._journal.taken_over(entry))

    def give_back(self, entry: JournalEntry) -> None:
        """Leave *entry* as it was before `take_over`: notes must name the run that left it."""
        with suppress(SmsquestError):
            self._write_journal(entry)

    def put_back(self) -> None:
        """Put back the original, if the number still calls us, and read it back; then forget it.

        Raises `NotRestoredError` (M1) if that cannot be done in time: the journal stays.
        """
        if self._entry is None or self.taken_over:
            self._news.tell()
            return
        self.restored = False
        with unless_quick(lambda: self._handling.say(f"restoring {self._held.number} …")):
            outcome = self._patiently()
        if outcome == "restored":
            self.restored = True
            self._news.happened("restored", self._held, self._held.original_url)
            self._journal.clear(self._held)
        else:
            self.restored = None
            self._leave(outcome)
        self._news.tell()

    # Putting back

    def _patiently(self) -> str:
        """Try to put it back for as long as there is patience; returns what `_try_back` does."""
        deadline = time.monotonic() + self._handling.patience
        last: SmsquestError | None = None
        while True:
            try:
                return self._in_time(self._try_back, deadline, last)
            except SmsquestError as err:
                last = err
                late = time.monotonic() >= deadline or self._handling.give_up()
                if late or err.id not in TRANSIENT:
                    reason = f"{err.id}: {err.line}"
                    raise NotRestoredError("M1", number=self._held.number, reason=reason) from err
            time.sleep(self._handling.pause)

    def _try_back(self) -> str:
        """One attempt: ``restored``, ``taken-over`` by somebody, or ``gone`` from the account."""
        with self._changing:
            entry = self._held
            try:
                current = self._resource.read()
            except RefusedRequestError as err:
                if not err.is_missing:
                    raise
                self._news.gone(entry)
                return "gone"
            url = str(current[entry.url_field])
            if url not in entry.ours and url != entry.original_url:
                self._news.left(entry, url)
                return "taken-over"
            wanted = fields.wanted_back(entry, current)
            if self._unsure or not holds(current, wanted):
                self._write_back(wanted)
                self._resource.confirm(wanted, entry.original_url)
            return "restored"

    def _write_back(self, wanted: Fields) -> None:
        try:
            self._resource.write(wanted)
        except RefusedRequestError as err:
            if err.code != FALLBACK_WITHOUT_URL:
                raise
            self._resource.write({**wanted, "sms_fallback_url": ""})
            self._news.problem("N13")

    def _in_time(self, work: Callable[[], T], deadline: float, last: SmsquestError | None) -> T:
        """The result of *work*, done in a thread of its own: a request to Twilio may hang.

        At the *deadline*, or when somebody gives up, it is left alone, and *last* is raised: the
        error of the attempt before.
        """
        done = threading.Event()
        results: list[T] = []
        failures: list[BaseException] = []

        def run() -> None:
            try:
                results.append(work())
            except BaseException as err:  # noqa: BLE001 - raised again where it is waited for
                failures.append(err)
            finally:
                done.set()

        threading.Thread(target=run, name="put-back", daemon=True).start()
        while not done.wait(0.05):
            if time.monotonic() >= deadline or self._handling.give_up():
                raise last or TwilioRefusedError(
                    "W2", host="api.twilio.com", reason="no answer yet"
                )
        if failures:
            raise failures[0]
        return results[0]

    # The journal

    @property
    def _held(self) -> JournalEntry:
        assert self._entry is not None
        return self._entry

    def _claim(self, route: Route, url: str, owner: int | None) -> dict[str, str | bool]:
        """Write into the journal what is there now, and return the changes to make."""
        sid, seen = fields.target(route)
        number = route.number.phone_number
        resource = Resource(self._gateway, sid, number, self._handling.pause)
        for _ in range(CLAIMS):
            stale = self._journal.entry(sid)
            if stale is not None:
                self._journal.refuse_live(stale)
            current = resource.read()
            changes = fields.changes(sid, url, current)
            original = {name: current[name] for name in changes}
            ours: tuple[str, ...] = (url,)
            present = str(current[URL_FIELDS[sid[:2]]])
            if stale is not None and present not in (*stale.ours, stale.original_url):
                self._news.left(stale, present)  # somebody has changed it since: theirs counts
                self._journal.archive(stale, "taken-over")
                stale = None
            if stale is not None:
                original = fields.merged(original, stale.original)
                ours = (*stale.ours, url)
            elif not holds(current, seen):
                raise resource.unconfirmed(url, current)
            self._handling.last_call()
            entry = self._journal.begin(
                sid=sid,
                number=number,
                login=self._gateway.login,
                original=original,
                ours=ours,
                pid=owner,
            )
            if self._journal.write(entry, replacing=stale):
                self._entry = entry
                return changes
        busy = "is being changed by other runs of smsquest on this computer"
        raise NumberError("M4", number=number, what=busy, consequence="Try again")

    def _write_journal(self, entry: JournalEntry) -> None:
        """Put *entry* in the place of the one that is held; raises `NumberError` (M4)."""
        if not self._journal.write(entry, replacing=self._held):
            busy = "is being changed by another run of smsquest on this computer"
            raise NumberError("M4", number=entry.number, what=busy, consequence="Try again")
        self._entry = entry

    def _leave(self, outcome: str) -> None:
        self.taken_over = True
        self._journal.archive(self._held, outcome)

    # Twilio

    @property
    def _resource(self) -> Resource:
        held = self._held
        return Resource(self._gateway, held.sid, held.number, self._handling.pause)

    def _change(self, changes: Fields) -> None:
        unsure_before, self._unsure = self._unsure, True
        try:
            self._resource.write(changes)
        except SmsquestError as err:
            # A refusal that Twilio has answered changed nothing; an earlier change still may.
            self._unsure = unsure_before or err.id in TRANSIENT
            raise
        self._resource.confirm(changes, str(changes[self._held.url_field]))
        self._unsure = False

    def _is_covered(self, current: Fields) -> bool:
        """Whether something else answers before our URL, which is still set; reported once."""
        by = str(current.get("sms_application_sid", ""))
        what = f"is answered by TwiML app {masked(by)} now" if by else ""
        if current.get("use_inbound_webhook_on_number"):
            what = "answers for itself again: its Messaging Service defers to it now"
        if what and not self._covered:
            self._news.lost(self._held, what)
            self._news.tell()
        self._covered = bool(what)
        return self._covered
