"""What Twilio could not bring here, and what it has against us: nothing else tells about that."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, TypeVar

from smsquest_cli.events import Problem, Rejected, Tunnel
from smsquest_cli.explanations import short
from smsquest_cli.problems import SmsquestError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from smsquest_cli.eventlog import EventLog
    from smsquest_cli.twilio_api import SentMessage, TwilioGateway

T = TypeVar("T", Rejected, Tunnel)

PATIENCE: Final = timedelta(seconds=20)  # Twilio tries twice to connect
MOST: Final = 20  # messages, the newest
OUTAGE: Final = timedelta(minutes=6)  # a tunnel that is down for longer ends the run


class Unheard:
    """Compares what Twilio logs for *number* from now on with what comes in to *run*.

    The first message that did not come, and that nothing seen here explains, is reported (N7); and
    so is, once for each code, why Twilio could not bring a message to one of our *urls* (D12).
    """

    def __init__(
        self,
        gateway: TwilioGateway,
        log: EventLog,
        *,
        number: str,
        run: str,
        urls: Callable[[], Collection[str]],
        patience: timedelta = PATIENCE,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._gateway = gateway
        self._log = log
        self._number = number
        self._run = run
        self._urls = urls
        self._patience = patience
        self._now = now
        self._began = log.head()
        # Twilio's times are whole seconds: a message in this one may have come before us.
        began = now() - self._ahead
        self._since = began.replace(microsecond=0) + timedelta(seconds=1)
        self._told = False
        self._codes: set[int] = set()  # the ones that were told

    def look(self) -> list[Problem]:
        """The news; none if Twilio does not let us look."""
        return [found for found in (self._missed(), *self._failed()) if found]

    def _failed(self) -> Iterator[Problem]:
        """D12 for what Twilio has against our URLs that was not seen here."""
        try:
            alerts = self._gateway.alerts(since=self._since, limit=MOST)
        except SmsquestError:
            return
        for alert in reversed(alerts):
            url = alert.url.partition("?")[0]
            if alert.code is None or alert.code in self._codes or url not in self._urls():
                continue
            at = (alert.at or self._now()) + self._ahead
            if self._now() - at <= self._patience:
                continue  # what explains it may be on its way here
            if self._log.sids(alert.resource_sid) or self._was_refused(at):
                continue  # it came, and what was wrong was told then
            self._codes.add(alert.code)
            time, cause = f"{at.astimezone():%H:%M:%S}", short(alert.code)
            yield Problem.of(
                "D12", at=self._now(), code=alert.code, url=url, time=time, cause=cause
            )

    def _missed(self) -> Problem | None:
        """N7, once."""
        if self._told:
            return None
        try:
            messages = self._gateway.messages(to=self._number, since=self._since, limit=MOST)
        except SmsquestError:
            return None
        missing = next(filter(self._is_missing, reversed(messages)), None)
        if missing is None:
            return None
        self._told = True
        assert missing.created is not None
        time = f"{(missing.created + self._ahead).astimezone():%H:%M:%S}"
        # Not a record about that message: `--backfill` must still find it missing here.
        return Problem.of("N7", at=self._now(), sid=missing.sid, time=time)

    def _is_missing(self, message: SentMessage) -> bool:
        if not message.is_inbound or message.created is None:
            return False
        at = message.created + self._ahead
        return (
            self._now() - at > self._patience
            and message.sid not in self._log.sids(message.sid)
            and not self._is_explained(at)
        )

    def _is_explained(self, at: datetime) -> bool:
        """Whether something was refused here, or the tunnel was down, about that time."""
        return self._was_refused(at) or any(
            event.state == "down" for event in self._seen(Tunnel, since=at - OUTAGE)
        )

    def _was_refused(self, at: datetime) -> bool:
        return any(self._seen(Rejected, since=at - self._patience))

    def _seen(self, kind: type[T], *, since: datetime) -> Iterator[T]:
        seen = self._log.read(self._began, run=self._run, types=(kind.type,), since=since)
        return (stored.event for stored in seen.events if isinstance(stored.event, kind))

    @property
    def _ahead(self) -> timedelta:
        """By how much our clock is ahead of Twilio's."""
        return timedelta(seconds=self._gateway.clock_offset or 0.0)
