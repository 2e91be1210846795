"""Cookies as Twilio keeps them: one jar for each pair of numbers, emptied after four idle hours."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from email.message import Message
from http.cookiejar import CookieJar
from typing import TYPE_CHECKING, Final, cast
from urllib.request import Request as UrllibRequest

if TYPE_CHECKING:
    from collections.abc import Callable
    from http.client import HTTPResponse

    from smsquest_cli.wire import Answer

IDLE_SECONDS: Final = 4 * 3600
MAX_JARS: Final = 1000


class Cookies:
    """The jars; *clock* counts seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._jars: OrderedDict[tuple[str, str], tuple[CookieJar, float]] = OrderedDict()

    def header(self, between: tuple[str, str], url: str) -> str | None:
        """The ``Cookie`` header for *url*, or None."""
        if (jar := self._jar(between)) is None:
            return None
        request = UrllibRequest(url)  # noqa: S310  # nothing is opened
        jar.add_cookie_header(request)
        return request.get_header("Cookie")

    def keep(self, between: tuple[str, str], url: str, answer: Answer) -> None:
        """Take the cookies that *answer* to *url* sets."""
        lines = [value for name, value in answer.headers if name.lower() == "set-cookie"]
        if not lines:
            return
        jar = self._jar(between) or CookieJar()
        with self._lock:
            self._jars[between] = jar, self._clock()
            while len(self._jars) > MAX_JARS:
                self._jars.popitem(last=False)
        request = UrllibRequest(url)  # noqa: S310  # nothing is opened
        jar.extract_cookies(cast("HTTPResponse", _Headers(lines)), request)

    def _jar(self, between: tuple[str, str]) -> CookieJar | None:
        with self._lock:
            jar, used = self._jars.pop(between, (None, 0.0))
            now = self._clock()
            if jar is None or now - used > IDLE_SECONDS:
                return None
            self._jars[between] = jar, now
            return jar


class _Headers:
    """The part of a response that a cookie jar looks at."""

    def __init__(self, lines: list[str]) -> None:
        self._message = Message()
        for line in lines:
            self._message["Set-Cookie"] = line

    def info(self) -> Message:
        return self._message
