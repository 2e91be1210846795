"""The 2010 API: the account, its numbers and its TwiML apps."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from flask import request

from smsquest_cli.sandbox.account import is_phone_number
from smsquest_cli.sandbox.courier import called_url
from smsquest_cli.sandbox.pages import listed, page_of
from smsquest_cli.sandbox.refusals import Refusal
from smsquest_cli.sandbox.resources import METHODS
from smsquest_cli.sandbox.shapes import ACCOUNTS, account_json, application_json, number_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flask import Flask

    from smsquest_cli.sandbox.account import Account
    from smsquest_cli.sandbox.resources import Application, PhoneNumber

UNAVAILABLE: Final = "+15005550000"
INVALID: Final = "+15005550001"
NUMBERS: Final = f"{ACCOUNTS}/<_account>/IncomingPhoneNumbers"
APPLICATIONS: Final = f"{ACCOUNTS}/<_account>/Applications"
CALLBACKS: Final = ("StatusCallback", "SmsStatusCallback", "MessageStatusCallback")
NUMBER_FIELDS: Final = (
    "FriendlyName",
    *("SmsUrl", "SmsMethod", "SmsFallbackUrl", "SmsFallbackMethod", "SmsApplicationSid"),
    *("VoiceUrl", "VoiceMethod", "VoiceFallbackUrl", "VoiceFallbackMethod", "VoiceApplicationSid"),
    *("StatusCallback", "StatusCallbackMethod"),
)
APPLICATION_FIELDS: Final = (
    "FriendlyName",
    *("SmsUrl", "SmsMethod", "SmsFallbackUrl", "SmsFallbackMethod"),
    *("SmsStatusCallback", "MessageStatusCallback"),
)


def add_routes(app: Flask, account: Account) -> None:
    """Let *app* answer for *account*."""
    _add_account(app, account)
    _add_numbers(app, account)
    _add_single_numbers(app, account)
    _add_applications(app, account)


def _add_account(app: Flask, account: Account) -> None:
    @app.get(f"{ACCOUNTS}.json")
    def list_accounts() -> dict[str, Any]:
        page = page_of([account], request.args)
        return listed(page, "accounts", request.path, account_json)

    @app.get(f"{ACCOUNTS}/<_account>.json")
    def fetch_account(_account: str) -> dict[str, Any]:
        return account_json(account)


def _add_numbers(app: Flask, account: Account) -> None:
    @app.get(f"{NUMBERS}.json")
    def list_numbers(_account: str) -> dict[str, Any]:
        with account.lock:
            found = [n for n in account.numbers.values() if _wanted(n, request.args)]
            page = page_of(found, request.args)
            return listed(
                page, "incoming_phone_numbers", request.path, lambda n: number_json(account, n)
            )

    @app.post(f"{NUMBERS}.json")
    def buy_number(_account: str) -> tuple[dict[str, Any], int]:
        wanted = request.form.get("PhoneNumber", "")
        if wanted == INVALID or not is_phone_number(wanted):
            raise Refusal(21421, number=wanted)
        with account.lock:
            if wanted == UNAVAILABLE or account.number(wanted):
                raise Refusal(21422, number=wanted)
            number = account.add_number(wanted)
            try:
                change_number(account, number, request.form)
            finally:
                if account.kind == "test":  # nothing is really bought
                    del account.numbers[number.sid]
            return number_json(account, number), 201


def _add_single_numbers(app: Flask, account: Account) -> None:
    @app.get(f"{NUMBERS}/<sid>.json")
    def fetch_number(_account: str, sid: str) -> dict[str, Any]:
        with account.lock:
            return number_json(account, _number(account, sid))

    @app.post(f"{NUMBERS}/<sid>.json")
    def update_number(_account: str, sid: str) -> dict[str, Any]:
        with account.lock:
            number = _number(account, sid)
            change_number(account, number, request.form)
            return number_json(account, number)

    @app.delete(f"{NUMBERS}/<sid>.json")
    def release_number(_account: str, sid: str) -> tuple[str, int]:
        with account.lock:
            number = _number(account, sid)
            if service := account.service_of(number):
                service.number_sids.remove(number.sid)
            del account.numbers[number.sid]
        return "", 204


def _add_applications(app: Flask, account: Account) -> None:
    @app.get(f"{APPLICATIONS}.json")
    def list_applications(_account: str) -> dict[str, Any]:
        with account.lock:
            name = request.args.get("FriendlyName")
            found = [a for a in account.applications.values() if name in (None, a.friendly_name)]
            page = page_of(found, request.args)
            return listed(
                page, "applications", request.path, lambda a: application_json(account, a)
            )

    @app.post(f"{APPLICATIONS}.json")
    def create_application(_account: str) -> tuple[dict[str, Any], int]:
        values = checked(request.form, APPLICATION_FIELDS)
        application = account.add_application(**values)
        return application_json(account, application), 201

    @app.get(f"{APPLICATIONS}/<sid>.json")
    def fetch_application(_account: str, sid: str) -> dict[str, Any]:
        with account.lock:
            return application_json(account, _application(account, sid))

    @app.post(f"{APPLICATIONS}/<sid>.json")
    def update_application(_account: str, sid: str) -> dict[str, Any]:
        with account.lock:
            application = _application(account, sid)
            for name, value in checked(request.form, APPLICATION_FIELDS).items():
                setattr(application, name, value)
            application.updated = account.now()
            return application_json(account, application)


def change_number(account: Account, number: PhoneNumber, form: Mapping[str, str]) -> None:
    """Update *number* with *form*, all of it or nothing; raises `Refusal`."""
    values = checked(form, NUMBER_FIELDS)
    if not number.sms and any(values.get(name) for name in values if name.startswith("sms_")):
        raise Refusal(21407)
    sid = values.get("sms_application_sid")
    if sid and sid not in account.applications:
        raise Refusal(21420, sid=sid)
    after = {name: values.get(name, getattr(number, name)) for name in
             ("sms_url", "sms_fallback_url")}  # fmt: skip
    if values.get("sms_fallback_url") and not after["sms_url"]:
        raise Refusal(21406)
    for name, value in values.items():
        setattr(number, name, value)
    number.updated = account.now()


def checked(form: Mapping[str, str], fields: tuple[str, ...]) -> dict[str, str]:
    """The values that *form* sets for *fields*, by the names in our records; raises `Refusal`.

    A field that is not in *form* stays as it is; an empty string clears it.
    """
    values = {}
    for field in fields:
        if (value := form.get(field)) is None:
            continue
        if field.endswith("Method"):
            value = value.upper() or "POST"
            if value not in METHODS:
                raise Refusal(21403, method=value)
        elif value and field in CALLBACKS:
            _check_url(value, 21502)
        elif value and field.endswith("Url"):
            _check_url(value, 21402)
        values[_snake(field)] = value
    return values


def _check_url(url: str, code: int) -> None:
    try:
        called_url(url)
    except ValueError:
        raise Refusal(code, url=url) from None


def _snake(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


def _wanted(number: PhoneNumber, arguments: Mapping[str, str]) -> bool:
    """Whether *number* fits the filters of a list: a partial number, ``*`` for any digit."""
    if (name := arguments.get("FriendlyName")) is not None and name != number.friendly_name:
        return False
    pattern = re.escape(arguments.get("PhoneNumber", "")).replace(r"\*", r"\d")
    return re.search(pattern, number.phone_number) is not None


def _number(account: Account, sid: str) -> PhoneNumber:
    if number := account.numbers.get(sid):
        return number
    raise Refusal(20404, path=request.path)


def _application(account: Account, sid: str) -> Application:
    if application := account.applications.get(sid):
        return application
    raise Refusal(20404, path=request.path)
