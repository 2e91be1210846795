"""How delivery goes: a scenario is the steps of an outbound message, and which call back."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from smsquest_cli.problems import UsageError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

DEFAULT_CODES: Final[Mapping[str, int]] = {"undelivered": 30003, "failed": 30008}
SCENARIOS: Final = (
    "delivered",  # sent, then delivered: a good day
    "undelivered",  # the carrier gives it back
    "failed",  # Twilio cannot send it
    "sent",  # and never confirmed, as with carriers that send no receipts
    "out-of-order",  # the callbacks arrive in reverse order
    "duplicate",  # every callback arrives twice
    "lost",  # delivered, but the last callback never arrives
)
_CODE: Final = re.compile("[1-9][0-9]{4}")


@dataclass(frozen=True, slots=True)
class Pace:
    """How many seconds after its creation a message counts as sent, and as delivered."""

    sent: float = 0.0
    delivered: float = 0.0


PACES: Final[Mapping[str, Pace]] = {"instant": Pace(), "real": Pace(0.4, 1.5)}


@dataclass(frozen=True, slots=True)
class Step:
    """One move: wait, take *status* (None: none), call back with each of *callbacks* in order."""

    seconds: float
    status: str | None
    callbacks: tuple[str, ...] = ()
    error_code: int | None = None


@dataclass(frozen=True, slots=True)
class Scenario:
    """One of `SCENARIOS`, with the error code of those that end badly."""

    name: str = "delivered"
    error_code: int | None = None

    @classmethod
    def parse(cls, text: str) -> Scenario:
        """The scenario *text* names: ``NAME`` or ``NAME:CODE``. Raises `UsageError` (U6)."""
        name, colon, code = text.strip().lower().partition(":")
        default = DEFAULT_CODES.get(name)
        good = name in SCENARIOS and (
            not colon or (default is not None and _CODE.fullmatch(code) is not None)
        )
        if not good:
            raise UsageError("U6", option="--scenario", value=text, expected=expected())
        return cls(name, int(code) if colon else default)

    def steps(self, pace: Pace, *, wanted: Collection[str]) -> tuple[Step, ...]:
        """The moves of a message at that *pace*; of its callbacks, only *wanted* ones are made."""
        if self.name == "failed":
            moves = [("queued", 0.0), ("failed", pace.sent)]
        else:
            final = "undelivered" if self.name == "undelivered" else "delivered"
            moves = [
                ("queued", 0.0),
                ("sending", pace.sent / 2),
                ("sent", pace.sent / 2),
                (final, pace.delivered - pace.sent),
            ][: 3 if self.name == "sent" else 4]
        steps = [
            Step(
                seconds,
                status,
                (status,) * (2 if self.name == "duplicate" else 1) if status in wanted else (),
                self.error_code if status in DEFAULT_CODES else None,
            )
            for status, seconds in moves
        ]
        if self.name == "lost":
            steps[-1] = Step(steps[-1].seconds, steps[-1].status)
        if self.name == "out-of-order":
            late = tuple(status for step in reversed(steps) for status in step.callbacks)
            quiet = (Step(step.seconds, step.status) for step in steps)
            return (*quiet, Step(0.0, None, late))
        return tuple(steps)


def failing(error_code: int) -> Scenario:
    """The scenario of a message that Twilio refuses to send for that reason."""
    return Scenario("failed", error_code)


def expected() -> str:
    """The scenarios as people may type them."""
    return ", ".join(f"{name}[:CODE]" if name in DEFAULT_CODES else name for name in SCENARIOS)
