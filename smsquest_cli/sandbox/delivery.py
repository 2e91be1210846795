"""The life of an outbound message: its statuses one after the other, and who is told about each."""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Final

from smsquest_cli.sandbox.courier import plain
from smsquest_cli.sandbox.forms import callback_pairs
from smsquest_cli.sandbox.resources import Callback
from smsquest_cli.sandbox.scenario import PACES, Pace

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from smsquest_cli.sandbox.account import Account
    from smsquest_cli.sandbox.courier import Courier, Fetch
    from smsquest_cli.sandbox.resources import SandboxMessage
    from smsquest_cli.sandbox.scenario import Scenario, Step
    from smsquest_cli.sandbox.timeline import Timeline

# Which statuses call back. Never "sending"; "queued" only if the message did not start so.
PLAIN_CALLBACKS: Final = frozenset({"sent", "delivered", "undelivered", "failed"})
ALL_CALLBACKS: Final = PLAIN_CALLBACKS | {"queued"}

LOOP_REPLIES: Final = 15
LOOP_SECONDS: Final = 30.0
BAD_STATUS: Final = 400
MAX_KEPT: Final = 8192  # bytes of a request or answer that an alert keeps


class Deliveries:
    """Sends messages out: moves them along on the *timeline* and makes their status callbacks.

    *arrived* is called with each message that reaches one of the account's own numbers.
    """

    def __init__(
        self,
        account: Account,
        courier: Courier,
        timeline: Timeline,
        *,
        arrived: Callable[[SandboxMessage, Scenario, str], None],
    ) -> None:
        self._account = account
        self._courier = courier
        self._timeline = timeline
        self._arrived = arrived
        self.paces: dict[str, Pace] = dict(PACES)

    def start(
        self,
        message: SandboxMessage,
        scenario: Scenario,
        pace: str,
        *,
        wanted: Collection[str] = PLAIN_CALLBACKS,
    ) -> None:
        """Begin the life of *message*; its callbacks are made for the *wanted* statuses."""
        steps = scenario.steps(self.paces[pace], wanted=wanted)

        def arrive() -> None:
            self._arrived(message, scenario, pace)

        lands = scenario.error_code is None and self._account.number(message.to) is not None
        self._schedule(message, steps, arrive if lands else None)

    def call_back(self, message: SandboxMessage, status: str, *, event: str | None = None) -> None:
        """Report *status* of *message* to its status callback, if it has one."""
        account, callback = self._account, message.callback
        if callback is None:
            return
        fetch = self._courier.fetch(
            callback,
            callback_pairs(account.copy_of(message), account.sid, status),
            between=between(message.from_ or "", message.to),
            event=event,
        )
        answer = fetch.answer.status if fetch.answer else None
        code = fetch.error or (11200 if answer and answer >= BAD_STATUS else None)
        with account.lock:
            message.callbacks.append(Callback(status, plain(callback.url), answer, code))
        if code:
            text = fetch.detail or f"the status callback answered {answer}"
            add_fetch_alert(account, code, text, message.sid, fetch, level="warning")

    def _schedule(
        self,
        message: SandboxMessage,
        steps: tuple[Step, ...],
        arrive: Callable[[], None] | None,
    ) -> None:
        """Let the first of *steps* happen in its time, and then the rest: never two at once."""
        step, *rest = steps

        def happen() -> None:
            if step.status and step.status != message.status:
                if not self._account.move(message, step.status, step.error_code):
                    return
                if step.status == "sent" and arrive:
                    self._timeline.after(0.0, arrive, about=message.sid)
            events: dict[str, str] = {}
            for status in step.callbacks:
                event = events.setdefault(status, self._account.sids.uuid())
                self.call_back(message, status, event=event)
            if rest:
                self._schedule(message, tuple(rest), arrive)

        self._timeline.after(step.seconds, happen, about=message.sid)


class LoopGuard:
    """Notices when two numbers of the account keep answering each other (14107)."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._seen: dict[tuple[str, str], deque[float]] = {}

    def count(self, first: str, second: str) -> int:
        """How many messages went between the two within `LOOP_SECONDS`, this one included."""
        with self._lock:
            times = self._seen.setdefault(between(first, second), deque(maxlen=LOOP_REPLIES + 1))
            now = self._clock()
            while times and now - times[0] > LOOP_SECONDS:
                times.popleft()
            times.append(now)
            return len(times)


def between(first: str, second: str) -> tuple[str, str]:
    """The pair of two numbers, the same in both directions."""
    return (first, second) if first <= second else (second, first)


def add_fetch_alert(
    account: Account, code: int, text: str, resource_sid: str, fetch: Fetch, *, level: str = "error"
) -> None:
    """Put what went wrong with *fetch* into the account's debugger."""
    request, answer = fetch.request, fetch.answer
    account.add_alert(
        code,
        text,
        resource_sid,
        level=level,
        request_url=request.url,
        request_method=request.method,
        request_variables=request.body[:MAX_KEPT].decode("latin-1"),
        response_headers="&".join(f"{name}={value}" for name, value in answer.headers)
        if answer
        else "",
        response_body=answer.body[:MAX_KEPT].decode("utf-8", "replace") if answer else "",
    )
