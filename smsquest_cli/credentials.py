"""What a Twilio credential is: secrets that hide themselves, shapes that can be checked offline."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

TOKEN_LENGTH: Final = 32
SANDBOX_TOKEN: Final = "0" * 32  # public on purpose: it guards nothing but a pretend account
_SID: Final = re.compile(r"(AC|SK)[0-9a-fA-F]{32}")
_HEX: Final = re.compile(r"[0-9a-fA-F]*")
_QUOTES: Final = "'\"\u2018\u2019\u201c\u201d"  # the curly ones of word processors too
_SHORTEST_MASKED: Final = 12


class Secret:
    """A text that shows itself in no ``repr``, log or message; `reveal` gives it."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The text itself, for the one place that needs it."""
        return self._text

    def __repr__(self) -> str:
        return "Secret(***)"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        return hash(self._text)

    def __reduce__(self) -> str:
        raise TypeError("a secret is not written anywhere")


@dataclass(frozen=True, slots=True, kw_only=True)
class RestCredentials:
    """How to log in to Twilio's REST API, and where it is."""

    account_sid: str
    username: str  # the account SID, or the SID of an API key
    password: Secret
    source: str  # where they were read: "environment", ".env line 2"
    region: str | None = None
    edge: str | None = None
    origin: str | None = None  # of a server other than Twilio's

    @property
    def by_key(self) -> bool:
        """Whether this is an API key, which may not do everything that the auth token may."""
        return self.username != self.account_sid


def masked(sid: str) -> str:
    """*sid* as screens show it: ``AC12…9f``."""
    return sid if len(sid) < _SHORTEST_MASKED else f"{sid[:4]}…{sid[-2:]}"


def misshapen(values: Mapping[str, str]) -> tuple[str, str] | None:
    """What looks wrong with credentials, as (variable, words without the value).

    *values* are those that are set, by their variables' names. None if they look right.
    """
    for name, value in values.items():
        if words := _untidy(name, value):
            return name, words
    sid, token = values.get("TWILIO_ACCOUNT_SID", ""), values.get("TWILIO_AUTH_TOKEN", "")
    if _looks_like_token(sid) and _SID.fullmatch(token):
        return "TWILIO_ACCOUNT_SID", "TWILIO_ACCOUNT_SID and TWILIO_AUTH_TOKEN are swapped"
    for name, value in values.items():
        if words := _CHECKS[name](name, value):
            return name, words
    return None


def _untidy(name: str, value: str) -> str | None:
    if value[0] in _QUOTES or value[-1] in _QUOTES:
        return f"{name} has quotes in its value"
    if value != value.strip():
        return f"{name} has a blank {'before' if value[0].isspace() else 'after'} its value"
    if any(character.isspace() for character in value):
        return f"{name} has a blank in its value"
    return None


def _check_sid(prefix: str, kind: str, name: str, value: str) -> str | None:
    other = _SID.fullmatch(value)
    if other and other[1] != prefix:
        what = "an API key (SK…)" if other[1] == "SK" else "an account SID (AC…)"
        return f"{name} holds {what}; {kind} begins with {prefix}"
    if _looks_like_token(value):
        return f"{name} holds what looks like an auth token; {kind} begins with {prefix}"
    length = len(prefix) + TOKEN_LENGTH
    if len(value) != length:
        return f"{name} has {_characters(value)}, {kind} has {length}"
    return None if other else f"{name} is not {prefix} and {TOKEN_LENGTH} hex digits"


def _check_account_sid(name: str, value: str) -> str | None:
    return _check_sid("AC", "an account SID", name, value)


def _check_api_key(name: str, value: str) -> str | None:
    return _check_sid("SK", "an API key", name, value)


def _check_token(name: str, value: str) -> str | None:
    if _SID.fullmatch(value):
        return f"{name} holds a SID ({value[:2]}…), no token"
    if len(value) != TOKEN_LENGTH:
        return f"{name} has {_characters(value)}, a token has {TOKEN_LENGTH}"
    if not _HEX.fullmatch(value):
        return f"{name} is not {TOKEN_LENGTH} hex digits"
    return None


def _check_secret(name: str, value: str) -> str | None:
    if _SID.fullmatch(value):
        return f"{name} holds a SID ({value[:2]}…), no secret"
    return None if value.isascii() else f"{name} has a character that no secret has"


_CHECKS: Final = {
    "TWILIO_ACCOUNT_SID": _check_account_sid,
    "TWILIO_AUTH_TOKEN": _check_token,
    "TWILIO_API_KEY": _check_api_key,
    "TWILIO_API_SECRET": _check_secret,
}


def _looks_like_token(value: str) -> bool:
    return len(value) == TOKEN_LENGTH and _HEX.fullmatch(value) is not None


def _characters(value: str) -> str:
    return "1 character" if len(value) == 1 else f"{len(value)} characters"
