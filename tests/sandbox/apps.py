"""What the tests of the sandbox talk to: an app like a user's, servers, Twilio's SDK."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, urlsplit

import pytest
from twilio.base.exceptions import TwilioRestException
from twilio.http.http_client import TwilioHttpClient
from twilio.rest import Client

from smsquest_cli.sandbox import NUMBER, PHONE

EMPTY = "<Response/>"
URL = "https://app.test/sms"


def saying(*texts: str, **attributes: str) -> str:
    """TwiML with one ``<Message>`` for each of *texts*, all with the same *attributes*."""
    given = "".join(f' {name}="{value}"' for name, value in attributes.items())
    return (
        "<Response>"
        + "".join(f"<Message{given}>{text}</Message>" for text in texts)
        + "</Response>"
    )


@dataclass
class Received:
    """One request, as the app got it."""

    method: str
    path: str
    url: str
    form: dict[str, str]
    headers: dict[str, str]


@dataclass
class App:
    """A WSGI app that keeps what it receives; ``answers`` says what each path answers, in turn.

    An answer is a body, a status, or ``(status, headers, body)``; the last one stays.
    """

    answers: dict[str, list] = field(default_factory=dict)
    received: list[Received] = field(default_factory=list)

    def __call__(self, environ, start_response):
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0)).decode()
        query = environ["QUERY_STRING"]
        target = environ["PATH_INFO"] + (f"?{query}" if query else "")
        form = body if environ["REQUEST_METHOD"] == "POST" else query
        self.received.append(
            Received(
                environ["REQUEST_METHOD"],
                environ["PATH_INFO"],
                f"{environ['wsgi.url_scheme']}://{environ['HTTP_HOST']}{target}",
                dict(parse_qsl(form, keep_blank_values=True)),
                {
                    name.removeprefix("HTTP_").replace("_", "-").title(): value
                    for name, value in environ.items()
                    if name.startswith("HTTP_") or name in ("CONTENT_TYPE", "CONTENT_LENGTH")
                },
            )
        )
        answers = self.answers.get(environ["PATH_INFO"], [204])
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(answer, str):
            answer = (200, {"Content-Type": "text/xml"}, answer)
        elif isinstance(answer, int):
            answer = (answer, {}, "")
        status, headers, text = answer
        start_response(f"{status} X", list(headers.items()))
        return [text.encode() if isinstance(text, str) else text]

    def at(self, path: str) -> list[Received]:
        """What came to *path*."""
        return [one for one in self.received if one.path == path]


class RedirectedClient(TwilioHttpClient):
    """The SDK's own HTTP client; only the origin of each request is another."""

    def __init__(self, origin: str, **options) -> None:
        super().__init__(**options)
        self.origin = origin

    def request(self, method, url, *args, **kwargs):
        parts = urlsplit(url)
        target = parts.path + (f"?{parts.query}" if parts.query else "")
        return super().request(method, self.origin + target, *args, **kwargs)

    def close(self) -> None:
        self.session.close()


@contextmanager
def sdk(origin: str, username: str, password: str, account_sid: str | None = None, **options):
    """Twilio's Python SDK, talking to *origin*."""
    http = RedirectedClient(origin, timeout=10, **options)
    try:
        yield Client(username, password, account_sid, http_client=http)
    finally:
        http.close()


def refused(action, *args, **kwargs):
    """The (status, code, message) with which Twilio's API refuses *action*."""
    with pytest.raises(TwilioRestException) as caught:
        action(*args, **kwargs)
    return caught.value.status, caught.value.code, caught.value.msg


def send(twilio, **fields):
    """A message sent through the API from the sandbox's number to its phone."""
    return twilio.messages.create(**{"from_": NUMBER, "to": PHONE, "body": "hi", **fields})


def statuses(app):
    """What the status callbacks said, in the order in which they came."""
    return [one.form["MessageStatus"] for one in app.at("/status")]


def states(sandbox, exchange):
    """The replies of *exchange*: text, status and error code of each."""
    sent = sandbox.carrier.states(exchange.replies)
    return [(message.body, message.status, message.error_code) for message in sent]


def alerts(sandbox):
    return [(alert.code, alert.level) for alert in sandbox.account.alerts]
