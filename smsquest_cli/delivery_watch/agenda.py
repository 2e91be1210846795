"""Asking Twilio politely: about what, when, and one question at a time.

Nothing here knows what the questions are: a question is a text, a time is on one monotonic clock.
"""

from __future__ import annotations

import queue
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

LISTING: Final = "the list"  # the one question that answers for many messages
MANY: Final = 5  # if more questions than this are due, the list is asked instead
CALMER: Final = 1.5  # each answer without news makes the next question later by this factor
LONGEST_WAIT: Final = 60.0


@dataclass(slots=True)
class _Question:
    due: float
    delay: float


class Agenda:
    """Which question comes next: often while there is news, ever more rarely while there is none.

    A question that is settled is not asked again, and after a failure nothing is asked for a
    while that doubles with each further failure.
    """

    def __init__(self, *, interval: float, now: float, listing: bool) -> None:
        self._interval = interval
        self._longest = max(LONGEST_WAIT, interval)
        self._questions: dict[str, _Question] = {}
        self._listing = _Question(now, interval) if listing else None
        self._listed = float("-inf")
        self._failures = 0
        self._resume = now

    def expect(self, question: str, *, at: float) -> None:
        """Ask *question* at the time *at*; if it is on the agenda, put it off until then."""
        if question in self._questions:
            self._questions[question].due = at
        else:
            self._questions[question] = _Question(at, self._interval)

    def settle(self, question: str) -> None:
        """Do not ask *question* any more."""
        self._questions.pop(question, None)

    def answered(self, question: str, *, news: bool, now: float) -> None:
        """Twilio answered *question*; *news* says whether anything had changed."""
        self._failures = 0
        asked = self._listing if question == LISTING else self._questions.get(question)
        if question == LISTING:
            self._listed = now
        if asked is not None:
            asked.delay = self._interval if news else min(asked.delay * CALMER, self._longest)
            asked.due = now + asked.delay

    def failed(self, *, now: float) -> float:
        """Twilio was busy or not reachable; returns the seconds for which nothing is asked now."""
        self._failures += 1
        pause = min(self._interval * 2.0 ** min(self._failures, 10), self._longest)
        self._resume = now + pause
        return pause

    def next(self, now: float) -> str | None:
        """The question to ask now, or None."""
        if now < self._resume:
            return None
        due = [name for name, question in self._questions.items() if question.due <= now]
        if self._listing is not None and (
            self._listing.due <= now or (len(due) > MANY and now - self._listed >= self._interval)
        ):
            return LISTING
        return min(due, key=lambda name: self._questions[name].due, default=None)

    def wait(self, now: float) -> float | None:
        """The seconds until there may be a question to ask, or None if there is none at all."""
        times = [question.due for question in self._questions.values()]
        if self._listing is not None:
            times.append(self._listing.due)
        return max(min(times), self._resume, now) - now if times else None


class Inquiry(Generic[T]):
    """Questions answered in a thread of their own, one at a time, so that nobody waits for them."""

    def __init__(self) -> None:
        self.pending = False
        self._calls: queue.SimpleQueue[tuple[str, Callable[[], T]]] = queue.SimpleQueue()
        self._answers: queue.SimpleQueue[tuple[str, T | Exception]] = queue.SimpleQueue()
        self._worker: threading.Thread | None = None

    def ask(self, question: str, call: Callable[[], T]) -> None:
        """Have *call* made; must not be called while another one is pending."""
        assert not self.pending
        self.pending = True
        self._calls.put((question, call))
        if self._worker is None:  # a daemon: leaving does not wait for a slow answer
            self._worker = threading.Thread(target=self._work, name="inquiry", daemon=True)
            self._worker.start()

    def answer(self, *, timeout: float = 0.0) -> tuple[str, T] | None:
        """The question asked last and its answer, or None if it has not come yet.

        Raises what the call raised.
        """
        if not self.pending:
            return None
        try:
            question, answer = self._answers.get(timeout=timeout)
        except queue.Empty:
            return None
        self.pending = False
        if isinstance(answer, Exception):
            raise answer
        return question, answer

    def _work(self) -> None:
        while True:
            question, call = self._calls.get()
            try:
                self._answers.put((question, call()))
            except Exception as err:  # noqa: BLE001 - it is raised where the answer is taken
                self._answers.put((question, err))
