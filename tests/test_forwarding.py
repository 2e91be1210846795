"""Forwarding: an app gets what Twilio sent, byte for byte, and Twilio what the app answered."""

from __future__ import annotations

import gzip
import socket
import threading
import tracemalloc
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from urllib.parse import quote, quote_plus

import pytest
from fake_ngrok.place import wait_for
from flask import Flask, Response, redirect, request
from hypothesis import given, settings
from hypothesis import strategies as st
from ports import closed_port
from twilio.request_validator import RequestValidator
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.serving import make_server

from smsquest_cli import forwarding, signing
from smsquest_cli.forwarding import Forwarder, app_address, forwarded, status_address
from smsquest_cli.messages import Message
from smsquest_cli.presence import Presence
from smsquest_cli.problems import UsageError
from smsquest_cli.server import bind
from smsquest_cli.wire import Request

TOKEN = "a" * 32
NOW = datetime(2026, 11, 25, 8, 30, tzinfo=UTC)
PUBLIC = "https://abc.ngrok-free.app"
BODY = (
    b"MessageSid=SM1&AccountSid=AC1&From=%2B12025550143&To=%2B12025550100&Body=a+b%20c%26&FromZip="
)
FORM = ("Content-Type", "application/x-www-form-urlencoded")
MESSAGE = Message(sid="SM1", account_sid="AC1", from_="+12025550143", to="+12025550100")
TWIML = b"<Response><Message>hi</Message></Response>"


def webhook(url=f"{PUBLIC}/sms", *, method="POST", body=BODY, headers=()):
    """A genuine webhook as the receiver hands it on."""
    made = Request(method, url, (FORM, *headers), body)
    signature = signing.sign_request(made, TOKEN)
    return Request(method, url, (*made.headers, ("X-Twilio-Signature", signature)), body)


@pytest.fixture
def forwarder():
    """Make forwarders that are closed with the test."""
    made = []

    def make(to, **options):
        options.setdefault("now", lambda: NOW)
        made.append(Forwarder(to, **options))
        return made[-1]

    yield make
    for one in made:
        one.close()


def answer(forwarder, request=None):
    return forwarder.answer(MESSAGE, request or webhook(), lambda: None)


def ids(answered):
    return [problem.id for problem in answered.problems]


@contextmanager
def served(app):
    """A WSGI app on a port of its own, under waitress."""
    listening = bind(0)
    with listening.serving(app):
        yield listening.url
    listening.close()


class RawApp:
    """An app that is nothing but a socket: keeps each request as it came, answers what it is told.

    ``None`` for an answer closes the connection instead.
    """

    def __init__(self, *answers, keep=True):
        self.requests = []
        self.connections = 0
        self._answers = list(answers)
        self._keep = keep
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self):
        self._listener.close()

    def _serve(self):
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            with connection, connection.makefile("rb") as stream:
                while raw := self._read(stream):
                    self.requests.append(raw)
                    answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
                    if answer is None:
                        break
                    connection.sendall(answer)
                    if not self._keep:
                        break

    @staticmethod
    def _read(stream):
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            line = stream.readline()
            if not line:
                return b""
            head += line
        length = [
            int(line.partition(b":")[2])
            for line in head.splitlines()
            if line.lower().startswith(b"content-length:")
        ]
        return head + stream.read(length[0] if length else 0)


def http(body=TWIML, *, status="200 OK", headers=("Content-Type: text/xml",)):
    lines = [f"HTTP/1.1 {status}", *headers, f"Content-Length: {len(body)}", "", ""]
    return "\r\n".join(lines).encode() + body


@pytest.fixture
def raw_app():
    made = []

    def make(*answers, **options):
        made.append(RawApp(*(answers or [http()]), **options))
        return made[-1]

    yield make
    for one in made:
        one.close()


def parts_of(raw):
    """Request line, headers by their names in lower case, body."""
    head, _, body = raw.partition(b"\r\n\r\n")
    line, *headers = head.decode("latin-1").split("\r\n")
    return (
        line,
        {key.lower(): value for key, value in (one.split(": ", 1) for one in headers)},
        body,
    )


