"""``smsquest configure-number``."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from smsquest_cli.cli.invocation import Invocation
from smsquest_cli.cli.options import TableJson, ViaService, Yes
from smsquest_cli.cli.parsing import at_most_one, needs
from smsquest_cli.cli.target import Target, connected, the_run
from smsquest_cli.problems import CredentialsError, UsageError

if TYPE_CHECKING:
    from smsquest_cli.config import Settings
    from smsquest_cli.configuring import Change
    from smsquest_cli.console import Output
    from smsquest_cli.events import Event
    from smsquest_cli.journal import Journal

HERE = "here"
NONE = "none"


def configure_number(
    ctx: typer.Context,
    number: Annotated[
        str | None,
        typer.Argument(
            help="The number, E.164 or PN sid. Default for --url: the only one, or "
            "TWILIO_PHONE_NUMBER."
        ),
    ] = None,
    show: Annotated[
        bool, typer.Option("--show", help="Show every number (the default without --url).")
    ] = False,
    url: Annotated[
        str | None,
        typer.Option(
            "--url",
            metavar="URL|here|none",
            help="The webhook to set; here: the running serve; none: no webhook.",
        ),
    ] = None,
    method: Annotated[
        Literal["GET", "POST"] | None,
        typer.Option(
            "--method",
            metavar="GET|POST",
            case_sensitive=False,
            help="How Twilio is to call it; default POST.",
        ),
    ] = None,
    fallback_url: Annotated[
        str | None,
        typer.Option(
            "--fallback-url", metavar="URL|none", help="What Twilio calls where the URL fails."
        ),
    ] = None,
    fallback_method: Annotated[
        Literal["GET", "POST"] | None,
        typer.Option(
            "--fallback-method",
            metavar="GET|POST",
            case_sensitive=False,
            help="How Twilio is to call that.",
        ),
    ] = None,
    restore: Annotated[
        bool,
        typer.Option("--restore", help="Put back what was there before smsquest changed it."),
    ] = False,
    every: Annotated[
        bool, typer.Option("--all", help="With --restore: every number that runs have left.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be changed, and change nothing.")
    ] = False,
    yes: Yes = False,
    via_service: ViaService = False,
    output: TableJson = "table",
) -> None:
    """Show, set or restore the SMS webhook of a number.

    Exit 5 where something of value stands there and nobody confirmed (--yes), 9 where a number
    could not be put back.
    """
    from smsquest_cli import console

    invocation: Invocation = ctx.obj
    invocation.output = output
    given = {"--url": url, "--method": method, "--fallback-url": fallback_url,
             "--fallback-method": fallback_method}  # fmt: skip
    _check(given, show=show, restore=restore, every=every)
    needs("--via-service", via_service, "--url", url)
    needs("--dry-run", dry_run, "--url or --restore", url or restore)
    task = Task(invocation, console.Output(output), number=number, dry_run=dry_run)
    if restore:
        task.restore(every=every)
    elif url is None:
        task.show()
    else:
        task.set(
            url,
            method or "POST",
            fallback_url=fallback_url,
            fallback_method=fallback_method,
            via_service=via_service,
            yes=yes,
        )


def _check(given: dict[str, str | None], *, show: bool, restore: bool, every: bool) -> None:
    """Raise `UsageError` for options that do not go together."""
    at_most_one(("--show", "--restore"), (show, restore))
    for option, value in given.items():
        is_given = value is not None
        at_most_one(("--show", "--restore", option), (show, restore, is_given))
        needs(option, is_given, "--url", given["--url"] is not None)
    needs("--all", every, "--restore", restore)


@dataclass(frozen=True, slots=True)
class Task:
    """One call of the command."""

    invocation: Invocation
    output: Output
    number: str | None
    dry_run: bool

    def show(self) -> None:
        """Show every number, its webhook now, who answers it, and what is running there."""
        from smsquest_cli import console
        from smsquest_cli.configuring import listed
        from smsquest_cli.diagnosis import choose_number
        from smsquest_cli.runs import running
        from smsquest_cli.views.numbers import show_numbers

        settings = self._settings()
        now = datetime.now(UTC)
        for note in settings.notes(at=now):
            console.show_problem(note)
        with connected(settings) as gateway:
            account = gateway.account()
            numbers = [choose_number(gateway, self.number)] if self.number else gateway.numbers()
            found = listed(
                gateway, numbers, journal=_journal(settings), running=running(settings.home)
            )
        for note in {note.line: note for one in found for note in one.notes(at=now)}.values():
            console.show_problem(note)
        login = gateway.login
        kind = "API key" if login.by_key else "account SID + auth token"
        whose = [
            ("account", login.account_sid),
            ("name", account.friendly_name if account else ""),
            ("credentials", f"{login.source} ({kind})"),
        ]
        show_numbers(whose, found, self.output)

    def set(
        self,
        url: str,
        method: str,
        *,
        fallback_url: str | None,
        fallback_method: str | None,
        via_service: bool,
        yes: bool,
    ) -> None:
        """Show before and after, ask, make the change, and read it back."""
        from smsquest_cli import console
        from smsquest_cli.configuring import Wanted, apply, plan
        from smsquest_cli.diagnosis import choose_number, menu, route_of
        from smsquest_cli.views.numbers import show_change

        settings = self._settings()
        run = None
        if url == HERE:
            run = the_run(settings.home)
            if run is None:
                raise UsageError("U3", option="another address")
            url = run.ready.webhook_url
        wanted = Wanted(
            url=_address(url, "--url", settings),
            method=method,
            fallback_url=None
            if fallback_url is None
            else _address(fallback_url, "--fallback-url", settings),
            fallback_method=fallback_method,
            via_service=via_service,
            temporary=run is not None and not Target(run, settings).is_sandbox,
        )
        journal = _journal(settings)
        with connected(settings) as gateway:
            option = "smsquest configure-number NUMBER"
            wish = self.number or settings.number
            chosen = choose_number(gateway, wish, pick=menu(), option=option)
            route = route_of(gateway, chosen)
            change = plan(gateway, journal, route, wanted)
            for note in route.notes(at=datetime.now(UTC)):
                # The question names the one, and the other is about what is changed here.
                if note.id != "N6" and not (note.id == "N19" and fallback_url is not None):
                    console.show_problem(note)
            if change.is_needed and not self.dry_run:
                _confirm(change, yes=yes)
                apply(gateway, journal, change)
        made = change.is_needed and not self.dry_run
        show_change(change, self.output, made=made, dry=self.dry_run)
        if self.dry_run and change.concern is not None:
            error = change.concern.error
            console.say(console.problem_line(error.id, "note", error.line))

    def restore(self, *, every: bool) -> None:
        """Put back what the journal holds; exit 9 if that cannot be done."""
        from smsquest_cli import console
        from smsquest_cli.configuring import Outcome, put_back, waiting
        from smsquest_cli.tunnel import end_orphans
        from smsquest_cli.views.numbers import by_hand, show_outcomes

        try:
            settings = self._settings()
            login = settings.rest_credentials()
        except CredentialsError:  # only told if there is something to put back
            settings, login = self.invocation.settings(), None
        journal = _journal(settings)
        entries = waiting(journal, self.number, every=every, login=login)
        if not entries:
            console.say("nothing to restore")
        if self.dry_run:
            show_outcomes([Outcome(entry=one, outcome="planned") for one in entries], self.output)
            return
        outcomes = list(put_back(lambda: connected(settings), journal, entries, tell=_tell))
        show_outcomes(outcomes, self.output)
        end_orphans(settings.home, console.say)
        if self.invocation.debug:
            for one in outcomes:
                if one.error is not None:
                    console.say(f"by hand: {by_hand(one.entry)}")
        errors = [one.error for one in outcomes if one.error is not None]
        for error in errors[:-1]:
            console.show_error(error, output=None)
        if errors:
            self.invocation.output = None  # the document has it all: no record after it
            raise errors[-1]

    def _settings(self) -> Settings:
        """The user's own account; if there is none, that of a running sandbox."""
        settings = self.invocation.settings()
        try:
            settings.rest_credentials()
        except CredentialsError:
            target = Target.of(settings)
            if settings.account_sid or not target.is_sandbox:
                raise
            target.check_token()
            return target.settings
        return settings


def _journal(settings: Settings) -> Journal:
    from smsquest_cli.journal import Journal

    return Journal(settings.home)


def _tell(event: Event) -> None:
    """Show the problems among the events of a number."""
    from smsquest_cli import console, events

    if isinstance(event, events.Problem):
        console.show_problem(event)


def _address(text: str, option: str, settings: Settings) -> str:
    """The URL that *text* stands for; raises `UsageError`: N9 not reachable, U6 not a URL."""
    from smsquest_cli.webhook_urls import webhook

    if text == NONE:
        return ""
    return webhook(text, option=option, allow_local=settings.twilio_is_local)


def _confirm(change: Change, *, yes: bool) -> None:
    """Ask if something of value would be replaced; see `console.confirm`."""
    from smsquest_cli import console
    from smsquest_cli.views.numbers import show_before

    if change.concern is None or yes:
        return
    if console.can_ask():
        show_before(change)
    console.confirm(change.concern.question, change.concern.error)
