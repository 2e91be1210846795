"""A reply read as Twilio would read it: the messages it sends, and what is wrong with it.

The rules are those of Twilio's "TwiML for Programmable Messaging" page and of its error catalogue.
If Twilio warns and goes on, so does this; if it gives up, ``error`` is its error code.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urljoin, urlsplit

from smsquest_cli import markup
from smsquest_cli.events import OutgoingMessage, Problem
from smsquest_cli.limits import FOLLOWED, LARGEST_TWIML, LONGEST_TEXT, MOST_MEDIA, MOST_REPLIES
from smsquest_cli.problems import catalogue, line_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

CURE: Final = "Answer with Content-Type: text/xml"  # R1; `answers` knows better

_XML_TYPES: Final = frozenset({"text/xml", "application/xml"})
_NOUNS: Final[Mapping[str, tuple[str, ...]]] = {
    "Response": ("Message", "Redirect"),
    "Message": ("Body", "Media"),
}
_ATTRIBUTES: Final[Mapping[str, tuple[str, ...]]] = {
    "Message": ("to", "from", "action", "statusCallback", "method"),
    "Redirect": ("method",),
}
_SYNONYMS: Final[Mapping[str, str]] = {"sms": "Message", "callback": "statusCallback"}
_VOICE: Final = frozenset({
    "Connect", "Dial", "Echo", "Enqueue", "Gather", "Hangup", "Leave", "Pause", "Pay", "Play",
    "Prompt", "Queue", "Record", "Refer", "Reject", "Say", "Siprec", "Start", "Stop", "Stream",
})  # fmt: skip
_EXCERPT: Final = 40


@dataclass(frozen=True, slots=True)
class Finding:
    """Something about an answer that its author should know: an id of the catalogue, and values.

    ``code`` is the error or warning that Twilio's debugger shows for it, None if it shows none.
    """

    id: str
    values: Mapping[str, Any] = field(default_factory=dict)
    code: int | None = None

    @property
    def severity(self) -> str:
        """``error``, ``warning`` or ``note``; a wrong type is an error if Twilio gives up."""
        if self.id in ("R1", "R3"):
            return "error" if self.code else "warning"
        return catalogue()[self.id].severity

    @property
    def line(self) -> str:
        """The line to show, which ends in what to do."""
        return line_of(self.id, **self.values)

    def problem(self, *, at: datetime, sid: str | None = None) -> Problem:
        """The record of it, for the message *sid*."""
        return Problem(ts=at, id=self.id, severity=self.severity, line=self.line, sid=sid)


@dataclass(frozen=True, slots=True)
class TwimlMessage:
    """One ``<Message>``, its addresses as they were written; no ``to`` means the sender."""

    body: str = ""
    to: str | None = None
    from_: str | None = None
    action: str | None = None
    status_callback: str | None = None
    method: str | None = None
    media: tuple[str, ...] = ()

    @property
    def callback(self) -> str | None:
        """Where its statuses go: ``action`` for an SMS, ``statusCallback`` for an MMS."""
        first, second = self.action, self.status_callback
        return ((second or first) if self.media else (first or second)) or None

    def outgoing(self, base_url: str) -> OutgoingMessage:
        """What goes out, in a document that came from *base_url*."""
        callback = self.callback and resolve(base_url, self.callback)
        return OutgoingMessage(self.body, self.to, self.media, callback)


@dataclass(frozen=True, slots=True)
class Redirect:
    """Where the conversation continues, as it was written."""

    url: str
    method: str = "POST"


@dataclass(frozen=True, slots=True)
class TwimlDocument:
    """What an answer makes Twilio do: send ``messages``, then continue at ``redirect``.

    ``error`` is the code with which Twilio goes to the fallback URL instead; None if it does not.
    """

    messages: tuple[TwimlMessage, ...] = ()
    redirect: Redirect | None = None
    findings: tuple[Finding, ...] = ()
    error: int | None = None


def resolve(base_url: str, reference: str) -> str:
    """The absolute URL of *reference*, as written in a document that came from *base_url*.

    Raises `ValueError` if that is no URL to call: a scheme other than http or https, no host, or
    an underscore in its name, which Twilio refuses.
    """
    reference = reference.strip()
    url = reference if urlsplit(reference).scheme else urljoin(base_url, reference)
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"not an http(s) URL: {url}")
    if "_" in parts.hostname:
        raise ValueError(f"underscore in the host name: {url}")
    return url


def read(
    status: int, content_type: str | None, body: bytes, *, url: str | None = None
) -> TwimlDocument:
    """What Twilio does with the answer *status*, *content_type* and *body* to a webhook.

    Relative addresses are noted together with the absolute URL that they get from *url*, that of
    the webhook. Redirects are not followed here; `answers.read_answer` says why a status came.
    """
    if status >= 300:  # noqa: PLR2004 - HTTP's status classes, here and below
        followed = None if status in FOLLOWED else 11216
        return TwimlDocument(error=11200 if status >= 400 else followed)  # noqa: PLR2004
    if not body.strip():
        nothing = status == 204  # noqa: PLR2004
        return TwimlDocument(findings=() if nothing else (Finding("R11"),))
    try:
        return _read_body(content_type or "", body, url)
    except _GivesUpError as err:
        return TwimlDocument(findings=(err.finding,), error=err.finding.code)


class _GivesUpError(Exception):
    """Twilio cannot use the answer, because of ``finding``."""

    def __init__(self, problem_id: str, code: int, /, **values: object) -> None:
        super().__init__(problem_id)
        self.finding = Finding(problem_id, values, code)


def _read_body(content_type: str, body: bytes, url: str | None) -> TwimlDocument:
    if len(body) > LARGEST_TWIML:
        raise _GivesUpError("R10", 11750, size=len(body))
    kind, charset = _media_type(content_type)
    if kind == "text/plain":
        text = _decoded(body, charset)
        finding = Finding("R3", {"text": _excerpt(text)})
        return TwimlDocument((TwimlMessage(text),), findings=(finding, *_length(text)))
    reading = _Reading(url)
    if kind == "text/html":
        if b"<" not in body:
            raise _GivesUpError("R3", 12100, text=_excerpt(_decoded(body, charset)))
        reading.findings.append(Finding("R1", {"content_type": kind, "cure": CURE}))
    elif not kind:
        raise _GivesUpError("R1", 11200, content_type="without a Content-Type", cure=CURE)
    elif kind not in _XML_TYPES:
        raise _GivesUpError("R1", 12300, content_type=kind, cure=CURE)
    try:
        root = markup.parse(body, charset=charset)
    except markup.MarkupError as err:
        cure = ". MessagingResponse() escapes it for you" if err.unescaped else ""
        where = {"line": err.line, "column": err.column, "reason": err.reason, "cure": cure}
        raise _GivesUpError("R2", 12100, **where) from None
    if root.name != "Response":
        raise _GivesUpError("R9", 12100, root=_excerpt(root.name))
    return reading.of(root)


class _Reading:
    """One document being read: its findings, in the order in which they are met."""

    def __init__(self, url: str | None) -> None:
        self._url = url
        self.findings: list[Finding] = []

    def of(self, root: markup.Element) -> TwimlDocument:
        self._check(root)
        messages: list[TwimlMessage] = []
        redirect, unreachable, count = None, 0, 0
        for verb in root.children:
            if redirect is not None:
                unreachable += 1
            elif verb.name == "Redirect":
                redirect = self._redirect(verb)
            elif verb.name == "Message":
                count += 1
                messages.extend(self._message(verb))
        if unreachable:
            self._find("R14", count=unreachable)
        if count > MOST_REPLIES:
            self._find("R5", 14109, count=count)
        return TwimlDocument(tuple(messages[:MOST_REPLIES]), redirect, tuple(self.findings))

    def _message(self, verb: markup.Element) -> Iterator[TwimlMessage]:
        self._check(verb)
        for noun in verb.children:
            self._check(noun)
        bodies = [noun.text for noun in verb.children if noun.name == "Body"]
        text = verb.text if verb.text.strip() else ""  # blanks that indent the nouns are not text
        body = text + "".join(bodies)
        media = tuple(
            noun.text.strip()
            for noun in verb.children
            if noun.name == "Media" and noun.text.strip()
        )
        attributes = verb.attributes
        message = TwimlMessage(
            body=body,
            to=attributes.get("to"),
            from_=attributes.get("from"),
            action=self._address(verb, "action"),
            status_callback=self._address(verb, "statusCallback"),
            method=self._method(verb),
            media=media[:MOST_MEDIA],
        )
        if len(media) > MOST_MEDIA:
            self._find("R13", 21623, count=len(media))
        self.findings.extend(_length(body))
        if body.strip() or media:
            yield message
        else:
            self._find("R4", 14103)

    def _redirect(self, verb: markup.Element) -> Redirect:
        self._check(verb)
        target = verb.text.strip()
        self._resolves("Redirect", target, 11100)  # Twilio says so when it gets there
        return Redirect(target, self._method(verb) or "POST")

    def _method(self, verb: markup.Element) -> str | None:
        method = verb.attributes.get("method")
        if method is None or method.upper() in ("GET", "POST"):
            return method and method.upper()
        self._invalid("method", method, "GET or POST", 14104)
        return None

    def _address(self, verb: markup.Element, attribute: str) -> str | None:
        value = verb.attributes.get(attribute)
        return value if value and self._resolves(attribute, value, 14105) else None

    def _resolves(self, attribute: str, value: str, code: int) -> bool:
        try:
            address = resolve(self._url or "http://the.webhook/", value)
        except ValueError:
            self._invalid(attribute, value, "an http(s) URL, relative or public", code)
            return False
        if self._url and value and not urlsplit(value.strip()).scheme:
            self._find("R8", attribute=attribute, value=_excerpt(value), url=address)
        return True

    def _check(self, element: markup.Element) -> None:
        """Note what Twilio's schema does not allow: 12200, a warning that stops nothing."""
        name = element.name
        allowed = _ATTRIBUTES.get(name, ())
        for attribute in element.attributes:
            if (
                attribute not in allowed
                and not attribute.startswith("xml")
                and ":" not in attribute
            ):
                what = f'the attribute "{_excerpt(attribute)}" of <{name}>'
                self._unknown(element, what, _hint(attribute, allowed, '"{}"'))
        nouns = _NOUNS.get(name, ())
        if name == "Response" and element.text.strip():
            self._unknown(element, "text outside of <Message>", "put it into <Message>")
        for child in element.children:
            if child.name in _VOICE and name == "Response":
                self._find("R16", 14110, element=child.name, line=child.line)
            elif child.name not in nouns:
                what = f"<{_excerpt(child.name)}> in <{name}>"
                self._unknown(child, what, _hint(child.name, nouns, "<{}>"))

    def _unknown(self, element: markup.Element, what: str, hint: str) -> None:
        self._find("R15", 12200, line=element.line, what=what, hint=hint)

    def _invalid(self, attribute: str, value: str, expected: str, code: int) -> None:
        effect = "ends the conversation" if attribute == "Redirect" else "is ignored"
        found = {
            "attribute": attribute, "value": _excerpt(value), "effect": effect,
            "expected": expected,
        }  # fmt: skip
        self._find("R12", None if attribute == "Redirect" else code, **found, code=code)

    def _find(self, problem_id: str, /, twilio_code: int | None = None, **values: object) -> None:
        self.findings.append(Finding(problem_id, values, twilio_code))


