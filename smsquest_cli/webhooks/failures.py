"""Why messages do not arrive: explained when Twilio reports it, once for each code."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from smsquest_cli.events import Problem
from smsquest_cli.explanations import short
from smsquest_cli.statuses import FAILURE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from smsquest_cli.events import Status

TRIAL: Final = (21608, 14111)  # the recipient is not verified
OPTED_OUT: Final = 21610
LOOP: Final = 14107
LOOP_RULE: Final[Mapping[str, object]] = {"count": "too many", "seconds": 30}
MOST_TOLD: Final = 1000
# Codes that say that US carriers drop what an unregistered number sends.
UNREGISTERED: Final[Mapping[int, str]] = {30034: "A2P 10DLC", 30032: "toll-free verification"}


class Failures:
    """The failures of one run: an error code is explained the first time that it comes.

    A code that is about a recipient is explained once for each.
    """

    def __init__(self) -> None:
        self._told: set[tuple[int, str | None]] = set()

    def told_by(self, status: Status) -> Problem | None:
        """The news in a recorded *status*, by the problem that has its cure, else D11; or None."""
        code = status.error_code
        if status.status not in FAILURE or status.duplicate or code is None:
            return None
        key = (code, status.to if code in (*TRIAL, OPTED_OUT) else None)
        if key in self._told or len(self._told) >= MOST_TOLD:
            return None
        self._told.add(key)
        sender, recipient = status.from_ or "the sender", status.to or "the recipient"
        values: dict[str, object]
        if programme := UNREGISTERED.get(code):
            id_, values = "D7", {"code": code, "number": sender, "programme": programme}
        elif code in TRIAL:
            id_, values = "D5", {"code": code, "to": recipient}
        elif code == OPTED_OUT:
            id_, values = "D8", {"number": recipient}
        elif code == LOOP:
            id_, values = "R6", {"first": sender, "second": recipient, **LOOP_RULE}
        else:
            id_ = "D11"
            values = {"sid": status.sid, "status": status.status, "code": code}
            values["cause"] = short(code)
        return Problem.of(id_, at=status.ts, about=status.sid, severity="error", **values)
