"""Calling a webhook as Twilio does: signed, patient for 15 seconds, following redirects.

What Twilio's fetcher does and does not: one retry, and only if no connection was made; cookies
kept for each pair of numbers; HTTP authentication only after a challenge; 301, 302, 303 and 307
followed, other redirects not; the connection overrides in a URL's fragment obeyed, never sent.
"""

from __future__ import annotations

import time
from base64 import b64encode
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol
from urllib.parse import parse_qsl, quote, unquote, urlencode, urljoin, urlsplit

from smsquest_cli import signing
from smsquest_cli.forms import FORM_TYPE
from smsquest_cli.limits import FOLLOWED
from smsquest_cli.messages import IDEMPOTENCY
from smsquest_cli.sandbox.cookies import Cookies
from smsquest_cli.webhook_urls import shown, web_parts
from smsquest_cli.wire import Answer, ExchangeError, Request, call_wsgi, is_here

if TYPE_CHECKING:
    from collections.abc import Callable

    from smsquest_cli.sandbox.forms import Pairs
    from smsquest_cli.sandbox.resources import Webhook
    from smsquest_cli.wire import WsgiApp

MAX_REDIRECTS: Final = 10
PRINTABLE: Final = "".join(map(chr, range(0x21, 0x7F)))

# Why there was no answer, in Twilio's error codes.
FAILURES: Final = {
    "refused": (11202, "TCP connection refused"),
    "connect-timeout": (11201, "TCP connection timed out"),
    "dns": (11210, "HTTP bad host name"),
    "tls": (11220, "SSL/TLS handshake error"),
    "timeout": (11200, "HTTP retrieval failure: no answer in time"),
    "total": (11203, "Total timeout exceeded"),
    "protocol": (11206, "HTTP protocol violation"),
    "remote": (11205, "HTTP connection failure: the sandbox calls nothing but this computer"),
}
_NO_CONNECTION: Final = ("refused", "connect-timeout", "dns", "tls")


class Deliver(Protocol):
    """Carries a request to an app and brings its answer back: `wire.send`, for example."""

    def __call__(self, request: Request, *, connect_timeout: float, timeout: float) -> Answer:
        """The answer; raises `ExchangeError` if none came."""
        ...


def to_wsgi(app: WsgiApp) -> Deliver:
    """Deliver to a WSGI *app* in the calling thread, without a socket; its exceptions propagate."""

    def deliver(request: Request, *, connect_timeout: float, timeout: float) -> Answer:  # noqa: ARG001
        return call_wsgi(app, request)

    return deliver


@dataclass(frozen=True, slots=True)
class Hop:
    """One request and its answer, or the kind of failure where none came (see `FAILURES`).

    ``begun`` says whether a part of an answer came before it failed.
    """

    request: Request
    answer: Answer | None = None
    failure: str | None = None
    detail: str = ""
    begun: bool = False


@dataclass(frozen=True, slots=True)
class Fetch:
    """All that was sent for one webhook, retries and redirects included, and how it ended.

    ``error`` is Twilio's error code if nothing usable came; what the answer *says* is not
    judged here.
    """

    hops: tuple[Hop, ...]
    error: int | None = None
    detail: str = ""
    userinfo: str = field(default="", repr=False)  # user and password for the last request's host

    @property
    def base(self) -> str:
        """What addresses in the answer are relative to: the address with its user and password."""
        if not self.userinfo:
            return self.request.url
        parts = urlsplit(self.request.url)
        return parts._replace(netloc=f"{self.userinfo}@{parts.netloc}").geturl()

    @property
    def request(self) -> Request:
        """The last request: the one that *answer* belongs to."""
        return self.hops[-1].request

    @property
    def answer(self) -> Answer | None:
        """The answer to the last request, or None."""
        return self.hops[-1].answer


