"""What comes of one inbound message: what was sent, answered and replied; also as JSON.

The JSON form is what a running sandbox sends to ``smsquest simulate`` in another process.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from smsquest_cli import twiml
from smsquest_cli.answers import read_answer
from smsquest_cli.events import Inbound, Problem, Reply, Step
from smsquest_cli.sandbox.courier import Fetch, Hop
from smsquest_cli.signing import SIGNATURE_HEADER
from smsquest_cli.wire import Answer, Request

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from smsquest_cli.sandbox.resources import Callback, SandboxMessage


REFUSALS: Final = (400, 401, 403)


@dataclass(frozen=True, slots=True)
class Visit:
    """One document that was asked for, and what it says; None if no answer came."""

    fetch: Fetch
    document: twiml.TwimlDocument | None


@dataclass(frozen=True, slots=True)
class AlertLine:
    """What Twilio's debugger would show about the exchange."""

    code: int
    text: str
    level: str
    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """An inbound message, and all that came of it at once.

    ``sid`` is None for a message that a Messaging Service dropped. ``visits`` are the documents in
    order: the webhook's, those it redirects to, the fallback's. ``messages`` are the ``<Message>``
    verbs that Twilio makes messages of (of one with an invalid ``to`` it does not), ``replies``
    the SIDs of these; their delivery may still be under way. ``opt_out`` is the keyword that the
    text is (STOP, START, HELP), ``confirmation`` the SID of Twilio's own answer to it. ``recorded``
    is what the called serve knows about it: the message, its reply, its problems; None for another
    app.
    """

    sid: str | None
    from_: str
    to: str
    body: str
    visits: tuple[Visit, ...] = ()
    messages: tuple[twiml.TwimlMessage, ...] = ()
    replies: tuple[str, ...] = ()
    findings: tuple[twiml.Finding, ...] = ()
    alerts: tuple[AlertLine, ...] = ()
    opt_out: str | None = None
    confirmation: str | None = None
    recorded: tuple[Inbound | Reply | Problem, ...] | None = None

    @property
    def request(self) -> Request | None:
        """The first request that the app got; None if no webhook is set."""
        return self.visits[0].fetch.hops[0].request if self.visits else None

    @property
    def is_signed(self) -> bool:
        """Whether that request has a signature, be it right or wrong."""
        return self.request is not None and self.request.header(SIGNATURE_HEADER) is not None

    @property
    def is_refused(self) -> bool:
        """Whether the app answered as a stranger's request should be answered."""
        return self.answer is not None and self.answer.status in REFUSALS

    @property
    def is_status(self) -> bool:
        """Whether that request is a status callback: a replayed one may be."""
        return self.request is not None and "MessageStatus" in self.request.fields

    @property
    def answer(self) -> Answer | None:
        """What the app answered to the webhook in the end; None if it did not."""
        return self.visits[0].fetch.answer if self.visits else None

    @property
    def document(self) -> twiml.TwimlDocument | None:
        """What that answer says."""
        return self.visits[0].document if self.visits else None

    @property
    def error(self) -> int | None:
        """Twilio's error code if the webhook could not be fetched or its TwiML not executed."""
        if not self.visits:
            return None
        first = self.visits[0]
        return first.fetch.error or (first.document.error if first.document else None)

    @property
    def detail(self) -> str:
        """Why there was no answer, in words; empty if there was one."""
        return self.visits[0].fetch.detail if self.visits else ""

    def reply(self, *, at: datetime) -> Reply | None:
        """The record of the answer; None if there was none."""
        for event in self.recorded or ():
            if isinstance(event, Reply):
                return event
        request, answer = self.request, self.answer
        if request is None or answer is None:
            return None
        return Reply(
            ts=at,
            in_reply_to=self.sid or "",
            source="app" if self.recorded is None else "none",  # the serve itself
            http_status=answer.status,
            ms=round(answer.ms, 3),
            content_type=answer.header("Content-Type"),
            messages=tuple(one.outgoing(request.url) for one in self.messages),
        )

    def to_record(self) -> dict[str, Any]:
        """The exchange as a JSON object."""
        return {
            "sid": self.sid,
            "from": self.from_,
            "to": self.to,
            "body": self.body,
            "visits": [
                {
                    "hops": [_hop_record(hop) for hop in visit.fetch.hops],
                    "error": visit.fetch.error,
                    "detail": visit.fetch.detail,
                }
                for visit in self.visits
            ],
            "messages": [asdict(message) for message in self.messages],
            "replies": list(self.replies),
            "findings": [
                {"id": found.id, "values": dict(found.values), "code": found.code}
                for found in self.findings
            ],
            "alerts": [asdict(alert) for alert in self.alerts],
            "opt_out": self.opt_out,
            "confirmation": self.confirmation,
        }

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Exchange:
        """The exchange that *record* was made from."""
        visits = []
        for visit in record["visits"]:
            hops = tuple(_hop(hop) for hop in visit["hops"])
            fetch = Fetch(hops, visit["error"], visit["detail"])
            visits.append(Visit(fetch, read(fetch)))
        return cls(
            sid=record["sid"],
            from_=record["from"],
            to=record["to"],
            body=record["body"],
            visits=tuple(visits),
            messages=tuple(
                twiml.TwimlMessage(**{**message, "media": tuple(message["media"])})
                for message in record["messages"]
            ),
            replies=tuple(record["replies"]),
            findings=tuple(
                twiml.Finding(found["id"], found["values"], found["code"])
                for found in record["findings"]
            ),
            alerts=tuple(AlertLine(**alert) for alert in record["alerts"]),
            opt_out=record["opt_out"],
            confirmation=record["confirmation"],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SentMessage:
    """A message that went out, as it stood when asked."""

    sid: str
    from_: str | None
    to: str
    body: str
    media: tuple[str, ...]
    status: str
    error_code: int | None
    history: tuple[Step, ...]
    callbacks: tuple[Callback, ...] = ()

    @classmethod
    def of(cls, message: SandboxMessage) -> SentMessage:
        """*message* as it is now."""
        return cls(
            sid=message.sid,
            from_=message.from_,
            to=message.to,
            body=message.body,
            media=tuple(attachment.url for attachment in message.media),
            status=message.status,
            error_code=message.error_code,
            history=tuple(message.history),
            callbacks=tuple(message.callbacks),
        )


def read(fetch: Fetch) -> twiml.TwimlDocument | None:
    """What the answer of *fetch* says, read as Twilio reads it; None if there is none."""
    if fetch.answer is None:
        return None
    document = read_answer(fetch.request, fetch.answer)
    if fetch.error is None:
        return document
    findings = [_not_followed(found, fetch.error) for found in document.findings]
    return replace(document, findings=tuple(findings))


def _not_followed(found: twiml.Finding, error: int) -> twiml.Finding:
    """*found*, which may be of a redirect: one more answer cannot tell that it is one too many."""
    if found.id != "T14":
        return found
    values = {**found.values, "consequence": f"Twilio does not follow it ({error})"}
    return replace(found, values=values, code=error)


def _hop_record(hop: Hop) -> dict[str, Any]:
    request, answer = hop.request, hop.answer
    return {
        "request": {
            "method": request.method,
            "url": request.url,
            "headers": [list(pair) for pair in request.headers],
            "body": b64encode(request.body).decode(),
        },
        "answer": answer
        and {
            "status": answer.status,
            "headers": [list(pair) for pair in answer.headers],
            "body": b64encode(answer.body).decode(),
            "ms": answer.ms,
        },
        "failure": hop.failure,
        "detail": hop.detail,
        "begun": hop.begun,
    }


def _hop(record: Mapping[str, Any]) -> Hop:
    request, answer = record["request"], record["answer"]
    return Hop(
        Request(
            request["method"],
            request["url"],
            tuple((name, value) for name, value in request["headers"]),
            b64decode(request["body"]),
        ),
        answer
        and Answer(
            answer["status"],
            tuple((name, value) for name, value in answer["headers"]),
            b64decode(answer["body"]),
            answer["ms"],
        ),
        record["failure"],
        record["detail"],
        record["begun"],
    )
