"""What is typed while a table is live: nothing waits for it, and it must not tear the table."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def echo_off() -> Iterator[None]:
    """Keep the terminal from showing what is typed while the block runs.

    Ctrl-C and its like still work. If there is no keyboard, or it belongs to another program (a job
    in the background), nothing is changed.
    """
    try:
        import termios
    except ImportError:  # pragma: no cover - Windows has none
        yield
        return
    try:
        keyboard = sys.stdin.fileno()
        before = termios.tcgetattr(keyboard)
    except (OSError, ValueError, AttributeError, termios.error):
        yield
        return
    silent = [*before]
    silent[3] &= ~termios.ECHO

    def become(state: list[Any]) -> None:
        with suppress(OSError, termios.error):
            if os.tcgetpgrp(keyboard) == os.getpgrp():  # or the system would stop us for it
                termios.tcsetattr(keyboard, termios.TCSADRAIN, state)

    become(silent)
    try:
        yield
    finally:
        become(before)
