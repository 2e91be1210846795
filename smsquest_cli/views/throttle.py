"""How often a screen is drawn: only after a change, and never so often that it costs much."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

INTERVAL: Final = 0.125  # seconds between two drawings, at least
SHARE: Final = 20  # a drawing that took 10 ms is followed by 200 ms without


class Throttle:
    """Says when the next drawing is due: at most eight a second, and a twentieth of the time."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._next = clock()

    def due(self) -> float:
        """The seconds until the next drawing may begin."""
        return max(0.0, self._next - self._clock())

    @contextmanager
    def drawing(self) -> Iterator[None]:
        """Draw in the block: the longer that takes, the later the next drawing is due."""
        started = self._clock()
        yield
        ended = self._clock()
        self._next = ended + max(INTERVAL, SHARE * (ended - started))
