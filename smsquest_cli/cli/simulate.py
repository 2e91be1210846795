"""``smsquest simulate``."""

from __future__ import annotations

import time
from typing import Annotated, Literal

import typer

from smsquest_cli.cli.invocation import Invocation
from smsquest_cli.cli.options import LinesJson
from smsquest_cli.cli.parsing import parse_addresses, parse_pairs, parse_pattern, read_text
from smsquest_cli.cli.target import the_run
from smsquest_cli.phone_numbers import normalised


def simulate(
    ctx: typer.Context,
    body: Annotated[
        str, typer.Argument(help="The text; - reads it from standard input.")
    ] = "Hello from smsquest",
    from_: Annotated[
        str | None, typer.Option("--from", metavar="NUMBER", help="Who texts.")
    ] = None,
    to: Annotated[
        str | None, typer.Option("--to", metavar="NUMBER", help="The number that is texted.")
    ] = None,
    media: Annotated[
        list[str] | None,
        typer.Option("--media", metavar="URL", help="Address of an attachment; repeatable."),
    ] = None,
    param: Annotated[
        list[str] | None,
        typer.Option(
            "--param",
            metavar="KEY=VALUE",
            help="Key=Value: any field of Twilio's request; repeatable.",
        ),
    ] = None,
    method: Annotated[
        Literal["GET", "POST"] | None,
        typer.Option(
            "--method",
            metavar="GET|POST",
            case_sensitive=False,
            help="How the webhook is called; default: as the number says.",
        ),
    ] = None,
    url: Annotated[
        str | None,
        typer.Option("--url", metavar="URL", help="Any app; default: the running serve."),
    ] = None,
    count: Annotated[
        int, typer.Option("--count", metavar="N", min=1, help="How many messages.")
    ] = 1,
    rate: Annotated[
        float | None,
        typer.Option(
            "--rate", metavar="N", min=0.001, max=1_000_000, help="Messages per second, at most."
        ),
    ] = None,
    scenario: Annotated[
        str,
        typer.Option(
            "--scenario",
            metavar="SCENARIO",
            help="What becomes of the reply: delivered, undelivered[:CODE], failed[:CODE], sent, "
            "out-of-order, duplicate or lost.",
        ),
    ] = "delivered",
    pace: Annotated[
        Literal["instant", "real"], typer.Option("--pace", help="How fast the reply travels.")
    ] = "real",
    unsigned: Annotated[
        bool, typer.Option("--unsigned", help="Leave the signature out, as a stranger would.")
    ] = False,
    show_request: Annotated[
        bool, typer.Option("--show-request", help="Show the request and the answer.")
    ] = False,
    expect: Annotated[
        str | None,
        typer.Option(
            "--expect", metavar="REGEX", help="Exit 8 unless the reply matches this regex."
        ),
    ] = None,
    output: LinesJson = "lines",
) -> None:
    """Play a phone: deliver a signed inbound SMS to a serve, or to any URL.

    Without --url the message goes to the running serve. Against any other URL this command plays
    Twilio itself: it signs with TWILIO_AUTH_TOKEN (else the sandbox token), reads the TwiML, and
    sends the status callbacks that the TwiML asks for.
    """
    from smsquest_cli import console, simulation
    from smsquest_cli.patience import unless_quick
    from smsquest_cli.sandbox import PHONE, Scenario
    from smsquest_cli.views.exchanges import ExchangeLines, ExchangeRecords

    invocation: Invocation = ctx.obj
    invocation.output = output
    Scenario.parse(scenario)
    settings = invocation.settings()
    text = simulation.Text(
        body=read_text(body),
        from_=normalised(from_) if from_ else PHONE,
        to=normalised(to) if to else None,
        media=parse_addresses(media or (), "--media"),
        parameters=parse_pairs(param or (), "--param"),
        method=method,
        scenario=scenario,
        pace=pace,
        unsigned=unsigned,
    )
    expected = parse_pattern(expect, "--expect")
    view = ExchangeRecords() if output == "json" else ExchangeLines(show_request)
    run = None if url else the_run(settings.home)
    exchanges = []
    with simulation.phone_for(settings, run, url) as phone:
        for index in range(count):
            if rate is not None and index:
                time.sleep(1 / rate)
            with unless_quick(lambda: console.say("waiting for the answer …")):
                exchanges.append(phone.text(text))
            view.answered(exchanges[-1])
        for exchange in exchanges:
            view.delivered(exchange, phone.delivered(exchange))
    simulation.verdict(exchanges, expected, unsigned=unsigned)
