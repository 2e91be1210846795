"""``smsquest replay``."""

from __future__ import annotations

from typing import Annotated

import typer

from smsquest_cli.cli.invocation import Invocation
from smsquest_cli.cli.options import LinesJson
from smsquest_cli.cli.parsing import parse_pairs
from smsquest_cli.cli.target import Target, resolve_sids


def replay(
    ctx: typer.Context,
    sid: Annotated[
        str,
        typer.Argument(
            metavar="SID|last", help="A message in the log, or the beginning of its SID."
        ),
    ],
    to: Annotated[
        str | None,
        typer.Option(
            "--to", metavar="URL", help="Where to; default: where it went the first time."
        ),
    ] = None,
    edit: Annotated[
        list[str] | None,
        typer.Option(
            "--edit", metavar="KEY=VALUE", help="Key=Value: change or add a field; repeatable."
        ),
    ] = None,
    diff: Annotated[
        bool, typer.Option("--diff", help="Compare the reply with the one that was recorded.")
    ] = False,
    output: LinesJson = "lines",
) -> None:
    """Deliver a recorded webhook again, freshly signed.

    The bytes are those that Twilio sent, except what --edit changes; the signature is made anew for
    the target, with TWILIO_AUTH_TOKEN (else the sandbox token). Without --to the request goes to
    the app that it was forwarded to, else to the running serve. Exit 8 if there is no usable
    answer.
    """
    from smsquest_cli import replaying, simulation
    from smsquest_cli.views.replays import replay_view

    invocation: Invocation = ctx.obj
    invocation.output = output
    changes = parse_pairs(edit or (), "--edit")
    settings = invocation.settings()
    target = Target.of(settings)
    with target.log() as log:
        full = replaying.newest(log) if sid == "last" else resolve_sids(log.sids, [sid])[0]
        found = replaying.recorded(log, full)
    if to is None and found.app is None:  # then it goes to the run, which checks its signature
        target.check_token()
    request = replaying.edited(found.request, changes) if changes else found.request
    token, run = settings.signing_token, target.run
    request = replaying.addressed(found, request, token, run=run, to=to)
    exchange = replaying.deliver(found, request, run=run)
    view = replay_view(output)
    view.answered(exchange)
    if diff:
        view.differs(exchange, replaying.differences(found.reply, exchange))
    simulation.verdict([exchange])
