"""``smsquest serve``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from smsquest_cli.cli.invocation import Invocation
from smsquest_cli.cli.options import TableLinesJson, ViaService, Yes
from smsquest_cli.cli.parsing import at_most_one, needs, parse_ago, parse_duration, parse_pattern

# A call may have one option of each group: where Twilio's requests come in, and what answers them.
_ENTRANCES = ("--sandbox", "--no-tunnel", "--domain")
_ANSWERS = ("--reply", "--twiml", "--no-reply", "--forward-to")


def serve(
    ctx: typer.Context,
    sandbox: Annotated[
        bool,
        typer.Option(
            "--sandbox",
            help="A pretend Twilio inside this process: no account, no internet, no cost.",
        ),
    ] = False,
    number: Annotated[
        str | None,
        typer.Option(
            "--number",
            metavar="NUMBER",
            envvar="TWILIO_PHONE_NUMBER",
            help="Your number: E.164 or its PN sid.",
        ),
    ] = None,
    reply: Annotated[
        str | None,
        typer.Option(
            "--reply",
            metavar="TEXT",
            help="Reply to each message; {Body}, {From} and any other webhook parameter may stand "
            'in it. Default: "You said: {Body}".',
        ),
    ] = None,
    twiml: Annotated[
        Path | None,
        typer.Option(
            "--twiml",
            metavar="FILE",
            help="Reply with this TwiML document; same placeholders, XML-escaped.",
        ),
    ] = None,
    no_reply: Annotated[
        bool, typer.Option("--no-reply", help="Answer with an empty <Response/>.")
    ] = False,
    forward_to: Annotated[
        str | None,
        typer.Option(
            "--forward-to",
            metavar="URL",
            help="Hand each webhook to your own app, byte for byte, and give Twilio its answer.",
        ),
    ] = None,
    forward_status: Annotated[
        str | None,
        typer.Option(
            "--forward-status",
            metavar="URL",
            help="Where status callbacks go; default: /status beside --forward-to's path.",
        ),
    ] = None,
    resign: Annotated[
        bool,
        typer.Option(
            "--resign", help="With --forward-to: sign again for the URL that your app sees."
        ),
    ] = False,
    port: Annotated[
        int | None,
        typer.Option(
            "--port",
            metavar="PORT",
            min=0,
            max=65535,
            help="Local port; 0 = any free one. Default: 8767.",
        ),
    ] = None,
    public_url: Annotated[
        str | None,
        typer.Option(
            "--public-url", metavar="URL", help="You have a tunnel or proxy already: no ngrok."
        ),
    ] = None,
    no_tunnel: Annotated[
        bool,
        typer.Option("--no-tunnel", help="Serve on this computer only; change no number."),
    ] = False,
    domain: Annotated[
        str | None,
        typer.Option(
            "--domain", metavar="DOMAIN", envvar="NGROK_DOMAIN", help="Your ngrok domain."
        ),
    ] = None,
    via_service: ViaService = False,
    keep: Annotated[
        bool, typer.Option("--keep", help="Leave the number pointed here when stopping.")
    ] = False,
    no_verify: Annotated[
        bool, typer.Option("--no-verify", help="Accept requests without a valid signature.")
    ] = False,
    yes: Yes = False,
    output: TableLinesJson = None,
    until: Annotated[
        int | None,
        typer.Option(
            "--until", metavar="N", min=1, help="Stop when this many inbound messages are answered."
        ),
    ] = None,
    timeout: Annotated[
        str | None,
        typer.Option(
            "--timeout",
            metavar="DURATION",
            help="Give up after that long (exit 8): seconds, 2m, 1h.",
        ),
    ] = None,
    match: Annotated[
        str | None,
        typer.Option(
            "--match",
            metavar="REGEX",
            help="With --until: count only bodies that match this regex.",
        ),
    ] = None,
    ready_file: Annotated[
        Path | None,
        typer.Option(
            "--ready-file",
            metavar="FILE",
            help="Write the ready record there once ready; the file goes when the run stops.",
        ),
    ] = None,
    backfill: Annotated[
        str | None,
        typer.Option(
            "--backfill",
            metavar="DURATION",
            help="Show inbound messages of that time (1h, 2d) that nobody here received.",
        ),
    ] = None,
    store: Annotated[
        str | None,
        typer.Option(
            "--store", metavar="PATH", envvar="SMSQUEST_STORE", help="Where events are kept."
        ),
    ] = None,
) -> None:
    """Receive SMS here: server, tunnel, number, live table.

    Without --sandbox, --public-url or --no-tunnel an ngrok tunnel is opened. The number's webhook
    is put back however you stop; after a crash by configure-number --restore, or by the next serve.
    """
    from smsquest_cli.serving import ServeOptions, session_for

    invocation: Invocation = ctx.obj
    invocation.output = output
    at_most_one(_ENTRANCES, (sandbox, no_tunnel, _typed(ctx, "domain")))
    at_most_one(("--sandbox", "--public-url"), (sandbox, public_url))
    at_most_one(("--public-url", "--domain"), (public_url, _typed(ctx, "domain")))
    at_most_one(("--sandbox", "--number"), (sandbox, _typed(ctx, "number")))
    for name, value in (("--via-service", via_service), ("--keep", keep), ("--backfill", backfill)):
        at_most_one(("--sandbox", "--no-tunnel", name), (sandbox, no_tunnel, value))  # of a number
    at_most_one(_ANSWERS, (reply is not None, twiml, no_reply, forward_to))
    needs("--resign", resign, "--forward-to", forward_to)
    needs("--forward-status", forward_status, "--forward-to", forward_to)
    needs("--match", match, "--until", until)
    options = ServeOptions(
        sandbox=sandbox,
        reply=reply,
        twiml=twiml,
        no_reply=no_reply,
        forward_to=forward_to,
        forward_status=forward_status,
        resign=resign,
        port=port,
        public_url=public_url,
        no_tunnel=no_tunnel,
        via_service=via_service,
        keep=keep,
        no_verify=no_verify,
        yes=yes,
        output=output,
        debug=invocation.debug,
        until=until,
        timeout=None if timeout is None else parse_duration(timeout, "--timeout").total_seconds(),
        match=parse_pattern(match, "--match"),
        ready_file=ready_file,
        backfill=None if backfill is None else parse_ago(backfill, "--backfill"),
    )
    settings = invocation.settings(number=number, ngrok_domain=domain, store=store)
    with session_for(settings, options) as session:
        code = session.run()
    raise typer.Exit(code)


def _typed(ctx: typer.Context, name: str) -> bool:
    """Whether the option *name* was typed, not taken from the environment."""
    source = ctx.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"
