"""What ``doctor`` looks at: everything between a phone and this computer; nothing is changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from smsquest_cli.doctor.account import account_checks
from smsquest_cli.doctor.checks import Check
from smsquest_cli.doctor.computer import local_checks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from datetime import datetime
    from pathlib import Path

    from smsquest_cli.config import Settings

__all__ = ["Check", "check_up"]


def check_up(
    settings: Settings,
    *,
    environment: Mapping[str, str],
    cwd: Path,
    now: Callable[[], datetime],
) -> Iterator[Check]:
    """Every check, one after the other; those on Twilio's side first."""
    yield from account_checks(settings, environment=environment, now=now)
    yield from local_checks(settings, environment=environment, cwd=cwd, now=now)
