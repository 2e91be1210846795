"""Connections that are kept open for the next request: a pool of ``http.client`` connections."""

from __future__ import annotations

import select
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from smsquest_cli import wire
from smsquest_cli.wire import ExchangeError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from http.client import HTTPConnection

    from smsquest_cli.wire import Answer, Request

    Origin = tuple[str, str]

# Development servers close idle connections after a few seconds (gunicorn 2, Node 5): one that
# has rested longer is probably closed.
REST_SECONDS: Final = 1.8
CLOSED_SECONDS: Final = 0.2  # a request that meets a closing connection fails this soon
MOST_AT_REST: Final = 64


class Connections:
    """Sends requests on connections that stay open; safe to use from any thread.

    A server with one thread serves one connection until that ends, so none is kept while another
    request waits, unless the server has been seen to answer a later request before an earlier one.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._at_rest: dict[Origin, list[tuple[float, HTTPConnection]]] = {}
        self._under_way: dict[Origin, set[_UnderWay]] = {}
        self._side_by_side: set[Origin] = set()
        self._closed = False

    def send(
        self,
        request: Request,
        *,
        connect_timeout: float,
        deadline: float,
        meanwhile: Callable[[], None] = lambda: None,
    ) -> Answer:
        """The answer to *request*, if it comes before *deadline* on ``time.monotonic()``.

        *meanwhile* is called each time that the request has been sent, before its answer is read. A
        kept connection that turns out to be closed fails at once; then the request is sent once
        more, on a new one. A request that the app may have had for longer is not sent again.
        Redirects are not followed. Raises `ExchangeError`.
        """
        try:
            parts = urlsplit(request.url)
            origin = (parts.scheme, parts.netloc)
        except ValueError as err:
            raise ExchangeError("dns", f"not a URL: {request.url}") from err
        with self._under_way_to(origin) as this:
            if rested := self._rested(origin):
                this.connected = time.monotonic()
                try:
                    return self._exchange(rested, request, deadline, meanwhile, this)
                except ExchangeError as err:
                    took = time.monotonic() - this.connected
                    closed = isinstance(err.__cause__, ConnectionError) and not err.begun
                    if not closed or took > CLOSED_SECONDS:
                        raise
            left = deadline - time.monotonic()
            if left <= 0:
                raise ExchangeError("timeout", "no time left")
            fresh = wire.open_connection(parts, timeout=min(connect_timeout, left))
            this.connected = time.monotonic()
            return self._exchange(fresh, request, deadline, meanwhile, this)

    def close(self) -> None:
        """Close the connections at rest, and from now on each of the others after its use."""
        with self._lock:
            self._closed = True
            resting = [one for connections in self._at_rest.values() for _, one in connections]
            self._at_rest.clear()
        for connection in resting:
            connection.close()

    @contextmanager
    def _under_way_to(self, origin: Origin) -> Iterator[_UnderWay]:
        this = _UnderWay(origin, time.monotonic())
        with self._lock:
            self._under_way.setdefault(origin, set()).add(this)
        try:
            yield this
        finally:
            with self._lock:
                self._ended(this)

    def _ended(self, this: _UnderWay) -> None:
        """Must be called with the lock held; a second call does nothing."""
        others = self._under_way.get(this.origin, set())
        others.discard(this)
        if not others:
            self._under_way.pop(this.origin, None)

    def _exchange(
        self,
        connection: HTTPConnection,
        request: Request,
        deadline: float,
        meanwhile: Callable[[], None],
        this: _UnderWay,
    ) -> Answer:
        try:
            answer = wire.exchange(connection, request, deadline=deadline, meanwhile=meanwhile)
        except BaseException:
            connection.close()
            raise
        self._keep(connection, this)
        return answer

    def _rested(self, origin: Origin) -> HTTPConnection | None:
        """The connection to *origin* that was used last and still seems to be open."""
        while True:
            with self._lock:
                resting = self._at_rest.get(origin)
                if not resting:
                    return None
                since, connection = resting.pop()
            if time.monotonic() - since < REST_SECONDS and _is_quiet(connection):
                return connection
            connection.close()

    def _keep(self, connection: HTTPConnection, this: _UnderWay) -> None:
        """Let an answered connection rest, or close it if another request may wait for that."""
        origin = this.origin
        with self._lock:
            # Before the connection is closed: a request that gets its answer thanks to that must
            # not see this one still under way, and take the server for one with several threads.
            self._ended(this)
            others = self._under_way.get(origin, ())
            if any(
                other.connected is not None and other.connected < this.began for other in others
            ):
                self._side_by_side.add(origin)
            resting = self._at_rest.setdefault(origin, [])
            alone = not others or origin in self._side_by_side
            usable = connection.sock is not None  # None: one side closes it
            if usable and alone and not self._closed and len(resting) < MOST_AT_REST:
                resting.append((time.monotonic(), connection))
                return
        connection.close()


@dataclass(slots=True, eq=False)
class _UnderWay:
    """A request without an answer yet: where it goes, when it began, when it had a connection."""

    origin: Origin
    began: float
    connected: float | None = None


def _is_quiet(connection: HTTPConnection) -> bool:
    """Whether *connection* is idle: since its last answer, neither data nor a close has come."""
    with suppress(OSError, ValueError):
        if hasattr(select, "poll"):  # which takes any file number; select only those below 1024
            poll = select.poll()
            poll.register(connection.sock, select.POLLIN)
            return not poll.poll(0)
        return not select.select([connection.sock], [], [], 0)[0]
    return False
