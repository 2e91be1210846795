"""The address of a tunnel or proxy that the user runs already."""

from __future__ import annotations

from smsquest_cli.problems import UsageError
from smsquest_cli.webhook_urls import is_local, shown, web_parts


def public_url(text: str, *, allow_local: bool = False) -> str:
    """The origin (and path) in *text*, without a slash at its end.

    Raises `UsageError` if it is not one (U6), or one that Twilio cannot reach (N9) unless
    *allow_local*: a Twilio that is on this computer itself can reach it.
    """
    url = text.strip()
    parts = web_parts(url)
    if parts is None or parts.username is not None or parts.query or parts.fragment:
        raise UsageError(
            "U6",
            option="--public-url",
            value=shown(text),
            expected="https://… without a query or user name",
        )
    if not allow_local and is_local(parts.hostname or ""):
        raise UsageError("N9", url=url)
    return url.rstrip("/?#")
