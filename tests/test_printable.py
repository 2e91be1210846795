"""Text from outside, made harmless: visible is what a terminal would obey, the rest as it is."""

from __future__ import annotations

import re
import unicodedata

import pyte
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from smsquest_cli.printable import printable, short_sid

OBEYED = {"Cc", "Cs", "Zl", "Zp"}
EMOJI_PARTS = {"\u200d", "\ufe0e", "\ufe0f"}
# Unicode's Default_Ignorable_Code_Point, without format characters and parts of emoji.
IGNORABLE = {
    *map(chr, (0x34F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x3164, 0xFFA0)),
    *map(chr, (*range(0x180B, 0x1810), *range(0xFE00, 0xFE0E), *range(0xE0000, 0xE1000))),
}
SCOTLAND = "\U0001f3f4\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f"


@given(st.text(st.characters() | st.sampled_from([*IGNORABLE, *SCOTLAND]), max_size=200))
@example("\x1b]0;pwned\a\x1b[2J\u202eabc")
@example("a\u00adb\u200bc\u2066d\ud800")
@example("safe\U000e0068\U000e0069")
def test_nothing_that_a_terminal_obeys_is_left(text):
    """No control, bidi or invisible character, no line end; what is harmless stays as it is."""
    shown = printable(text)

    assert not {unicodedata.category(one) for one in shown} & OBEYED
    without_flags = re.sub("\U0001f3f4[\U000e0030-\U000e007a]+\U000e007f", "", shown)
    assert {one for one in without_flags if unicodedata.category(one) == "Cf"} <= EMOJI_PARTS
    assert not IGNORABLE & {*without_flags}
    assert printable(shown) == shown
    assert len(shown.splitlines()) <= 1
    shown.encode("utf-8")


@given(
    st.text(
        st.characters(categories=["L", "M", "N", "P", "S", "Zs"], exclude_characters=IGNORABLE),
        max_size=200,
    )
)
def test_ordinary_text_is_shown_as_it_is(text):
    """In every script."""
    assert printable(text) == text


@given(st.text(st.characters(), max_size=60))
def test_a_terminal_only_prints_it(text):
    """The cursor stays on its line, and the title as it was."""
    screen = pyte.Screen(2000, 5)

    pyte.Stream(screen).feed(printable(text))

    assert screen.cursor.y == 0
    assert screen.title == ""


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("[/red] \x1b]0;pwned\a\x1b[2J\u202eabc", "[/red] ␛]0;pwned␇␛[2J⟨RLO⟩abc"),
        ("one\r\ntwo", "one␍␊two"),
        ("\x7f\x9b", "\N{SYMBOL FOR DELETE}⟨9B⟩"),
        ("zero\u200bwidth", "zero⟨U+200B⟩width"),
        ("half \ud83d", "half ⟨U+D83D⟩"),
        ("👩\u200d👧 ok", "👩\u200d👧 ok"),
        (SCOTLAND, SCOTLAND),
        ("hi\U000e0068\U000e007f", "hi⟨U+E0068⟩⟨U+E007F⟩"),
        ("\u3164\u034fx\U000e0101", "⟨U+3164⟩⟨U+034F⟩x⟨U+E0101⟩"),
    ],
)
def test_what_is_obeyed_becomes_a_mark(text, shown):
    """E14: so that one can see what somebody tried; emoji stay whole."""
    assert printable(text) == shown


def test_sids_are_cut_to_what_tells_them_apart():
    """``SM3f…9c``; what is short stays."""
    assert short_sid("SM3f" + "0" * 28 + "9c") == "SM3f…9c"
    assert short_sid("dropped") == "dropped"
