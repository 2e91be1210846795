"""The results of a contract test: a table, lines, one JSON document, or JUnit's XML for CI."""

from __future__ import annotations

import html
from dataclasses import asdict
from typing import TYPE_CHECKING

from smsquest_cli import console
from smsquest_cli.printable import printable
from smsquest_cli.views.findings import show_finding

if TYPE_CHECKING:
    from collections.abc import Iterable

    from smsquest_cli.check import Result


def show_results(
    url: str, results: Iterable[Result], output: console.Output, *, titles: Iterable[str]
) -> list[Result]:
    """Show *results* as they come, or together if *output* is one document; returns them.

    *titles* are those of all the results that may come.
    """
    if output is console.Output.LINES:
        return [_line(result) for result in results]
    if output is console.Output.TABLE:
        width = max(map(len, titles)) + 2
        return [_row(result, width) for result in results]
    found = list(results)
    if output is console.Output.JSON:
        console.print_json({"url": url, "checks": [asdict(result) for result in found]})
    else:
        console.write_line(_junit(url, found))
    return found


def _line(result: Result) -> Result:
    console.write_line(f"{result.state:<8} {result.id:<14} {printable(result.line)}")
    if result.state == "problem" and result.fix:
        console.write_line(f"{'':<8} {'':<14} {_fix(result)}")
    return result


def _row(result: Result, name_width: int) -> Result:
    fix = _fix(result) if result.state == "problem" and result.fix else None
    show_finding(result.state, result.title, result.line, fix, name_width=name_width)
    return result


def _junit(url: str, results: list[Result]) -> str:
    seconds = sum(result.ms for result in results) / 1000
    counts = {
        state: sum(result.state == state for result in results) for state in ("problem", "skipped")
    }
    suite = (
        f'name={_quoted("smsquest check " + url)} tests="{len(results)}" '
        f'failures="{counts["problem"]}" errors="0" skipped="{counts["skipped"]}" '
        f'time="{seconds:.3f}"'
    )
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        "<testsuites>",
        f"<testsuite {suite}>",
        *[line for result in results for line in _junit_case(result)],
        "</testsuite>",
        "</testsuites>",
    ]
    return "\n".join(lines)


def _junit_case(result: Result) -> list[str]:
    seconds = f"{result.ms / 1000:.3f}"
    name = f'classname="smsquest.check" name={_quoted(result.title)}'
    case = f'<testcase {name} time="{seconds}"'
    if result.state == "skipped":
        return [f"{case}>", f"<skipped message={_quoted(result.line)}/>", "</testcase>"]
    if result.state == "problem":
        failure = f"type={_quoted(result.problem or 'smsquest')} message={_quoted(result.line)}"
        text = html.escape(_fix(result)) if result.fix else ""
        return [f"{case}>", f"<failure {failure}>{text}</failure>", "</testcase>"]
    return [f"{case}/>"]


def _fix(result: Result) -> str:
    return f"fix [{result.problem}]: {printable(result.fix or '')}"


def _quoted(text: str) -> str:
    return f'"{html.escape(printable(text))}"'
