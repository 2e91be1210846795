"""Bad days of the REST API, on demand: errors, delays, broken connections, for tests."""

from __future__ import annotations

import json
import re
import socket
import threading
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from smsquest_cli.sandbox.refusals import Refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from smsquest_cli.wire import WsgiApp

    Kind = int | Literal["timeout", "reset", "html", "half"]

CODES: Final = {401: 20003, 404: 20404, 405: 20004, 429: 20429, 500: 20500, 503: 20503}
PAGE: Final = b"<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>"
HOLD_SECONDS: Final = 60.0


@dataclass(slots=True)
class Fault:
    """What is wrong with the next *times* requests that fit; None: with all of them."""

    method: str
    path: re.Pattern[str]
    kind: Kind
    times: int | None = 1

    def fits(self, method: str, path: str) -> bool:
        """Whether the fault is for this request."""
        return self.method in ("*", method) and self.path.search(path) is not None


class Faults:
    """The faults to come, in the order in which they were added."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._faults: list[Fault] = []
        self._released = threading.Event()

    def add(
        self, method: str, path_regex: str, *, status: Kind = 503, times: int | None = 1
    ) -> None:
        """Let the next *times* requests of *method* (``*``: any) that match *path_regex* go wrong.

        *status* is an HTTP status, answered in Twilio's form, or ``html`` (a proxy's 502 page),
        ``half`` (an answer that breaks off), ``reset`` (the connection is cut), ``timeout`` (no
        answer until `clear`).
        """
        with self._lock:
            if self._released.is_set():
                self._released = threading.Event()
            self._faults.append(Fault(method, re.compile(path_regex), status, times))

    def clear(self) -> None:
        """No more faults; requests that were held are answered."""
        with self._lock:
            self._faults.clear()
            self._released.set()

    def before(self, app: WsgiApp) -> WsgiApp:
        """*app*, with the faults in front of it."""

        def faulty(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
            fault = self._next(environ["REQUEST_METHOD"], environ.get("PATH_INFO", ""))
            return app(environ, start) if fault is None else self._fail(fault, environ, start)

        return faulty

    def _next(self, method: str, path: str) -> Kind | None:
        with self._lock:
            for fault in self._faults:
                if fault.fits(method, path):
                    if fault.times is not None:
                        fault.times -= 1
                        if not fault.times:
                            self._faults.remove(fault)
                    return fault.kind
        return None

    def _fail(
        self, kind: Kind, environ: dict[str, Any], start: Callable[..., Any]
    ) -> Iterable[bytes]:
        if kind == "timeout":
            self._released.wait(HOLD_SECONDS)
            kind = 503
        if kind == "reset":
            _cut(environ)
            kind = 503
        if kind == "html":
            start("502 Bad Gateway", [("Content-Type", "text/html")])
            return [PAGE]
        status = kind if isinstance(kind, int) else 200
        refusal = Refusal(CODES.get(status, 20500), path=environ.get("PATH_INFO", ""))
        body = json.dumps({**refusal.to_json(), "status": status}).encode()
        headers = [("Content-Type", "application/json; charset=utf-8")]
        if kind == "half":
            start("200 OK", [*headers, ("Content-Length", str(len(body)))])
            return [body[: len(body) // 2]]
        if status == 429:  # noqa: PLR2004
            headers.append(("Retry-After", "1"))
        start(f"{status} Fault", headers)
        return [body]


def _cut(environ: dict[str, Any]) -> None:
    """Cut the connection of a request, as far as its server lets us get at it."""
    channel = getattr(environ.get("waitress.client_disconnected"), "__self__", None)
    connection = environ.get("werkzeug.socket") or getattr(channel, "socket", None)
    if connection is None:
        raise ConnectionResetError
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
