"""Which number is meant: by its SID, by its digits however they are typed, or the only one."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, Final

from smsquest_cli.credentials import masked
from smsquest_cli.phone_numbers import normalised, without_separators
from smsquest_cli.problems import NumberError
from smsquest_cli.webhook_urls import owner_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from smsquest_cli.twilio_api import PhoneNumber, TwilioGateway

    Pick = Callable[[Sequence[PhoneNumber]], PhoneNumber | None]

MOST_LISTED: Final = 8
NATIONAL: Final = 7  # this many last digits are enough to find a number in an account


def choose_number(
    gateway: TwilioGateway,
    wanted: str | None,
    *,
    pick: Pick | None = None,
    option: str = "--number",
) -> PhoneNumber:
    """The number of the account that *wanted* names, or the only one that can do SMS.

    If there are several and none is named, *pick* chooses among them, the free ones first. Raises
    `NumberError`: N1 several, to be chosen by *option*, N2 not on the account, N3 none at all, N11
    no SMS.
    """
    numbers = gateway.numbers()
    account = masked(gateway.login.account_sid)
    if wanted:
        number = _named(wanted, numbers, account)
        if not number.sms:
            raise NumberError("N11", number=number.phone_number)
        return number
    usable = by_usefulness([number for number in numbers if number.sms])
    if not usable:
        raise NumberError("N3", account=account)
    if len(usable) == 1:
        return usable[0]
    picked = pick(usable) if pick else None
    if picked is None:
        listed = ", ".join(map(titled, usable[:MOST_LISTED]))
        more = ", …" if len(usable) > MOST_LISTED else ""
        values = {"count": len(usable), "account": account, "candidates": listed + more}
        raise NumberError("N1", option=option, **values)
    return picked


def by_usefulness(numbers: Sequence[PhoneNumber]) -> list[PhoneNumber]:
    """*numbers*, with those that nobody else uses first."""
    return sorted(
        numbers,
        key=lambda number: (
            bool(number.sms_application_sid) or not owner_of(number.sms_url).is_free,
            number.phone_number,
        ),
    )


def titled(number: PhoneNumber) -> str:
    """A number with the name that somebody gave it: ``+12025550101 (shop)``."""
    return f"{number.phone_number} ({number.name})" if number.name else number.phone_number


def _named(wanted: str, numbers: Sequence[PhoneNumber], account: str) -> PhoneNumber:
    if not numbers:
        raise NumberError("N3", account=account)
    typed = wanted.strip()
    number = normalised(typed)
    for candidate in numbers:
        if candidate.sid == typed or candidate.phone_number == number:
            return candidate
    digits = without_separators(typed)
    plain = [one for one in numbers if one.phone_number in (f"+{digits}", digits)]
    national = [one for one in numbers if one.phone_number.endswith(digits.lstrip("0"))]
    if digits.isdecimal() and len(digits.lstrip("0")) >= NATIONAL:
        for found in (plain, national):
            if len(found) == 1:
                return found[0]
    usable = [one for one in numbers if one.sms] or numbers
    by_number = {one.phone_number: one for one in usable}
    closest = get_close_matches(number, by_number, n=1, cutoff=0.0)
    shown = typed if typed.startswith("PN") else number
    raise NumberError("N2", number=shown, account=account, closest=titled(by_number[closest[0]]))
