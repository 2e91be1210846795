"""Asking which number is meant, where there is a terminal to ask on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from smsquest_cli import console
from smsquest_cli.diagnosis.choice import titled
from smsquest_cli.problems import NumberError
from smsquest_cli.webhook_urls import described

if TYPE_CHECKING:
    from collections.abc import Sequence

    from smsquest_cli.diagnosis.choice import Pick
    from smsquest_cli.twilio_api import PhoneNumber


def menu() -> Pick | None:
    """What asks the user for one of several numbers; None where nobody can be asked."""
    return _pick if console.can_ask() else None


def _pick(numbers: Sequence[PhoneNumber]) -> PhoneNumber:
    """The number that the user picks; raises `NumberError` (N1) where that is none."""
    choices = [f"{titled(number)}   {described(number.sms_url)}" for number in numbers]
    index = console.choose("Which number?", choices)
    if index is None:
        candidates = ", ".join(map(titled, numbers))
        raise NumberError("N1", count=len(numbers), account="this account", candidates=candidates)
    return numbers[index]
