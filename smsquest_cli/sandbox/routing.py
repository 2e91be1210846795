"""Who answers a number: the places where Twilio looks before the number's own ``SmsUrl``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from smsquest_cli.sandbox.resources import Webhook

if TYPE_CHECKING:
    from smsquest_cli.sandbox.account import Account
    from smsquest_cli.sandbox.resources import Application, PhoneNumber


@dataclass(frozen=True, slots=True)
class Route:
    """Where an inbound message goes: its webhook, the fallback, or None where nobody is asked."""

    webhook: Webhook | None = None
    fallback: Webhook | None = None
    dropped_by: str | None = None  # the Messaging Service that drops and does not log it
    taken_by: str | None = None  # the Conversations address that takes it


def route_of(account: Account, number: PhoneNumber) -> Route:
    """The route of what comes in for *number*.

    A Conversations address comes first, then its Messaging Service unless that defers to the
    number; of what is configured on the number, a TwiML app replaces the URLs.
    """
    with account.lock:
        if address := account.conversation_of(number):
            return Route(taken_by=address.sid)
        service = account.service_of(number)
        if service is None or service.use_inbound_webhook_on_number:
            return _own(account.applications.get(number.sms_application_sid) or number)
        if not service.inbound_request_url:
            return Route(dropped_by=service.sid)
        return Route(
            Webhook(service.inbound_request_url, service.inbound_method),
            _webhook(service.fallback_url, service.fallback_method),
        )


def _own(owner: PhoneNumber | Application) -> Route:
    return Route(
        _webhook(owner.sms_url, owner.sms_method),
        _webhook(owner.sms_fallback_url, owner.sms_fallback_method),
    )


def _webhook(url: str | None, method: str) -> Webhook | None:
    return Webhook(url, method or "POST") if url else None
