"""Why messages do not arrive: explained when Twilio reports it, once for each code."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from smsquest_cli.events import Problem
from smsquest_cli.explanations import short
from smsquest_cli.statuses import FAILURE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from smsquest_cli.events import Status

# Codes that say that US carriers drop what an unregistered number sends.
UNREGISTERED: Final[Mapping[int, str]] = {30034: "A2P 10DLC", 30032: "toll-free verification"}


class Failures:
    """The failures of one run: an error code is explained the first time that it comes."""

    def __init__(self) -> None:
        self._told: set[int] = set()

    def told_by(self, status: Status) -> Problem | None:
        """The news in a recorded *status*: D7 or D11, or None."""
        code = status.error_code
        if status.status not in FAILURE or status.duplicate or code is None or code in self._told:
            return None
        self._told.add(code)
        if programme := UNREGISTERED.get(code):
            number = status.from_ or "the sender"
            return Problem.of(
                "D7", at=status.ts, about=status.sid, code=code, number=number, programme=programme
            )
        return Problem.of(
            "D11",
            at=status.ts,
            about=status.sid,
            sid=status.sid,
            status=status.status,
            code=code,
            cause=short(code),
        )
