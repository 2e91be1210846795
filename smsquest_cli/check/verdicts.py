"""What the answers of a handler under test mean."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from smsquest_cli.answers import excerpt
from smsquest_cli.presence import address_of
from smsquest_cli.problems import catalogue
from smsquest_cli.webhook_urls import shown

if TYPE_CHECKING:
    from smsquest_cli.sandbox import Exchange


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a check found, before it becomes a `Result`."""

    state: str
    line: str
    problem: str | None = None
    advice: str | None = None  # if the catalogue's does not fit

    @property
    def fix(self) -> str | None:
        """What to do about it."""
        if self.advice or not self.problem:
            return self.advice
        return catalogue()[self.problem].next_step


def accepted(exchange: Exchange) -> Verdict:
    """Whether the app gave an answer that Twilio can use."""
    answer = exchange.answer
    graver = [found for found in exchange.findings if found.severity == "error"]
    milder = [found for found in exchange.findings if found.severity == "warning"]
    if answer is None:
        return unanswered(exchange)
    took = f"{answer.status}, {answer.ms:.0f} ms"
    if exchange.is_refused:
        by_get = exchange.request is not None and exchange.request.method == "GET"
        return Verdict("problem", f"{took}: {excerpt(answer)}", "S5" if by_get else "S10")
    if exchange.error is not None or graver:
        found = next(iter(graver or milder), None)
        why = found.line if found else f"Twilio cannot use it ({exchange.error})"
        if found and found.id == "A11":
            why = excerpt(answer)
        return Verdict("problem", f"{took}: {why}", found.id if found else None)
    said = " ".join(f'"{message.body}"' for message in exchange.messages) or "no reply"
    notes = "".join(f"; {found.line}" for found in milder)
    return Verdict("ok", f"{took}: {said}{notes}")


def refused(exchange: Exchange) -> Verdict:
    """Whether the app refused a request that is not genuine."""
    answer = exchange.answer
    if answer is not None and exchange.is_refused:
        return Verdict("ok", f"{answer.status}, {answer.ms:.0f} ms")
    if redirected := _redirected(exchange):
        fix = "Answer 403 to what Twilio did not sign: a redirect is followed, as a GET."
        return Verdict("problem", f"{redirected} instead of 403", "T14", fix)
    if answer is None:
        return unanswered(exchange)
    return Verdict("problem", f"{answer.status} instead of 403", "S11")


def _redirected(exchange: Exchange) -> str | None:
    """The first redirect that the app answered with: ``302 to /login``; None if there is none."""
    for hop in exchange.visits[0].fetch.hops:
        answer = hop.answer
        if answer is not None and 300 <= answer.status < 400:  # noqa: PLR2004
            return f"{answer.status} to {shown(answer.header('Location') or 'nowhere')}"
    return None


def unanswered(exchange: Exchange) -> Verdict:
    """An app that gave no answer: nobody is there, or it took too long, or it broke."""
    hop = exchange.visits[0].fetch.hops[-1]
    failure, line = hop.failure, f"no answer: {exchange.detail}"
    if failure == "refused":
        line = f"nothing listens on {address_of(hop.request.url)}"
    if failure in ("refused", "connect-timeout", "dns"):
        return Verdict("problem", line, "T8", "Start the app; look at the URL.")
    return Verdict("problem", line, "A7" if failure == "timeout" else "A14")
