"""The port is ours or its owner is named; whatever clients do, the server answers and stops."""

from __future__ import annotations

import errno
import http.client
import socket
import subprocess
import sys
import threading
import time
from contextlib import ExitStack, closing, contextmanager

import pytest

from smsquest_cli import server
from smsquest_cli.problems import LocalError
from smsquest_cli.server import bind, owners, running

STOPS_WITHIN = 2.0  # its own second, and another for a busy machine
HELLO = (200, (("Content-Type", "text/plain"),), b"hello")


def echo(environ, start_response):
    """Answers with what it was sent."""
    body = environ["wsgi.input"].read()
    start_response("200 OK", [("Content-Type", "application/octet-stream")])
    return [f"{environ['REQUEST_METHOD']} {environ['REQUEST_URI']} ".encode() + body]


@contextmanager
def serving(app=echo, **options):
    listening = bind(0)
    with listening.serving(app, **options):
        yield listening


class Client:
    """One raw connection."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=10)
        self._unread = b""

    def send(self, text):
        self.socket.sendall(text if isinstance(text, bytes) else text.encode())

    def answer(self):
        """Status and body of the next answer."""
        while b"\r\n\r\n" not in self._unread:
            self._receive()
        head, _, self._unread = self._unread.partition(b"\r\n\r\n")
        status = int(head.split()[1])
        length = 0
        for line in head.lower().split(b"\r\n"):
            if line.startswith(b"content-length:"):
                length = int(line.partition(b":")[2])
        while len(self._unread) < length:
            self._receive()
        body, self._unread = self._unread[:length], self._unread[length:]
        return status, body

    def is_closed(self):
        """Whether the server has ended the connection."""
        try:
            return self.socket.recv(1) == b""
        except ConnectionResetError:
            return True

    def _receive(self):
        chunk = self.socket.recv(65536)
        if not chunk:
            raise EOFError(self._unread)
        self._unread += chunk

    def close(self):
        self.socket.close()


@contextmanager
def connected(listening):
    with closing(Client(listening.port)) as client:
        yield client


def request(method="GET", path="/", body=b"", *fields):
    head = "".join(f"{line}\r\n" for line in ("Host: x", *fields))
    if body:
        head += f"Content-Length: {len(body)}\r\n"
    return f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode() + body


# The port


def test_a_port_is_claimed_from_the_first_moment():
    """Whoever connects before it is served is answered later; nobody else gets the port."""
    with closing(bind(0)) as listening, connected(listening) as client:
        client.send(request())
        with pytest.raises(LocalError):
            bind(listening.port)

        with listening.serving(echo):
            assert client.answer() == (200, b"GET / ")

    assert listening.note is None
    assert listening.url == f"http://127.0.0.1:{listening.port}"


def test_a_taken_default_port_is_replaced_and_its_owner_named(monkeypatch):
    """The note says who has the usual port, and which one is used."""
    with closing(bind(0)) as taken:
        monkeypatch.setattr(server, "DEFAULT_PORT", taken.port)
        with closing(bind(None)) as listening:
            note = listening.note

    assert (note["port"], note["consequence"]) == (taken.port, f"using {listening.port}")
    assert note["owner"].endswith(f"pid {subprocess.os.getpid()}")


def test_the_default_port_is_used_when_it_is_free(monkeypatch):
    """Nothing to note then."""
    with closing(bind(0)) as free:
        port = free.port
    monkeypatch.setattr(server, "DEFAULT_PORT", port)
    with closing(bind(None)) as listening:
        assert (listening.port, listening.note) == (port, None)


LISTENER = """
import socket
listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
input()
"""


@contextmanager
def other_program(path, *arguments):
    """Another process that listens; gives its port and pid."""
    path.write_text(LISTENER)
    process = subprocess.Popen(
        [sys.executable, str(path), *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield int(process.stdout.readline()), process.pid
    finally:
        process.communicate("\n", timeout=10)


@pytest.mark.parametrize(
    ("name", "arguments", "shown"),
    [("app.py", (), "python"), ("smsquest", ("serve", "--sandbox"), "smsquest serve")],
)
def test_the_owner_of_a_taken_port_is_named(tmp_path, name, arguments, shown):
    """A1 says which program to stop; one of ours by its command."""
    with (
        other_program(tmp_path / name, *arguments) as (port, pid),
        pytest.raises(LocalError, match=rf"A1: .*{port} is taken \({shown}\S* pid {pid}\)"),
    ):
        bind(port)


@pytest.mark.skipif(owners.shutil.which("lsof") is None, reason="there is no lsof here")
def test_lsof_names_the_owner_where_there_is_no_proc(tmp_path):
    """On other systems it is asked."""
    with other_program(tmp_path / "app.py") as (port, pid):
        assert owners._pid_by_lsof(port) == pid
        assert owners._command(pid)


def test_without_lsof_and_proc_the_owner_is_another_program(tmp_path, monkeypatch):
    """Nothing is guessed."""
    with other_program(tmp_path / "app.py") as (port, _pid):
        monkeypatch.setattr(owners.sys, "platform", "darwin")
        monkeypatch.setattr(owners.shutil, "which", lambda _: None)

        assert owners.owner_of(port) == "another program"


def test_a_free_port_has_no_owner():
    """Nobody is blamed for nothing."""
    with closing(bind(0)) as listening:
        port = listening.port

    assert owners.owner_of(port) == "another program"


@pytest.mark.parametrize("failure", [OSError(), subprocess.TimeoutExpired("lsof", 2)])
def test_an_owner_that_cannot_be_found_is_another_program(monkeypatch, failure):
    """A missing or stuck lsof, a process that has just ended: no error, and no name."""

    def fail(*_, **__):
        raise failure

    monkeypatch.setattr(owners.sys, "platform", "darwin")
    monkeypatch.setattr(owners.shutil, "which", lambda name: name)
    monkeypatch.setattr(owners.subprocess, "run", fail)

    assert owners.owner_of(1) == "another program"
    assert owners._name(1) == "pid 1"


def test_a_port_that_is_not_for_us_is_said(monkeypatch):
    """A13: a forbidden port is not called taken."""

    def refuse(_):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(server, "_listen", refuse)

    with pytest.raises(LocalError, match=r"A13: port 80 .*permission denied"):
        bind(80)


# Requests


def test_any_kind_of_request_reaches_the_app():
    """Kept connections, bodies in chunks, ``Expect: 100-continue``, raw targets, HEAD."""
    with serving() as listening, connected(listening) as client:
        client.send(request("POST", "/a%2Fb?c=%20+", b"hello"))
        assert client.answer() == (200, b"POST /a%2Fb?c=%20+ hello")

        chunked = request("POST", "/", b"", "Transfer-Encoding: chunked")
        client.send(chunked + b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")
        assert client.answer() == (200, b"POST / abcde")

        client.send(request("POST", "/", b"", "Expect: 100-continue", "Content-Length: 2"))
        assert client.answer()[0] == 100
        client.send(b"ok")
        assert client.answer() == (200, b"POST / ok")


def test_a_body_may_begin_as_a_greeting_of_tls_does():
    """Only the first bytes of a request say that somebody speaks https to us."""
    with serving() as listening, connected(listening) as client:
        client.send(request("POST", "/", b"", "Expect: 100-continue", "Content-Length: 3"))
        assert client.answer()[0] == 100
        client.send(b"\x16\x03x")
        assert client.answer() == (200, b"POST / \x16\x03x")


def test_nothing_more_is_expected_of_a_request_without_a_body():
    """``Expect: 100-continue`` where there is nothing to come, or too much: answered at once."""
    with serving() as listening, connected(listening) as client:
        client.send(request("GET", "/", b"", "Expect: 100-continue"))
        assert client.answer() == (200, b"GET / ")
        client.send(request("POST", "/", b"", "Expect: 100-continue", "Content-Length: 9999999"))
        assert client.answer()[0] == 413


def test_forwarded_headers_are_left_as_they_came():
    """What the tunnel says of the caller is for the developer's app to see."""
    seen = {}

    def app(environ, start_response):
        seen.update(environ)
        return echo(environ, start_response)

    with serving(app) as listening, connected(listening) as client:
        client.send(request("GET", "/", b"", "X-Forwarded-For: 54.1.2.3"))
        client.answer()

    assert seen["HTTP_X_FORWARDED_FOR"] == "54.1.2.3"


