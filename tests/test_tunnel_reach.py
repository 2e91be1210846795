"""An address is accepted if Twilio can reach it, and tested with a request to ourselves."""

from __future__ import annotations

import json
import socket
import ssl
import threading
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.error import URLError

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smsquest_cli.problems import TunnelError, UsageError
from smsquest_cli.tunnel import public_url, reach, self_test
from smsquest_cli.tunnel.refusals import Attempt, NoAgentError, problem_of

OURS = b'{"ok": true, "run": "ours"}'


@contextmanager
def answering(*answers):
    """A server that gives *answers* in turn, the last one again and again; and its questions."""
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            status, headers, body = answers[min(len(asked), len(answers) - 1)]
            asked.append((self.path, self.headers["ngrok-skip-browser-warning"]))
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args):
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def ngrok_says(code, status=404):
    return status, {"Ngrok-Error-Code": f"ERR_NGROK_{code}", "Content-Type": "text/html"}, b"<html>"


def other(run):
    return 200, {}, json.dumps({"ok": True, "run": run}).encode()


def test_our_own_answer_takes_some_milliseconds():
    """It is asked for more than once: a pooled address gives every other answer to somebody."""
    with answering((200, {}, OURS)) as (url, asked):
        ms = self_test(url, "ours", timeout=5)

    assert 0 < ms < 5000
    assert asked == [("/healthz", "1")] * reach.AGREEING


def test_a_tunnel_may_need_a_moment():
    """What is offline at first is asked again, until the time is over."""
    with answering(ngrok_says(3200), (502, {}, b""), (200, {}, OURS)) as (url, asked):
        self_test(url, "ours", timeout=20)

    assert len(asked) == 2 + reach.AGREEING


