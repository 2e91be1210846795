"""One HTTP exchange, byte for byte: what Twilio's requests are made of and answered with.

Libraries above ``http.client`` normalise paths, queries and header order; a signature covers the
raw bytes, so nothing here re-encodes anything.
"""

from __future__ import annotations

import http.client
import socket
import ssl
import time
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import SplitResult, urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    Headers = tuple[tuple[str, str], ...]
    WsgiApp = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

MAX_ANSWER: Final = 1 << 20  # Twilio reads 64 kB; a little more tells us that it was too much


@dataclass(frozen=True, slots=True)
class Request:
    """A request to be sent, or one that was received: ``url`` is absolute, ``body`` raw."""

    method: str
    url: str
    headers: Headers = ()
    body: bytes = b""

    @property
    def target(self) -> str:
        """Path and query as they stand in the request line, raw."""
        parts = urlsplit(self.url)
        return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")

    def header(self, name: str) -> str | None:
        """The value of the header *name* in any case, or None."""
        return _header(self.headers, name)


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: status, headers as received, raw body, and how long it took in ms."""

    status: int
    headers: Headers = ()
    body: bytes = b""
    ms: float = 0.0

    def header(self, name: str) -> str | None:
        """The value of the header *name* in any case, or None."""
        return _header(self.headers, name)


class ExchangeError(Exception):
    """No answer: ``kind`` is refused, dns, tls, connect-timeout, timeout or protocol."""

    def __init__(self, kind: str, detail: str) -> None:
        super().__init__(f"{kind}: {detail}")
        self.kind = kind
        self.detail = detail


def send(request: Request, *, connect_timeout: float = 5.0, timeout: float = 15.0) -> Answer:
    """Send *request* on a connection of its own and return what came back; redirects stay unread.

    *timeout* bounds the whole exchange, in seconds. Raises `ExchangeError`.
    """
    parts = urlsplit(request.url)
    started = time.monotonic()
    connection = open_connection(parts, timeout=min(connect_timeout, timeout))
    try:
        return exchange(connection, request, deadline=started + timeout)
    finally:
        connection.close()


def open_connection(parts: SplitResult, *, timeout: float) -> http.client.HTTPConnection:
    """A connected ``http.client`` connection to the origin of *parts*; raises `ExchangeError`.

    ``localhost`` is tried as 127.0.0.1 first: macOS AirPlay answers on ::1.
    """
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ExchangeError("dns", f"not an absolute http(s) URL: {parts.geturl()}")
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    hosts = ("127.0.0.1", "::1") if parts.hostname == "localhost" else (parts.hostname,)
    failure: ExchangeError | None = None
    for host in hosts:
        try:
            connection = kind(host, parts.port, timeout=timeout)
            connection.connect()
        except (OSError, http.client.HTTPException, ValueError) as err:
            failure = failure or _connect_error(err)
        else:
            if connection.sock is not None:  # one segment a request, no waiting for more
                connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return connection
    assert failure is not None
    raise failure


def exchange(
    connection: http.client.HTTPConnection, request: Request, *, deadline: float
) -> Answer:
    """Send *request* on a connected *connection* and read the whole answer before *deadline*.

    *deadline* is on ``time.monotonic()``. The connection stays open where both sides keep it so.
    Raises `ExchangeError`; the connection is then of no further use.
    """
    started = time.monotonic()
    try:
        _bound(connection, deadline)
        names = {name.lower() for name, _ in request.headers}
        connection.putrequest(
            request.method, request.target, skip_host="host" in names, skip_accept_encoding=True
        )
        for name, value in request.headers:
            connection.putheader(name, value.encode("latin-1", "replace"))
        if "content-length" not in names and (request.body or request.method == "POST"):
            connection.putheader("Content-Length", str(len(request.body)))
        connection.endheaders(request.body or None)
        _bound(connection, deadline)
        response = connection.getresponse()
        body = _read(connection, response, deadline)
    except TimeoutError as err:
        raise ExchangeError("timeout", f"no answer in {deadline - started:.0f} s") from err
    except (http.client.HTTPException, OSError, ValueError) as err:
        raise ExchangeError("protocol", _words(err)) from err
    ms = (time.monotonic() - started) * 1000
    return Answer(response.status, tuple(response.getheaders()), body, ms)


def call_wsgi(app: WsgiApp, request: Request) -> Answer:
    """Call a WSGI *app* with *request* in this thread, without a socket; its exceptions pass."""
    parts = urlsplit(request.url)
    errors = BytesIO()
    environ: dict[str, Any] = {
        "REQUEST_METHOD": request.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": _unquoted(parts.path or "/"),
        "QUERY_STRING": parts.query,
        "REQUEST_URI": request.target,
        "RAW_URI": request.target,
        "SERVER_NAME": parts.hostname or "localhost",
        "SERVER_PORT": str(parts.port or (443 if parts.scheme == "https" else 80)),
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "HTTP_HOST": parts.netloc.rpartition("@")[2],
        "CONTENT_LENGTH": str(len(request.body)),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": parts.scheme,
        "wsgi.input": BytesIO(request.body),
        "wsgi.errors": _TextErrors(errors),
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    for name, value in request.headers:
        key = name.upper().replace("-", "_")
        environ[key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}"] = value
    head: list[Any] = []
    written: list[bytes] = []

    def start_response(
        status: str, headers: list[tuple[str, str]], _exc_info: object = None
    ) -> Callable[[bytes], None]:
        head[:] = [status, headers]
        return written.append

    started = time.monotonic()
    chunks = app(environ, start_response)
    try:
        written.extend(chunks)
    finally:
        if close := getattr(chunks, "close", None):
            close()
    ms = (time.monotonic() - started) * 1000
    return Answer(int(head[0].split()[0]), tuple(head[1]), b"".join(written), ms)


class _TextErrors:
    """``wsgi.errors``: a text stream whose content nobody here needs."""

    def __init__(self, sink: BytesIO) -> None:
        self._sink = sink

    def write(self, text: str) -> None:
        self._sink.write(text.encode("utf-8", "replace"))

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        self._sink.flush()


def _header(headers: Headers, name: str) -> str | None:
    wanted = name.lower()
    return next((value for key, value in headers if key.lower() == wanted), None)


def _unquoted(path: str) -> str:
    from urllib.parse import unquote_to_bytes

    return unquote_to_bytes(path).decode("latin-1")


def _bound(connection: http.client.HTTPConnection, deadline: float) -> None:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    if connection.sock is not None:
        connection.sock.settimeout(left)


def _read(
    connection: http.client.HTTPConnection, response: http.client.HTTPResponse, deadline: float
) -> bytes:
    """The body, up to `MAX_ANSWER`; a server that drips bytes does not outlive *deadline*."""
    body = bytearray()
    while len(body) <= MAX_ANSWER:
        _bound(connection, deadline)
        chunk = response.read1(65536)
        if not chunk:
            break
        body += chunk
    return bytes(body)


def _connect_error(err: Exception) -> ExchangeError:
    if isinstance(err, TimeoutError):
        return ExchangeError("connect-timeout", "no connection in time")
    if isinstance(err, socket.gaierror):
        return ExchangeError("dns", _words(err))
    if isinstance(err, ssl.SSLError):
        return ExchangeError("tls", _words(err))
    if isinstance(err, ConnectionRefusedError):
        return ExchangeError("refused", _words(err))
    return ExchangeError("refused" if isinstance(err, OSError) else "protocol", _words(err))


def _words(err: Exception) -> str:
    return (getattr(err, "strerror", None) or str(err) or type(err).__name__).strip()
