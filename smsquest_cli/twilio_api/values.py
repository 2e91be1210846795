"""What Twilio's API tells, as frozen values; an unset field is an empty string, as when writing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class PhoneNumber:
    """A number of the account, and what is configured for its SMS."""

    sid: str
    phone_number: str
    friendly_name: str = ""
    sms_url: str = ""
    sms_method: str = "POST"
    sms_fallback_url: str = ""
    sms_fallback_method: str = "POST"
    sms_application_sid: str = ""
    sms: bool = True  # whether the number can do SMS at all
    date_updated: datetime | None = None

    @property
    def name(self) -> str:
        """The name that somebody gave it; Twilio's default, the number itself, does not count."""
        digits = "".join(filter(str.isdigit, self.friendly_name))
        national = digits and self.phone_number.endswith(digits)
        only_digits = not any(map(str.isalpha, self.friendly_name))
        return "" if national and only_digits else self.friendly_name

    @classmethod
    def of(cls, found: Any) -> PhoneNumber:  # noqa: ANN401 - an instance of the SDK
        """The value of an ``IncomingPhoneNumber``."""
        capabilities = found.capabilities if isinstance(found.capabilities, dict) else {}
        return cls(
            sid=_text(found.sid),
            phone_number=_text(found.phone_number),
            friendly_name=_text(found.friendly_name),
            sms_url=_text(found.sms_url),
            sms_method=_text(found.sms_method) or "POST",
            sms_fallback_url=_text(found.sms_fallback_url),
            sms_fallback_method=_text(found.sms_fallback_method) or "POST",
            sms_application_sid=_text(found.sms_application_sid),
            sms=capabilities.get("sms", capabilities.get("SMS", True)) is not False,
            date_updated=_moment(found.date_updated),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """A Messaging Service, and what it does with inbound messages."""

    sid: str
    friendly_name: str = ""
    inbound_request_url: str = ""  # without one it drops inbound messages
    inbound_method: str = "POST"
    fallback_url: str = ""
    use_inbound_webhook_on_number: bool = False  # "defer to sender's webhook"
    date_updated: datetime | None = None

    @classmethod
    def of(cls, found: Any) -> Service:  # noqa: ANN401
        """The value of a ``Service`` of the Messaging API."""
        return cls(
            sid=_text(found.sid),
            friendly_name=_text(found.friendly_name),
            inbound_request_url=_text(found.inbound_request_url),
            inbound_method=_text(found.inbound_method) or "POST",
            fallback_url=_text(found.fallback_url),
            use_inbound_webhook_on_number=found.use_inbound_webhook_on_number is True,
            date_updated=_moment(found.date_updated),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Application:
    """A TwiML app: what it calls for SMS."""

    sid: str
    friendly_name: str = ""
    sms_url: str = ""
    sms_method: str = "POST"

    @classmethod
    def of(cls, found: Any) -> Application:  # noqa: ANN401
        """The value of an ``Application``."""
        return cls(
            sid=_text(found.sid),
            friendly_name=_text(found.friendly_name),
            sms_url=_text(found.sms_url),
            sms_method=_text(found.sms_method) or "POST",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversationsAddress:
    """An address of the Conversations API; if enabled, a Conversation takes what comes in."""

    sid: str
    address: str
    enabled: bool

    @classmethod
    def of(cls, found: Any) -> ConversationsAddress:  # noqa: ANN401
        """The value of an ``AddressConfiguration``."""
        creation = found.auto_creation if isinstance(found.auto_creation, dict) else {}
        return cls(
            sid=_text(found.sid),
            address=_text(found.address),
            enabled=creation.get("enabled") is True,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SentMessage:
    """A message of the account's log, sent by it or to it."""

    sid: str
    direction: str  # inbound, outbound-api, outbound-reply, outbound-call
    to: str
    body: str
    status: str
    from_: str | None = None
    error_code: int | None = None
    service_sid: str | None = None
    segments: int = 1
    created: datetime | None = None
    sent: datetime | None = None
    updated: datetime | None = None

    @property
    def is_inbound(self) -> bool:
        """Whether a phone sent it to the account."""
        return self.direction == "inbound"

    @classmethod
    def of(cls, found: Any) -> SentMessage:  # noqa: ANN401
        """The value of a ``Message``."""
        return cls(
            sid=_text(found.sid),
            direction=_text(found.direction),
            to=_text(found.to),
            body=_text(found.body),
            status=_text(found.status),
            from_=found.from_ or None,
            error_code=_number(found.error_code),
            service_sid=found.messaging_service_sid or None,
            segments=_number(found.num_segments) or 0,
            created=_moment(found.date_created),
            sent=_moment(found.date_sent),
            updated=_moment(found.date_updated),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """An entry of the account's error log: what was wrong with a webhook."""

    sid: str
    code: int | None
    url: str
    level: str = "error"
    resource_sid: str = ""
    at: datetime | None = None

    @classmethod
    def of(cls, found: Any) -> Alert:  # noqa: ANN401
        """The value of an ``Alert`` of the Monitor API."""
        return cls(
            sid=_text(found.sid),
            code=_number(found.error_code),
            url=_text(found.request_url),
            level=_text(found.log_level),
            resource_sid=_text(found.resource_sid),
            at=_moment(found.date_generated) or _moment(found.date_created),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """The account itself."""

    sid: str
    friendly_name: str = ""
    type: str = ""  # Trial or Full
    status: str = ""

    @property
    def is_trial(self) -> bool:
        """Whether it may only text verified numbers."""
        return self.type.lower() == "trial"

    @classmethod
    def of(cls, found: Any) -> Account:  # noqa: ANN401
        """The value of an ``Account``."""
        return cls(
            sid=_text(found.sid),
            friendly_name=_text(found.friendly_name),
            type=_text(found.type),
            status=_text(found.status),
        )


def _text(value: object) -> str:
    """Text as it is; None, which means unset, becomes empty."""
    return "" if value is None else str(value)


def _moment(value: object) -> datetime | None:
    """A date that the SDK could read; one that it could not is a text, and None here."""
    return value if isinstance(value, datetime) else None


def _number(value: object) -> int | None:
    try:
        return int(str(value))
    except ValueError:
        return None
