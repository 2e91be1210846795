"""One HTTP exchange, byte for byte: what Twilio's requests are made of and answered with.

Libraries above ``http.client`` normalise paths, queries and header order; a signature covers the
raw bytes, so nothing here re-encodes anything.
"""

from __future__ import annotations

import http.client
import io
import re
import socket
import ssl
import time
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import SplitResult, urlsplit

from smsquest_cli.forms import first_values, form_pairs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from _typeshed import WriteableBuffer

    Headers = tuple[tuple[str, str], ...]
    WsgiApp = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

_URL: Final = re.compile(r"\A[A-Za-z]+://(?:[^/?#]*@)?(?P<host>[^/?#]*)(?P<target>[^#]*)")

INTERIM: Final = (102, 103)  # an answer follows; so it does after 100, as http.client knows
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
        found = _URL.match(self.url)
        target = found["target"] if found else ""
        return target if target.startswith("/") else "/" + target

    @property
    def host(self) -> str:
        """The ``Host`` that the URL calls for: name and port as written there."""
        found = _URL.match(self.url)
        return found["host"] if found else ""

    @property
    def fields(self) -> dict[str, str]:
        """The form in its body and query, of a repeated field the first value, as in Flask."""
        return first_values([*form_pairs(self.body), *form_pairs(urlsplit(self.url).query)])

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
    """No answer: ``kind`` is refused, dns, tls, connect-timeout, timeout or protocol.

    ``begun`` says whether a part of one came.
    """

    def __init__(self, kind: str, detail: str, *, begun: bool = False) -> None:
        super().__init__(f"{kind}: {detail}")
        self.kind = kind
        self.detail = detail
        self.begun = begun


def send(request: Request, *, connect_timeout: float = 5.0, timeout: float = 15.0) -> Answer:
    """Send *request* on a connection of its own and return what came back; redirects stay unread.

    *timeout* bounds the whole exchange, in seconds. Raises `ExchangeError`.
    """
    started = time.monotonic()
    try:
        parts = urlsplit(request.url)
    except ValueError as err:
        raise ExchangeError("dns", f"not a URL: {request.url}") from err
    connection = open_connection(parts, timeout=min(connect_timeout, timeout))
    try:
        return exchange(connection, request, deadline=started + timeout)
    finally:
        connection.close()


def origin_of(url: str) -> str:
    """Scheme, host and port of *url*, as they stand in it."""
    return "/".join(url.split("/", 3)[:3])


def is_here(host: str | None) -> bool:
    """Whether *host* is this computer, decided without asking a name server."""
    if host == "localhost":
        return True
    try:
        return ip_address(host or "").is_loopback
    except ValueError:
        return False


def open_connection(parts: SplitResult, *, timeout: float) -> http.client.HTTPConnection:
    """A connected ``http.client`` connection to the origin of *parts*; raises `ExchangeError`.

    ``localhost`` is tried as 127.0.0.1 first: macOS AirPlay answers on ::1. On this computer any
    TLS certificate will do: they are made by hand there, and there is nobody in between.
    """
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ExchangeError("dns", f"not an absolute http(s) URL: {parts.geturl()}")
    hosts = ("127.0.0.1", "::1") if parts.hostname == "localhost" else (parts.hostname,)
    failure: ExchangeError | None = None
    for host in hosts:
        connection = None
        try:
            connection = _unconnected(parts, host, timeout)
            connection.connect()
        except (OSError, http.client.HTTPException, ValueError) as err:
            failure = failure or _connect_error(err)
            if connection:
                connection.close()  # a failed TLS handshake leaves its socket open
        else:
            connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return connection
    assert failure is not None
    raise failure


def exchange(
    connection: http.client.HTTPConnection,
    request: Request,
    *,
    deadline: float,
    meanwhile: Callable[[], None] = lambda: None,
) -> Answer:
    """Send *request* on a connected *connection* and read the whole answer before *deadline*.

    *meanwhile* is called between the two; its exceptions propagate. *deadline* is on
    ``time.monotonic()``. The connection stays open if both sides keep it so. Raises
    `ExchangeError`; the connection is then of no further use.
    """
    started = time.monotonic()
    connection.response_class = partial(_Response, deadline=deadline)  # type: ignore[assignment]
    begun = False
    try:
        _bound(connection.sock, deadline)
        names = {name.lower() for name, _ in request.headers}
        connection.putrequest(
            request.method, request.target, skip_host=True, skip_accept_encoding=True
        )
        if "host" not in names:
            host = request.host
            connection.putheader("Host", host.encode("ascii" if host.isascii() else "idna"))
        for name, value in request.headers:
            connection.putheader(name, value.encode("latin-1", "replace"))
        if "content-length" not in names and (request.body or request.method == "POST"):
            connection.putheader("Content-Length", str(len(request.body)))
        connection.endheaders(request.body or None)
        meanwhile()
        response = connection.getresponse()
        begun = True
        with closing(response):  # this leaves the connection open for the next exchange
            body = _read(response)
        if len(body) > MAX_ANSWER:
            connection.close()
    except TimeoutError as err:
        words = f"no answer in {deadline - started:.3g} s"
        raise ExchangeError("timeout", words, begun=begun) from err
    except (http.client.HTTPException, OSError, ValueError) as err:
        raise ExchangeError("protocol", _words(err), begun=begun) from err
    ms = (time.monotonic() - started) * 1000
    return Answer(response.status, tuple(response.getheaders()), body, ms)


