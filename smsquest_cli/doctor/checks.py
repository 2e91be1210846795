"""`Check`: one thing that ``doctor`` looked at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from smsquest_cli.problems import SmsquestError, catalogue

State = Literal["ok", "problem", "skipped"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that was looked at: its state, how to put it right, where the setting stands."""

    id: str
    state: State
    line: str
    fix: str | None = None
    source: str | None = None


def trouble(id_: str, error: SmsquestError, *, source: str | None = None) -> Check:
    """The check *id_* found *error*."""
    line = f"{error.line} [{error.id}]"
    fix = catalogue()[error.id].next_step
    return Check(id=id_, state="problem", line=line, fix=fix, source=source)
