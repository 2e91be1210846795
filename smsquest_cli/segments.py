"""How a text travels as SMS: in GSM-7 or UCS-2, and in how many segments.

One character outside GSM-7 switches the whole message to UCS-2, which more than halves what fits
into a segment. A character that takes two units (``€`` in GSM-7, an emoji in UCS-2) is never
divided between segments.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final
from unicodedata import category

GSM_7: Final = "GSM-7"
UCS_2: Final = "UCS-2"

# What one segment holds when it is the only one, and when a header joins it to others.
SEPTETS: Final = 160
SEPTETS_OF_PART: Final = 153
CODE_UNITS: Final = 70
CODE_UNITS_OF_PART: Final = 67

SHOWN: Final = 3  # characters that are named in a line
_PARTS_OF_OTHERS: Final = frozenset({"Mn", "Me", "Cf", "Sk"})  # joiners, selectors, skin tones

_SPECIAL: Final = re.escape("@£$¥èéùìòÇØøÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ!\"#¤%&'()*+,-./:;<=>?¡ÄÖÑÜ§¿äöñüà")
_EXTENSION: Final = re.escape("^{}\\[~]|€") + "\f"  # each is an escape and a septet
_BASIC: Final = rf"A-Za-z0-9 \n\r{_SPECIAL}"

_BEYOND_BASIC: Final = re.compile(f"[^{_BASIC}]")
_EXTENDED: Final = re.compile(f"[{_EXTENSION}]")
_BEYOND_GSM: Final = re.compile(f"[^{_BASIC}{_EXTENSION}]")
_ASTRAL: Final = re.compile("[\U00010000-\U0010ffff]")

_PAIR: Final = "\x1b"  # the first unit of a character that takes two


@dataclass(frozen=True, slots=True)
class Segmentation:
    """How ``text`` is sent: its encoding, segments, and units (septets or UTF-16 code units)."""

    text: str
    encoding: str
    segments: int
    units: int

    @property
    def offenders(self) -> tuple[tuple[int, str], ...]:
        """The characters that force UCS-2, each after its position, the first being 1."""
        return tuple((m.start() + 1, m.group()) for m in _BEYOND_GSM.finditer(self.text))

    @property
    def gsm_segments(self) -> int:
        """The segments it would be if a GSM-7 character stood in the place of each offender."""
        return self.segments if self.encoding == GSM_7 else _gsm(_BEYOND_GSM.sub(".", self.text))[0]


def cost(parts: Segmentation) -> dict[str, str]:
    """The values of D9: the characters that force UCS-2, each once, and what they cost."""
    seen: dict[str, int] = {}
    parts_of_others: dict[str, int] = {}
    for position, character in parts.offenders:
        rest = category(character) in _PARTS_OF_OTHERS
        (parts_of_others if rest else seen).setdefault(character, position)
    named = (seen or parts_of_others).items()
    shown = [f"{_named(character)} at {position}" for character, position in named]
    more = f" and {len(shown) - SHOWN} more" if len(shown) > SHOWN else ""
    return {
        "segments": str(parts.segments),
        "encoding": parts.encoding,
        "offenders": ", ".join(shown[:SHOWN]) + more,
        "gsm_segments": str(parts.gsm_segments),
    }


def _named(character: str) -> str:
    """*character*, or its code if it shows nothing by itself."""
    visible = category(character)[0] in "LNPS" and category(character) != "Sk"
    return f'"{character}"' if visible else f"U+{ord(character):04X}"


def segment(text: str) -> Segmentation:
    """How Twilio sends *text*; an empty text is one segment."""
    if _BEYOND_BASIC.search(text) is None:
        units = len(text)
        segments = 1 if units <= SEPTETS else -(-units // SEPTETS_OF_PART)
        return Segmentation(text, GSM_7, segments, units)
    if _BEYOND_GSM.search(text) is None:
        return Segmentation(text, GSM_7, *_gsm(text))
    code_units = _ASTRAL.sub(_PAIR + ".", text.replace(_PAIR, "."))
    segments = _parts(code_units, CODE_UNITS, CODE_UNITS_OF_PART)
    return Segmentation(text, UCS_2, segments, len(code_units))


def _gsm(text: str) -> tuple[int, int]:
    """Segments and septets of a *text* within GSM-7."""
    septets = _EXTENDED.sub(_PAIR + ".", text)
    return _parts(septets, SEPTETS, SEPTETS_OF_PART), len(septets)


def _parts(units: str, single: int, part: int) -> int:
    """How many segments *units* fill, none ending on the first half of a pair."""
    if len(units) <= single:
        return 1
    count = end = 0
    while end < len(units):
        end += part
        if units[end - 1 : end] == _PAIR:
            end -= 1
        count += 1
    return count