# What the app gets


def test_an_app_gets_the_request_as_it_was_signed(raw_app, forwarder):
    """Method, path, raw query and body, signature; the public host, and who is in front."""
    app = raw_app()
    sent = webhook(f"{PUBLIC}/sms?x=%20a+b&&y", headers=[("X-Home-Region", "us1")])

    answered = answer(forwarder(f"{app.url}/hook?mine=1"), sent)

    line, headers, body = parts_of(app.requests[0])
    assert line == "POST /hook?mine=1&x=%20a+b&&y HTTP/1.1"
    assert body == BODY
    assert headers["host"] == headers["x-forwarded-host"] == "abc.ngrok-free.app"
    assert (headers["x-forwarded-proto"], headers["x-forwarded-for"]) == ("https", "127.0.0.1")
    assert headers["x-twilio-signature"] == sent.header("X-Twilio-Signature")
    assert headers["x-home-region"] == "us1"
    assert headers["content-type"] == FORM[1]
    assert (answered.status, answered.body, ids(answered)) == (200, TWIML, [])


def test_a_get_is_forwarded_as_a_get(raw_app, forwarder):
    """Twilio's query goes to the path of the app."""
    app = raw_app()

    answer(forwarder(f"{app.url}/hook"), webhook(f"{PUBLIC}/sms?Body=a+b", method="GET", body=b""))

    line, headers, body = parts_of(app.requests[0])
    assert (line, body) == ("GET /hook?Body=a+b HTTP/1.1", b"")
    assert "content-length" not in headers


def test_addresses_that_a_proxy_added_are_kept(raw_app, forwarder):
    """A tunnel says who called it; what it says of scheme and host is ours to say."""
    app = raw_app()
    added = [("X-Forwarded-For", "54.1.2.3"), ("X-Forwarded-Proto", "gopher")]

    answer(forwarder(app.url), webhook(headers=added))

    _, headers, _ = parts_of(app.requests[0])
    assert (headers["x-forwarded-for"], headers["x-forwarded-proto"]) == ("54.1.2.3", "https")


@settings(max_examples=60)
@given(
    body=st.binary(max_size=300),
    query=st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters="#")),
)
def test_every_byte_arrives(echo, body, query):
    """Whatever stands in body and query reaches the app as it is, and comes back as it is."""
    sent = Request("POST", f"{PUBLIC}/sms?{query}", (FORM,), body)

    answered = answer(echo, sent)

    assert answered.body == f"/hook{'?' if query else ''}{query}\n".encode() + body


PRINTABLE = st.characters(exclude_categories=["C", "Z"]) | st.just(" ")


@settings(max_examples=40)
@given(
    headers=st.permutations(
        [
            ("X-Home-Region", "us1"), ("Accept", "*/*"), ("x-lower", 'a,b; c="d"'), FORM,
            ("I-Twilio-Idempotency-Token", "1-2"), ("Cookie", "k=v; z=%20"), ("X-Empty", ""),
            ("X-Latin", "caf\xe9"), ("X-Twice", "1"), ("X-Twice", "2"),
        ]
    ),
    form=st.lists(st.tuples(st.text(PRINTABLE, max_size=4), st.text(PRINTABLE, max_size=9))),
    quoted=st.sampled_from([quote, quote_plus]),
)  # fmt: skip
def test_headers_arrive_in_their_order(one_raw_app, headers, form, quoted):
    """Whatever is sent beside the form, and however that is encoded, arrives as it was sent."""
    app, one = one_raw_app
    body = "&".join(f"{quoted(name)}={quoted(value)}" for name, value in form).encode()

    answer(one, Request("POST", f"{PUBLIC}/sms", tuple(headers), body))

    head, _, arrived = app.requests[-1].partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")[1:]
    theirs = [line for line in lines if not line.startswith(("Host", "X-Forw", "Content-Length"))]
    assert theirs == [f"{name}: {value}" for name, value in headers]
    assert arrived == body


