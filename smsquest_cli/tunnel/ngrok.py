"""The ngrok tunnel: what must be right before an agent starts, and what to say if it is not."""

from __future__ import annotations

import os
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from smsquest_cli import wire
from smsquest_cli.problems import TunnelError
from smsquest_cli.tunnel import agent, agent_config, agent_records, binary
from smsquest_cli.tunnel.refusals import Attempt, NoAgentError, problem_of
from smsquest_cli.tunnel.watch import Timings, TunnelChange, Watch

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from smsquest_cli.tunnel.agent_config import AgentConfig

INSPECTOR: Final = "http://127.0.0.1:4040"  # where the first agent on a computer listens
RELEASE_TRIES: Final = 3  # ngrok frees the address of an agent that was killed after a moment
SLOW_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class NgrokSettings:
    """What an ngrok tunnel needs to know; *say* is told what takes long, in words."""

    home: Path
    authtoken: str | None = field(default=None, repr=False)
    authtoken_source: str = "NGROK_AUTHTOKEN"
    domain: str | None = None
    path: str | None = None  # of the agent; None: looked for
    say: Callable[[str], None] = lambda _line: None
    search_path: str | None = field(default_factory=lambda: os.environ.get("PATH"), repr=False)


class NgrokTunnel:
    """A public URL from ngrok, kept up until it is closed.

    ``on_change`` is called from another thread when it goes down, cannot be brought back yet, is
    back (perhaps at another ``url``) or is lost; *verify*, given the URL, raises a `SmsquestError`
    while it does not lead here, and is asked before the tunnel counts as back.
    """

    def __init__(self, watch: Watch) -> None:
        self._watch = watch

    @classmethod
    def open(
        cls,
        local_url: str,
        settings: NgrokSettings,
        *,
        on_change: Callable[[TunnelChange], None] = lambda _change: None,
        verify: Callable[[str], object] | None = None,
        timings: Timings | None = None,
        wall: Callable[[], float] = time.time,
    ) -> NgrokTunnel:
        """A tunnel to *local_url*; raises `TunnelError`, and then leaves no process.

        Whatever else is raised meanwhile in this thread (Ctrl-C) leaves none either.
        """
        timings = timings or Timings()
        stopping = threading.Event()
        begin = _Beginning(local_url, settings, timings, stopping)
        watch = Watch(
            begin, stopping=stopping, tell=on_change, verify=verify, timings=timings, wall=wall
        )
        try:
            begin.orphans += end_orphans(settings.home, settings.say)
            _apart(
                lambda: watch.open(_wanted_url(settings.domain)),
                cancel=stopping,
                slow=lambda: settings.say("waiting for ngrok to open the tunnel …"),
            )
            watch.watch()
        except BaseException:
            watch.close()
            raise
        return cls(watch)

    @property
    def url(self) -> str:
        """The public address, without a slash at its end."""
        return self._watch.url

    def close(self) -> None:
        """Take the tunnel down and end the agent, in about two seconds; may be called twice."""
        self._watch.close()


def end_orphans(home: Path, say: Callable[[str], object]) -> int:
    """End the agents that killed runs have left behind, and *say* so; returns how many."""
    ended = agent_records.end_orphans(home)
    for _ in ended:
        say("ended an ngrok agent that a killed smsquest had left behind")
    return len(ended)


def _look_for_agent(settings: NgrokSettings, timings: Timings) -> tuple[binary.Binary, AgentConfig]:
    """An agent that can be run and its settings; without an authtoken none is looked for."""
    folder = agent_config.agent_folder()
    config = agent_config.read_config(folder)
    if not (settings.authtoken or config.token):
        raise TunnelError("T1")
    path = binary.find(settings.path, search_path=settings.search_path, folder=folder)
    path = path or binary.download(folder, say=settings.say)
    return binary.examine(path, timeout=timings.version), config


def _token_source(settings: NgrokSettings, config: AgentConfig) -> str:
    return settings.authtoken_source if settings.authtoken else str(config.path)


class _Beginning:
    """Starts agents for one tunnel: looks for the authtoken and the agent once, then starts."""

    def __init__(
        self, local_url: str, settings: NgrokSettings, timings: Timings, cancel: threading.Event
    ) -> None:
        """Find out what is needed; raises `TunnelError` before anything is started."""
        found, config = _look_for_agent(settings, timings)
        self.orphans = 0
        self._cancel = cancel
        self._release_seconds = timings.pauses[0]
        self._home = settings.home
        self._launch = agent.Launch(
            path=found.path,
            has_endpoints=found.has_endpoints,
            config_path=config.for_agent(settings.home, has_endpoints=found.has_endpoints),
            local_url=local_url,
            home=settings.home,
            token=settings.authtoken,
            startup_seconds=timings.startup,
            seconds=timings.start,
        )
        self._attempt = Attempt(
            path=found.path,
            version=found.version,
            config_path=str(self._launch.config_path),
            url=_wanted_url(settings.domain),
            token=settings.authtoken or config.token,
            token_source=_token_source(settings, config),
            owner=self._owner,
        )

    def __call__(self, url: str | None, hear: Callable[[str], None]) -> agent.Agent:
        """A new agent with an endpoint at *url*; raises `TunnelError`."""
        tries = RELEASE_TRIES if self.orphans else 1
        while True:
            tries -= 1
            try:
                return agent.start(self._launch, url=url, cancel=self._cancel, hear=hear)
            except NoAgentError as failure:
                problem = problem_of(failure, self._attempt)
            if problem.id != "T4" or not tries or self._cancel.wait(self._release_seconds):
                raise problem

    def _owner(self, url: str | None) -> str:
        """Who serves *url* (or has the sessions of the account), as far as this computer knows."""
        for record in agent_records.recorded(self._home):
            if (
                record.owner_runs
                and record.owner != os.getpid()
                and record.url == (url or record.url)
            ):
                since = f"{record.since.astimezone():%H:%M}"
                return f"smsquest pid {record.owner} on this machine, since {since}"
        try:
            answer = wire.send(
                wire.Request("GET", f"{INSPECTOR}/api/tunnels"), connect_timeout=0.5, timeout=1.0
            )
        except wire.ExchangeError:
            answer = wire.Answer(0)
        if url and url.encode() in answer.body:
            return f"an ngrok agent on this machine, {INSPECTOR}"
        return "another machine of this ngrok account, or an agent that nobody ended"


def _wanted_url(domain: str | None) -> str | None:
    """The URL of *domain*, which may be a URL already."""
    if not domain:
        return None
    return domain.rstrip("/") if "://" in domain else f"https://{domain.strip('/')}"


def _apart(work: Callable[[], None], *, cancel: threading.Event, slow: Callable[[], None]) -> None:
    """Do *work* in a thread, so that a signal interrupts the wait for it and not the work itself.

    Whatever ends the wait sets *cancel*, and is raised again once the work has ended (or after 5
    seconds). *slow* is called if the work takes longer than `SLOW_SECONDS`.
    """
    ended = threading.Event()
    failures: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as err:  # noqa: BLE001 - raised again where it is waited for
            failures.append(err)
        finally:
            ended.set()

    try:
        threading.Thread(target=run, name="ngrok-start").start()
        if not ended.wait(SLOW_SECONDS):
            slow()
        while not ended.wait(0.2):  # in steps, as Windows lets no Ctrl-C into a long wait
            pass
    except BaseException:
        cancel.set()
        ended.wait(5.0)
        raise
    if failures:
        raise failures[0]
