"""What ``configure-number`` does: show numbers, change one for good, put back."""

from __future__ import annotations

from smsquest_cli.configuring.changing import Change, Wanted, apply, plan
from smsquest_cli.configuring.listing import Listed, listed
from smsquest_cli.configuring.restoring import Outcome, put_back, waiting

__all__ = [
    "Change",
    "Listed",
    "Outcome",
    "Wanted",
    "apply",
    "listed",
    "plan",
    "put_back",
    "waiting",
]