@pytest.fixture(scope="module")
def one_raw_app():
    """A raw app for many requests, and a forwarder to it."""
    app = RawApp(http())
    one = Forwarder(app.url)
    yield app, one
    one.close()
    app.close()


@pytest.fixture(scope="module")
def echo():
    """An app that answers its raw target and body, and a forwarder to it."""

    def app(environ, start_response):
        length = int(environ.get("CONTENT_LENGTH") or 0)
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [environ["REQUEST_URI"].encode() + b"\n" + environ["wsgi.input"].read(length)]

    with served(app) as url:
        one = Forwarder(f"{url}/hook")
        yield one
        one.close()


# What Twilio gets


def test_the_answer_of_the_app_is_twilio_s(raw_app, forwarder):
    """Status, headers, cookies and body come back as they are; the connection's own do not."""
    headers = ("Content-Type: text/xml", "Set-Cookie: a=1", "Set-Cookie: b=2", "X-Own: a\r\n b",
               "Connection: keep-alive, X-Hop", "X-Hop: no", "Keep-Alive: timeout=5")  # fmt: skip
    app = raw_app(http(b"<Response/>", status="201 Created", headers=headers))

    answered = answer(forwarder(app.url))

    assert (answered.status, answered.body) == (201, b"<Response/>")
    assert answered.headers == (
        ("Content-Type", "text/xml"), ("Set-Cookie", "a=1"), ("Set-Cookie", "b=2"),
        ("X-Own", "a b"),
    )  # fmt: skip


def test_a_message_is_recorded_while_the_app_works(forwarder):
    """The disk is waited for meanwhile: this app has no answer before the message is safe."""
    recorded = threading.Event()

    def app(_environ, start_response):
        assert recorded.wait(10)
        start_response("200 OK", [("Content-Type", "text/xml")])
        return [b"<Response/>"]

    with served(app) as url:
        answered = forwarder(url).answer(MESSAGE, webhook(), recorded.set)

    assert (answered.status, answered.body) == (200, b"<Response/>")


def test_a_message_is_recorded_once_however_often_the_app_is_tried(nobody, forwarder):
    """Nobody listens: it is safe all the same, at the first try."""
    times = []
    one = forwarder(f"{nobody}/sms", wait_seconds=0.3)

    answered = one.answer(MESSAGE, webhook(), lambda: times.append(one))

    assert (len(times), ids(answered)[0]) == (1, "T8")


def test_the_reply_is_recorded(raw_app, forwarder):
    """What the app says goes into the log: its messages, its status, how long it took."""
    answered = answer(forwarder(raw_app().url))

    reply = answered.reply
    assert (reply.in_reply_to, reply.source, reply.http_status) == ("SM1", "app", 200)
    assert [message.body for message in reply.messages] == ["hi"]
    assert 0 < reply.ms < 5000


def test_a_packed_answer_is_read_and_passed_on_packed(raw_app, forwarder):
    """An app that compresses is understood; its bytes stay as they are."""
    packed = gzip.compress(TWIML)
    app = raw_app(http(packed, headers=("Content-Type: text/xml", "Content-Encoding: gzip")))

    answered = answer(forwarder(app.url))

    assert (answered.body, ids(answered)) == (packed, [])
    assert [message.body for message in answered.reply.messages] == ["hi"]


def test_a_small_answer_that_unpacks_to_very_much_is_not_unpacked(raw_app, forwarder):
    """An app that means ill does not take the memory of this computer."""
    packed = gzip.compress(b"<Response/>" + bytes(50 << 20), compresslevel=1)
    app = raw_app(http(packed, headers=("Content-Type: text/xml", "Content-Encoding: gzip")))

    tracemalloc.start()
    try:
        answered = answer(forwarder(app.url))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert answered.body == packed
    assert peak < 10 << 20


def explained_app():
    app = Flask("app")
    app.get("/only-get", endpoint="get")(lambda: "")
    app.post("/json", endpoint="json")(lambda: {"ok": True})
    app.post("/moved", endpoint="moved")(lambda: redirect("/elsewhere", 301))
    app.post("/crash", endpoint="crash")(lambda: ("KeyError: 'x'", 500))
    app.post("/html", endpoint="html")(lambda: Response("<Response/>", mimetype="text/html"))
    return app


