"""An app that does not answer well is told why, in the words of its own framework."""

from __future__ import annotations

from dataclasses import replace

import flask
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smsquest_cli.answers import causes, excerpt, message_sid, read_answer
from smsquest_cli.twiml import Finding, TwimlMessage
from smsquest_cli.wire import Answer, Request, call_wsgi

FORM = (("Content-Type", "application/x-www-form-urlencoded"),)
BODY = b"MessageSid=SM1&From=%2B12025550143&Body=Hello"
REQUEST = Request("POST", "http://127.0.0.1:5000/sms", FORM, BODY)
PUBLIC = "https://abc.ngrok-free.app/sms"
FORWARDED = Request("POST", REQUEST.url, (*FORM, ("Host", "abc.ngrok-free.app")), BODY)
WERKZEUG_DEBUGGER = b"""<!doctype html>
<html lang=en><head><title>ZeroDivisionError: division by zero
 // Werkzeug Debugger</title><style>p { color: red }</style></head>
<body><h1>ZeroDivisionError</h1></body></html>"""
DJANGO_DEBUG = b"""<!DOCTYPE html><html><head><title>KeyError
          at /sms</title><style>html * { padding:0; }</style></head></html>"""
EXPRESS = b"""<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>Error</title></head>
<body><pre>ReferenceError: body is not defined<br> &nbsp; &nbsp;at /app.js:7:3</pre></body>"""
TRACEBACK = b"""Internal error
Traceback (most recent call last):
  File "app.py", line 3, in sms
    1 / 0
ZeroDivisionError: division by zero
"""


def ids(request, answer, **more):
    return [finding.id for finding in causes(request, answer, **more)]


def answered(status, body=b"", *headers) -> Answer:
    return Answer(status, headers, body)


def flask_app() -> flask.Flask:
    """An app with the usual mistakes."""
    app = flask.Flask("app")
    app.logger.disabled = True

    @app.get("/get-only")
    def get_only():
        return ""

    @app.post("/slash/")
    def slash():
        return ""

    @app.post("/json")
    def json():
        return flask.request.json["Body"]

    @app.post("/raises")
    def raises():
        return 1 / 0

    return app


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (
            "/smss",
            ("your app has no POST /smss (404). Is /smss the path of your webhook route?"),
        ),
        (
            "/get-only",
            (
                "your app does not accept POST on /get-only (405, allows: GET, HEAD, OPTIONS)."
                ' Flask: @app.post("/get-only")'
            ),
        ),
        (
            "/slash",
            (
                "your app redirected POST /slash to http://127.0.0.1:5000/slash/ (308);"
                " Twilio does not follow it (11216). Give the final address"
            ),
        ),
        (
            "/json",
            ("your app answered 415 on SM1 (Unsupported Media Type); Twilio logs 11200"),
        ),
        (
            "/raises",
            ("your app answered 500 on SM1 (Internal Server Error); Twilio logs 11200"),
        ),
    ],
)
def test_a_flask_app_is_told_what_is_missing(path, line):
    """Its route, its method, its slash, its form, its error: a real Flask app each time."""
    request = Request("POST", f"http://127.0.0.1:5000{path}", FORM, BODY)
    answer = call_wsgi(flask_app(), request)
    if allow := answer.header("Allow"):  # a set, in any order
        in_order = ", ".join(sorted(allow.split(", ")))
        answer = Answer(answer.status, (("Allow", in_order),), answer.body)

    first, *more = causes(request, answer)

    assert first.line == line
    assert [finding.id for finding in more] == (["A8"] if path == "/json" else [])


@pytest.mark.parametrize(
    ("answer", "id_"),
    [
        (answered(403, b"", ("Server", "AirTunes/870.14.1")), "A2"),
        (answered(403, b"<h1>Forbidden (403)</h1><p>CSRF verification failed.</p>"), "A5"),
        (answered(400, b"<p>The CSRF token is missing.</p>"), "A5"),
        (answered(422, b"ActionController::InvalidAuthenticityToken"), "A5"),
        (answered(419, b"<title>Page Expired</title>"), "A5"),
        (answered(400, b"<title>DisallowedHost at /sms</title>"), "A6"),
        (answered(403, b'Blocked request. This host ("abc") is not allowed.'), "A6"),
        (answered(403, b"<h1>Blocked host: abc.ngrok-free.app</h1>"), "A6"),
        (answered(403, b"Invalid Host header"), "A6"),
        (answered(404, b"CSRF"), "A3"),
        (answered(405), "A4"),
        (answered(401), "A11"),
        (answered(403), "A11"),
        (answered(502, b"Invalid Host header"), "A11"),
    ],
)
def test_a_refusal_is_known_by_the_marks_of_its_framework(answer, id_):
    """A2, A5 and A6 of AirPlay, Django, Flask-WTF, Rails, Laravel, Vite and webpack; else A11."""
    found = list(causes(REQUEST, answer))

    assert [finding.id for finding in found] == [id_]
    assert found[0].code == 11200
    assert found[0].line


