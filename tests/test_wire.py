"""One exchange over a real socket, byte for byte, and never longer than allowed."""

from __future__ import annotations

import re
import socket
import ssl
import threading
import time
from contextlib import contextmanager
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ports import closed_port

from smsquest_cli import wire
from smsquest_cli.wire import Answer, ExchangeError, Request

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
TLS = b"\x16\x03"  # how a handshake begins
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


class Server:
    """Answers each connection with *answers*, one for each request, as they stand."""

    def __init__(
        self,
        *answers: bytes,
        drip: float = 0.0,
        host: str = "127.0.0.1",
        port: int = 0,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._listener = socket.create_server((host, port), family=family)
        self.port = self._listener.getsockname()[1]
        self.received: list[bytes] = []
        self._answers = answers
        self._drip = drip
        self._tls = tls
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_exc):
        self._stopped.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(5)

    def url(self, target="/sms"):
        return f"http://127.0.0.1:{self.port}{target}"

    def _serve(self):
        while not self._stopped.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            if self._tls:
                try:
                    connection = self._tls.wrap_socket(connection, server_side=True)
                except ssl.SSLError:  # the client does not trust us
                    continue
            with connection:
                connection.settimeout(5)
                for answer in self._answers:
                    if not (request := self._request(connection)):
                        break
                    self.received.append(request)
                    self._answer(connection, answer)
                if not self._answers:  # a server that never answers
                    self._stopped.wait(5)

    def _request(self, connection):
        """One whole request, or what came of it before the client went."""
        request = b""
        while not re.search(rb"\r\n\r\n", request) or len(request) < self._length(request):
            chunk = connection.recv(65536)
            if not chunk:
                break
            request += chunk
            if request.startswith(TLS):
                break
        return request

    def _length(self, request):
        head, end, _ = request.partition(b"\r\n\r\n")
        length = re.search(rb"(?i)\r\ncontent-length: (\d+)", head)
        return len(head + end) + (int(length[1]) if length else 0)

    def _answer(self, connection, answer):
        try:
            if not self._drip:
                connection.sendall(answer)
            for at in range(len(answer) if self._drip else 0):
                if self._stopped.wait(self._drip):
                    return
                connection.sendall(answer[at : at + 1])
        except OSError:
            return  # the client has gone, as it should


@pytest.mark.parametrize(
    "target",
    ["/sms", "/a%2Fb/%e9?x=1&y=%2B&z=two%20words", "/sms?", "/?a=b?c", "//x/../y", "/a;b?c=d"],
)
def test_a_request_is_sent_byte_for_byte(target):
    """Target, headers in their order and case, body: nothing is normalised or added."""
    headers = (("Host", "abc.ngrok-free.app"), ("X-b", "1"), ("x-A", "é"), ("X-b", "2"))
    with Server(OK) as server:
        answer = wire.send(Request("POST", server.url(target) + "#rc=2", headers, b"Body=%00\xff"))

    assert server.received == [
        b"POST " + target.encode() + b" HTTP/1.1\r\n"
        b"Host: abc.ngrok-free.app\r\nX-b: 1\r\nx-A: \xe9\r\nX-b: 2\r\n"
        b"Content-Length: 9\r\n\r\nBody=%00\xff"
    ]
    assert (answer.status, answer.body) == (200, b"ok")
    assert answer.headers == (("Content-Length", "2"),)
    assert answer.ms > 0


def test_host_and_length_are_added_where_they_are_missing():
    """As written in the URL, without user and password; a GET without a body has no length."""
    with Server(OK) as server:
        wire.send(Request("GET", f"http://me:pw@localhost:{server.port}?a=1"))
        wire.send(Request("POST", server.url(""), (("content-length", "0"),)))
        wire.send(Request("POST", server.url()))

    host = f"127.0.0.1:{server.port}".encode()
    assert server.received == [
        b"GET /?a=1 HTTP/1.1\r\nHost: localhost:%d\r\n\r\n" % server.port,
        b"POST / HTTP/1.1\r\nHost: " + host + b"\r\ncontent-length: 0\r\n\r\n",
        b"POST /sms HTTP/1.1\r\nHost: " + host + b"\r\nContent-Length: 0\r\n\r\n",
    ]


def test_a_name_beyond_ascii_is_sent_as_dns_knows_it():
    """The Host header of an international name is its IDNA form."""
    with Server(OK) as server:
        connection = wire.open_connection(urlsplit(server.url()), timeout=5)
        try:
            deadline = time.monotonic() + 5
            wire.exchange(connection, Request("GET", "http://bücher.example/"), deadline=deadline)
        finally:
            connection.close()

    assert b"Host: xn--bcher-kva.example\r\n" in server.received[0]


