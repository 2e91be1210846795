"""The table of deliveries: where messages have got to, how, and how long ago they were sent."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, Self

from rich.text import Text

from smsquest_cli import console
from smsquest_cli.console import printable, short_sid
from smsquest_cli.events import MessageState, Problem
from smsquest_cli.statuses import FAILURE
from smsquest_cli.views.canvas import Canvas
from smsquest_cli.views.cells import Columns, cells, fit
from smsquest_cli.views.layout import DIM, FAILED, GOOD, NARROW, hanging, severity_style
from smsquest_cli.views.words import way

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rich.console import Console

    from smsquest_cli.eventlog import Stored

HEADINGS: Final = ("SID", "To", "Now", "History", "Age", "")
TO: Final = 14
SHORT_TO: Final = 5  # the last four digits
NOW: Final = 13
AGE: Final = 6
GAP: Final = 3
HISTORY: Final = 10  # columns; with less room it is left out
NOTES: Final = 5
TICK: Final = timedelta(seconds=1)  # ages are shown in seconds


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
        self._canvas = Canvas(self._out, transient=True)
        self._changed = False
        self._drawn = now()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._canvas.leave()
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
        """In how many seconds `refresh` has something to do; None when it never has."""
        return self._canvas.due(changed=self._changed) if self._out.is_terminal else None

    def refresh(self) -> None:
        """Draw what has changed, and how old messages are that are under way, if it is time."""
        under_way = any(not state.final for state in self._states.values())
        if under_way and self._now() - self._drawn >= TICK:
            self._changed = True
        if self.due() == 0:
            self._draw()

    def _draw(self) -> None:
        lines = self._lines(cut=True)
        hidden = len(lines) - self._out.height + 2
        if hidden > 0:
            lines[2 : 3 + hidden] = [Text(f" +{hidden + 1} earlier", DIM)]
        self._canvas.draw(lines)
        self._drawn = self._now()
        self._changed = False

    def _lines(self, *, cut: bool) -> list[Text | Columns]:
        """Heading, rows and notes; with *cut* no row is wider than the window."""
        width = self._out.width
        shape = _Shape.of(
            [self._row(state) for state in self._states.values()],
            window=width if cut else None,
            wide=self._wide,
        )
        heading = shape.line(HEADINGS)
        lines: list[Text | Columns] = [
            Text(heading.plain, "bold", no_wrap=True),
            Text(f" {'─' * (min(width, shape.width) - 2)}", DIM, no_wrap=True),
        ]
        for state in self._states.values():
            style = FAILED if state.status in FAILURE else GOOD if state.final else ""
            lines.append(shape.line(self._row(state), style))
        for note in [*self._notes.values()][-NOTES:]:
            text = console.problem_line(note.id, note.severity, note.line)
            lines += hanging(text, width, severity_style(note.severity))
        return lines

    def _row(self, state: MessageState) -> tuple[str, ...]:
        mark = " !" if state.status in FAILURE else ""
        first = state.history[0].ts if state.history else state.ts
        text = f'"{state.body}"' if state.body is not None else ""
        error = f"{state.error_code} {state.error or ''}" if state.error_code else ""
        contents = (
            state.sid if self._wide else short_sid(state.sid),
            state.to or "",
            state.status + mark,
            way(state.history),
            age(self._now() - first),
            " ".join(filter(None, [error, text])) if self._wide else "",
        )
        return tuple(map(printable, contents))


@dataclass(frozen=True, slots=True)
class _Shape:
    """How wide each column is; one of width 0 is left out."""

    widths: tuple[int, ...]
    gap: int
    window: int | None

    @classmethod
    def of(cls, rows: Sequence[tuple[str, ...]], *, window: int | None, wide: bool) -> _Shape:
        """What *rows* need; in a *window*, and if not *wide*, the way and the number give in."""
        columns = zip(HEADINGS, *rows, strict=True)
        sid, to, now, history, _, rest = (max(map(cells, column)) for column in columns)
        if window is None or wide:
            return cls((sid, to, now, history, AGE, rest), GAP, window)
        if window < NARROW:
            return cls((sid, SHORT_TO, max(now, NOW), 0, AGE, 0), 1, window)
        to, now = min(to, TO), max(now, NOW)
        room = window - 2 - sid - to - now - AGE - 4 * GAP
        history = min(history, room) if room >= HISTORY else 0
        return cls((sid, to, now, history, AGE, 0), GAP, window)

    @property
    def width(self) -> int:
        """What a line takes, with a blank at both ends."""
        shown = [width for width in self.widths if width]
        return sum(shown) + self.gap * (len(shown) - 1) + 2

    def line(self, contents: Sequence[str], style: str = "") -> Columns:
        """One line of *contents*; *style* is that of the status."""
        sid, to, now, history, last, rest = contents
        if self.widths[1] == SHORT_TO and contents is not HEADINGS:
            to = f"…{to[-4:]}"
        styles = ("", "", style, "", "", "")
        told = (sid, to, now, history, f"{last:>{AGE}}", rest)
        column, line = 1, []
        for text, width, text_style in zip(told, self.widths, styles, strict=True):
            if width:
                line.append((column, fit(text, width), text_style))
                column += width + self.gap
        return Columns(line) if self.window is None else Columns(line).within(self.window)


def age(since: timedelta) -> str:
    """``0:40``, ``6:03``, ``2 h`` or ``3 d``."""
    seconds = max(0, int(since.total_seconds()))
    if seconds < 3600:  # noqa: PLR2004 - an hour
        return f"{seconds // 60}:{seconds % 60:02}"
    hours = seconds // 3600
    return f"{hours} h" if hours < 48 else f"{hours // 24} d"  # noqa: PLR2004 - two days
