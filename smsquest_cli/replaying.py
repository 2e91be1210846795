"""A recorded webhook delivered again: byte for byte or edited, signed afresh for its target."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final
from urllib.parse import quote_plus, unquote_plus
from uuid import uuid4

from smsquest_cli import events, twiml, wire
from smsquest_cli.answers import causes, message_sid, read_answer
from smsquest_cli.forwarding import (
    CONNECT_SECONDS,
    app_address,
    callback_address,
    forwarded,
    status_address,
)
from smsquest_cli.limits import ANSWER_SECONDS
from smsquest_cli.messages import IDEMPOTENCY
from smsquest_cli.problems import UsageError
from smsquest_cli.sandbox import Exchange
from smsquest_cli.sandbox.courier import FAILURES, Fetch, Hop, resolved
from smsquest_cli.sandbox.exchanges import Visit
from smsquest_cli.sandbox.recorded import witness
from smsquest_cli.webhook_urls import SMS, STATUS
from smsquest_cli.wire import origin_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from smsquest_cli.eventlog import EventLog
    from smsquest_cli.events import Ready, Reply
    from smsquest_cli.runs import Run
    from smsquest_cli.wire import Request

_PAGE: Final = 500


@dataclass(frozen=True, slots=True)
class Recorded:
    """What the event log holds about a message that should be delivered again."""

    sid: str
    request: Request
    reply: Reply | None
    received_by: Ready | None  # the first run that received it

    @property
    def app(self) -> str | None:
        """The address of the app that it was handed to when it first came; None if to none."""
        first = self.received_by
        if first is None or first.forward_to is None:
            return None
        if not self.is_status:
            return first.forward_to
        status_to = first.forward_status or status_address(first.forward_to)
        return callback_address(self.request, first.forward_to, status_to)

    @property
    def is_status(self) -> bool:
        """Whether it is a status callback, for a message that went out."""
        return "MessageStatus" in self.request.fields


def newest(log: EventLog) -> str:
    """The SID of the inbound message that was recorded last; raises `UsageError` (U8)."""
    position = log.head()
    while position > 0:
        position = max(position - _PAGE, 0)
        found = log.read(position, limit=_PAGE, types=(events.Inbound.type,)).events
        for stored in reversed(found):
            if stored.has_request and isinstance(stored.event, events.Inbound):
                return stored.event.sid
    raise UsageError("U8", sid="last")


def recorded(log: EventLog, sid: str) -> Recorded:
    """What is recorded about *sid*; raises `UsageError` (U8) if no request is."""
    request = log.request_of(sid)
    if request is None:
        raise UsageError("U8", sid=sid)
    reply, received_by = None, None
    for stored in log.read(0, sids=(sid,)).events:
        event = stored.event
        if isinstance(event, events.Reply) and reply is None:
            reply = event
        if stored.has_request and received_by is None:
            received_by = _ready(log, stored.run)
    return Recorded(sid, request, reply, received_by)


def edited(request: Request, changes: Mapping[str, str]) -> Request:
    """*request* with the values of its fields changed; everything else stays as it came.

    Fields that it does not have are added at the end.
    """
    if request.method == "GET":
        before, _, query = request.url.partition("?")
        return replace(request, url=f"{before}?{_with_changes(query, changes)}")
    body = _with_changes(request.body.decode("latin-1"), changes)
    return replace(request, body=body.encode("latin-1"))


def addressed(
    found: Recorded, request: Request, token: str, *, run: Run | None, to: str | None
) -> Request:
    """*request*, that of *found* or an edited one, as it must be sent, signed with *token*.

    It goes to *to*, else to where the webhook went the first time: to the app, or if there was none
    to *run*, the running serve. Raises `UsageError` (U3) if there is none of these.
    """
    fresh = [
        (name, str(uuid4()) if name.lower() == IDEMPOTENCY.lower() else value)
        for name, value in request.headers
    ]
    request = replace(request, headers=tuple(fresh))
    if to is not None:
        to = app_address(to, "--to")
        if run is not None and origin_of(to) == run.ready.local_url:
            return _through(run.ready, to.removeprefix(run.ready.local_url), request, token)
        return forwarded(request, to, resign_with=token)
    if found.app is not None:
        return forwarded(request, app_address(found.app, "--forward-to"), resign_with=token)
    if run is None:
        raise UsageError("U3", option="--to")
    return _through(run.ready, STATUS if found.is_status else SMS, request, token)


def deliver(found: Recorded, request: Request, *, run: Run | None) -> Exchange:
    """Send *request*, as `addressed` makes it, and return what comes of it.

    If it goes to *run*, that includes what *run* records about it.
    """
    if run is None:
        return _delivered(found, request)
    with witness(run) as serve:
        return serve.of(lambda: _delivered(found, request))


def _delivered(found: Recorded, request: Request) -> Exchange:
    fields = request.fields
    try:
        answer = wire.send(request, connect_timeout=CONNECT_SECONDS, timeout=ANSWER_SECONDS)
    except wire.ExchangeError as err:
        code, words = FAILURES[err.kind]
        visit = Visit(Fetch((Hop(request, None, err.kind, err.detail),), code, words), None)
    else:
        hop = Hop(request, answer)
        document = (
            _read_callback(request, answer)
            if found.is_status
            else _stays(request, read_answer(request, answer))
        )
        visit = Visit(Fetch((hop,)), document)
    return Exchange(
        sid=message_sid(request) or found.sid,
        from_=fields.get("From", ""),
        to=fields.get("To", ""),
        body=fields.get("Body", ""),
        visits=(visit,),
        messages=visit.document.messages if visit.document and not visit.document.error else (),
        findings=visit.document.findings if visit.document else (),
    )


def differences(
    before: Reply | None, exchange: Exchange
) -> dict[str, tuple[object, object]] | None:
    """What differs between the recorded reply *before* and that of *exchange*, by its name.

    The time it took does not count, nor do callbacks: their address is relative to the target.
    None if no reply is recorded, as for a status callback.
    """
    if before is None:
        return None
    then, now = _said(before), _said(exchange.reply(at=datetime.now(UTC)))
    return {name: (then[name], now[name]) for name in then if then[name] != now[name]}


def _said(reply: Reply | None) -> dict[str, object]:
    kind = reply.content_type if reply else None
    return {
        "status": reply.http_status if reply else None,
        "content type": kind and kind.partition(";")[0].strip().lower(),
        "messages": tuple(replace(one, status_callback=None) for one in reply.messages)
        if reply
        else (),
    }


def _through(ready: Ready, path: str, request: Request, token: str) -> Request:
    """*request* as it goes to the local end of a serve: signed for the public one, as by Twilio."""
    public = ready.webhook_url.removesuffix(SMS)
    made = forwarded(request, public + path, resign_with=token)
    return replace(made, url=ready.local_url + made.url.removeprefix(public))


def _read_callback(request: Request, answer: wire.Answer) -> twiml.TwimlDocument:
    """What an app answered to a status callback: Twilio wants no TwiML there, only success."""
    found = tuple(causes(request, answer))
    return twiml.TwimlDocument(findings=found, error=11200 if answer.status >= 400 else None)  # noqa: PLR2004


def _stays(request: Request, document: twiml.TwimlDocument) -> twiml.TwimlDocument:
    """*document*, with a note where it leads on to what a replay does not ask."""
    if document.redirect is None:
        return document
    url = resolved(request.url, document.redirect.url)
    return replace(document, findings=(*document.findings, twiml.Finding("E6", {"url": url})))


def _ready(log: EventLog, run: str) -> Ready | None:
    for stored in log.read(0, limit=1, types=(events.Ready.type,), run=run).events:
        if isinstance(stored.event, events.Ready):
            return stored.event
    return None


def _with_changes(form: str, changes: Mapping[str, str]) -> str:
    waiting = dict(changes)
    parts = []
    for part in form.split("&") if form else []:
        name = unquote_plus(part.partition("=")[0])
        if name not in changes:
            parts.append(part)
        elif name in waiting:
            parts.append(f"{quote_plus(name)}={quote_plus(waiting.pop(name))}")
    parts += [f"{quote_plus(name)}={quote_plus(value)}" for name, value in waiting.items()]
    return "&".join(parts)
