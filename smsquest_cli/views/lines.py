"""The lines view: one line per event."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from smsquest_cli import console, events

if TYPE_CHECKING:
    from collections.abc import Sequence

    from smsquest_cli.eventlog import Stored
    from smsquest_cli.views import Header


class Lines:
    """Writes each event as a line."""

    def __init__(self, header: Header | None = None) -> None:
        self._header = header

    def __enter__(self) -> Self:
        if self._header:
            for label, text in self._header.lines:
                console.say(f"{label:<10}{text}")
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is left behind."""

    def show(self, batch: Sequence[Stored]) -> None:
        """Write *batch*."""
        for stored in batch:
            console.write_line(console.printable(str(events.to_record(stored.event))))

    def due(self) -> None:
        """Nothing is put off."""

    def refresh(self) -> None:
        """Nothing was put off."""
