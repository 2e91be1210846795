"""Asking which number is meant, if there is a terminal to ask on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from smsquest_cli import console
from smsquest_cli.webhook_urls import described, owner_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from smsquest_cli.diagnosis.choice import Pick
    from smsquest_cli.twilio_api import PhoneNumber


def menu() -> Pick | None:
    """The function that lets the user pick one of several numbers; None if nobody can be asked."""
    return _pick if console.can_ask() else None


def _pick(numbers: Sequence[PhoneNumber]) -> PhoneNumber | None:
    """The number that the user picks, if any."""
    width = max(len(number.name) for number in numbers)
    choices = [
        f"{number.phone_number}  {number.name:<{width}}  {_fate(number)}" for number in numbers
    ]
    index = console.choose("Which number?", choices)
    return None if index is None else numbers[index]


def _fate(number: PhoneNumber) -> str:
    """Whether somebody uses *number*, judged by its own settings alone."""
    if number.sms_application_sid:
        return "in use: a TwiML app"
    owner = owner_of(number.sms_url)
    return f"free ({owner.words})" if owner.is_free else f"in use: {described(number.sms_url)}"
