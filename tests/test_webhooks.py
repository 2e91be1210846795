"""Twilio's requests are checked, recorded and answered, whatever comes in between."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import textwrap
import threading
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from urllib.parse import quote_from_bytes, urlencode

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from smsquest_cli.eventlog import open_log
from smsquest_cli.events import Problem, Rejected, Reply
from smsquest_cli.problems import LocalError
from smsquest_cli.replies import no_reply, text_reply
from smsquest_cli.server import bind
from smsquest_cli.signing import Verifier, sign, sign_request
from smsquest_cli.webhooks import Answered, Receiver, RuleAnswerer, create_app
from smsquest_cli.webhooks.hot_routes import target_of
from smsquest_cli.webhooks.receiver import MAX_BODY
from smsquest_cli.webhooks.rejections import MERGE_SECONDS, Rejections
from smsquest_cli.wire import Request, call_wsgi

TOKEN = "0123456789abcdef0123456789abcdef"
PUBLIC = "https://quest.example"
ACCOUNT = "AC" + "1" * 32
SID = "SM" + "2" * 32
FORM = {
    "MessageSid": SID,
    "AccountSid": ACCOUNT,
    "From": "+12025550143",
    "To": "+12025550100",
    "Body": "héllo & <quest>",
    "NumMedia": "0",
    "FromCity": "",
}
STATUS = {
    "MessageSid": "SM" + "3" * 32,
    "MessageStatus": "sent",
    "AccountSid": ACCOUNT,
    "From": "+12025550100",
    "To": "+12025550143",
}
FORM_TYPE = "application/x-www-form-urlencoded"


def without(form, *names):
    return {name: value for name, value in form.items() if name not in names}


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: str

    @property
    def media_type(self):
        return self.headers.get("Content-Type", "").partition(";")[0]


class Door:
    """A receiver that is served, and Twilio in front of it."""

    def __init__(self, log, port, receiver):
        self.log = log
        self.port = port
        self.receiver = receiver

    def send(self, method, target, body=b"", headers=(), *, connection=None):
        """Any request, and the answer."""
        own = connection or http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            own.request(method, target, body, dict(headers))
            answer = own.getresponse()
            return Answer(answer.status, dict(answer.getheaders()), answer.read().decode())
        finally:
            if connection is None:
                own.close()

    def post(self, path="/sms", form=FORM, *, url=None, token=TOKEN, headers=(), **options):
        """A signed POST of *form*; *url* is what is signed, *token* None leaves that out."""
        pairs = [*form.items()] if isinstance(form, dict) else form
        fields = {"Content-Type": FORM_TYPE, **dict(headers)}
        if token is not None:
            fields["X-Twilio-Signature"] = sign(url or PUBLIC + path, pairs, token)
        return self.send("POST", path, urlencode(pairs), fields, **options)

    def get(self, path="/sms", form=FORM):
        """A signed GET."""
        target = f"{path}{'&' if '?' in path else '?'}{urlencode(form)}"
        fields = {"X-Twilio-Signature": sign(PUBLIC + target, (), TOKEN)}
        return self.send("GET", target, headers=fields)

    def events(self, *types):
        return [stored.event for stored in self.log.read(0, types=types or None).events]

    def problems(self):
        return [(problem.id, problem.severity) for problem in self.events("problem")]


@contextmanager
def opened(log, answerer=None, *, quick=True, public_url=PUBLIC, **options):
    receiver = Receiver(
        log,
        answerer or RuleAnswerer(text_reply("You said: {Body}"), "reply"),
        **{"run": "run-1", "verifier": Verifier(TOKEN), "account_sid": ACCOUNT, **options},
    )
    receiver.move(public_url)
    listening = bind(0)
    with listening.serving(create_app(receiver), quick=receiver if quick else None):
        yield Door(log, listening.port, receiver)
    receiver.close()


@pytest.fixture
def log(tmp_path):
    with closing(open_log(tmp_path / "events.sqlite3", run="run-1")) as log:
        yield log


@pytest.fixture(params=["lane", "threads"])
def way(request):
    """Requests are answered in the server's own thread, or in one of the app's."""
    return {"quick": request.param == "lane"}


@pytest.fixture
def door(log, way):
    with opened(log, **way) as door:
        yield door


# Messages


@pytest.mark.parametrize("method", ["post", "get"])
def test_a_message_is_recorded_and_answered(door, method):
    """TwiML as text/xml, with both attributes for the status; message and reply are records."""
    answer = getattr(door, method)()

    url = f"{PUBLIC}/status?re={SID}"
    inbound, reply = door.events()
    assert (answer.status, answer.media_type) == (200, "text/xml")
    assert f'action="{url}" statusCallback="{url}">You said: héllo &amp; &lt;quest' in answer.body
    assert (inbound.sid, inbound.body, inbound.method) == (SID, FORM["Body"], method.upper())
    assert (inbound.signature, inbound.segments, inbound.encoding) == ("valid", 1, "GSM-7")
    assert (reply.in_reply_to, reply.source, reply.http_status) == (SID, "reply", 200)
    assert [message.body for message in reply.messages] == ["You said: " + FORM["Body"]]


def test_media_and_segments_are_told(door):
    """An MMS keeps its attachments; the segments are those of the text."""
    media = {"NumMedia": "1", "MediaUrl0": "https://x.example/1", "MediaContentType0": "image/png"}

    door.post(form={**FORM, **media, "Body": "😀" * 40})

    inbound = door.events("inbound")[0]
    assert [(one.url, one.content_type) for one in inbound.media] == [
        ("https://x.example/1", "image/png")
    ]
    assert (inbound.segments, inbound.encoding) == (2, "UCS-2")


@pytest.mark.parametrize("target", ["/sms?a=%2F%20+b&c=", "/sms?", "/%73ms?x=%C3%A9"])
def test_the_query_counts_as_it_was_sent(door, target):
    """The signature covers the raw path and query, which nothing decodes and encodes again."""
    assert door.post(target).status == 200


@pytest.mark.parametrize(
    ("public_url", "called", "arrives"),
    [
        ("https://quest.example/", "https://quest.example/sms", "/sms"),
        ("https://user:pass@quest.example#rc=2", "https://quest.example/sms", "/sms"),
        ("https://x.example/hooks", "https://x.example/hooks/sms", "/hooks/sms"),
        ("https://x.example/hooks/", "https://x.example/hooks/sms", "/sms"),
        ("http://x.example:8080", "http://x.example:8080/sms", "/sms"),
    ],
)
def test_the_public_url_may_be_any(log, way, public_url, called, arrives):
    """With path, user or port; a proxy in between strips the path of what it passes on or not."""
    with opened(log, public_url=public_url, **way) as door:
        assert door.post(arrives, url=called).status == 200
        assert door.send("GET", arrives.replace("sms", "healthz")).status == 200


def test_a_moved_tunnel_is_believed_at_once(door):
    """After the address changed the new one counts, and the old one is named as the reason."""
    door.receiver.move("https://new.example")

    assert door.post().status == 403
    assert door.post(url="https://new.example/sms").status == 200
    assert door.events("rejected")[0].hint == "signed for the public URL before"


def test_of_former_addresses_only_the_last_are_tried(door):
    """A tunnel that moves all day does not make a stranger's request ever more costly."""
    for number in range(4):
        door.receiver.move(f"https://{number}.example")

    door.post()

    assert door.events("rejected")[0].hint.startswith("not signed with")


