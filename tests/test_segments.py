"""Encoding and segments agree with Twilio's own calculator."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smsquest_cli.segments import segment

VECTORS = json.loads((Path(__file__).parent / "vectors" / "segments.json").read_text("utf-8"))
BASIC = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡"
    "ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
EXTENSION = "\f^{}\\[~]|€"
GSM = st.text(st.sampled_from(BASIC + EXTENSION), max_size=700)


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["id"])
def test_twilios_calculator_gives_the_same(vector):
    """The encoding and the number of segments of each published vector."""
    found = segment(vector["text"])

    assert (found.encoding, found.segments) == (vector["encoding"], vector["segments"])


@pytest.mark.parametrize(
    "vector",
    [vector for vector in VECTORS if vector["smart_encoding"] == "GSM-7"],
    ids=lambda vector: vector["id"],
)
def test_what_replacing_the_offenders_would_save_is_what_smart_encoding_saves(vector):
    """`gsm_segments` is what Twilio's smart encoding comes to."""
    assert segment(vector["text"]).gsm_segments == vector["smart_segments"]


@pytest.mark.parametrize("character", BASIC)
def test_a_character_of_the_alphabet_takes_one_septet(character):
    """Every member of the GSM-7 alphabet, blank and line ends among them."""
    assert (segment(character).encoding, segment(character).units) == ("GSM-7", 1)


@pytest.mark.parametrize("character", EXTENSION)
def test_a_character_of_the_extension_takes_two_septets(character):
    """The escape in front of it counts."""
    assert (segment(character).encoding, segment(character).units) == ("GSM-7", 2)


@given(st.characters(exclude_characters=BASIC + EXTENSION), GSM)
def test_any_other_character_switches_the_whole_message(character, text):
    """And is named with its position, counted from 1."""
    found = segment(text + character)

    assert found.encoding == "UCS-2"
    assert found.offenders == ((len(text) + 1, character),)


@given(GSM)
def test_a_gsm_text_is_divided_greedily(text):
    """Septet by septet, 153 to a part when 160 do not hold it, an escape with its character."""
    parts, room = 1, 153
    for character in text:
        width = 2 if character in EXTENSION else 1
        if width > room:
            parts, room = parts + 1, 153
        room -= width
    septets = sum(2 if character in EXTENSION else 1 for character in text)

    found = segment(text)

    assert (found.units, found.segments) == (septets, 1 if septets <= 160 else parts)
    assert (found.offenders, found.gsm_segments) == ((), found.segments)


@given(st.text(max_size=400))
def test_units_are_septets_or_utf_16_code_units(text):
    """Whatever the text is, its units are counted as its encoding does."""
    found = segment(text)

    if found.encoding == "UCS-2":
        assert found.units == len(text.encode("utf-16-le", "surrogatepass")) // 2
    assert found.segments >= found.gsm_segments >= 1


def test_an_emoji_is_not_divided_between_segments():
    """67 code units hold 33 emoji; the unit left over stays empty."""
    assert segment("😀" * 66).segments == 2
    assert segment("😀" * 67).segments == 3


def test_an_escape_character_in_the_text_is_no_half_of_anything():
    """ESC itself is outside GSM-7 and takes one unit, wherever it stands."""
    assert segment("\x1b" * 70).segments == 1
    assert segment("\x1b" * 134).segments == 2


def test_the_apostrophe_of_a_word_processor_is_named():
    """The one line that explains a bill: which character, where, and what it would be without."""
    quote = "\N{RIGHT SINGLE QUOTATION MARK}"

    found = segment("x" * 17 + quote + "y" * 120)

    assert (found.segments, found.offenders, found.gsm_segments) == (3, ((18, quote),), 1)
