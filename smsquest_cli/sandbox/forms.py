"""The parameters of Twilio's webhooks, in the order in which real ones were captured."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from smsquest_cli.sandbox.resources import geography

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from smsquest_cli.sandbox.resources import SandboxMessage

    Pairs = tuple[tuple[str, str], ...]

API_VERSION: Final = "2010-04-01"
RECEIPT_STATUSES: Final = ("delivered", "undelivered")  # those that come from a carrier's receipt


def inbound_pairs(
    message: SandboxMessage,
    account_sid: str,
    *,
    opt_out: str | None = None,
    parameters: Mapping[str, str] | None = None,
) -> Pairs:
    """The form of the webhook for inbound *message*.

    *opt_out* is sent as ``OptOutType``. *parameters* replace those of the same name and add
    others.
    """
    sender = message.from_ or ""
    from_city, from_state, from_zip, from_country = geography(sender)
    to_city, to_state, to_zip, to_country = geography(message.to)
    pairs: list[tuple[str, str | None]] = [
        ("ToCountry", to_country),
        *((f"MediaContentType{n}", media.content_type) for n, media in enumerate(message.media)),
        ("ToState", to_state),
        ("SmsMessageSid", message.sid),
        ("NumMedia", str(len(message.media))),
        ("ToCity", to_city),
        ("FromZip", from_zip),
        ("SmsSid", message.sid),
        ("OptOutType", opt_out),
        ("FromState", from_state),
        ("SmsStatus", "received"),
        ("FromCity", from_city),
        ("Body", message.body),
        ("FromCountry", from_country),
        ("To", message.to),
        ("MessagingServiceSid", message.service_sid),
        ("ToZip", to_zip),
        ("NumSegments", str(message.segments)),
        ("MessageSid", message.sid),
        ("AccountSid", account_sid),
        ("From", sender),
        *((f"MediaUrl{n}", media.url) for n, media in enumerate(message.media)),
        ("ApiVersion", API_VERSION),
    ]
    return with_parameters(pairs, parameters or {})


def callback_pairs(message: SandboxMessage, account_sid: str, status: str) -> Pairs:
    """The form of a status callback: *message* has come to *status*."""
    bad = status in ("failed", "undelivered") and message.error_code
    receipt = f"{message.updated:%y%m%d%H%M}" if status in RECEIPT_STATUSES else None
    pairs: list[tuple[str, str | None]] = [
        ("ErrorCode", str(message.error_code) if bad else None),
        ("SmsSid", message.sid),
        ("SmsStatus", status),
        ("MessageStatus", status),
        ("To", message.to),
        ("MessagingServiceSid", message.service_sid),
        ("MessageSid", message.sid),
        ("AccountSid", account_sid),
        ("From", message.from_),
        ("RawDlrDoneDate", receipt),
        ("ApiVersion", API_VERSION),
    ]
    return with_parameters(pairs, {})


def with_parameters(
    pairs: Iterable[tuple[str, str | None]], parameters: Mapping[str, str]
) -> Pairs:
    """*pairs* without those that have no value; *parameters* in their place or after them."""
    kept = [(name, parameters.get(name, value)) for name, value in pairs]
    names = {name for name, _ in kept}
    added = [(name, value) for name, value in parameters.items() if name not in names]
    return tuple((name, value) for name, value in (*kept, *added) if value is not None)
