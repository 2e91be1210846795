"""Following deliveries: the event log as callbacks come in, Twilio's API for what they do not tell.

Whoever watches sees one `events.MessageState` for each message at each change, and notes on what
the statuses do not say (problems D1 and D4).
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, Literal

from smsquest_cli.credentials import masked
from smsquest_cli.delivery_watch.deliveries import KEEP, Deliveries
from smsquest_cli.delivery_watch.poll import PATIENCE, DeliveryPoll, Selection, state_of
from smsquest_cli.events import MessageState, Problem, Status
from smsquest_cli.explanations import short
from smsquest_cli.problems import CredentialsError, ExpectationError, TwilioRefusedError
from smsquest_cli.statuses import FAILURE, SUCCESS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from smsquest_cli import events
    from smsquest_cli.eventlog import EventLog
    from smsquest_cli.problems import SmsquestError
    from smsquest_cli.twilio_api import SentMessage, TwilioGateway
    from smsquest_cli.views import View

Until = Literal["final", "sent", "delivered"]

TYPES: Final = ("inbound", "reply", "status", "message")  # the records that tell about messages
OUTBOUND: Final = ("status", "message")
AT_ONCE: Final = 500  # messages in one query of the log
STUCK_AFTER: Final = timedelta(minutes=5)
IDLE_SECONDS: Final = 30.0
BEEN_SENT: Final = frozenset({"sent", "partially_delivered", *SUCCESS})


class DeliveryWatch:
    """The deliveries of the messages of *selection*.

    *log* and *twilio* are the two sources, either may be None. *view* shows what is new: the states
    of messages, and problems to note. *status_url* is where callbacks would come in.
    """

    def __init__(
        self,
        selection: Selection,
        *,
        log: EventLog | None,
        twilio: TwilioGateway | None,
        view: View,
        interval: float = 5.0,
        status_url: str | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._selection = selection
        self._log = log
        self._poll = DeliveryPoll(twilio, selection, interval=interval) if twilio else None
        self._view = view
        self._interval = interval
        self._status_url = status_url
        self._now = now
        self._deliveries = Deliveries()
        self._states: dict[str, MessageState] = {}  # of the selected messages
        self._recorded: set[str] = set()  # the messages that the log knows
        self._noted: set[str] = set()
        self._cursor = 0

    def once(self) -> None:
        """Show each message once, as it stands now: asks Twilio about what is not final."""
        self._update(self._read_past())
        if self._poll is not None:
            try:
                self._update(self._take(self._poll.all_now(self._pending())))
            except (TwilioRefusedError, CredentialsError) as err:
                self._complain(err)
        states = sorted(self._states.values(), key=lambda state: state.history[0].ts)
        notes = [note for note in self._notes(states) if note.id != "D4"]  # nothing is polled
        self._show([*states, *notes])

    def follow(self, *, until: Until | None = None, timeout: float | None = None) -> None:
        """Show every change until *until* holds for all messages, or for *timeout* seconds.

        Raises `ExpectationError` if *until* is given: E3 when all messages have come to an end
        and one has failed, E1 when the time is up.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        changed = self._read_past()
        while True:
            states = self._update(changed)
            news: list[events.Event] = [*states, *self._notes([*states, *self._open()])]
            if news:
                self._show(news)
            self._view.refresh()
            if until is not None and self._reached(until):
                return
            if deadline is not None and time.monotonic() >= deadline:
                if until is None:
                    return
                raise self._too_late(until, timeout or 0.0)
            changed = self._answers() or self._wait(deadline)

    # What is known and shown

    def _show(self, news: Sequence[events.Event]) -> None:
        self._view.show(news)

    def _update(self, sids: Iterable[str]) -> list[MessageState]:
        """The states of the changed *sids*, but only of those that are selected."""
        at = self._now()
        known = [sid for sid in sids if sid in self._deliveries]
        states = {sid: self._deliveries.state(sid, at=at) for sid in known}
        states = {sid: state for sid, state in states.items() if self._selection.covers(state)}
        if self._poll is not None:
            for sid, state in states.items():
                self._poll.expect(state, called_back=self._deliveries.called_back(sid))
        self._states |= states
        if len(self._states) > 2 * KEEP:
            self._states = {k: v for k, v in self._states.items() if k in self._deliveries}
        return [*states.values()]

    def _open(self) -> list[MessageState]:
        return [state for state in self._states.values() if not state.final]

    def _pending(self) -> list[str]:
        known = [state.sid for state in self._open()]
        return known + [sid for sid in self._selection.sids if sid not in self._states]

    def _notes(self, states: Iterable[MessageState]) -> Iterator[Problem]:
        """Notes on what the statuses of *states* do not say by themselves; each once."""
        at = self._now()
        for state in states:
            stuck = at - state.history[-1].ts
            if state.status == "sent" and stuck >= STUCK_AFTER and self._first(state.sid):
                minutes = stuck // timedelta(minutes=1)
                yield Problem.of(
                    "D1", at=at, about=state.sid, sid=masked(state.sid), minutes=minutes
                )
            if self._lacks_callback(state, at) and self._first("D4"):
                yield Problem.of(
                    "D4",
                    at=at,
                    about=state.sid,
                    sid=masked(state.sid),
                    seconds=f"{self._interval:g}",
                    url=self._status_url or "https://YOUR-ADDRESS/status",
                )

    def _lacks_callback(self, state: MessageState, at: datetime) -> bool:
        """Whether a callback about the message should have come here by now, and did not."""
        if self._poll is None or self._log is None or state.is_inbound:
            return False
        if self._deliveries.called_back(state.sid) or (state.final and not self._status_url):
            return False
        patience = timedelta(seconds=PATIENCE * self._interval)
        return state.sid not in self._recorded or at - state.history[0].ts >= patience

    def _first(self, note: str) -> bool:
        fresh = note not in self._noted
        self._noted.add(note)
        return fresh

    # The event log

    def _read_past(self) -> list[str]:
        """Read all that the log holds about the selected messages; returns their SIDs."""
        if self._log is None:
            return []
        head = self._log.head()
        changed = self._read_messages([*self._selection.sids] or self._lately_told())
        at = self._now()
        kept = [sid for sid in dict.fromkeys(changed) if sid in self._deliveries]
        heard = {self._deliveries.state(sid, at=at).in_reply_to: None for sid in kept}
        self._read_messages([sid for sid in heard if sid])  # these hold the texts of the replies
        self._cursor = head  # later news about the others must still be read
        return changed

    def _lately_told(self) -> list[str]:
        """The SIDs of the outbound messages that the log tells about since the selected time."""
        assert self._log is not None
        sids: dict[str, None] = {}
        after, since = 0, self._selection.since
        while (batch := self._log.read(after, types=OUTBOUND, since=since)).events:
            sids |= {
                event.sid: None
                for event in (stored.event for stored in batch.events)
                if isinstance(event, Status | MessageState)
            }
            after = batch.cursor
        return [*sids]

    def _read_messages(self, sids: Sequence[str]) -> list[str]:
        """Read all that the log holds about *sids*; returns those it told about."""
        changed = []
        for start in range(0, len(sids), AT_ONCE):
            changed += self._read(0, sids=sids[start : start + AT_ONCE])
        return changed

    def _read(self, after: int, *, sids: Sequence[str] | None = None) -> list[str]:
        assert self._log is not None
        changed = []
        while (batch := self._log.read(after, types=TYPES, sids=sids)).events:
            for stored in batch.events:
                if (sid := self._deliveries.apply(stored.event)) is not None:
                    self._recorded.add(sid)
                    changed.append(sid)
            after = batch.cursor
        self._cursor = max(self._cursor, batch.cursor)
        return changed

    def _wait(self, deadline: float | None) -> list[str]:
        """Wait for news in the log; returns the SIDs of the messages that it is about."""
        waits = [IDLE_SECONDS]
        if deadline is not None:
            waits.append(deadline - time.monotonic())
        if (due := self._view.due()) is not None:
            waits.append(due)
        if self._poll is not None and (wait := self._poll.wait()) is not None:
            waits.append(wait)
        seconds = max(min(waits), 0.0)
        if self._log is None:
            time.sleep(seconds)
            return []
        self._log.wait(self._cursor, seconds)
        return self._read(self._cursor)

    # Twilio

    def _answers(self) -> list[str]:
        """The SIDs of the messages that Twilio has told news about meanwhile."""
        if self._poll is None:
            return []
        try:
            changed = self._take(self._poll.answer())
            self._poll.ask()
        except (TwilioRefusedError, CredentialsError) as err:
            self._complain(err)
            self._poll = None
            return []
        if self._poll.outage is not None:
            self._complain(self._poll.outage)
        return changed

    def _take(self, messages: Iterable[SentMessage]) -> list[str]:
        changed = []
        for message in messages:
            at, since = self._now(), None
            if message.sid in self._deliveries:
                since = self._deliveries.state(message.sid, at=at).history[-1].ts
            state = state_of(message, at=at, known_since=since)
            if self._selection.covers(state):
                news = self._deliveries.apply(state) is not None
                if news:
                    changed.append(state.sid)
                if self._poll is not None:
                    self._poll.told(state, news=news)
        return changed

    def _complain(self, err: SmsquestError) -> None:
        """Say once that Twilio does not answer; raises a refusal if Twilio is the only source."""
        if self._log is None and self._poll is not None and self._poll.outage is None:
            raise err
        if self._first(err.id):
            self._show([Problem.told_by(err, at=self._now())])

    # The end

    def _reached(self, until: Until) -> bool:
        missing = self._selection.sids - self._states.keys()
        states = [*self._states.values()]
        if self._poll is not None and not self._poll.has_listed:
            return False
        if not states or missing or not all(_settled(state, until) for state in states):
            return False
        failed = next((state for state in states if state.status in FAILURE), None)
        if failed is None:
            return True
        code = failed.error_code
        raise ExpectationError(
            "E3",
            sid=masked(failed.sid),
            status=failed.status,
            code=f" ({code})" if code else "",
            cause=short(code) if code else "no reason given",
        ).about(failed.sid)

    def _too_late(self, until: Until, seconds: float) -> ExpectationError:
        late = [state for state in self._states.values() if not _settled(state, until)]
        found = f"{masked(late[0].sid)} is {late[0].status}" if late else "no message"
        more = f", and {len(late) - 1} more" if len(late) > 1 else ""
        return ExpectationError(
            "E1", expected=until, seconds=f"{seconds:g}", found=found + more
        ).about(late[0].sid if late else None)


def _settled(state: MessageState, until: Until) -> bool:
    """Whether waiting for *until* is over for this message, well or badly."""
    if state.final:
        return True
    return until == "sent" and any(step.status in BEEN_SENT for step in state.history)
