"""``smsquest check``: what is said of handlers that keep the contract, and of those that do not."""

from __future__ import annotations

import json
import subprocess
import threading
from contextlib import contextmanager
from xml.etree import ElementTree as ET

import pytest
from flask import Flask, Response, request
from ports import closed_port
from program import COMMAND
from twilio.request_validator import RequestValidator
from twilio.twiml.messaging_response import MessagingResponse
from werkzeug.serving import make_server

from smsquest_cli.check import CHECKS, check
from smsquest_cli.sandbox import to_wsgi
from smsquest_cli.wire import Answer, ExchangeError

TOKEN = "0" * 32
URL = "http://localhost/sms"


class Handler:
    """A good handler; tests break one of its habits."""

    methods = ("GET", "POST")
    token = TOKEN
    statuses = True
    refusal = 403

    def __init__(self, **habits):
        for name, value in habits.items():
            setattr(self, name, value)
        self.seen = []

    def url(self):
        """The URL as it came: ``request.url`` decodes what stands in the query of a GET."""
        query = request.query_string.decode()
        return f"{request.base_url}?{query}" if query else request.base_url

    def is_genuine(self):
        signature = request.headers.get("X-Twilio-Signature", "")
        return RequestValidator(self.token).validate(self.url(), request.form, signature)

    def reply(self, body):
        answer = MessagingResponse()
        answer.message(f"Echo: {body}", **({"action": "/status"} if self.statuses else {}))
        return Response(str(answer), mimetype="text/xml")

    def status(self):
        return "", 204

    def app(self):
        app = Flask("app")

        @app.route("/sms", methods=self.methods)
        def sms():
            if not self.is_genuine():
                return "forged", self.refusal
            self.seen.append(request.values.to_dict())
            return self.reply(request.values["Body"])

        @app.route("/status", methods=["GET", "POST"])
        def status():
            return self.status()

        return app

    def results(self, **options):
        options = {"token": TOKEN, "deliver": to_wsgi(self.app()), **options}
        return {result.id: result for result in check(URL, **options)}


def states(results):
    return {name: result.state for name, result in results.items()}


def problems(results):
    return [name for name, result in results.items() if result.state == "problem"]


def test_a_good_handler_keeps_every_promise():
    """All hold: GET and POST, pictures, odd texts, repeats, callbacks in any order."""
    handler = Handler()

    results = handler.results()

    assert states(results) == {one.id: "ok" for one in CHECKS}
    texts = [form["Body"] for form in handler.seen]
    assert any("&" in text and "\n" in text and "+" in text and "😀" in text for text in texts)
    assert any(form["NumMedia"] == "1" and form["MediaUrl0"] for form in handler.seen)
    assert {"", "STOP"} <= set(texts)
    sids = [form["MessageSid"] for form in handler.seen]
    assert len(sids) - len(set(sids)) == 1  # the one that came twice


@pytest.mark.parametrize("methods", [("POST",), ("GET",)])
def test_one_method_is_enough(methods):
    """What the handler does not take is no fault of it, so long as it takes one."""
    results = Handler(methods=methods).results()

    assert problems(results) == []
    assert results["method"].state == "skipped"
    assert f"takes {methods[0]} only" in results["method"].line


def test_a_query_that_is_decoded_before_it_is_checked_is_found():
    """S5: Flask's ``request.url`` is not what was signed, once a GET brings more than letters."""
    results = Handler(methods=("GET",), url=lambda: request.url).results()

    assert problems(results) == ["mms", "odd-text"]
    assert "raw query string" in results["odd-text"].fix


@pytest.mark.parametrize("refusal", [400, 401, 403])
def test_a_refusal_may_have_one_of_three_statuses(refusal):
    """Frameworks differ; a refusal is a refusal."""
    assert problems(Handler(refusal=refusal).results()) == []


def test_a_handler_that_trusts_everybody_is_found_out():
    """Unsigned, changed, somebody else's: each is accepted, and each is said."""
    results = Handler(is_genuine=lambda: True).results()

    assert problems(results) == ["unsigned", "tampered", "other-account"]
    assert "200 instead of 403" in results["unsigned"].line
    assert "RequestValidator" in results["unsigned"].fix
    assert results["unsigned"].problem == "S11"


def test_a_handler_that_checks_only_that_there_is_a_signature_is_found_out():
    """A header is no proof."""
    results = Handler(is_genuine=lambda: "X-Twilio-Signature" in request.headers).results()

    assert problems(results) == ["tampered", "other-account"]


def test_a_redirect_of_strangers_is_no_refusal():
    """A login page where 403 belongs: that is said, of the app's own answer, and nothing else."""
    handler = Handler()
    app = handler.app()

    @app.before_request
    def log_in():
        if request.path == "/sms" and not handler.is_genuine():
            return "", 302, {"Location": "/login"}
        return None

    app.add_url_rule("/login", view_func=lambda: "who are you?")

    results = Handler().results(deliver=to_wsgi(app))

    assert problems(results) == ["unsigned", "tampered", "other-account"]
    assert {results[name].line for name in problems(results)} == {"302 to /login instead of 403"}
    assert "Answer 403" in results["unsigned"].fix


