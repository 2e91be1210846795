"""What ``doctor`` found: one line for each check as it comes, or one JSON document."""

from __future__ import annotations

import sys
import textwrap
from dataclasses import asdict
from typing import TYPE_CHECKING, Final

from smsquest_cli import console
from smsquest_cli.console import Output
from smsquest_cli.printable import printable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from smsquest_cli.doctor import Check

STYLES: Final = {"ok": "green", "problem": "bold red", "skipped": "dim"}
STATE_WIDTH: Final = 9
ID_WIDTH: Final = 13


def show_checks(checks: Iterable[Check], output: Output) -> int:
    """Show *checks*; returns the number of problems among them."""
    if output is Output.JSON:
        found = list(checks)
        console.print_json({"checks": [asdict(check) for check in found]})
        return sum(check.state == "problem" for check in found)
    problems = 0
    for check in checks:
        _show(check)
        problems += check.state == "problem"
    total = "all is well" if not problems else f"{problems} problem{'s' * (problems > 1)}"
    console.write_line(f"\n{total}")
    return problems


def _show(check: Check) -> None:
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