def test_a_client_that_drips_its_request_is_served_and_keeps_nobody_waiting():
    """Byte by byte is a request too; others are answered meanwhile."""
    with serving() as listening, connected(listening) as slow, connected(listening) as quick:
        for byte in request("POST", "/slow", b"body"):
            slow.send(bytes([byte]))
            quick.send(request("GET", "/quick"))
            assert quick.answer() == (200, b"GET /quick ")

        assert slow.answer() == (200, b"POST /slow body")


def test_a_thousand_connections_are_served_at_once():
    """A tunnel that opens very many connections is not turned away."""
    with serving() as listening, ExitStack() as stack:
        clients = [stack.enter_context(connected(listening)) for _ in range(1000)]
        started = time.monotonic()
        for client in clients:
            client.send(request())
        answers = {client.answer() for client in clients}

    assert answers == {(200, b"GET / ")}
    assert time.monotonic() - started < 10


def test_who_sends_no_request_and_goes_leaves_no_trace(caplog):
    """The refusal has nobody to go to: no word on the screen either."""
    begun, released = threading.Event(), threading.Event()

    def slow(environ, start_response):
        begun.set()
        assert released.wait(20)
        return echo(environ, start_response)

    with serving(slow, threads=1, quick=Lane()) as listening, connected(listening) as first:
        first.send(request())
        assert begun.wait(20)
        with connected(listening) as rude:
            rude.send(b"GET / HTTP/1.1\r\n: no header\r\n\r\n")
        with connected(listening) as other:  # after which the server knows of both
            other.send(request("POST", "/quick"))
            assert other.answer()[0] == 200
        released.set()
        assert first.answer()[0] == 200
        first.send(request())
        assert first.answer()[0] == 200

    assert caplog.text == ""


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x00\xff\x16\x03\x01\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET / HTTP/9.9\r\nHost x\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n",
        b"POST /quick HTTP/1.1\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n",
        b"POST / HTTP/1.0\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n",
    ],
)
def test_what_is_no_request_is_refused_and_harms_nobody(garbage, capfd):
    """A TLS hello, a broken head, a body beyond all bounds: 4xx, no word on the screen."""
    with serving(quick=Lane()) as listening:
        with connected(listening) as client:
            client.send(garbage)
            assert 400 <= client.answer()[0] < 500
        with connected(listening) as client:
            client.send(request())
            assert client.answer()[0] == 200

    assert capfd.readouterr() == ("", "")


