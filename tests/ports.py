"""Ports for tests of what happens where nobody listens."""

from __future__ import annotations

import socket
from contextlib import contextmanager


@contextmanager
def closed_port():
    """A port where nobody listens, and that nobody else is given meanwhile."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]
