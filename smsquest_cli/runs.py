"""The running ``serve`` processes of this user: how other commands find one and talk to it.

Each run has a file in ``<home>/running``, written when it is ready and removed when it stops; the
file of a run that was killed is recognised by its process and removed by whoever looks next.
"""

from __future__ import annotations

import json
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from smsquest_cli import processes
from smsquest_cli.events import Ready, from_record, to_record
from smsquest_cli.files import write_state

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Run:
    """A ``serve`` that is ready: what it announced, where its events are, how to control it."""

    id: str
    ready: Ready
    store: str
    control_token: str | None = field(default=None, repr=False)  # of its sandbox, if it has one


@contextmanager
def announced(home: Path, run: Run) -> Iterator[None]:
    """Let other commands find *run* while the block runs."""
    path = home / "running" / f"{run.ready.pid}.json"
    content = {
        "id": run.id,
        "process": processes.identity(run.ready.pid),
        "store": run.store,
        "control_token": run.control_token,
        "ready": to_record(run.ready),
    }
    write_state(path, json.dumps(content))
    try:
        yield
    finally:
        with suppress(OSError):
            path.unlink()


def running(home: Path) -> list[Run]:
    """Every ``serve`` that is ready now, the newest first."""
    found = []
    for path in (home / "running").glob("*.json"):
        try:
            content = json.loads(path.read_text("utf-8"))
            run = _run(content)
            alive = processes.is_running(run.ready.pid, content["process"])
        except (OSError, ValueError, KeyError, TypeError):
            alive = False
        if alive:
            found.append(run)
        else:  # killed, or not written by us: nobody can use it
            with suppress(OSError):
                path.unlink()
    return sorted(found, key=lambda run: run.ready.ts, reverse=True)


def running_sandbox(home: Path) -> Run | None:
    """The newest ``serve --sandbox`` that is ready now, if there is one."""
    return next((run for run in running(home) if run.ready.sandbox is not None), None)


def _run(content: dict[str, object]) -> Run:
    """The run that *content* describes; raises `ValueError`, `KeyError` or `TypeError`."""
    ready = from_record(content["ready"])
    run_id, store, token = content["id"], content["store"], content["control_token"]
    if (
        not isinstance(ready, Ready)
        or not isinstance(run_id, str)
        or not isinstance(store, str)
        or not isinstance(token, str | None)
    ):
        raise TypeError("not a run")
    return Run(run_id, ready, store, token)