def test_localhost_is_the_ipv4_address_and_else_the_ipv6_one():
    """AirPlay sits on ::1, so that comes second; but it does come."""
    with closed_port() as port:
        try:
            server = Server(OK, host="::1", port=port)
        except OSError:
            pytest.skip("no IPv6 here, or somebody has that port")
        with server:
            answer = wire.send(Request("GET", f"http://localhost:{port}/"))

    assert answer.body == b"ok"


@pytest.mark.parametrize(
    ("raw", "body"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\nto the end", b"to the end"),
        (b"HTTP/1.0 200\r\nContent-Length: 0\r\n\r\n", b""),
        (CHUNKED + b"3\r\nabc\r\n1;x=y\r\nd\r\n0\r\n\r\n", b"abcd"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", b""),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + OK, b"ok"),
    ],
)
def test_a_body_ends_as_http_says(raw, body):
    """With its length, its last chunk or the connection."""
    with Server(raw) as server:
        assert wire.send(Request("POST", server.url(), (), b"x")).body == body


def test_headers_are_received_as_they_are_and_found_in_any_case():
    """Repeated ones stay apart; the first counts."""
    raw = b"HTTP/1.1 302 Found\r\nSet-Cookie: a=1\r\nset-cookie: b=2\r\nContent-Length: 0\r\n\r\n"
    with Server(raw) as server:
        answer = wire.send(Request("GET", server.url()))

    assert answer.headers[:2] == (("Set-Cookie", "a=1"), ("set-cookie", "b=2"))
    assert (answer.header("SET-COOKIE"), answer.header("x")) == ("a=1", None)
    assert Request("GET", "http://a/", (("X-A", "1"),)).header("x-a") == "1"


def test_one_connection_carries_many_exchanges():
    """Kept alive on both sides, whatever ends the bodies."""
    chunked = CHUNKED + b"1\r\na\r\n0\r\n\r\n"
    with Server(OK, chunked, OK) as server:
        connection = wire.open_connection(urlsplit(server.url()), timeout=5)
        request = Request("POST", server.url(), (), b"x")
        try:
            bodies = [
                wire.exchange(connection, request, deadline=time.monotonic() + 5).body
                for _ in range(3)
            ]
        finally:
            connection.close()

    assert bodies == [b"ok", b"a", b"ok"]


def test_an_answer_may_be_announced():
    """102 and 103 are no answers yet (RFC 8297): the one that follows them counts."""
    early = b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
    with Server(b"HTTP/1.1 102 Processing\r\n\r\n" + early + OK) as server:
        answer = wire.send(Request("GET", server.url()))

    assert (answer.status, answer.body, answer.header("Link")) == (200, b"ok", None)


def test_an_announcement_alone_is_no_answer():
    """Nobody is to wait for what does not come."""
    with Server(b"HTTP/1.1 103 Early Hints\r\n\r\n") as server, fails("protocol"):
        wire.send(Request("GET", server.url()))


def test_a_huge_answer_is_not_read_to_its_end():
    """A little over a megabyte is enough to know that it is too much."""
    size = wire.MAX_ANSWER + 300_000
    with Server(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + b"x" * size) as server:
        answer = wire.send(Request("GET", server.url()))

    assert wire.MAX_ANSWER < len(answer.body) < size


@contextmanager
def fails(kind, words=None):
    with pytest.raises(ExchangeError, match=words) as caught:
        yield
    assert caught.value.kind == kind
    assert str(caught.value) == f"{kind}: {caught.value.detail}"


@pytest.mark.parametrize(
    "raw",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\nends early",
        CHUNKED + b"ff\r\nends early",
        CHUNKED + b"nonsense",
        b"HTTP/1.1 2",
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"",
    ],
)
def test_an_answer_that_is_cut_short_is_no_answer(raw):
    """Nor is one that is not HTTP."""
    with Server(raw) as server, fails("protocol"):
        wire.send(Request("GET", server.url()))


@pytest.mark.parametrize(
    "request_",
    [
        Request("GET", "http://127.0.0.1:{port}/a b"),
        Request("GET", "http://127.0.0.1:{port}/é"),
        Request("GET", "http://127.0.0.1:{port}/", (("X", "a\r\nb"),)),
        Request("GET", "http://127.0.0.1:{port}/", (("X: y", "a"),)),
    ],
)
def test_a_request_that_cannot_be_sent_is_said_to_be_none(request_):
    """Rather than sent otherwise: nothing is encoded here, and no header is smuggled."""
    with Server(OK) as server, fails("protocol"):
        url = request_.url.format(port=server.port)
        wire.send(Request(request_.method, url, request_.headers))


