"""What may be sent through the REST API: ``POST Messages`` checked as Twilio checks it."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from smsquest_cli.limits import LONGEST_CALLBACK, LONGEST_TEXT, MOST_MEDIA
from smsquest_cli.sandbox.account import e164, is_sender_name, without_channel
from smsquest_cli.sandbox.courier import called_url
from smsquest_cli.sandbox.dialogue import TRIAL_PREFIX
from smsquest_cli.sandbox.media import attachments
from smsquest_cli.sandbox.refusals import Refusal
from smsquest_cli.sandbox.resources import SandboxMessage, Webhook
from smsquest_cli.segments import segment

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from smsquest_cli.sandbox.account import Account
    from smsquest_cli.sandbox.resources import PhoneNumber, Service

SOONEST: Final = timedelta(minutes=15)
LATEST: Final = timedelta(days=35)
MAX_VALIDITY: Final = 36000

# Numbers that answer with an error of their own, made for tests (Twilio's "magic" numbers).
MAGIC: Final = "+1500555000"
MAGIC_TO: Final = {"1": 21211, "2": 21612, "3": 21408, "4": 21610, "9": 21614}
MAGIC_FROM: Final = {"1": 21212, "7": 21606, "8": 21611}
MAGIC_SENDER: Final = MAGIC + "6"

_SERVICE: Final = re.compile(r"MG[0-9a-f]{32}")


def new_message(
    account: Account, form: Mapping[str, str], media: Sequence[str]
) -> tuple[SandboxMessage, float | None]:
    """The message that a request asks for, and in how many seconds it goes; raises `Refusal`.

    It is not in the account's log yet.
    """
    to = _recipient(form)
    service = _service(account, form)
    from_ = _sender(account, form, service, to)
    body = _content(form, media)
    callback = _callback(account, form, service)
    delay = _delay(account, form, service)
    _allowed(account, to, from_, service)
    if account.kind == "trial":
        body = TRIAL_PREFIX + body
    at = account.now()
    message = SandboxMessage(
        sid=account.sids.new("MM" if media else "SM"),
        direction="outbound-api",
        from_=from_,
        to=to,
        body=body,
        created=at,
        updated=at,
        status="queued" if service is None else "accepted" if delay is None else "scheduled",
        segments=segment(body).segments,
        media=attachments(account, media),
        service_sid=service.sid if service else None,
        callback=callback,
    )
    return message, delay


def _recipient(form: Mapping[str, str]) -> str:
    to = form.get("To", "").strip()
    if not to:
        raise Refusal(21604)
    if (number := e164(without_channel(to))) is None:
        raise Refusal(21211, to=to)
    if number[:-1] == MAGIC and (code := MAGIC_TO.get(number[-1])):
        raise Refusal(code, to=to, from_=form.get("From", ""))
    return to.rpartition(":")[0] + ":" + number if ":" in to else number


def _service(account: Account, form: Mapping[str, str]) -> Service | None:
    sid = form.get("MessagingServiceSid", "")
    if not sid and form.get("From", "").startswith("MG"):
        sid = form["From"]
    if not sid:
        return None
    if account.kind == "test":
        raise Refusal(20008)
    if not _SERVICE.fullmatch(sid):
        raise Refusal(21705, sid=sid)
    if (service := account.services.get(sid)) is None:
        raise Refusal(21701)
    if not service.number_sids:
        raise Refusal(21704)
    return service


def _sender(
    account: Account, form: Mapping[str, str], service: Service | None, to: str
) -> str | None:
    """The sender as given; None if a service chooses it."""
    from_ = form.get("From", "").strip()
    if service and (not from_ or from_ == service.sid):
        return None
    if not from_:
        raise Refusal(21603)
    if from_ == to:
        raise Refusal(21266, to=to)
    return _owned_sender(account, from_, to)


def _owned_sender(account: Account, from_: str, to: str) -> str:
    """*from_* if the account may send with it, or `Refusal`."""
    if account.kind == "test":
        if from_ == MAGIC_SENDER:
            return from_
        raise Refusal(MAGIC_FROM.get(from_.removeprefix(MAGIC), 21606), from_=from_)
    if ":" in from_ or ":" in to:
        raise Refusal(63007)
    if is_sender_name(from_, ""):
        if is_sender_name(from_, to):
            return from_
        raise Refusal(21612, to=to, from_=from_)
    if not from_.lstrip("+").isdigit():
        raise Refusal(21212, from_=from_)
    number = account.number(from_)
    if number is None or not number.sms:
        raise Refusal(21606, from_=from_)
    return number.phone_number


def _content(form: Mapping[str, str], media: Sequence[str]) -> str:
    body = form.get("Body", "")
    if not body and not media and not form.get("ContentSid"):
        raise Refusal(21602)
    if len(body) > LONGEST_TEXT:
        raise Refusal(21617)
    if len(media) > MOST_MEDIA:
        raise Refusal(21623)
    for url in media:
        if not _is_url(url):
            raise Refusal(21620)
    validity = form.get("ValidityPeriod", "1")
    if not (validity.isdecimal() and 1 <= int(validity) <= MAX_VALIDITY):
        raise Refusal(21624)
    return body


def _callback(account: Account, form: Mapping[str, str], service: Service | None) -> Webhook | None:
    """Who is told about the message's statuses: its own callback, its app's, or its service's."""
    if url := form.get("StatusCallback"):
        if not _is_url(url) or "_" in (urlsplit(url).hostname or "") or len(url) > LONGEST_CALLBACK:
            raise Refusal(21609, url=url)
        return Webhook(url)
    application = account.applications.get(form.get("ApplicationSid", ""))
    if application and application.message_status_callback:
        return Webhook(application.message_status_callback)
    if service and service.status_callback:
        return Webhook(service.status_callback)
    return None


def _delay(account: Account, form: Mapping[str, str], service: Service | None) -> float | None:
    """In how many seconds a scheduled message goes; None for one that goes at once."""
    if form.get("ScheduleType", "") != "fixed":
        return None
    if service is None:
        raise Refusal(35118)
    if not (text := form.get("SendAt")):
        raise Refusal(35111)
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise Refusal(35114) from None
    delay = (at if at.tzinfo else at.replace(tzinfo=UTC)) - account.now()
    if not SOONEST <= delay <= LATEST:
        raise Refusal(35114)
    return delay.total_seconds()


def _allowed(account: Account, to: str, from_: str | None, service: Service | None) -> None:
    """Raise `Refusal` if a trial's limits or the recipient's STOP stand in the way."""
    if account.kind == "trial" and to not in account.verified:
        raise Refusal(21608, to=to)
    if account.opted_out(from_, service.sid if service else None, to):
        raise Refusal(21610)


def sender_of(account: Account, message: SandboxMessage) -> PhoneNumber | None:
    """The number that a Messaging Service chooses for *message*."""
    service = account.services.get(message.service_sid or "")
    sids = service.number_sids if service else []
    numbers = (account.numbers[sid] for sid in sids if sid in account.numbers)
    return next((number for number in numbers if number.phone_number != message.to), None)


def _is_url(url: str) -> bool:
    try:
        called_url(url)
    except ValueError:
        return False
    return True
