"""What ``doctor`` found: one line for each check as it comes, or one JSON document."""

from __future__ import annotations

import sys
import textwrap
from typing import TYPE_CHECKING, Final, Protocol

from smsquest_cli import console
from smsquest_cli.console import Output, printable

if TYPE_CHECKING:
    from collections.abc import Iterable

STYLES: Final = {"ok": "green", "problem": "bold red", "skipped": "dim"}
STATE_WIDTH: Final = 9
ID_WIDTH: Final = 13


class Checked(Protocol):
    """A check, as far as it is shown."""

    @property
    def id(self) -> str:
        """What was looked at."""
        ...

    @property
    def state(self) -> str:
        """``ok``, ``problem`` or ``skipped``."""
        ...

    @property
    def line(self) -> str:
        """How it is."""
        ...

    @property
    def fix(self) -> str | None:
        """How to put it right."""
        ...

    @property
    def source(self) -> str | None:
        """Where the setting stands that was looked at."""
        ...


def show_checkup(checks: Iterable[Checked], output: Output) -> int:
    """Show *checks*; the number of problems among them."""
    if output is Output.JSON:
        found = list(checks)
        names = ("id", "state", "line", "fix", "source")
        records = [{name: getattr(check, name) for name in names} for check in found]
        console.print_json({"checks": records})
        return sum(check.state == "problem" for check in found)
    problems = 0
    for check in checks:
        _show(check)
        problems += check.state == "problem"
    total = "all is well" if not problems else f"{problems} problem{'s' * (problems > 1)}"
    console.write_line(f"\n{total}")
    return problems


def _show(check: Checked) -> None:
    indent = " " * (STATE_WIDTH + ID_WIDTH)
    source = f"  ({check.source})" if check.source else ""
    said = [f"{check.state:<{STATE_WIDTH}}{check.id:<{ID_WIDTH}}{printable(check.line + source)}"]
    if check.state == "problem" and check.fix:
        said.append(f"{indent}fix: {printable(check.fix)}")
    terminal = console.console_for(sys.stdout)
    if not terminal.is_terminal:
        for line in said:
            console.write_line(line)
        return
    from rich.text import Text

    for line in said:
        for row in textwrap.wrap(line, terminal.width, subsequent_indent=indent):
            text = Text(row)
            if not row.startswith(" "):
                text.stylize(STYLES[check.state], 0, STATE_WIDTH)
            terminal.print(text, soft_wrap=True)
