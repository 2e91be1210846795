"""The guides hold what they promise: their Python is Python, their Flask app keeps the contract."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import urlencode

import pytest
from pretend_twilio import pretend_twilio

from smsquest_cli import signing
from smsquest_cli.check import check
from smsquest_cli.forwarding import forwarded
from smsquest_cli.sandbox import NUMBER, PHONE, to_wsgi
from smsquest_cli.wire import Request, call_wsgi

GUIDES = Path(__file__).parents[1] / "docs" / "guides"
TOKEN = "0" * 32


def blocks(guide):
    """The Python of a guide, block by block."""
    text = GUIDES.joinpath(guide).read_text("utf-8")
    return re.findall(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


@pytest.fixture
def app(monkeypatch):
    """The Flask app of the guide, with the sandbox's token."""
    monkeypatch.setenv("TWILIO_AUTH_TOKEN", TOKEN)
    (code,) = [block for block in blocks("your-app.md") if block.startswith("# app.py")]
    names = {"__name__": "app"}
    exec(compile(code, "app.py", "exec"), names)
    return names["app"]


def test_the_flask_app_of_the_guide_holds_every_check(app):
    """What is there to be copied is what ``smsquest check`` asks for."""
    results = list(check("http://localhost/sms", token=TOKEN, deliver=to_wsgi(app)))

    assert {result.id: result.state for result in results if result.state != "ok"} == {
        "method": "skipped"  # it takes POST only
    }


def test_the_flask_app_of_the_guide_works_behind_a_tunnel(app):
    """It is called by http on this computer, and checks the https URL that Twilio called."""
    kind = ("Content-Type", "application/x-www-form-urlencoded")
    form = urlencode({"MessageSid": "SM1", "Body": "a & b", "From": "+12025550143"}).encode()
    genuine = Request("POST", "https://abc.ngrok-free.app/sms", (kind,), form)
    signature = (signing.SIGNATURE_HEADER, signing.sign_request(genuine, TOKEN))
    signed = Request("POST", genuine.url, (kind, signature), form)

    answer = call_wsgi(app, forwarded(signed, "http://127.0.0.1:5001/sms"))

    assert (answer.status, answer.header("Content-Type")) == (200, "text/xml; charset=utf-8")
    assert b"You said: a &amp; b</Message>" in answer.body


@pytest.mark.parametrize("guide", sorted(path.name for path in GUIDES.glob("*.md")))
def test_the_python_of_a_guide_can_be_read(guide):
    """No example was cut or indented by accident."""
    for block in blocks(guide):
        compile(block, guide, "exec")


def test_the_client_of_the_guide_calls_the_pretend_twilio(monkeypatch, tmp_path):
    """An app's own REST calls stay on this computer."""
    with pretend_twilio(tmp_path) as twilio:
        monkeypatch.setenv("TWILIO_API_URL", twilio.origin)
        for name in ("TWILIO_ACCOUNT_SID", "TWILIO_AUTH_TOKEN"):
            monkeypatch.delenv(name, raising=False)
        (code,) = blocks("rest-calls.md")
        names = {"__name__": "twilio_client"}
        exec(compile(code, "twilio_client.py", "exec"), names)

        client = names["client"]()
        sent = client.messages.create(from_=NUMBER, to=PHONE, body="Still there?")

        assert [message.sid for message in twilio.account.messages()] == [sent.sid]
        client.http_client.session.close()
