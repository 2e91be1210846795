"""waitress, set up for webhooks: quiet, loopback, many connections, and quick to stop."""

from __future__ import annotations

import logging
import threading
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

from smsquest_cli.server.lane import LaneServer

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator

    from smsquest_cli.server.quick import Quick
    from smsquest_cli.wire import WsgiApp

MAX_CONNECTIONS: Final = 4000
MAX_BODY: Final = 1 << 19  # from this size on a request is refused before it is read
MAX_HEADERS: Final = 1 << 16
# Longer than tunnels and proxies keep idle connections (ngrok: 90 s): a request that meets a
# closing connection is lost.
IDLE_SECONDS: Final = 180
FINISH_SECONDS: Final = 0.5  # for requests under way when it stops
END_SECONDS: Final = 0.3
OTHER_FILES: Final = 200  # that a process needs besides its connections


@contextmanager
def running(
    app: WsgiApp, listener: socket.socket, *, threads: int, quick: Quick | None
) -> Iterator[None]:
    """Serve *app* on *listener* while the block runs."""
    server = LaneServer.on(
        listener,
        app,
        quick=quick,
        threads=threads,
        connection_limit=_connection_limit(),
        channel_timeout=IDLE_SECONDS,
        max_request_body_size=MAX_BODY,
        max_request_header_size=MAX_HEADERS,
        clear_untrusted_proxy_headers=False,  # the developer's app may want to see them
        log_socket_errors=False,
        ident=None,
    )
    loop = threading.Thread(target=server.run, name="server", daemon=True)
    with _errors_of_threads():
        loop.start()
        try:
            yield
        finally:
            _stop(server, loop)


class _OfThreads(logging.Handler):
    """Treats an error that waitress has caught and logs like that of any thread."""

    def emit(self, record: logging.LogRecord) -> None:
        """Hand the error on; waitress's own words belong on nobody's screen."""
        if record.levelno >= logging.ERROR and record.exc_info and record.exc_info[0]:
            error = (*record.exc_info, threading.current_thread())
            threading.excepthook(threading.ExceptHookArgs(error))


@contextmanager
def _errors_of_threads() -> Iterator[None]:
    logger, handler = logging.getLogger("waitress"), _OfThreads()
    logger.setLevel(logging.ERROR)
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)


def _stop(server: LaneServer, loop: threading.Thread) -> None:
    """Accept nothing more, give requests under way a moment, then end every connection."""
    server.trigger.pull_trigger(server.refuse_connections)
    deadline = time.monotonic() + FINISH_SECONDS
    while server.is_busy and time.monotonic() < deadline:
        loop.join(0.005)
    with suppress(OSError):  # the trigger may be closed: the first pull may have done this too
        server.trigger.pull_trigger(server.end)
    loop.join(END_SECONDS)
    server.task_dispatcher.shutdown(timeout=0)


def _connection_limit() -> int:
    """As many connections as the process may have open files, with some left for the rest."""
    try:
        import resource
    except ImportError:  # pragma: no cover - Windows has no such limit
        return MAX_CONNECTIONS
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MAX_CONNECTIONS + OTHER_FILES
    if soft == resource.RLIM_INFINITY:
        return MAX_CONNECTIONS
    if soft < wanted:
        most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
            soft = most
    return max(1, min(MAX_CONNECTIONS, soft - OTHER_FILES))
