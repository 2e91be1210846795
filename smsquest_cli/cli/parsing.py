"""What the values of options mean, and which options go together."""

from __future__ import annotations

import re
import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from smsquest_cli.problems import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_DURATION = re.compile(r"(\d+(?:\.\d+)?|\.\d+)\s*(ms|s|m|h|d|)", re.ASCII)
_UNITS: Mapping[str, float] = {"ms": 0.001, "s": 1, "": 1, "m": 60, "h": 3600, "d": 86400}


def parse_duration(text: str, option: str) -> timedelta:
    """``10m``, ``1h``, ``2d``, ``90s`` or plain seconds; raises `UsageError` (U6) for others."""
    match = _DURATION.fullmatch(text.strip())
    try:
        if match is not None:
            return timedelta(seconds=float(match[1]) * _UNITS[match[2]])
    except OverflowError:
        pass
    raise UsageError("U6", option=option, value=text, expected="10m, 1h, 2d or seconds")


def parse_ago(text: str, option: str) -> datetime:
    """The moment the duration *text* ago; raises `UsageError` (U6) if *text* is not a duration."""
    now = datetime.now(UTC)
    return now - min(parse_duration(text, option), now - datetime(1970, 1, 1, tzinfo=UTC))


def parse_addresses(texts: Sequence[str], option: str) -> tuple[str, ...]:
    """*texts*, each of them an http(s) address; raises `UsageError` (U6) for one that is not."""
    from smsquest_cli.webhook_urls import shown, web_parts

    for text in texts:
        if web_parts(text) is None:
            expected = "an http or https address"
            raise UsageError("U6", option=option, value=shown(text), expected=expected)
    return tuple(texts)


def parse_pairs(texts: Sequence[str], option: str) -> dict[str, str]:
    """``Key=Value`` options as a dict; raises `UsageError` (U6) if one has no ``=`` or no key."""
    pairs = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise UsageError("U6", option=option, value=text, expected="Key=Value")
        pairs[key] = value
    return pairs


def read_text(argument: str) -> str:
    """*argument* itself, or for ``-`` the text on standard input.

    That text loses one line end at its end, which the shell put there. Raises `UsageError` (U10)
    if standard input is closed.
    """
    if argument != "-":
        return argument
    if sys.stdin is None:
        raise UsageError("U10", option="-", needed="the text on standard input")
    text = sys.stdin.buffer.read().decode("utf-8", "replace")
    return text.removesuffix("\n").removesuffix("\r")


def parse_pattern(text: str | None, option: str) -> re.Pattern[str] | None:
    """The regular expression *text*; raises `UsageError` (U6) if it is not one."""
    if text is None:
        return None
    try:
        return re.compile(text)
    except re.error as err:
        raise UsageError(
            "U6", option=option, value=text, expected=f"a regular expression ({err})"
        ) from err


def at_most_one(names: Sequence[str], values: Sequence[object]) -> None:
    """Raise `UsageError` (U5) if more than one of the options *names* has a value."""
    given = [name for name, value in zip(names, values, strict=True) if value]
    if len(given) > 1:
        raise UsageError("U5", first=given[0], second=given[1])


def needs(name: str, value: object, other: str, other_value: object) -> None:
    """Raise `UsageError` (U10) if the option *name* has a value and *other* has none."""
    if value and not other_value:
        raise UsageError("U10", option=name, needed=other)
