"""Where a test's agent lives: a folder of its own, so that no test sees another's processes."""

from __future__ import annotations

import os
import sys
import threading
import time
from pathlib import Path

from smsquest_cli.tunnel import NgrokSettings, Pace

AGENT = Path(__file__).parent / "fake_ngrok.py"
TOKEN = "2abcdefgh1_ABCDEFGH1"
QUICK = Pace(version=20, startup=10, start=20, tick=0.05, reconnect=0.6, pauses=(0.1,), lost=1.2)


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
    values = {"authtoken": TOKEN, "path": str(place / "ngrok"), "may_download": False}
    return NgrokSettings(home=place / "state", **{**values, **changes})


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
