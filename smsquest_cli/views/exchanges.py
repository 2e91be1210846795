"""What came of a simulated message: the request, the answer, the replies; as lines or records."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl, urlsplit

from smsquest_cli import console, events
from smsquest_cli.answers import excerpt
from smsquest_cli.explanations import short
from smsquest_cli.messages import Media
from smsquest_cli.printable import printable, short_sid
from smsquest_cli.segments import segment
from smsquest_cli.statuses import FINAL

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from smsquest_cli.events import Problem
    from smsquest_cli.sandbox import Exchange, SentMessage


LONGEST: Final = 120  # characters of a text in a line; --show-request shows all of it
USUAL: Final = ("R8",)  # findings that most apps give: shown with --show-request only


def problems_of(exchange: Exchange, *, usual: bool = True) -> list[Problem]:
    """What is wrong with the answer, or worth knowing, as problem records.

    A stranger's request that is refused is as it should be, and no problem.
    """
    now = datetime.now(UTC)
    if exchange.is_refused and not exchange.is_signed:
        return []
    if exchange.recorded is not None:
        found = [event for event in exchange.recorded if isinstance(event, events.Problem)]
    else:
        found = [finding.problem(at=now, sid=exchange.sid) for finding in exchange.findings]
    shown = [problem for problem in found if usual or problem.id not in USUAL]
    return [*shown, *_unexplained(exchange, now)]


def _unexplained(exchange: Exchange, now: datetime) -> Iterator[Problem]:
    """What Twilio's debugger would say about the TwiML, if nothing else says it."""
    explained = {exchange.error, *[finding.code for finding in exchange.findings]}
    for alert in exchange.alerts:
        if alert.code not in explained:
            at = f"{now.astimezone():%H:%M:%S}"
            yield events.Problem.of(
                "D12", at=now, about=exchange.sid, severity=alert.level,
                code=alert.code, url=alert.url, time=at, cause=alert.text,
            )  # fmt: skip


def refused_callbacks(exchange: Exchange, message: SentMessage) -> Iterator[Problem]:
    """A problem for each address and answer by which callbacks of *message* were refused."""
    refused = {(one.url, one.answer): one for one in message.callbacks if one.error_code}
    for url, answer in refused:
        said = f"answered {answer}" if answer else "gave no answer"
        reason = f"which {said}: answer each of them with 204"
        now = datetime.now(UTC)
        yield events.Problem.of("A18", at=now, about=exchange.sid, url=url, reason=reason)


@dataclass(frozen=True, slots=True)
class ExchangeLines:
    """Says in a few lines what was sent and what came back."""

    show_request: bool = False
    handed_over: str = "queued"

    def answered(self, exchange: Exchange) -> None:
        """The message has been handed over, and answered."""
        write = console.write_line
        sid = short_sid(exchange.sid or "dropped")
        sender, to, body = _as_sent(exchange)
        status = dict(_fields(exchange)).get("MessageStatus")
        what = f"status {printable(status)}" if status else _quoted(body)
        write(f"{self.handed_over}  {sid}  {printable(sender)} -> {printable(to)}  {what}")
        if self.show_request:
            self._show_exchange(exchange)
        request, answer = exchange.request, exchange.answer
        if request is None:
            write("nobody was called")
        elif answer is None:
            write(f"{request.method} {_path(request.url)}  no answer: {printable(exchange.detail)}")
        else:
            took = f"{answer.status}  {answer.ms:.0f} ms"
            said = "" if status else f"   {_said(exchange)}"  # a callback wants no reply
            write(f"{request.method} {_path(request.url)}  {took}{said}")
        for problem in problems_of(exchange, usual=self.show_request):
            console.show_problem(problem)

    def delivered(self, exchange: Exchange, messages: Sequence[SentMessage]) -> None:
        """The delivery of the replies has come to its end."""
        for message in messages:
            steps = [step.status for step in message.history]
            way = " \N{SINGLE RIGHT-POINTING ANGLE QUOTATION MARK} ".join(steps)
            code = f"  {message.error_code}" if message.error_code else ""
            console.write_line(f"{message.status:<7} {short_sid(message.sid)}  {way}{code}")
            for problem in refused_callbacks(exchange, message):
                console.show_problem(problem)

    def _show_exchange(self, exchange: Exchange) -> None:
        write = console.write_line
        request, answer = exchange.request, exchange.answer
        if request is not None:
            write("")
            write(f"{request.method} {printable(request.url)}")
            for name, value in request.headers:
                write(f"{name}: {printable(value)}")
            write("")
            for name, value in _fields(exchange):
                write(f"  {printable(name):<18}{printable(value)}")
        if answer is not None:
            kind = answer.header("Content-Type") or "no Content-Type"
            write("")
            write(f"{answer.status}  {printable(kind)}  {len(answer.body)} bytes")
            for line in answer.body.decode("utf-8", "replace").splitlines()[:60]:
                write(f"  {printable(line)}")
            write("")


