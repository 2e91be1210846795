"""``smsquest send``."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import typer
from typer.core import TyperCommand

from smsquest_cli.cli.invocation import Invocation
from smsquest_cli.cli.options import LinesJson
from smsquest_cli.cli.parsing import parse_addresses, parse_duration, read_text
from smsquest_cli.cli.target import Target
from smsquest_cli.phone_numbers import normalised

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from smsquest_cli.console import Output
    from smsquest_cli.delivery_watch import Until
    from smsquest_cli.outbox import Draft
    from smsquest_cli.twilio_api import TwilioGateway

POLLED_EVERY: Final = 2.0  # seconds between questions if no callbacks will come
CALLED_BACK: Final = 5.0
STATUSES: Final = ("final", "sent", "delivered")


class Command(TyperCommand):
    """``--wait`` may be given without its STATUS, which is ``final`` then."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401
        """Give a bare ``--wait`` its value."""
        return super().parse_args(ctx, [*_with_status(args)])


def _with_status(arguments: Sequence[str]) -> Iterator[str]:
    options_end = arguments.index("--") if "--" in arguments else len(arguments)
    following = [*arguments[1:], ""]
    for index, (argument, next_) in enumerate(zip(arguments, following, strict=False)):
        bare = argument == "--wait" and next_ not in STATUSES and index < options_end
        yield "--wait=final" if bare else argument


def send(
    ctx: typer.Context,
    body: Annotated[str, typer.Argument(help="The text; - reads it from standard input.")],
    to: Annotated[str, typer.Option("--to", metavar="NUMBER", help="Whom it is for.")],
    from_: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="NUMBER",
            help="Your number, or the MG sid of a Messaging Service. Default: the number of the "
            "running serve, then TWILIO_PHONE_NUMBER.",
        ),
    ] = None,
    media: Annotated[
        list[str] | None,
        typer.Option("--media", metavar="URL", help="Address of an attachment; repeatable."),
    ] = None,
    status_callback: Annotated[
        str | None,
        typer.Option(
            "--status-callback",
            metavar="URL|none",
            help="Where Twilio reports the delivery. Default: the running serve.",
        ),
    ] = None,
    wait: Annotated[
        Literal["final", "sent", "delivered"] | None,
        typer.Option(
            "--wait",
            metavar="[STATUS]",
            help="Follow the delivery until it is final (or sent, delivered): exit 8 if it fails.",
        ),
    ] = None,
    timeout: Annotated[
        str,
        typer.Option(
            "--timeout", metavar="DURATION", help="With --wait: give up after that long (exit 8)."
        ),
    ] = "2m",
    output: LinesJson = "lines",
) -> None:
    """Send an SMS, with the running serve as its status callback.

    Shown before it is sent: segments, encoding, and the characters that make it longer.
    """
    from smsquest_cli import outbox
    from smsquest_cli.console import Output

    invocation: Invocation = ctx.obj
    invocation.output = output
    limit = parse_duration(timeout, "--timeout").total_seconds()
    addresses = parse_addresses(media or (), "--media")
    target = Target.of(invocation.settings())
    with target.twilio() as twilio:
        draft = outbox.Draft(
            body=read_text(body),
            to=normalised(to),
            sender=outbox.sender_for(from_, target.run, target.settings, twilio),
            media=addresses,
            status_callback=outbox.callback_for(status_callback, target.run, target.settings),
        )
        _send(target, draft, twilio, Output(output), wait=wait, timeout=limit)


def _send(
    target: Target,
    draft: Draft,
    twilio: TwilioGateway,
    output: Output,
    *,
    wait: Until | None,
    timeout: float,
) -> None:
    """Send *draft*, record it, and show what becomes of it."""
    from smsquest_cli import console, outbox
    from smsquest_cli.delivery_watch import DeliveryWatch, Selection
    from smsquest_cli.eventlog import LogEntry
    from smsquest_cli.problems import LocalError
    from smsquest_cli.views import make_delivery_view

    now = datetime.now(UTC)
    with target.log() as log, make_delivery_view(output) as view:
        console.say(outbox.preview(draft.body))
        if note := outbox.note_on(draft.body, at=now):
            view.show([note])
        state = outbox.send(twilio, draft, at=now)
        try:
            log.append(LogEntry(state))
        except LocalError:  # the message is out, whatever becomes of its record
            view.show([state])
            raise
        if wait is None:
            view.show([state])
            return
        DeliveryWatch(
            Selection(since=now, sids=frozenset({state.sid})),
            log=log,
            twilio=twilio,
            view=view,
            interval=POLLED_EVERY if draft.status_callback is None else CALLED_BACK,
            status_url=draft.status_callback,
        ).follow(until=wait, timeout=timeout)
