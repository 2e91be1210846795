"""Every number with its webhook, who answers it, and what is running there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from smsquest_cli.diagnosis import named_service, routes_of
from smsquest_cli.journal import URL_FIELDS
from smsquest_cli.webhook_urls import described, shown

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from smsquest_cli.diagnosis import Route
    from smsquest_cli.events import Problem
    from smsquest_cli.journal import Journal, JournalEntry
    from smsquest_cli.runs import Run
    from smsquest_cli.twilio_api import PhoneNumber, TwilioGateway


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """A number as it is listed: its route, the run at its URL, what the journal says about it."""

    route: Route
    run: Run | None = None
    entry: JournalEntry | None = None
    left_behind: bool = False  # the entry's run is gone, but the number still calls it

    @property
    def is_free(self) -> bool:
        """Whether it can be pointed without asking anybody."""
        route = self.route
        usable = route.number.sms and self.run is None and route.address is None
        return usable and (route.is_free or self.left_behind)

    @property
    def webhook(self) -> str:
        """What Twilio calls now, in words."""
        route = self.route
        if not route.number.sms:
            return "cannot receive SMS"
        if route.address is not None:
            return f"Conversations (webhook unused: {described(route.number.sms_url)})"
        if route.service is not None and not route.url:
            return "dropped by the Messaging Service"
        return described(route.url, route.method)

    @property
    def note(self) -> str:
        """Who answers, and what is running there."""
        return ", ".join(filter(None, [self._answerer(), self._there()]))

    def _answerer(self) -> str:
        route = self.route
        if route.address is not None:
            return ""  # the webhook says it already
        if route.service is not None:
            return f"Service {named_service(route.service)}"
        if route.application is not None:
            name = route.application.friendly_name or route.application.sid
            return f'TwiML app "{name}"'
        return ""

    def _there(self) -> str:
        route = self.route
        if not route.number.sms:
            return ""
        if self.run is not None:
            return f"smsquest serve is running, pid {self.run.ready.pid}"
        if self.left_behind:
            return "left by a stopped smsquest: --restore"
        if self.is_free:
            return "free to use"
        words = {"tunnel": "a tunnel", "production": "", "none": "", "demo": ""}
        return words.get(route.owner.kind, route.owner.words)

    def notes(self, *, at: datetime) -> list[Problem]:
        """What the columns do not say: where we could not look, and that a Region is meant."""
        return [note for note in self.route.notes(at=at) if note.id not in ("N6", "N17")]

    def to_json(self) -> dict[str, Any]:
        """The number for programs."""
        route, number = self.route, self.route.number
        return {
            "number": number.phone_number,
            "sid": number.sid,
            "name": number.name or None,
            "sms": number.sms,
            "answers": self.route.answers,
            "url": shown(route.url) or None,
            "method": route.method,
            "owner": route.owner.kind,
            "sms_url": shown(number.sms_url) or None,
            "sms_method": number.sms_method,
            "sms_fallback_url": shown(number.sms_fallback_url) or None,
            "sms_fallback_method": number.sms_fallback_method,
            "application": route.application.sid if route.application else None,
            "service": route.service.sid if route.service else None,
            "conversations": route.address.sid if route.address else None,
            "free": self.is_free,
            "running": self.run.ready.pid if self.run else None,
            "original_url": shown(self.entry.original_url) if self.entry else None,
            "left_behind": self.left_behind,
        }


def listed(
    gateway: TwilioGateway,
    numbers: Sequence[PhoneNumber],
    *,
    journal: Journal,
    running: Sequence[Run],
) -> list[Listed]:
    """*numbers* as they are now; those that nobody else uses come first."""
    runs = {run.ready.webhook_url: run for run in running}
    found = [_listed(route, journal, runs) for route in routes_of(gateway, numbers)]
    return sorted(
        found,
        key=lambda one: (not one.route.number.sms, not one.is_free, one.route.number.phone_number),
    )


def _listed(route: Route, journal: Journal, runs: Mapping[str, Run]) -> Listed:
    sid = route.service.sid if route.service else route.number.sid
    entry = journal.entry(sid)
    run = runs.get(route.url)
    holder = route.service or route.number
    url = str(getattr(holder, URL_FIELDS[sid[:2]]))
    behind = entry is not None and run is None and not journal.is_live(entry) and url in entry.ours
    return Listed(route=route, run=run, entry=entry, left_behind=behind)
