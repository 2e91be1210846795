"""The pytest fixture: other people's tests text their app, in their own process."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from importlib.metadata import entry_points
from pathlib import Path

import pytest
from flask import Flask, Response, request
from ports import closed_port
from twilio.request_validator import RequestValidator
from twilio.twiml.messaging_response import MessagingResponse

from smsquest_cli.forms import form_pairs

pytest_plugins = ["pytester"]

GUIDE = Path(__file__).parents[1] / "docs" / "guides" / "pytest.md"
TOKEN = "0" * 32


def an_app(token=TOKEN):
    """An app that checks its signatures, answers by name, and keeps its status callbacks."""
    app = Flask("app")
    app.statuses = []
    genuine = RequestValidator(token)

    @app.route("/sms", methods=["GET", "POST"])
    def sms():
        signature = request.headers.get("X-Twilio-Signature", "")
        if not genuine.validate(request.url, request.form, signature):
            return "no", 403
        answer = MessagingResponse()
        answer.message(f"Hello {request.values['Body']}", action="/status")
        return Response(str(answer), mimetype="text/xml")

    @app.post("/status")
    def status():
        app.statuses.append(request.form["MessageStatus"])
        return "", 204

    return app


def test_an_app_is_texted_and_answers(smsquest_sandbox):
    """A reply has the text for the phone, and the raw request and answer behind it."""
    reply = smsquest_sandbox(an_app()).send("Ada & 😀", from_="+12025550199")

    assert reply.text == "Hello Ada & 😀"
    assert [message.body for message in reply.messages] == ["Hello Ada & 😀"]
    assert (reply.request.method, reply.request.url) == ("POST", "http://localhost/sms")
    assert b"From=%2B12025550199" in reply.request.body
    assert (reply.answer.status, reply.error) == (200, None)
    assert [problem[:4] for problem in reply.problems] == ["R8: "]  # a relative address
    assert re.fullmatch("SM[0-9a-f]{32}", reply.sid)


def test_a_reply_is_delivered_and_its_statuses_are_called_back(smsquest_sandbox):
    """The app hears of each step, in the test's own thread."""
    app = an_app()
    box = smsquest_sandbox(app)
    reply = box.send("Ada")

    assert box.statuses(reply) == ["queued", "sent", "delivered"]
    assert app.statuses == ["queued", "sent", "delivered"]


def test_a_reply_can_come_back(smsquest_sandbox):
    """D1: a carrier's bad day, for a reply that is on its way or for the next."""
    app = an_app()
    box = smsquest_sandbox(app)

    assert box.deliver(box.send("now"), "undelivered", 30003) == ["queued", "sent", "undelivered"]

    assert box.deliver(None, "failed") == []
    assert box.statuses(box.send("next")) == ["queued", "failed"]
    assert box.statuses(box.send("the one after")) == ["queued", "sent", "delivered"]
    assert app.statuses == [
        *("queued", "sent", "undelivered"),
        *("queued", "failed"),
        *("queued", "sent", "delivered"),
    ]


def test_callbacks_can_come_in_disorder(smsquest_sandbox):
    """D2: the last status arrives first."""
    app = an_app()
    box = smsquest_sandbox(app)

    box.reorder(box.send("now"))
    assert app.statuses == ["delivered", "sent", "queued"]

    box.reorder()
    assert box.statuses(box.send("next")) == ["queued", "sent", "delivered"]
    assert app.statuses[3:] == ["delivered", "sent", "queued"]


def test_a_message_may_be_named_by_its_sid(smsquest_sandbox):
    """Whoever keeps SIDs, as apps do, need not keep replies."""
    app = an_app()
    box = smsquest_sandbox(app)
    (sid,) = box.send("x").sids

    assert box.deliver(sid, "failed", 30007) == box.statuses(sid) == ["queued", "failed"]
    with pytest.raises(ValueError, match="no message SM1"):
        box.statuses("SM1")


def test_a_message_costs_little(smsquest_sandbox):
    """Less than 50 ms from the text to the last status callback, so that tests may send many."""
    box = smsquest_sandbox(an_app())
    times = []
    while len(times) < 5 or (min(times) >= 0.05 and len(times) < 50):  # a machine may be busy
        started = time.perf_counter()
        box.statuses(box.send("x"))
        times.append(time.perf_counter() - started)

    assert min(times) < 0.05


def test_any_number_may_be_texted(smsquest_sandbox):
    """An app that serves several numbers is called for each."""
    box = smsquest_sandbox(an_app())

    for number in ("+442071838750", "whatsapp:+12025550111"):
        reply = box.send("x", to=number)
        assert reply.text == "Hello x"
        assert dict(form_pairs(reply.request.body))["To"] == number


