"""Phone numbers, however people type them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smsquest_cli.phone_numbers import normalised


@pytest.mark.parametrize(
    ("typed", "number"),
    [
        ("202 555 0199", "+12025550199"),
        ("(202) 555-0199", "+12025550199"),
        ("+44 20\u00a07183 8750", "+442071838750"),
        ("0044 20 7183 8750", "+442071838750"),
        ("72975", "72975"),
        (" MyShop ", "MyShop"),
        ("whatsapp:+12025550199", "whatsapp:+12025550199"),
    ],
)
def test_a_number_may_be_typed_as_people_write_it(typed, number):
    """It is E.164 then; what is no number, or a short one, stays as it is."""
    assert normalised(typed) == number


@given(st.text())
def test_anything_typed_can_be_normalised(text):
    """Doing it twice changes nothing more, unless zeros are its beginning again."""
    once = normalised(text)

    assert once.startswith("+00") or normalised(once) == once
