"""`TwilioGateway`: every call that smsquest makes to Twilio's REST API."""

from __future__ import annotations

import time
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar

from smsquest_cli.patience import unless_quick
from smsquest_cli.problems import CredentialsError, TwilioRefusedError
from smsquest_cli.twilio_api.refusals import NOT_FOUND, problem_of
from smsquest_cli.twilio_api.values import (
    Account,
    Alert,
    Application,
    ConversationsAddress,
    PhoneNumber,
    SentMessage,
    Service,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from smsquest_cli.credentials import RestCredentials
    from smsquest_cli.twilio_api.http import HttpClient

T = TypeVar("T")

MOST_SERVICES: Final = 100  # each costs a request to see whether a number is in it
AT_ONCE: Final = 6
PAGE: Final = 200


class TwilioGateway:
    """Twilio's REST API for one account; the SDK is imported with the first call.

    Every method raises `CredentialsError` (C2, C4, C8), `TwilioRefusedError` (W1 with the code of
    Twilio, W2 not reachable, W3 busy) or the error that a certain code stands for.
    """

    def __init__(
        self,
        login: RestCredentials,
        *,
        timeout: float = 10.0,
        pause: Callable[[float], object] | None = None,
        say: Callable[[str], object] = lambda _line: None,
    ) -> None:
        """*say* is told what the main thread waits for when Twilio takes longer than a second."""
        self.login = login
        self._timeout = timeout
        self._pause = pause or time.sleep
        self._say = say

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections; a later call opens new ones."""
        if "_http" in self.__dict__:
            self._http.close()

    @property
    def clock_offset(self) -> float | None:
        """The seconds by which this computer's clock is ahead of Twilio's, once it has answered."""
        return self._http.clock_offset if "_http" in self.__dict__ else None

    # Numbers

    def numbers(self) -> list[PhoneNumber]:
        """Every number of the account."""
        with self._asking("list the phone numbers", "Phone Numbers: list"):
            found = self._client.incoming_phone_numbers.list(page_size=PAGE)
            return [PhoneNumber.of(one) for one in found]

    def number(self, sid: str) -> PhoneNumber:
        """The number *sid* as it is now."""
        with self._asking("read the phone number", "Phone Numbers: read"):
            return PhoneNumber.of(self._client.incoming_phone_numbers(sid).fetch())

    def set_number(self, sid: str, fields: Mapping[str, str]) -> PhoneNumber:
        """Change those *fields* of the number *sid* (`PhoneNumber`'s names), and no other.

        An empty string clears a field. Returns the number as Twilio then reports it.
        """
        with self._asking("update the phone number", "Phone Numbers: update", number=sid):
            return PhoneNumber.of(self._client.incoming_phone_numbers(sid).update(**fields))

    def application(self, sid: str) -> Application | None:
        """The TwiML app *sid*, or None."""
        with self._asking("read the TwiML app", "Applications: read"):
            return _unless_missing(lambda: Application.of(self._client.applications(sid).fetch()))

    # Messaging Services

    def services(self) -> list[Service]:
        """The Messaging Services of the account, `MOST_SERVICES` at most."""
        with self._asking("list the Messaging Services", "Messaging Services: list"):
            found = self._client.messaging.v1.services.list(limit=MOST_SERVICES)
            return [Service.of(one) for one in found]

    def service(self, sid: str) -> Service:
        """The Messaging Service *sid* as it is now."""
        with self._asking("read the Messaging Service", "Messaging Services: read"):
            return Service.of(self._client.messaging.v1.services(sid).fetch())

    def set_service(self, sid: str, fields: Mapping[str, str | bool]) -> Service:
        """Change those *fields* of the service *sid*, as `set_number` does."""
        with self._asking("update the Messaging Service", "Messaging Services: update"):
            return Service.of(self._client.messaging.v1.services(sid).update(**fields))

    def service_of(self, number_sid: str) -> Service | None:
        """The Messaging Service that the number is in, or None; it is in one at most."""

        def holds(service: Service) -> bool:
            senders = self._client.messaging.v1.services(service.sid).phone_numbers
            return _unless_missing(lambda: senders(number_sid).fetch()) is not None

        services = self.services()
        with self._asking("look into the Messaging Services", "Messaging Services: read"):
            held = _at_once(holds, services)
        return next((service for service, found in zip(services, held, strict=True) if found), None)

    def numbers_in(self, service_sid: str) -> list[str]:
        """The numbers (E.164) that are in a Messaging Service."""
        with self._asking("look into the Messaging Service", "Messaging Services: read"):
            senders = self._client.messaging.v1.services(service_sid).phone_numbers
            return [str(sender.phone_number) for sender in senders.list(page_size=PAGE)]

    def memberships(self) -> dict[str, Service]:
        """The Messaging Service of each number that is in one, by the number's SID."""

        def members(service: Service) -> list[str]:
            senders = self._client.messaging.v1.services(service.sid).phone_numbers
            return [str(sender.sid) for sender in senders.list(page_size=PAGE)]

        services = self.services()
        with self._asking("look into the Messaging Services", "Messaging Services: read"):
            found = _at_once(members, services)
        return {sid: service for service, sids in zip(services, found, strict=True) for sid in sids}

    def conversations_address(self, phone_number: str) -> ConversationsAddress | None:
        """The address by which the Conversations API knows the number, or None."""
        with self._asking("read the Conversations address", "Conversations: read"):
            addresses = self._client.conversations.v1.address_configurations
            return _unless_missing(lambda: ConversationsAddress.of(addresses(phone_number).fetch()))

    def conversations_addresses(self) -> dict[str, ConversationsAddress]:
        """Every address of the Conversations API, by the number."""
        with self._asking("list the Conversations addresses", "Conversations: list"):
            found = self._client.conversations.v1.address_configurations.list(page_size=PAGE)
            addresses = [ConversationsAddress.of(one) for one in found]
        return {address.address: address for address in addresses}

    # Messages and errors

    def message(self, sid: str) -> SentMessage | None:
        """The message *sid* as it is now, or None if the account has no such message."""
        with self._asking("read the message", "Messages: read"):
            return _unless_missing(lambda: SentMessage.of(self._client.messages(sid).fetch()))

    def messages(
        self,
        *,
        since: datetime | None = None,
        from_: str | None = None,
        to: str | None = None,
        limit: int = PAGE,
    ) -> list[SentMessage]:
        """The messages of the account's log, the newest first, *limit* at most.

        *since* goes by their creation: a message that is not sent yet has no other date.
        """
        numbers = {"from_": from_, "to": to}
        wanted = {name: number for name, number in numbers.items() if number}
        found: list[SentMessage] = []
        with self._asking("list the messages", "Messages: list"):
            for one in self._client.messages.stream(**wanted, page_size=min(limit, PAGE)):
                message = SentMessage.of(one)
                if since and message.created and message.created < since.replace(microsecond=0):
                    break
                found.append(message)
                if len(found) == limit:
                    break
        return found

    def send(
        self,
        body: str,
        *,
        to: str,
        from_: str,
        media: Sequence[str] = (),
        status_callback: str | None = None,
    ) -> SentMessage:
        """Send a message from a number or a Messaging Service (``MG…``); never tried twice.

        Also raises D5 (trial account), D8 (opted out) and N10 (bad status callback).
        """
        fields: dict[str, Any] = {"to": to, "body": body}
        fields["messaging_service_sid" if from_.startswith("MG") else "from_"] = from_
        if media:
            fields["media_url"] = list(media)
        if status_callback:
            fields["status_callback"] = status_callback
        with self._asking(
            "send the message", "Messages: create", number=to, callback=status_callback or ""
        ):
            return SentMessage.of(self._client.messages.create(**fields))

    def alerts(self, *, since: datetime, limit: int = 50) -> list[Alert]:
        """The alerts that Twilio has logged about webhooks *since* then, the newest first."""
        with self._asking("list the alerts", "Monitor Alerts: list"):
            start = since.astimezone(UTC).replace(microsecond=0)
            found = self._client.monitor.v1.alerts.list(start_date=start, limit=limit)
            return [Alert.of(one) for one in found]

    def account(self) -> Account | None:
        """The account itself, or None if an API key may not read it (C3)."""
        try:
            with self._asking("read the account", "Accounts: read"):
                return Account.of(self._client.api.v2010.accounts(self.login.account_sid).fetch())
        except CredentialsError:
            if self.login.by_key:
                return None
            raise

    # How

    @cached_property
    def _http(self) -> HttpClient:
        from smsquest_cli.twilio_api.http import HttpClient

        return HttpClient(origin=self.login.origin, timeout=self._timeout, pause=self._pause)

    @cached_property
    def _client(self) -> Any:  # noqa: ANN401 - the SDK is not typed
        from twilio.rest import Client

        return Client(  # type: ignore[no-untyped-call]
            self.login.username,
            self.login.password.reveal(),
            self.login.account_sid,
            region=self.login.region,
            edge=self.login.edge,
            http_client=self._http,
            environment={"smsquest": "asks no environment"},  # an empty one means os.environ
        )

    @contextmanager
    def _asking(self, action: str, permission: str, **about: str) -> Iterator[None]:
        """Turn what the SDK and the HTTP client raise inside into our problems."""
        from twilio.base.exceptions import TwilioException

        from smsquest_cli.twilio_api.http import BusyError, NoAnswerError, RefusalError, plain

        try:
            with unless_quick(lambda: self._say(f"waiting for Twilio to {action} …")):
                yield
        except RefusalError as err:
            raise problem_of(
                err, self.login, action=action, permission=permission, **about
            ) from err
        except BusyError as err:
            raise TwilioRefusedError("W3", status=err.status, action=action) from err
        except NoAnswerError as err:
            raise TwilioRefusedError("W2", host=err.host, reason=err.reason) from err
        except (TwilioException, AttributeError, KeyError, TypeError, ValueError) as err:
            # An answer in JSON, but without the parts that Twilio's answers have.
            reason = f"its answer is none of Twilio's: {plain(str(err))}"
            host = self.login.origin or "api.twilio.com"
            raise TwilioRefusedError("W2", host=host, reason=reason) from err


def _unless_missing(fetch: Callable[[], T]) -> T | None:
    """What *fetch* gives, or None if Twilio says 404."""
    from smsquest_cli.twilio_api.http import RefusalError

    try:
        return fetch()
    except RefusalError as err:
        if err.code == NOT_FOUND or err.status == 404:  # noqa: PLR2004
            return None
        raise


def _at_once(ask: Callable[[Service], T], services: Sequence[Service]) -> list[T]:
    """What *ask* gives for each of *services*, a few at a time."""
    from concurrent.futures import ThreadPoolExecutor

    pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="services")
    try:
        return list(pool.map(ask, services))
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
