"""``smsquest replay``: a recorded webhook again, byte for byte or edited, signed for its target."""

from __future__ import annotations

import json
import re

import pytest
from flask import Flask, Response, request
from hypothesis import given
from hypothesis import strategies as st
from pretend_twilio import served
from twilio.request_validator import RequestValidator

from smsquest_cli import replaying
from smsquest_cli.forms import form_pairs
from smsquest_cli.wire import Request

TOKEN = "0" * 32


def an_app():
    """An app that refuses what is not signed for the URL that it sees, and keeps what it got."""
    app = Flask("app")
    app.bodies, app.tokens, app.statuses = [], [], []
    app.says = "first"
    genuine = RequestValidator(TOKEN)

    @app.before_request
    def check():
        request.get_data()  # kept by it, or reading the form would use it up
        signature = request.headers.get("X-Twilio-Signature", "")
        if not genuine.validate(request.url, request.form, signature):
            return "forged", 403
        return None

    @app.post("/sms")
    def sms():
        app.bodies.append(request.get_data())
        app.tokens.append(request.headers["I-Twilio-Idempotency-Token"])
        text = f"<Response><Message action='/status'>{app.says}</Message></Response>"
        return Response(text, mimetype="text/xml")

    @app.post("/status")
    def status():
        app.statuses.append((request.form["MessageStatus"], request.query_string.decode()))
        return "", 204

    return app


@pytest.fixture
def sandbox(serve):
    """A running ``serve --sandbox``, started with more arguments."""

    def start(*arguments):
        running = serve("--sandbox", "--port", 0, *arguments)
        assert running.ready
        return running

    return start


def test_the_app_gets_the_same_bytes_again(sandbox, smsquest):
    """It goes where it went: to the app, signed afresh, told from a retry by its token."""
    app = an_app()
    with served(app) as url:
        running = sandbox("--forward-to", f"{url}/sms")
        smsquest("simulate", "Tom & Jerry + 😀", "--pace", "instant")
        app.says = "second"

        done = smsquest("replay", "last", "--diff")

        assert done.returncode == 0, done.stderr
        assert app.bodies[0] == app.bodies[1] != b""
        assert len(set(app.tokens)) == 2
        lines = done.stdout.splitlines()
        assert lines[0].startswith("replayed  SM")
        assert 'reply: "second"' in lines[1]
        assert [line.split() for line in lines[2:]] == [
            ["-", "messages", '"first"'], ["+", "messages", '"second"'],
        ]  # fmt: skip
        running.stop()

        again = smsquest("replay", "last", "--diff")  # also when no serve is running any more

    assert again.returncode == 0, again.stderr
    assert len(app.bodies) == 3


def test_fields_are_edited_and_the_rest_stays(sandbox, smsquest_here):
    """--edit changes and adds fields; the signature covers them."""
    app = an_app()
    with served(app) as url:
        sandbox("--forward-to", f"{url}/sms")
        smsquest_here("simulate", "hello", "--pace", "instant")

        done = smsquest_here(
            "replay", "last", "--edit", "Body=a=b & 😀", "--edit", "New=", "-o", "json"
        )

    assert done.returncode == 0, done.stderr
    first, second = (form_pairs(body) for body in app.bodies)
    assert second == [
        *((name, "a=b & 😀" if name == "Body" else value) for name, value in first),
        ("New", ""),
    ]
    inbound, reply, *_ = (json.loads(line) for line in done.stdout.splitlines())
    assert (inbound["type"], inbound["body"]) == ("inbound", "a=b & 😀")
    assert (reply["type"], reply["messages"][0]["body"]) == ("reply", "first")


def test_a_serve_that_answers_itself_gets_it_again(sandbox, smsquest_here):
    """Without an app it goes to the running serve, which knows it for a repeat (S8)."""
    running = sandbox()
    sid = json.loads(
        smsquest_here("simulate", "hello", "--pace", "instant", "-o", "json").stdout.splitlines()[0]
    )["sid"]

    done = smsquest_here("replay", sid[:10], "--diff", "-o", "json")

    assert done.returncode == 0, done.stderr
    *_, diff = (json.loads(line) for line in done.stdout.splitlines())
    assert (diff["type"], diff["in_reply_to"], diff["same"]) == ("diff", sid, True)
    assert running.wait_for("inbound", duplicate=True)["sid"] == sid
    assert "replay" in running.wait_for("problem", id="S8")["line"]


