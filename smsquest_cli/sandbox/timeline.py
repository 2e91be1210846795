"""Things that happen later: steps in the life of a message, each at its time.

A few threads share one queue, so an app that is slow to answer a status callback holds up nobody
else's. With no threads at all the steps run in the thread that waits for them (`Timeline.settle`):
a test that calls its app in process keeps everything in its own thread.
"""

from __future__ import annotations

import heapq
import sys
import threading
import time
from collections import Counter
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

CLOSING_SECONDS: Final = 1.0


class Timeline:
    """A queue of steps and the *workers* threads that take them, started when first needed."""

    def __init__(self, *, workers: int = 4) -> None:
        self._workers = workers
        self._condition = threading.Condition()
        self._steps: list[tuple[float, int, Callable[[], None], str | None]] = []
        self._count = 0
        self._pending: Counter[str] = Counter()  # steps that wait or run, by what they are about
        self._closed = False
        self._threads: list[threading.Thread] = []

    def after(self, seconds: float, step: Callable[[], None], *, about: str | None) -> None:
        """Let *step* run in that many seconds; `settle` waits for it unless it is *about* None."""
        with self._condition:
            if self._closed:
                return
            self._count += 1
            if about is not None:
                self._pending[about] += 1
            due = time.monotonic() + max(0.0, seconds)
            heapq.heappush(self._steps, (due, self._count, step, about))
            if len(self._threads) < self._workers:
                thread = threading.Thread(target=self._work, name="sandbox-timeline", daemon=True)
                self._threads.append(thread)
                thread.start()
            self._condition.notify_all()

    def settle(self, timeout: float, about: Collection[str] | None = None) -> bool:
        """Wait until nothing is left to do (*about* those); False if *timeout* seconds pass first.

        Without threads of its own the timeline runs its steps here; their exceptions propagate.
        """
        deadline = time.monotonic() + timeout
        if self._workers:
            with self._condition:
                self._condition.wait_for(lambda: self._idle(about) or self._closed, timeout)
                return self._idle(about)
        while not self._idle(about):
            taken = self._take(deadline)
            if taken is None:
                return False
            self._run(*taken)
        return True

    def clear(self) -> None:
        """Drop every step that has not begun."""
        with self._condition:
            for *_, about in self._steps:
                self._done(about)
            self._steps.clear()

    def drop(self, about: str) -> bool:
        """Drop the steps *about* it that have not begun; returns whether there were any."""
        with self._condition:
            kept = [step for step in self._steps if step[3] != about]
            dropped = len(self._steps) - len(kept)
            self._steps[:] = kept
            heapq.heapify(self._steps)
            for _ in range(dropped):
                self._done(about)
            return bool(dropped)

    def close(self) -> None:
        """Drop the steps that have not begun and end the threads; a running step ends by itself."""
        self.clear()
        with self._condition:
            self._closed = True
            self._condition.notify_all()
        deadline = time.monotonic() + CLOSING_SECONDS
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join(max(0.0, deadline - time.monotonic()))

    def _idle(self, about: Collection[str] | None) -> bool:
        if about is None:
            return not self._pending
        return not any(key in self._pending for key in about)

    def _done(self, about: str | None) -> None:
        with self._condition:
            if about is not None:
                self._pending[about] -= 1
                if not self._pending[about]:
                    del self._pending[about]
            self._condition.notify_all()

    def _take(self, deadline: float | None = None) -> tuple[Callable[[], None], str | None] | None:
        """The next step when it is due; None when closed, or *deadline* comes first."""
        with self._condition:
            while not self._closed:
                now = time.monotonic()
                if self._steps and self._steps[0][0] <= now:
                    *_, step, about = heapq.heappop(self._steps)
                    return step, about
                if deadline is not None and now >= deadline:
                    return None
                ends = [deadline] if deadline is not None else []
                ends += [self._steps[0][0]] if self._steps else []
                self._condition.wait(min(ends) - now if ends else None)
            return None

    def _run(self, step: Callable[[], None], about: str | None) -> None:
        try:
            step()
        finally:
            self._done(about)

    def _work(self) -> None:
        while taken := self._take():
            try:
                self._run(*taken)
            except Exception:  # noqa: BLE001  # our bug: reported like any thread's; the next step runs
                threading.excepthook(
                    threading.ExceptHookArgs((*sys.exc_info(), threading.current_thread()))
                )