@pytest.mark.parametrize(
    ("path", "status", "expected"),
    [
        ("/only-get", 405, ["A4"]),
        ("/nowhere", 404, ["A3"]),
        ("/json", 200, ["R1"]),
        ("/moved", 301, ["T14"]),
        ("/crash", 500, ["A11"]),
        ("/html", 200, ["R1"]),
    ],
)
def test_an_answer_of_no_use_is_explained_and_passed_on(forwarder, path, status, expected):
    """Twilio gets it as it is; the developer is told what is wrong, on the message's row."""
    with served(explained_app()) as url:
        answered = answer(forwarder(url + path))

    assert (answered.status, ids(answered)) == (status, expected)
    assert answered.problems[0].sid == "SM1"


# Signatures


def checking_app(*, token=TOKEN):
    """An app that checks ``request.url`` as the SDK's guides do."""
    app = Flask("app")
    genuine = RequestValidator(token)

    @app.post("/sms")
    def sms():
        if not genuine.validate(request.url, request.form, request.headers["X-Twilio-Signature"]):
            return "forged", 403
        return Response(TWIML, mimetype="text/xml")

    return app


@contextmanager
def werkzeug_served(app, *, port=0):
    """An app under Flask's development server, which believes what proxies say if it is told to."""
    server = make_server("127.0.0.1", port, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_an_app_behind_proxy_fix_accepts_the_signature(forwarder):
    """It sees https and the public host, which is what Twilio signed."""
    app = checking_app()
    app.wsgi_app = ProxyFix(app.wsgi_app, x_proto=1, x_host=1)

    with werkzeug_served(app) as url:
        answered = answer(forwarder(f"{url}/sms"))

    assert (answered.status, ids(answered)) == (200, [])


def test_an_app_without_proxy_fix_is_told_of_it(forwarder):
    """S1: it sees http, refuses, and the line names the cure."""
    with werkzeug_served(checking_app()) as url:
        answered = answer(forwarder(f"{url}/sms"))

    assert (answered.status, ids(answered)) == (403, ["S1"])
    assert "ProxyFix" in answered.problems[0].line


def test_resigning_serves_an_app_as_it_is(forwarder):
    """With a new signature for its own address the app needs no ProxyFix, and may have one."""
    plain, fixed = checking_app(), checking_app()
    fixed.wsgi_app = ProxyFix(fixed.wsgi_app, x_proto=1, x_host=1)
    shared_key = [("X-Twilio-Webhooks-Signature-Settings", "key=1,algorithm=HMAC_SHA256")]

    for app in (plain, fixed):
        with werkzeug_served(app) as url:
            answered = answer(
                forwarder(f"{url}/sms", resign_with=TOKEN), webhook(headers=shared_key)
            )
        assert (answered.status, ids(answered)) == (200, [])


def test_another_token_is_told_from_another_url(forwarder):
    """S10: the URL was right, so it is the token."""
    with werkzeug_served(checking_app(token="b" * 32)) as url:
        answered = answer(forwarder(f"{url}/sms", resign_with=TOKEN))

    assert (answered.status, ids(answered)) == (403, ["S10"])


@given(query=st.sampled_from(["", "x=1", "x=%20&&b"]), to=st.sampled_from(["", "/a/b", "/?k=v"]))
def test_a_new_signature_is_genuine_for_the_new_address(query, to):
    """RequestValidator agrees, whatever the query is made of."""
    sent = webhook(f"{PUBLIC}/sms?{query}" if query else f"{PUBLIC}/sms")

    made = forwarded(sent, app_address(f"http://127.0.0.1:5000{to}", "--to"), resign_with=TOKEN)

    fields = dict(signing.form_pairs(made.body))
    assert RequestValidator(TOKEN).validate(made.url, fields, made.header("X-Twilio-Signature"))
    assert sum(name == "X-Twilio-Signature" for name, _ in made.headers) == 1
    assert (made.header("Host"), made.header("X-Forwarded-Proto")) == ("127.0.0.1:5000", "http")


# Connections


def test_connections_are_kept(raw_app, forwarder):
    """One connection serves many webhooks."""
    app = raw_app()
    one = forwarder(app.url)

    for _ in range(5):
        assert answer(one).status == 200

    assert (len(app.requests), app.connections) == (5, 1)


def test_a_connection_that_was_closed_meanwhile_is_replaced(raw_app, forwarder):
    """The app closes after each answer without saying so: nobody notices."""
    app = raw_app(keep=False)
    one = forwarder(app.url)

    assert [answer(one).status for _ in range(3)] == [200, 200, 200]
    assert app.connections == 3


def test_a_connection_that_ends_in_the_middle_is_no_answer(raw_app, forwarder):
    """A14: the app got it once, and once only; Twilio hears of a bad gateway."""
    app = raw_app(None)

    answered = answer(forwarder(app.url))

    assert (answered.status, ids(answered), len(app.requests)) == (502, ["A14"], 1)
    assert (answered.reply.source, answered.reply.http_status) == ("none", 502)


def test_a_server_with_one_thread_is_not_held_up(raw_app, forwarder):
    """It serves a connection until that ends: none is kept while another request waits for it."""
    app = raw_app()
    one = forwarder(f"{app.url}/sms", answer_seconds=30)
    threads = [threading.Thread(target=lambda: statuses.append(answer(one).status)) for _ in "1234"]
    statuses = []

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(40)

    assert statuses == [200, 200, 200, 200]
    assert len(app.requests) == 4


def test_connections_are_kept_side_by_side_where_the_app_has_threads(forwarder):
    """A later request that is answered before an earlier one shows that none holds up another."""
    connections, slow, entered = set(), threading.Event(), threading.Event()

    def app(environ, start_response):
        connections.add(environ["REMOTE_PORT"])
        if environ["QUERY_STRING"]:
            entered.set()
            slow.wait(10)
        start_response("200 OK", [("Content-Type", "text/xml"), ("Content-Length", "11")])
        return [b"<Response/>"]

    with served(app) as url:
        one = forwarder(url)
        first = threading.Thread(target=answer, args=(one, webhook(f"{PUBLIC}/sms?slow=1")))
        first.start()
        entered.wait(10)
        for _ in range(4):
            answer(one)
        slow.set()
        first.join(10)

    assert len(connections) <= 3


def test_localhost_is_ipv4_first(raw_app, forwarder):
    """Something else may listen on ::1."""
    app = raw_app()

    assert answer(forwarder(app.url.replace("127.0.0.1", "localhost"))).status == 200


# Nobody there, nobody answering


def test_every_message_that_an_absent_app_missed_is_named(forwarder, monkeypatch):
    """T8: Twilio gets an empty TwiML in time, and each of these messages can be replayed."""
    monkeypatch.setattr(forwarding.Path, "exists", lambda _: False)
    with closed_port() as port:
        one = forwarder(f"http://127.0.0.1:{port}/sms", wait_seconds=0.05)
        first, second = answer(one), answer(one)
    with werkzeug_served(explained_app(), port=port):
        back = answer(one)
    gone = answer(one)

    assert [ids(one) for one in (first, second, back, gone)] == [["T8"], ["T8"], ["A3"], ["T8"]]
    assert first.problems[0].line.startswith(f"nothing listens on 127.0.0.1:{port};")
    assert (first.status, first.reply.source, first.reply.messages) == (200, "none", ())
    assert b"<Response/>" in first.body
    assert dict(first.headers)["Content-Type"].startswith("text/xml")


def test_an_app_that_restarts_is_waited_for(forwarder):
    """The message that comes while the reloader is at work reaches the app all the same (A17)."""
    answered, told = [], []
    with closed_port() as port:
        one = forwarder(f"http://127.0.0.1:{port}/json")
        one.watch(told.append)
        waiting = threading.Thread(target=lambda: answered.append(answer(one)))
        waiting.start()
        wait_for(lambda: "A17" in [note.id for note in told])
        assert waiting.is_alive()

    with werkzeug_served(explained_app(), port=port):
        waiting.join(10)

    assert [(one.status, one.reply.source) for one in answered] == [(200, "app")]
    assert [(note.id, note.severity) for note in told if note.sid == MESSAGE.sid] == [
        ("A17", "note")
    ]


def test_closing_ends_the_waiting(forwarder):
    """A serve that stops does not wait for an app that is not there."""
    answered, told = [], []
    with closed_port() as port:
        one = forwarder(f"http://127.0.0.1:{port}/sms")
        one.watch(told.append)
        waiting = threading.Thread(target=lambda: answered.append(answer(one)))
        waiting.start()
        wait_for(lambda: "A17" in [note.id for note in told])

        one.close()
        waiting.join(3)

    assert [one.status for one in answered] == [200]


def test_an_app_that_is_too_slow_is_given_up(forwarder):
    """A7: Twilio has gone by then; the connection is not used again."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        one = forwarder(f"http://127.0.0.1:{silent.getsockname()[1]}/", answer_seconds=0.2)
        answered = answer(one)

    assert (answered.status, ids(answered)) == (504, ["A7"])


def test_a_container_has_a_hint_of_its_own(forwarder, monkeypatch):
    """A10: inside one 127.0.0.1 is not where the app is."""
    monkeypatch.setattr(forwarding.Path, "exists", lambda _: True)

    with closed_port() as port:
        answered = answer(forwarder(f"http://127.0.0.1:{port}/sms", wait_seconds=0))

    assert ids(answered) == ["T8", "A10"]


def test_an_app_that_is_not_there_is_told_at_once_and_its_return_too(forwarder, monkeypatch):
    """T8 before any message comes, A16 when the app is up; what has not changed is not told."""
    monkeypatch.setattr(forwarding.Path, "exists", lambda _: True)
    monkeypatch.setattr("smsquest_cli.presence.LOOK_SECONDS", 0.02)
    told, back = [], threading.Event()
    with closed_port() as port:
        one = forwarder(f"http://127.0.0.1:{port}/json")
        one.watch(lambda problem: told.append(problem) or (problem.id == "A16" and back.set()))
    with werkzeug_served(explained_app(), port=port):
        assert back.wait(10)
        answer(one)

    assert [problem.id for problem in told] == ["T8", "A10", "A16"]
    assert {problem.sid for problem in told} == {None}
    assert told[-1].line == f"your app listens on 127.0.0.1:{port} again"
    assert told[-1].severity == "note"


def test_after_the_end_an_app_that_is_back_is_no_news():
    """A request that was under way may meet it then; nobody is there to hear of it."""
    back = []
    presence = Presence(back.append)
    with closed_port() as port:
        url = f"http://127.0.0.1:{port}/sms"
        presence.missed(url)
        presence.close()
        presence.met(url)

    assert back == []


def test_an_app_that_is_there_is_not_told(raw_app, forwarder):
    """No news is good news; the app hears nothing of being looked at."""
    app, told = raw_app(), []

    forwarder(app.url).watch(told.append)

    assert (told, app.requests) == ([], [])


def test_airplay_is_told_before_a_message_is_lost_to_it(raw_app, forwarder, monkeypatch):
    """A2: on a Mac something answers on port 5000, and it is no app."""
    app, told = raw_app(http(b"", status="403 Forbidden", headers=("Server: AirTunes/1",))), []
    monkeypatch.setattr("smsquest_cli.presence.sys.platform", "darwin")
    monkeypatch.setattr("smsquest_cli.presence.AIRPLAY_PORTS", (int(app.url.rpartition(":")[2]),))

    forwarder(app.url).watch(told.append)

    assert [problem.id for problem in told] == ["A2"]


def test_an_app_with_a_certificate_of_its_own_is_taken(certificate, forwarder):
    """On one's own computer https needs no authority."""
    server = make_server("127.0.0.1", 0, explained_app(), threaded=True, ssl_context=certificate)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        answered = answer(forwarder(f"https://localhost:{server.port}/html"))
    finally:
        server.shutdown()
        thread.join()
        server.server_close()

    assert (answered.status, answered.reply.source) == (200, "app")


@pytest.mark.parametrize(
    ("to", "ours", "refused"),
    [
        ("http://localhost:5000/any", "http://127.0.0.1:5000", True),
        ("http://[::1]:5000/sms", "http://127.0.0.1:5000", True),
        ("http://127.0.0.1:5001/sms", "http://127.0.0.1:5000", False),
        (f"{PUBLIC}/sms?x=1", PUBLIC, True),
        (f"{PUBLIC}/my/app", PUBLIC, False),
        (f"{PUBLIC}/my/sms", f"{PUBLIC}/my", True),
        (f"{PUBLIC}/app", PUBLIC, True),  # its status callbacks would go to /status
        ("http://0.0.0.0:5000/sms", "http://127.0.0.1:5000", True),
    ],
)
def test_what_would_come_back_here_is_refused(forwarder, to, ours, refused):
    """Our own address is no app; one beside it, behind the same proxy, may be."""
    one = forwarder(to)

    with pytest.raises(UsageError, match="smsquest's own") if refused else nullcontext():
        one.refuse(ours)


# Status callbacks


def callback(status="delivered"):
    body = f"MessageSid=SM2&MessageStatus={status}&AccountSid=AC1".encode()
    return webhook(f"{PUBLIC}/status?re=SM1", body=body)


@pytest.mark.parametrize(
    ("to", "status_to", "expected"),
    [
        ("/sms", None, "/status?re=SM1"),
        ("/twilio/sms/?k=v", None, "/twilio/status?re=SM1"),
        ("", None, "/status?re=SM1"),
        ("/sms", "/calls/back?k=v", "/calls/back?k=v&re=SM1"),
    ],
)
def test_status_callbacks_go_beside_the_webhook(raw_app, forwarder, to, status_to, expected):
    """By default to ``status`` in the same folder, with the query that tells which reply it is."""
    app = raw_app(http(b"", status="204 No Content"))
    one = forwarder(app.url + to, status_to=status_to and app.url + status_to)

    assert one.status(callback()) == ()

    line, _, body = parts_of(app.requests[0])
    assert (line, body) == (f"POST {expected} HTTP/1.1", callback().body)


def test_what_is_wrong_with_callbacks_is_said_once(raw_app, forwarder):
    """Three callbacks to a message, and one line for the lot until one goes well."""
    bad, good = http(b"no", status="500 Sorry"), http(b"", status="204 No Content")
    app = raw_app(bad, bad, good, bad)
    one = forwarder(f"{app.url}/sms", status_to=f"{app.url}/status")

    found = [[problem.id for problem in one.status(callback())] for _ in range(4)]

    assert found == [["A11"], [], [], ["A11"]]


def test_an_app_without_callbacks_is_noted(raw_app, forwarder):
    """A15: nobody asked for them to be forwarded, so a 404 is no error."""
    app = raw_app(http(b"no", status="404 Not Found"), keep=False)

    (problem,) = forwarder(f"{app.url}/sms").status(callback())
    (error,) = forwarder(f"{app.url}/a", status_to=f"{app.url}/b").status(callback())

    assert (problem.id, problem.severity, problem.sid) == ("A15", "note", "SM2")
    assert (error.id, error.severity) == ("A3", "error")


def test_callbacks_do_not_wait_for_an_app_that_is_known_to_be_down(forwarder, monkeypatch):
    """A flood of callbacks would take the threads that messages need."""
    monkeypatch.setattr(forwarding.Path, "exists", lambda _: False)
    tries = []
    with closed_port() as port:
        one = forwarder(f"http://127.0.0.1:{port}/sms", wait_seconds=0.3)
        monkeypatch.setattr(one._closing, "wait", lambda seconds: bool(tries.append(seconds)))

        assert [problem.id for problem in one.status(callback())] == ["T8"]
        assert tries
        tries.clear()
        assert one.status(callback()) == ()
        assert tries == []


# Addresses


@pytest.mark.parametrize(
    "url", ["5000", "localhost:5000", "ftp://a/", "http://", "http://a:x/", "http://a/b c", "//a"]
)
def test_what_is_no_address_is_refused(url):
    """U6, before anything is opened."""
    with pytest.raises(UsageError, match="U6"):
        Forwarder(url)
    with pytest.raises(UsageError, match="--forward-status"):
        Forwarder("http://127.0.0.1/", status_to=url)


def test_a_login_in_an_address_is_refused_and_not_shown():
    """Twilio's request is forwarded as it came: there is no place for a login of ours."""
    with pytest.raises(UsageError, match="without user and password") as caught:
        Forwarder("http://ada:lovelace@127.0.0.1:5000/sms")

    assert "lovelace" not in str(caught.value)


def test_status_address_of_a_folder():
    """The folder is that of the last segment of the path."""
    assert status_address("http://a/") == "http://a/status"
    assert status_address("http://a/b/c?d#e") == "http://a/b/status"


# The whole way


def test_serve_forwards_and_tells(serve, smsquest_here):
    """With --sandbox --forward-to: a phone's text reaches the app, its reply the phone."""
    app = checking_app(token="0" * 32)
    with served(app) as url:
        running = serve("--sandbox", "--port", 0, "--forward-to", f"{url}/sms", "--until", 1)
        assert running.ready["forward_to"] == f"{url}/sms"
        done = smsquest_here("simulate", "hello", "--pace", "instant", "--expect", "^hi$")
        reply = running.wait_for("reply")

    assert done.returncode == 0, done.stderr
    assert (reply["source"], reply["http_status"]) == ("app", 200)
    assert [message["body"] for message in reply["messages"]] == ["hi"]
    assert running.wait() == 0


def test_a_reply_whose_delivery_the_app_follows_is_one_message(serve, smsquest_here):
    """The callbacks that the app's own ``action`` asks for are those of the reply."""
    twiml = b'<Response><Message action="/status">hi</Message></Response>'

    def app(environ, start_response):
        environ["wsgi.input"].read()
        start_response("200 OK", [("Content-Type", "text/xml")])
        return [twiml]

    with served(app) as url:
        running = serve("--sandbox", "--port", 0, "--forward-to", f"{url}/sms")
        assert running.ready
        smsquest_here("simulate", "hello", "--pace", "instant")
        running.wait_for("status", status="delivered")
        assert running.stop() == 0

    assert [running.records[-1][key] for key in ("inbound", "outbound", "problems")] == [1, 1, 0]


def test_a_name_that_there_is_not_is_said(forwarder, monkeypatch):
    """T8 says why nothing listens there: the address is wrong, not the app down."""

    def unknown(*_args, **_options):
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    answered = answer(forwarder("http://nosuch.invalid/sms", wait_seconds=0.05))

    assert answered.problems[0].id == "T8"
    assert answered.problems[0].line.startswith(
        "nothing listens on nosuch.invalid:80 (no such name); "
    )


def test_serve_tells_when_the_app_is_there(serve):
    """T8 as soon as it is ready, A16 once the app is up: nobody has to lose a message for it."""
    with closed_port() as port:
        running = serve("--no-tunnel", "--port", 0, "--forward-to", f"http://127.0.0.1:{port}/sms")
        assert running.wait_for("problem", id="T8")["sid"] is None
    with werkzeug_served(explained_app(), port=port):
        assert running.wait_for("problem", id="A16")["severity"] == "note"
    assert running.stop() == 0


def test_serve_stops_at_once_while_it_waits_for_an_app(serve, smsquest):
    """Ctrl-C does not take as long as an app's absence."""
    with closed_port() as port:
        running = serve("--sandbox", "--port", 0, "--forward-to", f"http://127.0.0.1:{port}/sms")
        assert running.ready["webhook_url"]
        texting = threading.Thread(target=lambda: smsquest("simulate", "hello"))
        texting.start()
        running.wait_for("inbound")

        assert running.stop(timeout=5) == 0
        texting.join(30)
