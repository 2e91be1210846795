"""How Twilio reaches this computer: an ngrok tunnel, or an address that the user has."""

from __future__ import annotations

from smsquest_cli.tunnel.given import public_url
from smsquest_cli.tunnel.ngrok import (
    NgrokSettings,
    NgrokTunnel,
    end_orphans,
)
from smsquest_cli.tunnel.reach import self_test
from smsquest_cli.tunnel.watch import Timings, TunnelChange

__all__ = [
    "NgrokSettings",
    "NgrokTunnel",
    "Timings",
    "TunnelChange",
    "end_orphans",
    "public_url",
    "self_test",
]
