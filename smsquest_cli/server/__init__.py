"""The local HTTP server: a loopback port, claimed early, and a WSGI app served on it."""

from __future__ import annotations

import errno
import socket
import sys
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from smsquest_cli.problems import LocalError, reason_of
from smsquest_cli.server.owners import owner_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from smsquest_cli.server.quick import Quick
    from smsquest_cli.wire import WsgiApp

DEFAULT_PORT: Final = 8767
HOST: Final = "127.0.0.1"

_TAKEN: Final = frozenset({errno.EADDRINUSE, 10048})  # the other one is Windows's


class Listening:
    """A loopback port that is ours: connections queue up from now on, and are served later."""

    def __init__(self, taken: socket.socket, note: dict[str, object] | None = None) -> None:
        self._socket = taken
        self.port: int = taken.getsockname()[1]
        self.url = f"http://{HOST}:{self.port}"
        self.note = note  # the values of A1, if the default port was taken

    @contextmanager
    def serving(
        self, app: WsgiApp, *, threads: int = 8, quick: Quick | None = None
    ) -> Iterator[None]:
        """Serve *app* with up to *threads* requests at once while the block runs.

        *quick* answers what it takes in the server's own thread, before the app is asked.
        On the way out requests under way are finished, if they are quick; that takes less than a
        second whatever clients do. Then the port is free.
        """
        from smsquest_cli.server.running import running  # waitress takes its time to import

        with running(app, self._socket, threads=threads, quick=quick):
            yield

    def close(self) -> None:
        """Give the port up."""
        self._socket.close()


def later(make: Callable[[], WsgiApp]) -> WsgiApp:
    """An app that *make* makes when the first request comes: nothing waits for its imports."""
    made = cache(make)

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        return made()(environ, start_response)

    return app


def bind(port: int | None) -> Listening:
    """Claim a loopback port: *port*, any free one for 0, or for None the default one.

    If the default port is taken, it is any free one, and its ``note`` says who has the default.
    Raises `LocalError`: A1 if *port* is taken, A13 if it cannot be used.
    """
    wanted = DEFAULT_PORT if port is None else port
    try:
        return Listening(_listen(wanted))
    except OSError as err:
        if err.errno not in _TAKEN:
            raise LocalError("A13", port=wanted, reason=reason_of(err)) from err
        taken: dict[str, object] = {"port": wanted, "owner": owner_of(wanted)}
        if port is not None:
            stop = "stop it, or leave out --port"
            raise LocalError("A1", **taken, consequence=stop) from err
    free = _listen(0)
    return Listening(free, {**taken, "consequence": f"using {free.getsockname()[1]}"})


def _listen(port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        if sys.platform == "win32":  # where REUSEADDR would take the port from whoever has it
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
        else:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((HOST, port))
        listener.listen(1024)  # only a listening socket keeps others from the same port
    except BaseException:
        listener.close()
        raise
    return listener
