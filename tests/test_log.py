"""``smsquest log``: what was recorded, in three views, filtered and followed."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest

from smsquest_cli.cli import run
from smsquest_cli.eventlog import LogEntry, open_log
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
        log.append(LogEntry(message), LogEntry(answer))
    log.append(LogEntry(Stopped(ts=now, reason="interrupt", inbound=2)))
    yield log
    log.close()


@pytest.fixture
def log_command(recorded, environment, monkeypatch, tmp_path, capsys):
    """Run ``log`` in this process; gives exit code, standard output and standard error."""
    assert recorded
    monkeypatch.chdir(tmp_path)
    for name in ("HOME", "SMSQUEST_HOME", "SMSQUEST_STORE"):
        monkeypatch.setenv(name, environment[name])

    def command(*arguments):
        code = run(["log", *arguments])
        return code, *capsys.readouterr()

    return command


@pytest.fixture
def records(log_command):
    """The records that ``log`` with these arguments gives, as (type, SID)."""

    def read(*arguments):
        code, out, err = log_command(*arguments, "--output", "json")
        assert code == 0, err
        found = map(json.loads, out.splitlines())
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
        (["--since", ""], "error[U6]"),
    ],
)
def test_what_cannot_be_meant_is_refused(log_command, arguments, error):
    """With what there is instead."""
    code, out, err = log_command(*arguments)

    assert code == 2
    assert error in err
    assert out == ""


def test_a_place_that_is_no_log_is_called_by_what_may_name_it(smsquest):
    """The variable too: `log` has no --store."""
    done = smsquest("log", env={"SMSQUEST_STORE": "postgres://u:p@h/db"})

    assert done.returncode == 2
    assert 'error[U6]: --store or SMSQUEST_STORE cannot be "postgres://…"' in done.stderr


def test_lines_are_the_default_off_a_terminal(log_command):
    """The table has to be asked for there; it has no colour then."""
    _, lines, _ = log_command()
    _, table, _ = log_command("--output", "table")

    assert len(lines.splitlines()) == 5
    assert FIRST in lines
    assert table.splitlines()[-1].strip() == "2 in · 0 out"
    assert "\x1b" not in lines + table


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

        recorded.append(LogEntry(Stopped(ts=datetime.now(UTC), reason="until")))
        news = json.loads(process.stdout.readline())

        process.send_signal(signal.SIGINT)
        process.wait(20)
    assert process.returncode == 130
    assert past[-1] == "stopped"
    assert news["reason"] == "until"


@pytest.mark.parametrize("output", ["table", "lines", "json"])
def test_a_reader_that_has_seen_enough_is_no_error(environment, recorded, tmp_path, output):
    """``| head``: the command ends quietly when nobody reads on."""
    at = datetime.now(UTC)
    recorded.append(*[
        LogEntry(Inbound(ts=at, sid=f"SM{n}", from_=PHONE, to=OTHER, body="x" * 500, method="POST"))
        for n in range(1000)
    ])  # fmt: skip
    command = [sys.executable, "-m", "smsquest_cli", "log", "-o", output]
    with subprocess.Popen(
        command,
        env=environment,
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        process.stdout.readline()
        process.stdout.close()
        errors = process.stderr.read()

    assert (process.returncode, errors) == (0, "")