def test_a_client_that_leaves_is_no_event(capfd):
    """Connections that are reset or left in the middle go unnoticed."""
    half = request("POST", "/", b"x" * 9)[:-3]
    with serving(quick=Lane()) as listening:
        for text in (b"", b"GET / HT", request(), half, request("POST", "/quick", b"x")):
            client = Client(listening.port)
            linger = b"\x01\x00\x00\x00\x00\x00\x00\x00"  # on, 0 seconds: reset on close
            client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            client.send(text)
            client.close()
        with connected(listening) as client:
            client.send(request())
            assert client.answer()[0] == 200

    assert capfd.readouterr() == ("", "")


@pytest.fixture
def failures(monkeypatch):
    """What threads have failed on."""
    failures = []
    monkeypatch.setattr(threading, "excepthook", lambda args: failures.append(args.exc_type))
    return failures


def test_a_bug_in_the_app_is_told_and_answered(failures):
    """Our own mistake is a 500, told as that of any thread, and the server goes on."""

    def broken(environ, start_response):
        if environ["PATH_INFO"] == "/broken":
            raise ZeroDivisionError
        return echo(environ, start_response)

    with serving(broken) as listening, connected(listening) as client:
        client.send(request("GET", "/broken"))
        assert client.answer()[0] == 500
        with connected(listening) as other:
            other.send(request())
            assert other.answer()[0] == 200

    assert failures == [ZeroDivisionError]


