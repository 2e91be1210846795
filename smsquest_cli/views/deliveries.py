"""The table of deliveries: where messages have got to, how, and how long ago they were sent."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, Self

from rich.cells import cell_len
from rich.console import Group
from rich.live import Live
from rich.text import Text

from smsquest_cli import console
from smsquest_cli.console import printable, short_sid
from smsquest_cli.events import MessageState, Problem
from smsquest_cli.statuses import FAILURE
from smsquest_cli.views.layout import DIM, FAILED, GOOD, fit, hanging, severity_style
from smsquest_cli.views.pace import Pace
from smsquest_cli.views.words import way

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import timedelta

    from rich.console import Console

    from smsquest_cli.eventlog import Stored

COLUMNS: Final = (("SID", 8), ("To", 13), ("Now", 13))
AGE: Final = 6
HISTORY: Final = 10  # columns; with less room it is left out
NOTES: Final = 5
TICK: Final = 1.0  # seconds; ages are shown in them


class Deliveries:
    """A table with one row per message, drawn again at each change; notes stand below it.

    With *wide* SIDs, ways and texts are whole, however wide the lines get; while it is live they
    are cut at the edge of the window.
    """

    def __init__(
        self,
        *,
        wide: bool = False,
        out: Console | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._wide = wide
        self._out = out or console.console_for(sys.stdout)
        self._now = now
        self._states: dict[str, MessageState] = {}
        self._notes: dict[tuple[str, str | None], Problem] = {}
        self._pace = Pace()
        self._changed = False
        self._live = Live(
            console=self._out,
            auto_refresh=False,
            redirect_stdout=False,
            redirect_stderr=self._out.is_terminal and sys.stderr.isatty(),
            transient=True,
        )

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()
        for line in self._lines(cut=not self._wide):
            self._out.print(line, soft_wrap=self._wide, no_wrap=True)

    def show(self, batch: Sequence[Stored]) -> None:
        """Take *batch* in and draw the table, if it is time."""
        for stored in batch:
            event = stored.event
            if isinstance(event, MessageState):
                self._states[event.sid] = event
            elif isinstance(event, Problem):
                self._notes[event.id, event.sid] = event
            self._changed = True
        self.refresh()

    def due(self) -> float | None:
        """In how many seconds something is to be drawn: a change, or the age of a message."""
        if not self._out.is_terminal:
            return None
        if self._changed:
            return self._pace.due()
        under_way = any(not state.final for state in self._states.values())
        return max(self._pace.due(), TICK) if under_way else None

    def refresh(self) -> None:
        """Draw, if it is time."""
        if not self._out.is_terminal or self._pace.due() > 0:
            return
        self._changed = False
        with self._pace.drawing():
            lines = self._lines(cut=True)
            hidden = len(lines) - self._out.height + 2
            if hidden > 0:
                lines[2 : 3 + hidden] = [Text(f" +{hidden + 1} earlier", DIM)]
            self._live.update(Group(*lines), refresh=True)

    def _lines(self, *, cut: bool) -> list[Text]:
        """Heading, rows and notes; with *cut* no row is wider than the window."""
        width = self._out.width
        now = self._now()
        table = [("SID", "To", "Now", "History", "Age", ""), *self._rows(now)]
        widths = self._widths(table, width if cut else None)
        lines = [_line(cells, widths) for cells in table]
        lines[0].stylize("bold")
        for line, state in zip(lines[1:], self._states.values(), strict=True):
            style = FAILED if state.status in FAILURE else GOOD if state.final else ""
            line.stylize(style, *_span(widths, 2))
        lines.insert(1, Text(f" {'─' * (min(width, _width(widths)) - 2)}", DIM))
        for note in [*self._notes.values()][-NOTES:]:
            text = console.problem_line(note.id, note.severity, note.line)
            lines += hanging(text, width, severity_style(note.severity))
        if cut:
            for line in lines:
                line.truncate(width, overflow="ellipsis")
        return lines

    def _rows(self, now: datetime) -> list[tuple[str, ...]]:
        return [self._row(state, now) for state in self._states.values()]

    def _row(self, state: MessageState, now: datetime) -> tuple[str, ...]:
        mark = " !" if state.status in FAILURE else ""
        first = state.history[0].ts if state.history else state.ts
        text = f'"{state.body}"' if state.body is not None else ""
        error = f"{state.error_code} {state.error or ''}" if state.error_code else ""
        cells = (
            state.sid if self._wide else short_sid(state.sid),
            state.to or "",
            state.status + mark,
            way(state.history),
            age(now - first),
            " ".join(filter(None, [error, text])) if self._wide else "",
        )
        return tuple(map(printable, cells))

    def _widths(self, table: Sequence[Sequence[str]], window: int | None) -> list[int]:
        """The width of each column; what is 0 is left out. With a *window* the way gives in."""
        needed = [max(map(cell_len, column)) for column in zip(*table, strict=True)]
        sid, to, now, history = needed[:4]
        if window is not None and not self._wide:
            to, now = min(to, 14), max(now, 13)
            room = window - 2 - sid - to - now - AGE - 3 * 4
            history = min(history, room) if room >= HISTORY else 0
        return [sid, to, now, history, AGE, needed[5]]


def age(since: timedelta) -> str:
    """``0:40``, ``6:03``, ``2 h`` or ``3 d``."""
    seconds = max(0, int(since.total_seconds()))
    if seconds < 3600:  # noqa: PLR2004 - an hour
        return f"{seconds // 60}:{seconds % 60:02}"
    hours = seconds // 3600
    return f"{hours} h" if hours < 48 else f"{hours // 24} d"  # noqa: PLR2004 - two days


def _line(cells: Sequence[str], widths: Sequence[int]) -> Text:
    shown = [
        f"{cell:>{width}}" if index == 4 else fit(cell, width)  # noqa: PLR2004 - the age
        for index, (cell, width) in enumerate(zip(cells, widths, strict=True))
        if width
    ]
    line = Text(f" {'   '.join(shown)}", no_wrap=True, overflow="crop")
    line.rstrip()
    return line


def _span(widths: Sequence[int], column: int) -> tuple[int, int]:
    """Where *column* is in a line, in characters: all before it are ASCII or padded."""
    start = 1 + sum(width + 3 for width in widths[:column] if width)
    return start, start + widths[column]


def _width(widths: Sequence[int]) -> int:
    shown = [width for width in widths if width]
    return sum(shown) + 3 * (len(shown) - 1) + 2
