"""What ``serve --forward-to`` adds to the time of a webhook, compared with the app alone.

    python benchmarks/forwarding.py

The app and the serve run in processes of their own; "the forwarder" is what is between the two
alone, called in this process: no server, no signature check, no event log. The same client sends
signed, unique messages to each in turn, over kept connections, so that what else the computer does
meets all alike. The serve checks the signature, and has the message on disk before it answers.
"""

from __future__ import annotations

import argparse
import json
import secrets
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import ExitStack, contextmanager
from urllib.parse import urlencode, urlsplit

from measuring import environment, print_table

from smsquest_cli import signing, wire
from smsquest_cli.forwarding import Forwarder
from smsquest_cli.messages import Message

TOKEN = "0" * 32
TWIML = b"<Response><Message>hi</Message></Response>"


def serve_app() -> None:
    """An app that costs nothing itself, on a server that keeps connections."""
    from waitress.server import create_server

    def app(environ, start_response):
        environ["wsgi.input"].read()
        headers = [("Content-Type", "text/xml"), ("Content-Length", str(len(TWIML)))]
        start_response("200 OK", headers)
        return [TWIML]

    server = create_server(app, host="127.0.0.1", port=0)
    print(server.effective_port, flush=True)
    server.run()


@contextmanager
def process(*arguments: str, **variables: str):
    """A Python process with *arguments*, and its first line."""
    child = subprocess.Popen(
        [sys.executable, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=environment(**variables),
    )
    try:
        first = child.stdout.readline()
        threading.Thread(target=child.stdout.read, daemon=True).start()  # or the pipe would fill up
        yield first
    finally:
        child.terminate()
        child.wait(10)


class Client:
    """Sends messages to one URL over one connection."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._connection = wire.open_connection(urlsplit(url), timeout=5)

    def send(self) -> float:
        """How many milliseconds one message took."""
        request = message_to(self._url)
        started = time.perf_counter()
        answer = wire.exchange(self._connection, request, deadline=time.monotonic() + 15)
        took = (time.perf_counter() - started) * 1000
        assert (answer.status, answer.body) == (200, TWIML), answer
        return took


class InProcess:
    """Hands messages to a forwarder of its own."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._forwarder = Forwarder(url)
        self._message = Message(sid="SM1", account_sid="AC1", from_="+1", to="+2")

    def send(self) -> float:
        """How many milliseconds one message took."""
        request = message_to("https://abc.ngrok-free.app/sms")
        started = time.perf_counter()
        answered = self._forwarder.answer(self._message, request, lambda: None)
        took = (time.perf_counter() - started) * 1000
        assert (answered.status, answered.body) == (200, TWIML), answered
        return took


def message_to(url: str) -> wire.Request:
    """A signed message that is like no other."""
    form = {
        "MessageSid": "SM" + secrets.token_hex(16),
        "AccountSid": "AC" + "0" * 32,
        "From": "+12025550143",
        "To": "+12025550100",
        "Body": "hello there",
        "NumMedia": "0",
    }
    kind = ("Content-Type", "application/x-www-form-urlencoded")
    request = wire.Request("POST", url, (kind,), urlencode(form).encode())
    signature = ("X-Twilio-Signature", signing.sign_request(request, TOKEN))
    return wire.Request("POST", url, (kind, signature), request.body)


def main() -> None:
    """Measure, and print the medians of one run."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--messages", type=int, default=1000)
    options.add_argument("--app", action="store_true", help=argparse.SUPPRESS)
    given = options.parse_args()
    if given.app:
        serve_app()
        return
    with ExitStack() as opened:
        home = opened.enter_context(tempfile.TemporaryDirectory())
        port = int(opened.enter_context(process(__file__, "--app")))
        app_url = f"http://127.0.0.1:{port}/sms"
        ready = opened.enter_context(
            process(
                *("-m", "smsquest_cli", "serve", "--no-tunnel", "--port", "0"),
                *("--forward-to", app_url, "--output", "json"),
                SMSQUEST_HOME=home,
            )
        )
        ways = (
            Client(app_url),
            InProcess(app_url),
            Client(json.loads(ready)["webhook_url"]),
        )
        for _ in range(50):
            [way.send() for way in ways]
        times = [[way.send() for way in ways] for _ in range(given.messages)]
    alone, forwarder, through = zip(*times, strict=True)
    rows = []
    for name, values in (
        ("the app alone", alone),
        ("through the forwarder", forwarder),
        ("through `serve`", through),
        ("added by the forwarder", [one[1] - one[0] for one in times]),
        ("added by `serve`", [one[2] - one[0] for one in times]),
    ):
        p95 = statistics.quantiles(values, n=20)[-1]
        rows.append((name, f"{statistics.median(values):.2f} ms", f"{p95:.2f} ms"))
    print_table(("", "median", "p95"), *rows)


if __name__ == "__main__":
    main()
