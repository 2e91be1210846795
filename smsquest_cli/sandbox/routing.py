"""Where the sandbox delivers a message for a number, in Twilio's order of precedence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from smsquest_cli.sandbox.resources import Webhook

if TYPE_CHECKING:
    from smsquest_cli.sandbox.account import Account
    from smsquest_cli.sandbox.resources import Application, PhoneNumber


@dataclass(frozen=True, slots=True)
class Route:
    """Where an inbound message goes: its webhook, the fallback, or None if nobody is asked."""

    webhook: Webhook | None = None
    fallback: Webhook | None = None
    dropped_by: str | None = None  # the Messaging Service that drops and does not log it
    taken_by: str | None = None  # the Conversations address that takes it


def route_of(account: Account, number: PhoneNumber) -> Route:
    """The route of the messages for *number*.

    A Conversations address comes first, then its Messaging Service unless that defers to the
    number; if the number itself answers, its TwiML app replaces its URLs.
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
