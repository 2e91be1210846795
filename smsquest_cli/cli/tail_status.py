"""``smsquest tail-status``."""

from __future__ import annotations

import sys
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Annotated, Final, Literal

import typer

from smsquest_cli.cli.invocation import Invocation
from smsquest_cli.cli.options import TableLinesJson
from smsquest_cli.cli.parsing import at_most_one, parse_ago, parse_duration
from smsquest_cli.cli.target import Target, resolve_sids
from smsquest_cli.phone_numbers import normalised
from smsquest_cli.problems import CredentialsError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from smsquest_cli.console import Output
    from smsquest_cli.delivery_watch import DeliveryWatch
    from smsquest_cli.twilio_api import TwilioGateway

SHORTEST_INTERVAL: Final = 0.2  # seconds


def tail_status(
    ctx: typer.Context,
    sids: Annotated[
        list[str] | None,
        typer.Argument(metavar="SID", help="Messages, by SID or its first characters (6)."),
    ] = None,
    since: Annotated[
        str,
        typer.Option(
            "--since",
            metavar="DURATION",
            help="Without a SID: messages of that time (10m, 2h, 1d).",
        ),
    ] = "10m",
    number: Annotated[
        str | None,
        typer.Option("--number", metavar="NUMBER", help="Only messages from or to this number."),
    ] = None,
    until: Annotated[
        Literal["final", "sent", "delivered"] | None,
        typer.Option(
            "--until",
            help="Leave when all messages have got there: exit 0; exit 8 if one fails.",
        ),
    ] = None,
    timeout: Annotated[
        str | None,
        typer.Option(
            "--timeout", metavar="DURATION", help="Leave after that long; with --until: exit 8."
        ),
    ] = None,
    once: Annotated[
        bool | None,
        typer.Option(
            "--once/--follow",
            help="Show how things stand and leave; the default off a terminal without --until.",
            show_default=False,
        ),
    ] = None,
    source: Annotated[
        Literal["auto", "store", "twilio"],
        typer.Option(
            "--source",
            help="Ask the event log, Twilio, or (auto) Twilio where callbacks do not tell.",
        ),
    ] = "auto",
    interval: Annotated[
        str,
        typer.Option(
            "--interval", metavar="DURATION", help="The time between two questions to Twilio."
        ),
    ] = "5s",
    wide: Annotated[
        bool, typer.Option("--wide", help="Whole SIDs and texts, however wide the lines get.")
    ] = False,
    output: TableLinesJson = None,
) -> None:
    """Follow the delivery of messages.

    Status callbacks of a running (or earlier) serve come first; Twilio's API is asked for what
    they do not tell, and only about messages that are not final.
    """
    from smsquest_cli import console

    invocation: Invocation = ctx.obj
    shown_as = console.stream_output(output)
    invocation.output = shown_as
    at_most_one(("--once", "--until"), (once, until))
    at_most_one(("a SID", "--number"), (sids, number))
    choice = Choice(
        since=parse_ago(since, "--since"),
        once=once or (once is None and until is None and not sys.stdout.isatty()),
        sids=tuple(sids or ()),
        number=normalised(number) if number else None,
        source=source,
        interval=_interval(interval),
    )
    limit = parse_duration(timeout, "--timeout").total_seconds() if timeout is not None else None
    with _watching(invocation, choice, shown_as, wide=wide) as watch:
        if choice.once:
            watch.once()
        else:
            watch.follow(until=until, timeout=limit)


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Which messages to watch, whom to ask about them, and how often."""

    since: datetime
    once: bool
    sids: tuple[str, ...]
    number: str | None
    source: str
    interval: float


@contextmanager
def _watching(
    invocation: Invocation, choice: Choice, output: Output, *, wide: bool
) -> Iterator[DeliveryWatch]:
    """A watch over the messages of *choice* that shows them as *output*."""
    from smsquest_cli import console
    from smsquest_cli.delivery_watch import DeliveryWatch, Selection, known_sids
    from smsquest_cli.views import make_delivery_view

    target = Target.of(invocation.settings())
    with ExitStack() as stack:
        twilio = _twilio(target, choice.source)
        log = None if choice.source == "twilio" else stack.enter_context(target.log())
        known = partial(known_sids, log, twilio, since=choice.since)
        sids = frozenset(resolve_sids(known, choice.sids))
        console.say(_sources(target, choice, asked=twilio is not None))
        view = stack.enter_context(make_delivery_view(output, wide=wide))
        yield DeliveryWatch(
            Selection(since=choice.since, sids=sids, number=choice.number),
            log=log,
            twilio=twilio,
            view=view,
            interval=choice.interval,
            status_url=target.run.ready.status_url if target.run else None,
        )


def _twilio(target: Target, source: str) -> TwilioGateway | None:
    """Twilio's API; None if only the event log is wanted, or there are no usable credentials."""
    if source == "store":
        return None
    try:
        return target.twilio()
    except CredentialsError as err:
        if source != "auto":
            raise
        if err.id != "C1":
            from smsquest_cli import console, events

            severity = "note" if err.id == "C14" else "warning"  # its callbacks tell everything
            now = datetime.now(UTC)
            console.show_problem(events.Problem.told_by(err, at=now, severity=severity))
        return None


def _sources(target: Target, choice: Choice, *, asked: bool) -> str:
    """Where the news comes from, in words."""
    every = "Twilio is asked" + ("" if choice.once else f" every {choice.interval:g} s")
    if choice.source == "twilio":
        return f"source: {every}"
    run = target.run
    log = (
        f'callbacks of the running "smsquest serve" (pid {run.ready.pid})'
        if run
        else "the event log of earlier runs (no smsquest serve is running)"
    )
    if asked:
        return f"source: {log}; {every} about what they do not tell"
    reason = "--source store" if choice.source == "store" else "no credentials for it"
    return f"source: {log} alone; Twilio is not asked ({reason})"


def _interval(text: str) -> float:
    seconds = parse_duration(text, "--interval").total_seconds()
    if seconds < SHORTEST_INTERVAL:
        expected = f"{SHORTEST_INTERVAL:g} s or more"
        raise UsageError("U6", option="--interval", value=text, expected=expected)
    return seconds
