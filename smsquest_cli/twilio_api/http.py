"""The SDK's HTTP client, with a timeout, retries of what may be repeated, and another origin.

Every failure leaves here as one of three exceptions, so that nobody needs to know in how many ways
the SDK reports it.
"""

from __future__ import annotations

import json
import re
import socket
import time
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import requests
from twilio.http.http_client import TwilioHttpClient

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from twilio.http.response import Response

TIMEOUT: Final = 10.0  # seconds to connect, and again for each wait for bytes
TRIES: Final = 3
PATIENCE: Final = 8.0  # no further try once this many seconds have gone by
LONGEST_PAUSE: Final = 2.0
NO_CONTENT: Final = 204
TOO_MANY: Final = 429
# Besides GET, updates that change nothing the second time may be sent twice. A message may not.
REPEATABLE: Final = re.compile(r"/IncomingPhoneNumbers/[^/]+\.json|/v1/Services/[^/]+")
NEEDED: Final = (
    (
        re.compile(r"/IncomingPhoneNumbers/(PN[^/]+)\.json$"),
        ("sms_url", "sms_method", "sms_application_sid"),
    ),
    (
        re.compile(r"/v1/Services/(MG[^/]+)$"),
        ("inbound_request_url", "inbound_method", "use_inbound_webhook_on_number"),
    ),
)
_LOOPBACK: Final = ("127.0.0.1", "localhost", "::1")
_USER: Final = re.compile(r"//[^/@\s]*@")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]+")
_WORDS: Final = 160


class RefusalError(Exception):
    """Twilio understood the request and refused it."""

    def __init__(self, status: int, code: int, message: str) -> None:
        super().__init__(f"{status}, {code}: {message}")
        self.status = status
        self.code = code
        self.message = message


class BusyError(Exception):
    """Twilio was busy or in trouble: 429 or 5xx."""

    def __init__(self, status: int, retry_after: float = 0.0) -> None:
        super().__init__(str(status))
        self.status = status
        self.retry_after = retry_after


class NoAnswerError(Exception):
    """There was no answer, or one that is not Twilio's."""

    def __init__(self, host: str, reason: str) -> None:
        super().__init__(f"{host}: {reason}")
        self.host = host
        self.reason = reason


class HttpClient(TwilioHttpClient):
    """Twilio's own client; *origin* takes the place of scheme and host of every request.

    Raises `RefusalError`, `BusyError` and `NoAnswerError`.
    """

    def __init__(
        self,
        *,
        origin: str | None = None,
        timeout: float = TIMEOUT,
        pause: Callable[[float], object],
    ) -> None:
        super().__init__(timeout=timeout)
        assert self.session is not None  # the SDK's default is to pool connections
        self._session = self.session
        self.clock_offset: float | None = None  # seconds by which our clock is ahead of Twilio's
        self._origin = origin
        self._pause = pause
        if origin and urlsplit(origin).hostname in _LOOPBACK:
            self._session.trust_env = False  # no proxy is asked for what is on this computer

    def request(  # type: ignore[override]  # as the SDK's own client does
        self,
        method: str,
        url: str,
        *args: Any,  # noqa: ANN401
        **kwargs: Any,  # noqa: ANN401
    ) -> Response:
        """The answer to a request, if it is a success."""
        if self._origin:
            parts = urlsplit(url)
            url = self._origin + parts.path + (f"?{parts.query}" if parts.query else "")
        deadline = time.monotonic() + PATIENCE
        tries = TRIES if _may_repeat(method, url) else 1
        pause = 0.2
        while True:
            tries -= 1
            try:
                return self._exchange(method, url, *args, **kwargs)
            except (BusyError, NoAnswerError) as err:
                if not tries or time.monotonic() > deadline:
                    raise
                asked = err.retry_after if isinstance(err, BusyError) else 0.0
            self._pause(min(max(pause, asked), LONGEST_PAUSE))
            pause *= 3

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def _exchange(self, method: str, url: str, *args: Any, **kwargs: Any) -> Response:  # noqa: ANN401
        host = urlsplit(url).netloc
        try:
            response = super().request(method, url, *args, **kwargs)
        except requests.RequestException as err:
            raise NoAnswerError(host, _words(err, self.timeout or TIMEOUT)) from err
        headers: Mapping[str, str] = response.headers or {}
        self._compare_clocks(headers)
        status, kind = response.status_code, headers.get("Content-Type", "no type")
        content = _object(response.text)
        if status == TOO_MANY or status >= 500:  # noqa: PLR2004
            raise BusyError(status, _seconds(headers.get("Retry-After", "")))
        if 300 <= status < 400:  # noqa: PLR2004
            where = urlsplit(headers.get("Location", "")).hostname or "nowhere"
            raise NoAnswerError(host, f"a redirect to {where} ({status}), perhaps a login page")
        if content is None and status != NO_CONTENT:
            reason = f"something else than Twilio answered: {status}, {kind.partition(';')[0]}"
            raise NoAnswerError(host, reason)
        if content is not None and status >= 400:  # noqa: PLR2004
            raise _refusal(status, content)
        if content is not None and (lacking := _lacking(urlsplit(url).path, content)):
            raise NoAnswerError(host, f"its answer is none of Twilio's: it lacks {lacking}")
        return response

    def _compare_clocks(self, headers: Mapping[str, str]) -> None:
        try:
            date = parsedate_to_datetime(headers.get("Date", ""))
        except ValueError:
            return
        told = date if date.tzinfo else date.replace(tzinfo=UTC)
        self.clock_offset = time.time() - told.timestamp()


