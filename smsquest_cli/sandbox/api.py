"""Twilio's REST API in miniature: real enough for Twilio's own SDKs, except for the origin.

All of Twilio's hosts are served on one: their paths do not clash among the resources that are here.
No web page can drive it: it answers to a loopback ``Host`` only, refuses what a browser sends from
a page, and never asks a browser for credentials.
"""

from __future__ import annotations

import hmac
import json
import re
import time
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from flask import Flask, Request, Response, g, request
from werkzeug.exceptions import HTTPException

from smsquest_cli.sandbox import api_messages, api_numbers, api_v1, control
from smsquest_cli.sandbox.refusals import Refusal
from smsquest_cli.wire import is_here

if TYPE_CHECKING:
    from smsquest_cli.sandbox import Sandbox
    from smsquest_cli.sandbox.account import Account

MAX_BODY: Final = 1 << 20
TOKEN_HEADER: Final = "X-Smsquest-Token"  # noqa: S105  # a header's name
HOSTS: Final = {"Services": "messaging", "Configuration": "conversations", "Alerts": "monitor"}
_USERNAME: Final = re.compile(r"(AC|SK)[0-9a-fA-F]{32}")
_ACCOUNT: Final = re.compile(r"/2010-04-01/Accounts(?:/(?P<sid>[^/]*?))?(?:\.json$|(?P<rest>/))")
_TESTABLE: Final = re.compile(
    r"/2010-04-01/Accounts/[^/]+/(Messages|IncomingPhoneNumbers|Calls)\.json"
)


def create_app(sandbox: Sandbox) -> Flask:
    """The API of *sandbox* as a WSGI application."""
    app = Flask("smsquest-sandbox", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY
    app.config["PROVIDE_AUTOMATIC_OPTIONS"] = False
    app.url_map.merge_slashes = False
    account = sandbox.account

    @app.before_request
    def admit() -> None:
        g.started = time.perf_counter()
        refuse_web_pages(request)
        if request.path.startswith(control.PREFIX):
            presented = request.headers.get(TOKEN_HEADER, "")
            if not _same(presented, sandbox.control_token):
                raise Refusal(20403, message=f"{TOKEN_HEADER} missing or wrong")
        else:
            authenticate(account, request)

    @app.errorhandler(Refusal)
    def refused(refusal: Refusal) -> Response:
        return answer(refusal.to_json(), refusal.status)

    @app.errorhandler(HTTPException)
    def not_served(err: HTTPException) -> Response:
        status = err.code or 500
        if status in (404, 405):
            return refused(Refusal(20404 if status == 404 else 20004, path=request.path))  # noqa: PLR2004
        words = {"code": status, "message": err.name, "more_info": None, "status": status}
        return answer(words, status)

    @app.after_request
    def mark(response: Response) -> Response:
        response.headers["Twilio-Request-Id"] = account.sids.request_id()
        response.headers["Twilio-Concurrent-Requests"] = "1"
        seconds = time.perf_counter() - g.get("started", time.perf_counter())
        response.headers["Twilio-Request-Duration"] = f"{seconds:.3f}"
        response.headers["X-Home-Region"] = "us1"
        part = request.path.split("/")[2] if request.path.count("/") > 1 else ""
        response.headers["X-API-Domain"] = f"{HOSTS.get(part, 'api')}.twilio.com"
        return response

    api_numbers.add_routes(app, account)
    api_messages.add_routes(app, account, sandbox.carrier)
    api_v1.add_routes(app, account)
    control.add_routes(app, sandbox.carrier)
    app.wsgi_app = sandbox.faults.before(app.wsgi_app)  # type: ignore[method-assign,assignment]
    return app


def answer(content: object, status: int = 200) -> Response:
    """*content* as JSON."""
    body = json.dumps(content, ensure_ascii=False)
    return Response(body, status, content_type="application/json; charset=utf-8")


def refuse_web_pages(asked: Request) -> None:
    """Refuse every page in a browser, whatever name of this computer it uses."""
    try:
        host = urlsplit(f"//{asked.headers.get('Host', '')}").hostname
    except ValueError:
        host = None
    if not is_here(host):
        raise Refusal(20403, message="this API answers to a loopback Host only")
    site = asked.headers.get("Sec-Fetch-Site", "none")
    if "Origin" in asked.headers or site != "none":
        raise Refusal(20403, message="this API does not answer to web pages")


def authenticate(account: Account, asked: Request) -> None:
    """Raise `Refusal` unless the login has the account's token or the secret of one of its keys."""
    login = asked.authorization
    if login is None or login.type != "basic" or not login.username:
        raise Refusal(20003, message="Authentication Error - No credentials provided")
    if not _USERNAME.fullmatch(login.username):
        raise Refusal(20003, message="Authentication Error - invalid username")
    key = account.keys.get(login.username)
    secret = account.auth_token if login.username == account.sid else key.secret if key else None
    if not secret or not _same(login.password or "", secret):
        raise Refusal(20003)
    named = _ACCOUNT.match(asked.path)
    if named and named["sid"] not in (account.sid, None):
        raise Refusal(20003)
    if named and key and key.standard and not named["rest"]:  # the account itself
        raise Refusal(20003)
    if account.kind == "test" and not (asked.method == "POST" and _TESTABLE.fullmatch(asked.path)):
        raise Refusal(20008)


def _same(first: str, second: str) -> bool:
    return hmac.compare_digest(first.encode(), second.encode())
