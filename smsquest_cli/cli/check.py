"""``smsquest check``."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from smsquest_cli.cli.invocation import Invocation
from smsquest_cli.problems import ExpectationError


def check(
    ctx: typer.Context,
    url: Annotated[str, typer.Argument(help="The address of the webhook handler.")],
    output: Annotated[
        Literal["table", "lines", "json", "junit"] | None,
        typer.Option(
            "--output", "-o", help="How to show it; default: table on a terminal, else lines."
        ),
    ] = None,
) -> None:
    """Test a webhook handler against Twilio's contract.

    It gets signed requests, which it should answer with TwiML, and forged ones, which it should
    refuse with 403. They are signed with TWILIO_AUTH_TOKEN (else the sandbox token). Exit 8 if a
    check does not hold.
    """
    from smsquest_cli import console, forwarding, signing
    from smsquest_cli.check import CHECKS, failed
    from smsquest_cli.check import check as checked
    from smsquest_cli.views.check import show_results

    invocation: Invocation = ctx.obj
    invocation.output = output
    url = forwarding.app_address(url, "URL", login=True)
    shown = signing.signable_url(url)
    settings = invocation.settings()
    named = "TWILIO_AUTH_TOKEN" if settings.auth_token else "the sandbox token (32 zeros)"
    console.say(f"signing with {named}")
    results = show_results(
        shown,
        checked(url, token=settings.signing_token, account_sid=settings.account_sid),
        console.stream_output(output),
        titles=[one.title for one in CHECKS],
    )
    if bad := failed(results):
        invocation.output = None  # the document has it all: no record after it
        names = ", ".join(result.id for result in bad)
        if skipped := sum(result.state == "skipped" for result in results):
            names += f" ({skipped} could not be tried)"
        raise ExpectationError("E4", failed=len(bad), count=len(results), url=shown, names=names)