def call_wsgi(app: WsgiApp, request: Request) -> Answer:
    """Call a WSGI *app* with *request* in this thread, without a socket; exceptions propagate."""
    parts = urlsplit(request.url)
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
        "HTTP_HOST": request.host,
        "CONTENT_LENGTH": str(len(request.body)),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": parts.scheme,
        "wsgi.input": io.BytesIO(request.body),
        "wsgi.errors": io.StringIO(),
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    given: set[str] = set()
    for name, value in request.headers:
        key = name.upper().replace("-", "_")
        key = key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}"
        environ[key] = f"{environ[key]},{value}" if key in given else value
        given.add(key)
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


def _header(headers: Headers, name: str) -> str | None:
    wanted = name.lower()
    return next((value for key, value in headers if key.lower() == wanted), None)


def _unquoted(path: str) -> str:
    from urllib.parse import unquote_to_bytes

    return unquote_to_bytes(path).decode("latin-1")


class _Response(http.client.HTTPResponse):
    """An answer that is read before *deadline* or not at all, however slowly it drips."""

    def __init__(self, sock: socket.socket, *, deadline: float, method: str | None = None) -> None:
        super().__init__(sock, method=method)
        raw = self.fp.detach()  # the socket below the buffer
        self.fp = io.BufferedReader(_UntilDeadline(raw, sock, deadline))

    def _read_status(self) -> tuple[str, int, str]:
        """The status line of the answer itself: ``http.client`` takes 102 and 103 for it."""
        while True:
            version, status, reason = super()._read_status()  # type: ignore[misc]
            if status not in INTERIM:
                return version, status, reason
            http.client.parse_headers(self.fp)


class _UntilDeadline(io.RawIOBase):
    """The bytes of a socket; each read has only the time that is left until the deadline."""

    def __init__(self, raw: io.RawIOBase, sock: socket.socket, deadline: float) -> None:
        self._raw = raw
        self._sock = sock
        self._deadline = deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int | None:
        _bound(self._sock, self._deadline)
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


def _bound(sock: socket.socket, deadline: float) -> None:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    sock.settimeout(left)


def _read(response: http.client.HTTPResponse) -> bytes:
    """The body, up to a little more than `MAX_ANSWER`; raises if it ends before it should."""
    body, expected = bytearray(), response.length  # None for a chunked one
    while len(body) <= MAX_ANSWER and (expected is None or len(body) < expected):
        chunk = response.read1(65536)
        if not chunk:
            break
        body += chunk
    if expected is not None and len(body) < min(expected, MAX_ANSWER):
        raise http.client.IncompleteRead(bytes(body), expected - len(body))
    return bytes(body)


def _unconnected(parts: SplitResult, host: str, timeout: float) -> http.client.HTTPConnection:
    if parts.scheme == "http":
        return http.client.HTTPConnection(host, parts.port, timeout=timeout)
    context = None
    if is_here(host):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return http.client.HTTPSConnection(host, parts.port, timeout=timeout, context=context)


PLAIN_HTTP: Final = ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE")


def _connect_error(err: Exception) -> ExchangeError:
    if isinstance(err, TimeoutError):
        return ExchangeError("connect-timeout", "no connection in time")
    if isinstance(err, socket.gaierror):
        return ExchangeError("dns", _words(err))
    if isinstance(err, ssl.SSLError):
        plain = getattr(err, "reason", None) in PLAIN_HTTP
        return ExchangeError("tls", "it speaks http, not https, there" if plain else _words(err))
    if isinstance(err, ConnectionRefusedError):
        return ExchangeError("refused", _words(err))
    return ExchangeError("refused" if isinstance(err, OSError) else "protocol", _words(err))


def _words(err: Exception) -> str:
    if isinstance(err, http.client.IncompleteRead):
        whole = len(err.partial) + (err.expected or 0)
        return f"the answer broke off after {len(err.partial)} of {whole} bytes"
    return (getattr(err, "strerror", None) or str(err) or type(err).__name__).strip()
