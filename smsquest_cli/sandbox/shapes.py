"""The JSON of Twilio's resources, field by field as its API documents them."""

from __future__ import annotations

from email.utils import format_datetime
from typing import TYPE_CHECKING, Any, Final

from smsquest_cli.explanations import short
from smsquest_cli.sandbox.forms import API_VERSION
from smsquest_cli.sandbox.resources import geography

if TYPE_CHECKING:
    from datetime import datetime

    from smsquest_cli.sandbox.account import Account
    from smsquest_cli.sandbox.resources import (
        Address,
        Alert,
        Application,
        Attachment,
        PhoneNumber,
        SandboxMessage,
        Service,
    )

ACCOUNTS: Final = f"/{API_VERSION}/Accounts"


def rfc2822(at: datetime | None) -> str | None:
    """A date of the 2010 API: ``Thu, 30 Jul 2015 20:12:31 +0000``."""
    return None if at is None else format_datetime(at)


def iso8601(at: datetime) -> str:
    """A date of a v1 API: ``2015-07-30T20:12:31Z``."""
    return f"{at:%Y-%m-%dT%H:%M:%SZ}"


def account_json(account: Account) -> dict[str, Any]:
    """An ``Account``; its token is left out."""
    uri = f"{ACCOUNTS}/{account.sid}"
    created = rfc2822(account.created)
    return {
        "auth_token": None,
        "date_created": created,
        "date_updated": created,
        "friendly_name": "smsquest sandbox",
        "owner_account_sid": account.sid,
        "sid": account.sid,
        "status": "active",
        "subresource_uris": {
            "incoming_phone_numbers": f"{uri}/IncomingPhoneNumbers.json",
            "messages": f"{uri}/Messages.json",
            "applications": f"{uri}/Applications.json",
        },
        "type": "Trial" if account.kind == "trial" else "Full",
        "uri": f"{uri}.json",
    }


def number_json(account: Account, number: PhoneNumber) -> dict[str, Any]:
    """An ``IncomingPhoneNumber``."""
    return {
        "account_sid": account.sid,
        "address_requirements": "none",
        "address_sid": None,
        "api_version": API_VERSION,
        "beta": False,
        "bundle_sid": None,
        "capabilities": {
            "fax": False, "mms": number.mms, "sms": number.sms, "voice": number.voice,
        },
        "date_created": rfc2822(number.created),
        "date_updated": rfc2822(number.updated),
        "emergency_address_sid": None,
        "emergency_address_status": "unregistered",
        "emergency_status": "Inactive",
        "friendly_name": number.friendly_name,
        "identity_sid": None,
        "origin": "twilio",
        "phone_number": number.phone_number,
        "sid": number.sid,
        "sms_application_sid": number.sms_application_sid,
        "sms_fallback_method": number.sms_fallback_method,
        "sms_fallback_url": number.sms_fallback_url,
        "sms_method": number.sms_method,
        "sms_url": number.sms_url,
        "status": "in-use",
        "status_callback": number.status_callback,
        "status_callback_method": number.status_callback_method,
        "subresource_uris": {},
        "trunk_sid": None,
        "type": "local",
        "uri": f"{ACCOUNTS}/{account.sid}/IncomingPhoneNumbers/{number.sid}.json",
        "voice_application_sid": number.voice_application_sid,
        "voice_caller_id_lookup": False,
        "voice_fallback_method": number.voice_fallback_method,
        "voice_fallback_url": number.voice_fallback_url,
        "voice_method": number.voice_method,
        "voice_receive_mode": "voice",
        "voice_url": number.voice_url,
    }  # fmt: skip


def application_json(account: Account, application: Application) -> dict[str, Any]:
    """An ``Application`` (TwiML app)."""
    return {
        "account_sid": account.sid,
        "api_version": API_VERSION,
        "date_created": rfc2822(application.created),
        "date_updated": rfc2822(application.updated),
        "friendly_name": application.friendly_name,
        "message_status_callback": application.message_status_callback,
        "public_application_connect_enabled": False,
        "sid": application.sid,
        "sms_fallback_method": application.sms_fallback_method,
        "sms_fallback_url": application.sms_fallback_url,
        "sms_method": application.sms_method,
        "sms_status_callback": application.sms_status_callback,
        "sms_url": application.sms_url,
        "status_callback": "",
        "status_callback_method": "POST",
        "uri": f"{ACCOUNTS}/{account.sid}/Applications/{application.sid}.json",
        "voice_caller_id_lookup": False,
        "voice_fallback_method": "POST",
        "voice_fallback_url": "",
        "voice_method": "POST",
        "voice_url": "",
    }


