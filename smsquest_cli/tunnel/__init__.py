"""How Twilio reaches this computer: an ngrok tunnel, an address the user has, or not at all."""

from __future__ import annotations

from typing import Protocol

from smsquest_cli.tunnel.given import GivenUrl, NoTunnel, public_url
from smsquest_cli.tunnel.ngrok import (
    NgrokFound,
    NgrokSettings,
    NgrokTunnel,
    end_orphans,
    find_ngrok,
)
from smsquest_cli.tunnel.reach import self_test
from smsquest_cli.tunnel.watch import Pace, TunnelChange

__all__ = [
    "GivenUrl",
    "NgrokFound",
    "NgrokSettings",
    "NgrokTunnel",
    "NoTunnel",
    "Pace",
    "Tunnel",
    "TunnelChange",
    "end_orphans",
    "find_ngrok",
    "public_url",
    "self_test",
]


class Tunnel(Protocol):
    """Something that leads from a public URL to our local server until it is closed."""

    @property
    def url(self) -> str:
        """The public address, without a slash at its end."""
        ...

    def close(self) -> None:
        """Let it go; a second call does nothing."""
        ...
