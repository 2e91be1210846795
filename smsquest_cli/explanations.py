"""What a code or a status means, offline: Twilio's, ngrok's, and the ids of our own problems."""

from __future__ import annotations

import re
import textwrap
import tomllib
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Final

from smsquest_cli.problems import catalogue

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

TWILIO_ERRORS: Final = "https://www.twilio.com/docs/api/errors"
STATUSES: Final = "https://www.twilio.com/docs/messaging/guides/track-outbound-message-status"
NGROK_ERRORS: Final = "https://ngrok.com/docs/errors"

_TWILIO = re.compile(r"(?:(?:twilio|error)[ _-]?)?(\d{1,9})", re.ASCII | re.IGNORECASE)
_NGROK = re.compile(r"(?:err[ _-])?ngrok[ _-]?(\d{1,9})", re.ASCII | re.IGNORECASE)
_OURS = re.compile(
    r"(?:(?:error|warning|note|confirm)\[)?([a-z]\d{1,3})\]?", re.ASCII | re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Explanation:
    """What a code means, in plain words, whose turn it is, and what to do."""

    code: str  # as people search for it: 30007, ERR_NGROK_334, N4
    title: str
    cause: str
    who: str  # you, your app, the recipient, the carrier, Twilio, ngrok or nobody
    next_step: str
    url: str | None = None

    def text(self, width: int | None = None) -> str:
        """The explanation for people to read, wrapped at *width* columns, or not at all."""
        parts = [("Why", self.cause), ("Who", self.who), ("Do", self.next_step)]
        if self.url:
            parts.append(("See", self.url))
        lines = [*_wrapped(f"{self.code}  {self.title}", width, indent=len(self.code) + 2), ""]
        for name, value in parts:
            lines += _wrapped(f"{name:<4}{value}", width, indent=4)
        return "\n".join(lines)


def explain(code: str | int) -> Explanation | None:
    """What *code* means, or None if it is unknown here.

    Understands Twilio's codes (``30007``), ngrok's (``ERR_NGROK_334``, ``ngrok-334``) and our own
    ids (``N4``, ``n4``, ``error[N4]``), and the status of a message (``undelivered``).
    """
    text = str(code).strip()
    if match := _TWILIO.fullmatch(text):
        return twilio_errors().get(int(match[1]))
    if match := _NGROK.fullmatch(text):
        return ngrok_errors().get(int(match[1]))
    if (match := _OURS.fullmatch(text)) and (entry := catalogue().get(match[1].upper())):
        return Explanation(
            entry.id, entry.title, entry.cause, entry.who, entry.next_step, entry.url
        )
    return statuses().get(text.lower())


def candidates(code: str) -> list[str]:
    """The codes that the unknown *code* may have meant: the closest ones, five at most."""
    ngroks = {str(code): found.code for code, found in ngrok_errors().items()}
    text = code.strip()
    if match := _NGROK.fullmatch(text):
        return [ngroks[one] for one in get_close_matches(match[1], ngroks, n=5)]
    known = {one.lower(): one for one in (*map(str, twilio_errors()), *catalogue(), *statuses())}
    written = {**ngroks, **known}
    return [written[one] for one in get_close_matches(text.lower(), written, n=5)]


def short(code: int) -> str:
    """The cause of Twilio's error *code* in a few words, to be shown beside a status."""
    known = twilio_errors().get(code)
    return known.title if known else page_of(code).removeprefix("https://www.")


def page_of(code: str | int) -> str:
    """The page where the code's owner explains it, even if we do not know it."""
    text = str(code).strip()
    if match := _TWILIO.fullmatch(text):
        return f"{TWILIO_ERRORS}/{int(match[1])}"
    if match := _NGROK.fullmatch(text):
        return f"{NGROK_ERRORS}/err_ngrok_{int(match[1])}"
    return TWILIO_ERRORS


@cache
def twilio_errors() -> Mapping[int, Explanation]:
    """Twilio's error codes that people meet when they send and receive messages."""
    return {
        int(code): Explanation(code, **values, url=page_of(code))
        for code, values in _read("twilio_errors.toml")
    }


@cache
def ngrok_errors() -> Mapping[int, Explanation]:
    """The error codes of ngrok that people meet when they receive webhooks."""
    return {
        int(code): Explanation(f"ERR_NGROK_{code}", **values, url=page_of(f"ngrok-{code}"))
        for code, values in _read("ngrok_errors.toml")
    }


@cache
def statuses() -> Mapping[str, Explanation]:
    """The statuses of a message."""
    return {
        status: Explanation(status, **values, url=STATUSES)
        for status, values in _read("statuses.toml")
    }


def _wrapped(text: str, width: int | None, *, indent: int) -> list[str]:
    if width is None:
        return [text]
    return textwrap.wrap(
        text,
        max(width, 20),
        subsequent_indent=" " * indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _read(name: str) -> Iterator[tuple[str, dict[str, str]]]:
    text = (resources.files(__package__) / "catalogue" / name).read_text("utf-8")
    yield from tomllib.loads(text).items()
