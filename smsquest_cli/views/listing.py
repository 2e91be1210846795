"""The table of past events: all rows at once, when everything has been read."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final, Self

from rich.text import Text

from smsquest_cli import console
from smsquest_cli.events import Problem
from smsquest_cli.inbox import Inbox
from smsquest_cli.views.layout import counts, footer, hanging, severity_style, table_lines

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from smsquest_cli.events import Event

ROWS: Final = 10_000
PROBLEMS: Final = 20


class Listing:
    """Prints one table on *out* of all that it was shown, and the last problems, when it is left.

    Unlike the live table it is as high as it gets.
    """

    def __init__(self, *, out: Console | None = None) -> None:
        self._out = out or console.console_for(sys.stdout)
        self._inbox = Inbox(keep=ROWS)
        self._problems: list[Problem] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self._print()

    def show(self, batch: Sequence[Event]) -> None:
        """Take *batch* in."""
        for event in batch:
            self._inbox.apply(event)
            if isinstance(event, Problem):
                self._problems = [*self._problems[1 - PROBLEMS :], event]

    def due(self) -> None:
        """All waits for the end."""

    def refresh(self) -> None:
        """All waits for the end."""

    def _print(self) -> None:
        width = self._out.width
        for line in table_lines(self._inbox, width=width, empty="nothing is recorded"):
            self._out.print(line)
        self._out.print(footer(counts(self._inbox.totals), "", width))
        for problem in self._problems:
            told = console.problem_line(problem.id, problem.severity, problem.line)
            style = severity_style(problem.severity)
            self._out.print(Text("\n").join(hanging(told, width, style)))