def test_the_host_that_is_not_allowed_is_the_one_the_app_saw():
    """A6: of the Host header where there is one, else of the URL."""
    answer = answered(400, b"DisallowedHost")

    assert next(causes(FORWARDED, answer)).values == {"host": "abc.ngrok-free.app"}
    assert next(causes(REQUEST, answer)).values == {"host": "127.0.0.1:5000"}


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (400, b"Failed to decode JSON object: Expecting value: line 1 column 1 (char 0)"),
        (415, b"Did not attempt to load JSON data"),
        (500, b"json.decoder.JSONDecodeError: Expecting value"),
        (400, b"SyntaxError: Unexpected token M in JSON at position 0"),
        (422, b'{"detail":[{"type":"json_invalid","loc":["body",0],"msg":"JSON decode error"}]}'),
    ],
)
def test_an_app_that_reads_json_is_told_that_there_is_none(status, body):
    """A8, besides what it answered."""
    assert ids(REQUEST, answered(status, body)) == ["A11", "A8"]


@pytest.mark.parametrize(
    ("method", "status", "location", "url", "consequence", "code"),
    [
        ("POST", 301, "https://127.0.0.1/sms", "https://127.0.0.1/sms", "repeat it as GET", None),
        ("POST", 303, "/sms/", "http://127.0.0.1:5000/sms/", "repeat it as GET", None),
        ("GET", 302, "/sms/", "http://127.0.0.1:5000/sms/", "call it there", None),
        ("POST", 307, "/sms/", "http://127.0.0.1:5000/sms/", "call it there", None),
        ("POST", 308, "/sms/", "http://127.0.0.1:5000/sms/", "does not follow it", 11216),
        ("POST", 302, None, "nowhere", "does not follow it", 11216),
        ("POST", 302, "http://[", "http://[", "repeat it as GET", None),
    ],
)
def test_a_redirect_is_shown_with_what_becomes_of_it(
    method, status, location, url, consequence, code
):
    """T14: where it points, and what Twilio would make of it."""
    headers = (("Location", location),) if location else ()
    request = Request(method, REQUEST.url, FORM, BODY)

    (finding,) = causes(request, Answer(status, headers))

    assert (finding.id, finding.values["url"], finding.code) == ("T14", url, code)
    assert consequence in finding.line
    assert read_answer(request, Answer(status, headers)).error == code


def test_a_redirect_to_the_public_host_is_shown_as_the_apps_own_address():
    """T14: whoever forwarded to the address in Location would forward to themselves."""
    headers = (("Location", f"{PUBLIC}/"),)

    (finding,) = causes(FORWARDED, Answer(308, headers), public_url=PUBLIC)

    assert finding.values["url"] == f"{FORWARDED.url}/"


def test_a_refused_signature_is_laid_to_http_behind_https():
    """S1: a genuine signature, the public host, and still a refusal."""
    for status in (401, 403):
        assert ids(FORWARDED, answered(status), public_url=PUBLIC) == ["S1"]


def test_a_refusal_behind_https_may_have_another_cause():
    """S1 names the command that tells them apart, and S6 stands beside it for a trimmed text."""
    form = BODY + b"&Body=hi+"
    request = replace(FORWARDED, body=form)

    first, second = causes(request, answered(403), public_url=PUBLIC)

    assert f"smsquest check {FORWARDED.url}" in first.line
    assert second.id == "S6"


@pytest.mark.parametrize(
    ("headers", "cure"),
    [
        ((("Server", "Werkzeug/3.1 Python/3.11"),), "app.wsgi_app = ProxyFix("),
        ((("X-Powered-By", "Express"),), 'Express: app.set("trust proxy", true)'),
        ((("Server", "uvicorn"),), "--proxy-headers"),
        ((("Server", "WSGIServer/0.2 CPython/3.11"),), "SECURE_PROXY_SSL_HEADER"),
        ((), "Flask: "),
    ],
)
def test_the_cure_is_that_of_the_framework(headers, cure):
    """S1 says what to write, in the words of what the app seems to be made with."""
    (finding,) = read_answer(FORWARDED, Answer(403, headers, b""), public_url=PUBLIC).findings

    assert (finding.id, cure in finding.line) == ("S1", True)


