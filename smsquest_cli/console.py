"""The terminal: its two streams, what is asked on it, and how a problem looks.

Standard output carries what was asked for, standard error everything else. Text from outside is
made `printable` before it is shown anywhere.
"""

from __future__ import annotations

import codecs
import errno
import json
import os
import re
import sys
import textwrap
from contextlib import contextmanager, suppress
from enum import StrEnum
from typing import IO, TYPE_CHECKING, Final, cast

from smsquest_cli.printable import printable
from smsquest_cli.problems import LocalError, reason_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from rich.console import Console

    from smsquest_cli.events import Problem
    from smsquest_cli.problems import SmsquestError

# A terminal would obey these, or a reader take them for the end of a line; JSON can escape them.
_ESCAPED_IN_JSON: Final = re.compile(
    "[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)
# These replace our own signs if a terminal has no such characters; each is as wide.
_PLAIN_SIGNS: Final[Mapping[str, str]] = {
    **dict(zip("←→\u203a…·─\u00d7⟨⟩", "<>>~|-x<>", strict=True)),
    **dict(zip("\u2018\u2019\u201c\u201d", "''\"\"", strict=True)),
}


class Output(StrEnum):
    """How a command shows its result."""

    TABLE = "table"
    LINES = "lines"
    JSON = "json"
    TEXT = "text"
    JUNIT = "junit"


class ReaderGoneError(Exception):
    """Whoever read our output has closed it (``| head``): there is nobody left to tell."""


class DeclinedError(Exception):
    """The user was asked before something of value was changed, and did not say yes."""


def use_utf8() -> None:
    """Let the standard streams carry every character, or a plain sign if a terminal cannot.

    A stream that was closed before we began is replaced by one that discards everything.
    """
    codecs.register_error("smsquest", _in_plain_signs)
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            setattr(sys, name, os.fdopen(nowhere, "w", encoding="utf-8", closefd=False))
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is None:
            continue
        if (stream.encoding or "").lower().replace("-", "") != "utf8" and not stream.isatty():
            reconfigure(encoding="utf-8", errors="smsquest")
        else:
            reconfigure(errors="smsquest")


def _in_plain_signs(err: UnicodeError) -> tuple[str, int]:
    if not isinstance(err, UnicodeEncodeError):
        raise err
    missing = err.object[err.start : err.end]
    return "".join(_PLAIN_SIGNS.get(character, "?") for character in missing), err.end


def is_terminal(stream: IO[str]) -> bool:
    """Whether *stream* is a terminal that a table may be drawn on."""
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def stream_output(wanted: str | None) -> Output:
    """The output of a command that follows something: a table on a terminal, else lines."""
    if wanted is not None:
        return Output(wanted)
    return Output.TABLE if is_terminal(sys.stdout) else Output.LINES


def width() -> int:
    """How many columns the terminal has; 80 if there is none."""
    import shutil

    return shutil.get_terminal_size().columns


def console_for(stream: IO[str]) -> Console:
    """A Rich console that prints text as it is: no markup, no emoji names, no highlighting."""
    from rich.console import Console

    terminal = is_terminal(stream)
    forced = bool(os.environ.get("FORCE_COLOR")) and not terminal
    return Console(
        file=cast("IO[str]", _Watched(stream)),
        markup=False,
        emoji=False,
        highlight=False,
        force_terminal=None if terminal else False,  # a pipe never gets codes that move the cursor
        color_system="standard" if forced else "auto",
        legacy_windows=False,
    )


def say(line: str) -> None:
    """One line of talk, on standard error."""
    _talk(printable(line))


def begin_line() -> None:
    """Begin a new line on a terminal, which may have written its ^C into this one."""
    if sys.stderr.isatty():
        _write(sys.stderr, "")


def write_line(line: str) -> None:
    """One line of the result, on standard output; it is flushed."""
    _write(sys.stdout, line)


def print_json(value: object) -> None:
    """*value* as one line of JSON on standard output, flushed; harmless to a terminal as well."""
    line = json.dumps(value, ensure_ascii=False)
    write_line(_ESCAPED_IN_JSON.sub(lambda found: f"\\u{ord(found[0]):04x}", line))


def print_text(text: str) -> None:
    """Several lines of the result on standard output."""
    write_line("\n".join(map(printable, text.split("\n"))))


def problem_line(problem_id: str, severity: str, line: str) -> str:
    """``error[N2]: what - why - next step``."""
    return f"{severity}[{problem_id}]: {printable(line)}"


def show_problem(problem: Problem) -> None:
    """Say *problem* on standard error."""
    _talk(problem_line(problem.id, problem.severity, problem.line))


def show_error(error: SmsquestError, *, output: str | None, debug: bool = False) -> None:
    """Say what ended a command; with JSON output also as a ``problem`` record.

    With *debug* its traceback comes first.
    """
    if debug:
        import traceback

        traceback.print_exception(error)
    _talk(problem_line(error.id, error.severity, error.line))
    if output == Output.JSON:
        from datetime import UTC, datetime

        from smsquest_cli import events

        record = events.Problem.told_by(error, at=datetime.now(UTC), severity=error.severity)
        with suppress(ReaderGoneError):  # the exit code stays that of the error
            print_json(events.to_record(record))


def can_ask() -> bool:
    """Whether there is a terminal to ask on, and to hear the answer from."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def confirm(question: str, otherwise: SmsquestError) -> None:
    """Ask, No being the default; raises *otherwise* if nobody can be asked.

    Raises `DeclinedError` for any answer but yes.
    """
    if not can_ask():
        raise otherwise
    answer = _answer_to(f"{printable(question)} [y/N]")
    if answer is None or answer.lower() not in ("y", "yes"):
        say("nothing changed.")
        raise DeclinedError


def choose(question: str, choices: Sequence[str]) -> int | None:
    """The index of the one of *choices* that the user picks, the first by default.

    None for the end of the input (Ctrl-D).
    """
    say(question)
    for index, choice in enumerate(choices, start=1):
        say(f"  {index}  {choice}")
    while (answer := _answer_to("Number [1]:")) is not None:
        if (answer or "1") in map(str, range(1, len(choices) + 1)):
            return int(answer or "1") - 1
        say(f"1 to {len(choices)}, please")
    return None


def _answer_to(prompt: str) -> str | None:
    """The line that is typed, or None at the end of the input."""
    sys.stderr.write(f"{_divided(prompt)} ")
    sys.stderr.flush()
    line = sys.stdin.readline()
    if not line:
        begin_line()
        return None
    return line.strip()


def _talk(line: str) -> None:
    """*line* on standard error; on a terminal it is wrapped between words, never within one."""
    _write(sys.stderr, _divided(line) if sys.stderr.isatty() else line)


def _divided(line: str) -> str:
    """*line* wrapped to fit the terminal, between words and never within one."""
    return "\n".join(
        textwrap.wrap(
            line, width(), subsequent_indent="  ", break_long_words=False, break_on_hyphens=False
        )
    )


def _write(stream: IO[str], text: str) -> None:
    with _reader_of(stream):
        stream.write(text + "\n")
        stream.flush()


class _Watched:
    """*stream* for Rich, which does not expect a reader to go away."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> object:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        with _reader_of(self._stream):
            return self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with _reader_of(self._stream):
            self._stream.flush()


@contextmanager
def _reader_of(stream: IO[str]) -> Iterator[None]:
    """Turn a failed write to *stream* into an error of ours; later writes are discarded quietly.

    Raises `ReaderGoneError` or `LocalError` (L5) for standard output. A failure of standard error
    ends nothing, least of all while a number is being put back.
    """
    try:
        yield
    except OSError as err:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        if stream is sys.stderr:
            return
        if err.errno in (errno.EPIPE, errno.EIO):  # a pipe, or a terminal that was closed
            raise ReaderGoneError from err
        raise LocalError("L5", reason=reason_of(err)) from err
