"""The table of deliveries: where messages have got to, how, and how long ago they were sent."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, Self

from rich.text import Text

from smsquest_cli import console
from smsquest_cli.events import MessageState, Problem
from smsquest_cli.printable import printable, short_sid
from smsquest_cli.statuses import FAILURE
from smsquest_cli.views.canvas import Canvas
from smsquest_cli.views.cells import ELLIPSIS, Columns, cells, fit
from smsquest_cli.views.layout import DIM, FAILED, GOOD, NARROW, hanging, severity_style
from smsquest_cli.views.words import STEP, way

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rich.console import Console

    from smsquest_cli.events import Event

HEADINGS: Final = ("SID", "To", "Now", "History", "Age", "")
TO: Final = 14
SHORT_TO: Final = 5  # the last four digits
NOW: Final = 13
AGE: Final = 6
GAP: Final = 3
HISTORY: Final = 10  # columns; with less room it is left out
NOTES: Final = 5
TICK: Final = timedelta(seconds=1)  # ages are shown in seconds


class DeliveryTable:
    """A table with one row per message, drawn again at each change; notes stand below it.

    With *wide*, SIDs, ways and texts are whole: in a window that is too narrow for them, each
    message takes several lines.
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
        self._changed = True  # that there is nothing yet is news, too
        self._drawn = now()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._canvas.leave()
        heading, rest = self._parts(cut=self._out.is_terminal or not self._wide)
        for line in (*heading, *rest):
            self._out.print(line, soft_wrap=self._wide, no_wrap=True)

    def show(self, batch: Sequence[Event]) -> None:
        """Take *batch* in and draw the table, if it is time."""
        for event in batch:
            if isinstance(event, MessageState):
                self._states[event.sid] = event
            elif isinstance(event, Problem):
                self._notes[event.id, event.sid] = event
            self._changed = True
        self.refresh()

    def due(self) -> float | None:
        """The seconds until `refresh` has something to do; None if it never has."""
        return self._canvas.due(changed=self._changed) if self._out.is_terminal else None

    def refresh(self) -> None:
        """Draw what has changed, and the ages of messages under way, if it is time."""
        under_way = any(not state.final for state in self._states.values())
        if under_way and self._now() - self._drawn >= TICK:
            self._changed = True
        if self.due() == 0:
            self._draw()

    def _draw(self) -> None:
        heading, rest = self._parts(cut=True)
        hidden = len(heading) + len(rest) - self._out.height + 2
        if hidden > 0:
            left_out = f"+{hidden + 1} {'lines' if self._wide else 'earlier'}"
            rest[: 1 + hidden] = [Text(f" {left_out}", DIM)]
        self._canvas.draw([*heading, *rest])
        self._drawn = self._now()
        self._changed = False

    def _parts(self, *, cut: bool) -> tuple[list[Text | Columns], list[Text | Columns]]:
        """The heading; then rows and notes. With *cut* nothing is wider than the window."""
        width = self._out.width
        rows = [self._row(state) for state in self._states.values()]
        styles = [self._style(state) for state in self._states.values()]
        shape = _Shape.of(rows, window=width if cut else None, wide=self._wide)
        notes: list[Text | Columns] = []
        for note in [*self._notes.values()][-NOTES:]:
            text = console.problem_line(note.id, note.severity, note.line)
            notes += hanging(text, width, severity_style(note.severity))
        if self._wide and cut and shape.width > width:
            stacked = [
                line
                for row, style in zip(rows, styles, strict=True)
                for line in _stacked(row, style, width)
            ]
            return [], [*stacked, *notes]
        heading: list[Text | Columns] = [
            Text(shape.line(HEADINGS).plain, "bold", no_wrap=True),
            Text(f" {'─' * (min(width, shape.width) - 2)}", DIM, no_wrap=True),
        ]
        lines = [shape.line(row, style) for row, style in zip(rows, styles, strict=True)]
        if not rows:
            lines = [Columns([(1, "no message yet", DIM)])]
        return heading, [*lines, *notes]

    @staticmethod
    def _style(state: MessageState) -> str:
        return FAILED if state.status in FAILURE else GOOD if state.final else ""

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
        """The widths that *rows* need; in a *window*, unless *wide*, way and number are cut."""
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
        """The cells that a line takes, with a blank at both ends."""
        shown = [width for width in self.widths if width]
        return sum(shown) + self.gap * (len(shown) - 1) + 2

    def line(self, contents: Sequence[str], style: str = "") -> Columns:
        """One line of *contents*; *style* is that of the status."""
        sid, to, now, history, last, rest = contents
        if self.widths[1] == SHORT_TO and contents is not HEADINGS:
            to = f"…{to[-4:]}"
        styles = ("", "", style, "", "", "")
        told = (sid, to, now, _newest(history, self.widths[3]), f"{last:>{AGE}}", rest)
        column, line = 1, []
        for text, width, text_style in zip(told, self.widths, styles, strict=True):
            if width:
                line.append((column, fit(text, width), text_style))
                column += width + self.gap
        return Columns(line) if self.window is None else Columns(line).within(self.window)


def _stacked(row: tuple[str, ...], style: str, width: int) -> list[Text]:
    """*row* over several lines: SID, number, status and age; its way; the error and the text."""
    sid, to, now, history, last, rest = row
    first = Text(f" {sid}   ", no_wrap=True, overflow="ellipsis")
    first.append(f"{to}   ").append(now, style).append(f"   {last}")
    more = [
        Text(f"   {line.plain}")
        for text in (history, rest)
        if text
        for line in hanging(text, width - 4)
    ]
    return [first, *more]


def _newest(history: str, width: int) -> str:
    """*history*, without its first steps if there is no room for all."""
    steps = history.split(STEP)
    while len(steps) > 1 and cells(history) > width:
        del steps[0]
        history = f"{ELLIPSIS} {STEP.join(steps)}"
    return history


def age(since: timedelta) -> str:
    """``0:40``, ``6:03``, ``2 h`` or ``3 d``."""
    seconds = max(0, int(since.total_seconds()))
    if seconds < 3600:  # noqa: PLR2004 - an hour
        return f"{seconds // 60}:{seconds % 60:02}"
    hours = seconds // 3600
    return f"{hours} h" if hours < 48 else f"{hours // 24} d"  # noqa: PLR2004 - two days
