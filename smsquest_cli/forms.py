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


def _decoded(text: str) -> str:
    if "%" not in text:
        return text
    # What ``unquote`` does, in a third of the time; non-ASCII text beside escapes is rare.
    return unquote_to_bytes(text).decode("utf-8", "replace") if text.isascii() else unquote(text)
