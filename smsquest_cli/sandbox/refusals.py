"""The errors of Twilio's REST API: status, code, and the words that real ones were seen with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from smsquest_cli.explanations import short

if TYPE_CHECKING:
    from collections.abc import Mapping

# The HTTP statuses of codes; all others have 400.
STATUSES: Final[Mapping[int, int]] = {
    20003: 401,
    20004: 405,
    20008: 403,
    20009: 409,
    20403: 403,
    20404: 404,
    20409: 409,
    20429: 429,
    20500: 500,
    20503: 503,
    21710: 409,
    21712: 409,
}

# The words of the errors that programs and people look at; the others say what the code means.
MESSAGES: Final[Mapping[int, str]] = {
    20003: "Authenticate",
    20004: "Method not allowed",
    20008: "Resource not accessible with Test Account Credentials",
    20009: "Cannot delete message because delivery has not been completed.",
    20404: "The requested resource {path} was not found",
    20429: "Too Many Requests",
    20503: "Service is unavailable. Please try again.",
    21211: "The 'To' number {to} is not a valid phone number.",
    21212: "The 'From' number {from_} is not a valid phone number, shortcode, or alphanumeric "
    "sender ID.",
    21266: "'To' and 'From' number cannot be the same: {to}",
    21402: "Invalid Url: {url}",
    21403: "Invalid Method: {method}",
    21406: "Cannot set SmsFallbackUrl without setting SmsUrl",
    21407: "This Phone Number type does not support SMS",
    21408: "Permission to send an SMS has not been enabled for the region indicated by the 'To' "
    "number: {to}.",
    21420: "ApplicationSid is not accessible: {sid}",
    21421: "PhoneNumber is invalid: {number}",
    21422: "PhoneNumber is not available: {number}",
    21481: "Invalid PageToken",
    21502: "Invalid callback url: {url}",
    21602: "Message body is required.",
    21603: "A 'From' or 'MessagingServiceSid' parameter is required to send a message.",
    21604: "A 'To' phone number is required.",
    21606: "The From phone number {from_} is not a valid, SMS-capable inbound phone number or "
    "short code for your account.",
    21608: "The number {to} is unverified. Trial accounts cannot send messages to unverified "
    "numbers; verify {to} at twilio.com/user/account/phone-numbers/verified, or purchase a Twilio "
    "number to send messages to unverified numbers",
    21609: "The StatusCallback URL {url} is not a valid URL.",
    21610: "Attempt to send to unsubscribed recipient",
    21611: "This 'From' number has exceeded the maximum number of queued messages",
    21612: "The 'To' phone number: {to}, is not currently reachable using the 'From' phone number: "
    "{from_} via SMS.",
    21614: "'To' number: {to}, is not a valid mobile number",
    21617: "The concatenated message body exceeds the 1600 character limit.",
    21620: "Invalid media URL(s)",
    21623: "Number of media files exceeds allowed limit",
    21624: "Invalid validity period value",
    21701: "The Messaging Service does not exist.",
    21704: "The Messaging Service contains no phone numbers.",
    21705: "The Messaging Service Sid {sid} is invalid.",
    21710: "Phone Number or Short Code is already in the Messaging Service.",
    21712: "Phone Number or Short Code is associated with another Messaging Service.",
    30409: "This message cannot be canceled",
    35111: "SendAt timestamp is missing",
    35114: "Scheduling does not support this timestamp",
    35118: "MessagingServiceSid is required to schedule a message",
    63007: "Twilio could not find a Channel with the specified From address",
}


class Refusal(Exception):  # noqa: N818  # not an error of ours: it is what Twilio answers
    """A request that Twilio refuses, with its error code."""

    def __init__(self, code: int, *, message: str | None = None, **values: object) -> None:
        self.code = code
        self.status = STATUSES.get(code, 400)
        self.message = message or MESSAGES.get(code, short(code)).format_map(values)
        super().__init__(f"{self.code}: {self.message}")

    def to_json(self) -> dict[str, Any]:
        """The body of the answer."""
        return {
            "code": self.code,
            "message": self.message,
            "more_info": f"https://www.twilio.com/docs/errors/{self.code}",
            "status": self.status,
        }
