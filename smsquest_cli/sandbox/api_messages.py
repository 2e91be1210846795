"""The 2010 API: messages and their media."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any, Final

from flask import redirect, request

from smsquest_cli.sandbox.outbox import new_message
from smsquest_cli.sandbox.pages import listed, page_of
from smsquest_cli.sandbox.refusals import Refusal
from smsquest_cli.sandbox.shapes import ACCOUNTS, media_json, message_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flask import Flask
    from werkzeug.wrappers import Response

    from smsquest_cli.sandbox.account import Account
    from smsquest_cli.sandbox.carrier import Carrier
    from smsquest_cli.sandbox.resources import Attachment, SandboxMessage

MESSAGES: Final = f"{ACCOUNTS}/<_account>/Messages"
UNFINISHED: Final = ("accepted", "scheduled", "queued", "sending")


def add_routes(app: Flask, account: Account, carrier: Carrier) -> None:
    """Let *app* answer for *account* and send through *carrier*."""
    _add_list(app, account, carrier)
    _add_single(app, account, carrier)
    _add_media(app, account)


def _add_list(app: Flask, account: Account, carrier: Carrier) -> None:
    @app.post(f"{MESSAGES}.json")
    def create_message(_account: str) -> tuple[dict[str, Any], int]:
        with account.lock:
            message, delay = new_message(account, request.form, request.form.getlist("MediaUrl"))
            shape = message_json(account, message)
            if account.kind == "test":  # nothing is really sent
                return shape, 201
            account.add_message(message)
        carrier.send(message, delay=delay)
        return shape, 201

    @app.get(f"{MESSAGES}.json")
    def list_messages(_account: str) -> dict[str, Any]:
        with account.lock:
            found = [message for message in account.log() if _wanted(message, request.args)]
            page = page_of(found, request.args)
            return listed(page, "messages", request.path, lambda m: message_json(account, m))


def _add_single(app: Flask, account: Account, carrier: Carrier) -> None:
    @app.get(f"{MESSAGES}/<sid>.json")
    def fetch_message(_account: str, sid: str) -> dict[str, Any]:
        with account.lock:
            return message_json(account, _message(account, sid))

    @app.post(f"{MESSAGES}/<sid>.json")
    def update_message(_account: str, sid: str) -> dict[str, Any]:
        message = _message(account, sid)
        if request.form.get("Status") == "canceled":
            if not carrier.cancel(message):
                raise Refusal(30409)
        elif request.form.get("Body") == "":
            if message.status in UNFINISHED:
                raise Refusal(20009)
            with account.lock:
                message.body = ""
        else:
            raise Refusal(20001, message="Only Body= (to redact) and Status=canceled are possible")
        with account.lock:
            message.updated = account.now()
            return message_json(account, message)

    @app.delete(f"{MESSAGES}/<sid>.json")
    def delete_message(_account: str, sid: str) -> tuple[str, int]:
        if _message(account, sid).status in UNFINISHED:
            raise Refusal(20009)
        account.remove_message(sid)
        return "", 204


def _add_media(app: Flask, account: Account) -> None:
    @app.get(f"{MESSAGES}/<sid>/Media.json")
    def list_media(_account: str, sid: str) -> dict[str, Any]:
        message = _message(account, sid)
        page = page_of(message.media, request.args)
        return listed(page, "media_list", request.path, lambda m: media_json(account, message, m))

    @app.get(f"{MESSAGES}/<sid>/Media/<media_sid>.json")
    def fetch_media(_account: str, sid: str, media_sid: str) -> dict[str, Any]:
        message = _message(account, sid)
        return media_json(account, message, _medium(message, media_sid))

    @app.get(f"{MESSAGES}/<sid>/Media/<media_sid>")
    def media_content(_account: str, sid: str, media_sid: str) -> Response:
        return redirect(_medium(_message(account, sid), media_sid).url, 307)


def _message(account: Account, sid: str) -> SandboxMessage:
    if message := account.message(sid):
        return message
    raise Refusal(20404, path=request.path)


def _medium(message: SandboxMessage, sid: str) -> Attachment:
    for medium in message.media:
        if medium.sid == sid:
            return medium
    raise Refusal(20404, path=request.path)


def _wanted(message: SandboxMessage, arguments: Mapping[str, str]) -> bool:
    """Whether *message* fits the filters of a list."""
    if arguments.get("To", message.to) != message.to:
        return False
    if "From" in arguments and arguments["From"] != message.from_:
        return False
    bounds = {sign: arguments.get(f"DateSent{sign}", "") for sign in ("", "<", ">")}
    if not any(bounds.values()):
        return True
    if message.sent is None:
        return False
    sent = message.sent.astimezone(UTC).replace(microsecond=0)
    return (
        (not bounds[""] or sent.date() == _moment(bounds[""]).date())
        and (not bounds["<"] or sent <= _moment(bounds["<"], end_of_day=True))
        and (not bounds[">"] or sent >= _moment(bounds[">"]))
    )


def _moment(text: str, *, end_of_day: bool = False) -> datetime:
    """The moment that *text* means; a bare date means its beginning, or its end."""
    try:
        if len(text) == len("2026-01-31"):
            day = date.fromisoformat(text)
            hour = (23, 59, 59) if end_of_day else (0, 0, 0)
            return datetime(day.year, day.month, day.day, *hour, tzinfo=UTC)
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise Refusal(20001, message=f"not a date: {text}") from None
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
