"""Asking Twilio what became of messages: which, when, and what its answers tell."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from smsquest_cli.delivery_watch.agenda import LISTING, Agenda, Inquiry
from smsquest_cli.delivery_watch.deliveries import POLL
from smsquest_cli.events import MessageState, Step
from smsquest_cli.problems import CredentialsError, TwilioRefusedError
from smsquest_cli.statuses import FINAL

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from smsquest_cli.eventlog import EventLog
    from smsquest_cli.problems import SmsquestError
    from smsquest_cli.twilio_api import SentMessage, TwilioGateway

LIST_LIMIT: Final = 200
PATIENCE: Final = 3  # intervals that a callback may take before Twilio is asked
_SID: Final = re.compile(r"(?:SM|MM)[0-9a-fA-F]{32}")
BEGINNINGS: Final = ("accepted", "scheduled", "queued")
OUTAGE: Final = ("W2", "W3")  # Twilio is not reachable, or busy: ask again later


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which messages: those of *sids*, else those sent after *since*, with *number* or any."""

    since: datetime
    sids: frozenset[str] = frozenset()
    number: str | None = None

    def covers(self, state: MessageState) -> bool:
        """Whether the message of *state* is one of them."""
        if self.sids:
            return state.sid in self.sids
        if state.is_inbound:
            return False
        return self.number is None or self.number in (state.from_, state.to)


class DeliveryPoll:
    """Twilio as a source of news about the messages of *selection*; final ones are left alone.

    Raises `SmsquestError` only once Twilio has refused for good: that ends it. An outage is kept in
    ``outage`` until Twilio answers again.
    """

    def __init__(
        self, twilio: TwilioGateway, selection: Selection, *, interval: float = 5.0
    ) -> None:
        self.outage: SmsquestError | None = None
        self.has_listed = bool(selection.sids)  # else there may be some that nobody told us about
        self._twilio = twilio
        self._selection = selection
        self._interval = interval
        self._inquiry: Inquiry[Sequence[SentMessage]] = Inquiry()
        moment = time.monotonic()
        self._agenda = Agenda(interval=interval, now=moment, listing=not selection.sids)
        for sid in selection.sids:
            self._agenda.expect(sid, at=moment)

    def expect(self, state: MessageState, *, called_back: bool) -> None:
        """Ask about the message of *state* in a while, later if callbacks come for it."""
        if state.final:
            self._agenda.settle(state.sid)
        else:
            wait = self._interval * (PATIENCE if called_back else 1)
            self._agenda.expect(state.sid, at=time.monotonic() + wait)

    def all_now(self, pending: Sequence[str]) -> Iterator[SentMessage]:
        """Ask Twilio right now: for the list, and for those of *pending* that are not on it."""
        listed = set()
        if not self._selection.sids:
            for message in self._ask(LISTING):
                listed.add(message.sid)
                yield message
        for sid in pending[:LIST_LIMIT]:
            if sid not in listed:
                yield from self._ask(sid)

    def answer(self) -> Sequence[SentMessage]:
        """The messages that Twilio has answered with; the caller must pass each on to `told`."""
        messages: Sequence[SentMessage] = ()
        try:
            if (answer := self._inquiry.answer()) is not None:
                question, messages = answer
                self.outage = None
                self.has_listed |= question == LISTING
                self._agenda.answered(question, news=False, now=time.monotonic())
                if not messages:  # deleted since, or from another account
                    self._agenda.settle(question)
        except (TwilioRefusedError, CredentialsError) as err:
            if err.id not in OUTAGE:
                raise
            self.outage = err
            self.has_listed = True  # nobody waits for an outage to end
            self._agenda.failed(now=time.monotonic())
        return messages

    def ask(self) -> None:
        """Ask the next question, if it is time and none is open."""
        if not self._inquiry.pending and (due := self._agenda.next(time.monotonic())) is not None:
            self._inquiry.ask(due, lambda: self._ask(due))

    def told(self, state: MessageState, *, news: bool) -> None:
        """Twilio told us *state*; *news* says whether that was new."""
        moment = time.monotonic()
        self._agenda.answered(state.sid, news=news, now=moment)
        if state.final:
            self._agenda.settle(state.sid)
        if news:
            self._agenda.answered(LISTING, news=True, now=moment)

    def wait(self) -> float | None:
        """The seconds until the next question may be asked, 0.1 while an answer is awaited."""
        return 0.1 if self._inquiry.pending else self._agenda.wait(time.monotonic())

    def _ask(self, question: str) -> Sequence[SentMessage]:
        if question != LISTING:
            message = self._twilio.message(question)
            return [] if message is None else [message]
        lately = partial(self._twilio.messages, since=self._selection.since, limit=LIST_LIMIT)
        number = self._selection.number
        if number is None:
            return lately()
        return [*lately(from_=number), *lately(to=number)]


def known_sids(
    log: EventLog | None, twilio: TwilioGateway | None, prefix: str, *, since: datetime
) -> list[str]:
    """The SIDs that begin with *prefix*: those in the event log, else those that Twilio knows.

    Twilio's must be given as a whole, or be *since* then.
    """
    found = log.sids(prefix) if log else []
    if found or twilio is None:
        return found
    if _SID.fullmatch(prefix):
        return [prefix] if twilio.message(prefix) else []
    lately = twilio.messages(since=since, limit=LIST_LIMIT)
    return [message.sid for message in lately if message.sid.startswith(prefix)]


def state_of(
    message: SentMessage, *, at: datetime, known_since: datetime | None = None
) -> MessageState:
    """The state of *message* as Twilio's API tells it at the time *at*.

    *known_since* is the time of its newest status that we know. For a message that we did not know,
    Twilio's dates say when it was created and sent.
    """
    steps = []
    updated = min(message.updated or at, at)
    if known_since is None and not message.is_inbound and message.created is not None:
        if message.status not in BEGINNINGS:
            steps.append(Step("accepted" if message.service_sid else "queued", message.created))
        if message.sent is not None and message.status in ("delivered", "undelivered", "read"):
            steps.append(Step("sent", message.sent))
    return MessageState(
        ts=updated if known_since is None else max(updated, known_since),
        sid=message.sid,
        direction=message.direction,
        from_=message.from_,
        to=message.to,
        body=message.body,
        status=message.status,
        final=message.status in FINAL,
        history=tuple(steps),
        error_code=message.error_code,
        source=POLL,
    )
