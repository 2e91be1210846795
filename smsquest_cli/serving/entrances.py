"""Where Twilio's requests come in, when there is no account: a sandbox, or this computer alone.

An `Entrance` is opened by a `Session`; whatever it changes it puts on the session's stack, to be
undone in reverse. `number_entrance` has the one for a real number.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from smsquest_cli import console
from smsquest_cli.credentials import SANDBOX_TOKEN
from smsquest_cli.eventlog import LogEntry
from smsquest_cli.events import Problem, Ready
from smsquest_cli.signing import Verifier
from smsquest_cli.views import Header
from smsquest_cli.webhook_urls import SMS, STATUS

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import ExitStack

    from smsquest_cli.config import Settings
    from smsquest_cli.eventlog import EventLog
    from smsquest_cli.events import Event, SandboxAccount
    from smsquest_cli.forwarding import Forwarder

API_THREADS: Final = 24  # an app may call the API from inside its webhook


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """How requests are known to be genuine; *words* are what the header says about it."""

    verifier: Verifier | None
    account_sid: str | None
    words: str


class Entrance:
    """The door of this computer alone: no number is touched, no way in from outside is opened.

    The other entrances are this one with more around it.
    """

    mode = "local"

    def __init__(
        self, settings: Settings, log: EventLog, *, run_id: str, base_url: str | None = None
    ) -> None:
        """*base_url* is the public URL of the user's own proxy, if there is one."""
        self.number: str | None = None
        self.number_sid: str | None = None
        self.sandbox: SandboxAccount | None = None
        self.control_token: str | None = None
        self.restored: bool | None = None
        self.next_step: str | None = None  # said at the end
        self.retry_after: float | None = None  # seconds after which `check` has something to do
        self.base_url = base_url or ""
        self._settings = settings
        self._log = log
        self._run_id = run_id

    def trust(self, *, verify: bool) -> Trust:
        """What signatures are checked with; nothing if not *verify*."""
        if not verify:
            return Trust(
                verifier=None,
                account_sid=self._settings.account_sid,
                words="NOT CHECKED (--no-verify): anybody can send here",
            )
        return self._trust()

    def _trust(self) -> Trust:
        settings = self._settings
        if not settings.can_verify and settings.api_key is not None:
            self.tell("C5")
            return Trust(
                verifier=None,
                account_sid=settings.account_sid,
                words="NOT CHECKED: an API key cannot (C5), anybody can send here",
            )
        if not settings.can_verify:
            return Trust(
                verifier=Verifier(settings.signing_token),
                account_sid=None,
                words="checked with the sandbox token (no TWILIO_AUTH_TOKEN is set)",
            )
        token, secret = settings.auth_token, settings.webhook_secret
        return Trust(
            verifier=Verifier(
                token.reveal() if token else None, secret.reveal() if secret else None
            ),
            account_sid=settings.account_sid,
            words=f"checked with {'TWILIO_AUTH_TOKEN' if token else 'SMSQUEST_WEBHOOK_SECRET'}",
        )

    def prepare(self) -> None:
        """Look at everything, and ask, before anything is opened. Raises `SmsquestError`."""

    def open(self, undone: ExitStack, local_url: str, moved: Callable[[str], None]) -> None:
        """Let requests in to *local_url*; *moved* is told the base URL, now and when it changes."""
        del undone
        self.base_url = self.base_url or local_url
        moved(self.base_url)

    def point(self, undone: ExitStack, last_call: Callable[[], None]) -> None:
        """Have Twilio call us; without a number there is nothing to do."""

    def ready(self, local_url: str, app: Forwarder | None, *, verify: bool) -> Ready:
        """The ready record; *app* is the one that gets every message, if there is one."""
        return Ready(
            ts=datetime.now(UTC),
            mode=self.mode,
            pid=os.getpid(),
            number=self.number,
            number_sid=self.number_sid,
            webhook_url=self.base_url + SMS,
            status_url=self.base_url + STATUS,
            local_url=local_url,
            forward_to=app.to if app else None,
            forward_status=app.status_to if app else None,
            verify=verify,
            sandbox=self.sandbox,
        )

    def header(self) -> Header:
        """What stands above the table."""
        lines = [("server", self.base_url + SMS)]
        if self.base_url.startswith("http://127.0.0.1"):
            lines.append(("try", 'smsquest simulate "hello quest"'))
        return Header(tuple(lines), footer_hint="Ctrl-C stops")

    def catch_up(self) -> None:
        """Record what came while nobody listened, if that was asked for."""

    def check(self) -> None:
        """Raise the `SmsquestError` that ends the run, if there is one."""

    def why_silent(self) -> str:
        """The reasons why nothing may have come, the likeliest first."""
        return 'Send one with: smsquest simulate "hello"'

    def insist(self, count: int) -> None:
        """Somebody asked to stop for the *count*-th time."""

    def record(self, event: Event) -> None:
        """Append *event* to the log; the view shows it."""
        self._log.append(LogEntry(event))

    def tell(self, problem_id: str, *, severity: str | None = None, **values: object) -> None:
        """Announce the problem *problem_id* of the catalogue with *values* in its line."""
        now = datetime.now(UTC)
        self.announce(Problem.of(problem_id, at=now, about=None, severity=severity, **values))

    def announce(self, problem: Problem) -> None:
        """Show *problem*, found on the way to being ready, and record it."""
        console.show_problem(problem)
        self.record(problem)


