"""``smsquest doctor``: read-only checks of everything between a phone and this computer."""

from __future__ import annotations

from typing import Annotated

import typer

from smsquest_cli.cli.invocation import Invocation, working_folder
from smsquest_cli.cli.options import TableJson


def doctor(
    ctx: typer.Context,
    number: Annotated[
        str | None,
        typer.Option(
            "--number",
            metavar="NUMBER",
            envvar="TWILIO_PHONE_NUMBER",
            help="The number, E.164 or its PN sid.",
        ),
    ] = None,
    output: TableJson = "table",
) -> None:
    """Check everything between a phone and your handler.

    Nothing is changed. Exit 0 where all is well, 1 where something is not; checks that cannot be
    made are skipped.
    """
    from datetime import UTC, datetime

    from smsquest_cli.console import Output
    from smsquest_cli.doctor import check_up
    from smsquest_cli.views.doctor import show_checks

    invocation: Invocation = ctx.obj
    invocation.output = output
    checks = check_up(
        invocation.settings(number=number),
        environment=invocation.environment,
        cwd=working_folder(),
        now=lambda: datetime.now(UTC),
    )
    if show_checks(checks, Output(output)):
        raise typer.Exit(1)
