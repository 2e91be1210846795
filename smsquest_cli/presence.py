"""Whether somebody's app is there: looked for from when it is missed until it is back."""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from smsquest_cli import wire
from smsquest_cli.wire import ExchangeError, Request, origin_of

if TYPE_CHECKING:
    from collections.abc import Callable

ABSENT: Final = frozenset({"refused", "connect-timeout", "dns"})  # kinds that mean: no app there
LOOK_SECONDS: Final = 3.0
CONNECT_SECONDS: Final = 1.0
NAMES: Final = {"localhost": "127.0.0.1"}  # which is tried first
AIRPLAY_PORTS: Final = (5000, 7000)


class Presence:
    """Which apps are missing; *back* is told the address of one that is there again.

    A missing app is looked for every few seconds, by a thread that ends when none is missing.
    An app that is there is not looked for: the next request shows whether it has gone.
    """

    def __init__(self, back: Callable[[str], object]) -> None:
        self._back = back
        self._lock = threading.Lock()
        self._missing: set[str] = set()
        self._watcher: threading.Thread | None = None
        self._closing = threading.Event()

    def misses(self, url: str) -> bool:
        """Whether nobody was at the origin of *url* when we last looked."""
        return origin_of(url) in self._missing

    def missed(self, url: str) -> None:
        """Nobody is at *url*: look for it from now on."""
        with self._lock:
            self._missing.add(origin_of(url))
            if self._watcher is None and not self._closing.is_set():
                self._watcher = threading.Thread(target=self._watch, name="presence", daemon=True)
                self._watcher.start()

    def met(self, url: str) -> None:
        """Somebody is at *url*; *back* is told if it was missing."""
        if not self.misses(url):
            return
        with self._lock:
            was_missing = origin_of(url) in self._missing
            self._missing.discard(origin_of(url))
        if was_missing and not self._closing.is_set():
            self._back(address_of(url))

    def close(self) -> None:
        """Stop looking, and tell nothing from now on."""
        self._closing.set()
        watcher = self._watcher
        if watcher is not None and watcher is not threading.current_thread():
            watcher.join(CONNECT_SECONDS)

    def _watch(self) -> None:
        while not self._closing.wait(LOOK_SECONDS):
            for origin in [*self._missing]:
                if listens(origin):
                    self.met(origin)
            with self._lock:
                if not self._missing:
                    self._watcher = None
                    return


def listens(url: str) -> bool:
    """Whether a connection to *url* can be made; no request is sent."""
    try:
        wire.open_connection(urlsplit(url), timeout=CONNECT_SECONDS).close()
    except ExchangeError as err:
        return err.kind not in ABSENT
    return True


def airplay_answers(url: str) -> bool:
    """Whether it is macOS that answers at *url*: its AirPlay uses ports that apps like to use."""
    if sys.platform != "darwin" or urlsplit(url).port not in AIRPLAY_PORTS:
        return False
    try:
        answer = wire.send(Request("HEAD", origin_of(url)), timeout=CONNECT_SECONDS)
    except ExchangeError:
        return False
    return (answer.header("Server") or "").startswith("AirTunes")


def address_of(url: str) -> str:
    """Host and port of *url*, as people are told where an app should listen."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return f"[{host}]:{port}" if ":" in host else f"{NAMES.get(host, host)}:{port}"
