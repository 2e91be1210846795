"""Forms and queries: every field, in its order, whoever sent it."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smsquest_cli.forms import form_pairs, is_form


@given(st.lists(st.tuples(st.text(max_size=5), st.text(max_size=9)), max_size=6))
def test_the_pairs_of_a_form_are_those_that_were_encoded(pairs):
    """In their order, repeated names and empty values included."""
    pairs = [(name, value) for name, value in pairs if name or value]

    assert form_pairs(urlencode(pairs, errors="replace").encode()) == [
        (name.encode("utf-8", "replace").decode(), value.encode("utf-8", "replace").decode())
        for name, value in pairs
    ]


@given(st.text("ab=&+%2BC3A9é;\0\n", max_size=20))
def test_any_text_is_read_as_the_standard_library_reads_it(text):
    """Broken escapes and all, whether it comes as bytes or as a query."""
    expected = parse_qsl(text, keep_blank_values=True)

    assert form_pairs(text) == form_pairs(text.encode()) == expected


@given(st.binary(max_size=20))
def test_bytes_that_are_no_utf8_do_not_raise(body):
    """They are a stranger's; what cannot be read is replaced."""
    assert isinstance(form_pairs(body), list)


@pytest.mark.parametrize(
    ("content_type", "form"),
    [
        ("application/x-www-form-urlencoded", True),
        ("Application/X-WWW-Form-Urlencoded ; charset=UTF-8", True),
        ("application/json", False),
        ("multipart/form-data; boundary=x", False),
        ("", False),
        (None, False),
    ],
)
def test_a_form_is_known_by_its_content_type(content_type, form):
    """In any case and with any parameters."""
    assert is_form(content_type) == form
