"""The live table: one row per message, drawn again when something has changed.

Drawing never holds up who feeds it: at most eight times a second, and a small part of the time
however slow the terminal is. What is due later is drawn by `refresh`.
"""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Final, Self

from rich.console import Group
from rich.live import Live
from rich.text import Text

from smsquest_cli import console, events
from smsquest_cli.inbox import Inbox
from smsquest_cli.views.layout import FAILED, footer, hanging, table_lines
from smsquest_cli.views.summary import closing, happening

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rich.console import Console

    from smsquest_cli.eventlog import Stored
    from smsquest_cli.views import Header

INTERVAL: Final = 0.125  # seconds between two drawings, at least
SHARE: Final = 20  # a drawing that took 10 ms is followed by 200 ms without
NOTES_AT_ONCE: Final = 8
_STYLES: Final = {"error": FAILED, "warning": "yellow", "note": ""}


class Table:
    """A live table on *out*, with *header* above it."""

    def __init__(
        self,
        header: Header | None = None,
        *,
        out: Console | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._header = header
        self._out = out or console.console_for(sys.stdout)
        self._clock = clock
        self._inbox = Inbox()
        self._live: Live | None = None
        self._above: list[Text] = []  # what is yet to be printed above the table
        self._unsaid = 0
        self._changed = True
        self._next_draw = 0.0
        self._width = 0
        self._numbers: set[str] = set()
        self._mode: str | None = None

    def __enter__(self) -> Self:
        for label, text in self._header.lines if self._header else ():
            line = f"{label:<10}{text}" if label else text
            self._out.print(*hanging(console.printable(line), self._out.width), sep="\n")
        if self._header:
            self._out.print()
        self._draw()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()

    def show(self, batch: Sequence[Stored]) -> None:
        """Take *batch* in, and draw if it is time."""
        for stored in batch:
            self._take(stored.event)
        self.refresh()
        stopped = [stored.event for stored in batch if isinstance(stored.event, events.Stopped)]
        if stopped:
            self._stop()
            numbers = self._mode not in ("sandbox", "local") and self._numbers
            for line in closing(self._inbox, stopped[-1], pointed="pointed" in (numbers or ())):
                for part in hanging(line.plain, self._out.width, str(line.style)):
                    self._out.print(part)

    def due(self) -> float | None:
        """In how many seconds `refresh` has something to draw; None when all is drawn."""
        if not self._changed or self._live is None:
            return None
        return max(0.0, self._next_draw - self._clock())

    def refresh(self) -> None:
        """Draw what has changed, if it is time."""
        if self.due() == 0:
            self._draw()

    def _take(self, event: events.Event) -> None:
        self._inbox.apply(event)
        self._changed = True
        match event:
            case events.Ready():
                self._mode = event.mode
            case events.Problem():
                line = console.problem_line(event.id, event.severity, event.line)
                self._print_above(line, _STYLES.get(event.severity, ""))
            case events.Number() | events.Tunnel():
                if isinstance(event, events.Number):
                    self._numbers.add(event.action)
                self._print_above(console.printable(happening(event)), "")

    def _print_above(self, line: str, style: str) -> None:
        if len(self._above) < NOTES_AT_ONCE * 4:
            self._above += hanging(line, self._out.width, style)
        else:
            self._unsaid += 1

    def _draw(self) -> None:
        """Draw the table, and what is to stand above it, in one go."""
        started = self._clock()
        if self._live is None or self._out.width < self._width:
            # A narrower window has folded the lines that are there: leave them, begin below.
            self._stop_live()
            self._live = self._begin()
        self._width = self._out.width
        self._live.update(self._table())
        if self._unsaid:
            self._above.append(Text(f"+{self._unsaid} more: smsquest log --type problem"))
        with self._out:  # one write for both
            if self._above:
                self._out.print(Text("\n").join(self._above))
            self._live.refresh()
        self._above, self._unsaid, self._changed = [], 0, False
        now = self._clock()
        self._next_draw = now + max(INTERVAL, SHARE * (now - started))

    def _begin(self) -> Live:
        live = Live(
            console=self._out,
            auto_refresh=False,
            redirect_stdout=False,
            redirect_stderr=self._out.is_terminal and sys.stderr.isatty(),
            vertical_overflow="crop",
        )
        live.start()
        return live

    def _table(self) -> Group:
        width, height = self._out.size
        lines = table_lines(self._inbox, width=width, height=max(height - 3, 3))
        totals = self._inbox.totals
        counts = [f"{totals.inbound} in", f"{totals.outbound} out"]
        for count, word in (
            (totals.failed, "failed"),
            (totals.problems, "problem" + "s" * (totals.problems != 1)),
            (totals.rejected, "rejected"),
        ):
            if count:
                counts.append(f"{count} {word}")
        hint = self._header.footer_hint if self._header else ""
        # The cursor rests on a line of its own: there a terminal writes its ^C.
        return Group(*lines, footer(counts, hint, width), Text())

    def _stop(self) -> None:
        """Leave the table as it now is on the screen, the cursor visible below it."""
        if self._live is not None and self._changed:
            self._draw()
        self._stop_live()

    def _stop_live(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None
