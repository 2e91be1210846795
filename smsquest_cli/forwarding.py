"""Handing webhooks to the developer's own app, byte for byte, and its answers to Twilio."""

from __future__ import annotations

import re
import threading
import time
import zlib
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit, urlunsplit

from smsquest_cli import answers, signing, twiml
from smsquest_cli.connections import Connections
from smsquest_cli.events import Problem, Reply
from smsquest_cli.limits import ANSWER_SECONDS
from smsquest_cli.presence import ABSENT, Presence, address_of, airplay_answers, listens
from smsquest_cli.problems import UsageError
from smsquest_cli.webhook_urls import PATHS, SMS, in_ascii, shown, web_parts
from smsquest_cli.webhooks import Answered
from smsquest_cli.wire import ExchangeError, Request, is_here

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from smsquest_cli.messages import Message
    from smsquest_cli.twiml import TwimlDocument
    from smsquest_cli.wire import Answer, Headers

WAIT_SECONDS: Final = 9.8  # for an app that restarts; less than the 10 s from which on A7 warns
CONNECT_SECONDS: Final = 5.0
RETRY_SECONDS: Final = 0.1
RELATIVE: Final = "R8"  # a relative action
EMPTY: Final = b'<?xml version="1.0" encoding="UTF-8"?>\n<Response/>\n'
XML: Final = (("Content-Type", "text/xml; charset=utf-8"),)
TEXT: Final = (("Content-Type", "text/plain; charset=utf-8"),)

_HOP_BY_HOP: Final = frozenset(
    {
        "connection", "content-length", "keep-alive", "proxy-authenticate", "proxy-authorization",
        "proxy-connection", "te", "trailer", "trailers", "transfer-encoding", "upgrade",
    }
)  # fmt: skip
_UNSPECIFIED: Final = frozenset({"0.0.0.0", "::"})  # noqa: S104 - they lead here too
# A URL without its http://, not a port alone.
_BARE: Final = re.compile(r"(?![0-9]+(/|$))[A-Za-z0-9.-]+(:[0-9]{1,5})?(/[!-~]*)?")
_FOLD: Final = re.compile(r"[\r\n]+[ \t]*")  # how old apps still fold long headers
_SIGNATURE: Final = frozenset({signing.SIGNATURE_HEADER.lower(), signing.SETTINGS_HEADER.lower()})


