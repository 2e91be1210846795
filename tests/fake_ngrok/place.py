"""Where a test's agent lives: a folder of its own, so that no test sees another's processes."""

from __future__ import annotations

import atexit
import os
import socket
import sys
import threading
import time
import traceback
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from smsquest_cli.problems import TunnelError
from smsquest_cli.tunnel import NgrokSettings, NgrokTunnel, Timings

AGENT = Path(__file__).parent / "fake_ngrok.py"
_HELD = socket.socket()  # nobody else is given its port
_HELD.bind(("127.0.0.1", 0))
atexit.register(_HELD.close)
LOCAL = f"http://127.0.0.1:{_HELD.getsockname()[1]}"  # where nobody listens
TOKEN = "2abcdefgh1_ABCDEFGH1"
QUICK = Timings(version=20, startup=10, start=20, tick=0.05, reconnect=0.6, pauses=(0.1,), lost=30)


def make_place(folder, monkeypatch):
    """Make *folder* the home, with an agent in it, and an environment that knows no ngrok."""
    for name in list(os.environ):
        if name.lower().endswith("_proxy") or "NGROK" in name or name.startswith("XDG_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv("FAKE_NGROK_WEB_ADDR", "127.0.0.1:0")
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}/usr/bin")
    (folder / "ngrok").symlink_to(AGENT)
    return folder


def settings(place, **changes):
    """Settings for the agent in *place*."""
    values = {"authtoken": TOKEN, "path": str(place / "ngrok")}
    return NgrokSettings(home=place / "state", **{**values, **changes})


def refusal(place, timings=QUICK, **changes):
    """The problem with which opening fails."""
    with pytest.raises(TunnelError) as caught:
        NgrokTunnel.open(LOCAL, settings(place, **changes), timings=timings)
    assert caught.value.exit_code == 6
    shown = "".join(traceback.format_exception(caught.value))
    assert TOKEN not in shown
    return caught.value


def agents_of(place):
    """The pids of the agents of this *place* that run now."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if b"--none" in words and f"--config\0{place}/".encode() in b"\0".join(words):
            found.append(int(folder.name))
    return found


def wait_for(condition, timeout=15.0):
    """What *condition* gives as soon as that is true; fails after *timeout* seconds."""
    deadline = time.monotonic() + timeout
    while not (value := condition()):
        assert time.monotonic() < deadline, "not in time"
        threading.Event().wait(0.01)
    return value


class Upstream:
    """A server that keeps the requests it gets."""

    def __init__(self):
        self.got = got = []

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                got.append((self.path, body, self.headers["X-Twilio-Signature"]))
                self.send_response(204)
                self.end_headers()

            def log_message(self, *args):
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,))

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *exc):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()
