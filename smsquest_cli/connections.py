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

# Development servers close idle connections after a few seconds (gunicorn 2, Node 5): what has
# rested longer is likelier to be closed than not.
REST_SECONDS: Final = 1.8
CLOSED_SECONDS: Final = 0.2  # until one knows that a request met a connection as it was closed
MOST_AT_REST: Final = 64


class Connections:
    """Sends requests on connections that stay open; safe to use from any thread.

    A server with one thread serves one connection until it ends, so none is kept while another
    request waits, until the server has been seen to answer a later request before an earlier one.
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
        connection that the other side closed while it rested shows so at once, and is replaced
        once; what the app has had for longer is not sent again. Redirects stay unread. Raises
        `ExchangeError`.
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
        """Close what rests, and from now on whatever has been used."""
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
        """Called with the lock held; a second time does nothing."""
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
        """Let an answered connection rest, or end it where somebody else may wait for that."""
        origin = this.origin
        with self._lock:
            # Before the connection is closed: a request that is answered thanks to that must not
            # find this one still under way, and take the server for one with several threads.
            self._ended(this)
            others = self._under_way.get(origin, ())
            if any(
                other.connected is not None and other.connected < this.began for other in others
            ):
                self._side_by_side.add(origin)
            resting = self._at_rest.setdefault(origin, [])
            alone = not others or origin in self._side_by_side
            usable = connection.sock is not None  # None: one of both sides closes it
            if usable and alone and not self._closed and len(resting) < MOST_AT_REST:
                resting.append((time.monotonic(), connection))
                return
        connection.close()


@dataclass(slots=True, eq=False)
class _UnderWay:
    """A request that has no answer yet: where it goes, when it began and was on a connection."""

    origin: Origin
    began: float
    connected: float | None = None


def _is_quiet(connection: HTTPConnection) -> bool:
    """Whether nothing came on *connection* since its last answer, the end of it neither."""
    with suppress(OSError, ValueError):
        if hasattr(select, "poll"):  # which takes any file number; select only those below 1024
            poll = select.poll()
            poll.register(connection.sock, select.POLLIN)
            return not poll.poll(0)
        return not select.select([connection.sock], [], [], 0)[0]
    return False
