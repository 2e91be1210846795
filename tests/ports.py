"""Ports that no other program is given while a test needs them."""

from __future__ import annotations

import socket
import sys
from contextlib import contextmanager


@contextmanager
def closed_port():
    """A port where nobody listens, and that nobody else is given meanwhile."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


@contextmanager
def reserved_port():
    """A port that a program under test can listen on, and that nobody is given by chance."""
    with socket.socket() as held:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.bind(("127.0.0.1", 0))
        port = held.getsockname()[1]
        if sys.platform != "linux":  # elsewhere nobody could listen on it then
            held.close()
        yield port
