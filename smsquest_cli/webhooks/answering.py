"""What answers a message: a rule of ours, or somebody's app."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, Protocol

from smsquest_cli.events import Reply

if TYPE_CHECKING:
    from collections.abc import Callable

    from smsquest_cli.events import Problem
    from smsquest_cli.messages import Message
    from smsquest_cli.replies import Rule
    from smsquest_cli.wire import Headers, Request

XML: Final = "text/xml; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Answered:
    """What Twilio gets, and what is recorded about it.

    The headers are those of the answer, not of the connection, each on one line.
    """

    status: int
    headers: Headers
    body: bytes
    reply: Reply
    problems: tuple[Problem, ...] = ()
    redirect: str | None = None  # the URL where the conversation goes on, as its TwiML says


class App(Protocol):
    """An app that answers messages in its own time."""

    def answer(self, message: Message, request: Request, record: Callable[[], None]) -> Answered:
        """The app's answer to *message*, which came as *request*.

        *record*, which puts the message into the log, is called before this returns, and may be
        called while the app works; its exceptions propagate.
        """

    def status(self, request: Request) -> tuple[Problem, ...]:
        """Hand on the status callback *request*; returns what went wrong with that."""

    def close(self) -> None:
        """Answer what is under way and release what is held."""


class RuleAnswerer:
    """Answers by *rule* at once; *source* is what the records call it."""

    def __init__(
        self, rule: Rule, source: str, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._rule = rule
        self._source = source
        self._now = now

    def answer(self, message: Message, status_url: str) -> Answered:
        """The TwiML of the rule for *message*; callbacks about its reply go to *status_url*."""
        started = time.perf_counter()
        answer = self._rule(message, status_url)
        ms = round((time.perf_counter() - started) * 1000, 3)
        reply = Reply(
            ts=self._now(),
            in_reply_to=message.sid,
            source=self._source,
            http_status=200,
            ms=ms,
            content_type="text/xml",
            messages=answer.messages,
        )
        return Answered(
            200, (("Content-Type", XML),), answer.twiml, reply, redirect=answer.redirect
        )
