"""What a pretend Twilio account owns, as records under Twilio's own names in snake case.

They are mutable, unlike the values elsewhere: this *is* the state that Twilio's REST API changes.
Whoever reads or changes one must hold the lock of its `account.Account`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from smsquest_cli.events import Step

METHODS: Final = ("GET", "POST")


@dataclass(frozen=True, slots=True)
class Webhook:
    """An address to call as it was configured, fragment and user name included."""

    url: str
    method: str = "POST"


@dataclass(slots=True, kw_only=True)
class PhoneNumber:
    """A number of the account (``IncomingPhoneNumber``), with the webhooks it is configured for."""

    sid: str
    phone_number: str
    created: datetime
    updated: datetime
    friendly_name: str = ""
    sms_url: str = ""
    sms_method: str = "POST"
    sms_fallback_url: str = ""
    sms_fallback_method: str = "POST"
    sms_application_sid: str = ""
    voice_url: str = ""
    voice_method: str = "POST"
    voice_fallback_url: str = ""
    voice_fallback_method: str = "POST"
    voice_application_sid: str = ""
    status_callback: str = ""
    status_callback_method: str = "POST"
    sms: bool = True
    mms: bool = True
    voice: bool = True


@dataclass(slots=True, kw_only=True)
class Application:
    """A TwiML app: while a number names it for SMS, its URLs replace the number's."""

    sid: str
    created: datetime
    updated: datetime
    friendly_name: str = ""
    sms_url: str = ""
    sms_method: str = "POST"
    sms_fallback_url: str = ""
    sms_fallback_method: str = "POST"
    sms_status_callback: str = ""
    message_status_callback: str = ""


@dataclass(slots=True, kw_only=True)
class Service:
    """A Messaging Service and the numbers in it; without an inbound URL it drops what comes in."""

    sid: str
    created: datetime
    updated: datetime
    friendly_name: str
    inbound_request_url: str | None = None
    inbound_method: str = "POST"
    fallback_url: str | None = None
    fallback_method: str = "POST"
    status_callback: str | None = None
    use_inbound_webhook_on_number: bool = False
    number_sids: list[str] = field(default_factory=list)
    advanced_opt_out: bool = False  # set in Twilio's Console only; sends OptOutType


@dataclass(slots=True, kw_only=True)
class Address:
    """A Conversations address: with ``auto_creation`` a Conversation takes what comes in."""

    sid: str
    address: str
    created: datetime
    updated: datetime
    friendly_name: str = ""
    auto_creation: bool = False


@dataclass(frozen=True, slots=True)
class Attachment:
    """One medium of a message: its SID, where it really is, its MIME type."""

    sid: str
    url: str
    content_type: str


@dataclass(frozen=True, slots=True)
class Callback:
    """A status callback that was made: about which status, and how it was answered."""

    status: str
    url: str
    answer: int | None  # the HTTP status; None if none came
    error_code: int | None = None


@dataclass(slots=True, kw_only=True)
class SandboxMessage:
    """A message in the account's log, and what the sandbox knows about its life beyond that."""

    sid: str
    direction: str  # inbound, outbound-api or outbound-reply
    from_: str | None
    to: str
    body: str
    created: datetime
    updated: datetime
    status: str
    segments: int = 1
    media: tuple[Attachment, ...] = ()
    sent: datetime | None = None
    error_code: int | None = None
    service_sid: str | None = None
    callback: Webhook | None = None
    in_reply_to: str | None = None
    history: list[Step] = field(default_factory=list)  # every status it has had, in order
    callbacks: list[Callback] = field(default_factory=list)  # every one made, in order


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """An entry of the account's debugger (Monitor alert): what was wrong with a webhook."""

    sid: str
    code: int
    text: str
    at: datetime
    resource_sid: str
    level: str = "error"  # or warning
    request_url: str = ""
    request_method: str = ""
    request_variables: str = ""
    response_headers: str = ""
    response_body: str = ""


@dataclass(frozen=True, slots=True)
class ApiKey:
    """An API key of the account; a Standard one may not read accounts or keys."""

    sid: str
    secret: str = field(repr=False)
    standard: bool = True


GEOGRAPHY: Final[Mapping[str, tuple[str, str, str, str]]] = {
    # prefix: city, state, zip, country; Twilio sends empty strings for what it does not know
    "+1202": ("WASHINGTON", "DC", "20001", "US"),
    "+1212": ("NEW YORK", "NY", "10001", "US"),
    "+1415": ("SAN FRANCISCO", "CA", "94103", "US"),
    "+1416": ("TORONTO", "ON", "", "CA"),
    "+1514": ("MONTREAL", "QC", "", "CA"),
    "+1604": ("VANCOUVER", "BC", "", "CA"),
    "+1": ("", "", "", "US"),
    "+27": ("", "", "", "ZA"),
    "+31": ("", "", "", "NL"),
    "+33": ("", "", "", "FR"),
    "+34": ("", "", "", "ES"),
    "+39": ("", "", "", "IT"),
    "+41": ("", "", "", "CH"),
    "+43": ("", "", "", "AT"),
    "+44": ("", "", "", "GB"),
    "+46": ("", "", "", "SE"),
    "+48": ("", "", "", "PL"),
    "+49": ("", "", "", "DE"),
    "+52": ("", "", "", "MX"),
    "+55": ("", "", "", "BR"),
    "+61": ("", "", "", "AU"),
    "+65": ("", "", "", "SG"),
    "+81": ("", "", "", "JP"),
    "+91": ("", "", "", "IN"),
    "+353": ("", "", "", "IE"),
}


def geography(number: str) -> tuple[str, str, str, str]:
    """City, state, zip and country of *number* as Twilio would send them, each perhaps empty."""
    prefixes = (number[:length] for length in range(5, 1, -1))
    return next((GEOGRAPHY[prefix] for prefix in prefixes if prefix in GEOGRAPHY), ("",) * 4)
