"""Twilio's refusals as problems that the user can act on, each with its code and next step."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from smsquest_cli.credentials import masked
from smsquest_cli.limits import LONGEST_CALLBACK
from smsquest_cli.problems import CredentialsError, NumberError, SmsquestError, TwilioRefusedError

if TYPE_CHECKING:
    from smsquest_cli.credentials import RestCredentials
    from smsquest_cli.twilio_api.http import RefusalError

AUTHENTICATE: Final = 20003
NOT_ACTIVE: Final = 20005
TEST_CREDENTIALS: Final = 20008
NOT_FOUND: Final = 20404
NO_SMS: Final = 21407
UNVERIFIED: Final = 21608
BAD_CALLBACK: Final = 21609
OPTED_OUT: Final = 21610
NO_PERMISSION: Final = 70051
UNAUTHORIZED: Final = 401


class RefusedRequestError(TwilioRefusedError):
    """A request that Twilio refused (W1), with its ``code`` for callers that can deal with it."""

    def __init__(self, *, action: str, status: int, code: int, message: str) -> None:
        super().__init__("W1", action=action, status=status, code=code, message=message)
        self.code = code

    @property
    def is_missing(self) -> bool:
        """Whether there is no such resource, or none any more."""
        return self.code == NOT_FOUND


def problem_of(  # noqa: PLR0911 - one for each code
    refusal: RefusalError,
    login: RestCredentials,
    *,
    action: str,
    permission: str,
    number: str = "",
    callback: str = "",
) -> SmsquestError:
    """The problem behind *refusal* of the request to *action*, made with *login*.

    *number* and *callback* are what the request was about.
    """
    code = refusal.code
    if code == TEST_CREDENTIALS:
        return CredentialsError("C8")
    if code == NO_PERMISSION:
        return CredentialsError("C4", action=action, permission=permission)
    if code == NOT_ACTIVE:
        what = f"Twilio has suspended or closed {masked(login.account_sid)} ({code})"
        return CredentialsError("C2", what=what, source=login.source)
    if code == AUTHENTICATE or refusal.status == UNAUTHORIZED:
        return CredentialsError("C2", what=_rejected(login, code), source=login.source)
    if code == NO_SMS:
        return NumberError("N11", number=number)
    if code == UNVERIFIED:
        return TwilioRefusedError("D5", to=number, code=code)
    if code == OPTED_OUT:
        return TwilioRefusedError("D8", number=number)
    if code == BAD_CALLBACK:
        return TwilioRefusedError("N10", url=callback, reason=_fault_of(callback))
    return RefusedRequestError(
        action=action, status=refusal.status, code=code, message=refusal.message
    )


def _rejected(login: RestCredentials, code: int) -> str:
    account = masked(login.account_sid)
    region = f", region {login.region}" if login.region else ""
    what = f"API key {masked(login.username)} for" if login.by_key else "credentials for"
    return f"Twilio rejected the {what} {account} ({code}{region})"


def _fault_of(url: str) -> str:
    """Why Twilio refuses *url* as a status callback."""
    scheme, separator, rest = url.partition("://")
    host = re.split("[/?#]", rest, maxsplit=1)[0].rpartition("@")[2]
    if not separator or scheme.lower() not in ("http", "https"):
        return "relative"
    if len(url) > LONGEST_CALLBACK:
        return "too long"
    return "underscore in host" if "_" in host else f"Twilio does not take its host, {host}"
