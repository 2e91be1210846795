"""The statuses of a message: their order, which are final, and a delivery put together from them.

Twilio's status callbacks are independent requests. They come late, twice and out of order, and an
SMS callback does not say when the status was reached; so a status has a rank, and a message counts
as the highest one seen.
"""

from __future__ import annotations

from bisect import insort
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from smsquest_cli.events import MessageState, Step

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from smsquest_cli.events import Status

SUCCESS: Final = frozenset({"delivered", "read"})
FAILURE: Final = frozenset({"failed", "undelivered", "canceled"})
FINAL: Final = SUCCESS | FAILURE

_UNKNOWN: Final = 7  # it says more than "sent", and settles nothing
_LEVELS: Final[Mapping[str, int]] = {
    "receiving": 0,
    "received": 1,
    "accepted": 2,
    "scheduled": 2,
    "queued": 3,
    "sending": 4,
    "sent": 5,
    "partially_delivered": 6,
    "delivered": 8,
    "canceled": 9,
    "undelivered": 10,
    "failed": 11,
    "read": 12,
}
_MILLISECOND: Final = timedelta(milliseconds=1)


def rank(status: str) -> tuple[int, str]:
    """Where *status* stands in the total order of all statuses, those unknown to us included."""
    return _LEVELS.get(status, _UNKNOWN), status


@dataclass(frozen=True, slots=True)
class Delivery:
    """How far a message has got, whatever the order in which that became known.

    ``current`` is the highest status seen, ``error_code`` the one that came with the highest
    failing status, ``steps`` every status seen, once each, by rank.
    """

    current: str | None = None
    error_code: int | None = None
    steps: tuple[Step, ...] = ()
    failed_as: str | None = None  # the status that brought ``error_code``

    @property
    def final(self) -> bool:
        """Nothing more will come, except that a delivered message may yet be read."""
        return self.current in FINAL

    def saw(self, status: str) -> bool:
        """Whether *status* was among the updates, current or not."""
        return any(step.status == status for step in self.steps)

    def advance(self, status: str, *, at: datetime, error_code: int | None = None) -> Delivery:
        """The delivery after one more update; ``current`` never goes back, an error stays."""
        delivery = self if self.saw(status) else self._with(status, at)
        if error_code is None or not self._outranked(status, error_code):
            return delivery
        return replace(delivery, error_code=error_code, failed_as=status)

    def told(self, event: Status | MessageState) -> Delivery:
        """The delivery after all that *event* says about it."""
        delivery = self
        for step in event.history if isinstance(event, MessageState) else ():
            delivery = delivery.advance(step.status, at=step.ts)
        return delivery.advance(event.status, at=event.ts, error_code=event.error_code)

    def _with(self, status: str, at: datetime) -> Delivery:
        steps = [*self.steps]
        insort(steps, Step(status, at), key=lambda step: rank(step.status))
        first = min(step.ts for step in steps)
        return replace(
            self,
            current=steps[-1].status,
            steps=tuple(
                replace(step, elapsed_ms=(step.ts - first) // _MILLISECOND) for step in steps
            ),
        )

    def _outranked(self, status: str, error_code: int) -> bool:
        """Whether *error_code* takes the place of the present one; the smaller breaks a tie."""
        if self.failed_as is None or self.error_code is None:
            return True
        present, new = rank(self.failed_as), rank(status)
        return new > present or (new == present and error_code < self.error_code)