def test_a_repeated_field_counts_as_in_flask(door):
    """Of two values the first is taken, and both are signed."""
    door.post(form=[*FORM.items(), ("Body", "second")])

    assert door.events("inbound")[0].body == FORM["Body"]


def test_the_request_is_kept_to_be_delivered_again(door):
    """The recorded request is the one that Twilio signed, without what is secret in it."""
    door.post("/sms?x=%20", headers={"Authorization": "Basic c2VjcmV0", "Cookie": "a=b"})

    request = door.log.request_of(SID)

    assert (request.method, request.url) == ("POST", PUBLIC + "/sms?x=%20")
    assert request.body == urlencode(FORM).encode()
    assert sign_request(request, TOKEN) == request.header("X-Twilio-Signature")
    assert request.header("Content-Type") == FORM_TYPE
    assert request.header("Authorization") is request.header("Cookie") is None


@pytest.mark.parametrize("sid", ["SM&x=1", "SM é/?#", "SM" + "9" * 500])
def test_a_strange_sid_makes_no_strange_url(door, sid):
    """Whatever stands in MessageSid comes back as ``re`` and nowhere else."""
    twiml = door.post(form={**FORM, "MessageSid": sid}).body
    url = re.search(r'action="([^"]*)"', twiml)[1].replace("&amp;", "&")

    door.post(url.removeprefix(PUBLIC), STATUS)

    assert door.events("status")[0].in_reply_to == sid


# Statuses


@pytest.mark.parametrize("method", ["post", "get"])
def test_a_status_is_recorded_and_confirmed(door, method):
    """204 without a body; the ``re`` of our own status URL says which message it answers."""
    answer = getattr(door, method)(f"/status?re={SID}", STATUS)

    (status,) = door.events()
    assert (answer.status, answer.body) == (204, "")
    assert (status.sid, status.status, status.current) == (STATUS["MessageSid"], "sent", "sent")
    assert (status.from_, status.to, status.in_reply_to) == ("+12025550100", "+12025550143", SID)


