"""What a command that looks after messages works with: the run, its log, its Twilio account."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from smsquest_cli.cli.options import the_run

if TYPE_CHECKING:
    from collections.abc import Iterator

    from smsquest_cli.config import Settings
    from smsquest_cli.eventlog import EventLog
    from smsquest_cli.runs import Run
    from smsquest_cli.twilio_api import TwilioGateway


@dataclass(frozen=True, slots=True)
class Account:
    """The *run* to speak to, if there is one, and *settings* for the Twilio that it speaks to."""

    run: Run | None
    settings: Settings

    @classmethod
    def of(cls, settings: Settings) -> Account:
        """The account of the running serve: its sandbox's, else the user's own."""
        run = the_run(settings.home)
        sandbox = run.ready.sandbox if run else None
        if sandbox is None:
            return cls(run, settings)
        from smsquest_cli.credentials import Secret

        token = Secret(sandbox.auth_token) if sandbox.auth_token else settings.auth_token
        pretended = replace(
            settings,
            account_sid=sandbox.account_sid,
            auth_token=token,
            api_key=None,
            api_secret=None,
            region=None,
            edge=None,
            number=sandbox.number,
            twilio_url=sandbox.api_url,
        )
        return cls(run, pretended)

    @property
    def store(self) -> str:
        """Where the events are: where the user says, else where the run keeps them."""
        told = self.settings.source_of("store") != "default"
        return self.settings.store if told or self.run is None else self.run.store

    @contextmanager
    def log(self) -> Iterator[EventLog]:
        """The event log; what is appended belongs to the run."""
        from smsquest_cli import console
        from smsquest_cli.eventlog import open_log

        log = open_log(self.store, run=self.run.id if self.run else "")
        try:
            for note in log.notes:
                console.show_problem(note)
            yield log
        finally:
            log.close()

    def twilio(self) -> TwilioGateway:
        """Twilio's API for this account; raises `CredentialsError`."""
        from smsquest_cli import console
        from smsquest_cli.twilio_api import TwilioGateway

        return TwilioGateway(self.settings.rest_credentials(), say=console.say)
