"""What ``doctor`` found: one line for each check as it comes, or one JSON document."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Final

from smsquest_cli import console
from smsquest_cli.console import Output
from smsquest_cli.views.findings import show_finding

if TYPE_CHECKING:
    from collections.abc import Iterable

    from smsquest_cli.doctor import Check

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
    known = check.source is None or f"Source: {check.source}" in check.line
    source = "" if known else f"  ({check.source})"
    fix = f"fix: {check.fix}" if check.state == "problem" and check.fix else None
    show_finding(check.state, check.id, check.line + source, fix, name_width=ID_WIDTH)