def test_a_status_may_come_where_messages_come_in(door):
    """``action="/sms"``: it is no message of nobody's, and is not answered as one."""
    answer = door.post("/sms", STATUS)

    assert (answer.status, door.events("inbound")) == (204, [])
    assert [event.status for event in door.events("status")] == ["sent"]


def test_a_status_may_use_the_older_names_and_carry_an_error(door):
    """``SmsSid`` and ``SmsStatus`` are the same; an unknown status is kept."""
    door.post("/status", {"SmsSid": "SM4", "SmsStatus": "novel", "ErrorCode": "30003"})

    (status,) = door.events()
    assert (status.sid, status.status, status.error_code) == ("SM4", "novel", 30003)


# Refusals

OTHER = {**FORM, "AccountSid": "AC" + "9" * 32}
SHARED_KEY = {"X-Twilio-Webhooks-Signature-Settings": "key=WK1,algorithm=HMAC_SHA256"}


@pytest.mark.parametrize(
    ("options", "status", "reason", "hint"),
    [
        ({"token": None}, 403, "unsigned", "no X-Twilio-Signature"),
        ({"token": "f" * 32}, 403, "signature", "not signed with the auth token of AC11…11"),
        (
            {"token": "f" * 32, "form": OTHER},
            403,
            "signature",
            r"signature of AC99…99 .* of AC11…11",
        ),
        ({"url": "http://quest.example/sms"}, 403, "signature", "signed for http instead of"),
        ({"headers": SHARED_KEY}, 403, "shared-key", r"shared key WK1 \(HMAC_SHA256\)"),
        ({"form": without(FORM, "From", "To")}, 400, "malformed", "no From and To"),
        ({"form": {}}, 400, "malformed", "no MessageSid"),
        ({"path": "/status", "form": FORM}, 400, "malformed", "no MessageStatus"),
        ({"form": {**FORM, **dict.fromkeys(map(str, range(600)), "")}}, 403, "malformed", "500"),
    ],
)
def test_what_is_not_twilios_is_refused_and_recorded(door, options, status, reason, hint):
    """403 for what is not signed as configured, 400 for what is but lacks its fields."""
    answer = door.post(**options)

    (rejected,) = door.events()
    assert (answer.status, answer.media_type) == (status, "text/plain")
    assert isinstance(rejected, Rejected)
    assert (rejected.path, rejected.method) == (options.get("path", "/sms"), "POST")
    assert (rejected.reason, rejected.count) == (reason, 1)
    assert re.search(hint, rejected.hint)


@pytest.mark.parametrize("content_type", ["application/json", "text/plain", "multipart/form-data"])
def test_what_is_no_form_is_malformed_whatever_its_url_says(door, content_type):
    """A signed JSON body is genuine and still not a webhook of a message."""
    body = json.dumps(FORM).encode()
    target = f"/sms?bodySHA256={sha256(body).hexdigest()}"
    headers = {
        "Content-Type": content_type,
        "X-Twilio-Signature": sign(PUBLIC + target, (), TOKEN),
    }

    answer = door.send("POST", target, body, headers)

    assert answer.status == 403
    assert door.events()[0].reason == "malformed"
    assert content_type in door.events()[0].hint


@pytest.mark.parametrize("raw", [b"Body=%FF", b"Body=\xff", b"%C3=x"])
def test_what_is_no_text_is_malformed(log, way, raw):
    """Bytes that are no UTF-8 are refused rather than guessed at, also without a check."""
    with opened(log, verifier=None, **way) as door:
        answer = door.send("POST", "/sms", raw, {"Content-Type": FORM_TYPE})

        assert answer.status == 403
        assert door.events()[0].reason == "malformed"


@pytest.mark.parametrize("size", [0, 1, 8191, 8192, 8193, MAX_BODY - 1, MAX_BODY])
def test_a_body_of_any_size_up_to_the_limit_passes(door, size):
    """Whatever fits is taken whole."""
    body = "x" * max(0, size - len(urlencode({**FORM, "Body": ""})))

    answer = door.post(form={**FORM, "Body": body})

    assert answer.status == 200
    assert door.events("inbound")[0].body == body


@pytest.mark.parametrize("size", [MAX_BODY + 1, 3 * MAX_BODY, 5 * MAX_BODY])
def test_a_body_past_the_limit_is_refused(door, size):
    """413, however genuine it is, and the next request is served."""
    with suppress(ConnectionError):  # a client that goes on sending may not hear the answer
        assert door.post(form={**FORM, "Body": "x" * size}).status == 413

    assert door.post().status == 200
    assert [event.body for event in door.events("inbound")] == [FORM["Body"]]