@pytest.mark.parametrize(
    ("header", "xml", "route"),
    [
        (("Server", "Werkzeug/3.1 Python/3.11"), "mimetype=", '@app.post("/sms")'),
        (("Server", "uvicorn"), "media_type=", '@app.post("/sms")'),
        (("Server", "WSGIServer/0.2 CPython/3.11"), "content_type=", "take post"),
        (("X-Powered-By", "Express"), "res.type", 'app.post("/sms", ...)'),
    ],
)
def test_what_to_write_is_in_the_words_of_the_framework(header, xml, route):
    """R1 and A4: a line for Flask would not run in FastAPI."""
    json_reply = Answer(200, (header, ("Content-Type", "application/json")), b"{}")
    (wrong_type,) = read_answer(REQUEST, json_reply).findings
    (wrong_method,) = causes(REQUEST, answered(405, b"", header))

    assert (wrong_type.id, xml in wrong_type.line) == ("R1", True)
    assert (wrong_method.id, route in wrong_method.line) == ("A4", True)


def test_a_field_that_did_not_come_is_guessed_in_flask():
    """A11: Flask's own page names neither the field nor the way to read one that may be missing."""
    app = flask.Flask("app")
    app.add_url_rule("/sms", "sms", lambda: flask.request.form["MediaUrl0"], methods=["POST"])

    (finding,) = causes(REQUEST, call_wsgi(app, REQUEST))

    assert (finding.id, "request.form.get(" in finding.line) == ("A11", True)


def test_a_refused_signature_is_laid_to_the_local_host():
    """S2: the app saw another host than Twilio called."""
    (finding,) = causes(REQUEST, answered(403), public_url="https://me@abc.ngrok-free.app/sms")

    assert finding.id == "S2"
    assert finding.line.startswith(
        "your app rejected a genuine Twilio signature: it probably checked host 127.0.0.1:5000 "
        "instead of abc.ngrok-free.app. Flask: "
    )


def test_a_refused_signature_is_laid_to_another_path():
    """S4: that is certain, and whether the app believes the proxy cannot be seen before."""
    (finding,) = causes(FORWARDED, answered(403), public_url=PUBLIC + "/")

    assert (finding.id, finding.values["path"], finding.code) == ("S4", "/sms", 11200)


def test_a_refused_signature_is_laid_to_another_query():
    """S5: the app sees other bytes after the question mark."""
    request = Request("POST", "https://abc.ngrok-free.app/sms?b=1&a=2", FORWARDED.headers, BODY)

    (finding,) = causes(request, answered(403), public_url=PUBLIC + "?a=2&b=1")

    assert (finding.id, finding.values) == ("S5", {"query": "a=2&b=1", "seen": "b=1&a=2"})


@pytest.mark.parametrize(("body", "expected"), [(BODY, ["S10"]), (b"Body=hi+", ["S6", "S10"])])
def test_a_refused_signature_of_the_same_url_is_laid_to_the_token(body, expected):
    """S10: nothing about the URL differs; S6: the text ends in a blank that an app may trim."""
    request = Request("POST", PUBLIC, FORWARDED.headers, body)

    assert ids(request, answered(403), public_url=PUBLIC) == expected


@pytest.mark.parametrize(
    ("body", "content_type", "text"),
    [
        (WERKZEUG_DEBUGGER, "text/html", "ZeroDivisionError: division by zero"),
        (DJANGO_DEBUG, "text/html", "KeyError at /sms"),
        (EXPRESS, "text/html", "ReferenceError: body is not defined"),
        (TRACEBACK, "text/plain", "ZeroDivisionError: division by zero"),
        (b"<br />\n<b>Fatal error</b>:  Uncaught Error: x", "text/html",
         "Fatal error: Uncaught Error: x"),
        (b'{"error": {"code": 1}, "detail": "no such user &amp; co"}', "application/json",
         "no such user & co"),
        (b"[" * 100_000, "application/json", "[" * 79 + "…"),
        (b'{"detail": [{"msg": "JSON decode error"}]}', "application/json", "JSON decode error"),
        (b'["x"]', "application/problem+json", '["x"]'),
        (b"{x", "application/json", "{x"),
        (b"\n\n  boom \n more", "text/plain", "boom"),
        (b"", "text/html", "Internal Server Error"),
        (b"<p> </p>", "text/html", "Internal Server Error"),
        (b"x" * 100, "text/plain", "x" * 79 + "…"),
    ],
)  # fmt: skip
def test_the_excerpt_of_an_error_page_is_what_says_something(body, content_type, text):
    """The exception of a debugger's page or traceback, not its markup."""
    assert excerpt(Answer(500, (("Content-Type", content_type),), body)) == text


