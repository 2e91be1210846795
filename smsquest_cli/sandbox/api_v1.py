"""The v1 APIs: Messaging Services and their senders, Conversations addresses, Monitor alerts."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from flask import request

from smsquest_cli.sandbox.courier import called_url
from smsquest_cli.sandbox.pages import listed_v1, page_of
from smsquest_cli.sandbox.refusals import Refusal
from smsquest_cli.sandbox.resources import METHODS
from smsquest_cli.sandbox.shapes import address_json, alert_json, sender_json, service_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flask import Flask

    from smsquest_cli.sandbox.account import Account
    from smsquest_cli.sandbox.resources import Alert, PhoneNumber, Service

URL_FIELDS: Final = {
    "InboundRequestUrl": "inbound_request_url",
    "FallbackUrl": "fallback_url",
    "StatusCallback": "status_callback",
}
METHOD_FIELDS: Final = {"InboundMethod": "inbound_method", "FallbackMethod": "fallback_method"}


def add_routes(app: Flask, account: Account) -> None:
    """Let *app* answer for *account*."""
    _add_services(app, account)
    _add_senders(app, account)
    _add_addresses(app, account)
    _add_alerts(app, account)


def _add_services(app: Flask, account: Account) -> None:
    @app.get("/v1/Services")
    def list_services() -> dict[str, Any]:
        with account.lock:
            page = page_of(list(account.services.values()), request.args)
            return listed_v1(
                page, "services", request.base_url,
                lambda service: service_json(account, service, _origin()),
            )  # fmt: skip

    @app.post("/v1/Services")
    def create_service() -> tuple[dict[str, Any], int]:
        if not (name := request.form.get("FriendlyName")):
            raise Refusal(20001, message="Missing required parameter FriendlyName")
        values = _service_values(request.form)
        return service_json(account, account.add_service(name, **values), _origin()), 201

    @app.get("/v1/Services/<sid>")
    def fetch_service(sid: str) -> dict[str, Any]:
        with account.lock:
            return service_json(account, _service(account, sid), _origin())

    @app.post("/v1/Services/<sid>")
    def update_service(sid: str) -> dict[str, Any]:
        values = _service_values(request.form)
        with account.lock:
            service = _service(account, sid)
            service.friendly_name = request.form.get("FriendlyName", service.friendly_name)
            for name, value in values.items():
                setattr(service, name, value)
            service.updated = account.now()
            return service_json(account, service, _origin())

    @app.delete("/v1/Services/<sid>")
    def delete_service(sid: str) -> tuple[str, int]:
        with account.lock:
            del account.services[_service(account, sid).sid]
        return "", 204


def _add_senders(app: Flask, account: Account) -> None:
    @app.get("/v1/Services/<sid>/PhoneNumbers")
    def list_senders(sid: str) -> dict[str, Any]:
        with account.lock:
            service = _service(account, sid)
            numbers = [account.numbers[number] for number in service.number_sids]
            page = page_of(numbers, request.args)
            return listed_v1(
                page, "phone_numbers", request.base_url,
                lambda number: sender_json(account, service, number, _origin()),
            )  # fmt: skip

    @app.post("/v1/Services/<sid>/PhoneNumbers")
    def add_sender(sid: str) -> tuple[dict[str, Any], int]:
        with account.lock:
            service = _service(account, sid)
            number = account.numbers.get(request.form.get("PhoneNumberSid", ""))
            if number is None:
                raise Refusal(20404, path=request.path)
            if other := account.service_of(number):
                raise Refusal(21710 if other is service else 21712)
            service.number_sids.append(number.sid)
            return sender_json(account, service, number, _origin()), 201

    @app.get("/v1/Services/<sid>/PhoneNumbers/<number_sid>")
    def fetch_sender(sid: str, number_sid: str) -> dict[str, Any]:
        with account.lock:
            service = _service(account, sid)
            return sender_json(account, service, _sender(account, service, number_sid), _origin())

    @app.delete("/v1/Services/<sid>/PhoneNumbers/<number_sid>")
    def remove_sender(sid: str, number_sid: str) -> tuple[str, int]:
        with account.lock:
            service = _service(account, sid)
            service.number_sids.remove(_sender(account, service, number_sid).sid)
        return "", 204


def _add_addresses(app: Flask, account: Account) -> None:
    @app.get("/v1/Configuration/Addresses")
    def list_addresses() -> dict[str, Any]:
        with account.lock:
            page = page_of(list(account.addresses.values()), request.args)
            return listed_v1(
                page, "address_configurations", request.base_url,
                lambda address: address_json(account, address, _origin()),
            )  # fmt: skip

    @app.get("/v1/Configuration/Addresses/<name>")
    def fetch_address(name: str) -> dict[str, Any]:
        with account.lock:
            for address in account.addresses.values():
                if name in (address.sid, address.address):
                    return address_json(account, address, _origin())
        raise Refusal(20404, path=request.path)


def _add_alerts(app: Flask, account: Account) -> None:
    @app.get("/v1/Alerts")
    def list_alerts() -> dict[str, Any]:
        with account.lock:
            found = [alert for alert in reversed(account.alerts) if _wanted(alert, request.args)]
        page = page_of(found, request.args)
        return listed_v1(
            page, "alerts", request.base_url,
            lambda alert: alert_json(account, alert, _origin(), whole=False),
        )  # fmt: skip

    @app.get("/v1/Alerts/<sid>")
    def fetch_alert(sid: str) -> dict[str, Any]:
        with account.lock:
            for alert in account.alerts:
                if alert.sid == sid:
                    return alert_json(account, alert, _origin(), whole=True)
        raise Refusal(20404, path=request.path)


def _origin() -> str:
    return request.host_url.rstrip("/")


def _service_values(form: Mapping[str, str]) -> dict[str, Any]:
    """The values that *form* sets for a service; an empty address means none. Raises `Refusal`."""
    values: dict[str, Any] = {}
    for field, name in URL_FIELDS.items():
        if (value := form.get(field)) is not None:
            try:
                values[name] = value if value and called_url(value) else None
            except ValueError:
                raise Refusal(21402, url=value) from None
    for field, name in METHOD_FIELDS.items():
        if value := form.get(field):
            if value.upper() not in METHODS:
                raise Refusal(21403, method=value)
            values[name] = value.upper()
    if (flag := form.get("UseInboundWebhookOnNumber")) is not None:
        values["use_inbound_webhook_on_number"] = flag.lower() == "true"
    return values


def _service(account: Account, sid: str) -> Service:
    if service := account.services.get(sid):
        return service
    raise Refusal(20404, path=request.path)


def _sender(account: Account, service: Service, sid: str) -> PhoneNumber:
    if sid in service.number_sids:
        return account.numbers[sid]
    raise Refusal(20404, path=request.path)


def _wanted(alert: Alert, arguments: Mapping[str, str]) -> bool:
    """Whether *alert* fits the filters of a list: level, and between which dates."""
    if arguments.get("LogLevel", alert.level) != alert.level:
        return False
    start, end = (_moment(arguments.get(name, "")) for name in ("StartDate", "EndDate"))
    return (start is None or alert.at >= start) and (end is None or alert.at <= end)


def _moment(text: str) -> datetime | None:
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise Refusal(20001, message=f"not a date: {text}") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
