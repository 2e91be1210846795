"""Text is measured, cut and put in columns by the cells of a terminal."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from smsquest_cli.views.cells import Columns, cells, cut, fit

FAMILY = "\N{WOMAN}\u200d\N{WOMAN}\u200d\N{GIRL}"
TEXT = st.text(st.one_of(st.characters(), st.sampled_from([*FAMILY, *"🏽🇩🇪❤\ufe0f日e\u0301"])))


def drawn(line, *, terminal=True, width=80):
    """What is written to show *line*."""
    out = io.StringIO()
    console = Console(
        file=out, force_terminal=terminal, width=width, color_system=None, legacy_windows=False
    )
    console.print(line)
    return out.getvalue()


@pytest.mark.parametrize(
    ("text", "width"),
    [
        ("hello", 5),
        ("日本", 4),
        ("e\u0301", 1),
        (FAMILY, 6),
        ("👍🏽", 4),
        ("🇩🇪", 4),
        ("❤\ufe0f", 2),
    ],
)
def test_text_counts_as_its_widest_form(text, width):
    """A terminal that joins fewer characters than another draws more cells."""
    assert cells(text) == width
    assert cell_len(text) <= width


@given(TEXT, st.integers(0, 30))
def test_text_is_cut_to_what_fits(text, width):
    """Nothing is cut that need not be; what is cut ends in an ellipsis and joins nothing to it."""
    shown = cut(text, width)

    assert cells(shown) <= width
    assert (shown == text) == (cells(text) <= width and (width > 0 or not text))
    if shown != text and width:
        assert shown[-1] == "…"
        assert shown[-2:-1] != "\u200d"
        assert text.startswith(shown[:-1])
        assert cells(shown) >= width - 2


@given(TEXT, st.integers(0, 30))
def test_fitted_text_takes_exactly_its_column(text, width):
    """Blanks fill it up."""
    assert cells(fit(text, width)) == width


def test_columns_begin_in_their_places():
    """With blanks, and with a jump after text of which a terminal may make something else."""
    line = Columns([(1, "one   ", ""), (9, "日本", "bold"), (15, "3  ", "")])

    assert line.plain == " one     日本  3"
    assert drawn(line) == " one     日本  \x1b[16G3\n"
    assert drawn(line, terminal=False) == " one     日本  3\n"


def test_a_column_without_text_is_passed_over():
    """Nothing is written for it, and no blanks at the end."""
    assert drawn(Columns([(0, "a", ""), (3, "   ", ""), (6, "b", ""), (9, " ", "")])) == "a     b\n"


def test_columns_end_where_the_window_ends():
    """What begins beyond is left out."""
    line = Columns([(0, "one", ""), (5, "two three", ""), (20, "four", "")]).within(10)

    assert drawn(line) == "one  two …\n"