# The lane for quick requests


class Lane:
    """Takes ``/quick…``, and remembers how many it answered together; ``/quick/later`` later."""

    def __init__(self, answer=HELLO, later=HELLO):
        self.groups = []
        self._answer = answer
        self._later = later

    def takes(self, method, path):
        return method == "POST" and path.startswith("/quick")

    def handle(self, request, respond):
        if isinstance(self._later, Exception):
            raise self._later
        respond((200, (), f"later {request.target} ".encode() + request.body))

    def answer(self, requests):
        self.groups.append([(one.target, one.body) for one in requests])
        if isinstance(self._answer, Exception):
            raise self._answer
        return [None if one.path == "/quick/later" else self._answer for one in requests]


def test_quick_requests_are_answered_before_the_app_is_asked():
    """What the lane takes never reaches the app; all else does, on the same connection."""
    lane = Lane()
    with serving(quick=lane) as listening, connected(listening) as client:
        client.send(request("POST", "/quick?a=%20", b"body"))
        assert client.answer() == (200, b"hello")
        client.send(request("GET", "/quick"))
        assert client.answer() == (200, b"GET /quick ")

    assert lane.groups == [[("/quick?a=%20", b"body")]]


def test_answers_keep_the_order_of_pipelined_requests():
    """Quick and slow requests in one go on one connection: answered in their order."""
    with serving(quick=Lane()) as listening, connected(listening) as client:
        client.send(
            request("POST", "/quick", b"1")
            + request("POST", "/slow", b"2")
            + request("POST", "/quick", b"3")
            + request("POST", "/quick", b"4")
            + request("POST", "/slow", b"5")
        )
        bodies = [client.answer()[1] for _ in range(5)]

    assert bodies == [b"hello", b"POST /slow 2", b"hello", b"hello", b"POST /slow 5"]


def test_requests_that_come_together_are_answered_together():
    """One turn of the loop takes all that is there: they share what is costly."""
    lane = Lane()
    started, go_on = threading.Event(), threading.Event()
    answer = lane.answer

    def held(requests):
        started.set()
        assert go_on.wait(10)
        return answer(requests)

    with serving(quick=lane) as listening, ExitStack() as stack:
        clients = [stack.enter_context(connected(listening)) for _ in range(9)]
        for client in clients:  # accepted, each, and nothing of it left to be done
            client.send(request("POST", "/quick", b"before"))
            client.answer()
        lane.answer = held
        clients[0].send(request("POST", "/quick", b"first"))
        assert started.wait(10)
        for client in clients[1:]:
            client.send(request("POST", "/quick", b"next"))
        go_on.set()
        answers = [client.answer() for client in clients]

    assert answers == [(200, b"hello")] * 9
    assert [len(group) for group in lane.groups] == [1] * 9 + [1, 8]


@pytest.mark.parametrize("path", ["/quick", "/quick/later", "/other"])
def test_a_client_that_says_no_more_still_gets_its_answer(path):
    """Half a connection is enough, as for `nc` and some proxies."""
    with serving(quick=Lane()) as listening, connected(listening) as client:
        client.send(request("POST", path, b"body"))
        client.socket.shutdown(socket.SHUT_WR)

        assert client.answer()[0] == 200
        assert client.is_closed()


@pytest.mark.parametrize("answer", [None, ZeroDivisionError()])
def test_what_is_not_answered_at_once_is_answered_in_a_thread(answer, failures):
    """Left alone or failed: whoever takes longer gets the whole request, body too."""
    with serving(quick=Lane(answer)) as listening, connected(listening) as client:
        client.send(request("POST", "/quick?a=%20", b"body"))

        assert client.answer() == (200, b"later /quick?a=%20 body")

    assert failures == ([] if answer is None else [ZeroDivisionError])


