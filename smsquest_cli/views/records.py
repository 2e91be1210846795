"""The JSON view: one record per line, as they are stored."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from smsquest_cli import console, events

if TYPE_CHECKING:
    from collections.abc import Sequence

    from smsquest_cli.events import Event
    from smsquest_cli.views import Header


class Records:
    """Writes each event to standard output as a JSON object, flushed.

    The view of a run, which has a *header*, also says on standard error what goes wrong: a person
    may be looking there. Until it is ready, whoever finds a problem says it.
    """

    def __init__(self, header: Header | None = None) -> None:
        self._header = header
        self._says_problems = False

    def __enter__(self) -> Self:
        """Say the header, on standard error."""
        for line in self._header or ():
            console.say(line)
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is left behind."""

    def show(self, batch: Sequence[Event]) -> None:
        """Write *batch*."""
        for event in batch:
            console.print_json(events.to_record(event))
            if isinstance(event, events.Problem) and self._says_problems:
                console.show_problem(event)
            elif isinstance(event, events.Ready):
                self._says_problems = self._header is not None

    def due(self) -> None:
        """Nothing is put off."""

    def refresh(self) -> None:
        """Nothing was put off."""
