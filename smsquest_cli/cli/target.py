"""`Target`: which run a command speaks to, and the Twilio behind it; messages named by SID."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import TYPE_CHECKING, Final

from smsquest_cli.problems import CredentialsError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from smsquest_cli.config import Settings
    from smsquest_cli.eventlog import EventLog
    from smsquest_cli.runs import Run
    from smsquest_cli.twilio_api import TwilioGateway

    Known = Callable[[str], list[str]]

MIN_PREFIX: Final = 6
LIKELY_RIGHT: Final = 4  # characters of a mistyped SID; enough of them to find it in a long log
SIMILAR: Final = 0.8  # one wrong character in eight; random SIDs are less alike
CANDIDATES: Final = 5


@dataclass(frozen=True, slots=True)
class Target:
    """Which *run* a command speaks to, if there is one, and *settings* for the Twilio behind it."""

    run: Run | None
    settings: Settings

    @classmethod
    def of(cls, settings: Settings) -> Target:
        """The running serve, with the Twilio of its sandbox, else with the user's own."""
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
        """Where the events are kept: as the user says, else as the run does."""
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

    @property
    def is_sandbox(self) -> bool:
        """Whether the Twilio is the sandbox of the run, which is gone when that stops."""
        sandbox = self.run.ready.sandbox if self.run else None
        return sandbox is not None and sandbox.api_url == self.settings.twilio_url

    def check_token(self) -> None:
        """Raise `CredentialsError` (C14) if the run's sandbox has a token that is not known here.

        Its own window has it, and it is not written anywhere.
        """
        if self.is_sandbox and self.settings.auth_token is None:
            assert self.run is not None
            raise CredentialsError("C14", pid=self.run.ready.pid)

    def twilio(self) -> TwilioGateway:
        """Twilio's API for this target; raises `CredentialsError`."""
        self.check_token()
        return connected(self.settings)


def connected(settings: Settings) -> TwilioGateway:
    """Twilio's API for the account of *settings*; raises `CredentialsError`."""
    from smsquest_cli import console
    from smsquest_cli.twilio_api import TwilioGateway

    return TwilioGateway(settings.rest_credentials(), say=console.say)


def the_run(home: Path) -> Run | None:
    """The running ``serve`` that a command means when it names none: the newest.

    If there are several, the user is told which one it is.
    """
    from smsquest_cli.runs import running

    found = running(home)
    if len(found) > 1:
        from smsquest_cli import console

        newest = found[0].ready
        which = f"the newest, pid {newest.pid} at {newest.webhook_url}"
        console.say(f"note: {len(found)} serves are running here; this is about {which}")
    return found[0] if found else None


def resolve_sids(known: Known, prefixes: Sequence[str]) -> list[str]:
    """The full SIDs that *prefixes* (6 characters or more, unique) stand for.

    *known* gives the SIDs that begin with a prefix, the newest first. A SID may also be shortened
    in its middle, as screens show it: ``SM3f…9c``. Raises `UsageError` with the candidates: U1 if
    none begins so, U2 if a prefix is too short or fits several.
    """
    return [_resolve_sid(known, prefix) for prefix in prefixes]


def _resolve_sid(known: Known, prefix: str) -> str:
    beginning, _, end = prefix.replace("...", "…").partition("…")
    found = [sid for sid in known(beginning) if sid.endswith(end)] if beginning else []
    candidates = ", ".join(found[:CANDIDATES])
    if len(beginning + end) < MIN_PREFIX or not beginning:
        needed = f"give at least {MIN_PREFIX} characters"
        needed += f" ({candidates})" if found else ""
        raise UsageError("U2", prefix=prefix or '""', candidates=needed)
    if not found:
        near = ", ".join(_near(known, prefix))
        raise UsageError("U1", sid=prefix, meant=f" (did you mean {near}?)" if near else "")
    if prefix in found:
        return prefix
    if len(found) > 1:
        raise UsageError("U2", prefix=prefix, candidates=candidates)
    return found[0]


def _near(known: Known, prefix: str) -> list[str]:
    """SIDs that begin almost as *prefix* does: of those with its beginning, and of the newest."""
    candidates = [*known(prefix[:LIKELY_RIGHT]), *known("")]
    beginnings = {sid[: len(prefix)]: sid for sid in reversed(candidates)}
    return [beginnings[one] for one in get_close_matches(prefix, beginnings, cutoff=SIMILAR)]
