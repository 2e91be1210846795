"""Which fields of a number, or of a Messaging Service, are changed and put back."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from smsquest_cli.diagnosis import Route
    from smsquest_cli.journal import Fields, JournalEntry


def target(route: Route) -> tuple[str, Fields]:
    """The SID of what must be changed for *route*, and what it held when it was looked at."""
    if route.service is not None:
        return route.service.sid, {"inbound_request_url": route.service.inbound_request_url}
    number = route.number
    return number.sid, {
        "sms_url": number.sms_url,
        "sms_application_sid": number.sms_application_sid,
    }


def changes(sid: str, url: str, current: Fields) -> dict[str, str | bool]:
    """The fields to change so that *url* is called: no more than it takes."""
    if sid.startswith("MG"):
        return {
            "inbound_request_url": url,
            "inbound_method": "POST",
            "use_inbound_webhook_on_number": False,
        }
    made: dict[str, str | bool] = {"sms_url": url, "sms_method": "POST"}
    if current["sms_application_sid"]:
        made["sms_application_sid"] = ""
    return made


def merged(fresh: Fields, stale: Fields) -> dict[str, str | bool]:
    """The original to put back after a killed run: what that saved, except an app set since."""
    since = fresh.get("sms_application_sid")
    return {**fresh, **stale} | ({"sms_application_sid": since} if since else {})


def wanted_back(entry: JournalEntry, current: Fields) -> dict[str, str | bool]:
    """The fields to put back: the original ones, except those that somebody has set since."""
    set_since = {
        name
        for name in ("sms_application_sid", "use_inbound_webhook_on_number")
        if current.get(name)
    }
    return {name: value for name, value in entry.original.items() if name not in set_since}
