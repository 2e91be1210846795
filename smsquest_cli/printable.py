"""Text as a screen may show it: nothing in it that a terminal obeys, reorders or hides."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

MARKS: Final[Mapping[int, str]] = {
    **{code: chr(0x2400 + code) for code in range(0x20)},  # ␀ … ␟, the pictures of C0
    0x7F: "\N{SYMBOL FOR DELETE}",
    **{code: f"⟨{code:02X}⟩" for code in range(0x80, 0xA0)},
    0x061C: "⟨ALM⟩",
    0x200E: "⟨LRM⟩",
    0x200F: "⟨RLM⟩",
    0x2028: "⟨LS⟩",
    0x2029: "⟨PS⟩",
    **dict(zip(range(0x202A, 0x202F), ("⟨LRE⟩", "⟨RLE⟩", "⟨PDF⟩", "⟨LRO⟩", "⟨RLO⟩"), strict=True)),
    **dict(zip(range(0x2066, 0x206A), ("⟨LRI⟩", "⟨RLI⟩", "⟨FSI⟩", "⟨PDI⟩"), strict=True)),
}
# Most text is made of these; only the rest is looked at character by character.
_PLAIN: Final = re.compile(r"[\x20-\x7e\u00a1-\u00ac\u00ae-\u02ff\u0370-\u05ff]*", re.ASCII)
# Parts of emoji; the tags of a flag are looked at as a whole.
_EMOJI_PARTS: Final = frozenset({0x200D, 0xFE0E, 0xFE0F})
_FLAG: Final = "\U0001f3f4[\U000e0030-\U000e0039\U000e0061-\U000e007a]{3,6}\U000e007f"
_FLAG_OR_CHARACTER: Final = re.compile(f"{_FLAG}|.", re.DOTALL)
# Letters and marks that show nothing, and the plane of tags: text can be hidden in them.
_INVISIBLE: Final = frozenset(
    {
        *(0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x3164, 0xFFA0),
        *range(0x180B, 0x1810),
        *range(0xFE00, 0xFE0E),
        *range(0xE0000, 0xE1000),
    }
)


def printable(text: str) -> str:
    """*text* with everything made visible that a terminal would obey, reorder or hide.

    Control codes, bidi controls, line separators, lone surrogates and invisible characters become
    marks (␛, ⟨RLO⟩, …); the result is one line.
    """
    if _PLAIN.fullmatch(text):
        return text
    return _FLAG_OR_CHARACTER.sub(_mark, text)


def _mark(found: re.Match[str]) -> str:
    character = found[0]
    if len(character) > 1:
        return character
    code = ord(character)
    if mark := MARKS.get(code):
        return mark
    if code in _INVISIBLE or (
        unicodedata.category(character) in ("Cs", "Cf") and code not in _EMOJI_PARTS
    ):
        return f"⟨U+{code:04X}⟩"
    return character


def short_sid(sid: str) -> str:
    """``SM3f…9c``: enough of a SID to tell it from the others on a screen."""
    return sid if len(sid) <= 8 else f"{sid[:4]}…{sid[-2:]}"  # noqa: PLR2004
