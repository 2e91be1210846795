"""What Twilio sends, as plain frozen values: an inbound message, a status update.

The field names are Twilio's, in snake case (``MessageSid`` is ``sid``, ``From`` is ``from_``).
Source of the shapes: Twilio's "Messaging webhooks" and "Track outbound message status" pages.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from smsquest_cli.limits import MOST_MEDIA

if TYPE_CHECKING:
    from collections.abc import Mapping

# Default keywords of Twilio's opt-out handling on long codes; a single word, any case.
_OPT_OUT_KEYWORDS: Final[Mapping[str, str]] = {
    **dict.fromkeys(
        ("STOP", "STOPALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT", "REVOKE", "OPTOUT"), "STOP"
    ),
    **dict.fromkeys(("START", "YES", "UNSTOP"), "START"),
    **dict.fromkeys(("HELP", "INFO"), "HELP"),
}

IDEMPOTENCY: Final = "I-Twilio-Idempotency-Token"  # the same in every try of one webhook

MAX_DIGITS: Final = 9  # no number among Twilio's fields is longer


def opt_out_of(body: str) -> str | None:
    """STOP, START or HELP if *body* is a word that Twilio takes for that, else None."""
    return _OPT_OUT_KEYWORDS.get(body.strip().upper())


class MalformedWebhookError(ValueError):
    """A webhook without the fields that Twilio always sends; ``str()`` names what is wrong."""


@dataclass(frozen=True, slots=True)
class Media:
    """One attachment of an MMS: where it can be fetched, and its MIME type."""

    url: str
    content_type: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """An inbound message, as the webhook of a number or Messaging Service tells it."""

    sid: str
    account_sid: str
    from_: str
    to: str
    body: str = ""
    segments: int = 1
    media: tuple[Media, ...] = ()
    opt_out: str | None = None
    error_code: int | None = None  # only on a request to the fallback URL: why it is used
    error_url: str | None = None
    parameters: Mapping[str, str] = field(default_factory=dict, repr=False)

    @classmethod
    def from_webhook(cls, form: Mapping[str, str]) -> Message:
        """Read the form of an inbound webhook.

        Unknown parameters are kept in ``parameters``. Raises `MalformedWebhookError` when one that
        Twilio always sends (``MessageSid``, ``AccountSid``, ``From``, ``To``) is missing.
        """
        sid, account, from_, to = _required(form, "MessageSid", "AccountSid", "From", "To")
        body = form.get("Body", "")
        count = min(_number(form.get("NumMedia")) or 0, MOST_MEDIA)
        return cls(
            sid=sid,
            account_sid=account,
            from_=from_,
            to=to,
            body=body,
            segments=_number(form.get("NumSegments")) or 1,
            media=tuple(
                Media(url, form.get(f"MediaContentType{index}"))
                for index in range(count)
                if (url := form.get(f"MediaUrl{index}"))
            ),
            opt_out=form.get("OptOutType") or opt_out_of(body),
            error_code=_number(form.get("ErrorCode")),
            error_url=form.get("ErrorUrl"),
            parameters=form,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusUpdate:
    """One status callback: where a message has got to, and Twilio's error code if it failed."""

    sid: str
    status: str  # not an enum: Twilio may add one, and then we want to show it
    account_sid: str | None = None
    from_: str | None = None
    to: str | None = None
    error_code: int | None = None

    @classmethod
    def from_webhook(cls, form: Mapping[str, str]) -> StatusUpdate:
        """Read the form of a status callback.

        Raises `MalformedWebhookError` without ``MessageSid`` and ``MessageStatus`` (or the older
        ``SmsSid`` and ``SmsStatus``).
        """
        sid = form.get("MessageSid") or form.get("SmsSid")
        status = form.get("MessageStatus") or form.get("SmsStatus")
        if not sid or not status:
            raise MalformedWebhookError(
                "no "
                + " and ".join(
                    name
                    for name, value in (("MessageSid", sid), ("MessageStatus", status))
                    if not value
                )
            )
        return cls(
            sid=sid,
            status=status,
            account_sid=form.get("AccountSid") or None,
            from_=form.get("From") or None,
            to=form.get("To") or None,
            error_code=_number(form.get("ErrorCode")),
        )


def _required(form: Mapping[str, str], *names: str) -> list[str]:
    values = [form.get(name, "") for name in names]
    if missing := [name for name, value in zip(names, values, strict=True) if not value]:
        raise MalformedWebhookError("no " + " and ".join(missing))
    return values


def _number(text: str | None) -> int | None:
    """The number in *text*, if it is plain ASCII digits, else None: Twilio's fields are strings."""
    plain = text and len(text) <= MAX_DIGITS and text.isascii() and text.isdigit()
    return int(text) if text and plain else None
