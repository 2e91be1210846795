"""How rows look in a window of a given size: which columns there are, and what is cut.

Widths are terminal cells, not characters: an emoji takes two.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Final

from rich.cells import cell_len
from rich.text import Text

from smsquest_cli.inbox import APP_UNREACHABLE
from smsquest_cli.printable import printable
from smsquest_cli.views.cells import ELLIPSIS, Columns, cells, fit
from smsquest_cli.views.words import ARROWS, troubles

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from smsquest_cli.inbox import Inbox, Row, Totals

TIME: Final = 8
PEER: Final = 12
SEG: Final = 3
STATUS: Final = 17  # "app unreachable !"
STATUS_ROOM: Final = 42  # a failed message's whole way, seconds and code
SID: Final = 34
NARROW: Final = 56  # columns; below, some are merged
WIDE: Final = 120  # from here on there is room for whole SIDs

MOST_PER_CELL: Final = 8  # characters; if more are joined, the rest is left out

WAITING: Final = "waiting for the first message"
FAILED: Final = "bold red"
GOOD: Final = "green"
DIM: Final = "dim"
THEN: Final = " \N{SINGLE RIGHT-POINTING ANGLE QUOTATION MARK} "


@dataclass(frozen=True, slots=True)
class Layout:
    """The widths of the columns in a window; a column of width 0 is not shown."""

    width: int
    gap: int
    margin: int
    time: int
    arrow: int
    peer: int
    message: int
    seg: int
    status: int
    sid: int

    @classmethod
    def of(cls, width: int) -> Layout:
        """The columns that a window of *width* has room for; the message gets what is left."""
        if width < NARROW:
            time = 5 if width >= 30 else 0  # noqa: PLR2004 - hh:mm
            rest = max(width - time - 11, 6)
            status = min(14, rest // 2 + 1)
            return cls(width, 1, 0, time, 2, 5, rest - status, 0, status, 0)
        sid = SID if width >= WIDE else 0
        gap = 3 if width >= 76 else 2 if width >= 64 else 1  # noqa: PLR2004 - by trial
        free = width - 1 - TIME - 1 - PEER - SEG - 5 * gap - (sid + gap if sid else 0)
        status = min(STATUS_ROOM, STATUS + max(0, free - STATUS - 24) // 2)
        return cls(width, gap, 1, TIME, 1, PEER, free - status, SEG, status, sid)

    def heading(self) -> Columns:
        """The names of the columns."""
        names = ("Time", "", "Peer", "Message", "Seg", "Status", "SID")
        return self._columns([(name, "bold") for name in names])

    def rule(self) -> Text:
        """The line under the heading."""
        return Text(" " * self.margin + "─" * (self.width - 2 * self.margin), DIM, no_wrap=True)

    def row(self, row: Row) -> Columns:
        """One line for *row*."""
        at = row.at.astimezone().strftime("%H:%M:%S")[: self.time]
        arrow, peer = ARROWS[row.direction], printable(row.peer)
        seg = str(row.segments)
        if not self.seg:
            arrow += seg if len(seg) == 1 and row.segments > 1 else "+" if row.segments > 1 else ""
        if self.peer < PEER:
            peer = f"…{peer[-4:]}"
        style = FAILED if row.failed else GOOD if row.delivery.final else ""
        return self._columns(
            [
                (at, DIM),
                (arrow, ""),
                (peer, ""),
                (text_of(row, most=MOST_PER_CELL * self.message), ""),
                (f"{seg:>{self.seg}}", DIM),
                (status_of(row, self.status), style),
                (printable(row.sid or ""), DIM),
            ]
        )

    def _columns(self, contents: Sequence[tuple[str, str]]) -> Columns:
        """Each of *contents* (text, style) in its column; those of width 0 are left out."""
        widths = (
            self.time, self.arrow, self.peer, self.message, self.seg, self.status, self.sid,
        )  # fmt: skip
        column, line = self.margin, []
        for width, (text, style) in zip(widths, contents, strict=True):
            if width:
                line.append((column, fit(text, width), style))
                column += width + self.gap
        return Columns(line)


def text_of(row: Row, *, most: int) -> str:
    """The text of *row* on one line, cut to *most* characters, and how many media it has."""
    body = row.body if len(row.body) <= most else row.body[:most] + ELLIPSIS
    media = f"[{row.media} media]" if row.media else ""
    return " ".join(filter(None, [printable(body), media]))


def status_of(row: Row, width: int) -> str:
    """How *row* stands, in as many words as fit into *width* cells; ``!`` if it went wrong."""
    mark = " !" if row.failed else ""
    forms = [printable(form) + mark for form in _forms(row)]
    fitting = next((form for form in forms if cells(form) <= width), None)
    return fitting or fit(forms[-1].removesuffix(mark), width - len(mark)) + mark


def _forms(row: Row) -> Iterator[str]:
    """The same in ever fewer words."""
    words, steps = row.words, row.delivery.steps
    if row.direction == "out" and len(steps) > 1:
        way = [step.status for step in steps]
        seconds = f"{steps[-1].elapsed_ms / 1000:.1f} s"
        code = words[1:]
        yield " ".join([THEN.join(way), seconds, *code])
        yield " ".join([way[-1], seconds, *code])
    if row.direction == "in" and row.trouble and row.trouble != APP_UNREACHABLE:
        yield " ".join([*words, row.trouble])
    for count in range(len(words), 0, -1):
        yield " ".join(words[:count])


def table_lines(
    inbox: Inbox, *, width: int, height: int | None = None, empty: str = WAITING
) -> list[Text | Columns]:
    """Heading and rows; at most *height* lines, with as many of the newest rows as fit."""
    layout = Layout.of(width)
    rows, earlier = inbox.rows, inbox.dropped
    lines: list[Text | Columns] = [layout.heading(), layout.rule()]
    if not rows:
        return [*lines, Text(" " * layout.margin + empty, DIM)]
    room = len(rows) if height is None else max(height - len(lines), 1)
    hidden = earlier + max(0, len(rows) - room)
    if hidden:
        shown = min(len(rows), room - 1) or 1
        hidden = earlier + len(rows) - shown
        lines.append(Text(f"{' ' * layout.margin}+{hidden} earlier", DIM))
        rows = rows[-shown:]
    return [*lines, *map(layout.row, rows)]


def counts(totals: Totals) -> list[str]:
    """``2 in``, ``1 out`` and what else there was."""
    sums = [f"{totals.inbound} in", f"{totals.outbound} out"]
    return [*sums, *troubles(totals.failed, totals.problems, totals.rejected)]


def footer(left: Sequence[str], hint: str, width: int) -> Text:
    """Counts on the left, *hint* on the right; of each as many parts as there is room for.

    How to stop, the last part of the hint, stays as long as one count does.
    """
    hints = hint.split(" · ")
    shorter = [" · ".join(hints[first:]) for first in range(len(hints))]
    counted = [" · ".join(left[:count]) for count in range(len(left), 0, -1)]
    for said, told in [*product(counted, shorter), *product(counted, [""])]:
        room = width - 2 - cell_len(said) - cell_len(told)
        if room >= (3 if told else 0):
            return Text(f" {said}{' ' * room}{told}".rstrip(), DIM, no_wrap=True)
    return Text("")


def hanging(text: str, width: int, style: str = "") -> list[Text]:
    """*text* wrapped at *width* cells, all lines but the first with two blanks before them."""
    wrapped: list[Text] = []
    line, *words = text.split(" ")
    for word in words:
        if cell_len(line) + 1 + cell_len(word) > width and line.strip():
            wrapped.append(Text(line.rstrip(), style))
            line = f"  {word}"
        elif wrapped and not line.strip():
            line = f"  {word}"  # the rest of blanks at which a line was divided
        else:
            line = f"{line} {word}"
    return [*wrapped, Text(line, style)]


def severity_style(severity: str) -> str:
    """The style of a problem's line; the line itself says the same in words."""
    return {"error": FAILED, "warning": "yellow"}.get(severity, "")
