"""``smsquest explain``: what a code means, offline."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from smsquest_cli.cli.invocation import Invocation
from smsquest_cli.cli.options import TextJson


def explain(
    ctx: typer.Context,
    code: Annotated[
        str,
        typer.Argument(
            metavar="CODE",
            help="A Twilio error (30007), an ngrok error (ERR_NGROK_334), ours (N4), or a status "
            "(undelivered).",
        ),
    ],
    output: TextJson = "text",
) -> None:
    """Say what an error code or a status means; works offline."""
    from dataclasses import asdict

    from smsquest_cli import console, explanations
    from smsquest_cli.problems import UsageError

    invocation: Invocation = ctx.obj
    invocation.output = output
    invocation.check_profile()
    explanation = explanations.explain(code)
    if explanation is None:
        meant = ", ".join(explanations.candidates(code))
        raise UsageError(
            "U7",
            code=code or '""',
            meant=f" (did you mean {meant}?)" if meant else "",
            url=explanations.page_of(code),
        )
    if output == "json":
        console.print_json(asdict(explanation))
    else:
        width = console.width() if console.is_terminal(sys.stdout) else None
        console.print_text(explanation.text(width))
