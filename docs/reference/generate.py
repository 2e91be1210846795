"""Write the pages here that the program itself knows: ``python docs/reference/generate.py``.

A test holds the pages in this folder and the program together.
"""

from __future__ import annotations

import contextlib
import io
import os
from pathlib import Path

from smsquest_cli.cli import run
from smsquest_cli.overview import COMMANDS

HEAD = """\
# Commands

What `smsquest --help` and `smsquest COMMAND --help` say.
"""


def help_of(*command: str) -> str:
    """The help text of *command*, 100 columns wide and without colour."""
    os.environ.update({"TERMINAL_WIDTH": "100", "COLUMNS": "100", "NO_COLOR": "1"})
    text = io.StringIO()
    with contextlib.redirect_stdout(text):
        run([*command, "--help"])
    return "\n".join(line.rstrip() for line in text.getvalue().strip().splitlines())


def commands_page() -> str:
    """The page of all commands."""
    parts = [HEAD, f"```text\n{help_of()}\n```\n"]
    parts += [f"## {name}\n\n```text\n{help_of(name)}\n```\n" for name in COMMANDS]
    return "\n".join(parts)


if __name__ == "__main__":
    (Path(__file__).parent / "commands.md").write_text(commands_page(), "utf-8")
