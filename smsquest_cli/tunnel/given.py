"""The address of a tunnel or proxy that the user runs already."""

from __future__ import annotations

from urllib.parse import urlsplit

from smsquest_cli.problems import UsageError
from smsquest_cli.webhook_urls import is_local, shown


def public_url(text: str, *, allow_local: bool = False) -> str:
    """The origin (and path) in *text*, without a slash at its end.

    Raises `UsageError` where it is none (U6), or one that Twilio cannot reach (N9) unless
    *allow_local*: a Twilio that is on this computer itself reaches it.
    """
    try:
        parts = urlsplit(text.strip())
        usable = (
            parts.scheme in ("http", "https")
            and bool(parts.hostname)
            and parts.port != 0  # reading it raises where it is no number
            and parts.username is None
            and not parts.query
            and not parts.fragment
        )
    except ValueError:
        usable = False
    if not usable or any(character.isspace() for character in text.strip()):
        raise UsageError(
            "U6",
            option="--public-url",
            value=shown(text),
            expected="https://… without a query or user name",
        )
    if not allow_local and is_local(parts.hostname or ""):
        raise UsageError("N9", url=text.strip())
    return text.strip().rstrip("/?#")