def test_it_goes_where_it_went_the_first_time(sandbox, smsquest_here):
    """To the app of that time, or if there was none to the serve of today, whatever that does."""
    first, second = an_app(), an_app()
    first.says, second.says = "first app", "second app"
    with served(first) as one, served(second) as other:
        running = sandbox("--forward-to", f"{one}/sms", "--resign")
        smsquest_here("simulate", "for an app", "--pace", "instant")
        running.stop()
        running = sandbox()
        smsquest_here("simulate", "for no app", "--pace", "instant")
        running.stop()
        told = [one for one in running.records if one["type"] == "inbound"]
        running = sandbox("--forward-to", f"{other}/sms", "--resign")

        to_serve = smsquest_here("replay", told[0]["sid"])
        sids = [
            json.loads(line)["sid"]
            for line in smsquest_here("log", "--type", "inbound", "-o", "json").stdout.splitlines()
        ]
        to_app = smsquest_here("replay", sids[0])

    assert (to_app.returncode, to_serve.returncode) == (0, 0), to_app.stderr + to_serve.stderr
    assert 'reply: "first app"' in to_app.stdout
    assert to_serve.stdout.splitlines()[1].startswith("POST /sms  200")
    assert running.wait_for("inbound")["sid"] == told[0]["sid"]
    assert len(first.bodies) == 2


def test_the_serve_tells_what_it_made_of_it(sandbox, smsquest_here):
    """Its own rule is the source, its notes are shown, and what is missing is said."""
    sandbox()
    smsquest_here("simulate", "hello", "--pace", "instant")

    done = smsquest_here("replay", "last", "--edit", f"AccountSid=AC{'f' * 32}", "-o", "json")
    refused = smsquest_here("replay", "last", "--edit", "From=")

    records = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(one["type"], one.get("source") or one.get("id")) for one in records] == [
        ("inbound", None),
        ("problem", "C7"),
        ("reply", "reply"),
        ("problem", "S8"),
    ]
    assert refused.returncode == 8
    assert "no reply (malformed: no From)" in refused.stdout
    assert "your app" not in refused.stderr


def test_an_edited_callback_does_not_take_the_place_of_twilios(sandbox, smsquest_here):
    """A replay of a replay is one of the original."""
    running = sandbox()
    smsquest_here("simulate", "hello", "--pace", "instant")
    sid = running.wait_for("status", status="delivered")["sid"]
    smsquest_here("replay", sid, "--edit", "MessageStatus=bogus")

    done = smsquest_here("replay", sid, "--diff")
    records = smsquest_here("replay", sid, "--diff", "-o", "json")

    assert done.stdout.splitlines()[0].endswith("status delivered")
    assert done.stdout.splitlines()[-1] == "no reply is recorded to compare this one with"
    *_, reply, diff = [json.loads(line) for line in records.stdout.splitlines()]
    assert (reply["source"], diff["same"], diff["changes"]) == ("none", None, [])


def test_what_leads_elsewhere_is_not_followed_and_says_so(sandbox, smsquest_here):
    """A redirect is no usable answer; after a <Redirect> the conversation goes on without us."""
    app = Flask("app")
    app.post("/moved", endpoint="moved")(lambda: ("", 302, {"Location": "/elsewhere"}))
    twiml = "<Response><Redirect>/elsewhere</Redirect></Response>"
    app.post("/sms")(lambda: Response(twiml, mimetype="text/xml"))
    sandbox()
    smsquest_here("simulate", "hello", "--pace", "instant")
    with served(app) as url:
        moved = smsquest_here("replay", "last", "--to", f"{url}/moved")
        led = smsquest_here("replay", "last", "--to", f"{url}/sms")

    assert (moved.returncode, led.returncode) == (8, 0)
    assert "error[T14]: your app redirected POST /moved" in moved.stderr
    assert "--forward-to" not in moved.stderr
    assert "error[E5]" in moved.stderr
    assert f"note[E6]: the answer goes on at {url}/elsewhere" in led.stderr


