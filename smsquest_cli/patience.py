"""Saying what we wait for, if it takes long."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SECONDS: Final = 1.0  # from then on a silent screen looks like a hanging program


@contextmanager
def unless_quick(tell: Callable[[], object]) -> Iterator[None]:
    """Call *tell* once, from another thread, if the block takes longer than a second.

    In threads other than the main one it is not called: nobody watches those.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    timer = threading.Timer(SECONDS, tell)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
