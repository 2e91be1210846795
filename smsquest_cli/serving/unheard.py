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
    from smsquest_cli.twilio_api import Alert, SentMessage, TwilioGateway

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
        alerts = self._alerts()
        missed = self._missed(explained={alert.resource_sid for alert in alerts})
        return [*([missed] if missed else []), *self._failed(alerts)]

    def _alerts(self) -> list[Alert]:
        """What Twilio has against our URLs, the oldest first."""
        try:
            alerts = self._gateway.alerts(since=self._since, limit=MOST)
        except SmsquestError:
            return []
        urls = self._urls()
        return [alert for alert in reversed(alerts) if alert.url.partition("?")[0] in urls]

    def _failed(self, alerts: list[Alert]) -> Iterator[Problem]:
        """D12 for what was not seen here."""
        for alert in alerts:
            if alert.code is None or alert.code in self._codes:
                continue
            at = (alert.at or self._now()) + self._ahead
            if self._now() - at <= self._patience:
                continue  # what explains it may be on its way here
            came = alert.resource_sid and self._log.sids(alert.resource_sid)
            if came or self._was_refused(at):
                continue  # what was wrong was told then
            self._codes.add(alert.code)
            url = alert.url.partition("?")[0]
            time, cause = f"{at.astimezone():%H:%M:%S}", short(alert.code)
            yield Problem.of(
                "D12", at=self._now(), code=alert.code, url=url, time=time, cause=cause
            )

    def _missed(self, *, explained: Collection[str]) -> Problem | None:
        """N7, once; the messages *explained* were on their way to us."""
        if self._told:
            return None
        try:
            messages = self._gateway.messages(to=self._number, since=self._since, limit=MOST)
        except SmsquestError:
            return None
        unexplained = [one for one in reversed(messages) if one.sid not in explained]
        missing = next(filter(self._is_missing, unexplained), None)
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
        soon = at + self._patience
        return any(event.ts <= soon for event in self._seen(Rejected, since=at - self._patience))

    def _seen(self, kind: type[T], *, since: datetime) -> Iterator[T]:
        seen = self._log.read(self._began, run=self._run, types=(kind.type,), since=since)
        return (stored.event for stored in seen.events if isinstance(stored.event, kind))

    @property
    def _ahead(self) -> timedelta:
        """By how much our clock is ahead of Twilio's."""
        return timedelta(seconds=self._gateway.clock_offset or 0.0)