def test_a_thread_that_fails_is_answered_for(failures):
    """500, and the connection goes on."""
    lane = Lane(later=ZeroDivisionError())
    with serving(quick=lane) as listening, connected(listening) as client:
        client.send(request("POST", "/quick/later", b"body") + request("POST", "/quick"))

        assert [client.answer(), client.answer()] == [(500, b""), (200, b"hello")]

    assert failures == [ZeroDivisionError]


def test_an_answer_that_takes_its_time_keeps_nobody_waiting():
    """Others are answered meanwhile, and what came behind it on its connection after it."""
    go_on = threading.Event()
    lane = Lane()

    def handle(one, respond):
        assert go_on.wait(10)
        respond((200, (), one.body))

    lane.handle = handle
    with serving(quick=lane) as listening, connected(listening) as slow:
        slow.send(request("POST", "/quick/later", b"late") + request("POST", "/quick"))
        with connected(listening) as other:
            other.send(request("POST", "/quick"))
            assert other.answer() == (200, b"hello")
        go_on.set()

        assert [slow.answer(), slow.answer()] == [(200, b"late"), (200, b"hello")]


def test_the_headers_of_an_answer_are_left_as_they_were_written():
    """No proxy is named that there is none of, names keep their spelling, and a date stands."""
    written = [("Server", "mine"), ("ETag", "1"), ("X-API-Key", "2"), ("Set-Cookie", "a=1"),
               ("Set-Cookie", "b=2"), ("date", "today")]  # fmt: skip
    lane = Lane()
    lane.handle = lambda _request, respond: respond((200, tuple(written), b""))
    with (
        serving(quick=lane) as listening,
        closing(http.client.HTTPConnection("127.0.0.1", listening.port, timeout=10)) as client,
    ):
        client.request("POST", "/quick/later")
        headers = client.getresponse().getheaders()

    assert headers == [*written, ("Content-Length", "0")]


def test_the_lane_closes_the_connection_when_asked_to():
    """``Connection: close`` is obeyed, and a 204 has no body."""
    nothing = (204, (), b"")
    with serving(quick=Lane(nothing)) as listening, connected(listening) as client:
        client.send(request("POST", "/quick", b"x", "Connection: close"))

        assert client.answer() == (204, b"")
        assert client.is_closed()


def test_an_expected_continue_is_sent_by_the_lane_too():
    """A request that waits for its go-ahead behind a quick one gets it."""
    with serving(quick=Lane()) as listening, connected(listening) as client:
        waiting = request("POST", "/quick", b"", "Expect: 100-continue", "Content-Length: 2")
        client.send(request("POST", "/quick", b"x") + waiting)

        assert client.answer() == (200, b"hello")
        assert client.answer()[0] == 100
        client.send(b"ok")
        assert client.answer() == (200, b"hello")


def test_a_client_that_does_not_read_keeps_nobody_waiting():
    """A big answer is buffered for who reads slowly; the loop goes on."""
    big = (200, (), b"x" * 12_000_000)
    with serving(quick=Lane(big)) as listening, connected(listening) as lazy:
        lazy.send(request("POST", "/quick", b"x"))
        with connected(listening) as other:
            other.send(request())
            assert other.answer() == (200, b"GET / ")

        assert lazy.answer() == (200, big[2])


def test_an_older_http_goes_to_the_app():
    """HTTP/1.0 has other rules for the connection, which waitress knows."""
    with serving(quick=Lane()) as listening, connected(listening) as client:
        client.send(b"POST /quick HTTP/1.0\r\nContent-Length: 1\r\n\r\nx")

        assert client.answer() == (200, b"POST /quick x")
        assert client.is_closed()


# The end


def stopped_in(listening, app, *, before):
    """Seconds that it takes to stop after *before* was done."""
    with ExitStack() as stack:
        with ExitStack() as served:
            served.enter_context(listening.serving(app))
            before(stack)
            started = time.monotonic()
        return time.monotonic() - started


