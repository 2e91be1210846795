"""``smsquest log``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

import typer

from smsquest_cli.cli.invocation import Invocation
from smsquest_cli.cli.options import TableLinesJson
from smsquest_cli.cli.parsing import parse_ago
from smsquest_cli.cli.target import Target, resolve_sids
from smsquest_cli.events import EVENT_TYPES
from smsquest_cli.phone_numbers import normalised
from smsquest_cli.problems import UsageError

if TYPE_CHECKING:
    from datetime import datetime

    from smsquest_cli.eventlog import EventLog
    from smsquest_cli.views import View

IDLE_SECONDS: Final = 3600.0


def log(
    ctx: typer.Context,
    sids: Annotated[
        list[str] | None,
        typer.Argument(metavar="SID", help="Messages, by SID or its first characters (6)."),
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(
            "--since", metavar="DURATION", help="Only what is younger than that (10m, 2h, 1d)."
        ),
    ] = None,
    number: Annotated[
        str | None,
        typer.Option("--number", metavar="NUMBER", help="Only messages from or to this number."),
    ] = None,
    type_: Annotated[
        list[str] | None,
        typer.Option("--type", metavar="TYPE", help="Only records of this type; repeatable."),
    ] = None,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on with what is recorded from now on.")
    ] = False,
    output: TableLinesJson = None,
) -> None:
    """Show what was recorded, filtered or followed.

    Oldest first, from the event log of all runs; the table has one row per message.
    """
    from smsquest_cli import console
    from smsquest_cli.views import make_log_view

    invocation: Invocation = ctx.obj
    invocation.output = shown_as = console.stream_output(output)
    types = _types(type_ or ())
    start = parse_ago(since, "--since") if since is not None else None
    target = Target.of(invocation.settings())
    with target.log() as events, make_log_view(shown_as, follow=follow) as view:
        _show(
            events,
            view,
            follow=follow,
            types=types,
            since=start,
            sids=resolve_sids(events.sids, sids) if sids else None,
            number=normalised(number) if number else None,
        )


def _show(
    events: EventLog,
    view: View,
    *,
    follow: bool,
    types: list[str] | None,
    since: datetime | None,
    sids: list[str] | None,
    number: str | None,
) -> None:
    """Show what is recorded, and with *follow* what comes after."""
    cursor = 0
    while True:
        batch = events.read(cursor, types=types, since=since, sids=sids, number=number)
        if batch.events:
            view.show([stored.event for stored in batch.events])
        view.refresh()
        if batch.cursor == cursor:
            if not follow:
                return
            due = view.due()
            events.wait(cursor, timeout=IDLE_SECONDS if due is None else due)
        cursor = batch.cursor


def _types(names: list[str] | tuple[()]) -> list[str] | None:
    """The record types *names*; raises `UsageError` (U4) for an unknown one."""
    for name in names:
        if name not in EVENT_TYPES:
            raise UsageError("U4", value=name, candidates=", ".join(EVENT_TYPES))
    return [*names] or None
