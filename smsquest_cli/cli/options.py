"""Options that recur."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

TableLinesJson = Annotated[
    Literal["table", "lines", "json"] | None,
    typer.Option(
        "--output", "-o", help="How to show it; default: table on a terminal, else lines."
    ),
]
LinesJson = Annotated[
    Literal["lines", "json"], typer.Option("--output", "-o", help="How to show it.")
]
TableJson = Annotated[
    Literal["table", "json"], typer.Option("--output", "-o", help="How to show it.")
]
TextJson = Annotated[
    Literal["text", "json"], typer.Option("--output", "-o", help="How to show it.")
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Ask no questions.")]
ViaService = Annotated[
    bool,
    typer.Option(
        "--via-service",
        help="The number is in a Messaging Service that answers for it: point the service, "
        "and put it back.",
    ),
]
