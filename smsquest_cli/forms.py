"""URL-encoded forms: what Twilio sends in a body or a query."""

from __future__ import annotations

from typing import Final
from urllib.parse import unquote, unquote_to_bytes

FORM_TYPE: Final = "application/x-www-form-urlencoded"


def is_form(content_type: str | None) -> bool:
    """Whether a body of *content_type* is what Twilio sends: URL-encoded form fields."""
    return (content_type or "").partition(";")[0].strip().lower() == FORM_TYPE


def form_pairs(body: bytes | str) -> list[tuple[str, str]]:
    """The names and values of a URL-encoded form or query in their order, the empty ones too."""
    text = body if isinstance(body, str) else body.decode("utf-8", "replace")
    return [
        (name, value) if "%" not in part else (_decoded(name), _decoded(value))
        for part in text.replace("+", " ").split("&")
        if part
        for name, _, value in (part.partition("="),)
    ]


def first_values(pairs: list[tuple[str, str]]) -> dict[str, str]:
    """The fields of *pairs*; of a repeated one the first value counts, as in Flask."""
    fields = dict(pairs)
    if len(fields) == len(pairs):  # nothing is repeated: so it is with Twilio's own
        return fields
    first: dict[str, str] = {}
    for name, value in pairs:
        first.setdefault(name, value)
    return first


def _decoded(text: str) -> str:
    if "%" not in text:
        return text
    # What ``unquote`` does, in a third of the time; non-ASCII text beside escapes is rare.
    return unquote_to_bytes(text).decode("utf-8", "replace") if text.isascii() else unquote(text)