def _length(text: str) -> tuple[Finding, ...]:
    """The finding for a text that is longer than Twilio sends, if it is."""
    length = len(text)
    return (Finding("R17", {"length": length}, 21617),) if length > LONGEST_TEXT else ()


def _hint(name: str, allowed: Sequence[str], form: str) -> str:
    """Which of *allowed* was meant by *name*, or all of them."""
    plain = name.lower().replace("_", "").replace("-", "")
    meant = _SYNONYMS.get(plain) or next((one for one in allowed if one.lower() == plain), None)
    if meant in allowed:
        return f"did you mean {form.format(meant)}?"
    return f"allowed: {', '.join(form.format(one) for one in allowed) or 'none'}"


def _media_type(content_type: str) -> tuple[str, str | None]:
    """The type of *content_type* in lower case, and its charset if it names one."""
    kind, *parameters = content_type.split(";")
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "charset":
            return kind.strip().lower(), value.strip().strip("\"'")
    return kind.strip().lower(), None


def _decoded(body: bytes, charset: str | None) -> str:
    try:
        return body.decode(charset or "utf-8", "replace")
    except LookupError:
        return body.decode("utf-8", "replace")


def _excerpt(text: str) -> str:
    """*text* short enough for a line."""
    plain = " ".join(text.split())
    return plain if len(plain) <= _EXCERPT else plain[: _EXCERPT - 1] + "…"
