"""The picture in the README: ``python docs/pictures/generate.py`` draws it from ``events.jsonl``.

With ``--record`` those events are recorded anew, from a real sandbox that is sent real messages. A
test holds the picture and what is drawn from the events together.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from io import StringIO
from pathlib import Path

from rich.console import Console

from smsquest_cli.events import Ready, from_record
from smsquest_cli.inbox import Inbox
from smsquest_cli.views.layout import footer, table_lines

FOLDER = Path(__file__).parent
EVENTS = FOLDER / "events.jsonl"
PICTURE = FOLDER / "table.svg"
WIDTH = 90
MESSAGES = (
    ("hello quest", "delivered"),
    ("JOIN", "delivered"),
    ("👍 see you at 8", "delivered"),
    ("is anybody there?", "undelivered:30003"),
    ("STOP", "delivered"),
)


def record() -> str:
    """The records of a real ``serve --sandbox`` to which `MESSAGES` were texted."""
    smsquest = [sys.executable, "-m", "smsquest_cli"]
    with tempfile.TemporaryDirectory() as home:
        environment = {**os.environ, "SMSQUEST_HOME": home}
        serve = subprocess.Popen(
            [*smsquest, "serve", "--sandbox", "--output", "json"],
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        records = [serve.stdout.readline()]
        for body, scenario in MESSAGES:
            subprocess.run(
                [*smsquest, "simulate", body, "--scenario", scenario],
                env=environment,
                check=True,
                capture_output=True,
            )
        finals = 0
        while finals < len(MESSAGES):
            records.append(serve.stdout.readline())
            status = json.loads(records[-1]).get("current")
            finals += status in ("delivered", "undelivered", "failed")
        serve.terminate()
        serve.communicate()
    return "".join(records)


def picture() -> str:
    """The table of the recorded events, as SVG; the same bytes every time."""
    os.environ["TZ"] = "UTC"
    time.tzset()
    events = [from_record(json.loads(line)) for line in EVENTS.read_text("utf-8").splitlines()]
    (ready,) = [event for event in events if isinstance(event, Ready)]
    inbox = Inbox()
    for event in events:
        inbox.apply(event)
    out = Console(
        file=StringIO(),
        record=True,
        width=WIDTH,
        force_terminal=True,
        color_system="truecolor",
        legacy_windows=False,
        markup=False,
        highlight=False,
    )
    out.print("$ smsquest serve --sandbox")
    out.print("sandbox   a pretend Twilio on this computer: no account, no internet, no cost")
    out.print(f"number    {ready.number} (yours)")
    out.print(f"server    {ready.webhook_url}")
    out.print()
    for line in table_lines(inbox, width=WIDTH, height=30):
        out.print(line)
    totals = inbox.totals
    counts = [f"{totals.inbound} in", f"{totals.outbound} out", f"{totals.failed} failed"]
    out.print(footer(counts, "sandbox · Ctrl-C stops", WIDTH))
    return out.export_svg(title="smsquest serve", unique_id="smsquest")


if __name__ == "__main__":
    if "--record" in sys.argv:
        EVENTS.write_text(record(), "utf-8")
    PICTURE.write_text(picture(), "utf-8")