@dataclass(frozen=True, slots=True)
class ExchangeRecords:
    """Writes the JSON records: inbound, reply, problem, message."""

    def answered(self, exchange: Exchange) -> None:
        """The message has been handed over, and answered."""
        now = datetime.now(UTC)
        found: list[events.Event] = [_inbound(exchange, now)]
        if reply := exchange.reply(at=now):
            found.append(reply)
        found += problems_of(exchange)
        for event in sorted(found, key=lambda event: event.ts):
            console.print_json(events.to_record(event))

    def delivered(self, exchange: Exchange, messages: Sequence[SentMessage]) -> None:
        """The delivery of the replies has come to its end."""
        now = datetime.now(UTC)
        for message in messages:
            state = events.MessageState(
                ts=now,
                sid=message.sid,
                direction="outbound-reply",
                from_=message.from_,
                to=message.to,
                body=message.body,
                status=message.status,
                final=message.status in FINAL,
                history=message.history,
                error_code=message.error_code,
                error=short(message.error_code) if message.error_code else None,
                in_reply_to=exchange.sid,
                source="callback",
            )
            console.print_json(events.to_record(state))
            for problem in refused_callbacks(exchange, message):
                console.print_json(events.to_record(problem))


def _inbound(exchange: Exchange, at: datetime) -> events.Inbound:
    """The message as the serve has recorded it, or as it was sent to an app."""
    for event in exchange.recorded or ():
        if isinstance(event, events.Inbound):
            return event
    sender, to, body = _as_sent(exchange)
    counted = segment(body)
    return events.Inbound(
        ts=at,
        sid=exchange.sid or "",
        from_=sender,
        to=to,
        body=body,
        method=exchange.request.method if exchange.request else "POST",
        media=tuple(
            Media(value) for name, value in _fields(exchange) if name.startswith("MediaUrl")
        ),
        segments=counted.segments,
        encoding=counted.encoding,
        signature="valid" if exchange.is_signed else "unchecked",
        opt_out=exchange.opt_out,
    )


def _fields(exchange: Exchange) -> list[tuple[str, str]]:
    request = exchange.request
    if request is None:
        return []
    raw = request.body.decode("utf-8", "replace") or urlsplit(request.url).query
    return parse_qsl(raw, keep_blank_values=True)


def _as_sent(exchange: Exchange) -> tuple[str, str, str]:
    """From, To and Body as the app got them: ``--param`` may have changed what was typed."""
    fields = dict(_fields(exchange))
    typed = {"From": exchange.from_, "To": exchange.to, "Body": exchange.body}
    sender, to, body = (fields.get(name, value) for name, value in typed.items())
    return sender, to, body


def _path(url: str) -> str:
    return printable(urlsplit(url).path or "/")


def _said(exchange: Exchange) -> str:
    texts = [_quoted(message.body) for message in exchange.messages]
    if texts:
        return f"reply: {' '.join(texts)}"
    answer = exchange.answer
    if answer is None or answer.status < 400:  # noqa: PLR2004
        return "no reply"
    return f"no reply ({printable(excerpt(answer))})"


def _quoted(text: str) -> str:
    shown = printable(text)
    return f'"{shown}"' if len(shown) <= LONGEST else f'"{shown[:LONGEST]}…"'