def test_a_server_that_never_answers_is_given_up():
    """After the time that was given, and the kind says so."""
    started = time.monotonic()
    with Server() as server, fails("timeout", r"no answer in 0\.\d+ s"):
        wire.send(Request("GET", server.url()), timeout=0.2)

    assert 0.2 <= time.monotonic() - started < 2


@pytest.mark.parametrize(
    "raw",
    [
        OK.replace(b"\r\n", b"\r\nX-Slow: " + b"s" * 200 + b"\r\n", 1),
        b"HTTP/1.1 200 OK\r\nContent-Length: 200\r\n\r\n" + b"s" * 200,
        CHUNKED + b"" + b"1\r\ns\r\n" * 50,
        b"HTTP/1.1 200 OK\r\n\r\n" + b"s" * 200,
    ],
    ids=["headers", "body", "chunks", "endless"],
)
def test_a_server_that_drips_does_not_outlive_the_time(raw):
    """A byte now and then is no reason to wait on, be it of a header or of the body."""
    started = time.monotonic()
    with Server(raw, drip=0.02) as server, fails("timeout"):
        wire.send(Request("GET", server.url()), timeout=0.4)

    assert 0.4 <= time.monotonic() - started < 2


def test_time_that_is_over_is_not_spent():
    """An exchange past its deadline is not begun."""
    with Server(OK) as server:
        connection = wire.open_connection(urlsplit(server.url()), timeout=5)
        try:
            with fails("timeout"):
                wire.exchange(connection, Request("GET", server.url()), deadline=time.monotonic())
        finally:
            connection.close()

    assert server.received == []


def test_a_port_where_nobody_listens_refuses():
    """The usual case: the app is not running."""
    with Server() as server:
        url = server.url()

    with fails("refused"):
        wire.send(Request("GET", url))
    with fails("refused"):
        wire.send(Request("GET", url.replace("127.0.0.1", "localhost")))


@pytest.mark.parametrize(
    "url",
    [
        "ftp://example.com/", "/sms", "", "http://", "http://[", "x", "http:///sms",
    ],
)  # fmt: skip
def test_an_address_that_is_none_is_not_found(url):
    """What is no absolute http(s) URL."""
    with fails("dns"):
        wire.send(Request("GET", url))


def test_a_name_that_there_is_not_is_not_found(monkeypatch):
    """And no connection is tried."""

    def unknown(*_args, **_options):
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)

    with fails("dns"):
        wire.send(Request("GET", "http://nobody.invalid/"))


def test_a_port_that_is_none_is_an_error_like_any_other():
    """Not a ValueError of the standard library."""
    with fails("protocol"):
        wire.send(Request("GET", "http://127.0.0.1:99999/"))


@pytest.mark.parametrize(
    ("host", "local"),
    [
        ("localhost", True),
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("localhost.attacker.example", False),
        ("127.example.com", False),
        ("10.0.0.1", False),
        ("2130706433", False),
        ("example.com", False),
        ("", False),
        (None, False),
    ],
)
def test_what_is_this_computer(host, local):
    """Only loopback names and addresses are, and no name server is asked."""
    assert wire.is_here(host) is local


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_on_this_computer_any_certificate_will_do(certificate, host):
    """Nobody signs one for localhost, and there is nobody in between."""
    with Server(OK, tls=certificate) as server:
        answer = wire.send(Request("GET", f"https://{host}:{server.port}/"), timeout=5)

    assert answer.body == b"ok"


def test_elsewhere_a_certificate_must_be_one_that_is_trusted(certificate, monkeypatch):
    """A name that only looks like this computer is somebody else's."""
    connect = socket.create_connection
    monkeypatch.setattr(
        socket,
        "create_connection",
        lambda address, *rest, **kw: connect(("127.0.0.1", address[1]), *rest, **kw),
    )
    with Server(OK, tls=certificate) as server, fails("tls", "self-signed certificate"):
        wire.send(Request("GET", f"https://127.example.com:{server.port}/"), timeout=5)


def test_a_server_without_tls_fails_the_handshake():
    """TLS to a plain port; and the socket is closed behind it."""
    with Server(OK) as server, fails("tls"):
        wire.send(Request("GET", server.url().replace("http:", "https:")), timeout=5)


def test_a_listener_that_accepts_nobody_is_given_up(monkeypatch):
    """The connect timeout has a kind of its own."""

    def create_connection(*_args, **_options):
        raise TimeoutError("timed out")

    monkeypatch.setattr(socket, "create_connection", create_connection)

    with fails("connect-timeout", "no connection in time"):
        wire.send(Request("GET", "http://192.0.2.1/"), connect_timeout=0.1)


PLAIN = ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER] wrong version number (_ssl.c:1006)")
PLAIN.reason = "WRONG_VERSION_NUMBER"