def test_without_a_check_everything_passes_and_says_so(log, way):
    """``--no-verify`` or only an API key: ``unchecked``; fields are needed all the same."""
    with opened(log, verifier=None, **way) as door:
        assert door.post(token=None).status == 200
        assert door.post(token="wrong").status == 200
        assert door.post(form=without(FORM, "From"), token=None).status == 400
        assert {event.signature for event in door.events("inbound")} == {"unchecked"}


@pytest.mark.parametrize("secret", [None, ""])
def test_an_empty_secret_accepts_nothing(log, way, secret):
    """An empty auth token never means "accept everything", not even what is signed with it."""
    with opened(log, verifier=Verifier(secret), **way) as door:
        assert door.post(token="").status == 403
        assert door.post().status == 403


@pytest.mark.parametrize("method", ["HEAD", "PUT", "DELETE", "OPTIONS", "PATCH", "BREW"])
def test_other_methods_are_not_allowed(door, method):
    """405 says what is; a HEAD has no body."""
    answer = door.send(method, "/sms")

    assert (answer.status, answer.headers["Allow"]) == (405, "GET, POST")
    assert (answer.body == "") == (method == "HEAD")


@pytest.mark.parametrize("path", ["/", "/sms/", "/SMS", "/status/", "/healthz/", "/%2e%2e/x", "//"])
def test_anything_else_is_not_found_and_never_a_redirect(door, path):
    """Twilio does not follow the 308 that Flask likes to answer with."""
    answer = door.send("POST", path, b"a=b", {"Content-Type": FORM_TYPE})

    assert (answer.status, answer.media_type) == (404, "text/plain")
    assert door.events() == []


def test_the_health_of_a_run_is_told(door):
    """``/healthz`` names the run, so that a self-test knows whom it has met."""
    answer = door.send("GET", "/healthz")

    assert json.loads(answer.body) == {"ok": True, "run": "run-1"}


@pytest.mark.parametrize(
    ("environ", "target"),
    [
        ({"REQUEST_URI": "/sms?a=%2F"}, "/sms?a=%2F"),
        ({"RAW_URI": "/%73ms"}, "/%73ms"),
        ({"REQUEST_URI": "http://x.example/sms?a#b"}, "/sms?a"),
        ({"PATH_INFO": "/\xc3\xa9", "QUERY_STRING": "a=%2F"}, "/%C3%A9?a=%2F"),
        ({"PATH_INFO": "/sms"}, "/sms"),
    ],
)
def test_the_raw_target_is_found_under_any_server(environ, target):
    """Each server has its own name for it; where there is none, it is made of what there is."""
    assert target_of(environ) == target


def test_a_length_that_is_none_counts_as_nothing(door):
    """Under another server a broken length is no error of ours."""
    app = create_app(door.receiver)
    request = Request("POST", PUBLIC + "/sms", (("Content-Length", "x"),))

    assert call_wsgi(app, request).status == 403


def test_flasks_test_client_works_too(log):
    """The app is an ordinary Flask app for whoever tests with it."""
    receiver = Receiver(
        log, RuleAnswerer(no_reply(), "none"), run="run-1", verifier=Verifier(TOKEN)
    )
    receiver.move(PUBLIC)
    client = create_app(receiver).test_client()

    def signed(target):
        return {"X-Twilio-Signature": sign(PUBLIC + target, FORM.items(), TOKEN)}

    assert client.post("/sms?a=%2F", data=FORM, headers=signed("/sms?a=%2F")).status_code == 200
    assert client.post("/sms", data=FORM).status_code == 403
    assert client.get("/nothing").status_code == 404


# Floods of refusals


def test_a_flood_of_refusals_fills_neither_log_nor_screen(door):
    """The first is recorded at once, the rest a second at a time; none is left out."""
    connection = http.client.HTTPConnection("127.0.0.1", door.port, timeout=10)
    with closing(connection):
        for _ in range(300):
            assert door.post(token=None, connection=connection).status == 403
    assert door.events("rejected")[0].count == 1
    door.receiver.close()

    counts = [event.count for event in door.events("rejected")]

    assert sum(counts) == 300
    assert len(counts) < 10


class Clock:
    def __init__(self):
        self.seconds = 0.0

    def __call__(self):
        return self.seconds


def test_refusals_are_merged_by_reason_and_path():
    """One record for each second of each kind; the hint stands with what it was made of."""
    clock, recorded = Clock(), []
    rejections = Rejections(recorded.append, now=lambda: datetime.now(UTC), clock=clock)

    def refuse(path, reason, times=1):
        for _ in range(times):
            rejections.add(path, "POST", reason, hint=lambda: reason + "!")

    refuse("/sms", "unsigned", 3)
    refuse("/sms", "signature", 2)
    refuse("/status", "unsigned")
    clock.seconds += MERGE_SECONDS
    refuse("/sms", "unsigned")
    rejections.flush()
    rejections.flush()

    told = [(one.path, one.reason, one.count, one.hint) for one in recorded]
    assert told == [
        ("/sms", "unsigned", 1, "unsigned!"),
        ("/sms", "signature", 1, "signature!"),
        ("/status", "unsigned", 1, "unsigned!"),
        ("/sms", "unsigned", 3, "unsigned!"),
        ("/sms", "signature", 1, None),
    ]