def test_a_reply_that_there_is_not_has_no_delivery(smsquest_sandbox):
    """Said, and not an index error inside."""
    box = smsquest_sandbox(an_app())
    reply = box.send("x")

    for wrong in (1, -1):
        with pytest.raises(ValueError, match="replied with 1 message"):
            box.statuses(reply, message=wrong)


def test_no_reply_has_no_delivery(smsquest_sandbox):
    """Said, and not an index error inside."""
    app = Flask("app")
    app.post("/sms")(lambda: ("", 204))
    box = smsquest_sandbox(app)
    reply = box.send("x")

    for wrong in (box.statuses, box.reorder):
        with pytest.raises(ValueError, match="no message"):
            wrong(reply)


def test_what_was_delivered_is_not_delivered_otherwise(smsquest_sandbox):
    """A delivery that is over does not change; a scenario that does not exist is refused."""
    box = smsquest_sandbox(an_app())
    reply = box.send("x")
    box.statuses(reply)

    with pytest.raises(ValueError, match="delivered before"):
        box.deliver(reply, "undelivered")
    with pytest.raises(Exception, match="the scenario cannot be"):
        box.deliver(None, "eaten by a dog")


def test_the_signature_is_that_of_the_app_s_token(smsquest_sandbox, monkeypatch):
    """TWILIO_AUTH_TOKEN signs where it is set; what is not signed is refused."""
    monkeypatch.setenv("TWILIO_AUTH_TOKEN", "a" * 32)
    app = an_app("a" * 32)

    assert smsquest_sandbox(app).send("x").text == "Hello x"
    assert smsquest_sandbox(app, auth_token="b" * 32).send("x").answer.status == 403
    refused = smsquest_sandbox(app).send("x", unsigned=True)
    assert (refused.answer.status, refused.error, refused.messages) == (403, 11200, ())


def test_an_app_may_be_called_by_another_url_and_method(smsquest_sandbox):
    """The URL that is signed is the test's to choose, though nothing leaves the process."""
    box = smsquest_sandbox(an_app(), url="https://example.com/sms")

    reply = box.send("x", method="GET", parameters={"FromCity": "PARIS"})

    assert reply.text == "Hello x"
    assert reply.request.url.startswith("https://example.com/sms?")
    assert "FromCity=PARIS" in reply.request.url


def test_what_an_app_raises_reaches_the_test(smsquest_sandbox):
    """A traceback of the app is worth more than a status 500."""
    app = Flask("app")
    app.testing = True
    app.post("/sms")(lambda: 1 / 0)

    with pytest.raises(ZeroDivisionError):
        smsquest_sandbox(app).send("x")


def test_the_plugin_costs_nothing_where_it_is_not_used():
    """Pytest loads it in every run of everybody: nothing but pytest itself comes with it."""
    program = (
        "import sys, pytest; before = set(sys.modules); import smsquest_cli.pytest_plugin;"
        "print(*sorted(set(sys.modules) - before))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    assert done.stdout.split() == ["smsquest_cli", "smsquest_cli.pytest_plugin"]


def test_the_example_of_the_guide_runs(pytester):
    """docs/guides/pytest.md: its app and its tests, in a folder of their own."""
    blocks = re.findall(r"```python\n# (\w+\.py)\n(.*?)```", GUIDE.read_text("utf-8"), re.DOTALL)
    for name, text in blocks:
        pytester.path.joinpath(name).write_text(text, "utf-8")
    installed = any(point.name == "smsquest" for point in entry_points(group="pytest11"))
    plugin = () if installed else ("-p", "smsquest_cli.pytest_plugin")

    result = pytester.runpytest_subprocess("-q", "-p", "no:cacheprovider", *plugin)

    result.assert_outcomes(passed=3)
    assert [name for name, _ in blocks] == ["app.py", "test_app.py"]


def test_a_failing_test_shows_why_there_is_no_text(smsquest_sandbox):
    """What pytest prints of a reply: its text, how it was answered, what is wrong with it."""
    with closed_port() as port:
        nobody = smsquest_sandbox(f"http://127.0.0.1:{port}/sms").send("JOIN")
    refused = smsquest_sandbox(an_app("f" * 32)).send("JOIN")

    assert nobody.problems == ("11202: Connection refused",)
    assert repr(nobody) == "<Reply '', HTTP None, problems: ['11202: Connection refused']>"
    assert repr(refused).startswith("<Reply '', HTTP 403, problems: ['S10: your app rejected")
