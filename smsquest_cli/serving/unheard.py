"""Messages that Twilio got for a number and did not bring here: nothing else tells about them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from smsquest_cli.events import Problem, Rejected, Tunnel
from smsquest_cli.problems import SmsquestError

if TYPE_CHECKING:
    from collections.abc import Callable

    from smsquest_cli.eventlog import EventLog
    from smsquest_cli.twilio_api import SentMessage, TwilioGateway

PATIENCE: Final = timedelta(seconds=20)  # Twilio tries twice to connect
MOST: Final = 20  # messages, the newest
OUTAGE: Final = timedelta(minutes=6)  # a tunnel that is down for longer ends the run


class Unheard:
    """Compares what Twilio logs for *number* from now on with what comes in to *run*.

    The first message that did not come, and that nothing seen here explains, is reported (N7).
    """

    def __init__(
        self,
        gateway: TwilioGateway,
        log: EventLog,
        *,
        number: str,
        run: str,
        patience: timedelta = PATIENCE,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._gateway = gateway
        self._log = log
        self._number = number
        self._run = run
        self._patience = patience
        self._now = now
        self._began = log.head()
        # Twilio's times are whole seconds: a message in this one may have come before us.
        began = now() - self._ahead
        self._since = began.replace(microsecond=0) + timedelta(seconds=1)
        self._told = False

    def look(self) -> Problem | None:
        """N7, once; also None if Twilio does not let us look."""
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
        seen = self._log.read(
            self._began, run=self._run, types=(Rejected.type, Tunnel.type), since=at - OUTAGE
        )
        return any(
            (isinstance(event, Rejected) and event.ts > at - self._patience)
            or (isinstance(event, Tunnel) and event.state == "down")
            for event in (stored.event for stored in seen.events)
        )

    @property
    def _ahead(self) -> timedelta:
        """By how much our clock is ahead of Twilio's."""
        return timedelta(seconds=self._gateway.clock_offset or 0.0)
