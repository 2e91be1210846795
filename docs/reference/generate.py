"""Write the pages here that the program itself knows: ``python docs/reference/generate.py``.

These are ``commands.md`` and ``problems.md``. A test holds them and the program together.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Final

from smsquest_cli.cli import run
from smsquest_cli.overview import COMMANDS
from smsquest_cli.problems import catalogue

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from smsquest_cli.problems import CatalogueEntry

COMMANDS_HEAD: Final = """\
# Commands

What `smsquest --help` and `smsquest COMMAND --help` say.
"""

FAMILIES: Final[Mapping[str, str]] = {
    "C": "Credentials and secrets",
    "N": "The number and what Twilio does with it",
    "T": "The tunnel",
    "A": "The local server and your app",
    "S": "Signatures",
    "R": "The reply (TwiML)",
    "D": "Delivery and status",
    "M": "Sharing and restoring",
    "P": "Terminal and platform",
    "U": "Usage",
    "L": "The event log and local files",
    "W": "Twilio's API",
    "E": "Expectations",
    "B": "Bugs of smsquest",
}


def help_of(*command: str) -> str:
    """The help text of *command*, 100 columns wide and without colour."""
    os.environ.update({"TERMINAL_WIDTH": "100", "COLUMNS": "100", "NO_COLOR": "1"})
    text = io.StringIO()
    with contextlib.redirect_stdout(text):
        run([*command, "--help"])
    return "\n".join(line.rstrip() for line in text.getvalue().strip().splitlines())


def commands_page() -> str:
    """The page of all commands."""
    parts = [COMMANDS_HEAD, f"```text\n{help_of()}\n```\n"]
    parts += [f"## {name}\n\n```text\n{help_of(name)}\n```\n" for name in COMMANDS]
    return "\n".join(parts)


def problems_page() -> str:
    """The page of all problems of the catalogue, by family."""
    return "\n".join(_problems_lines())


def _problems_lines() -> Iterator[str]:
    yield "# Problems"
    yield ""
    yield (
        "Every problem that smsquest can show, by its id. On a terminal it reads `error[ID]: …`, "
        "with `--output json` it is a record of type `problem`; `smsquest explain ID` says the "
        "same as this page. An *error* stops something or loses messages, a *warning* will bite, "
        "a *note* is good to know. Below: the line as it is shown, why it happens, and what to do "
        "next, after whose turn it is. A few (most of P) are background: no command shows them "
        "by itself, `explain` knows them."
    )
    yield ""
    yield ("This page is written from the catalogue, by `python docs/reference/generate.py`.")
    for family, entries in groupby(catalogue().values(), key=lambda entry: entry.id[0]):
        yield ""
        yield f"## {family} · {FAMILIES[family]}"
        for entry in entries:
            yield from _entry_lines(entry)
    yield ""


def _entry_lines(entry: CatalogueEntry) -> Iterator[str]:
    yield ""
    yield f'<a id="{entry.id.lower()}"></a>'
    yield ""
    yield f"### {entry.id} · {_markdown(entry.title)}"
    yield ""
    yield "```text"
    yield f"{entry.severity}[{entry.id}]: {entry.line.replace('{{', '{').replace('}}', '}')}"
    yield "```"
    yield ""
    yield f"{_markdown(entry.cause)}"
    yield ""
    yield f"**{entry.who}**: {_markdown(entry.next_step)}"
    if entry.url:
        yield ""
        yield f"<{entry.url}>"


def _markdown(text: str) -> str:
    """*text* with what Markdown would take for HTML or emphasis escaped."""
    return re.sub(
        r"`[^`]*`|[<*]",
        lambda match: match[0] if match[0][0] == "`" else "\\" + match[0],
        text,
    )


if __name__ == "__main__":
    folder = Path(__file__).parent
    (folder / "commands.md").write_text(commands_page(), "utf-8")
    (folder / "problems.md").write_text(problems_page(), "utf-8")
