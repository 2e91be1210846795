"""Text in the cells of a terminal, of which an ideograph takes two.

Terminals do not agree on characters that belong together: a family of three is drawn two cells
wide, or six. So text is measured as its widest form, and a column that follows such text is begun
with a jump to its place; whichever way a terminal draws it, no line becomes too long.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from rich.cells import get_character_cell_size
from rich.control import Control
from rich.segment import Segment

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import Console, ConsoleOptions

ELLIPSIS: Final = "…"
_JOINER: Final = "\N{ZERO WIDTH JOINER}"
_AS_EMOJI: Final = "\N{VARIATION SELECTOR-16}"  # makes the character before it wide
_DRAWN_ALONE: Final = frozenset({*range(0x1F1E6, 0x1F200), *range(0x1F3FB, 0x1F400)})


@lru_cache(4096)
def _most(character: str) -> int:
    """The cells that *character* takes if it is drawn by itself."""
    if ord(character) in _DRAWN_ALONE:  # the halves of flags, and skin tones
        return 2
    return get_character_cell_size(character) + (character == _AS_EMOJI)


def cells(text: str) -> int:
    """How many cells *text* takes at most."""
    return len(text) if text.isascii() and text.isprintable() else sum(map(_most, text))


def cut(text: str, width: int) -> str:
    """*text*, or as much of it as leaves room for an ellipsis in *width* cells."""
    if width <= 0:
        return ""
    taken = end = 0
    for index, character in enumerate(text):
        taken += _most(character)
        if taken <= width - 1:
            end = index + 1
        if taken > width:
            return text[:end].rstrip(_JOINER) + ELLIPSIS
    return text


def fit(text: str, width: int) -> str:
    """*text* in exactly *width* cells, or fewer if a terminal joins characters."""
    fitted = cut(text, width)
    return fitted + " " * (width - cells(fitted))


@dataclass(frozen=True, slots=True)
class Columns:
    """One line of cells, each of which begins in its column (column, text, style)."""

    cells: Sequence[tuple[int, str, str]]

    @property
    def plain(self) -> str:
        """The line as text."""
        line = ""
        for column, text, _ in self.cells:
            line += " " * (column - cells(line)) + text
        return line.rstrip()

    def within(self, width: int) -> Columns:
        """The same line, cut off after *width* cells."""
        return Columns(
            [(at, cut(text.rstrip(), width - at), style) for at, text, style in self.cells]
        )

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Segment]:
        """The line, with a jump wherever the way to a column is not certain."""
        at, certain = 0, True
        for column, padded, style in self.cells:
            text = padded.rstrip()
            if not text:
                continue
            if column > at:
                yield Segment(" " * (column - at))
            if not certain:
                yield Control.move_to_column(column).segment
            yield Segment(text, console.get_style(style) if style else None)
            at = column + cells(text)
            certain = certain and text.isascii()
        yield Segment.line()
