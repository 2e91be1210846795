"""Twilio's REST API: the few calls that smsquest makes, its answers as values, its errors as ours.

The layers above see no type and no exception of Twilio's SDK, which is imported with the first
call.
"""

from __future__ import annotations

from smsquest_cli.twilio_api.gateway import TwilioGateway
from smsquest_cli.twilio_api.refusals import RefusedRequestError
from smsquest_cli.twilio_api.values import (
    Account,
    Alert,
    Application,
    ConversationsAddress,
    PhoneNumber,
    SentMessage,
    Service,
)

__all__ = [
    "Account",
    "Alert",
    "Application",
    "ConversationsAddress",
    "PhoneNumber",
    "RefusedRequestError",
    "SentMessage",
    "Service",
    "TwilioGateway",
]
