"""What an app's answer to a webhook means, with the request that it answers in view.

`read_answer` adds to what `twiml.read` finds in the answer alone: why an app refused, failed or
redirected, recognised by the marks that frameworks and proxies leave.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html import unescape
from http import HTTPStatus
from http.client import responses
from typing import TYPE_CHECKING, Final
from urllib.parse import SplitResult, urlsplit

from smsquest_cli import frameworks, twiml
from smsquest_cli.forms import form_pairs
from smsquest_cli.limits import ANSWER_SECONDS, FOLLOWED
from smsquest_cli.signing import SIGNATURE_HEADER
from smsquest_cli.twiml import Finding, TwimlDocument
from smsquest_cli.wire import origin_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from smsquest_cli.wire import Answer, Request

SLOW_MS: Final = 10_000
TIMEOUT_MS: Final = 1000 * ANSWER_SECONDS

_LOOKED_AT: Final = 20_000  # bytes of a body; a debugger's page can be long
_EXCERPT: Final = 80
_HOST: Final = re.compile(
    r"DisallowedHost|ALLOWED_HOSTS|Blocked (?:host|request)|Invalid Host header|HTTP_HOST header",
    re.IGNORECASE,
)
_CSRF: Final = re.compile(r"csrf|authenticity.?token", re.IGNORECASE)
_JSON: Final = re.compile(
    r"JSONDecodeError|json\.decoder|JSON\.parse|application/json|get_json|request\.json"
    r"|json_invalid|model_attributes_type"  # FastAPI's
    r"|\b(?:valid|decode|parse|parsing|load|in) JSON\b|\bJSON (?:data|object|parse|body|input)\b",
    re.IGNORECASE,
)
_TITLE: Final = re.compile(r"<title[^>]*>(.*?)</title>", re.IGNORECASE | re.DOTALL)
_HIDDEN: Final = re.compile(
    r"<(head|style|script)\b.*?</\1\s*>|<!--.*?-->", re.IGNORECASE | re.DOTALL
)
_BREAK: Final = re.compile(r"<(?:br|/p|/h\d|/pre|/div|/li|/tr)\b[^>]*>", re.IGNORECASE)
_TAG: Final = re.compile(r"<[^>]*>")
_FIELD_MISSING: Final = "sent a request that this server could not understand"  # Werkzeug's 400
_TRACEBACK: Final = "Traceback (most recent call last)"
_SAYS_NOTHING: Final = frozenset({"error", "server error", "exception", "document"})


def read_answer(
    request: Request, answer: Answer, *, public_url: str | None = None
) -> TwimlDocument:
    """What Twilio does with *answer* to the webhook *request*, and the likely reasons.

    *public_url* is the address that *request* was signed for, if it was forwarded to another one.
    """
    content_type = answer.header("Content-Type")
    url = public_url or request.url
    document = twiml.read(answer.status, content_type, answer.body, url=url)
    cured = [_in_words_of(answer, finding) for finding in document.findings]
    findings = [*cured, *causes(request, answer, public_url=public_url)]
    error = document.error
    if 300 <= answer.status < 400 and not answer.header("Location"):  # noqa: PLR2004
        error = 11216
    if not answer.body and (answer.header("Transfer-Encoding") or "").lower() == "chunked":
        error = error or 11770
        findings = [Finding("R11", code=11770)]
    if answer.ms >= SLOW_MS:
        late = 11200 if answer.ms >= TIMEOUT_MS else None
        findings.append(Finding("A7", {"seconds": f"{answer.ms / 1000:.1f}"}, late))
        error = error or late
    return TwimlDocument(document.messages, document.redirect, tuple(findings), error)


def causes(request: Request, answer: Answer, *, public_url: str | None = None) -> Iterator[Finding]:
    """Why *answer* to *request*, a webhook or callback, was no success; empty if it was one."""
    status, parts = answer.status, urlsplit(request.url)
    path = parts.path or "/"
    is_signed = request.header(SIGNATURE_HEADER) is not None
    signed_url = public_url or (request.url if is_signed else None)
    if status < 300:  # noqa: PLR2004 - HTTP's status classes, here and below
        return
    if status < 400:  # noqa: PLR2004
        yield _redirected(request, answer, path, forwarded=public_url is not None)
        return
    text = _text(answer)
    if status == HTTPStatus.FORBIDDEN and (answer.header("Server") or "").startswith("AirTunes"):
        yield Finding("A2", {"port": parts.port or 80}, 11200)
    elif status == HTTPStatus.NOT_FOUND:
        cure = _cure_of_404(request, path, forwarded=public_url is not None)
        yield Finding("A3", {"method": request.method, "path": path, "cure": cure}, 11200)
    elif status == HTTPStatus.METHOD_NOT_ALLOWED:
        allow = answer.header("Allow") or "another method"
        cure = frameworks.cure(answer, "route").format(method=request.method.lower(), path=path)
        values = {"method": request.method, "path": path, "allow": allow, "cure": cure}
        yield Finding("A4", values, 11200)
    elif status < 500 and _HOST.search(text):  # noqa: PLR2004
        yield Finding("A6", {"host": request.header("Host") or request.host}, 11200)
    elif status < 500 and (_CSRF.search(text) or status == 419):  # noqa: PLR2004 - Laravel's own
        yield Finding("A5", {"path": path}, 11200)
    elif (
        signed_url
        and status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)
        and answer.header("WWW-Authenticate") is None  # which asks for a login
    ):
        yield from _signature_refused(request, answer, parts, signed_url)
    else:
        yield _failed(request, answer, forwarded=public_url is not None)
        if status in (400, 415, 422, 500) and _JSON.search(text):
            yield Finding("A8", {"cure": frameworks.cure(answer, "form")})


def _cure_of_404(request: Request, path: str, *, forwarded: bool) -> str:
    if not forwarded:
        return f"Is {path} the path of your webhook route?"
    origin = request.url.removesuffix(request.target)
    return f"Its path goes into --forward-to {origin}/YOUR/PATH"


def _failed(request: Request, answer: Answer, *, forwarded: bool) -> Finding:
    """A11; a request that was *forwarded* is in the log, and can be delivered again."""
    sid = message_sid(request) or "last"
    repeat = f". Repeat it with: smsquest replay {sid}" if forwarded else ""
    status, text = answer.status, excerpt(answer)
    if status == HTTPStatus.BAD_REQUEST and _FIELD_MISSING in _text(answer):
        text += '; a field that did not come? request.form.get("...")'
    return Finding("A11", {"status": status, "sid": sid, "excerpt": text, "repeat": repeat}, 11200)


def message_sid(request: Request) -> str | None:
    """The SID of the message that a webhook is about, from its form or its query, or None."""
    fields = request.fields
    return fields.get("MessageSid") or fields.get("SmsSid") or None


def excerpt(answer: Answer) -> str:
    """The first line of the body of *answer* that says something, without markup."""
    for line in _lines(_text(answer), answer.header("Content-Type") or ""):
        words = " ".join(unescape(_TAG.sub("", line)).split())
        words = words.removesuffix("// Werkzeug Debugger").removeprefix(f"{answer.status} ").strip()
        if words and words.lower().rstrip(".!:") not in _SAYS_NOTHING:
            return words if len(words) <= _EXCERPT else words[: _EXCERPT - 1] + "…"
    return responses.get(answer.status, "no text")


def _text(answer: Answer) -> str:
    return answer.body[:_LOOKED_AT].decode("utf-8", "replace")


def _lines(text: str, content_type: str) -> Iterator[str]:
    """The lines of *text* that may serve as an excerpt, the best first."""
    if "json" in content_type:
        yield from _words_of_json(text)
    before, traceback, after = text.rpartition(_TRACEBACK)
    if traceback and "<" not in before:  # a plain one: the exception is its last line
        yield from reversed(after.rstrip().splitlines()[1:])
    if title := _TITLE.search(text):
        yield title[1]
    yield from _BREAK.sub("\n", _HIDDEN.sub("", text)).splitlines()


def _words_of_json(text: str) -> Iterator[str]:
    try:
        said = json.loads(text)
    except (ValueError, RecursionError):
        return
    for key in ("detail", "message", "error", "title", "msg"):
        words = said.get(key) if isinstance(said, dict) else None
        if isinstance(words, list) and words and isinstance(words[0], dict):
            words = words[0].get("msg")  # FastAPI's
        if isinstance(words, str):
            yield words


def _redirected(request: Request, answer: Answer, path: str, *, forwarded: bool) -> Finding:
    location = answer.header("Location")
    if not location or answer.status not in FOLLOWED:
        consequence, code = "Twilio does not follow it (11216)", 11216
    elif answer.status == HTTPStatus.TEMPORARY_REDIRECT or request.method == "GET":
        consequence, code = "Twilio would call it there", None
    else:
        consequence, code = "Twilio would repeat it as GET", None
    try:
        target = twiml.resolve(request.url, location) if location else "nowhere"
    except ValueError:
        target = location or ""
    if target.partition("://")[2].partition("/")[0] == request.header("Host"):
        # The app has put the host that it was told, the public one, before its own path.
        target = origin_of(request.url) + target.removeprefix(origin_of(target))
    return Finding(
        "T14",
        {
            "method": request.method,
            "path": path,
            "url": target,
            "status": answer.status,
            "consequence": consequence,
            "cure": f"{'Point --forward-to at' if forwarded else 'Give'} the final address",
        },
        code,
    )


def _signature_refused(
    request: Request, answer: Answer, parts: SplitResult, public_url: str
) -> Iterator[Finding]:
    """A refusal of a genuine signature: what the app checked instead of *public_url*.

    A different path or query is certain; whether the app trusts the proxy's headers is a guess.
    """
    public, local = urlsplit(public_url), request.header("Host") or request.host
    registered = public_url.partition("?")[0]
    found = []
    if public.path != parts.path:
        found.append(Finding("S4", {"registered": registered, "path": parts.path}, 11200))
    if public.query != parts.query:
        values = {"query": public.query or "none", "seen": parts.query or "none"}
        found.append(Finding("S5", values, 11200))
    if not found and local != public.netloc.rpartition("@")[2]:
        values = {
            "local": local,
            "public": public.hostname or "",
            "cure": frameworks.cure(answer, "proxy"),
        }
        found.append(Finding("S2", values, 11200))
    elif not found and public.scheme != parts.scheme:
        app = request.url.removesuffix(request.target) + parts.path
        found.append(Finding("S1", {"cure": frameworks.cure(answer, "proxy"), "app": app}, 11200))
    certain = bool(found) and found[0].id != "S1"
    if not certain and any(value != value.strip() for _, value in form_pairs(request.body)):
        found.append(Finding("S6", {"change": "trimmed"}))
    if not found or found[0].id == "S6":
        found.append(Finding("S10", {"url": registered}, 11200))
    yield from found


def _in_words_of(answer: Answer, finding: Finding) -> Finding:
    """*finding* with the cure for the framework that gave *answer*."""
    if finding.id != "R1":
        return finding
    return replace(finding, values={**finding.values, "cure": frameworks.cure(answer, "xml")})
