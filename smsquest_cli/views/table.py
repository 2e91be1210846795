"""The live table: one row per message, drawn again when something has changed.

Drawing never delays whoever feeds it: at most eight times a second, and a small part of the time
however slow the terminal is. What is due later is drawn by `refresh`.
"""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Final, Self

from rich.text import Text

from smsquest_cli import console, events
from smsquest_cli.inbox import Inbox
from smsquest_cli.printable import printable
from smsquest_cli.views.canvas import Canvas
from smsquest_cli.views.layout import FAILED, counts, footer, hanging, severity_style, table_lines
from smsquest_cli.views.words import closing, happening, rejection

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rich.console import Console

    from smsquest_cli.events import Event
    from smsquest_cli.views import Header

NOTES_AT_ONCE: Final = 8
MOST_SAID: Final = 1000
APP_IS_BACK: Final = "A16"  # from then on its failures are news again
NOT_OURS: Final = frozenset({"taken-over", "left"})  # what became of a number: nothing to restore


class Table:
    """A live table on *out*, with *header* above it.

    It *ends* with the record that a run has stopped, after a summary of that run.
    """

    def __init__(
        self,
        header: Header | None = None,
        *,
        out: Console | None = None,
        ends: bool = True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._header = header
        self._out = out or console.console_for(sys.stdout)
        self._ends = ends
        self._canvas = Canvas(self._out, clock=clock)
        self._inbox = Inbox()
        self._live = False
        self._above: list[Text] = []  # what is yet to be printed above the table
        self._unsaid = 0
        self._changed = True
        self._hint = header.footer_hint if header else ""
        self._touched = False  # whether something happened to the number
        self._refusals: set[str] = set()  # the reasons that were told
        self._said: set[tuple[str, str]] = set()  # problems of messages, without their SIDs

    def __enter__(self) -> Self:
        for line in self._header or ():
            self._out.print(*hanging(printable(line), self._out.width), sep="\n")
        if self._header:
            self._out.print()
        self._draw()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()

    def show(self, batch: Sequence[Event]) -> None:
        """Take *batch* in, and draw if it is time."""
        for event in batch:
            self._take(event)
        self.refresh()
        if self._ends and batch and isinstance(batch[-1], events.Stopped):
            self._close(batch[-1])

    def _close(self, stopped: events.Stopped) -> None:
        """Leave the table, and say what the run came to."""
        self._stop()
        for line, bad in closing(self._inbox, stopped, touched=self._touched):
            for part in hanging(line, self._out.width, FAILED if bad else ""):
                self._out.print(part)

    def due(self) -> float | None:
        """The seconds until `refresh` has something to do; None if it never has."""
        return self._canvas.due(changed=self._changed) if self._live else None

    def refresh(self) -> None:
        """Draw what has changed, if it is time."""
        if self.due() == 0:
            self._draw()

    def _take(self, event: events.Event) -> None:
        self._inbox.apply(event)
        self._changed = True
        match event:
            case events.Problem() if self._is_news(event):
                line = console.problem_line(event.id, event.severity, event.line)
                self._print_above(line, severity_style(event.severity))
            case events.Number() | events.Tunnel():
                if isinstance(event, events.Number):
                    self._touched = True
                    if event.action in NOT_OURS:
                        self._hint = "Ctrl-C stops"
                self._print_above(happening(event), "")
            case events.Rejected(reason=reason) if reason not in self._refusals:
                self._refusals.add(reason)  # how many there were stands below the table
                self._print_above(rejection(event), severity_style("warning"))

    def _is_news(self, problem: events.Problem) -> bool:
        """Whether *problem* says what was not said of another message; its row has it anyway."""
        if problem.id == APP_IS_BACK or len(self._said) >= MOST_SAID:
            self._said.clear()
        if problem.sid is None:
            return True
        words = (problem.id, problem.line.replace(problem.sid, ""))
        repeated = words in self._said
        self._said.add(words)
        return not repeated

    def _print_above(self, line: str, style: str) -> None:
        if len(self._above) < NOTES_AT_ONCE * 4:
            self._above += hanging(line, self._out.width, style)
        else:
            self._unsaid += 1

    def _draw(self, *, last: bool = False) -> None:
        """Draw the table, and what must stand above it, in one go.

        The *last* one no longer says how to stop.
        """
        self._live = True
        if self._unsaid:
            self._above.append(Text(f"+{self._unsaid} more: smsquest log --type problem"))
        width, height = self._out.size
        lines = table_lines(self._inbox, width=width, height=max(height - 3, 3))
        hint = "" if last else self._hint
        self._canvas.draw([*lines, footer(counts(self._inbox.totals), hint, width)], self._above)
        self._above, self._unsaid, self._changed = [], 0, False

    def _stop(self) -> None:
        """Leave the table as it now is on the screen, the cursor visible below it."""
        if self._live:
            self._draw(last=True)
        self._canvas.leave()
        self._live = False