def test_the_last_refusals_are_recorded_by_themselves(monkeypatch):
    """A flood that ends is counted to its end, without another request."""
    monkeypatch.setattr("smsquest_cli.webhooks.rejections.MERGE_SECONDS", 0.05)
    recorded, all_told = [], threading.Event()

    def record(rejected):
        recorded.append(rejected.count)
        if sum(recorded) == 3:
            all_told.set()

    rejections = Rejections(record, now=lambda: datetime.now(UTC), clock=Clock())
    for _ in range(3):
        rejections.add("/sms", "POST", "unsigned", hint=lambda: None)

    assert all_told.wait(5)
    assert recorded == [1, 2]


def test_a_log_that_takes_nothing_does_not_stop_refusals():
    """A stranger is refused even while nothing can be recorded."""

    def full(_):
        raise LocalError("L3", path="x")

    rejections = Rejections(full, now=lambda: datetime.now(UTC))

    rejections.add("/sms", "POST", "unsigned", hint=lambda: None)


@pytest.mark.parametrize(
    "more", [{"Body": "x" * 9000}, {f"Field{number}": "" for number in range(90)}]
)
def test_explaining_is_for_small_requests_and_now_and_then(door, more):
    """A hostile request does not make us try hundreds of signatures, not again and again."""
    door.post(form={**FORM, **more}, url="http://quest.example/sms")
    door.post("/status", STATUS, url="http://quest.example/status")
    door.receiver._rejections.flush()
    door.receiver._rejections._kinds.clear()  # as if a second had passed for the records
    door.post("/status", STATUS, url="http://quest.example/status")

    hints = [event.hint for event in door.events("rejected")]

    assert hints[0].startswith("not signed with")
    assert hints[1] == "signed for http instead of https"
    assert hints[2].startswith("not signed with")


# Notes


@pytest.mark.parametrize(
    ("form", "problem"),
    [
        ({**FORM, "Body": " stop "}, ("D8", "note")),
        ({**FORM, "OptOutType": "STOP"}, ("D8", "note")),
        ({**FORM, "From": " 12025550143"}, ("A12", "note")),
        ({**FORM, "ErrorCode": "11200", "ErrorUrl": "https://app.example/sms"}, ("N15", "note")),
        (OTHER, ("C7", "note")),
    ],
)
def test_what_the_user_should_know_is_noted(door, form, problem):
    """A message passes, and a note about it says what is remarkable."""
    assert door.post(form=form).status == 200

    assert door.problems() == [problem]
    assert door.events("problem")[0].sid == SID


@pytest.mark.parametrize("body", ["START", "help", "stop please"])
def test_only_an_opt_out_is_noted_as_one(door, body):
    """START and HELP are told by the record; a sentence is none of these."""
    door.post(form={**FORM, "Body": body})

    assert door.problems() == []


def test_why_messages_fail_is_said_once_for_each_code(door):
    """D11 with the cause, D7 where the carriers drop what the number sends; a repeat is no news."""
    codes = {"SM1": "30003", "SM2": "30003", "SM3": "30034", "SM4": None}
    for sid, code in codes.items():
        form = {**STATUS, "MessageSid": sid, "MessageStatus": "undelivered", "From": "+12025550100"}
        for _ in range(2):
            door.post("/status", {**form, "ErrorCode": code} if code else form)

    first, second = door.events("problem")
    assert (first.id, first.sid, "SM1 undelivered (30003): " in first.line) == ("D11", "SM1", True)
    assert (second.id, second.sid) == ("D7", "SM3")
    assert second.line.startswith("30034: +12025550100 is not registered (A2P 10DLC)")


@pytest.mark.parametrize(
    ("code", "id_", "words"),
    [
        ("21610", "D8", "until START"),
        ("14111", "D5", "is not verified (14111)"),
        ("14107", "R6", "answer each other"),
    ],
)
def test_a_failure_with_a_cure_of_its_own_says_it(door, code, id_, words):
    """A reply to somebody who sent STOP, of a trial account, or in a loop."""
    door.post("/status", {**STATUS, "MessageStatus": "failed", "ErrorCode": code})

    (problem,) = door.events("problem")
    assert (problem.id, problem.severity, words in problem.line) == (id_, "error", True)


