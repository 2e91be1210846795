"""Options that recur, what they mean, and what every command is given: the `Invocation`."""

from __future__ import annotations

import os
import re
import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from smsquest_cli.problems import LocalError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from smsquest_cli.config import Settings

TableLinesJson = Annotated[
    Literal["table", "lines", "json"] | None,
    typer.Option(
        "--output", "-o", help="How to show it; default: table on a terminal, else lines."
    ),
]
LinesJson = Annotated[
    Literal["lines", "json"], typer.Option("--output", "-o", help="How to show it.")
]
TableJson = Annotated[
    Literal["table", "json"], typer.Option("--output", "-o", help="How to show it.")
]
TextJson = Annotated[
    Literal["text", "json"], typer.Option("--output", "-o", help="How to show it.")
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Ask no questions.")]
ViaService = Annotated[
    bool,
    typer.Option(
        "--via-service",
        help="The number is in a Messaging Service that answers for it: point the service, "
        "and put it back.",
    ),
]

_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d|)", re.ASCII)
_UNITS: Mapping[str, float] = {"ms": 0.001, "s": 1, "": 1, "m": 60, "h": 3600, "d": 86400}


@dataclass(slots=True)
class Invocation:
    """One call of the command line: the root options, and how its errors are to be shown."""

    profile: str | None = None
    env_file: Path | None = None
    debug: bool = False
    output: str | None = None  # set by a command as soon as it knows
    environment: Mapping[str, str] = field(default_factory=lambda: os.environ, repr=False)

    def settings(self, **options: str | None) -> Settings:
        """The settings of this call; *options* given on the command line win."""
        from smsquest_cli.config import load_settings

        return load_settings(
            self.environment,
            cwd=working_folder(),
            env_file=self.env_file,
            profile=self.profile,
            overrides=options,
        )


def working_folder() -> Path:
    """The folder in which the command was called; raises `LocalError` (L7) where it is gone."""
    try:
        return Path.cwd()
    except FileNotFoundError as err:
        raise LocalError("L7") from err


def parse_duration(text: str, option: str) -> timedelta:
    """``10m``, ``1h``, ``2d``, ``90s`` or plain seconds; raises `UsageError` (U6) for the rest."""
    match = _DURATION.fullmatch(text.strip())
    try:
        if match is not None:
            return timedelta(seconds=float(match[1]) * _UNITS[match[2]])
    except OverflowError:
        pass
    raise UsageError("U6", option=option, value=text, expected="10m, 1h, 2d or seconds")


def parse_ago(text: str, option: str) -> datetime:
    """The moment that lies the duration *text* back; raises `UsageError` (U6) for no duration."""
    now = datetime.now(UTC)
    return now - min(parse_duration(text, option), now - datetime(1970, 1, 1, tzinfo=UTC))


def parse_addresses(texts: Sequence[str], option: str) -> tuple[str, ...]:
    """*texts* that are addresses on the web, each; raises `UsageError` (U6) for another."""
    from smsquest_cli.webhook_urls import web_parts

    for text in texts:
        if web_parts(text) is None:
            raise UsageError("U6", option=option, value=text, expected="an http or https address")
    return tuple(texts)


def parse_pairs(texts: Sequence[str], option: str) -> dict[str, str]:
    """``Key=Value`` options as a dict; raises `UsageError` (U6) where there is no ``=``."""
    pairs = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise UsageError("U6", option=option, value=text, expected="Key=Value")
        pairs[key] = value
    return pairs


def text_of(argument: str) -> str:
    """*argument* itself, or for ``-`` standard input.

    That loses one line end at its end, which the shell put there. Raises `UsageError` (U10) where
    standard input is closed.
    """
    if argument != "-":
        return argument
    if sys.stdin is None:
        raise UsageError("U10", option="-", needed="the text on standard input")
    text = sys.stdin.buffer.read().decode("utf-8", "replace")
    return text.removesuffix("\n").removesuffix("\r")


def parse_pattern(text: str | None, option: str) -> re.Pattern[str] | None:
    """The regular expression *text*; raises `UsageError` (U6) where it is none."""
    if text is None:
        return None
    try:
        return re.compile(text)
    except re.error as err:
        raise UsageError(
            "U6", option=option, value=text, expected=f"a regular expression ({err})"
        ) from err
