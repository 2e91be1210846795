"""One finding of ``doctor`` or ``check`` as people see it: its state, its name, what came of it."""

from __future__ import annotations

import sys
import textwrap
from typing import Final

from smsquest_cli import console
from smsquest_cli.printable import printable

STYLES: Final = {"ok": "green", "problem": "bold red", "skipped": "dim"}
STATE_WIDTH: Final = 9
NARROWEST: Final = 20  # columns for what came of it; with fewer its next lines are not aligned


def show_finding(state: str, name: str, line: str, fix: str | None, *, name_width: int) -> None:
    """Show one finding; on a terminal wrapped under its text, elsewhere one line and its *fix*."""
    from rich.text import Text  # not before it is needed: JSON and JUnit do without

    screen = console.console_for(sys.stdout)
    column = STATE_WIDTH + name_width
    said = [f"{state:<{STATE_WIDTH}}{name:<{name_width}}{printable(line)}"]
    if fix is not None:
        said.append(" " * column + printable(fix))
    if screen.is_terminal:
        indent = " " * (column if screen.width >= column + NARROWEST else STATE_WIDTH)
        said = [
            row
            for one in said
            for row in textwrap.wrap(one, screen.width, subsequent_indent=indent)
        ]
    for row in said:
        text = Text(row)
        if not row.startswith(" "):
            text.stylize(STYLES[state], 0, STATE_WIDTH)
        screen.print(text, soft_wrap=True)