def test_requests_of_another_account_are_noted_once(door):
    """A sub-account's messages and statuses pass; the note does not come with each of them."""
    for status in ("queued", "sent", "delivered"):
        door.post("/status", {**STATUS, "MessageStatus": status, "AccountSid": "AC2"})
    door.post(form={**FORM, "AccountSid": "AC2"})

    assert door.problems() == [("C7", "note")]


def test_a_character_that_makes_a_reply_longer_is_noted_once(log, way):
    """D9: which one, and what it would be without; not what costs no more."""
    rule = RuleAnswerer(text_reply("It\N{RIGHT SINGLE QUOTATION MARK}s {Body}"), "reply")
    with opened(log, rule, **way) as door:
        for sid, body in (("SM1", "short"), ("SM2", "long " * 20), ("SM3", "long " * 20)):
            door.post(form={**FORM, "MessageSid": sid, "Body": body})

        (note,) = door.events("problem")

    assert (note.id, note.severity, note.sid) == ("D9", "note", "SM2")
    assert note.line.startswith(
        'your reply: 2 segments of UCS-2 because of "\N{RIGHT SINGLE QUOTATION MARK}" at 3 '
    )


@pytest.mark.parametrize(
    ("tokens", "reason"),
    [(("a", "a"), "Twilio retry"), (("a", "b"), "replay"), ((None, None), "replay")],
)
def test_a_repeated_message_is_answered_again_and_shown_once(door, tokens, reason):
    """Twilio's retry is told from a replay by its token; the sender's reply is the same."""
    answers = [
        door.post(headers={"I-Twilio-Idempotency-Token": token} if token else {}).body
        for token in tokens
    ]

    assert answers[0] == answers[1]
    assert [event.duplicate for event in door.events("inbound")] == [False, True]
    (problem,) = door.events("problem")
    assert problem.id == "S8"
    assert f"({reason}); shown once, answered again" in problem.line


def test_the_fallback_of_a_message_is_no_repetition(door):
    """Twilio asks a second time because the first failed: that is what is said."""
    door.post()
    door.post(form={**FORM, "ErrorCode": "11200"})

    assert door.problems() == [("N15", "note")]


# An app that answers


class App:
    """A developer's app that looks at the log before, after and while it works."""

    def __init__(self, log):
        self._log = log
        self.seen = []
        self.requests = []

    def answer(self, message, request, record):
        self._look()
        record()
        self._look()
        self.requests.append(request)
        at = datetime.now(UTC)
        reply = Reply(ts=at, in_reply_to=message.sid, source="app", http_status=418, ms=1)
        problem = Problem.of("A11", at=at, sid=message.sid, status=418, excerpt="tea", repeat="")
        return Answered(418, (("Content-Type", "x/y"),), b"tea", reply, (problem,))

    def status(self, request):
        assert request.url == PUBLIC + "/status"
        self._look()
        return (Problem.of("A8", at=datetime.now(UTC), cure="read the form"),)

    def close(self):
        self.seen.append("closed")

    def _look(self):
        self.seen.append([stored.event.type for stored in self._log.read(0).events])


def test_a_message_is_safe_before_it_is_answered(log, way):
    """The app's answer goes out as it is, and nothing that happens there loses the message."""
    app = App(log)
    with opened(log, app, **way) as door:
        answer = door.post(headers={"Authorization": "Basic eA=="})
        told = [event.type for event in door.events()]
        door.post("/status", STATUS)
        types = [event.type for event in door.events()]

    assert (answer.status, answer.body, answer.media_type) == (418, "tea", "x/y")
    assert app.seen == [[], ["inbound"], ["inbound", "reply", "problem", "status"], "closed"]
    assert told == ["inbound", "reply", "problem"]
    assert types == ["inbound", "reply", "problem", "status", "problem"]
    assert app.requests[0].header("authorization") == "Basic eA=="


@pytest.mark.parametrize("target", ["/sms", "/status"])
@pytest.mark.parametrize("answerer", [None, App])
def test_nothing_is_confirmed_before_it_is_on_the_disk(log, way, monkeypatch, answerer, target):
    """After a power cut all is there that Twilio was told we have, whoever answers it."""
    order, sync = [], log.sync
    reached, released = threading.Event(), threading.Event()

    def slow_disk():
        order.append(next(stored.event.type for stored in log.read(0).events))
        reached.set()
        assert released.wait(20)
        sync()
        order.append("on disk")

    monkeypatch.setattr(log, "sync", slow_disk)
    form = STATUS if target == "/status" else FORM

    def post():
        door.post(target, form)
        order.append("answered")

    with opened(log, answerer and answerer(log), **way) as door:
        client = threading.Thread(target=post)
        client.start()
        assert reached.wait(20)
        client.join(0.05)
        released.set()
        client.join(20)

    assert order == ["status" if target == "/status" else "inbound", "on disk", "answered"]