@pytest.mark.parametrize(
    ("error", "kind", "detail"),
    [
        (OSError(101, "Network is unreachable"), "refused", "Network is unreachable"),
        (ssl.SSLError(1, "certificate verify failed"), "tls", "certificate verify failed"),
        (PLAIN, "tls", "it speaks http, not https, there"),
        (ValueError(), "protocol", "ValueError"),
    ],
)
def test_every_failure_to_connect_has_a_kind_and_words(monkeypatch, error, kind, detail):
    """Those that no loopback server can provoke."""

    def create_connection(*_args, **_options):
        raise error

    monkeypatch.setattr(socket, "create_connection", create_connection)

    with fails(kind, detail):
        wire.send(Request("GET", "http://192.0.2.1/"))


@given(st.text("ab%2F?&=#/:@é ", max_size=12))
def test_the_target_is_what_stands_after_the_host(rest):
    """Up to the fragment, as it is."""
    request = Request("GET", "http://me:pw@example.com:80/" + rest)

    assert request.target == "/" + rest.partition("#")[0]
    assert request.host == "example.com:80"


def test_what_is_no_url_has_the_root_as_its_target():
    """And no host."""
    assert (Request("GET", "sms").target, Request("GET", "sms").host) == ("/", "")
    assert Request("GET", "http://a?b").target == "/?b"


REQUEST = Request(
    "POST",
    "https://me:pw@example.com:8443/a%2Fb%C3%A9?x=%20#f",
    (("Content-Type", "text/plain"), ("X-A", "1"), ("x-a", "2"), ("Content-Length", "4")),
    b"body",
)


def test_a_wsgi_app_is_called_as_a_server_would():
    """PEP 3333's environment, the raw target beside it, and repeated headers joined."""
    seen = {}

    def app(environ, start_response):
        seen.update(environ, body=environ["wsgi.input"].read())
        print("to the log", file=environ["wsgi.errors"])
        write = start_response("201 Created", [("X-B", "1"), ("X-B", "2")])
        write(b"a")
        return iter([b"b", b"c"])

    answer = wire.call_wsgi(app, REQUEST)

    assert (answer.status, answer.headers, answer.body) == (
        201,
        (("X-B", "1"), ("X-B", "2")),
        b"abc",
    )
    assert seen["PATH_INFO"] == "/a/b\xc3\xa9"
    assert (seen["QUERY_STRING"], seen["RAW_URI"]) == ("x=%20", "/a%2Fb%C3%A9?x=%20")
    assert (seen["HTTP_HOST"], seen["HTTP_X_A"]) == ("example.com:8443", "1,2")
    assert (seen["CONTENT_TYPE"], seen["CONTENT_LENGTH"]) == ("text/plain", "4")
    assert (seen["SERVER_NAME"], seen["SERVER_PORT"]) == ("example.com", "8443")
    assert (seen["wsgi.url_scheme"], seen["body"]) == ("https", b"body")


@pytest.mark.parametrize(("scheme", "port"), [("https", "443"), ("http", "80")])
def test_a_wsgi_app_sees_the_default_port(scheme, port):
    """Where the URL has none; a Host header of the request counts more than the URL."""

    def app(environ, start_response):
        start_response("200 OK", [])
        return [f"{environ['SERVER_PORT']} {environ['HTTP_HOST']}".encode()]

    request = Request("GET", f"{scheme}://example.com", (("Host", "other.example"),))

    assert wire.call_wsgi(app, request).body == f"{port} other.example".encode()


def test_what_a_wsgi_app_opened_is_closed():
    """Also when it fails half way; and its exceptions are the caller's to see."""

    class Chunks:
        closed = False

        def __iter__(self):
            yield b"a"
            raise RuntimeError("half way")

        def close(self):
            self.closed = True

    chunks = Chunks()

    with pytest.raises(RuntimeError, match="half way"):
        wire.call_wsgi(lambda _environ, _start: chunks, REQUEST)
    assert chunks.closed


def test_an_answer_knows_how_long_it_took():
    """In milliseconds, over the socket and without one."""
    assert Answer(200).ms == 0.0
    assert wire.call_wsgi(lambda _e, start: (start("200 OK", []), [b""])[1], REQUEST).ms >= 0


@pytest.mark.parametrize(
    ("url", "body", "fields"),
    [
        ("http://x/sms?Body=a&To=b", b"", {"Body": "a", "To": "b"}),
        ("http://x/status?re=SM1", b"Body=a&Body=b", {"re": "SM1", "Body": "a"}),
        ("http://x/sms?Body=query", b"Body=form", {"Body": "form"}),
    ],
)
def test_the_fields_of_a_request_are_those_of_its_form_and_query(url, body, fields):
    """Of a repeated one the first counts, as in Flask and for the receiver; the form goes first."""
    assert Request("POST", url, (), body).fields == fields
