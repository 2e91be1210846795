"""Sending a message: how it will travel, where its callbacks go."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from smsquest_cli.diagnosis import choose_number
from smsquest_cli.events import MessageState, Problem, Step
from smsquest_cli.limits import LONGEST_CALLBACK
from smsquest_cli.phone_numbers import normalised
from smsquest_cli.problems import UsageError
from smsquest_cli.segments import cost, segment
from smsquest_cli.statuses import FINAL
from smsquest_cli.webhook_urls import shown, web_parts

if TYPE_CHECKING:
    from datetime import datetime

    from smsquest_cli.config import Settings
    from smsquest_cli.runs import Run
    from smsquest_cli.twilio_api import TwilioGateway

NO_CALLBACK: Final = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A message to be sent; *sender* is a number or the SID of a Messaging Service."""

    body: str
    to: str
    sender: str
    media: tuple[str, ...] = ()
    status_callback: str | None = None


def preview(body: str) -> str:
    """How *body* will travel: ``1 segment · GSM-7 · 12 characters``."""
    parts = segment(body)
    plural = "" if parts.segments == 1 else "s"
    characters = "1 character" if len(body) == 1 else f"{len(body)} characters"
    return f"{parts.segments} segment{plural} · {parts.encoding} · {characters}"


def note_on(body: str, *, at: datetime) -> Problem | None:
    """D9, naming the characters that make *body* longer; None if none does."""
    parts = segment(body)
    if parts.segments == parts.gsm_segments:
        return None
    return Problem.of("D9", at=at, what="your text", **cost(parts))


def callback_for(given: str | None, run: Run | None, settings: Settings) -> str | None:
    """Where Twilio should report the delivery: *given*, else to the *run*, None for nowhere.

    Raises `UsageError` (N10) if *given* is not an absolute URL that Twilio can use.
    """
    if given == NO_CALLBACK:
        return None
    if given is not None:
        if reason := _unusable(given):
            raise UsageError("N10", url=shown(given), reason=reason)
        return given
    if run is None or (run.ready.mode == "local" and not settings.twilio_is_local):
        return None
    return run.ready.status_url


def sender_for(
    given: str | None, run: Run | None, settings: Settings, twilio: TwilioGateway
) -> str:
    """The number or Messaging Service to send from.

    It is *given*, else the number of the *run*, that of the settings, or the only one there is.
    Raises `NumberError`: N1 if there are several numbers, N3 if there is none.
    """
    wanted = given or (run and run.ready.number) or settings.number
    if wanted and not wanted.startswith("PN"):
        return normalised(wanted)
    return choose_number(twilio, wanted, option="--from").phone_number


def send(twilio: TwilioGateway, draft: Draft, *, at: datetime) -> MessageState:
    """Send *draft*; the message as Twilio accepted it. Raises what `TwilioGateway.send` does."""
    message = twilio.send(
        draft.body,
        to=draft.to,
        from_=draft.sender,
        media=draft.media,
        status_callback=draft.status_callback,
    )
    return MessageState(
        ts=at,
        sid=message.sid,
        direction=message.direction,
        from_=message.from_,
        to=message.to,
        body=message.body,
        status=message.status,
        final=message.status in FINAL,
        history=(Step(message.status, at),),
        error_code=message.error_code,
        source="poll",
    )


def _unusable(url: str) -> str | None:
    """Why *url* cannot be a status callback, or None."""
    parts = web_parts(url)
    if parts is None:
        return "relative, or no http(s) URL"
    if "_" in (parts.hostname or ""):
        return "underscore in host"
    return "too long" if len(url) > LONGEST_CALLBACK else None
