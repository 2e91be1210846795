"""What is done with a webhook: check it, record it, answer it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from itertools import islice
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from smsquest_cli.credentials import masked
from smsquest_cli.eventlog import LogEntry
from smsquest_cli.events import Inbound, Problem, Status
from smsquest_cli.forms import first_values, form_pairs
from smsquest_cli.limits import LONGEST_TEXT
from smsquest_cli.messages import IDEMPOTENCY, MalformedWebhookError, Message, StatusUpdate
from smsquest_cli.problems import LocalError
from smsquest_cli.segments import cost, segment
from smsquest_cli.webhook_urls import PATHS, SMS
from smsquest_cli.webhooks.address import PublicAddress
from smsquest_cli.webhooks.admission import Admission, RefusedError, malformed
from smsquest_cli.webhooks.answering import RuleAnswerer
from smsquest_cli.webhooks.failures import Failures
from smsquest_cli.webhooks.rejections import Rejections
from smsquest_cli.wire import Request

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from concurrent.futures import Future

    from smsquest_cli.eventlog import EventLog
    from smsquest_cli.events import Event
    from smsquest_cli.server.quick import Incoming, Response
    from smsquest_cli.signing import Verifier
    from smsquest_cli.webhooks.answering import Answered, App

MOST_EXPECTED: Final = 1000
MOST_REMARKED: Final = 20
MAX_BODY: Final = 128 * 1024  # Twilio's own are a few kB
TEXT: Final = (("Content-Type", "text/plain; charset=utf-8"),)

CONFIRMED: Final[Response] = (204, (), b"")

_PRIVATE: Final = frozenset({"Authorization", "Cookie"})  # headers that are not written to disk


@dataclass(slots=True)
class _Arrival:
    """A genuine request and the entries to record for it: first the event, then notes on it."""

    request: Request
    entries: tuple[LogEntry, ...]
    message: Message | None = None  # of an inbound one


@dataclass(slots=True)
class _Prepared:
    """An arrival with all the entries to record, and the answer that it gets then."""

    arrival: _Arrival
    entries: tuple[LogEntry, ...]
    response: Response


class Receiver:
    """Receives Twilio's requests for one run; a rule or an app answers its messages.

    Without a *verifier* every request is accepted. `move` says at which base Twilio reaches us:
    before the first request, and whenever the tunnel moves.
    """

    def __init__(
        self,
        log: EventLog,
        answerer: RuleAnswerer | App,
        *,
        run: str,
        verifier: Verifier | None = None,
        account_sid: str | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.run = run
        self._log = log
        self._rule = answerer if isinstance(answerer, RuleAnswerer) else None
        self._app = None if isinstance(answerer, RuleAnswerer) else answerer
        self._disk = ThreadPoolExecutor(1, "disk")  # waited for while an app works
        self._account_sid = account_sid
        self._now = now
        self._admission = Admission(verifier, account_sid)
        self._rejections = Rejections(self._record, now=now)
        self._failures = Failures()
        self._remarked: set[str] = set()  # other accounts whose requests were noted
        self._expected: dict[str, str] = {}  # SID -> where an answer sent Twilio on with it
        self._cost_told = False  # that a character makes a reply longer: once is enough

    def move(self, public_url: str) -> None:
        """From now on Twilio reaches us at *public_url*."""
        self._admission.move(PublicAddress.of(public_url))

    def close(self) -> None:
        """Record the refused requests that are not recorded yet, and keep no app waiting."""
        self._rejections.flush()
        if self._app is not None:
            self._app.close()

    def local_path(self, path: str) -> str:
        """*path* of a request, without the path of the public URL."""
        return self._admission.address.local_path(path)

    def takes(self, method: str, path: str) -> bool:
        """Whether a request has the method and path of Twilio's."""
        return method in ("POST", "GET") and self.local_path(path) in PATHS

    def answer(self, requests: Sequence[Incoming]) -> list[Response | None]:
        """Check, record and answer *requests* together; None for those that `handle` has to see."""
        ready = [self._ready(request) for request in requests]
        try:
            if any(ready):
                self._record_all([prepared for prepared in ready if prepared])
        except LocalError as err:
            return [_unrecorded(err) if prepared else None for prepared in ready]
        return [prepared.response if prepared else None for prepared in ready]

    def handle(self, incoming: Incoming, respond: Callable[[Response], None]) -> None:
        """Check, record and answer a request to one of our routes, whatever it is.

        *respond* gets the response as soon as nothing can be lost any more.
        """
        try:
            if len(incoming.body) > MAX_BODY:
                respond((413, TEXT, b"413 Too large for a webhook\n"))
            elif self._app is not None:
                self._hand_on(incoming, self._app, respond)
            else:
                prepared = self._prepared(incoming)
                self._record_all([prepared])
                respond(prepared.response)
        except RefusedError as refused:
            path, reason = self.local_path(incoming.path), refused.reason
            self._rejections.add(path, incoming.method, reason, hint=refused.hint)
            # Only who has signed rightly gets a 400, and may be told what is missing.
            hint = refused.hint() if refused.status == HTTPStatus.BAD_REQUEST else None
            why = f"{reason}: {hint}" if hint else reason
            respond((refused.status, TEXT, f"{refused.status} {why}\n".encode()))
        except LocalError as err:
            respond(_unrecorded(err))

    def _ready(self, incoming: Incoming) -> _Prepared | None:
        if self._app is not None or len(incoming.body) > MAX_BODY:
            return None
        try:
            return self._prepared(incoming)
        except RefusedError:
            return None

    def _prepared(self, incoming: Incoming) -> _Prepared:
        """A request with the answer that a rule gives once its entries are recorded."""
        assert self._rule is not None
        arrival = self._arrival(incoming)
        if arrival.message is None:
            return _Prepared(arrival, arrival.entries, CONFIRMED)
        status_url = self._admission.address.status_url(quote(arrival.message.sid, safe=""))
        answered = self._rule.answer(arrival.message, status_url)
        self._expect(arrival.message.sid, answered)
        entries = (*arrival.entries, *self._told_by(answered))
        return _Prepared(arrival, entries, _response(answered))

    def _record_all(self, ready: list[_Prepared]) -> None:
        """Record what is *ready*; returns when nothing of it can be lost any more."""
        recorded = iter(self._log.append(*[entry for one in ready for entry in one.entries]))
        for one in ready:
            first, *_ = islice(recorded, len(one.entries))
            self._remark_on(one.arrival, first)
        self._log.sync()

    def _hand_on(self, incoming: Incoming, app: App, respond: Callable[[Response], None]) -> None:
        """Give a request to *app*, which may take its time."""
        arrival = self._arrival(incoming)
        on_disk: Future[None] | None = None

        def record() -> None:
            nonlocal on_disk
            first, *_ = self._log.append(*arrival.entries)
            on_disk = self._disk.submit(self._log.sync)
            self._remark_on(arrival, first)

        if arrival.message is None:
            record()
            self._record(*app.status(arrival.request))
            response = CONFIRMED
        else:
            answered = app.answer(arrival.message, arrival.request, record)
            self._expect(arrival.message.sid, answered)
            self._log.append(*self._told_by(answered))
            response = _response(answered)
        assert on_disk is not None
        on_disk.result()
        respond(response)

    # Arrivals

    def _arrival(self, incoming: Incoming) -> _Arrival:
        """What *incoming* says, checked; raises `RefusedError`."""
        pairs, signature = self._admission.fields(incoming)
        form = first_values(pairs)
        url = self._admission.address.url_of(incoming.target)
        request = Request(incoming.method, url, incoming.headers(), incoming.body)
        try:
            # An app may take its callbacks where its messages come in (action="/sms").
            if self.local_path(incoming.path) == SMS and "MessageStatus" not in form:
                return self._message(request, Message.from_webhook(form), signature)
            return self._status(request, StatusUpdate.from_webhook(form))
        except MalformedWebhookError as err:
            raise malformed(400, str(err)) from err

    def _message(self, request: Request, message: Message, signature: str) -> _Arrival:
        split = segment(message.body)
        inbound = Inbound(
            ts=self._now(),
            sid=message.sid,
            from_=message.from_,
            to=message.to,
            body=message.body,
            method=request.method,
            media=message.media,
            segments=split.segments,
            encoding=split.encoding,
            signature=signature,
            opt_out=message.opt_out,
        )
        notes = [LogEntry(note) for note in self._notes(message, inbound.ts)]
        return _Arrival(request, (LogEntry(inbound, _for_the_log(request)), *notes), message)

    def _status(self, request: Request, update: StatusUpdate) -> _Arrival:
        query = request.url.partition("?")[2]
        status = Status(
            ts=self._now(),
            sid=update.sid,
            status=update.status,
            from_=update.from_,
            to=update.to,
            error_code=update.error_code,
            in_reply_to=dict(form_pairs(query)).get("re") or None,
        )
        notes = self._foreign(update.account_sid, status.ts, about=update.sid)
        entries = (LogEntry(status, _for_the_log(request)), *[LogEntry(note) for note in notes])
        return _Arrival(request, entries)

    # What the user should know

    def _notes(self, message: Message, at: datetime) -> Iterator[Problem]:
        sid = message.sid
        yield from self._foreign(message.account_sid, at, about=sid)
        for field, value in (("From", message.from_), ("To", message.to)):
            if value.startswith(" "):
                yield Problem.of("A12", at=at, about=sid, field=field, value=value)
        if message.error_code is not None or message.error_url:
            url = message.error_url or "the webhook"
            code = message.error_code or "no code"
            yield Problem.of("N15", at=at, about=sid, error_url=url, error_code=code)
        if message.opt_out == "STOP":
            yield Problem.of("D8", at=at, about=sid, number=message.from_)
        length = len(message.body)
        if length > LONGEST_TEXT and self._log.request_of(sid) is None:  # else it was told before
            yield Problem.of("D13", at=at, about=sid, length=length)

    def _told_by(self, answered: Answered) -> list[LogEntry]:
        reply = answered.reply
        entries = [LogEntry(reply), *[LogEntry(problem) for problem in answered.problems]]
        entries += [LogEntry(problem) for problem in self._odd_urls(answered)]
        for message in reply.messages if not self._cost_told else ():
            if not message.body.isascii():  # nearly all are ASCII: segments cost more to count
                parts = segment(message.body)
                if parts.segments > parts.gsm_segments:
                    self._cost_told = True
                    values = cost(parts)
                    note = Problem.of(
                        "D9", at=reply.ts, about=reply.in_reply_to, what="your reply", **values
                    )
                    return [*entries, LogEntry(note)]
        return entries

    def _odd_urls(self, answered: Answered) -> Iterator[Problem]:
        """What is wrong with the URLs in the answer: of status callbacks and of a redirect."""
        reply, address = answered.reply, self._admission.address
        if answered.redirect is not None and address.is_dead_end(answered.redirect):
            url, way = answered.redirect, f"{address.path}{SMS}?step=2"
            yield Problem.of("A19", at=reply.ts, about=reply.in_reply_to, url=url, way=way)
        for url in {one.status_callback for one in reply.messages if one.status_callback}:
            reason = address.why_unheard(url)
            if reason is not None:
                yield Problem.of(
                    "A18", at=reply.ts, about=reply.in_reply_to, url=url, reason=reason
                )

    def _foreign(self, account_sid: str | None, at: datetime, *, about: str) -> Iterator[Problem]:
        """C7 as a note, once for each account: the request was accepted, so nothing is wrong."""
        ours = self._account_sid
        if not ours or not account_sid or account_sid == ours or account_sid in self._remarked:
            return
        if len(self._remarked) >= MOST_REMARKED:  # anybody may name one if nothing is checked
            return
        self._remarked.add(account_sid)
        what = f"accepted a request of {masked(account_sid)}, not of {masked(ours)}"
        cure = "Its token is the same, or no signature is checked"
        yield Problem.of("C7", at=at, about=about, severity="note", what=what, cure=cure)

    def _remark_on(self, arrival: _Arrival, recorded: Event) -> None:
        """Record what only the log could tell: that a message came again, or why one failed.

        A request to the fallback URL has its own note.
        """
        if isinstance(recorded, Status):
            if problem := self._failures.told_by(recorded):
                self._record(problem)
            return
        message = arrival.message
        if message is None or not (isinstance(recorded, Inbound) and recorded.duplicate):
            return
        if message.error_code is None and not self._is_expected(message.sid, arrival.request):
            self._record(self._repeat_of(message, arrival.request))

    def _expect(self, sid: str, answered: Answered) -> None:
        """Remember that the message comes again, if the answer sends Twilio on to us with it."""
        if answered.redirect is None or not self._admission.address.leads_here(answered.redirect):
            return
        if len(self._expected) >= MOST_EXPECTED:  # redirects that Twilio never followed
            self._expected.clear()
        self._expected[sid] = answered.redirect

    def _is_expected(self, sid: str, request: Request) -> bool:
        """Whether *request* is the one that our answer asked for; it is expected once."""
        url = self._expected.get(sid)
        if url is None or request.url.removeprefix(url)[:1] not in ("", "?", "&"):  # by GET: fields
            return False
        return self._expected.pop(sid, None) is not None  # of two such requests at once, one

    def _repeat_of(self, message: Message, request: Request) -> Problem:
        first = self._log.request_of(message.sid)
        token = request.header(IDEMPOTENCY)
        retried = token is not None and first is not None and first.header(IDEMPOTENCY) == token
        return Problem.of(
            "S8",
            at=self._now(),
            about=message.sid,
            sid=message.sid,
            reason="Twilio retry" if retried else "replay",
            answered="forwarded" if self._app else "answered",
        )

    def _record(self, *events: Event) -> None:
        if events:
            self._log.append(*[LogEntry(event) for event in events])


def _response(answered: Answered) -> Response:
    return answered.status, answered.headers, answered.body


def _unrecorded(err: LocalError) -> Response:
    """What is not recorded is not confirmed: Twilio turns to the fallback URL."""
    return 503, TEXT, f"503 {err.id}\n".encode()


def _for_the_log(request: Request) -> Request:
    kept = [header for header in request.headers if header[0] not in _PRIVATE]
    if len(kept) == len(request.headers):
        return request
    return Request(request.method, request.url, tuple(kept), request.body)