def message_json(account: Account, message: SandboxMessage) -> dict[str, Any]:
    """A ``Message``; counts and the price are strings, as Twilio has them."""
    uri = f"{ACCOUNTS}/{account.sid}/Messages/{message.sid}"
    # A service counts segments and chooses the sender only when it sends.
    waiting = message.status in ("accepted", "scheduled")
    return {
        "account_sid": account.sid,
        "api_version": API_VERSION,
        "body": message.body,
        "date_created": rfc2822(message.created),
        "date_sent": rfc2822(message.sent),
        "date_updated": rfc2822(message.updated),
        "direction": message.direction,
        "error_code": message.error_code,
        "error_message": short(message.error_code) if message.error_code else None,
        "from": message.from_,
        "messaging_service_sid": message.service_sid,
        "num_media": str(len(message.media)),
        "num_segments": "0" if waiting else str(message.segments),
        "price": None,
        "price_unit": "USD",
        "sid": message.sid,
        "status": message.status,
        "subresource_uris": {"media": f"{uri}/Media.json", "feedback": f"{uri}/Feedback.json"},
        "to": message.to,
        "uri": f"{uri}.json",
    }


def media_json(account: Account, message: SandboxMessage, medium: Attachment) -> dict[str, Any]:
    """A ``Media`` of a message."""
    uri = f"{ACCOUNTS}/{account.sid}/Messages/{message.sid}/Media/{medium.sid}.json"
    return {
        "account_sid": account.sid,
        "content_type": medium.content_type,
        "date_created": rfc2822(message.created),
        "date_updated": rfc2822(message.created),
        "parent_sid": message.sid,
        "sid": medium.sid,
        "uri": uri,
    }


def service_json(account: Account, service: Service, origin: str) -> dict[str, Any]:
    """A Messaging ``Service``; *origin* begins its URLs."""
    url = f"{origin}/v1/Services/{service.sid}"
    return {
        "account_sid": account.sid,
        "area_code_geomatch": True,
        "date_created": iso8601(service.created),
        "date_updated": iso8601(service.updated),
        "fallback_method": service.fallback_method,
        "fallback_to_long_code": True,
        "fallback_url": service.fallback_url,
        "friendly_name": service.friendly_name,
        "inbound_method": service.inbound_method,
        "inbound_request_url": service.inbound_request_url,
        "links": {
            "phone_numbers": f"{url}/PhoneNumbers",
            "short_codes": f"{url}/ShortCodes",
            "alpha_senders": f"{url}/AlphaSenders",
        },
        "mms_converter": True,
        "scan_message_content": "inherit",
        "sid": service.sid,
        "smart_encoding": False,
        "status_callback": service.status_callback,
        "sticky_sender": True,
        "synchronous_validation": False,
        "url": url,
        "us_app_to_person_registered": False,
        "use_inbound_webhook_on_number": service.use_inbound_webhook_on_number,
        "usecase": "undeclared",
        "validity_period": 36000,
    }


def sender_json(
    account: Account, service: Service, number: PhoneNumber, origin: str
) -> dict[str, Any]:
    """A ``PhoneNumber`` of a Messaging Service."""
    capabilities = {"SMS": number.sms, "MMS": number.mms, "Voice": number.voice}
    return {
        "account_sid": account.sid,
        "capabilities": [name for name, has in capabilities.items() if has],
        "country_code": geography(number.phone_number)[3],
        "date_created": iso8601(service.created),
        "date_updated": iso8601(service.updated),
        "phone_number": number.phone_number,
        "service_sid": service.sid,
        "sid": number.sid,
        "url": f"{origin}/v1/Services/{service.sid}/PhoneNumbers/{number.sid}",
    }


def address_json(account: Account, address: Address, origin: str) -> dict[str, Any]:
    """A Conversations ``AddressConfiguration``."""
    return {
        "account_sid": account.sid,
        "address": address.address,
        "address_country": geography(address.address)[3] or None,
        "auto_creation": {
            "enabled": address.auto_creation,
            "type": "default",
            "conversation_service_sid": None,
        },
        "date_created": iso8601(address.created),
        "date_updated": iso8601(address.updated),
        "friendly_name": address.friendly_name,
        "sid": address.sid,
        "type": "sms",
        "url": f"{origin}/v1/Configuration/Addresses/{address.sid}",
    }


def alert_json(account: Account, alert: Alert, origin: str, *, whole: bool) -> dict[str, Any]:
    """A Monitor ``Alert``; only one that is fetched alone (*whole*) has request and response."""
    at = iso8601(alert.at)
    shape = {
        "account_sid": account.sid,
        "alert_text": alert.text,
        "api_version": API_VERSION,
        "date_created": at,
        "date_generated": at,
        "date_updated": at,
        "error_code": str(alert.code),
        "log_level": alert.level,
        "more_info": f"https://www.twilio.com/docs/errors/{alert.code}",
        "request_method": alert.request_method,
        "request_url": alert.request_url,
        "resource_sid": alert.resource_sid,
        "service_sid": None,
        "sid": alert.sid,
        "url": f"{origin}/v1/Alerts/{alert.sid}",
    }
    if whole:
        shape["request_headers"] = ""
        shape["request_variables"] = alert.request_variables
        shape["response_headers"] = alert.response_headers
        shape["response_body"] = alert.response_body
    return shape
