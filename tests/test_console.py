"""What a terminal gets: errors that say what to do, tables and colours where it can show them."""

from __future__ import annotations

import io
import json
import subprocess
import sys

import pytest

from smsquest_cli import console
from smsquest_cli.console import Output
from smsquest_cli.problems import UsageError


def test_an_error_is_one_line_with_its_id(capsys):
    """Off a terminal it is never wrapped."""
    console.show_error(UsageError("U5", first="--a" * 60, second="--b"), output=None)

    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error[U5]: ")
    assert err.count("\n") == 1


def test_with_json_an_error_is_a_record_too(capsys):
    """The program that reads standard output sees why it ended."""
    console.show_error(UsageError("U5", first="--a", second="--b"), output="json")

    out, err = capsys.readouterr()
    record = json.loads(out)
    assert (record["type"], record["id"], record["severity"]) == ("problem", "U5", "error")
    assert record["line"] in err


class Tty(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self):
        return True


def test_on_a_terminal_an_error_hangs(monkeypatch):
    """Wrapped at the window's edge, two blanks before all lines but the first."""
    monkeypatch.setattr(sys, "stderr", err := Tty())
    monkeypatch.setenv("COLUMNS", "40")

    console.show_error(UsageError("U5", first="--one", second="--two"), output=None)

    first, *rest = err.getvalue().splitlines()
    assert max(map(len, [first, *rest])) <= 40
    assert rest
    assert all(line.startswith("  ") for line in rest)


def test_what_is_to_be_copied_stays_in_one_piece(monkeypatch):
    """Options and addresses are not divided, however narrow the window is."""
    monkeypatch.setattr(sys, "stderr", err := Tty())
    monkeypatch.setenv("COLUMNS", "20")
    url = "https://calm-fox-of-the-north.ngrok-free.app/sms"

    console.say(f"give it to --forward-to {url} now")

    assert err.getvalue().splitlines() == ["give it to", "  --forward-to", f"  {url}", "  now"]


@pytest.mark.parametrize(
    ("tty", "term", "wanted", "output"),
    [
        (True, "xterm-256color", None, Output.TABLE),
        (True, "dumb", None, Output.LINES),
        (False, "xterm-256color", None, Output.LINES),
        (False, "dumb", "table", Output.TABLE),
        (True, "xterm-256color", "json", Output.JSON),
    ],
)
def test_a_table_is_for_terminals(monkeypatch, tty, term, wanted, output):
    """E15: a pipe and TERM=dumb get lines, unless something else is asked for."""
    monkeypatch.setattr(sys, "stdout", Tty() if tty else io.StringIO())
    monkeypatch.setenv("TERM", term)

    assert console.stream_output(wanted) is output


@pytest.mark.parametrize(
    ("environment", "coloured"),
    [
        ({}, True),
        ({"NO_COLOR": "1"}, False),
        ({"TERM": "dumb"}, False),
    ],
)
def test_colours_follow_the_environment(monkeypatch, environment, coloured):
    """NO_COLOR and TERM=dumb are obeyed."""
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"TERM": "xterm-256color", **environment}.items():
        monkeypatch.setenv(name, value)
    out = console.console_for(stream := Tty())

    out.print("bad [red]news[/red] :smile:", style="red")

    assert ("\x1b[31m" in stream.getvalue()) == coloured
    assert "bad [red]news[/red] :smile:" in stream.getvalue()


def test_colour_can_be_forced(monkeypatch):
    """FORCE_COLOR: for those who pipe into a pager; what moves a cursor is never sent there."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    out = console.console_for(stream := io.StringIO())

    out.print("bad", style="red")
    out.show_cursor(False)

    assert stream.getvalue() == "\x1b[31mbad\x1b[0m\n"


@pytest.mark.parametrize(
    ("encoding", "shown"),
    [
        ("ascii", 'hell? < > > ~ | - x <RLO> " ?'),
        ("latin-1", 'hellö < > > ~ · - × <RLO> " ?'),  # noqa: RUF001
        ("cp437", 'hellö < > > ~ · ─ x <RLO> " ?'),
        ("utf-8", "hellö ← → › … · ─ × ⟨RLO⟩ ” 🎉"),  # noqa: RUF001
    ],
)
def test_a_terminal_of_few_characters_gets_plain_signs(monkeypatch, encoding, shown):
    """P1: what points somewhere still does, each sign takes its one cell, nothing is an error."""

    class Wrapper(io.TextIOWrapper):
        def isatty(self):
            return True

    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", out := Wrapper(raw, encoding=encoding, newline="\n"))

    console.use_utf8()
    console.write_line("hellö ← → › … · ─ × ⟨RLO⟩ ” 🎉")  # noqa: RUF001

    out.detach()
    assert raw.getvalue().decode(encoding) == f"{shown}\n"


@pytest.mark.parametrize("encoding", ["cp1252", "ascii", "latin-1"])
def test_every_character_can_be_written_to_a_file(tmp_path, encoding):
    """L6: redirected output on a system with an old code page is UTF-8, not an error."""
    path = tmp_path / "out.txt"
    program = (
        "from smsquest_cli import console\n"
        "console.use_utf8()\n"
        "console.write_line('It\\u2019s me \\U0001f389 \\ud83d')\n"
    )

    with path.open("wb") as file:
        subprocess.run(
            [sys.executable, "-c", program],
            env={"PYTHONIOENCODING": encoding},
            stdout=file,
            check=True,
        )

    assert path.read_bytes() == "It\u2019s me \U0001f389 ?\n".encode()
