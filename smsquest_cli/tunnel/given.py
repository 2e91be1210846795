"""Tunnels for which nothing is started: none at all, or an address that the user has already."""

from __future__ import annotations

import ipaddress
from typing import Final
from urllib.parse import SplitResult, urlsplit

from smsquest_cli.problems import UsageError

# Names that are only known on this computer or in its network.
_LOCAL_SUFFIXES: Final = (".localhost", ".local", ".internal", ".lan", ".home.arpa")


class NoTunnel:
    """No tunnel: only programs on this computer reach us, at ``url``."""

    def __init__(self, local_url: str) -> None:
        self.url = local_url.rstrip("/")

    def close(self) -> None:
        """There is nothing to close."""


class GivenUrl:
    """A tunnel or proxy that the user runs: ``url`` is the address they gave.

    Raises `UsageError` where it is none (U6), or one that Twilio cannot reach (N9) unless
    *allow_local*: a Twilio that is on this computer itself reaches it.
    """

    def __init__(self, url: str, *, allow_local: bool = False) -> None:
        self.url = public_url(url, allow_local=allow_local)

    def close(self) -> None:
        """Their tunnel stays as it is."""


def public_url(text: str, *, option: str = "--public-url", allow_local: bool = False) -> str:
    """The origin (and path) in *text*, without a slash at its end; raises as `GivenUrl` does."""
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
            "U6", option=option, value=text, expected="https://… without a query or user name"
        )
    if not allow_local and is_local(parts):
        raise UsageError("N9", url=text.strip())
    return text.strip().rstrip("/?#")


def is_local(parts: SplitResult) -> bool:
    """Whether the host of a URL is this computer or in a private network: Twilio is in neither."""
    host = (parts.hostname or "").rstrip(".")
    try:
        return not ipaddress.ip_address(host).is_global
    except ValueError:
        return "." not in host or host.endswith(_LOCAL_SUFFIXES)