def test_a_connection_lasts_for_hours_and_longer_than_tunnels_keep_theirs(monkeypatch):
    """A request that meets a closing connection is lost: ngrok keeps an idle one for 90 s."""
    real, passed = time.time, 0
    monkeypatch.setattr(time, "time", lambda: real() + passed)

    def somebody_else_comes(listening):  # the server looks at idle connections then
        with connected(listening) as client:
            client.send(request())
            assert client.answer()[0] == 200

    with serving(quick=Lane()) as listening, connected(listening) as kept:
        for _ in range(60):
            passed += 120
            somebody_else_comes(listening)
            kept.send(request("POST", "/quick", b"x"))
            assert kept.answer() == (200, b"hello")

        passed += 1000
        somebody_else_comes(listening)
        assert kept.is_closed()


def test_it_stops_at_once_with_idle_and_half_open_connections():
    """Kept connections, half a request, a client that reads nothing: none holds it up."""
    listening = bind(0)

    def before(stack):
        for text in (b"", b"POST / HTTP/1.1\r\nContent-Length: 10\r\n\r\nhalf", request()):
            client = stack.enter_context(connected(listening))
            client.send(text)
        assert client.answer()[0] == 200

    assert stopped_in(listening, echo, before=before) < STOPS_WITHIN


@pytest.mark.skipif(sys.platform == "win32", reason="limits of processes are of Unix")
def test_connections_leave_room_for_the_other_files_of_a_process():
    """However many strangers connect, the event log can still be opened."""
    shown = "from smsquest_cli.server import running; print(running._connection_limit())"
    limited = 'ulimit -n 512; exec "$@"'

    done = subprocess.run(
        ["bash", "-c", limited, "bash", sys.executable, "-c", shown],
        capture_output=True, text=True, check=True,
    )  # fmt: skip

    assert int(done.stdout) == 512 - running.OTHER_FILES


def test_a_request_under_way_gets_its_answer(monkeypatch):
    """Stopping waits for what is about to be finished, and takes nothing new."""
    monkeypatch.setattr(running, "FINISH_SECONDS", 10.0)
    listening = bind(0)
    started, go_on = threading.Event(), threading.Event()

    def app(environ, start_response):
        started.set()
        go_on.wait(10)
        return echo(environ, start_response)

    with ExitStack() as stack:
        with listening.serving(app):
            client = stack.enter_context(connected(listening))
            client.send(request())
            assert started.wait(10)
            threading.Timer(0.1, go_on.set).start()

        assert client.answer() == (200, b"GET / ")
        with pytest.raises(ConnectionRefusedError):
            Client(listening.port)


def test_a_request_that_hangs_does_not_keep_it_from_stopping():
    """An app that does not answer is left behind."""
    listening = bind(0)
    started, release = threading.Event(), threading.Event()

    def app(environ, start_response):
        started.set()
        release.wait(20)
        return echo(environ, start_response)

    def before(stack):
        stack.enter_context(connected(listening)).send(request())
        assert started.wait(10)

    try:
        assert stopped_in(listening, app, before=before) < STOPS_WITHIN
    finally:
        release.set()


def test_the_port_is_free_after_the_end():
    """The next run gets the same port, whatever state old connections are in."""
    with serving() as listening, connected(listening) as client:
        client.send(request())
        client.answer()

    with closing(bind(listening.port)) as again:
        assert again.port == listening.port


def test_standard_clients_keep_their_connection():
    """``http.client`` sees an ordinary HTTP/1.1 server without a name."""
    with serving() as listening:
        connection = http.client.HTTPConnection("127.0.0.1", listening.port, timeout=10)
        with closing(connection):
            for _ in range(3):
                connection.request("POST", "/x", b"body")
                answer = connection.getresponse()
                assert answer.read() == b"POST /x body"
            assert connection.sock is not None
            assert answer.getheader("Server") is None
            connection.request("HEAD", "/")
            assert connection.getresponse().read() == b""