def test_another_target_gets_its_own_signature(sandbox, smsquest_here):
    """--to: any address, with what the app there checks."""
    app = an_app()
    running = sandbox()
    smsquest_here("simulate", "hello", "--pace", "instant")

    with served(app) as url:
        elsewhere = smsquest_here("replay", "last", "--to", f"{url}/sms")
    here = smsquest_here("replay", "last", "--to", running.ready["webhook_url"])

    assert (elsewhere.returncode, len(app.bodies)) == (0, 1), elsewhere.stderr
    assert here.returncode == 0, here.stderr


def test_a_status_callback_is_delivered_again(sandbox, smsquest_here):
    """The SID of a reply: its last callback goes to the app's status route, and wants no TwiML."""
    app = an_app()
    with served(app) as url:
        running = sandbox("--forward-to", f"{url}/sms")
        smsquest_here("simulate", "hello", "--pace", "instant")
        sid = running.wait_for("status", status="delivered")["sid"]

        done = smsquest_here("replay", sid, "-o", "json")

    assert done.returncode == 0, done.stderr
    assert [json.loads(line)["type"] for line in done.stdout.splitlines()] == ["status", "reply"]
    assert app.statuses[-1] == ("delivered", "")


def test_a_status_callback_goes_where_callbacks_went(sandbox, smsquest_here):
    """--forward-status of the run that received it, while that runs and afterwards."""
    app = an_app()
    with served(app) as url:
        running = sandbox("--forward-to", f"{url}/sms", "--forward-status", f"{url}/status?at=2")
        smsquest_here("simulate", "hello", "--pace", "instant")
        sid = running.wait_for("status", status="delivered")["sid"]
        before = len(app.statuses)

        done = smsquest_here("replay", sid)
        assert done.returncode == 0
        running.stop()
        assert smsquest_here("replay", sid).returncode == 0

    assert app.statuses[before:] == [("delivered", "at=2")] * 2
    assert re.search(r"^replayed  SM\S+  \S+ -> \S+  status delivered$", done.stdout, re.MULTILINE)


def test_nobody_there_is_exit_8(nobody, sandbox, smsquest_here):
    """The target cannot be reached: said, with the code that Twilio would log."""
    sandbox()
    smsquest_here("simulate", "hello", "--pace", "instant")

    done = smsquest_here("replay", "last", "--to", f"{nobody}/sms")

    assert done.returncode == 8
    assert "no answer" in done.stdout
    assert "error[E5]" in done.stderr


def test_what_cannot_be_replayed_is_said(smsquest_here, sandbox):
    """Nothing recorded, no such message, nowhere to go, no such address: exit 2."""
    empty = smsquest_here("replay", "last")
    unknown = smsquest_here("replay", "SM" + "0" * 32)
    running = sandbox()
    smsquest_here("simulate", "hello", "--pace", "instant")
    address = smsquest_here("replay", "last", "--to", "127.0.0.1:5000")
    edit = smsquest_here("replay", "last", "--edit", "Body")
    running.stop()
    nowhere = smsquest_here("replay", "last")

    found = [empty, unknown, address, edit, nowhere]
    assert [one.returncode for one in found] == [2] * 5
    assert [one.stderr[6:8] for one in found] == ["U8", "U1", "U6", "U6", "U3"]
    assert "--to" in nowhere.stderr


NOT_SURROGATE = st.characters(exclude_categories=["Cs"])


@given(
    form=st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from(["", "x", "%20+", "%C3%A9"]))),
    changes=st.dictionaries(
        st.sampled_from(["a", "b", "new one"]), st.text(NOT_SURROGATE, max_size=9), max_size=3
    ),
    method=st.sampled_from(["GET", "POST"]),
)
def test_an_edit_changes_what_it_names_and_no_byte_beside(form, changes, method):
    """Each changed field stands once, where it stood first; all others are as they came."""
    raw = "&".join(f"{name}={value}" for name, value in form)
    url = "https://a/sms" + (f"?{raw}" if method == "GET" else "")
    body = raw.encode() if method == "POST" else b""

    made = replaying.edited(Request(method, url, (), body), changes)

    text = made.url.partition("?")[2] if method == "GET" else made.body.decode("latin-1")
    parts = text.split("&") if text else []
    kept = [part for part in parts if form_pairs(part)[0][0] not in changes]
    assert kept == [f"{name}={value}" for name, value in form if name not in changes]
    assert {name: value for name, value in form_pairs(text) if name in changes} == changes
    assert sum(name in changes for name, _ in form_pairs(text)) == len(changes)
