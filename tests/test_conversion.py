"""Typer converts only where there is something to convert, and nothing is lost by it."""

from __future__ import annotations

from typing import Annotated, Literal

import typer
from hypothesis import given
from hypothesis import strategies as st

from smsquest_cli.cli.conversion import convert_late


def command(heard):
    """A command with a parameter of each kind; what it is called with goes to *heard*."""
    alone = typer.Typer(add_completion=False, rich_markup_mode=None)

    @alone.command()
    def one(
        text: Annotated[str, typer.Argument()],
        many: Annotated[list[str] | None, typer.Option("--many")] = None,
        kind: Annotated[Literal["a", "b"], typer.Option("--kind")] = "a",
        port: Annotated[int | None, typer.Option("--port", min=0, max=65535)] = None,
        count: Annotated[int, typer.Option("--count", min=1)] = 1,
        rate: Annotated[float | None, typer.Option("--rate", min=0.001)] = None,
        yes: Annotated[bool, typer.Option("--yes")] = False,  # noqa: FBT002
    ) -> None:
        heard.append((text, many, kind, port, count, rate, yes))

    return typer.main.get_command(alone)


def outcome(arguments, late):
    """What a call with *arguments* hears, or the words of its refusal."""
    heard = []
    made = command(heard)
    if late:
        convert_late(made.params)
    try:
        made.main(list(arguments), prog_name="one", standalone_mode=False)
    except typer.BadParameter.__base__ as err:
        return err.format_message()
    return heard


NUMBERS = st.one_of(
    st.integers(-2, 70000).map(str), st.sampled_from(["", "x", "1.5", " 7", "8_0", "٣", "9" * 40])
)
OPTIONS = st.one_of(
    st.tuples(st.just("--many"), st.text(st.characters(exclude_categories=["Cs"]), max_size=8)),
    st.tuples(st.just("--kind"), st.sampled_from(["a", "b", "A", "c", ""])),
    st.tuples(st.sampled_from(["--port", "--count", "--rate"]), NUMBERS),
    st.just(("--yes",)),
)


@given(st.lists(OPTIONS, max_size=5), st.sampled_from(["hi", "", "👍", "7"]))
def test_it_hears_what_typer_would_have_heard(options, text):
    """The same values of the same types, and the same words for what cannot be read."""
    arguments = [*(word for option in options for word in option), "--", text]

    assert repr(outcome(arguments, late=True)) == repr(outcome(arguments, late=False))
