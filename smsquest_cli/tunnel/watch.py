"""Keeping a tunnel up: notice that it is gone, bring it back, say both.

ngrok tells nobody that its agent died or lost its session, and a computer that slept finds out
last. `Watch` looks at the agent's log, its process and the clock, and has one thread for all.
"""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Final

from smsquest_cli.problems import SmsquestError, TunnelError
from smsquest_cli.tunnel.agent import BACK, ENDED, LOST

if TYPE_CHECKING:
    from collections.abc import Callable

    from smsquest_cli.tunnel.agent import Agent

    Hear = Callable[[str], None]

ASLEEP_SECONDS: Final = 30.0  # a wall clock that runs ahead of the steady one by more: sleep
# What starting again does not mend: no authtoken, a wrong one, an agent too old or gone, the quota.
HOPELESS: Final = ("T1", "T2", "T3", "T10", "T11", "T20", "T21")


@dataclass(frozen=True, slots=True, kw_only=True)
class TunnelChange:
    """The tunnel is ``down``; ``up`` again, or ``changed`` to another ``url``; ``lost`` for good.

    ``reason`` says why it went, or why it does not come back. While that is tried again it is
    ``retrying``, with the *problem* that was in the way the last time; each is reported once.
    """

    state: str
    url: str
    reason: str = ""
    problem: SmsquestError | None = None
    at: datetime = field(default_factory=lambda: datetime.now(UTC))


@dataclass(frozen=True, slots=True, kw_only=True)
class Timings:
    """How long things may take, in seconds."""

    version: float = 15.0  # an antivirus looks at a new program first
    startup: int = 15
    start: float = 40.0
    tick: float = 1.0
    reconnect: float = 16.0  # the agent tries by itself after 0.5, 1, 2, 4, 8 s; then anew
    pauses: tuple[float, ...] = (1.0, 2.0, 5.0)  # between starts; the last one again and again
    lost: float = 300.0


