"""A number, or a Messaging Service, at Twilio: read, changed, and read back."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from smsquest_cli.journal import FIELDS, URL_FIELDS
from smsquest_cli.problems import NumberError
from smsquest_cli.webhook_urls import described

if TYPE_CHECKING:
    from smsquest_cli.journal import Fields
    from smsquest_cli.twilio_api import TwilioGateway

READS: Final = 3  # of what was just written, in case Twilio is a moment behind itself
PAUSE: Final = 0.5  # seconds between them


@dataclass(frozen=True, slots=True)
class Resource:
    """The resource *sid* (``PN…`` or ``MG…``), for the sake of *number*.

    Everything that asks Twilio raises its refusals.
    """

    gateway: TwilioGateway
    sid: str
    number: str
    pause: float = PAUSE

    def read(self) -> dict[str, str | bool]:
        """The fields that a journal may hold, as they are now."""
        gateway = self.gateway
        found = gateway.number(self.sid) if self._is_number else gateway.service(self.sid)
        return {name: getattr(found, name) for name in FIELDS[self.sid[:2]]}

    def write(self, changes: Fields) -> None:
        """Set those fields, and no others."""
        if self._is_number:
            fields = {name: str(value) for name, value in changes.items()}
            self.gateway.set_number(self.sid, fields)
        else:
            self.gateway.set_service(self.sid, changes)

    def confirm(self, wanted: Fields, url: str) -> None:
        """Raise `NumberError` (N16) unless Twilio confirms what was *wanted*, *url* among it."""
        for _ in range(READS):
            found = self.read()
            if holds(found, wanted):
                return
            time.sleep(self.pause)
        raise self.unconfirmed(url, found)

    def unconfirmed(self, url: str, found: Fields) -> NumberError:
        """N16: it should call *url*, but it holds *found*."""
        there = described(str(found[URL_FIELDS[self.sid[:2]]]))
        return NumberError("N16", number=self.number, url=described(url), found=there)

    @property
    def _is_number(self) -> bool:
        return self.sid.startswith("PN")


def holds(found: Fields, wanted: Fields) -> bool:
    """Whether *found* has what was *wanted*."""
    return all(found[name] == value for name, value in wanted.items())