def test_a_proxy_is_not_asked_for_this_computer(monkeypatch):
    """http_proxy is for addresses outside."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)

    with answering((200, {}, OURS)) as (url, _):
        assert self_test(url, "ours", timeout=5)


@pytest.mark.parametrize(
    "answers",
    [
        [other("theirs")],
        [(200, {}, OURS), other("theirs")],
        [(200, {}, OURS), (200, {}, OURS), (404, {}, b"no such page")],
    ],
)
def test_an_address_that_others_serve_too(answers):
    """T12: messages would be split, at once or now and then."""
    with answering(*answers) as (url, _), pytest.raises(TunnelError, match="T12") as caught:
        self_test(url, "ours", timeout=5)

    assert url in caught.value.line


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (ngrok_says(3200), "(ngrok says that it is offline, ERR_NGROK_3200)"),
        (ngrok_says(6024, 200), "(ngrok's warning page came instead, ERR_NGROK_6024)"),
        (ngrok_says(8012, 502), "(ngrok cannot reach the local server, ERR_NGROK_8012)"),
        (ngrok_says(734, 429), "(ngrok answers ERR_NGROK_734)"),
        (
            (302, {"Location": "http://login.hotel/x"}, b""),
            "(HTTP 302 to login.hotel: a redirect, or",
        ),
        ((511, {}, b"<html>"), "(HTTP 511: a redirect, or the login page of this network)"),
        (
            (200, {"Content-Type": "text/html"}, b"hi"),
            "(another server answers HTTP 200, text/html)",
        ),
        (
            (200, {}, b'{"ok": false, "run": "ours"}'),
            "(another server answers HTTP 200, text/plain)",
        ),
    ],
)
def test_an_address_that_leads_elsewhere(answer, reason):
    """T19 says what came instead of our own answer."""
    with answering(answer) as (url, _), pytest.raises(TunnelError, match="T19") as caught:
        self_test(url, "ours", timeout=1.0)

    assert reason in caught.value.line


def test_a_quota_that_is_used_up_is_not_waited_for():
    """T11 at once: trying again would only cost more of it."""
    with answering(ngrok_says(727)) as (url, asked), pytest.raises(TunnelError, match="T11"):
        self_test(url, "ours", timeout=20)

    assert len(asked) == 1


def test_nobody_listens():
    """A closed port and a server that never answers."""
    with socket.socket() as closed, socket.create_server(("127.0.0.1", 0)) as silent:
        closed.bind(("127.0.0.1", 0))
        for server, reason in ((closed, "Connection refused"), (silent, "no answer in time")):
            with pytest.raises(TunnelError, match=f"T19: .*{reason}"):
                self_test(f"http://127.0.0.1:{server.getsockname()[1]}", "ours", timeout=0.2)


@pytest.mark.parametrize(
    ("error", "id_", "part"),
    [
        (
            socket.gaierror(-2, "Name or service not known"),
            "T19",
            "its name is not known here (DNS)",
        ),
        ("unable to get local issuer", "T19", "its certificate is not trusted here: unable to get"),
        ("certificate is not yet valid", "T13", "clock is off"),
    ],
)
def test_what_the_network_says(monkeypatch, error, id_, part):
    """DNS, TLS inspection, a wrong clock."""
    if isinstance(error, str):
        words, error = error, ssl.SSLCertVerificationError(1, "CERTIFICATE_VERIFY_FAILED")
        error.verify_message = words

    def fail(*_args, **_kwargs):
        raise URLError(error)

    monkeypatch.setattr("urllib.request.OpenerDirector.open", fail)
    with pytest.raises(TunnelError) as caught:
        self_test("https://x.ngrok-free.app", "ours", timeout=0.1)

    assert (caught.value.id, part in caught.value.line) == (id_, True), caught.value.line


@pytest.mark.parametrize(
    "text", ["https://x.ngrok-free.app", " https://x.example.com/base/ ", "http://8.8.8.8:8080"]
)
def test_an_address_of_the_internet_is_taken_as_it_is(text):
    """Only a slash at its end goes: paths are appended."""
    assert public_url(text) == text.strip().rstrip("/")


@pytest.mark.parametrize(
    "text",
    [
        "http://localhost:5000",
        "https://app.localhost/",
        "http://127.0.0.1",
        "http://[::1]:80",
        "http://192.168.1.5:5000",
        "http://100.64.1.1",
        "http://macbook.local.",
        "http://macbook:5000",
    ],
)
def test_twilio_does_not_reach_a_private_address(text):
    """N9, unless the Twilio that is used is on this computer too."""
    with pytest.raises(UsageError, match="N9: Twilio cannot reach"):
        public_url(text)

    assert public_url(text, allow_local=True) == text.rstrip("/")


@pytest.mark.parametrize(
    "text",
    [
        "", "x.ngrok-free.app", "ftp://x.example.com", "https://", "https://x.example.com:port",
        "https://x.example.com?a=b", "https://x.example.com/#top", "https://u:p@x.example.com",
        "https://[::1", "https://x.exa mple.com", "https://x.example.com:0",
    ],
)  # fmt: skip
def test_what_is_no_address_is_refused(text):
    """U6 names the option; nothing can be appended to a query."""
    with pytest.raises(UsageError, match="U6: --public-url cannot be") as caught:
        public_url(text)

    assert "u:p" not in caught.value.line


@given(st.text())
def test_whatever_is_given_is_an_address_or_a_usage_error(text):
    """No text makes another exception."""
    with suppress(UsageError):
        assert public_url(text).lower().startswith("http")


ATTEMPT = Attempt(
    path="/x/ngrok",
    version="3.39.6",
    config_path="/x/ngrok.yml",
    token_source="NGROK_AUTHTOKEN",
    owner=lambda _url: "somebody",
    token="2secretsecret",
)


@pytest.mark.parametrize(
    ("said", "id_", "part"),
    [
        (
            "listen tcp 127.0.0.1:4040: bind: address already in use",
            "T20",
            "/x/ngrok.yml: web_addr",
        ),
        ("x509: certificate is not yet valid: current time", "T13", "clock is off"),
        ("dial tcp 1.2.3.4:443: i/o timeout", "T17", "(1.2.3.4:443: i/o timeout)"),
        ("tls: unknown certificate authority\\r\\n", "T17", "(tls: unknown certificate authority)"),
        ("something else\\nand more", "T18", "within 3 s (something else)"),
        ("x" * 300, "T18", f"({'x' * 160}…)"),
        ("ERR_NGROK_999", "T15", "no reason given (ERR_NGROK_999)"),
        (
            "failed to start tunnel: no\\r\\n\\r\\nERR_NGROK_999\\r\\n",
            "T15",
            "tunnel: no (ERR_NGROK_999",
        ),
        ("'https://x.ngrok.app' is online ERR_NGROK_334", "T4", "https://x.ngrok.app is already"),
        ("ERR_NGROK_334", "T4", "the address of this ngrok account is already online (334): some"),
        ("ERR_NGROK_725", "T11", "bandwidth (725)"),
    ],
)
def test_what_ngrok_says_becomes_one_line(said, id_, part):
    """Its literal line ends are none of ours."""
    problem = problem_of(NoAgentError("refused", said, seconds=3.2), ATTEMPT)

    assert (problem.id, part in problem.line) == (id_, True), problem.line
    assert "\\" not in problem.line


@given(
    st.sampled_from(["refused", "late", "vanished"]),
    st.text(),
    st.sampled_from(["", "ERR_NGROK_105", "ERR_NGROK_334", "ERR_NGROK_999", "dial tcp", "x509"]),
    st.text(),
)
def test_the_authtoken_is_in_no_line(kind, before, code, after):
    """Wherever ngrok quotes it, and whatever is around it."""
    said = f"{before}{ATTEMPT.token} {code}{after}\nYour authtoken: 2othertoken\n"

    problem = problem_of(NoAgentError(kind, said, seconds=1), ATTEMPT)

    assert "2secretsecret" not in problem.line
    assert "2othertoken" not in problem.line
    assert len(problem.line.splitlines()) == 1
    assert "secret" not in repr(ATTEMPT)