def plain(text: str) -> str:
    """*text* from outside as one short line without control characters."""
    return " ".join(_CONTROL.sub(" ", text).split())[:_WORDS]


def _may_repeat(method: str, url: str) -> bool:
    return method.upper() == "GET" or REPEATABLE.search(urlsplit(url).path) is not None


def _lacking(path: str, content: Mapping[str, Any]) -> str:
    """The essential part that is missing in *content*, or nothing.

    The SDK takes a missing webhook for an empty one, and that would be put back.
    """
    for resource, needed in NEEDED:
        if match := resource.search(path):
            if content.get("sid") != match[1]:
                return f"the sid {match[1]}"
            return next((name for name in needed if name not in content), "")
    return ""


def _object(text: str) -> dict[str, Any] | None:
    try:
        content = json.loads(text)
    except ValueError:
        return None
    return content if isinstance(content, dict) else None


def _refusal(status: int, content: Mapping[str, Any]) -> RefusalError:
    """The refusal in *content*: of Twilio's form, or of RFC 9457 (title and detail)."""
    code = content.get("code")
    words = content.get("message") or ": ".join(
        str(content[key]) for key in ("title", "detail") if content.get(key)
    )
    number = int(str(code)) if str(code).isdecimal() else status
    return RefusalError(status, number, plain(str(words)).rstrip(".") or "no reason given")


def _seconds(text: str) -> float:
    return float(text) if text.isdecimal() else 0.0


def _words(err: requests.RequestException, timeout: float) -> str:
    """What went wrong on the way, in words that hold no address with a password."""
    if isinstance(err, requests.Timeout):
        return f"no answer in {timeout:g} s"
    cause = _innermost(err)
    if isinstance(cause, socket.gaierror):
        words = "its name is not known here (DNS)"
    else:
        words = getattr(cause, "verify_message", None) or getattr(cause, "strerror", None) or ""
        words = plain(_USER.sub("//", words or str(cause))) or type(cause).__name__
    return f"the proxy: {words}" if isinstance(err, requests.exceptions.ProxyError) else words


def _innermost(err: BaseException) -> BaseException:
    """The exception that *err* is about: requests wraps what urllib3 wraps."""
    candidates = (getattr(err, "reason", None), *err.args, err.__cause__, err.__context__)
    inner = next((one for one in candidates if isinstance(one, BaseException)), None)
    return _innermost(inner) if inner is not None else err