class Forwarder:
    """Answers messages with what the app at *to* answers.

    The app gets the method, raw query, raw body and headers of Twilio's request, with the public
    host as ``Host`` and in ``X-Forwarded-Host``, so that the genuine signature holds for the public
    URL. With *resign_with*, an auth token, the request is signed again for the address in *to*, and
    ``Host`` is that of *to*. Status callbacks go to *status_to*, by default ``status`` beside the
    path of *to*. Raises `UsageError` (U6) if one of them is not usable.
    """

    def __init__(
        self,
        to: str,
        *,
        status_to: str | None = None,
        resign_with: str | None = None,
        wait_seconds: float = WAIT_SECONDS,
        answer_seconds: float = ANSWER_SECONDS,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.to = app_address(to, "--forward-to")
        self._asked_for_statuses = status_to is not None
        self.status_to = (
            status_address(self.to)
            if status_to is None
            else app_address(status_to, "--forward-status")
        )
        self._resign_with = resign_with
        self._wait_seconds = wait_seconds
        self._answer_seconds = answer_seconds
        self._now = now
        self._connections = Connections()
        self._closing = threading.Event()
        self._lock = threading.Lock()
        self._tell: Callable[[Problem], object] = lambda _problem: None
        self._presence = Presence(self._back)
        self._told: set[str] = set()  # ids of problems told since the last callback that went well

    def watch(self, tell: Callable[[Problem], object]) -> None:
        """Look whether the app is there; call *tell* if not (T8, A2), and once it is back (A16).

        *tell* is called from any thread: if something has changed, and for each message that has
        to wait for the app (A17).
        """
        self._tell = tell
        if not listens(self.to):
            for problem in self._nobody(self.to, None):
                tell(problem)
        elif airplay_answers(self.to):
            tell(self._problem("A2", None, port=address_of(self.to).rpartition(":")[2]))

    def refuse(self, ours: str) -> None:
        """Raise `UsageError` (U6) if the app is at *ours*, this very server: an endless loop."""
        for option, url in (("--forward-to", self.to), ("--forward-status", self.status_to)):
            if _leads_to(url, ours):
                expected = "your app's address; this is smsquest's own (to move it: --port 0)"
                raise UsageError("U6", option=option, value=url, expected=expected)

    def answer(self, message: Message, request: Request, record: Callable[[], None]) -> Answered:
        """What the app answers; an empty TwiML if it is not there in time.

        *record* is called while the app works, or before we wait for it to come up.
        """
        started = time.monotonic()
        sent = forwarded(request, self.to, resign_with=self._resign_with)
        try:
            answer = self._exchange(
                sent,
                started,
                patient=True,
                meanwhile=cache(record),  # once, however often the request is tried
                waits=cache(lambda: self._tell_who_waits(sent.url, message.sid)),
            )
        except ExchangeError as err:
            return self._unanswered(message, sent, err, _ms_since(started))
        answer = replace(answer, ms=_ms_since(started))
        document = answers.read_answer(
            sent, _decoded(answer), public_url=self._signed_url(request, sent)
        )
        at = self._now()
        messages = () if document.error else document.messages
        reply = Reply(
            ts=at,
            in_reply_to=message.sid,
            source="app",
            http_status=answer.status,
            ms=round(answer.ms, 3),
            content_type=answer.header("Content-Type"),
            messages=tuple(one.outgoing(request.url) for one in messages),
        )
        problems = [
            found.problem(at=at, sid=message.sid)
            for found in document.findings
            if found.id != RELATIVE  # correct, and the same for every message
        ]
        return Answered(
            answer.status,
            _end_to_end(answer.headers),
            answer.body,
            reply,
            tuple(problems),
            _redirect_of(document, request.url),
        )

    def status(self, request: Request) -> tuple[Problem, ...]:
        """Hand on a status callback; returns its problems, each only once until one goes well."""
        to = callback_address(request, self.to, self.status_to)
        sent = forwarded(request, to, resign_with=self._resign_with)
        started = time.monotonic()
        # Callbacks may come in a flood: not each of them waits for an app that is known to be down.
        patient = not self._presence.misses(sent.url)
        sid = answers.message_sid(request)
        try:
            answer = self._exchange(sent, started, patient=patient)
        except ExchangeError as err:
            failure = self._failure(sent, err, sid, _ms_since(started), callback=True)
            return self._untold(failure)
        if answer.status < 300:  # noqa: PLR2004
            self._told.clear()
            return ()
        if answer.status == HTTPStatus.NOT_FOUND and not self._asked_for_statuses:
            path = urlsplit(sent.url).path
            return self._untold([self._problem("A15", sid, path=path)])
        causes = answers.causes(sent, _decoded(answer), public_url=self._signed_url(request, sent))
        return self._untold([found.problem(at=self._now(), sid=sid) for found in causes])

    def close(self) -> None:
        """Stop waiting for the app, and let go of its connections."""
        self._closing.set()
        self._presence.close()
        self._connections.close()

    # The exchange

    def _signed_url(self, request: Request, sent: Request) -> str:
        return request.url if self._resign_with is None else sent.url

    def _exchange(
        self,
        sent: Request,
        started: float,
        *,
        patient: bool,
        meanwhile: Callable[[], None] = lambda: None,
        waits: Callable[[], None] = lambda: None,
    ) -> Answer:
        """The app's answer; if *patient*, waits for an app that is not there, and calls *waits*."""
        give_up = started + (self._wait_seconds if patient else 0)
        while True:
            try:
                answer = self._connections.send(
                    sent,
                    connect_timeout=CONNECT_SECONDS,
                    deadline=started + self._answer_seconds,
                    meanwhile=meanwhile,
                )
            except ExchangeError as err:
                meanwhile()
                if err.kind not in ABSENT:
                    raise
                left = give_up - time.monotonic()
                if left <= 0:
                    raise
                waits()
                if self._closing.wait(min(RETRY_SECONDS, left)):
                    raise
            else:
                self._presence.met(sent.url)
                return answer

    def _unanswered(
        self, message: Message, sent: Request, err: ExchangeError, ms: float
    ) -> Answered:
        """What Twilio gets if the app gave no answer."""
        problems = tuple(self._failure(sent, err, message.sid, ms))
        if err.kind in ABSENT:
            status, headers, body = HTTPStatus.OK, XML, EMPTY
        elif err.kind == "timeout":
            status, headers, body = HTTPStatus.GATEWAY_TIMEOUT, TEXT, b"504 The app is too slow\n"
        else:
            status, headers, body = HTTPStatus.BAD_GATEWAY, TEXT, b"502 The app gave no answer\n"
        reply = Reply(
            ts=self._now(),
            in_reply_to=message.sid,
            source="none",
            http_status=status,
            ms=round(ms, 3),
            content_type=headers[0][1].partition(";")[0],
        )
        return Answered(int(status), headers, body, reply, problems)

    def _failure(
        self,
        sent: Request,
        err: ExchangeError,
        sid: str | None,
        ms: float,
        *,
        callback: bool = False,
    ) -> list[Problem]:
        """Why there was no answer; for callbacks, a missing app is reported once per absence."""
        if err.kind == "timeout":
            return [self._problem("A7", sid, seconds=f"{ms / 1000:.1f}")]
        if err.kind not in ABSENT:
            return [self._problem("A14", sid, sid=sid or "a callback", reason=err.detail)]
        if callback and (self._closing.is_set() or self._presence.misses(sent.url)):
            return []
        return list(self._nobody(sent.url, sid, "" if err.kind != "dns" else " (no such name)"))

    def _nobody(self, url: str, sid: str | None, why: str = "") -> Iterator[Problem]:
        """T8: nobody is at *url*; the first time with a hint (A10). From now on we look for it."""
        first, address = not self._presence.misses(url), address_of(url)
        self._presence.missed(url)
        yield self._problem("T8", sid, address=address + why)
        if first and is_here(urlsplit(url).hostname or "") and Path("/.dockerenv").exists():
            port, path = address.rpartition(":")[2], urlsplit(self.to).path
            yield self._problem("A10", sid, port=port, path=path)

    def _tell_who_waits(self, url: str, sid: str) -> None:
        self._tell(self._problem("A17", sid, address=address_of(url), sid=sid))

    def _back(self, address: str) -> None:
        self._tell(self._problem("A16", None, address=address))

    def _problem(self, problem_id: str, about: str | None, /, **values: str) -> Problem:
        return Problem.of(problem_id, at=self._now(), about=about, **values)

    def _untold(self, problems: list[Problem]) -> tuple[Problem, ...]:
        with self._lock:
            fresh = [problem for problem in problems if problem.id not in self._told]
            self._told.update(problem.id for problem in fresh if problem.id != "T8")
        return tuple(fresh)


def forwarded(request: Request, to: str, *, resign_with: str | None = None) -> Request:
    """*request* as it goes to the app at *to*; its query is added to that of *to*.

    ``Host`` and the ``X-Forwarded-`` headers are those of the URL that the signature is for: the
    one that Twilio called, or with *resign_with*, an auth token, the one that is called now.
    """
    query = request.url.partition("?")[2]
    url = to + ("&" if "?" in to else "?") + query if query else to
    signed = urlsplit(request.url if resign_with is None else url)
    host = signed.netloc.rpartition("@")[2]
    ours = {
        "Host": host,
        "X-Forwarded-Proto": signed.scheme,
        "X-Forwarded-Host": host,
        "X-Forwarded-For": request.header("X-Forwarded-For") or "127.0.0.1",
    }
    replaced = {name.lower() for name in ours} | _HOP_BY_HOP
    if resign_with is not None:
        replaced |= _SIGNATURE
    kept = [header for header in request.headers if header[0].lower() not in replaced]
    made = Request(request.method, url, (*ours.items(), *kept), request.body)
    if resign_with is None:
        return made
    signature = signing.sign_request(made, resign_with)
    return replace(made, headers=(*made.headers, (signing.SIGNATURE_HEADER, signature)))


def callback_address(request: Request, to: str, status_to: str) -> str:
    """Where the status callback *request* goes: to *to* if it came in on the path of messages."""
    return to if urlsplit(request.url).path.endswith(SMS) else status_to


def status_address(to: str) -> str:
    """Where status callbacks go beside an app at *to*: ``status`` in the folder of its path."""
    parts = urlsplit(to)
    folder = parts.path.rstrip("/").rpartition("/")[0]
    return urlunsplit(parts._replace(path=f"{folder}/status", query="", fragment=""))


def app_address(url: str, option: str, *, login: bool = False) -> str:
    """*url* without fragment; raises `UsageError` (U6) if it is not an app's address.

    It may hold a user and password only if *login*: forwarding sends no login of its own.
    """
    expected = f"http://{url}" if _BARE.fullmatch(url) else "http://127.0.0.1:8000/sms"
    expected = shown(in_ascii(url) or expected)
    parts = web_parts(url)
    if parts and "@" in parts.netloc and not login:
        parts, expected = None, f"{expected}, without user and password"
    if parts is None or not url.isascii():
        raise UsageError("U6", option=option, value=shown(url), expected=expected)
    return urlunsplit(parts._replace(path=parts.path or "/", fragment=""))


def _leads_to(url: str, ours: str) -> bool:
    """Whether *url* is one of our server at *ours*; a proxy may serve others beside it."""
    there, here = urlsplit(url), urlsplit(ours)
    if is_here(here.hostname):
        ours_too = is_here(there.hostname) or there.hostname in _UNSPECIFIED
        return ours_too and there.port == here.port
    base = here.path.rstrip("/")
    return there.netloc == here.netloc and there.path in {base + path for path in PATHS}


def _redirect_of(document: TwimlDocument, url: str) -> str | None:
    """Where *document*, the answer to a request for *url*, sends Twilio next, if anywhere."""
    if document.error or document.redirect is None:
        return None
    with suppress(ValueError):  # no URL to call, which is a finding of its own
        return twiml.resolve(url, document.redirect.url)
    return None


def _end_to_end(headers: Headers) -> Headers:
    """*headers* without those that belong to the connection with the app, each on one line."""
    named = {
        name.strip().lower()
        for key, value in headers
        if key.lower() == "connection"
        for name in value.split(",")
    }
    dropped = named | _HOP_BY_HOP
    return tuple(
        (name, _FOLD.sub(" ", value)) for name, value in headers if name.lower() not in dropped
    )


def _decoded(answer: Answer) -> Answer:
    """*answer* with its body unpacked, for us to read."""
    if (answer.header("Content-Encoding") or "").lower() not in ("gzip", "x-gzip", "deflate"):
        return answer
    with suppress(zlib.error):
        body = zlib.decompressobj(47).decompress(answer.body, 1 << 20)  # 47: gzip or zlib
        return replace(answer, body=body)
    return answer


def _ms_since(started: float) -> float:
    return (time.monotonic() - started) * 1000
