"""Which agents our runs have started, so that one that outlives its run is found and ended.

A run that was killed leaves its agent behind: the address stays taken, and Twilio posts into
nothing. Each agent has a file in ``<home>/ngrok-agents`` while it lives.
"""

from __future__ import annotations

import json
import os
import signal
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from smsquest_cli import processes
from smsquest_cli.files import write_state

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FOLDER = "ngrok-agents"


@dataclass(frozen=True, slots=True)
class AgentRecord:
    """An agent that runs now: whose it is, and since when."""

    pid: int
    identity: str
    owner: int
    owner_runs: bool
    since: datetime
    url: str | None
    path: Path

    def forget(self) -> None:
        """Remove the record: the agent has ended."""
        with suppress(OSError):
            self.path.unlink()


def record(home: Path, pid: int, *, url: str | None = None) -> Path:
    """Write down that this process has started the agent *pid*; returns the file to remove."""
    path = home / FOLDER / f"{pid}.json"
    content = {
        "identity": processes.identity(pid),
        "owner": os.getpid(),
        "owner_identity": processes.own_identity(),
        "since": datetime.now(UTC).isoformat(timespec="seconds"),
        "url": url,
    }
    write_state(path, json.dumps(content))
    return path


def recorded(home: Path) -> Iterator[AgentRecord]:
    """The agents of this user's runs that run now; the files of others are removed."""
    for path in sorted((home / FOLDER).glob("*.json")):
        try:
            content = json.loads(path.read_text("utf-8"))
            pid, identity = int(path.stem), content["identity"]
            found = AgentRecord(
                pid=pid,
                identity=identity,
                owner=content["owner"],
                owner_runs=processes.is_running(content["owner"], content["owner_identity"]),
                since=datetime.fromisoformat(content["since"]),
                url=content["url"],
                path=path,
            )
            alive = processes.is_running(pid, identity)
        except (OSError, ValueError, KeyError, TypeError):
            alive = False
        if alive:
            yield found
        else:
            with suppress(OSError):
                path.unlink()


def end_orphans(home: Path, *, timeout: float = 2.0) -> list[int]:
    """End every recorded agent whose run is gone, and return their pids.

    Only agents that we have started ourselves, and only if it is still that process.
    """
    ended = []
    for orphan in [found for found in recorded(home) if not found.owner_runs]:
        with suppress(OSError):
            os.kill(orphan.pid, getattr(signal, "SIGKILL", signal.SIGTERM))
        deadline = time.monotonic() + timeout
        while processes.is_running(orphan.pid, orphan.identity) and time.monotonic() < deadline:
            time.sleep(0.02)
        orphan.forget()
        ended.append(orphan.pid)
    return ended