@dataclass(frozen=True, slots=True)
class Overrides:
    """How to connect, from a URL's fragment (``#rc=2&rp=all``); ignores values out of range."""

    ct: int = 5000
    rt: int = 15000
    tt: int = 15000
    rc: int = 1
    rp: frozenset[str] = frozenset({"ct"})

    @classmethod
    def of(cls, url: str) -> Overrides:
        """The overrides in the fragment of *url*."""
        given = dict(parse_qsl(url.partition("#")[2]))

        def number(name: str, default: int, low: int, high: int) -> int:
            text = given.get(name, "")
            good = text.isascii() and text.isdigit() and low <= int(text) <= high
            return int(text) if good else default

        return cls(
            ct=number("ct", 5000, 100, 10000),
            rt=number("rt", 15000, 100, 15000),
            tt=number("tt", 15000, 100, 15000),
            rc=number("rc", 1, 0, 5),
            rp=frozenset(given.get("rp", "ct").replace(" ", "").split(",")),
        )

    def retries(self, hop: Hop) -> bool:
        """Whether the policy (``rp``) asks for another try after *hop*."""
        reasons = {"all"}
        if hop.begun:  # what was cut off in the middle is never tried again
            return False
        if hop.failure in _NO_CONNECTION:
            reasons.add("ct")
        elif hop.failure == "timeout":
            reasons.add("rt")
        elif hop.answer is not None and hop.answer.status >= 400:  # noqa: PLR2004
            reasons.add(f"{hop.answer.status // 100}xx")
        else:
            return False
        return bool(self.rp & reasons)


class Courier:
    """Carries webhooks to apps; *allow_remote* lets it leave this computer."""

    def __init__(
        self, auth_token: str, deliver: Deliver, *, allow_remote: bool, uuid: Callable[[], str]
    ) -> None:
        self._auth_token = auth_token
        self._deliver = deliver
        self._allow_remote = allow_remote
        self._uuid = uuid
        self._cookies = Cookies()

    def fetch(
        self,
        webhook: Webhook,
        pairs: Pairs,
        *,
        between: tuple[str, str],
        event: str | None = None,
        unsigned: bool = False,
    ) -> Fetch:
        """Call *webhook* with *pairs* and follow where it leads.

        Cookies are those of the two numbers in *between*. *event* is the idempotency token of what
        happened, the same however often it is reported.
        """
        try:
            url = called_url(webhook.url)
        except ValueError as err:
            return Fetch((Hop(Request(webhook.method, webhook.url)),), 11100, str(err))
        journey = _Journey(
            self._auth_token, self._cookies, between, event or self._uuid(), unsigned=unsigned
        )
        overrides = Overrides.of(webhook.url)
        deadline = time.monotonic() + overrides.tt / 1000
        userinfo = urlsplit(webhook.url).netloc.rpartition("@")[0]
        hops: list[Hop] = []
        method, authorization = webhook.method, None
        while True:
            request = journey.request(method, url, pairs, authorization)
            hop = self._attempt(request, overrides, deadline, hops)
            if hop.answer is None:
                code, words = FAILURES[hop.failure or "protocol"]
                return Fetch(tuple(hops), code, hop.detail or words)
            journey.remember(hop)
            if userinfo and not authorization and _asks_for_login(hop.answer):
                authorization = _login(userinfo)
                continue
            if not 300 <= hop.answer.status < 400:  # noqa: PLR2004
                return Fetch(tuple(hops), userinfo=userinfo)
            try:
                target = _redirected(hop, hops)
            except _BadRedirectError as err:
                return Fetch(tuple(hops), err.code, str(err))
            if urlsplit(target).netloc != urlsplit(url).netloc:
                userinfo, authorization = "", None
            if hop.answer.status != 307 or method == "GET":  # noqa: PLR2004
                method, pairs = "GET", ()
            url = target

    def _attempt(
        self, request: Request, overrides: Overrides, deadline: float, hops: list[Hop]
    ) -> Hop:
        """Send *request*, again if the policy says so; every try is added to *hops*."""
        for _ in range(1 + overrides.rc):
            hops.append(self._send(request, overrides, deadline))
            if not overrides.retries(hops[-1]):
                break
        return hops[-1]

    def _send(self, request: Request, overrides: Overrides, deadline: float) -> Hop:
        if not self._allow_remote and not is_here(urlsplit(request.url).hostname):
            return Hop(request, None, "remote")
        left = deadline - time.monotonic()
        if left <= 0:
            return Hop(request, None, "total")
        # On one's own computer connecting takes no time, so reading may take all there is.
        seconds = min(left, overrides.rt / 1000)
        try:
            answer = self._deliver(request, connect_timeout=overrides.ct / 1000, timeout=seconds)
        except ExchangeError as err:
            total = err.kind == "timeout" and left < overrides.rt / 1000 and overrides.tt < 15000  # noqa: PLR2004
            failure = "total" if total else err.kind
            return Hop(request, None, failure, err.detail, err.begun)
        return Hop(request, answer)


