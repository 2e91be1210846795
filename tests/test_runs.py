"""Other commands find a running serve, and only a running one."""

from __future__ import annotations

import os
import stat
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from smsquest_cli.events import Ready
from smsquest_cli.runs import Run, announced, running

READY = Ready(
    ts=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
    mode="local",
    pid=os.getpid(),
    webhook_url="http://127.0.0.1:1/sms",
    status_url="http://127.0.0.1:1/status",
    local_url="http://127.0.0.1:1",
)
RUN = Run("a" * 16, READY, "events.sqlite3", "token")


def test_a_run_is_found_while_it_is_announced(tmp_path):
    """`running` names what `announced` announces, and nothing once it is over."""
    with announced(tmp_path, RUN):
        assert running(tmp_path) == [RUN]

    assert running(tmp_path) == []


def test_the_file_of_a_killed_run_is_removed(tmp_path):
    """A pid that another process has now is nobody's run."""
    with announced(tmp_path, RUN):
        path = next((tmp_path / "running").glob("*.json"))
        path.write_text(path.read_text().replace('"process": "', '"process": "former '))

        assert running(tmp_path) == []
        assert not path.exists()


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"ready": {"type": "stopped"}}', "\x00"])
def test_a_file_that_is_no_run_is_removed(tmp_path, content):
    """Garbage in the folder never stops a command."""
    folder = tmp_path / "running"
    folder.mkdir()
    (folder / "1.json").write_text(content)

    assert running(tmp_path) == []
    assert list(folder.iterdir()) == []


def test_the_newest_run_comes_first(tmp_path):
    """A command that names no run means the one that was started last."""
    older = replace(RUN, id="b" * 16, ready=replace(READY, ts=READY.ts - timedelta(hours=1)))
    with announced(tmp_path, older):
        (tmp_path / "running" / f"{os.getpid()}.json").rename(tmp_path / "running" / "other.json")
        with announced(tmp_path, RUN):
            assert [run.id for run in running(tmp_path)] == [RUN.id, older.id]


def test_only_this_user_may_read_it(tmp_path):
    """The file holds a control token: 0600 in a 0700 folder."""
    with announced(tmp_path, RUN):
        path = next((tmp_path / "running").glob("*.json"))

        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_the_token_is_not_shown():
    """A repr never holds the control token."""
    assert "token" not in repr(RUN).replace("control_token", "")
