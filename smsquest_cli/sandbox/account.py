"""The state of the pretend Twilio account: what it owns, what was sent, who opted out.

One lock guards all of it. Everything can be set up from Python (`Account.add_number` and its
siblings) as well as through the REST API, and `Account.reset` forgets all in one call.
"""

from __future__ import annotations

import random
import re
import secrets
import threading
import uuid
from collections import OrderedDict, deque
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Final, Literal

from smsquest_cli.credentials import SANDBOX_TOKEN
from smsquest_cli.events import Step
from smsquest_cli.sandbox.resources import (
    Address,
    Alert,
    ApiKey,
    Application,
    PhoneNumber,
    SandboxMessage,
    Service,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ACCOUNT_SID: Final = "AC" + "0" * 32
NUMBER: Final = "+12025550100"
PHONE: Final = "+12025550143"
MAX_MESSAGES: Final = 10_000  # the oldest are forgotten: a sandbox may run for weeks
MAX_ALERTS: Final = 1_000

Kind = Literal["full", "trial", "test"]
_E164: Final = re.compile(r"\+[1-9]\d{6,14}", re.ASCII)
_SENDER_NAME: Final = re.compile(r"(?=.*[A-Za-z])[A-Za-z0-9 ]{1,11}")


def is_phone_number(text: str) -> bool:
    """Whether *text* is a phone number in E.164 form."""
    return _E164.fullmatch(text) is not None


def e164(text: str) -> str | None:
    """The phone number that *text* is for Twilio, which reads only what people in the US write.

    None where it is none; `phone_numbers.normalised` reads more.
    """
    number = re.sub(r"[ ().-]", "", text)
    if re.fullmatch(r"1?[2-9]\d{9}", number, re.ASCII):
        number = f"+{number}" if number[0] == "1" else f"+1{number}"
    return number if is_phone_number(number) else None


def is_sender_name(text: str, to: str) -> bool:
    """Whether *text* can be the sender of a message to *to*: letters, outside North America."""
    return _SENDER_NAME.fullmatch(text) is not None and not to.startswith("+1")


def without_channel(address: str) -> str:
    """The number in *address*, which may be on a channel: ``whatsapp:+1202…``."""
    return address.rpartition(":")[2]


class Sids:
    """Twilio's identifiers, unlike any other; with a *seed*, the same ones in every run."""

    def __init__(self, seed: int | None = None) -> None:
        def source() -> random.Random:
            return random.SystemRandom() if seed is None else random.Random(seed)  # noqa: S311

        self._random = source()
        self._other_ids = source()  # drawn at any time, which must not change the SIDs

    def new(self, prefix: str) -> str:
        """A new SID: two letters and 32 hex digits."""
        return f"{prefix}{self._random.getrandbits(128):032x}"

    def request_id(self) -> str:
        """A new ``Twilio-Request-Id``."""
        return f"RQ{self._other_ids.getrandbits(128):032x}"

    def uuid(self) -> str:
        """A new UUID, as in ``I-Twilio-Idempotency-Token``."""
        return str(uuid.UUID(int=self._other_ids.getrandbits(128), version=4))


class Account:
    """A pretend account; it starts with one number, *number*, that calls *webhook_url*.

    *kind* ``trial`` sends to `verified` numbers only and marks its texts; ``test`` behaves as
    Twilio's test credentials do.
    """

    def __init__(
        self,
        *,
        auth_token: str = SANDBOX_TOKEN,
        sid: str = ACCOUNT_SID,
        number: str | None = NUMBER,
        webhook_url: str = "",
        kind: Kind = "full",
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        seed: int | None = None,
    ) -> None:
        self.sid = sid
        self.auth_token = auth_token
        self.kind = kind
        self.now = now
        self.lock = threading.RLock()
        self._initial = (number, webhook_url, seed)
        self.keys: dict[str, ApiKey] = {}
        self.reset()

    def __repr__(self) -> str:
        return f"<Account {self.sid}>"

    def reset(self) -> None:
        """Forget everything: only the first number is left, as it was; API keys stay valid."""
        number, webhook_url, seed = self._initial
        with self.lock:
            self.created = self.now()
            self.sids = Sids(seed)
            self.numbers: dict[str, PhoneNumber] = {}
            self.applications: dict[str, Application] = {}
            self.services: dict[str, Service] = {}
            self.addresses: dict[str, Address] = {}
            self.verified: set[str] = {PHONE}
            self.opt_outs: set[tuple[str, str]] = set()
            self.alerts: deque[Alert] = deque(maxlen=MAX_ALERTS)
            self._messages: OrderedDict[str, SandboxMessage] = OrderedDict()
            if number:
                self.add_number(number, sms_url=webhook_url)

    def add_number(self, phone_number: str, **fields: Any) -> PhoneNumber:  # noqa: ANN401
        """A new number of the account; *fields* as in `PhoneNumber`."""
        at = self.now()
        sid = self.sids.new("PN")
        number = PhoneNumber(
            sid=sid, phone_number=phone_number, created=at, updated=at,
            **{"friendly_name": phone_number, **fields},
        )  # fmt: skip
        with self.lock:
            self.numbers[sid] = number
        return number

    def add_application(self, **fields: Any) -> Application:  # noqa: ANN401
        """A new TwiML app; *fields* as in `Application`."""
        at = self.now()
        application = Application(sid=self.sids.new("AP"), created=at, updated=at, **fields)
        with self.lock:
            self.applications[application.sid] = application
        return application

    def add_service(self, friendly_name: str, *numbers: str, **fields: Any) -> Service:  # noqa: ANN401
        """A new Messaging Service with *numbers* in it; *fields* as in `Service`."""
        at = self.now()
        with self.lock:
            service = Service(
                sid=self.sids.new("MG"),
                friendly_name=friendly_name,
                created=at,
                updated=at,
                number_sids=[self.owned(number).sid for number in numbers],
                **fields,
            )
            self.services[service.sid] = service
        return service

    def add_address(self, address: str, *, auto_creation: bool = True) -> Address:
        """A new Conversations address."""
        at = self.now()
        sid = self.sids.new("IG")
        made = Address(
            sid=sid, address=address, created=at, updated=at, auto_creation=auto_creation
        )
        with self.lock:
            self.addresses[sid] = made
        return made

    def add_key(self, *, standard: bool = True) -> ApiKey:
        """A new API key; a Standard one may not read the account itself."""
        key = ApiKey(self.sids.new("SK"), secrets.token_hex(16), standard)
        with self.lock:
            self.keys[key.sid] = key
        return key

    def number(self, name: str) -> PhoneNumber | None:
        """The number whose SID or E.164 form is *name*, or None."""
        with self.lock:
            if found := self.numbers.get(name):
                return found
            wanted = without_channel(name)
            return next((n for n in self.numbers.values() if n.phone_number == wanted), None)

    def owned(self, name: str) -> PhoneNumber:
        """The number whose SID or E.164 form is *name*; raises `KeyError`."""
        if found := self.number(name):
            return found
        raise KeyError(name)

    def texted(self, name: str | None) -> str:
        """The number *name*, which the account has from now on; None for its first.

        A new one calls what the first one calls: who plays Twilio for an app has any number.
        """
        with self.lock:
            first = next(iter(self.numbers.values()))
            if name and self.number(name) is None:
                self.add_number(
                    without_channel(name), sms_url=first.sms_url, sms_method=first.sms_method
                )
        return name or first.phone_number

    def closest(self, name: str) -> str | None:
        """The number of the account that looks most like *name*."""
        with self.lock:
            numbers = [number.phone_number for number in self.numbers.values()]
        return next(iter(get_close_matches(name, numbers, n=1, cutoff=0.0)), None)

    def service_of(self, number: PhoneNumber) -> Service | None:
        """The Messaging Service that *number* is in, or None; it is in one at most."""
        with self.lock:
            services = self.services.values()
            return next((s for s in services if number.sid in s.number_sids), None)

    def conversation_of(self, number: PhoneNumber) -> Address | None:
        """The Conversations address that takes what comes in for *number*, or None."""
        with self.lock:
            return next(
                (
                    address
                    for address in self.addresses.values()
                    if address.auto_creation and address.address == number.phone_number
                ),
                None,
            )

    def add_message(self, message: SandboxMessage) -> SandboxMessage:
        """Put *message* into the log, and drop the oldest one if there are very many."""
        with self.lock:
            message.history.append(Step(message.status, message.updated))
            self._messages[message.sid] = message
            while len(self._messages) > MAX_MESSAGES:
                self._messages.popitem(last=False)
        return message

    def message(self, sid: str) -> SandboxMessage | None:
        """The message with that *sid*, live, or None."""
        with self.lock:
            return self._messages.get(sid)

    def messages(self) -> list[SandboxMessage]:
        """Every message, the newest first, as copies that no longer change."""
        with self.lock:
            return [self.copy_of(message) for message in self.log()]

    def log(self) -> Iterator[SandboxMessage]:
        """Every message, the newest first and live; the caller must hold the lock."""
        return reversed(self._messages.values())

    def copy_of(self, message: SandboxMessage) -> SandboxMessage:
        """*message* as it is now."""
        with self.lock:
            return replace(
                message, history=list(message.history), callbacks=list(message.callbacks)
            )

    def remove_message(self, sid: str) -> None:
        """Delete a message."""
        with self.lock:
            self._messages.pop(sid, None)

    def move(self, message: SandboxMessage, status: str, error_code: int | None = None) -> bool:
        """Let *message* have *status*; False if it was cancelled meanwhile and stays so."""
        with self.lock:
            if message.status == "canceled":
                return False
            message.status = status
            message.updated = self.now()
            elapsed = message.updated - message.history[0].ts
            ms = elapsed // timedelta(milliseconds=1)
            message.history.append(Step(status, message.updated, ms))
            if status == "sent":
                message.sent = message.updated
            message.error_code = error_code or message.error_code
            return True

    def opt_out(self, number: str, phone: str, *, out: bool) -> bool:
        """Note whether *phone* opts *out* of *number*; returns whether that changes anything.

        It holds for the number's whole Messaging Service if the number is in one.
        """
        with self.lock:
            key = self._opt_out_key(number, None, phone)
            changed = (key in self.opt_outs) != out
            (self.opt_outs.add if out else self.opt_outs.discard)(key)
        return changed

    def opted_out(self, sender: str | None, service_sid: str | None, phone: str) -> bool:
        """Whether *phone* has opted out of *sender*, or of the service."""
        with self.lock:
            return self._opt_out_key(sender or "", service_sid, phone) in self.opt_outs

    def _opt_out_key(self, sender: str, service_sid: str | None, phone: str) -> tuple[str, str]:
        number = self.number(sender)
        service = self.service_of(number) if number else None
        by = service_sid or (service.sid if service else without_channel(sender))
        return by, without_channel(phone)

    def alerts_of(self, resource_sid: str) -> list[Alert]:
        """The debugger's entries about one message."""
        with self.lock:
            return [alert for alert in self.alerts if alert.resource_sid == resource_sid]

    def add_alert(self, code: int, text: str, resource_sid: str, **fields: Any) -> Alert:  # noqa: ANN401
        """Put an entry into the account's debugger."""
        alert = Alert(
            sid=self.sids.new("NO"),
            code=code,
            text=text,
            at=self.now(),
            resource_sid=resource_sid,
            **fields,
        )
        with self.lock:
            self.alerts.append(alert)
        return alert