def test_a_redirect_to_a_refusal_is_a_refusal():
    """Twilio follows it, and is refused there."""
    handler = Handler()
    app = handler.app()

    @app.before_request
    def move():
        if request.path == "/sms" and not handler.is_genuine():
            return "", 307, {"Location": "/other"}
        return None

    app.add_url_rule("/other", view_func=lambda: ("no", 403), methods=["POST"])

    assert problems(Handler().results(deliver=to_wsgi(app))) == []


def test_a_handler_that_crashes_without_a_signature_is_found_out():
    """500 is no refusal."""

    def careless():
        return Handler.is_genuine(handler) if request.headers["X-Twilio-Signature"] else None

    handler = Handler(is_genuine=careless)

    results = handler.results()

    assert problems(results) == ["unsigned"]
    assert results["unsigned"].line == "400 instead of 403" or "500" in results["unsigned"].line


def test_xml_by_hand_breaks_on_odd_texts():
    """R2: "&" in a text that is pasted into XML."""

    def by_hand(body):
        return Response(f"<Response><Message>{body}</Message></Response>", mimetype="text/xml")

    results = Handler(reply=by_hand).results()

    assert problems(results) == ["odd-text"]
    assert "&amp;" in results["odd-text"].line


def test_a_crash_on_an_empty_text_is_found():
    """An MMS has no text, and neither has an empty message."""
    handler = Handler()
    handler.reply = lambda body: Handler.reply(handler, body.split()[0])

    results = handler.results()

    assert problems(results) == ["mms", "empty-body"]
    assert "500" in results["mms"].line


def test_a_repeat_that_fails_is_found():
    """A unique key on the MessageSid must not become a 500."""
    handler, seen = Handler(), set()

    def once(body):
        sid = request.values["MessageSid"]
        if sid in seen:
            return "duplicate key", 500
        seen.add(sid)
        return Handler.reply(handler, body)

    handler.reply = once

    results = handler.results()

    assert problems(results) == ["repeated"]
    assert "500 the second time" in results["repeated"].line


def test_a_callback_that_is_refused_is_found():
    """D2: a handler that expects the statuses in their order."""
    order = ["queued", "sent", "delivered"]
    heard = {}

    def in_order():
        sid, status = request.values["MessageSid"], request.values["MessageStatus"]
        expected = order[heard.setdefault(sid, 0)] if heard.get(sid, 0) < 3 else None
        heard[sid] += 1
        return ("", 204) if status == expected else ("too early", 409)

    results = Handler(status=in_order).results()

    assert problems(results) == ["statuses"]
    assert "409" in results["statuses"].line


def test_without_callbacks_that_check_is_left_out():
    """Nobody has to ask for them."""
    assert states(Handler(statuses=False).results())["statuses"] == "skipped"


@pytest.mark.parametrize(
    ("habits", "words"),
    [
        ({"url": lambda: request.url.replace("http:", "https:")}, "signed for https"),
        ({"url": lambda: request.url + "/"}, "another slash at the end"),
    ],
)
def test_what_a_handler_checks_instead_is_named(habits, words):
    """It refuses what is genuine, and accepts another signature: that is said with its cure."""
    results = Handler(**habits).results()

    assert problems(results) == ["signed"]
    assert words in results["signed"].line
    assert states(results)["odd-text"] == "skipped"  # nothing more can be learned


def test_the_token_of_the_sandbox_is_named():
    """S10: the app still has the sandbox's token."""
    results = Handler().results(token="a" * 32)

    assert problems(results) == ["signed"]
    assert "of the sandbox" in results["signed"].line
    assert "TWILIO_AUTH_TOKEN" in results["signed"].fix


def test_where_nobody_is_one_check_fails_and_the_rest_is_skipped():
    """Twelve times the same line would help nobody."""

    def refused(*_, **__):
        raise ExchangeError("refused", "Connection refused")

    results = Handler().results(deliver=refused)

    assert problems(results) == ["signed"]
    assert set(states(results).values()) == {"problem", "skipped"}
    assert (results["signed"].problem, results["unsigned"].line) == ("T8", "not reachable")
    assert results["signed"].line.startswith("nothing listens on ")


def test_a_path_without_a_handler_is_one_problem():
    """What is not there cannot be tried, and is not said to take another method either."""
    results = Handler().results(deliver=to_wsgi(Flask("empty")))

    assert problems(results) == ["signed"]
    assert (results["signed"].problem, results["unsigned"].line) == ("A3", "no handler there")
    assert set(states(results).values()) == {"problem", "skipped"}