class Watch:
    """The agent of a tunnel through its changes.

    *begin* starts an agent (url or None, what hears its news) or raises `TunnelError`; *verify*
    raises a `SmsquestError` while a url does not lead here.
    """

    def __init__(
        self,
        begin: Callable[[str | None, Hear], Agent],
        *,
        stopping: threading.Event,
        tell: Callable[[TunnelChange], None],
        verify: Callable[[str], object] | None,
        timings: Timings,
        wall: Callable[[], float] = time.time,
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        self.agent: Agent | None = None
        self._begin = begin
        self._stopping = stopping
        self._tell_them = tell
        self._verify = verify
        self._timings = timings
        self._wall, self._steady = wall, steady
        self._ahead = wall() - steady()
        self._news: SimpleQueue[tuple[int, str]] = SimpleQueue()
        self._generation = 0
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="ngrok-watch", daemon=True)
        self._online = False
        self._down_since: float | None = None
        self._next_start = 0.0
        self._starts = 0
        self._why: SmsquestError | None = None  # why it was not back at the last try
        self._said: set[str] = set()
        self._fixed = False
        self._url = ""  # the address that was told last

    @property
    def url(self) -> str:
        """The public address now; it may change while the tunnel is down."""
        return self.agent.url if self.agent is not None else self._url

    def open(self, url: str | None) -> None:
        """Start the first agent, at *url* if one is asked for; raises what *begin* raises."""
        self._fixed = url is not None
        self._start(url)
        self._url = self.url

    def watch(self) -> None:
        """Look after the agent from now on."""
        self._ahead = self._wall() - self._steady()
        self._thread.start()

    def close(self) -> None:
        """End the agent, and start no other; nothing more is reported."""
        self._stopping.set()
        self._news.put((self._generation, ""))
        with self._lock:
            agent = self.agent
        if agent is not None:
            agent.close()
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join(1.0)  # it may be in *verify*, and then ends after it

    def _run(self) -> None:
        while not self._stopping.is_set():
            before = self._wall()
            self._take_news()
            self._notice_sleep(self._wall() - before)
            if self._down_since is not None and not self._stopping.is_set():
                self._recover(self._down_since)

    def _take_news(self) -> None:
        try:
            generation, news = self._news.get(timeout=self._timings.tick)
        except Empty:
            return
        if generation != self._generation:  # of an agent that has been replaced
            return
        if news == BACK:
            self._online = True
            self._next_start = self._steady() + self._timings.reconnect
        elif news == LOST:
            self._go_down("ngrok lost its connection", wait=self._timings.reconnect)
        elif news == ENDED:
            self._go_down("ngrok's agent ended", wait=0.0)

    def _notice_sleep(self, waited: float) -> None:
        """Notice sleep by the two clocks; on Windows, where both keep running, by a long wait."""
        ahead = self._wall() - self._steady()
        slept, self._ahead = max(ahead - self._ahead, waited - self._timings.tick), ahead
        if slept > ASLEEP_SECONDS:
            online = self._online  # if it is, the agent has noticed nothing: *verify* decides
            self._go_down(f"this computer slept {_words(slept)}", wait=self._timings.reconnect)
            self._online = online

    def _go_down(self, reason: str, *, wait: float) -> None:
        was_online, self._online = self._online, False
        if self._down_since is None:
            self._down_since = self._steady()
            self._starts = 0
            self._why = None
            self._said.clear()
            self._next_start = self._down_since + wait
            self._tell("down", reason)
        elif was_online or not wait:
            self._next_start = self._steady() + wait

    def _recover(self, since: float) -> None:
        """One step on the way back: it leads here again, or is started again, or is given up."""
        now = self._steady()
        if self._online and self._leads_here():
            self._down_since = None
            former, self._url = self._url, self.url
            self._tell("up" if self._url == former else "changed", "")
        elif now - since > self._timings.lost:
            why = f": {self._why.line}" if self._why is not None else ""
            self._give_up(f"not back in {_words(self._timings.lost)}{why}")
        elif now >= self._next_start:
            self._start_again()

    def _leads_here(self) -> bool:
        if self._verify is None:
            return True
        try:
            self._verify(self.url)
        except SmsquestError as err:
            self._why = err
            return False
        return True

    def _start_again(self) -> None:
        assert self.agent is not None
        if self._why is not None and self._why.id not in self._said:
            self._said.add(self._why.id)
            self._tell("retrying", self._why.line, self._why)
        url, self._online = self.agent.url, False
        self.agent.close()
        try:
            try:
                self._start(url)
            except TunnelError as err:
                if err.id != "T15" or self._fixed:
                    raise
                self._start(None)  # a random address cannot be asked for again
        except TunnelError as err:
            if err.id in HOPELESS:
                self._give_up(err.line)
                return
            self._why = err
            pauses = self._timings.pauses
            self._next_start = self._steady() + pauses[min(self._starts, len(pauses) - 1)]
            self._starts += 1
            return

    def _start(self, url: str | None) -> None:
        self._generation += 1
        agent = self._begin(url, partial(self._hear, self._generation))
        with self._lock:
            self.agent = agent
            self._online = True
            self._next_start = self._steady() + self._timings.reconnect
            if not self._stopping.is_set():
                self._hear(self._generation, "")  # so that nobody waits for a tick
                return
        agent.close()

    def _hear(self, generation: int, news: str) -> None:
        self._news.put((generation, news))

    def _give_up(self, reason: str) -> None:
        self._tell("lost", reason)
        self._stopping.set()
        assert self.agent is not None
        self.agent.close()

    def _tell(self, state: str, reason: str, problem: SmsquestError | None = None) -> None:
        if self._stopping.is_set():
            return
        with suppress(SmsquestError):  # whoever is told may fail; the tunnel must stay up
            self._tell_them(TunnelChange(state=state, url=self.url, reason=reason, problem=problem))


def _words(seconds: float) -> str:
    """*seconds* as people say them: ``40 s``, ``41 min``, ``7 h``."""
    if seconds < 90:  # noqa: PLR2004
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes / 60:.0f} h"  # noqa: PLR2004