def test_a_status_that_nobody_knows_has_no_phrase():
    """An empty answer of 599 says nothing at all."""
    assert excerpt(Answer(599)) == "no text"


@pytest.mark.parametrize(
    ("request_", "sid"),
    [
        (REQUEST, "SM1"),
        (Request("GET", "http://a/sms?MessageSid=SM2"), "SM2"),
        (Request("POST", "http://a/status", FORM, b"SmsSid=SM3"), "SM3"),
        (Request("POST", "http://a/sms", (), b"\xff"), None),
    ],
)
def test_a_webhook_is_about_the_message_that_it_names(request_, sid):
    """In its form or its query."""
    assert message_sid(request_) == sid


def test_what_was_forwarded_can_be_repeated_and_mended_behind_the_serve():
    """The lines name a command and an option that work there, and nowhere else."""
    request = Request("POST", REQUEST.url)

    (failed,) = causes(request, answered(500, b"boom"), public_url="https://x.example/sms")
    (missing,) = causes(request, answered(404), public_url="https://x.example/sms")

    assert failed.line.endswith("smsquest replay last")
    assert missing.line.endswith("--forward-to http://127.0.0.1:5000/YOUR/PATH")


def test_a_get_is_told_how_to_take_a_get():
    """A4 names the method that came, not the usual one."""
    (finding,) = causes(Request("GET", REQUEST.url), answered(405, b"", ("Allow", "POST")))

    assert finding.line.endswith('(405, allows: POST). Flask: @app.get("/sms")')


def test_a_good_answer_has_no_cause():
    """Nor has an empty one."""
    assert ids(REQUEST, answered(200)) == ids(REQUEST, answered(204)) == []


def test_an_answer_is_read_with_its_request_in_view():
    """Relative addresses are resolved against the public URL, not the forwarded one."""
    body = b"<Response><Message action='/status'>x</Message></Response>"
    answer = Answer(200, (("content-type", "text/xml"),), body)

    document = read_answer(FORWARDED, answer, public_url=PUBLIC)

    assert document.messages == (TwimlMessage("x", action="/status"),)
    assert document.findings[0].values["url"] == "https://abc.ngrok-free.app/status"


def test_a_failure_is_read_with_its_cause():
    """The error that Twilio has, and the finding that says why."""
    document = read_answer(REQUEST, answered(500, b"boom"))

    assert (document.error, [finding.id for finding in document.findings]) == (11200, ["A11"])


@pytest.mark.parametrize(("ms", "code"), [(10_000, None), (16_234, 11200)])
def test_a_slow_answer_is_noted(ms, code):
    """A7: from ten seconds on, an error where Twilio has given up."""
    document = read_answer(REQUEST, Answer(204, ms=ms))

    assert document.findings == (Finding("A7", {"seconds": f"{ms / 1000:.1f}"}, code),)
    assert document.error == code


def test_a_chunked_answer_without_a_body_is_an_error():
    """11770: announced and not sent."""
    document = read_answer(REQUEST, answered(200, b"", ("Transfer-Encoding", "Chunked")))

    assert (document.error, document.findings) == (11770, (Finding("R11", {}, 11770),))


@given(
    st.integers(200, 599),
    st.lists(
        st.tuples(st.sampled_from(["Location", "Content-Type", "Allow", "Server"]), st.text())
    ),
    st.binary() | st.sampled_from([WERKZEUG_DEBUGGER, EXPRESS, TRACEBACK, b"{}", b"csrf json"]),
    st.sampled_from([None, PUBLIC]),
)
def test_no_answer_makes_the_explanation_raise(status, headers, body, public_url):
    """Whatever an app answers, there is a line for it."""
    document = read_answer(REQUEST, Answer(status, tuple(headers), body), public_url=public_url)

    assert all(finding.line for finding in document.findings)
    assert document.findings or status < 300