def test_what_an_app_answered_is_not_confirmed_unless_it_is_recorded(log, way):
    """A full disk: the app was asked, and Twilio hears 503 all the same."""
    with opened(log, App(log), **way) as door:
        log._writer.execute("PRAGMA query_only = 1")
        assert door.post().status == 503
        log._writer.execute("PRAGMA query_only = 0")

        assert door.post().status == 418
        assert [event.duplicate for event in door.events("inbound")] == [False]


def test_a_repeated_message_is_forwarded_again(log):
    """The app is asked again, as Twilio would, and the note says so."""
    with opened(log, App(log)) as door:
        door.post()
        door.post()

        assert "forwarded again" in door.events("problem")[-2].line


# Whatever happens


def test_what_cannot_be_recorded_is_not_confirmed(door):
    """A full disk: Twilio hears 503 and turns to the fallback; strangers are refused as ever."""
    door.log._writer.execute("PRAGMA query_only = 1")
    assert door.post().status == 503
    assert door.post("/status", STATUS).status == 503
    assert door.post(token=None).status == 403
    assert door.send("GET", "/healthz").status == 200
    door.log._writer.execute("PRAGMA query_only = 0")

    assert door.post().status == 200
    assert [event.duplicate for event in door.events("inbound")] == [False]


def test_many_senders_at_once_each_get_their_own_answer(door):
    """Threads on kept connections: every message is recorded once and answered with its text."""
    failures = []

    def text(sender):
        connection = http.client.HTTPConnection("127.0.0.1", door.port, timeout=20)
        with closing(connection):
            for number in range(25):
                words = f"message {number} of {sender}"
                form = {**FORM, "MessageSid": f"SM{sender}-{number}", "Body": words}
                answer = door.post(form=form, connection=connection)
                if answer.status != 200 or f"You said: {words}<" not in answer.body:
                    failures.append(answer)

    threads = [threading.Thread(target=text, args=(sender,)) for sender in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    sids = [event.sid for event in door.events("inbound")]
    assert failures == []
    assert len(sids) == len(set(sids)) == 200


def test_a_burst_of_callbacks_is_confirmed_and_recorded_to_the_last(log):
    """Thousands at once on few connections, none waiting for its answer: nothing is dropped."""
    senders, each = 8, 500

    def burst(number):
        requests = []
        for index in range(each):
            form = {**STATUS, "MessageSid": f"SM{number}-{index}"}
            body = urlencode(form)
            signature = sign(f"{PUBLIC}/status", form.items(), TOKEN)
            requests.append(
                f"POST /status HTTP/1.1\r\nHost: h\r\nContent-Type: {FORM_TYPE}\r\n"
                f"X-Twilio-Signature: {signature}\r\nContent-Length: {len(body)}\r\n\r\n{body}"
            )
        with socket.create_connection(("127.0.0.1", door.port), timeout=30) as client:
            sending = threading.Thread(target=client.sendall, args=("".join(requests).encode(),))
            sending.start()
            answers = b""
            while answers.count(b"\r\n\r\n") < each:
                answers += client.recv(65536)
            sending.join()
            confirmed.append(answers.count(b"HTTP/1.1 204 "))

    confirmed = []
    with opened(log) as door:
        threads = [threading.Thread(target=burst, args=(number,)) for number in range(senders)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        recorded = {s.event.sid for s in log.read(0, limit=10**6, types=["status"]).events}

    assert confirmed == [each] * senders
    assert len(recorded) == each * senders


SERVER = """
    import sys
    from smsquest_cli.eventlog import open_log
    from smsquest_cli.replies import text_reply
    from smsquest_cli.server import bind
    from smsquest_cli.signing import Verifier
    from smsquest_cli.webhooks import Receiver, RuleAnswerer, create_app

    log = open_log(sys.argv[1], run="r")
    answerer = RuleAnswerer(text_reply("{Body}"), "reply")
    receiver = Receiver(log, answerer, run="r", verifier=Verifier(sys.argv[2]))
    receiver.move(sys.argv[3])
    listening = bind(0)
    quick = receiver if sys.argv[4] == "lane" else None
    with listening.serving(create_app(receiver), quick=quick):
        print(listening.port, flush=True)
        sys.stdin.read()
"""


@pytest.mark.parametrize("lane", ["lane", "threads"])
def test_nothing_that_was_answered_is_lost_by_sigkill(tmp_path, lane):
    """Killed while webhooks pour in: each that got 200 or 204 is in the log, readable."""
    path = tmp_path / "events.sqlite3"
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(SERVER), str(path), TOKEN, PUBLIC, lane],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
    )
    confirmed, enough = [], threading.Event()

    def pour(door, sender):
        connection = http.client.HTTPConnection("127.0.0.1", door.port, timeout=10)
        with closing(connection), suppress(OSError, http.client.HTTPException):
            for number in range(10**6):
                sid = f"SM{sender}-{number}"
                form = {**STATUS, "MessageSid": sid} if number % 3 else {**FORM, "MessageSid": sid}
                path = "/status" if number % 3 else "/sms"
                if door.post(path, form, connection=connection).status in (200, 204):
                    confirmed.append(sid)
                if len(confirmed) > 400:
                    enough.set()

    with process:
        door = Door(None, int(process.stdout.readline()), None)
        threads = [threading.Thread(target=pour, args=(door, sender)) for sender in range(6)]
        for thread in threads:
            thread.start()
        assert enough.wait(30)
        process.send_signal(signal.SIGKILL)
        for thread in threads:
            thread.join(10)

    with closing(open_log(path, run="after")) as log:
        recorded = {
            stored.event.sid
            for stored in log.read(0, limit=10**6).events
            if stored.event.type in ("inbound", "status")
        }
        assert log.notes == ()
    assert set(confirmed) <= recorded


TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=12)
FIELDS = st.dictionaries(
    st.sampled_from([*FORM, *STATUS, "NumMedia", "MediaUrl0", "ErrorCode", "OptOutType"]) | TEXT,
    st.sampled_from(["", " ", "STOP", "sent", "9" * 30, "-1", "\x00"]) | TEXT,
    max_size=10,
)


@pytest.fixture(scope="module")
def open_door(tmp_path_factory):
    """One receiver for very many requests; it checks nothing, so that all get through."""
    path = tmp_path_factory.mktemp("fuzz") / "events.sqlite3"
    with closing(open_log(path, run="run-1")) as log, opened(log, verifier=None) as door:
        yield door


@settings(suppress_health_check=[HealthCheck.too_slow], max_examples=75)
@given(path=st.sampled_from(["/sms", "/status"]), fields=FIELDS, post=st.booleans())
@example(path="/sms", fields={**FORM, "Body": "\x00\ufffd\u2028"}, post=True)
def test_any_fields_are_taken_or_refused(open_door, path, fields, post):
    """No form makes an error of the server: 200 and 204, or 400 where fields are missing."""
    if post:
        answer = open_door.post(path, fields, token=None)
    else:
        answer = open_door.send("GET", f"{path}?{urlencode(fields)}")

    assert answer.status in (200, 204, 400)


SAFE = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=15)
HEADERS = st.dictionaries(
    st.sampled_from(
        [
            "Content-Type",
            "Cookie",
            "Expect",
            "Host",
            "I-Twilio-Idempotency-Token",
            "X-Forwarded-Host",
            "X-Twilio-Signature",
            "X-Twilio-Webhooks-Signature-Settings",
        ]
    ),
    st.sampled_from([FORM_TYPE, FORM_TYPE + "; charset=x", "key=,algorithm=", "100-continue"])
    | SAFE,
    max_size=5,
)


@settings(suppress_health_check=[HealthCheck.too_slow], max_examples=75)
@given(
    st.sampled_from(["POST", "GET", "HEAD", "PUT", "OPTIONS", "TRACE"]),
    st.sampled_from(["/sms", "/status", "/healthz", "/", "*", "http://x/sms"]),
    st.binary(max_size=20) | SAFE.map(str.encode),
    HEADERS,
    st.binary(max_size=200) | SAFE.map(str.encode),
)
def test_any_request_gets_an_answer_that_is_no_error_of_ours(
    open_door, method, path, query, headers, body
):
    """Never 5xx, never a redirect, whatever a stranger sends."""
    target = f"{path}?{quote_from_bytes(query)}"

    answer = open_door.send(method, target, body, headers)

    assert answer.status < 300 or 400 <= answer.status < 500


@settings(max_examples=60)
@given(body=TEXT, from_=TEXT.filter(bool))
def test_a_text_arrives_as_it_was_sent(open_door, body, from_):
    """Every character of a message is recorded as it came."""
    open_door.post(form={**FORM, "Body": body, "From": from_}, token=None)

    newest = open_door.log.read(open_door.log.head() - 9).events
    inbound = [stored.event for stored in newest if stored.event.type == "inbound"][-1]
    assert (inbound.body, inbound.from_) == (body, from_)


def test_messages_in_a_row_on_one_connection_are_not_mixed_up(door):
    """Each answer is about the message before it."""
    connection = http.client.HTTPConnection("127.0.0.1", door.port, timeout=10)
    with closing(connection):
        bodies = [
            door.post(form={**FORM, "MessageSid": f"SM{n}", "Body": f"b{n}"}, connection=connection)
            for n in range(3)
        ]

    assert [f"b{n}" in answer.body for n, answer in enumerate(bodies)] == [True] * 3
    assert [event.sid for event in door.events("inbound")] == ["SM0", "SM1", "SM2"]
