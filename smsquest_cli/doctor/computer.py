"""The checks on this computer: what runs, the journal, ngrok, port, proxy, event log, ``.env``."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING, Final

from smsquest_cli.config import twilio_cli_profiles
from smsquest_cli.doctor.checks import Check, trouble
from smsquest_cli.eventlog import log_file
from smsquest_cli.journal import Journal
from smsquest_cli.problems import LocalError, TunnelError, UsageError, catalogue, line_of
from smsquest_cli.runs import running, running_sandbox
from smsquest_cli.server import DEFAULT_PORT, bind
from smsquest_cli.webhook_urls import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from datetime import datetime
    from pathlib import Path

    from smsquest_cli.config import Settings

VERSION_SECONDS: Final = 10.0
GIT_SECONDS: Final = 5.0
SECRETS: Final = ("auth_token", "api_secret", "ngrok_authtoken", "webhook_secret")


def local_checks(
    settings: Settings,
    *,
    environment: Mapping[str, str],
    cwd: Path,
    now: Callable[[], datetime],
) -> Iterator[Check]:
    """Every check on this computer, one after the other."""
    yield _runs(settings)
    yield from _journal(settings, now())
    yield from _ngrok(settings, environment)
    yield _port(settings)
    yield _proxy(environment)
    yield _store(settings)
    yield _env_file(settings, cwd, environment)
    yield _profiles(environment)


def _runs(settings: Settings) -> Check:
    runs = running(settings.home)
    if not runs:
        return Check(id="serve", state="ok", line="none is running")
    told = [f"pid {run.ready.pid} at {run.ready.webhook_url}" for run in runs]
    return Check(id="serve", state="ok", line=", ".join(told))


def _journal(settings: Settings, at: datetime) -> Iterator[Check]:
    journal = Journal(settings.home)
    notes = journal.notes(at=at)
    for note in notes:
        fix = catalogue()[note.id].next_step
        yield Check(id="journal", state="problem", line=f"{note.line} [{note.id}]", fix=fix)
    if notes:
        return
    held = [
        f"{entry.number} {'left here on purpose' if entry.kept else 'is pointed here'}, "
        f"before: {entry.original_words()}"
        for entry in journal.entries()
    ]
    yield Check(id="journal", state="ok", line="; ".join(held) or "no number waits to be put back")


def _ngrok(settings: Settings, environment: Mapping[str, str]) -> Iterator[Check]:
    """The agent and its authtoken; no agent is downloaded and no tunnel started."""
    from smsquest_cli.tunnel import agent_config, binary

    source = settings.source_of("ngrok_path") if settings.ngrok_path else None
    try:
        folder = agent_config.agent_folder()
    except TunnelError as err:  # there is no agent for this system; other checks still help
        yield trouble("ngrok", err, source=source)
        return
    try:
        path = binary.find(settings.ngrok_path, search_path=environment.get("PATH"), folder=folder)
        if path is None:
            line = "not installed; the first serve fetches it"
            yield Check(id="ngrok", state="ok", line=line)
        else:
            found = binary.examine(path, timeout=VERSION_SECONDS)
            line = f"{found.version} ({found.path})"
            yield Check(id="ngrok", state="ok", line=line, source=source)
    except TunnelError as err:
        yield trouble("ngrok", err, source=source)
    yield _ngrok_token(settings, folder)


def _ngrok_token(settings: Settings, folder: Path) -> Check:
    from smsquest_cli.tunnel import agent_config

    if settings.ngrok_authtoken is not None:
        source = settings.source_of("ngrok_authtoken")
        return Check(id="ngrok-token", state="ok", line="an authtoken is set", source=source)
    try:
        config = agent_config.read_config(folder)
    except TunnelError as err:
        return trouble("ngrok-token", err)
    if config.token:
        line = "an authtoken is set"
        return Check(id="ngrok-token", state="ok", line=line, source=str(config.path))
    if settings.account_sid is None and running_sandbox(settings.home) is not None:
        line = "none; the running sandbox needs none, a real number will"
        return Check(id="ngrok-token", state="skipped", line=line)
    return trouble("ngrok-token", TunnelError("T1"))


def _port(settings: Settings) -> Check:
    ours = {run.ready.local_url.rpartition(":")[2]: run for run in running(settings.home)}
    if run := ours.get(str(DEFAULT_PORT)):
        line = f"{DEFAULT_PORT} is that of the running serve, pid {run.ready.pid}"
        return Check(id="port", state="ok", line=line)
    try:
        bind(DEFAULT_PORT).close()
    except LocalError as err:
        return Check(id="port", state="ok", line=f"{err.line.partition(';')[0]}; another is used")
    return Check(id="port", state="ok", line=f"{DEFAULT_PORT} is free")


def _proxy(environment: Mapping[str, str]) -> Check:
    names = ("http_proxy", "https_proxy", "all_proxy")
    given = {
        name: value
        for name, value in environment.items()
        if name.lower() in names and value.strip()
    }
    told = ", ".join(f"{name}={shown(value)}" for name, value in sorted(given.items()))
    if any(name.lower() == "http_proxy" for name in given):
        line = f"{told}: {line_of('T21')} [T21]"
        fix = "Unset it for serve, or use --public-url."
        return Check(id="proxy", state="problem", line=line, fix=fix, source="environment")
    return Check(id="proxy", state="ok", line=told or "none is set")


def _store(settings: Settings) -> Check:
    """Whether events can be recorded; the place is looked at, but not created."""
    source = settings.source_of("store")
    try:
        path = log_file(settings.store)
    except UsageError as err:
        return trouble("store", err, source=source)
    place = path if path.exists() else next(one for one in path.parents if one.exists())
    if path.is_dir() or not os.access(place, os.W_OK):
        reason = "it is a folder" if path.is_dir() else f"{place} cannot be written"
        return trouble("store", LocalError("L1", path=path, reason=reason), source=source)
    free = shutil.disk_usage(place).free // (1 << 20)
    if not free:
        return trouble("store", LocalError("L3", path=path), source=source)
    return Check(id="store", state="ok", line=f"{path} ({free} MB free)", source=source)


def _env_file(settings: Settings, cwd: Path, environment: Mapping[str, str]) -> Check:
    """Whether a ``.env`` with secrets is tracked by git, and so ends up in every checkout."""
    used = [settings.source_of(name) for name in SECRETS]
    path = cwd / ".env"
    if not any(source.startswith(".env") for source in used) or not path.is_file():
        return Check(id="env-file", state="ok", line="no secret comes from a .env here")
    git = shutil.which("git", path=environment.get("PATH"))
    if git is None:
        return Check(id="env-file", state="skipped", line="there is no git to ask")
    # A repository can make git run programs of its choice: not for this question.
    command = [git, "-c", "core.fsmonitor=false", "ls-files", "--error-unmatch", ".env"]
    try:
        tracked = subprocess.run(  # noqa: S603
            command, cwd=cwd, capture_output=True, timeout=GIT_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return Check(id="env-file", state="skipped", line="git did not answer")
    if tracked.returncode == 0:
        return Check(
            id="env-file",
            state="problem",
            line=f"{line_of('C9', path=path)} [C9]",
            fix="git rm --cached .env, add it to .gitignore, and rotate what was committed.",
        )
    return Check(id="env-file", state="ok", line=".env is not tracked by git")


def _profiles(environment: Mapping[str, str]) -> Check:
    """Whether the file of the Twilio CLI can be read; the other commands pass over a broken one."""
    found = twilio_cli_profiles(environment)
    if found.fault is not None:
        return Check(
            id="profiles",
            state="problem",
            line=f"{found.path} cannot be read ({found.fault})",
            fix="Correct the file, or remove it and run: twilio profiles:create",
        )
    names = ", ".join(sorted(found.profiles))
    return Check(id="profiles", state="ok", line=names or "none of the Twilio CLI")