@dataclass(frozen=True, slots=True)
class _Journey:
    """What stays the same while one webhook is tried, retried and redirected."""

    auth_token: str
    cookies: Cookies
    between: tuple[str, str]
    event: str
    unsigned: bool

    def request(self, method: str, url: str, pairs: Pairs, authorization: str | None) -> Request:
        if method == "GET" and pairs:
            url += ("&" if "?" in url else "?") + urlencode(pairs)
        form = pairs if method == "POST" else ()
        body = urlencode(form).encode()
        headers = [
            ("Host", urlsplit(url).netloc),
            ("User-Agent", "TwilioProxy/1.1"),
            ("Accept", "*/*"),
        ]
        if method == "POST":
            headers += [
                ("Content-Type", FORM_TYPE),
                ("Content-Length", str(len(body))),
            ]
        if not self.unsigned:
            headers.append((signing.SIGNATURE_HEADER, signing.sign(url, form, self.auth_token)))
        headers += [(IDEMPOTENCY, self.event), ("X-Home-Region", "us1")]
        if authorization:
            headers.append(("Authorization", authorization))
        if cookie := self.cookies.header(self.between, url):
            headers.append(("Cookie", cookie))
        return Request(method, url, tuple(headers), body)

    def remember(self, hop: Hop) -> None:
        assert hop.answer is not None
        self.cookies.keep(self.between, hop.request.url, hop.answer)


def called_url(configured: str) -> str:
    """The URL that is really called for a *configured* one; raises `ValueError` if none can be."""
    parts = web_parts(configured)
    if parts is None or not parts.netloc.isascii():
        raise ValueError(f"not an absolute http(s) URL: {shown(configured)}")
    return quote(signing.signable_url(configured), safe=PRINTABLE)


def plain(configured: str) -> str:
    """*configured* without the parts that are not called, fit to be shown to others."""
    try:
        return called_url(configured)
    except ValueError:
        return configured


def resolved(base: str, reference: str) -> str:
    """*reference* as an address, relative to *base*; unchanged if it is not an address at all."""
    try:
        return urljoin(base, reference)
    except ValueError:
        return reference


class _BadRedirectError(Exception):
    """A redirect that Twilio does not follow."""

    def __init__(self, code: int, words: str) -> None:
        super().__init__(words)
        self.code = code


def _redirected(hop: Hop, hops: list[Hop]) -> str:
    """Where the answer of *hop*, the last of *hops*, redirects to; raises `_BadRedirectError`."""
    assert hop.answer is not None
    location = hop.answer.header("Location")
    if hop.answer.status not in FOLLOWED or not location:
        raise _BadRedirectError(11216, f"invalid redirect ({hop.answer.status})")
    redirects = sum(1 for past in hops if past.answer and past.answer.status in FOLLOWED)
    if redirects > MAX_REDIRECTS:
        raise _BadRedirectError(11215, f"more than {MAX_REDIRECTS} redirects")
    try:
        return called_url(resolved(hop.request.url, location))
    except ValueError as err:
        raise _BadRedirectError(11216, str(err)) from None


def _asks_for_login(answer: Answer) -> bool:
    challenge = answer.header("WWW-Authenticate") or ""
    return answer.status == 401 and challenge[:5].lower() == "basic"  # noqa: PLR2004


def _login(userinfo: str) -> str:
    """The ``Authorization`` header for the user and password of a URL."""
    return f"Basic {b64encode(unquote(userinfo).encode()).decode()}"
