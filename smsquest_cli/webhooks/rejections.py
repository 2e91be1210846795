"""Requests that were refused: one record at once, then one a second however many come."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from smsquest_cli.events import Rejected
from smsquest_cli.problems import LocalError

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

MERGE_SECONDS: Final = 1.0


@dataclass(slots=True)
class _Kind:
    """The refusals of one reason on one path that are not recorded yet."""

    method: str
    recorded_at: float = float("-inf")
    waiting: int = 0


class Rejections:
    """Counts refusals and has them recorded, merged so that a flood fills neither log nor screen.

    *record* is called from the threads that refuse and, for the last ones, from a timer.
    """

    def __init__(
        self,
        record: Callable[[Rejected], object],
        *,
        now: Callable[[], datetime],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._record = record
        self._now = now
        self._clock = clock
        self._lock = threading.Lock()
        self._kinds: dict[tuple[str, str], _Kind] = {}
        self._timer: threading.Timer | None = None

    def add(self, path: str, method: str, reason: str, *, hint: Callable[[], str | None]) -> None:
        """A request was refused; *hint* is only called if the refusal is recorded at once."""
        with self._lock:
            kind = self._kinds.setdefault((path, reason), _Kind(method))
            kind.method = method
            kind.waiting += 1
            if self._clock() - kind.recorded_at < MERGE_SECONDS:
                self._flush_later()
                return
            count = self._taken(kind)
        self._tell(path, method, reason, hint=hint(), count=count)

    def flush(self) -> None:
        """Record what is not recorded yet."""
        with self._lock:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
            due = [
                (path, kind.method, reason, self._taken(kind))
                for (path, reason), kind in self._kinds.items()
                if kind.waiting
            ]
        for path, method, reason, count in due:
            self._tell(path, method, reason, hint=None, count=count)

    def _taken(self, kind: _Kind) -> int:
        count, kind.waiting, kind.recorded_at = kind.waiting, 0, self._clock()
        return count

    def _flush_later(self) -> None:
        if self._timer is None:
            self._timer = threading.Timer(MERGE_SECONDS, self.flush)
            self._timer.daemon = True
            self._timer.start()

    def _tell(self, path: str, method: str, reason: str, *, hint: str | None, count: int) -> None:
        with suppress(LocalError):  # refused all the same; whoever reads the log gets it
            self._record(
                Rejected(
                    ts=self._now(), path=path, method=method, reason=reason, hint=hint, count=count
                )
            )
