"""Who really answers a number: the places where Twilio looks before the number's own ``SmsUrl``."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, TypeVar

from smsquest_cli.credentials import masked
from smsquest_cli.events import Problem
from smsquest_cli.problems import CredentialsError, NumberError, SmsquestError
from smsquest_cli.twilio_api import RefusedRequestError
from smsquest_cli.webhook_urls import Owner, owner_of, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from smsquest_cli.twilio_api import (
        Application,
        ConversationsAddress,
        PhoneNumber,
        Service,
        TwilioGateway,
    )

T = TypeVar("T")

RECENTLY: Final = timedelta(hours=12)
HOME_REGION: Final = "us1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """Where the messages of a number go.

    ``service`` is the Messaging Service of the number, if that answers in its place; a service
    that defers to the number's own webhook changes nothing.
    """

    number: PhoneNumber
    service: Service | None = None
    application: Application | None = None
    address: ConversationsAddress | None = None
    region: str | None = None
    unknown: tuple[SmsquestError, ...] = ()  # refusals to let us look into some places

    @property
    def answers(self) -> str:
        """What answers: ``conversations``, ``service``, ``application`` or ``number``."""
        places = (
            ("conversations", self.address),
            ("service", self.service),
            ("application", self.application),
        )
        return next((name for name, place in places if place is not None), "number")

    @property
    def url(self) -> str:
        """The URL that is called, empty if there is none; pointing the route would replace it."""
        if self.service is not None:
            return self.service.inbound_request_url
        return self.application.sms_url if self.application else self.number.sms_url

    @property
    def method(self) -> str:
        """The method with which it is called."""
        if self.service is not None:
            return self.service.inbound_method
        return self.application.sms_method if self.application else self.number.sms_method

    @property
    def owner(self) -> Owner:
        """Whose that URL is."""
        return owner_of(self.url)

    @property
    def is_free(self) -> bool:
        """Whether it can be pointed here without anybody missing messages."""
        return self.owner.is_free and self.service is None and self.application is None

    @property
    def changed(self) -> datetime | None:
        """When the resource that holds the URL was last changed."""
        return self.service.date_updated if self.service else self.number.date_updated

    def obstacle(self, *, via_service: bool) -> NumberError | None:
        """Why the number cannot be pointed here at all, or None: N11, N4, N5."""
        if not self.number.sms:
            return NumberError("N11", number=self.number.phone_number)
        if self.service is None or via_service:
            return None
        id_ = "N4" if self.service.inbound_request_url else "N5"
        return NumberError(
            id_, number=self.number.phone_number, service=named_service(self.service)
        )

    def notes(self, *, at: datetime) -> tuple[Problem, ...]:
        """What the user should know before the number is pointed here; none of it prevents that."""
        found = [Problem.told_by(error, at=at) for error in self.unknown]
        if self.region not in (None, HOME_REGION):
            found.append(Problem.of("N12", at=at, region=self.region))
        if self.application is not None and self.service is None:
            found.append(
                Problem.of(
                    "N6",
                    at=at,
                    severity="warning",
                    app=masked(self.application.sid),
                    number=self.number.phone_number,
                    consequence="smsquest will detach it for this run and put it back",
                )
            )
        if self.answers == "number" and self.number.sms_fallback_url:
            number, url = self.number.phone_number, shown(self.number.sms_fallback_url)
            found.append(Problem.of("N19", at=at, number=number, url=url))
        if self.address is not None:
            found.append(Problem.of("N17", at=at, number=self.number.phone_number))
        return tuple(found)


@dataclass(frozen=True, slots=True)
class Concern:
    """Something of value that would be replaced: the *question*, the *error* if it is not asked."""

    question: str
    error: NumberError


def concern_about(
    route: Route,
    *,
    ours: Collection[str] = (),
    others: Sequence[str] = (),
    for_good: bool = False,
    now: datetime | None = None,
) -> Concern | None:
    """What must be confirmed before *route* is pointed somewhere else; None if nothing must.

    *ours* are URLs of runs of ours that are gone; *others* are the further numbers of the Messaging
    Service, which would come along. *for_good* means that nobody will put it back.
    """
    number, url, owner = route.number.phone_number, route.url, route.owner
    until = "" if for_good else " until you stop"
    if url in ours:
        return None
    if route.application is not None and route.service is None:
        name = route.application.friendly_name
        app = masked(route.application.sid) + (f' "{name}"' if name else "")
        fate = f"it would be detached{until}."
        return _concern("N6", fate, "Detach it?", number=number, app=app)
    if owner.kind == "tunnel":
        what = f"points at another tunnel, {shown(url)}{_age(route.changed, now)}"
        return _concern("M4", "A colleague's?", "Take over?", number=number, what=what)
    if route.service is not None and (others or not owner.is_free):
        along = f", and with it {', '.join(others)}" if others else ""
        whose = f"Messaging Service {named_service(route.service)}{along}"
    elif owner.is_free:
        return None
    else:
        whose = owner.words
    fate = "It would be replaced." if for_good else "Its messages would come here until you stop."
    return _concern(
        "N8", fate, "Replace it?", number=number, url=shown(url) or "nobody", method=route.method,
        owner=whose,
    )  # fmt: skip


def route_of(gateway: TwilioGateway, number: PhoneNumber) -> Route:
    """Who answers *number*: looks into services, TwiML app, Conversations and region."""
    looks = _Looks()
    service = looks.at(lambda: gateway.service_of(number.sid))
    address = looks.at(lambda: gateway.conversations_address(number.phone_number))
    return _route(gateway, number, service, address, looks)


def routes_of(gateway: TwilioGateway, numbers: Sequence[PhoneNumber]) -> list[Route]:
    """Who answers each of *numbers*, with fewer requests than asking one by one."""
    looks = _Looks()
    services = looks.at(gateway.memberships) or {}
    addresses = looks.at(gateway.conversations_addresses) or {}
    return [
        _route(gateway, number, services.get(number.sid), addresses.get(number.phone_number), looks)
        for number in numbers
    ]


def brought_along(gateway: TwilioGateway, route: Route) -> list[str]:
    """The further numbers that a change to the Messaging Service of *route* affects."""
    if route.service is None:
        return []
    numbers = gateway.numbers_in(route.service.sid)
    return [number for number in numbers if number != route.number.phone_number]


def named_service(service: Service) -> str:
    """A Messaging Service as our lines name it: its name and its SID."""
    return f'"{service.friendly_name}" ({masked(service.sid)})'


class _Looks:
    """Looks into places that a Restricted key may not see, and remembers the refusals."""

    def __init__(self) -> None:
        self.failed: list[SmsquestError] = []

    def at(self, look: Callable[[], T]) -> T | None:
        """What *look* finds; None if Twilio does not let us look."""
        try:
            return look()
        except (CredentialsError, RefusedRequestError) as err:
            if err.id not in ("C4", "W1"):
                raise
            self.failed.append(err)
            return None


def _route(
    gateway: TwilioGateway,
    number: PhoneNumber,
    service: Service | None,
    address: ConversationsAddress | None,
    looks: _Looks,
) -> Route:
    application = None
    if sid := number.sms_application_sid:
        from smsquest_cli.twilio_api import Application

        # An app that is gone, or hidden from us, still keeps Twilio from calling the number's URL.
        application = looks.at(lambda: gateway.application(sid)) or Application(sid=sid)
    return Route(
        number=number,
        service=service if service and not service.use_inbound_webhook_on_number else None,
        application=application,
        address=address if address and address.enabled else None,
        region=gateway.login.region,
        unknown=tuple(looks.failed),
    )


def _concern(id_: str, fate: str, asked: str, **values: str) -> Concern:
    """The error that names the flag, and the question with the same words."""
    error = NumberError(id_, **values, consequence=f"{fate} Confirm with --yes")
    said = NumberError(id_, **values, consequence=fate)
    return Concern(f"confirm[{id_}]: {said.line} {asked}", error)


def _age(changed: datetime | None, now: datetime | None) -> str:
    """How long ago it was changed; empty if that is long ago, or unknown."""
    if changed is None:
        return ""
    age = (now or datetime.now(UTC)) - changed
    if age > RECENTLY or age < timedelta(0):
        return ""
    minutes = int(age / timedelta(minutes=1))
    return f" (changed {minutes} min ago)" if minutes < 120 else f" (changed {minutes // 60} h ago)"  # noqa: PLR2004
