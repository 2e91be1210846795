"""Where a reply asks to have its statuses reported: heard here, not at all, or by somebody else."""

from __future__ import annotations

import pytest

from smsquest_cli.webhooks.address import PublicAddress

PUBLIC = "https://abc.ngrok-free.app"
PREFIXED = "https://proxy.example/quest"


@pytest.mark.parametrize(
    ("base", "callback", "why"),
    [
        (PUBLIC, f"{PUBLIC}/status", None),
        (PUBLIC, f"{PUBLIC}/status?re=SM1", None),
        (PUBLIC, f"{PUBLIC}/sms", None),
        (PUBLIC, "https://app.example/anything", None),
        (PUBLIC, f"{PUBLIC}/statusx", 'where smsquest answers 404: use action="/status" ('),
        (PREFIXED, f"{PREFIXED}/status", None),
        (
            PREFIXED,
            "https://proxy.example/status",
            'where smsquest answers 404: use action="/quest/status" (',
        ),
        (PUBLIC, "http://127.0.0.1:5000/status", "which Twilio cannot reach: use "),
        ("http://127.0.0.1:8767", "http://127.0.0.1:5000/status", None),
    ],
)
def test_who_hears_a_callback(base, callback, why):
    """In the sandbox an address of this computer is as good as any."""
    found = PublicAddress.of(base).why_unheard(callback)

    assert found is why if why is None else found.startswith(why)
