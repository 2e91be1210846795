"""What one call of the program was told, as one frozen value."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from smsquest_cli.config.sources import KEY, KEY_SECRET, SID, TOKEN, VARIABLES
from smsquest_cli.credentials import SANDBOX_TOKEN, RestCredentials, Secret, masked, misshapen
from smsquest_cli.events import Problem
from smsquest_cli.problems import CredentialsError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from pathlib import Path

LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What one call of the program was told, in whatever way; secrets hide themselves."""

    home: Path
    store: str
    account_sid: str | None = None
    auth_token: Secret | None = None
    api_key: str | None = None
    api_secret: Secret | None = None
    region: str | None = None
    edge: str | None = None
    number: str | None = None
    ngrok_authtoken: Secret | None = None
    ngrok_domain: str | None = None
    ngrok_path: str | None = None
    webhook_secret: Secret | None = None
    twilio_url: str | None = None
    profile: str | None = None
    sources: Mapping[str, str] = field(default_factory=dict)  # by the names above
    empty: frozenset[str] = frozenset()  # variables that are set but empty, and not set elsewhere
    others: tuple[tuple[str, str], ...] = ()  # accounts that are not used: (source, how to choose)
    unused: Mapping[str, str] = field(default_factory=dict)  # variable -> where else it is set

    def source_of(self, name: str) -> str:
        """Where the setting *name* was found: ``--number``, ``environment``, ``.env line 2``."""
        return self.sources.get(name, "default")

    @property
    def twilio_is_local(self) -> bool:
        """Whether "Twilio" is on this computer, and so can reach what only this computer can."""
        return self.twilio_url is not None and urlsplit(self.twilio_url).hostname in LOOPBACK

    @property
    def signing_token(self) -> str:
        """What a pretend Twilio signs with: the auth token, else the sandbox's public one."""
        return self.auth_token.reveal() if self.auth_token else SANDBOX_TOKEN

    @property
    def can_verify(self) -> bool:
        """Whether there is a secret to check signatures with.

        Raises `CredentialsError` (C11) if the auth token is set but empty: that never means
        "accept everything".
        """
        if self.auth_token is None and self.webhook_secret is None and TOKEN in self.empty:
            cure = "Set it, unset it, or say --no-verify"
            raise CredentialsError("C11", name=TOKEN, cure=cure)
        return self.auth_token is not None or self.webhook_secret is not None

    def rest_credentials(self) -> RestCredentials:
        """How to log in to Twilio's API: by API key if there is one, else by auth token.

        Raises `CredentialsError`: C1 if there are none, C2 if one is missing or cannot be right by
        its looks, C11 if the auth token is set but empty.
        """
        given = self._given()
        if not given:
            raise CredentialsError("C1")
        if wrong := misshapen(given):
            raise self._wrong(*wrong)
        by_key = self.api_key is not None and self.api_secret is not None
        if not by_key and self.account_sid and not self.auth_token and TOKEN in self.empty:
            cure = "Set it to the auth token of the account"
            raise CredentialsError("C11", name=TOKEN, cure=cure)
        if incomplete := self._incomplete(by_key=by_key):
            raise self._wrong(*incomplete)
        assert self.account_sid is not None
        secret = self.api_secret if by_key else self.auth_token
        username = self.api_key if by_key else self.account_sid
        assert secret is not None
        assert username is not None
        return RestCredentials(
            account_sid=self.account_sid,
            username=username,
            password=secret,
            source=self.source_of("api_secret" if by_key else "auth_token"),
            region=self.region,
            edge=self.edge,
            origin=self.twilio_url,
        )

    def notes(self, *, at: datetime) -> tuple[Problem, ...]:
        """Notes on other credentials that are ignored (C10), and on unchecked signatures (C5)."""
        notes = [
            Problem.of(
                "C10",
                at=at,
                account=masked(self.account_sid or ""),
                source=self.source_of("account_sid"),
                ignored=ignored,
                choice=choice,
            )
            for ignored, choice in self.others
        ]
        if self.api_key and self.auth_token is None and self.webhook_secret is None:
            notes.append(Problem.of("C5", at=at))
        return tuple(notes)

    def _given(self) -> dict[str, str]:
        values = {
            SID: self.account_sid,
            TOKEN: self.auth_token and self.auth_token.reveal(),
            KEY: self.api_key,
            KEY_SECRET: self.api_secret and self.api_secret.reveal(),
        }
        return {name: value for name, value in values.items() if value}

    def _incomplete(self, *, by_key: bool) -> tuple[str, str] | None:
        """The variable that stands alone, and what is missing beside it; None if nothing is."""
        if self.account_sid is None:
            alone = KEY if self.api_key else KEY_SECRET if self.api_secret else TOKEN
            return alone, f"{alone} is set without {SID}"
        if by_key or self.auth_token is not None:
            return None
        if self.api_key or self.api_secret:
            alone, missing = (KEY, KEY_SECRET) if self.api_key else (KEY_SECRET, KEY)
            return alone, f"{alone} is set without {missing}"
        elsewhere = self.unused.get(TOKEN) or self.unused.get(KEY)
        belonging = f"; what {elsewhere} has is for another account" if elsewhere else ""
        return SID, f"{SID} is set without {TOKEN} (or {KEY} and {KEY_SECRET}){belonging}"

    def _wrong(self, variable: str, what: str) -> CredentialsError:
        name = next(name for name, known in VARIABLES.items() if known == variable)
        source = self.source_of(name)
        if other := self.unused.get(variable):
            source += f" ({other} has another: to use that, unset the variable)"
        return CredentialsError("C2", what=what, source=source)