class SandboxEntrance(Entrance):
    """A pretend Twilio in this process: it calls us as the real one does, over HTTP."""

    mode = "sandbox"

    def _trust(self) -> Trust:
        from smsquest_cli.sandbox import ACCOUNT_SID

        named = "TWILIO_AUTH_TOKEN" if self._settings.auth_token else "the sandbox token"
        return Trust(
            verifier=Verifier(self._settings.signing_token),
            account_sid=ACCOUNT_SID,
            words=f"checked with {named}",
        )

    def prepare(self) -> None:
        """Say that no account is used, if there are credentials for one."""
        if self._settings.account_sid or self._settings.api_key:
            but = ", save TWILIO_AUTH_TOKEN to sign with" if self._settings.auth_token else ""
            console.say(f"note: Twilio credentials found but not used in the sandbox{but}")

    def open(self, undone: ExitStack, local_url: str, moved: Callable[[str], None]) -> None:
        """Start the pretend Twilio and its API, with its number pointed here."""
        self.next_step = "Next: a real number? smsquest doctor says what is still missing"
        from smsquest_cli.events import SandboxAccount
        from smsquest_cli.sandbox import PHONE, Sandbox
        from smsquest_cli.server import bind, later

        super().open(undone, local_url, moved)
        sandbox = undone.enter_context(
            Sandbox(
                auth_token=self._settings.signing_token,
                webhook_url=self.base_url + SMS,
                pace="real",
            )
        )
        api = bind(0)
        undone.callback(api.close)
        undone.enter_context(api.serving(later(lambda: sandbox.app), threads=API_THREADS))
        (number,) = sandbox.account.numbers.values()
        self.number, self.number_sid = number.phone_number, number.sid
        self.control_token = sandbox.control_token
        self.sandbox = SandboxAccount(
            api_url=api.url,
            account_sid=sandbox.account.sid,
            number=number.phone_number,
            phone=PHONE,
            auth_token=None if self._settings.auth_token else SANDBOX_TOKEN,
        )

    def header(self) -> Header:
        """Where to text, and how, for somebody who sees this for the first time."""
        assert self.sandbox is not None
        return Header(
            (
                ("sandbox", "a pretend Twilio on this computer: no account, no internet, no cost"),
                ("number", f"{self.sandbox.number} (yours)   phone {self.sandbox.phone} (a user)"),
                ("server", self.base_url + SMS),
                ("api", f"{self.sandbox.api_url}   (Twilio's REST API, for your app's own calls)"),
                ("", ""),
                ("", "Now open a second window and text your number:"),
                ("", '  smsquest simulate "hello quest"'),
            ),
            footer_hint="sandbox · Ctrl-C stops",
        )
