"""Phone numbers as people write them, and as Twilio takes them."""

from __future__ import annotations

import re
from typing import Final

_NORTH_AMERICAN: Final = 10  # digits
_SHORTEST: Final = 7  # with fewer digits it is a short code
_SEPARATORS: Final = re.compile(r"[\s().\-/\u00a0\u2010-\u2015]")
_NUMBER: Final = re.compile(r"\+?[0-9]+")  # not "MyShop", "MG…", "whatsapp:…"


def normalised(typed: str) -> str:
    """*typed* as Twilio takes it: a number as E.164 (``00`` is ``+``, ten digits are +1).

    Anything else stays as it is, and so does a short code.
    """
    digits = without_separators(typed)
    if not _NUMBER.fullmatch(digits) or len(digits) < _SHORTEST:
        return typed.strip()
    if digits.startswith("00"):
        return f"+{digits[2:]}"
    if digits.startswith("+"):
        return digits
    return f"+1{digits}" if len(digits) == _NORTH_AMERICAN else f"+{digits}"


def without_separators(text: str) -> str:
    """*text* without what people put between the digits of a phone number."""
    return _SEPARATORS.sub("", text)
