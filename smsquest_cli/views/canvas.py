"""The place on a terminal where something live is drawn, again and again.

It is drawn only after a change or when the window has a new size, at most eight times a second and
for a small part of the time, however slow the terminal is.
"""

from __future__ import annotations

import sys
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Final

from rich.console import Group
from rich.control import Control
from rich.live import Live
from rich.segment import ControlType
from rich.text import Text

from smsquest_cli.views.cells import cells
from smsquest_cli.views.keyboard import echo_off
from smsquest_cli.views.throttle import Throttle

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rich.console import Console

    from smsquest_cli.views.cells import Columns

LOOK: Final = 0.5  # seconds; an idle window is looked at for its size, and not drawn
_UP: Final = ((ControlType.ERASE_IN_LINE, 2), (ControlType.CURSOR_UP, 1))


class Canvas:
    """Lines at the end of *out* that are replaced by newer ones; a *transient* one goes away."""

    def __init__(
        self,
        out: Console,
        *,
        transient: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._out = out
        self._throttle = Throttle(clock)
        self._live = Live(
            console=out,
            auto_refresh=False,
            redirect_stdout=False,
            redirect_stderr=out.is_terminal and sys.stderr.isatty(),
            vertical_overflow="crop",
            transient=transient,
        )
        self._typing = ExitStack()
        self._size = out.size
        self._widths: list[int] = []  # of the lines that are there

    def due(self, *, changed: bool) -> float | None:
        """The seconds until it is time to draw, or to look at the size of the window again."""
        if changed or self._out.size != self._size:
            return self._throttle.due()
        return LOOK if self._out.is_terminal else None

    def draw(self, lines: Sequence[Text | Columns], above: Sequence[Text] = ()) -> None:
        """Show *lines* in place of those that are there; what is *above* them stays."""
        with self._throttle.drawing(), self._out:  # one write for all
            if not self._live.is_started:
                if self._out.is_terminal:
                    self._typing.enter_context(echo_off())
                self._live.start()
            self._unfold()
            if above:
                self._out.print(Text("\n").join(above))
            # The cursor rests on a line of its own: there a terminal writes its ^C.
            self._live.update(Group(*lines, Text()), refresh=True)
        self._size = self._out.size
        self._widths = [cells(line.plain) for line in lines]

    def leave(self) -> None:
        """Leave the lines as they are, or take them away; the cursor is visible below."""
        self._live.stop()
        self._typing.close()

    def _unfold(self) -> None:
        """Move up over the lines that were added when a narrower window wrapped some."""
        width = self._out.width
        more = sum(max(0, taken - 1) // width for taken in self._widths)
        if more and width < self._size.width:
            self._out.control(Control(ControlType.CARRIAGE_RETURN, *_UP * more))