def test_a_slow_answer_is_found():
    """A7, by the time that answers say they took."""
    deliver = to_wsgi(Handler().app())

    def slow(sent, **limits):
        answer = deliver(sent, **limits)
        late = 12_000.0 if b"Body=STOP" in sent.body else 5.0
        return Answer(answer.status, answer.headers, answer.body, late)

    results = Handler().results(deliver=slow)

    assert "in-time" in problems(results)
    assert "12000 ms" in results["in-time"].line


@contextmanager
def served(app):
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.port}/sms"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_the_command_shows_what_held(smsquest_here):
    """Lines and JSON for a good handler over HTTP: exit 0."""
    with served(Handler().app()) as url:
        lines = smsquest_here("check", url)
        document = smsquest_here("check", url, "-o", "json")

    assert lines.returncode == document.returncode == 0, lines.stdout + lines.stderr
    assert [line.split()[0] for line in lines.stdout.splitlines()] == ["ok"] * len(CHECKS)
    told = json.loads(document.stdout)
    assert told["url"] == url
    assert {one["state"] for one in told["checks"]} == {"ok"}
    assert set(told["checks"][0]) == {"id", "title", "state", "line", "problem", "fix", "ms"}
    assert "sandbox token" in lines.stderr


def test_the_command_fails_where_a_check_does(smsquest_here):
    """JUnit's XML and a table of a handler that trusts everybody: exit 8, and E4 says which."""
    with served(Handler(is_genuine=lambda: True).app()) as url:
        junit = smsquest_here("check", url, "-o", "junit")
        table = smsquest_here("check", url, "-o", "table")
        document = smsquest_here("check", url, "-o", "json")

    assert junit.returncode == table.returncode == document.returncode == 8
    told = json.loads(document.stdout)["checks"]  # one document, and nothing after it
    assert [one["problem"] for one in told if one["state"] == "problem"] == ["S11"] * 3
    assert "error[E4]: 3 of 12" in junit.stderr
    suite = ET.fromstring(junit.stdout).find("testsuite")
    assert (suite.get("tests"), suite.get("failures")) == ("12", "3")
    failures = [case.get("name") for case in suite if case.find("failure") is not None]
    assert {failure.get("type") for failure in suite.iter("failure")} == {"S11"}
    assert all("fix [S11]: " in failure.text for failure in suite.iter("failure"))
    assert failures == [
        one.title for one in CHECKS if one.id in ("unsigned", "tampered", "other-account")
    ]
    assert "a request without signature" in table.stdout
    assert table.stdout.count("problem") == 3


@pytest.mark.parametrize("output", ["table", "lines"])
def test_each_result_is_shown_as_it_comes(environment, tmp_path, output):
    """Not at the end: a slow app answers a dozen times or more."""
    handler = Handler()
    asked, answer = threading.Event(), threading.Event()

    def wait(body):
        if body == "hello by another method":
            asked.set()
            answer.wait(20)
        return Handler.reply(handler, body)

    handler.reply = wait
    with (
        served(handler.app()) as url,
        subprocess.Popen(
            [*COMMAND, "check", url, "-o", output],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env=environment, cwd=tmp_path,
        ) as process,
    ):  # fmt: skip
        first = process.stdout.readline()
        assert asked.wait(20)
        word = [process.stderr.readline() for _ in range(2)][-1]
        answer.set()
        rest, _ = process.communicate(timeout=30)

    assert first.startswith("ok")
    assert word == "waiting for the app: GET is taken like POST …\n"
    assert len(rest.splitlines()) == len(CHECKS) - 1


def test_what_could_not_be_tried_did_not_hold_either(smsquest_here):
    """One failure of a handler that is not there says nothing about the other eleven."""
    with closed_port() as port:
        done = smsquest_here("check", f"http://127.0.0.1:{port}/sms")

    assert done.returncode == 8
    assert done.stderr.endswith(": signed (11 could not be tried)\n")


def test_a_login_in_the_url_is_used_and_not_shown(smsquest_here):
    """As Twilio does, after a challenge; the password stands in no output."""
    handler = Handler(statuses=False)
    app = handler.app()

    @app.before_request
    def login():
        if request.authorization is None or request.authorization.password != "lovelace":
            return "who?", 401, {"WWW-Authenticate": "Basic realm=x"}
        return None

    with served(app) as url:
        done = smsquest_here("check", url.replace("//", "//ada:lovelace@"), "-o", "json")

    assert json.loads(done.stdout)["url"] == url
    assert handler.seen
    assert "lovelace" not in done.stdout + done.stderr


def test_an_address_that_is_none_is_refused(smsquest_here):
    """U6, before anything is sent."""
    done = smsquest_here("check", "localhost:5000")

    assert (done.returncode, done.stdout) == (2, "")
    assert "error[U6]" in done.stderr
