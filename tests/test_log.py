"""``smsquest log``: what was recorded, in three views, filtered and followed."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest

from smsquest_cli.eventlog import Entry, open_log
from smsquest_cli.events import Inbound, Reply, Stopped

PHONE = "+12025550143"
OTHER = "+12025550188"
FIRST = "SM" + "a" * 32
SECOND = "SM" + "b" * 32


@pytest.fixture
def recorded(environment, tmp_path):
    """A log with two messages, one of an hour ago, and the end of a run."""
    environment["SMSQUEST_STORE"] = str(tmp_path / "log.db")
    log = open_log(environment["SMSQUEST_STORE"], run="r1")
    now = datetime.now(UTC)
    for sid, from_, ago in ((FIRST, PHONE, 3600), (SECOND, OTHER, 10)):
        at = now - timedelta(seconds=ago)
        message = Inbound(
            ts=at, sid=sid, from_=from_, to="+12025550100", body=f"from {from_}", method="POST"
        )
        answer = Reply(ts=at, in_reply_to=sid, source="reply", http_status=200, ms=3.0)
        log.append(Entry(message), Entry(answer))
    log.append(Entry(Stopped(ts=now, reason="interrupt", inbound=2)))
    yield log
    log.close()


@pytest.fixture
def records(smsquest, recorded):
    """The records that ``log`` with these arguments gives, as (type, SID)."""
    assert recorded

    def read(*arguments):
        done = smsquest("log", *arguments, "--output", "json")
        assert done.returncode == 0, done.stderr
        found = map(json.loads, done.stdout.splitlines())
        return [(one["type"], one.get("sid") or one.get("in_reply_to")) for one in found]

    return read


def test_the_log_is_what_was_recorded_oldest_first(records):
    """With nothing else asked for, all of it."""
    assert records() == [
        ("inbound", FIRST),
        ("reply", FIRST),
        ("inbound", SECOND),
        ("reply", SECOND),
        ("stopped", None),
    ]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--type", "stopped"], [("stopped", None)]),
        (["--type", "reply", "--type", "stopped", "--since", "10m"],
         [("reply", SECOND), ("stopped", None)]),
        ([FIRST[:8]], [("inbound", FIRST), ("reply", FIRST)]),
        (["--number", OTHER, "--type", "inbound"], [("inbound", SECOND)]),
    ],
)  # fmt: skip
def test_the_log_is_filtered(records, arguments, expected):
    """By type, time, message and number."""
    assert records(*arguments) == expected


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["--type", "foo"], "error[U4]: no record is of type foo. There are: ready, inbound"),
        (["SMcccccccc"], "error[U1]"),
        (["SM"], "error[U2]"),
        (["--since", "soon"], "error[U6]"),
    ],
)
def test_what_cannot_be_meant_is_refused(smsquest, recorded, arguments, error):
    """With what there is instead."""
    assert recorded

    done = smsquest("log", *arguments)

    assert done.returncode == 2
    assert error in done.stderr
    assert done.stdout == ""


def test_lines_are_the_default_off_a_terminal(smsquest, recorded):
    """The table has to be asked for there; it has no colour then."""
    assert recorded

    lines, table = smsquest("log"), smsquest("log", "--output", "table")

    assert len(lines.stdout.splitlines()) == 5
    assert FIRST in lines.stdout
    assert table.stdout.splitlines()[-1].strip() == "2 in · 0 out"
    assert "\x1b" not in lines.stdout + table.stdout


def test_an_empty_log_is_empty(smsquest):
    """It is no error."""
    done = smsquest("log")

    assert (done.returncode, done.stdout) == (0, "")


def test_a_followed_log_goes_on(environment, recorded, tmp_path):
    """What another process records from now on is shown as it comes."""
    command = [sys.executable, "-m", "smsquest_cli", "log", "--follow", "-o", "json"]
    with subprocess.Popen(
        command, env=environment, cwd=tmp_path, stdout=subprocess.PIPE, text=True
    ) as process:
        past = [json.loads(process.stdout.readline())["type"] for _ in range(5)]

        recorded.append(Entry(Stopped(ts=datetime.now(UTC), reason="until")))
        news = json.loads(process.stdout.readline())

        process.kill()
    assert past[-1] == "stopped"
    assert news["reason"] == "until"
