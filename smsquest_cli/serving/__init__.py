"""A `Session` put together from what was typed: who answers, where it comes in, when it ends."""

from __future__ import annotations

import os
import secrets
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from smsquest_cli import console
from smsquest_cli.eventlog import LogEntry, log_file, open_log
from smsquest_cli.problems import UsageError
from smsquest_cli.serving.entrances import Entrance, SandboxEntrance
from smsquest_cli.serving.rules import ChosenRule, chosen_rule
from smsquest_cli.serving.session import Answers, Goal, Place, Screen, Session
from smsquest_cli.webhook_urls import SMS
from smsquest_cli.webhooks import Receiver

if TYPE_CHECKING:
    import re
    from collections.abc import Iterator
    from datetime import datetime
    from pathlib import Path

    from smsquest_cli.config import Settings
    from smsquest_cli.eventlog import EventLog
    from smsquest_cli.forwarding import Forwarder


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeOptions:
    """What was asked of a ``serve``, besides the settings."""

    sandbox: bool = False
    reply: str | None = None
    twiml: Path | None = None
    no_reply: bool = False
    forward_to: str | None = None
    forward_status: str | None = None
    resign: bool = False
    port: int | None = None
    public_url: str | None = None
    no_tunnel: bool = False
    via_service: bool = False
    keep: bool = False
    no_verify: bool = False
    yes: bool = False
    output: str | None = None
    debug: bool = False
    until: int | None = None
    timeout: float | None = None
    match: re.Pattern[str] | None = None
    ready_file: Path | None = None
    backfill: datetime | None = None


@contextmanager
def session_for(settings: Settings, options: ServeOptions) -> Iterator[Session]:
    """The session that *options* ask for, with its event log open while the block runs.

    Raises `UsageError` for options that cannot work, before anything is opened.
    """
    if options.ready_file is not None:
        _writable(options.ready_file)
    goal = Goal(until=options.until, match=options.match, timeout=options.timeout)
    forwarder = _forwarder(settings, options)
    rule = chosen_rule(reply=options.reply, document=options.twiml, no_reply=options.no_reply)
    run_id = secrets.token_hex(8)
    store = log_file(settings.store)
    log = open_log(store, run=run_id)
    try:
        for note in log.notes:
            console.show_problem(note)
        for doubt in rule.doubts:
            console.show_problem(doubt)
            log.append(LogEntry(doubt))
        entrance = _entrance(settings, options, log, run_id)
        trust = entrance.trust(verify=not options.no_verify)
        receiver = Receiver(
            log,
            forwarder or rule.answerer,
            run=run_id,
            verifier=trust.verifier,
            account_sid=trust.account_sid,
        )
        yield Session(
            Place(
                run_id=run_id,
                home=settings.home,
                store=str(store),
                port=options.port,
                ready_file=options.ready_file,
            ),
            log=log,
            receiver=receiver,
            entrance=entrance,
            trust=trust,
            goal=goal,
            screen=Screen(console.stream_output(options.output), debug=options.debug),
            answers=_answers(options, rule, forwarder),
        )
    finally:
        log.close()


def _writable(path: Path) -> None:
    """Raise `UsageError` (U6) for a ready file that could not be written later."""
    if path.exists():
        why = None if path.is_file() else "there is something else than a file"
    else:
        why = None if path.parent.is_dir() else "no such folder"
    if why is None and not os.access(path.parent, os.W_OK):
        why = "the folder cannot be written"
    if why is not None:
        raise UsageError(
            "U6", option="--ready-file", value=str(path), expected=f"a file to write ({why})"
        )


def _signed_elsewhere(options: ServeOptions) -> str:
    """A hint for an app that checks signatures but sees another URL than Twilio signs, or empty."""
    seen, public = urlsplit(options.forward_to or ""), urlsplit(options.public_url or "")
    signed = public.path.rstrip("/") + SMS
    if options.resign or (seen.path == signed and not seen.query):
        return ""
    return f"   (if it checks signatures: --resign, as Twilio signs {signed})"


def _answers(options: ServeOptions, rule: ChosenRule, app: Forwarder | None) -> Answers:
    """What answers messages, as label and words for the header."""
    if app is None:
        return Answers("reply", rule.words)
    words = f"{options.forward_to} gets every message{_signed_elsewhere(options)}"
    return Answers("app", words, app)


def _forwarder(settings: Settings, options: ServeOptions) -> Forwarder | None:
    if options.forward_to is None:
        return None
    from smsquest_cli.forwarding import Forwarder

    # The token that the app checks with: the sandbox signs with the same one.
    token = settings.signing_token if options.resign else None
    return Forwarder(options.forward_to, status_to=options.forward_status, resign_with=token)


def _entrance(settings: Settings, options: ServeOptions, log: EventLog, run_id: str) -> Entrance:
    if options.sandbox:
        return SandboxEntrance(settings, log, run_id=run_id)
    if options.no_tunnel:
        base = None
        if options.public_url is not None:
            from smsquest_cli.tunnel import public_url

            base = public_url(options.public_url, allow_local=settings.twilio_is_local)
        return Entrance(settings, log, run_id=run_id, base_url=base)
    settings.rest_credentials()  # fails before anything heavy is imported
    from smsquest_cli.serving.number_entrance import NumberEntrance

    return NumberEntrance(
        settings,
        log,
        run_id=run_id,
        given_url=options.public_url,
        via_service=options.via_service,
        keep=options.keep,
        yes=options.yes,
        backfill=options.backfill,
    )
