"""What ``doctor`` looks at: everything between a phone and this computer; nothing is changed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from smsquest_cli.problems import SmsquestError, catalogue

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from datetime import datetime
    from pathlib import Path

    from smsquest_cli.config import Settings

State = Literal["ok", "problem", "skipped"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that was looked at: how it is, how to put it right, where the setting stands."""

    id: str
    state: State
    line: str
    fix: str | None = None
    source: str | None = None


def check_up(
    settings: Settings,
    *,
    environment: Mapping[str, str],
    cwd: Path,
    now: Callable[[], datetime],
) -> Iterator[Check]:
    """Every check, one after the other; those on Twilio's side first."""
    from smsquest_cli.diagnosis.account_checks import account_checks
    from smsquest_cli.diagnosis.local_checks import local_checks

    yield from account_checks(settings, environment=environment, now=now)
    yield from local_checks(settings, environment=environment, cwd=cwd, now=now)


def trouble(id_: str, error: SmsquestError, *, source: str | None = None) -> Check:
    """The check *id_* found *error*."""
    line = f"{error.line} [{error.id}]"
    fix = catalogue()[error.id].next_step
    return Check(id=id_, state="problem", line=line, fix=fix, source=source)
